"""questdb_check: finds every damaged fixture and nothing in the good ones, for a table and for a whole root."""
import os
import shutil

import duckdb
import pytest

from helpers import cases
from helpers.cases import case, text

COLUMNS = ["severity", "table_name", "partition", "column_name", "file", "offset", "problem", "expected", "found"]

# Damage that shows in another file than the one that was changed.
SEEN_IN = {
    "corrupt_symbol_bad_offset": "sym", "corrupt_symbol_chars_short": "sym",
    "corrupt_txn_huge_rows": "2024-03-03",
    "corrupt_txn_partition_version": "2024-02-27.77", "corrupt_partition_is_file": "2024-02-27",
    "corrupt_partition_symlink_loop": "2024-02-27", "corrupt_partition_missing": "2024-03-01",
    "corrupt_no_table": "corrupt_base_native",
}

# Damage to values, which only a deep check reads.
IN_VALUES = {"corrupt_parquet_page_garbage"}


def check(con, path, **options):
    more = "".join(f", {k} := {text(v) if isinstance(v, str) else v}" for k, v in options.items())
    cursor = con.execute(f"FROM questdb_check({text(path)}{more})")
    assert [d[0] for d in cursor.description] == COLUMNS
    return [dict(zip(COLUMNS, r)) for r in cursor.fetchall()]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", [n for n in cases.GOOD if "/" not in n])
def test_good_roots_have_no_findings(con, name, deep):
    assert check(con, case(name).root, deep=deep) == []


def test_whole_root_has_no_findings(con):
    assert check(con, cases.FIXTURES / "whole_root/db", deep=True) == []


@pytest.mark.parametrize("name", cases.CORRUPT)
def test_every_damage_is_found(con, name):
    c = case(name)
    found = check(con, c.path, deep=True)
    assert found, f"{name}: {c.info['broken']}"
    where = SEEN_IN.get(name) or c.info["broken_file"].removesuffix(".d").removesuffix(".i")
    assert any(where in str([r["file"], r["partition"], r["column_name"], r["problem"]]) for r in found), (where, found)
    assert all(r["table_name"] == c.table or name == "corrupt_no_table" for r in found), found
    assert any(r["severity"] == "error" for r in found)
    assert all(r["problem"] for r in found)


def test_shallow_check_finds_all_but_damaged_values(con):
    missed = {n for n in cases.CORRUPT if not check(con, case(n).path)}
    # values beyond the first rows of a column, and Parquet pages
    assert missed <= IN_VALUES | {"corrupt_ts_descending"}, missed


def test_damage_of_one_file_does_not_hide_that_of_another(con, tmp_path):
    shutil.copytree(case("all_types_bypass").path, tmp_path / "t", symlinks=True)
    days = sorted(d for d in (tmp_path / "t").iterdir() if d.is_dir() and d.name.startswith("20"))
    (days[0] / "c_int.d").unlink()
    os.truncate(days[1] / "c_long.d", 4)
    found = check(con, tmp_path / "t")
    assert {(r["partition"], r["column_name"]) for r in found} == {(days[0].name, "c_int"), (days[1].name, "c_long")}


def test_index_that_disagrees_is_found_by_a_deep_check(con, tmp_path):
    shutil.copytree(case("sym_edge").path, tmp_path / "t")
    keys = sorted((tmp_path / "t").glob("20*/*.k"))
    data = bytearray(keys[0].read_bytes())
    for at in range(64 + 32, len(data) - 31, 32):       # one row less for each symbol
        count = int.from_bytes(data[at:at + 8], "little")
        if count:
            data[at:at + 8] = data[at + 24:at + 32] = (count - 1).to_bytes(8, "little")
    keys[0].write_bytes(data)
    assert check(con, tmp_path / "t") == []
    found = check(con, tmp_path / "t", deep=True)
    assert [r["problem"] for r in found] == ["index disagrees with its column"], found


def test_table_name_limits_the_check(con, tmp_path):
    shutil.copytree(cases.FIXTURES / "whole_root/db", tmp_path / "db", symlinks=True)
    tables = con.execute(f"SELECT table_name, directory FROM questdb_tables({text(tmp_path / 'db')}) WHERE row_count > 0").fetchall()
    (name, directory), (other, _) = tables[:2]
    directory = tmp_path / "db" / os.path.basename(directory)
    (directory / "_txn").write_bytes(b"")
    assert check(con, tmp_path / "db", table_name=other) == []
    for found in (check(con, tmp_path / "db", table_name=name), check(con, tmp_path / "db")):
        assert [(r["severity"], r["table_name"], os.path.basename(r["file"])) for r in found] == [("error", name, "_txn")], found


def test_missing_path_is_an_error(con, tmp_path):
    with pytest.raises(duckdb.IOException, match="does not exist"):
        check(con, tmp_path / "nowhere")
