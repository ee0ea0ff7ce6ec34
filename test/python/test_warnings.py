"""Damage that does not end a query: NULL where it is, and a warning in DuckDB's log with the text of the error."""
import shutil

import duckdb
import pytest

from helpers import log, txn
from helpers.cases import case, text

# The table opens; the times of one partition cannot be read.
WITHOUT_TIMES = [
    "corrupt_parquet_empty", "corrupt_parquet_garbage", "corrupt_parquet_missing", "corrupt_parquet_other_table",
    "corrupt_parquet_truncated", "corrupt_partition_is_file", "corrupt_partition_missing", "corrupt_partition_symlink_loop",
    "corrupt_ts_descending", "corrupt_ts_missing", "corrupt_txn_huge_rows", "corrupt_txn_partition_version",
]


@pytest.mark.parametrize("name", WITHOUT_TIMES)
def test_questdb_partitions_lists_partitions_around_a_damaged_one(con, name):
    c = case(name)
    log.enable(con)
    got = con.execute(f"SELECT index, name, num_rows, min_timestamp, max_timestamp FROM questdb_partitions({text(c.path)}) WHERE attached").fetchall()
    assert [(i, n) for i, n, *_ in got] == [(i, p["name"]) for i, p in enumerate(c.attached)]
    damaged = [row for row in got if row[3] is None or row[4] is None]
    assert len(damaged) == 1 and damaged[0][3:] == (None, None), got
    for index, _, rows, low, high in got:
        if index != damaged[0][0]:
            sql = f"SELECT count(*), min(ts), max(ts) FROM {c.scan} WHERE ts BETWEEN '{low}' AND '{high}'"
            assert con.execute(sql).fetchall() == [(rows, low, high)]
    (warning,) = log.warnings(con)
    assert c.table in warning and damaged[0][1] in warning, warning
    if name != "corrupt_ts_descending":         # whose values a scan may return as they are
        with pytest.raises(duckdb.Error) as e:
            con.execute(f"SELECT count(ts) FROM {c.scan}").fetchall()
        assert warning == log.error_text(e.value)


@pytest.mark.parametrize("name", ["part_day", "pq_all", "empty_none", "part_none_nots"])
def test_nothing_is_logged_about_a_good_table(con, name):
    log.enable(con)
    con.execute(f"FROM questdb_partitions({text(case(name).path)})").fetchall()
    con.execute(f"FROM {case(name).scan}").fetchall()
    assert log.warnings(con) == []


@pytest.fixture
def short(tmp_path):
    """A table without WAL whose last partition is Parquet and has two rows less than `_txn` counts."""
    path = tmp_path / "pq_bypass"
    shutil.copytree(case("pq_bypass").path, path)

    def change(entries):
        entries.pop()
        entries[-1][1] += 2

    txn.rewrite(path, change)
    return path


def test_rows_that_the_server_lost_are_a_warning(con, short):
    found = con.execute(f"SELECT severity, partition, problem, expected, found FROM questdb_check({text(short)})").fetchall()
    assert found == [("warning", "2024-03-13.15", "Parquet file has another number of rows than the table says", "14 rows", "12 rows")]


def test_other_disagreements_of_row_counts_are_errors(con, short):
    def change(entries):
        entries[0][1] += 2

    txn.rewrite(short, change)
    found = con.execute(f"SELECT severity, expected, found FROM questdb_check({text(short)}) ORDER BY ALL").fetchall()
    assert found == [("error", "14 rows", "12 rows"), ("warning", "14 rows", "12 rows")]
    with pytest.raises(duckdb.IOException, match="another number of rows"):
        con.execute(f"SELECT id FROM read_partitions({text(short)})").fetchall()


def test_a_place_without_tables_is_a_finding(con, tmp_path):
    def check(path):
        return con.execute(f"SELECT severity, problem FROM questdb_check({text(path)})").fetchall()

    nothing = [("error", "neither a table nor a database root")]
    assert check(tmp_path) == nothing
    (tmp_path / "some").mkdir()
    (tmp_path / "some/file.txt").write_text("no table")
    assert check(tmp_path) == nothing and check(tmp_path / "some") == nothing
    # A server that has not made a table yet.
    (tmp_path / "db").mkdir()
    (tmp_path / "db/tables.d.0").write_bytes(b"")
    assert check(tmp_path / "db") == [("warning", "database has no tables")]
