"""lenient := true: everything but the damage, NULL in its place, and one warning for each damage with the text of the strict error."""
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from helpers import cases, log, truth
from helpers.cases import case, quote, text
from helpers.compare import arrow, assert_same, normal

# What is lost: a column's values, so many of them (those that are NULL anyway do not count), or a whole partition's rows.
LOST_VALUES = {
    "corrupt_array_aux_outside": ("arr", 1), "corrupt_array_bad_shape": ("arr", 1), "corrupt_binary_bad_length": ("bin", 1),
    "corrupt_column_empty": ("id", 12), "corrupt_column_is_dir": ("id", 12), "corrupt_column_missing": ("val", 11),
    "corrupt_column_short": ("val", 8), "corrupt_column_symlink_loop": ("id", 12), "corrupt_meta_bad_type": ("id", 90),
    "corrupt_parquet_page_garbage": ("id", 12), "corrupt_string_aux_negative": ("st", 2), "corrupt_string_aux_outside": ("st", 2),
    "corrupt_string_bad_length": ("st", 1), "corrupt_string_negative_length": ("st", 1), "corrupt_symbol_bad_offset": ("sym", 76),
    "corrupt_symbol_chars_missing": ("sym", 76), "corrupt_symbol_chars_short": ("sym", 76), "corrupt_symbol_key_negative": ("sym", 1),
    "corrupt_symbol_key_range": ("sym", 1), "corrupt_symbol_offsets_missing": ("sym", 76), "corrupt_ts_missing": ("ts", 12),
    "corrupt_varchar_aux_outside": ("note", 1), "corrupt_varchar_aux_short": ("note", 8), "corrupt_varchar_bad_utf8": ("note", 1),
    "corrupt_varchar_data_missing": ("note", 10),
}
LOST_PARTITIONS = {
    "corrupt_parquet_empty": 0, "corrupt_parquet_garbage": 0, "corrupt_parquet_missing": 0, "corrupt_parquet_other_table": 0,
    "corrupt_parquet_truncated": 0, "corrupt_partition_is_file": 0, "corrupt_partition_missing": 3,
    "corrupt_partition_symlink_loop": 0, "corrupt_txn_partition_version": 0,
}
# Everything can be read: times in reverse, and a row count that no file has room for.
LOST_NOTHING = ["corrupt_ts_descending", "corrupt_txn_huge_rows"]
OPENS = [*LOST_VALUES, *LOST_PARTITIONS, *LOST_NOTHING]


def lenient(c, more=""):
    # Nobody writes: without this, each error first waits for a change by a server that could explain it.
    return f"read_partitions({text(c.path)}, lenient := true, snapshot := 'none'{more})"


def whole(con, name):
    """The table without its damage; BINARY columns, which are not in the CSV, from a table in which they are whole."""
    table, c = truth.csv_table(name), case(name)
    for i, n in enumerate(table.column_names):
        if c.kinds[n] == "BINARY":
            table = table.set_column(i, n, arrow(con, f"SELECT {quote(n)} FROM {case('corrupt_column_short').scan}").column(0))
    return table


