"""Row order at every thread count, and symbol columns (dictionary vectors) through every kind of operator."""
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import cases, truth
from helpers.cases import case, text
from helpers.compare import arrow, assert_same

THREADS = [1, 2, 4]
ORDERED = ["trades_2m", "o3_split", "sym_high_card"]


# ---- order ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", ORDERED)
def test_create_table_as_keeps_the_order(con, name, threads):
    con.execute(f"SET threads = {threads}")
    con.execute(f"CREATE TABLE t AS FROM {case(name).scan}")
    assert_same(arrow(con, "FROM t"), truth.expected(name))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", ORDERED)
def test_copy_to_parquet_keeps_the_order(con, tmp_path, name, threads):
    con.execute(f"SET threads = {threads}")
    con.execute(f"COPY (FROM {case(name).scan}) TO {text(tmp_path / 'x.parquet')} (FORMAT parquet)")
    assert_same(pq.read_table(tmp_path / "x.parquet"), truth.expected(name))


@pytest.mark.parametrize("threads", THREADS)
def test_insert_and_csv_keep_the_order(con, tmp_path, threads):
    con.execute(f"SET threads = {threads}")
    c, want = case("o3_split"), truth.expected("o3_split")
    con.execute(f"CREATE TABLE t AS FROM {c.scan} LIMIT 0; INSERT INTO t FROM {c.scan}; INSERT INTO t SELECT * FROM {c.scan}")
    assert_same(arrow(con, f"FROM t LIMIT {c.rows}"), want)
    assert_same(arrow(con, f"FROM t OFFSET {c.rows}"), want)
    con.execute(f"COPY (SELECT id FROM {c.scan}) TO {text(tmp_path / 'x.csv')} (HEADER false)")
    assert [int(line) for line in (tmp_path / "x.csv").read_text().split()] == want.column("id").to_pylist()


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", ORDERED)
def test_limit_and_offset_cut_the_same_rows(con, name, threads):
    con.execute(f"SET threads = {threads}")
    c, want = case(name), truth.expected(name)
    r = random.Random(7)
    spans = [(0, 1), (0, 2048), (1, 2048), (2047, 2), (c.rows - 1, 5), (c.rows, 5), (c.rows + 7, 3), (0, 0)]
    spans += [(r.randrange(c.rows), r.choice([1, 100, 5000])) for _ in range(12)]
    for offset, limit in spans:
        got = arrow(con, f"FROM {c.scan} LIMIT {limit} OFFSET {offset}")
        assert_same(got, want.slice(offset, limit), f"LIMIT {limit} OFFSET {offset}")


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", ORDERED)
def test_filtered_rows_keep_the_order(con, name, threads):
    con.execute(f"SET threads = {threads}")
    c = case(name)
    con.register("truth_rows", truth.expected(name))
    column = {"trades_2m": "amount", "o3_split": "id", "sym_high_card": "id"}[name]
    for where in (f"{column} % 3 = 1", f"{column} > 4", f"{column} <= 7 OR {column} % 1000 = 0"):
        got = arrow(con, f"SELECT {truth.select_list(name)} FROM {c.scan} WHERE {where}")
        assert_same(got, arrow(con, f"FROM truth_rows WHERE {where}"), where)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", [*ORDERED, "part_none_nots", "same_ts", "evo_add_mid_wal", "empty_day_wal", "one_col"])
def test_file_row_number_counts_the_rows_of_the_table(con, name, threads):
    """0-based, over the whole table, whatever the filter and the projection."""
    con.execute(f"SET threads = {threads}")
    c = case(name)
    call = f"read_partitions({text(c.path)}, file_row_number := true)"
    assert con.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {call})").fetchall()[-1] == ("file_row_number", "BIGINT")
    got = con.execute(f"SELECT file_row_number FROM {call}").fetchnumpy()["file_row_number"]
    assert np.array_equal(got, np.arange(c.rows))
    for where in (f"file_row_number = {c.rows // 2}", f"file_row_number >= {c.rows - 3}", "file_row_number BETWEEN 5 AND 8", "file_row_number % 4999 = 0"):
        rows = con.execute(f"SELECT file_row_number FROM {call} WHERE {where}").fetchall()
        assert rows == con.execute(f"SELECT file_row_number FROM range({c.rows}) t(file_row_number) WHERE {where}").fetchall(), where


