"""Property test: a random query over the table directory gives what it gives over a DuckDB table made from the same rows.

    QUESTDB_FILTER_SEED    another series of queries (default 1)
    QUESTDB_FILTER_COUNT   queries per table and time zone (default: by table, a few seconds each)
"""
import os

import duckdb
import pytest

from helpers import filters, truth
from helpers.cases import case, connect, quote, text
from helpers.compare import difference

SEED = os.environ.get("QUESTDB_FILTER_SEED", "1")
COUNT = os.environ.get("QUESTDB_FILTER_COUNT")
ZONES = ("UTC", "America/New_York", "Asia/Kolkata")
TABLES = {
    "all_types_wal": 150, "o3_split": 70, "o3_many": 70, "evo_symbol_flags": 70, "sym_high_card": 20, "ns_hour": 90,
    "part_hour": 60, "part_day": 60, "part_week": 60, "part_month": 60, "part_year": 60, "part_none_ts": 45,
    "part_none_nots": 45, "part_day_ends": 35, "ns_day": 45, "ns_ends": 35, "ns_month": 35, "same_ts": 60, "trades_2m": 15,
    "update_columns": 60, "sym_edge": 70, "dedup_split": 45, "evo_add_mid_wal": 90, "evo_readd": 45, "evo_type_twice": 45,
    "odd_text": 35, "extreme_times": 35, "live_splits": 35, "o3_split_hour_ns": 45, "weird_columns": 35,
    "pq_mixed_types": 120, "pq_o3_merge": 70, "pq_symbols": 40, "pq_codecs": 35, "pq_ns_hour": 35, "pq_tops": 35,
}


def prepared(name):
    """A connection with the table copied into `native`, and the columns to ask about."""
    c = case(name)
    con = connect()
    con.execute(f"CREATE TABLE native AS FROM {c.scan}")
    columns = [(n, truth.duckdb_type(k)) for n, k in c.kinds.items()]
    return con, c, filters.sample_columns(con, "native", columns, c.timestamp)


def answer(con, sql):
    try:
        return con.execute(sql).to_arrow_table()
    except duckdb.Error as e:
        return e


def disagreement(con, c, query):
    """None, or how the two answers differ."""
    con.execute("BEGIN")                # one transaction, one now()
    got = answer(con, query.replace("{T}", c.scan))
    if isinstance(got, duckdb.Error):   # the transaction is spoilt
        con.execute("ROLLBACK")
        con.execute("BEGIN")
    want = answer(con, query.replace("{T}", "native"))
    con.execute("ROLLBACK")
    failed = isinstance(got, duckdb.Error)
    if isinstance(want, duckdb.Error) and not (failed and "INTERNAL" in str(got)):
        return None                     # which rows meet a failing cast is the plan's affair
    if failed:
        return f"{type(got).__name__}: {got}"
    return difference(got, want)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("name", TABLES)
def test_random_filters(name, zone):
    con, c, columns = prepared(name)
    con.execute(f"SET TimeZone = '{zone}'")
    failed = []
    count = int(COUNT) if COUNT else TABLES[name] if zone == "UTC" else TABLES[name] // 2
    for i in range(count):
        seed = f"{SEED}/{name}/{zone}/{i}"
        query = filters.Generator(columns, seed).query()
        con.execute(f"SET threads = {(1, 2, 4)[i % 3]}")
        d = disagreement(con, c, query)
        if d:
            failed.append(f"seed {seed}, threads {(1, 2, 4)[i % 3]}\n    {query}\n    {d}")
    con.close()
    assert not failed, f"{len(failed)} of {count} queries:\n" + "\n".join(failed[:5])


def check(name, wheres, columns="*", zones=("UTC",)):
    """The rows of hand-written conditions, at every thread count."""
    con, c, _ = prepared(name)
    if columns == "*":
        columns = truth.select_list(name)
    failed = []
    for zone in zones:
        con.execute(f"SET TimeZone = '{zone}'")
        for i, where in enumerate(wheres):
            con.execute(f"SET threads = {(1, 2, 4)[i % 3]}")
            d = disagreement(con, c, f"SELECT {columns} FROM {{T}} WHERE {where}")
            if d:
                failed.append(f"{zone}: {where}\n    {d}")
    con.close()
    assert not failed, "\n".join(failed)