def test_every_damaged_table_that_opens_is_here(con):
    def opens(name):
        try:
            con.execute(f"DESCRIBE FROM {case(name).scan}")
            return True
        except duckdb.Error:
            return False

    assert sorted(OPENS) == [name for name in cases.CORRUPT if opens(name)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", OPENS)
def test_all_but_the_damage_is_read(con, name, threads):
    c, want = case(name), whole(con, name)
    con.execute(f"SET threads = {threads}")
    got = arrow(con, f"SELECT {truth.select_list(name)} FROM {lenient(c)}")
    if name in LOST_PARTITIONS:
        start, end = c.row_ranges[LOST_PARTITIONS[name]]
        want = pa.concat_tables([want.slice(0, start), want.slice(end)])
    column, values = LOST_VALUES.get(name, (None, 0))
    if name == "corrupt_ts_descending":
        n = c.attached[0]["numRows"]
        ts = want.column("ts").to_pylist()
        want = want.set_column(want.column_names.index("ts"), "ts", pa.array(ts[:n][::-1] + ts[n:], pa.int64()))
    assert got.num_rows == want.num_rows
    for n in want.column_names:
        if n != column:
            assert_same(got.column(n), want.column(n), n)
    if column:
        found, expected = normal(got.column(column)), normal(want.column(column))
        lost = pc.and_(found.is_null(), expected.is_valid())
        assert pc.sum(lost).as_py() == values
        assert name == "corrupt_meta_bad_type" or found.filter(found.is_valid()).equals(expected.filter(found.is_valid()))


@pytest.mark.parametrize("name", OPENS)
def test_each_damage_is_a_warning_with_the_text_of_the_error(con, name):
    c = case(name)
    con.execute("SET threads = 1")
    log.enable(con)
    columns = c.columns
    lost = LOST_VALUES.get(name, ("ts", 0))[0]
    for column in columns:
        con.execute(f"SELECT {quote(column)} FROM {lenient(c)}").fetchall()
        warnings = log.warnings(con)
        try:
            con.execute(f"SELECT {quote(column)} FROM read_partitions({text(c.path)}, snapshot := 'none')").fetchall()
            error = None
        except duckdb.Error as e:
            error = log.error_text(e)
        if column == lost or name.startswith("corrupt_parquet_") and name in LOST_PARTITIONS:
            assert warnings == [error]
        elif name in LOST_PARTITIONS or name == "corrupt_txn_huge_rows":
            assert error in warnings or len(warnings) == 1 and 'column "ts"' in warnings[0], (warnings, error)
        else:
            assert warnings == [] and error is None, (column, warnings, error)


@pytest.mark.parametrize("name", OPENS)
def test_filters_mean_the_same_over_what_is_left(con, name):
    """No filter is an error, and none makes use of what may be damaged: indexes, statistics, the order of timestamps."""
    c = case(name)
    con.execute(f"CREATE TEMP TABLE left_over AS FROM {lenient(c)}")
    kind = {r[0]: r[1] for r in con.execute("DESCRIBE left_over").fetchall()}
    filters = [
        "sym = 'AA'", "sym IS NULL", "sym IN ('BB', 'CC')", "sym <> 'AA'", "val > 10", "val IS NULL", "ts IS NULL",
        "ts >= '2024-02-27 05:00:00' AND ts < '2024-02-28 07:00:00'", "ts = '2024-02-27 10:00:00'", "ts < '2024-02-27 03:00:00' OR sym = 'AA'",
        "note LIKE 'n%'", "NOT (sym = 'AA' AND val < 20)",
    ]
    if kind["id"] == "BIGINT":
        filters += ["id = 5", "id BETWEEN 3 AND 40 AND sym = 'BB'", "id IS NULL OR id > 80"]
    for where in filters:
        got = con.execute(f"FROM {lenient(c)} WHERE {where}").fetchall()
        assert got == con.execute(f"FROM left_over WHERE {where}").fetchall(), where
        assert con.execute(f"SELECT count(*) FROM {lenient(c)} WHERE {where}").fetchone() == (len(got),), where


@pytest.mark.parametrize("name", ["part_day", "all_types_wal", "pq_mixed_types", "evo_types_wal", "o3_many", "sym_edge", "part_none_nots", "empty_none"])
def test_good_tables_read_the_same(con, name):
    c = case(name)
    log.enable(con)
    columns = truth.select_list(name)
    assert_same(arrow(con, f"SELECT {columns} FROM {lenient(c)}"), arrow(con, f"SELECT {columns} FROM {c.scan}"))
    assert log.warnings(con) == []


def test_added_columns_fit(con):
    """Rows keep their numbers when a partition before them is left out."""
    c = case("corrupt_partition_is_file")
    got = con.execute(f"SELECT id, file_row_number, partition FROM {lenient(c, ', file_row_number := true, partition := true')}").fetchall()
    assert [r[1] for r in got] == list(range(c.row_ranges[1][0], c.rows or 90))
    assert {r[2] for r in got} == {p["name"] for p in c.attached[1:]}


def test_a_table_that_does_not_open_stays_an_error(con):
    with pytest.raises(duckdb.IOException, match="_txn"):
        con.execute(f"FROM {lenient(case('corrupt_txn_empty'))}")
