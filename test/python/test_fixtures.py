"""Every good fixture: schema, every column, every row, in order, equal to the server's answers."""
import duckdb
import pytest

from helpers import cases, truth
from helpers.cases import case, quote, text
from helpers.compare import arrow, assert_same, difference

SYMBOL_CASES = [n for n in cases.READABLE if "SYMBOL" in case(n).kinds.values()]
RAW_CASES = [n for n in cases.READABLE if {"LONG256", "IPv4", "GEOHASH"} & {truth.family(k) for k in case(n).kinds.values()}]
MIXED_CASES = [n for n in cases.PARQUET_CASES if len(case(n).parquet_partitions) < len(case(n).attached)]
BIG = {"trades_2m", "sym_high_card"}


def described(con, call):
    return [(r[0], r[1]) for r in con.execute(f"DESCRIBE FROM {call}").fetchall()]


@pytest.mark.parametrize("name", cases.GOOD)
def test_schema_is_the_tables_own(con, name):
    c = case(name)
    assert described(con, c.scan) == [(n, truth.duckdb_type(k)) for n, k in c.kinds.items()]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("name", cases.READABLE)
def test_every_row_in_order(con, name, threads):
    con.execute(f"SET threads = {threads}")
    got = arrow(con, f"SELECT {truth.select_list(name)} FROM {case(name).scan}")
    assert_same(got, truth.expected(name), name)


@pytest.mark.parametrize("name", [n for n in cases.READABLE if n not in BIG])
def test_every_column_alone(con, name):
    c, want, bad = case(name), truth.expected(name), []
    for column in c.columns:
        d = difference(arrow(con, f"SELECT {truth.select_list(name, [column])} FROM {c.scan}"), want.select([column]))
        if d:
            bad.append(d)
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", cases.READABLE)
def test_columns_in_reverse_order_and_twice(con, name):
    c = case(name)
    order = c.columns[::-1][:20]
    got = arrow(con, f"SELECT {truth.select_list(name, order)}, {quote(order[0])} IS NULL AS again FROM {c.scan}")
    want = truth.expected(name).select(order)
    want = want.append_column("again", want.column(0).is_null())
    assert_same(got, want, name)


@pytest.mark.parametrize("name", cases.READABLE)
def test_count_of_rows(con, name):
    c = case(name)
    assert con.execute(f"SELECT count(*) FROM {c.scan}").fetchall() == [(c.rows,)]


@pytest.mark.parametrize("name", SYMBOL_CASES)
def test_symbols_as_enum(con, name):
    c = case(name)
    if name in BIG and name != "trades_2m":
        pytest.skip("an ENUM of 100,000 values is slow to bind; trades_2m and the small tables cover it")
    call = f"read_partitions({text(c.path)}, symbols := 'enum')"
    symbols = [n for n, k in c.kinds.items() if k == "SYMBOL"]
    types = dict(described(con, call))
    want = truth.expected(name).select(symbols)
    for s in symbols:                   # a symbol table without values cannot be an ENUM
        used = want.column(s).null_count < want.num_rows
        assert types[s].startswith("ENUM(") or not used and types[s] == "VARCHAR", (s, types[s])
    assert {n: t for n, t in types.items() if n not in symbols} == {n: truth.duckdb_type(k) for n, k in c.kinds.items() if k != "SYMBOL"}
    texts = ", ".join(f"{quote(s)}::VARCHAR AS {quote(s)}" for s in symbols)
    assert_same(arrow(con, f"SELECT {texts} FROM {call}"), want, name)


@pytest.mark.parametrize("name", RAW_CASES)
def test_raw_types(con, name):
    c = case(name)
    call = f"read_partitions({text(c.path)}, raw_types := true)"
    assert described(con, call) == [(n, truth.duckdb_type(k, raw=True)) for n, k in c.kinds.items()]
    bad = []
    for column, kind in c.kinds.items():
        if truth.family(kind) in truth.RAW_DUCKDB:
            d = difference(arrow(con, f"SELECT {quote(column)} AS \"column\" FROM {call}").column(0), truth.raw_expected(name, column))
            if d:
                bad.append(f"{column} {kind}: {d}")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("value, shown", [("'int'", "int"), ("NULL", "NULL|symbols")])
def test_unknown_value_of_symbols_is_refused(con, value, shown):
    with pytest.raises(duckdb.Error, match=shown):
        con.execute(f"FROM read_partitions({text(case('part_day').path)}, symbols := {value})")


# ---- Parquet partitions inside a table ------------------------------------------------------------------------------

@pytest.mark.skipif(cases.PARQUET_SUPPORTED, reason="Parquet partitions are supported")
@pytest.mark.parametrize("name", cases.PARQUET_CASES)
def test_parquet_partition_is_refused_by_name(con, name):
    c = case(name)
    with pytest.raises(duckdb.Error) as e:
        con.execute(f"SELECT {truth.select_list(name)} FROM {c.scan}").fetchall()
    message = str(e.value)
    assert "not supported yet" in message and "Parquet" in message
    assert any(p in message for p in c.parquet_partitions), message
    assert c.table in message, message
    assert con.execute("SELECT 42").fetchall() == [(42,)]


@pytest.mark.parametrize("name", MIXED_CASES)
def test_native_partitions_of_a_mixed_table(con, name):
    """A query that the time filter keeps away from the Parquet partitions is answered."""
    c, want = case(name), truth.expected(name)
    ts = c.timestamp
    make = "make_timestamp_ns" if c.kinds[ts] == "TIMESTAMP_NS" else "make_timestamp"
    for p, (start, end) in zip(c.attached, c.row_ranges):
        if p["isParquet"]:
            continue
        rows = want.slice(start, end - start)
        low, high = rows.column(ts)[0].as_py(), rows.column(ts)[-1].as_py()
        got = arrow(con, f"SELECT {truth.select_list(name)} FROM {c.scan} WHERE {quote(ts)} >= {make}({low}) AND {quote(ts)} <= {make}({high})")
        assert_same(got, rows, f"{name} {p['name']}")