def test_time_filters_at_partition_bounds():
    """Around midnight, closed and open, written in every way."""
    day = "2024-02-28"
    moments = [f"{day} 00:00:00", "2024-02-27 23:59:59.999999", f"{day} 00:00:00.000001", "2024-02-28 18:59:45.600001", "2024-02-29"]
    wheres = [f"ts {op} {kind}'{m}'" for op in ("=", "<", "<=", ">", ">=", "<>") for m in moments for kind in ("", "TIMESTAMP ", "TIMESTAMPTZ ")]
    wheres += [f"ts BETWEEN '{a}' AND '{b}'" for a in moments for b in moments]
    wheres += [f"ts >= '{a}' AND ts < '{b}'" for a in moments for b in moments] + [f"NOT (ts > '{a}' OR ts <= '{b}')" for a in moments for b in moments]
    wheres += [f"ts::DATE = '{day}'", f"ts::DATE <> '{day}'", f"date_trunc('day', ts) = '{day}'", f"date_trunc('hour', ts) = '{day} 19:00:00'",
               f"ts::DATE IN ('{day}', '2024-03-01')", f"ts::VARCHAR LIKE '{day}%'", "ts = NULL", "ts IS NULL", "ts IS NOT NULL", "true", "false", "NULL"]
    check("o3_split", wheres, "id, ts", ZONES)


