"""COPY … FROM '<table directory>' (FORMAT questdb)."""
import duckdb
import pytest

from helpers import cases
from helpers.cases import case, quote, text
from helpers.compare import difference


@pytest.mark.parametrize("name", ["part_day", "all_types_wal", "pq_mixed_types", "evo_add_mid_wal", "empty_day_wal", "o3_many"])
def test_copy_gives_the_rows_of_the_scan_in_their_order(con, name):
    c = case(name)
    con.execute(f"CREATE TABLE t AS FROM {c.scan} LIMIT 0")
    con.execute(f"COPY t FROM {text(c.path)} (FORMAT questdb)")
    columns = ", ".join(map(quote, c.columns))
    got, want = (con.execute(f"SELECT {columns} FROM {x}").to_arrow_table() for x in ("t", c.scan))
    assert difference(got, want) is None


def test_columns_are_matched_by_name_and_may_be_listed(con):
    c = case("part_day")
    con.execute(f"CREATE TABLE t AS SELECT *, 7 AS extra FROM {c.scan} LIMIT 0")
    first, second = c.columns[1], c.columns[0]
    con.execute(f"COPY t ({quote(first)}, {quote(second)}) FROM {text(c.root)} (FORMAT questdb, TABLE_NAME {text(c.table)})")
    got = con.execute(f"SELECT {quote(second)}, {quote(first)}, extra FROM t").fetchall()
    assert got == [(*r, None) for r in con.execute(f"SELECT {quote(second)}, {quote(first)} FROM {c.scan}").fetchall()]


@pytest.mark.parametrize("columns, options, message", [
    ("nope INT", "", "no column"),
    ("id VARCHAR", "", "cast"),
    ("id BIGINT", ", NO_SUCH 1", "only one is"),
])
def test_mistakes_are_refused(con, columns, options, message):
    con.execute(f"CREATE TABLE t ({columns})")
    with pytest.raises(duckdb.BinderException, match=message):
        con.execute(f"COPY t FROM {text(case('part_day').path)} (FORMAT questdb{options})")


def test_directory_that_is_no_table_is_refused(con, tmp_path):
    con.execute("CREATE TABLE t (id BIGINT)")
    with pytest.raises(duckdb.Error, match="not a QuestDB table"):
        con.execute(f"COPY t FROM {text(tmp_path)} (FORMAT questdb)")
    assert cases.GOOD