@pytest.mark.parametrize("threads", THREADS)
def test_file_row_number_belongs_to_its_row(con, threads):
    con.execute(f"SET threads = {threads}")
    c, want = case("o3_split"), truth.expected("o3_split").column("id").to_pylist()
    rows = con.execute(f"SELECT file_row_number, id FROM read_partitions({text(c.path)}, file_row_number := true) WHERE sym = 'AA' AND ts > '2024-02-28 12:00:00'").fetchall()
    assert rows and all(want[n] == i for n, i in rows)
    assert [n for n, _ in rows] == sorted(n for n, _ in rows)


def test_without_insertion_order_the_rows_are_the_same_multiset(con):
    con.execute("SET threads = 4")
    for name in ("trades_2m", "o3_split"):
        call = case(name).scan
        con.execute(f"SET preserve_insertion_order = true; CREATE OR REPLACE TABLE ordered AS FROM {call}")
        con.execute(f"SET preserve_insertion_order = false; CREATE OR REPLACE TABLE loose AS FROM {call}")
        sums = [con.execute(f"SELECT count(*), sum(hash(t)::HUGEINT), bit_xor(hash(t)) FROM {t} t").fetchall() for t in ("ordered", "loose", call)]
        assert sums[0] == sums[1] == sums[2]


@pytest.mark.parametrize("size", [1, 7, 2048, 5000, 100_000])
def test_streaming_in_batches(con, size):
    name = "trades_2m" if size >= 2048 else "o3_split"
    c, want = case(name), truth.expected(name)
    column = "amount" if name == "trades_2m" else "id"
    cursor = con.execute(f"SELECT {column} FROM {c.scan}")
    got = []
    while rows := cursor.fetchmany(size):
        got += [r[0] for r in rows]
        if len(got) > 300_000:
            break
    assert got == want.column(column).slice(0, len(got)).to_pylist() and (len(got) == c.rows or len(got) > 300_000)


def test_record_batches_are_streamed_in_order(con):
    c, want, at = case("trades_2m"), truth.expected("trades_2m"), 0
    for batch in con.sql(f"FROM {c.scan}").to_arrow_reader(50_000):

        assert_same(pa.Table.from_batches([batch]), want.slice(at, batch.num_rows))
        at += batch.num_rows
    assert at == c.rows


def test_a_stream_left_half_read_does_no_harm(con):
    c = case("trades_2m")
    for _ in range(5):
        assert len(con.execute(f"FROM {c.scan}").fetchmany(3)) == 3
    assert con.execute(f"SELECT count(*) FROM {c.scan}").fetchone() == (c.rows,)


@pytest.mark.parametrize("threads", THREADS)
def test_union_all_keeps_the_order_of_its_parts(con, threads):
    con.execute(f"SET threads = {threads}")
    a, b = case("o3_split"), case("dedup_split")
    got = [r[0] for r in con.execute(f"SELECT id FROM {a.scan} UNION ALL SELECT id FROM {b.scan} UNION ALL SELECT id FROM {a.scan}").fetchall()]
    first, second = (truth.expected(n).column("id").to_pylist() for n in ("o3_split", "dedup_split"))
    assert got == first + second + first


def test_a_prepared_statement_gives_the_same_each_time(con):
    c, want = case("o3_split"), truth.expected("o3_split")
    con.execute(f"PREPARE p AS SELECT * FROM {c.scan} LIMIT $1 OFFSET $2")
    for limit, offset in ((10, 0), (3000, 4000), (10, 0), (1, 8279)):
        assert_same(arrow(con, f"EXECUTE p({limit}, {offset})"), want.slice(offset, limit))
    con.execute("PREPARE q AS SELECT count(*) FROM read_partitions($1)")
    for name in ("o3_split", "part_day", "o3_split"):
        assert con.execute(f"EXECUTE q({text(case(name).path)})").fetchone() == (case(name).rows,)