@pytest.mark.parametrize("name", ["ns_hour", "o3_split_hour_ns"])
def test_nanosecond_time_filters(name):
    rows = truth.expected(name).column("ts")
    values = [rows[i].as_py() for i in (0, 1, len(rows) // 3, len(rows) - 1)]
    wheres = [f"ts {op} make_timestamp_ns({v + d})" for op in ("=", "<", "<=", ">", ">=") for v in values for d in (-1, 0, 1)]
    wheres += [f"ts {op} TIMESTAMP '{filters.iso(v // 1000, 10**6)}'" for op in ("=", "<", "<=", ">", ">=") for v in values]
    wheres += [f"ts {op} '{filters.iso(v, 10**9)}'" for op in ("=", "<", "<=", ">", ">=") for v in values]
    wheres += [f"ts::TIMESTAMP {op} TIMESTAMPTZ '{filters.iso(v // 1000, 10**6)}+00'" for op in ("<", ">=") for v in values]
    check(name, wheres, "id, ts", ZONES)


def test_symbol_filters():
    """Values there, values not there, NULLs and empty strings; several symbol columns at once."""
    columns = ["all_null", "no_null", "mixed", "one", "nocache"]
    values = sorted({v for n in columns for v in truth.expected("sym_edge").column(n).to_pylist() if v is not None}, key=len)[:12] + ["nothing", ""]
    wheres = [f"{n} {op} {text(v)}" for n in columns for v in values for op in ("=", "<>", "<", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")]
    wheres += [f"{n} {negation}IN ({', '.join(text(v) for v in values[i:i + 3])})" for n in columns for i in range(0, len(values), 3) for negation in ("", "NOT ")]
    wheres += [f"{n} {negation}IN ({text(values[0])}, NULL)" for n in columns for negation in ("", "NOT ")]
    wheres += [f"{n} IS {negation}NULL" for n in columns for negation in ("", "NOT ")] + [f"{a} = {b}" for a in columns for b in columns]
    wheres += [f"mixed = {text(values[1])} AND one IS NOT NULL", f"mixed IS NULL OR no_null = {text(values[2])}", f"NOT (mixed = {text(values[1])})"]
    check("sym_edge", wheres)


def test_symbols_that_differ_only_in_lone_surrogates_are_one_text():
    """Two keys, both U+FFFD: equality must find both."""
    mark = "\ufffd"
    check("odd_text", [f"sy = '{mark}'", f"sy <> '{mark}'", f"sy IN ('{mark}', 'ok')", f"sy NOT IN ('{mark}')", f"sy LIKE '{mark}%'",
                       f"s = '{mark}'", f"s = '{mark}{mark}'", f"ch = '{mark}'", "sy = 'a' || chr(0) || 'b'", "s = chr(0)", "sy >= 'p'"])


@pytest.mark.parametrize("name", ["evo_symbol_flags", "sym_high_card"])
def test_indexed_symbol_lookups(name):
    """A bitmap index must give what the column gives, also below column tops and in split partitions."""
    c = case(name)
    wheres = []
    for column, kind in c.kinds.items():
        if kind == "SYMBOL":
            values = truth.expected(name).column(column).unique().to_pylist()
            for v in values[:3] + values[-3:] + ["no such symbol"]:
                q = quote(column)
                wheres += [f"{q} IS NULL"] if v is None else [f"{q} = {text(v)}", f"{q} = {text(v)} AND ts > '2024-02-28 12:00:00'", f"{q} IN ({text(v)}, 'x')"]
    check(name, wheres)


def test_float_filters_with_infinity_and_nan():
    values = ["'Infinity'::DOUBLE", "'-Infinity'::DOUBLE", "'NaN'::DOUBLE", "0.0", "-0.0", "1e308", "5e-324"]
    wheres = [f"{c} {op} {v}" for c in ("c_double", "c_float") for v in values for op in ("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM")]
    wheres += ["c_double BETWEEN '-Infinity' AND 'Infinity'", "c_double NOT BETWEEN 0 AND 'NaN'", "isnan(c_double)", "isinf(c_float)", "c_double IN ('NaN', 'Infinity')"]
    check("all_types_wal", wheres, "k, c_double, c_float")


def test_integer_filters_at_the_ends_of_the_type():
    ends = {"c_byte": 7, "c_short": 15, "c_int": 31, "c_long": 63}
    wheres = [f"{c} {op} ({v})" for c, b in ends.items() for v in (-2**b - 1, -2**b, -2**b + 1, -1, 0, 1, 2**b - 1, 2**b) for op in ("=", "<>", "<", "<=", ">", ">=")]
    wheres += [f"{c} BETWEEN ({-2**b}) AND ({2**b - 1})" for c, b in ends.items()] + [f"{c} = 0.5" for c in ends] + [f"{c} = '12'" for c in ends]
    check("all_types_wal", wheres, "k, c_byte, c_short, c_int, c_long")


def test_filters_of_prepared_statements_follow_their_values(con):
    """Constants arrive at EXECUTE: nothing of an earlier execution may stay."""
    c = case("o3_split")
    con.execute(f"CREATE TABLE native AS FROM {c.scan}")
    query = "SELECT id, sym, ts FROM {} WHERE ts >= ? AND ts < ? AND sym = ?"
    for low, high, symbol in [("2024-02-27", "2024-02-28", "AA"), ("2024-02-29", "2024-03-05", "BB"), ("1970-01-01", "2100-01-01", "AA"), ("2024-03-01", "2024-02-01", "AA")]:
        values = [low, high, symbol]
        assert con.execute(query.format(c.scan), values).fetchall() == con.execute(query.format("native"), values).fetchall()
    con.execute(f"PREPARE p AS {query.format(c.scan)}")
    for low, high in [("2024-02-27", "2024-02-28"), ("2024-02-29", "2024-03-01"), ("2024-02-27", "2024-02-28")]:
        got = con.execute(f"EXECUTE p('{low}', '{high}', 'AA')").fetchall()
        assert got == con.execute(query.format("native"), [low, high, "AA"]).fetchall()


@pytest.mark.parametrize("name", ["all_types_wal", "evo_add_mid_wal"])
def test_filters_of_one_row_by_each_column(name):
    """For every column: the rows equal to, below and above each of its values."""
    con, c, columns = prepared(name)
    bad = []
    for column in columns:
        generator = filters.Generator([column], f"{SEED}/{name}/{column.name}")
        for _ in range(12):
            query = f"SELECT k FROM {{T}} WHERE {generator.predicate()}" if "k" in c.columns else f"SELECT ts FROM {{T}} WHERE {generator.predicate()}"
            d = disagreement(con, c, query)
            if d:
                bad.append(f"{query}\n    {d}")
    con.close()
    assert not bad, "\n".join(bad[:8])
