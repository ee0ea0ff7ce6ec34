"""Directories around a table that are read by their path: detached partitions, checkpoints, copies."""
import shutil

import pytest

from helpers import cases, truth
from helpers.cases import case, quote, text
from helpers.compare import difference


def scan(con, name, path, where=""):
    columns = ", ".join(quote(n) for n in case(name).columns)
    return con.execute(f"SELECT {columns} FROM read_partitions({text(path)}) {where}").to_arrow_table()


@pytest.mark.parametrize("name", [n for n in cases.GOOD if "/" not in n and any(not p["attached"] for p in case(n).partitions)])
def test_detached_partitions_of_the_server_are_read_by_their_path(con, name):
    c = case(name)
    for p in c.partitions:
        if p["attached"]:
            continue
        n, low, high = con.execute(
            f"SELECT count(*), min({quote(c.timestamp)})::VARCHAR, max({quote(c.timestamp)})::VARCHAR FROM read_partitions({text(c.path / p['name'])})").fetchone()
        assert n == p["numRows"]
        assert (p["minTimestamp"] or "").startswith(low[:10]) and (p["maxTimestamp"] or "").startswith(high[:10])
        assert con.execute(f"FROM questdb_check({text(c.path / p['name'])}, deep := true)").fetchall() == []


@pytest.mark.parametrize("suffix", [".detached", ".attachable"])
@pytest.mark.parametrize("name", ["part_day", "part_hour", "all_types_wal", "pq_mixed_types", "evo_add_mid_wal"])
def test_detached_partition_has_the_rows_it_had_in_the_table(con, tmp_path, name, suffix):
    c = case(name)
    whole = scan(con, name, c.path)
    table = tmp_path / "t~1"
    shutil.copytree(c.path, table)
    for p, (start, end) in zip(c.attached, c.row_ranges):
        (source,) = [d for d in c.path.iterdir() if d.is_dir() and d.name.split(".")[0] == p["name"]][:1]
        loose = table / (p["name"] + suffix)
        shutil.copytree(source, loose)
        for record in ("_meta", "_txn", "_cv"):
            shutil.copy(c.path / record, loose)
        assert difference(scan(con, name, loose), whole.slice(start, end - start)) is None, p["name"]
        later = f"WHERE {quote(c.timestamp)} > (SELECT min({quote(c.timestamp)}) FROM read_partitions({text(loose)}))"
        assert scan(con, name, loose, later).num_rows < end - start
        shutil.rmtree(loose)


@pytest.mark.parametrize("name", ["part_day", "all_types_wal", "pq_symbols", "evo_readd", "sym_edge"])
def test_checkpoint_has_its_records_and_the_data_of_the_table(con, tmp_path, name):
    c = case(name)
    whole = scan(con, name, c.path)
    table, checkpoint = tmp_path / "db" / "t~1", tmp_path / ".checkpoint" / "db" / "t~1"
    shutil.copytree(c.path, table)
    checkpoint.mkdir(parents=True)
    for record in ("_meta", "_txn", "_cv", "_name"):
        if (table / record).exists():
            shutil.copy(table / record, checkpoint)
    for record in ("_meta", "_txn", "_cv"):
        (table / record).write_bytes(b"")
    assert difference(scan(con, name, checkpoint), whole) is None
    assert con.execute(f"FROM questdb_check({text(checkpoint)}, deep := true)").fetchall() == []
    by_root = con.execute(f"SELECT count(*) FROM read_partitions({text(checkpoint.parent)}, table_name := {text(c.table)})")
    assert by_root.fetchone() == (whole.num_rows,)


def test_copied_backup_of_one_table_is_read(con, tmp_path):
    shutil.copytree(case("part_day").path, tmp_path / "backup of 2024-05-01")
    got = scan(con, "part_day", tmp_path / "backup of 2024-05-01")
    assert difference(got, scan(con, "part_day", case("part_day").path)) is None
    assert truth.expected("part_day").num_rows == got.num_rows