def test_views_and_macros_over_a_table_directory(con):
    c = case("part_day")
    con.execute(f"CREATE VIEW v AS FROM {c.scan}; CREATE MACRO m(p) AS TABLE SELECT count(*) AS n FROM read_partitions(p)")
    for _ in range(2):
        assert_same(arrow(con, "FROM v"), truth.expected("part_day"))
        assert con.execute(f"FROM m({text(c.path)})").fetchone() == (c.rows,)


# ---- symbols through operators: dictionary vectors must behave like plain ones ----------------------------------------

SYMBOL_TABLES = {           # table: (symbol, second symbol, an integer that orders the rows)
    "trades_2m": ("symbol", "side", "amount"), "o3_split": ("sym", "note", "id"), "sym_high_card": ("hi", "lo", "id"),
    "sym_edge": ("mixed", "no_null", "k"), "evo_symbol_flags": ("sym", "s2", "id"), "odd_text": ("sy", "s", "k"),
    "update_columns": ("sym", "note", "id"),
}

SHAPES = {
    "group by": "SELECT {s}, count(*) AS n, sum({i}) AS x FROM {T} GROUP BY {s} ORDER BY {s} NULLS FIRST, n",
    "group by two": "SELECT {s}, {z}, count(*) AS n FROM {T} GROUP BY ALL ORDER BY ALL NULLS FIRST LIMIT 5000",
    "group by with filter": "SELECT {s}, count(*) AS n FROM {T} WHERE {i} % 3 = 0 GROUP BY {s} ORDER BY ALL NULLS FIRST",
    "group by expression": "SELECT upper({s}) AS u, count(*) AS n FROM {T} GROUP BY u ORDER BY ALL NULLS FIRST",
    "distinct": "SELECT DISTINCT {s} FROM {T} ORDER BY ALL NULLS FIRST",
    "count distinct": "SELECT count(DISTINCT {s}) AS a, count(DISTINCT {z}) AS b, count({s}) AS c FROM {T}",
    "order by": "SELECT {s}, {i} FROM {T} WHERE {i} % 5 = 0 ORDER BY {s} DESC NULLS LAST, {i} LIMIT 3000",
    "top n": "SELECT {s}, {i} FROM {T} ORDER BY {s}, {i} LIMIT 17",
    "limit": "SELECT {s}, {z} FROM {T} LIMIT 3000 OFFSET 5",
    "min max": "SELECT min({s}) AS a, max({s}) AS b, min({z}) AS c, max({z}) AS d FROM {T}",
    "arg_max": "SELECT {z}, arg_max({s}, {i}) AS a FROM (FROM {T} WHERE {i} IS NOT NULL) GROUP BY {z} HAVING count(DISTINCT {i}) = count(*) ORDER BY ALL NULLS FIRST",
    "list": "SELECT list({s} ORDER BY {i}, {s}) AS l FROM (FROM {T} LIMIT 3000)",
    "string_agg": "SELECT string_agg({s}, ',' ORDER BY {i}, {s}) AS l FROM (FROM {T} LIMIT 3000)",
    "histogram": "SELECT map_entries(histogram({s})) AS h FROM (FROM {T} LIMIT 500)",
    "string functions": "SELECT upper({s}) AS a, length({s}) AS b, {s} || '-' || coalesce({z}, '') AS c, {s}[1:2] AS d, reverse({s}) AS e, md5({s}) AS f, {s} LIKE '%A%' AS g FROM (FROM {T} LIMIT 5000)",
    "case": "SELECT CASE WHEN {i} % 2 = 0 THEN {s} ELSE {z} END AS a, coalesce({z}, {s}, 'none') AS b, nullif({s}, {z}) AS c FROM (FROM {T} LIMIT 5000)",
    "equal columns": "SELECT count(*) AS n FROM {T} WHERE {s} = {z} OR {s} < {z}",
    "self join": "SELECT count(*) AS n, min(a.{s}) AS x FROM (FROM {T} LIMIT 2500) a JOIN (FROM {T} LIMIT 2500) b ON a.{s} = b.{s} AND a.{i} = b.{i}",
    "join with values": "SELECT t.{s}, count(*) AS n FROM {T} t JOIN (SELECT DISTINCT {s} AS v FROM {T} ORDER BY v LIMIT 3) d ON t.{s} = d.v GROUP BY ALL ORDER BY ALL",
    "left join": "SELECT a.{s}, b.{z} FROM (FROM {T} LIMIT 300) a LEFT JOIN (SELECT {s}, min({z}) AS {z} FROM {T} GROUP BY {s}) b ON a.{s} IS NOT DISTINCT FROM b.{s} ORDER BY ALL NULLS FIRST",
    "semi and anti join": "SELECT (SELECT count(*) FROM {T} WHERE {s} IN (SELECT {z} FROM {T})) AS a, (SELECT count(*) FROM {T} t WHERE NOT EXISTS (SELECT 1 FROM {T} u WHERE u.{z} = t.{s})) AS b",
    "asof join": "SELECT a.{s}, b.{i} FROM (FROM {T} LIMIT 400) a ASOF JOIN (FROM {T} LIMIT 400) b ON a.{s} = b.{s} AND a.{i} > b.{i} ORDER BY ALL NULLS FIRST",
    "window": "SELECT {s}, {i}, lag({s}) OVER (ORDER BY {i}, {s}) AS l, count(*) OVER (PARTITION BY {s}) AS n FROM (FROM {T} LIMIT 4000) ORDER BY {i}, {s} NULLS FIRST, n, l NULLS FIRST",
    "rank": "SELECT {s}, dense_rank() OVER (ORDER BY {s}) AS r FROM (FROM {T} LIMIT 4000) ORDER BY ALL NULLS FIRST",
    "union all": "SELECT {s} FROM (FROM {T} LIMIT 100) UNION ALL SELECT {z} FROM (FROM {T} LIMIT 100) UNION ALL SELECT 'x' || {s} FROM (FROM {T} LIMIT 100)",
    "union": "SELECT {s} AS v FROM {T} UNION SELECT {z} FROM {T} ORDER BY ALL NULLS FIRST",
    "except": "SELECT {s} AS v FROM {T} EXCEPT SELECT {z} FROM {T} ORDER BY ALL NULLS FIRST",
    "cte twice": "WITH c AS MATERIALIZED (SELECT {s}, {i} FROM {T}) SELECT a.{s}, a.n, b.m FROM (SELECT {s}, count(*) n FROM c GROUP BY ALL) a JOIN (SELECT {s}, max({i}) m FROM c GROUP BY ALL) b ON a.{s} IS NOT DISTINCT FROM b.{s} ORDER BY ALL NULLS FIRST",
    "cte inlined twice": "WITH c AS NOT MATERIALIZED (FROM {T}) SELECT (SELECT count({s}) FROM c WHERE {i} > 5) AS a, (SELECT max({s}) FROM c) AS b",
    "unnest": "SELECT unnest([{s}, {z}, NULL]) AS v FROM (FROM {T} LIMIT 2000)",
    "struct and map": "SELECT struct_pack(a := {s}, b := {z}) AS r, MAP {{'k': {s}}} AS m, [{s}] AS l FROM (FROM {T} LIMIT 2500)",
    "rollup": "SELECT {s}, count(*) AS n, grouping({s}) AS g FROM {T} GROUP BY ROLLUP ({s}) ORDER BY g, {s} NULLS FIRST",
    "having": "SELECT {s} FROM {T} GROUP BY {s} HAVING count(*) > 1 ORDER BY ALL NULLS FIRST",
    "pivot": "SELECT * FROM (PIVOT (SELECT {i} % 3 AS p, {s} FROM (FROM {T} LIMIT 2500)) ON p USING count({s}), min({s}))",
    "hash and bytes": "SELECT hash({s}) AS h, encode({s}) AS b FROM (FROM {T} LIMIT 2500)",
    "correlated": "SELECT a.{i}, (SELECT max(b.{s}) FROM {T} b WHERE b.{i} = a.{i}) AS m FROM (FROM {T} LIMIT 50) a ORDER BY ALL NULLS FIRST",
    "sum by filter clause": "SELECT count(*) FILTER ({s} IS NULL) AS a, count(*) FILTER ({s} > 'B') AS b, count(DISTINCT {s}) FILTER ({i} % 2 = 0) AS c FROM {T}",
    "null tests": "SELECT {s} IS NULL AS a, {s} IS NOT DISTINCT FROM {z} AS b, {s} IN ('AA', 'BB') AS c FROM (FROM {T} LIMIT 5000)",
}


@pytest.fixture(scope="module")
def natives():
    """One connection with every symbol table copied into plain DuckDB tables, made from the server's export."""
    con = cases.connect()
    for name in SYMBOL_TABLES:
        c = case(name)
        con.register("rows_", truth.expected(name))
        columns = ", ".join(f'make_timestamp("{n}") AS "{n}"' if c.kinds[n] == "TIMESTAMP" else f'"{n}"' for n in c.columns)
        con.execute(f"CREATE TABLE native_{name} AS SELECT {columns} FROM rows_")
        con.unregister("rows_")
    yield con
    con.close()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SYMBOL_TABLES)
def test_symbols_through_operators(natives, name, shape):
    s, z, i = (f'"{n}"' for n in SYMBOL_TABLES[name])
    if name == "trades_2m" and shape in ("correlated", "union", "except", "semi and anti join"):
        pytest.skip("two million rows add nothing here")
    query = SHAPES[shape].format(s=s, z=z, i=i, T="{T}")
    natives.execute("SET threads = 2")
    want = arrow(natives, query.replace("{T}", f"native_{name}"))
    for threads in (1, 4) if name != "trades_2m" else (2,):
        natives.execute(f"SET threads = {threads}")
        got = arrow(natives, query.replace("{T}", case(name).scan))
        if want.num_rows == got.num_rows and any(str(t).startswith(("struct", "map", "list")) for t in want.schema.types):
            assert got.to_pylist() == want.to_pylist(), f"{shape} at {threads} threads"
        else:
            assert_same(got, want, f"{shape} at {threads} threads")


@pytest.mark.parametrize("shape", ["group by", "distinct", "limit", "union all", "string functions", "case", "self join", "join with values"])
@pytest.mark.parametrize("name", ["sym_edge", "o3_split", "evo_symbol_flags"])
def test_symbols_as_enum_through_operators(natives, name, shape):
    """Cast to text, ENUM columns behave as the plain ones."""
    s, z, i = (f'"{n}"' for n in SYMBOL_TABLES[name])
    kinds = case(name).kinds
    columns = ", ".join(f'"{n}"::VARCHAR AS "{n}"' if k == "SYMBOL" else f'"{n}"' for n, k in kinds.items())
    source = f"(SELECT {columns} FROM read_partitions({text(case(name).path)}, symbols := 'enum'))"
    query = SHAPES[shape].format(s=s, z=z, i=i, T="{T}")
    want = arrow(natives, query.replace("{T}", f"native_{name}"))
    assert_same(arrow(natives, query.replace("{T}", source)), want, shape)


@pytest.mark.parametrize("name", SYMBOL_TABLES)
def test_without_insertion_order_symbols_are_the_same(natives, name):
    s, z, i = (f'"{n}"' for n in SYMBOL_TABLES[name])
    natives.execute("SET threads = 4; SET preserve_insertion_order = false")
    try:
        query = f"SELECT {s} AS s, {z} AS z, count(*) AS n, min({i}) AS i FROM {{T}} GROUP BY ALL"
        order = [("s", "ascending"), ("z", "ascending"), ("i", "ascending")]
        natives.execute(f"CREATE OR REPLACE TEMP TABLE copied AS FROM {case(name).scan}")
        want = arrow(natives, query.replace("{T}", f"native_{name}")).sort_by(order)
        assert_same(arrow(natives, query.replace("{T}", case(name).scan)).sort_by(order), want)
        assert_same(arrow(natives, query.replace("{T}", "copied")).sort_by(order), want)
    finally:
        natives.execute("SET preserve_insertion_order = true")


def test_a_scan_is_one_snapshot_also_when_used_twice(con):
    """A self-join of one bind sees one set of rows."""
    c = case("o3_split")
    assert con.execute(f"WITH t AS (FROM {c.scan}) SELECT count(*) FROM t a JOIN t b USING (id, ts)").fetchone()[0] \
        == con.execute(f"CREATE TABLE n AS FROM {c.scan}; SELECT count(*) FROM n a JOIN n b USING (id, ts)").fetchone()[0]
