"""read_partitions over Parquet files without a table around them: exports of every good fixture read as the table does,
files of other programs read as read_parquet reads them, and what a filter excludes is not touched."""
import datetime
import decimal
import random
import re
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import cases, filters, truth
from helpers.cases import quote, text
from helpers.compare import answers, arrow, assert_same, difference, normal

LAYOUTS = {
    "questdb": "row_group_size := 7",
    "hive": "layout := 'hive', row_group_size := 50, compression_codec := 'zstd', compression_level := 1",
    "parts": "layout := 'parts', row_group_size := 1000, max_row_groups_per_file := 2, parquet_version := 2",
    "single": "mode := 'single_file', row_group_size := 100, statistics_enabled := false, raw_array_encoding := true",
}

# Tables for which row groups of a few rows would take too long.
LARGE = 20_000


def export(con, case, destination, options):
    """Exports a table; returns the path to read, or None when there is nothing to write."""
    if (case.rows or 0) >= LARGE:
        options = re.sub(r"row_group_size := \d+", "row_group_size := 30011", options)
    rows = con.execute(
        f"SELECT DISTINCT file FROM questdb_export({text(case.path)}, {text(destination)}, {options})").fetchall()
    if destination.is_dir():
        return destination
    return rows[0][0] if rows else None


def same(con, expected, found, columns="*"):
    """Names, types, values and order are equal, floats by their bits."""
    described = [con.execute(f"DESCRIBE SELECT {columns} FROM {query}").fetchall() for query in (expected, found)]
    assert [c[:2] for c in described[1]] == [c[:2] for c in described[0]], found
    expected, found = (arrow(con, f"SELECT {columns} FROM {query}") for query in (expected, found))
    assert_same(found, expected)


@pytest.mark.parametrize("name", cases.READABLE)
def test_an_exported_table_reads_as_the_table_does(con, name, tmp_path):
    case = cases.case(name)
    for layout, options in LAYOUTS.items():
        path = export(con, case, tmp_path / layout, options)
        if path is None:
            assert not con.execute(f"SELECT count(*) FROM {case.scan}").fetchone()[0]
            continue
        # Keys of the directories come after the table's columns.
        columns = ", ".join(quote(column) for column in case.columns)
        raw = "true" if layout == "parts" else "false"
        table = f"read_partitions({text(case.path)}, raw_types := {raw})"
        files = f"read_partitions({text(path)}, raw_types := {raw}, max_block_size := 600)"
        same(con, table, files, columns)


def every_type(count=3000):
    """Columns of every type that pyarrow writes, with NULLs; nested ones too."""
    r = random.Random(5)
    maybe = lambda make: [None if r.random() < 0.2 else make(i) for i in range(count)]
    day = datetime.date(2024, 1, 1)
    columns = {
        "b": pa.array(maybe(lambda i: i % 3 == 0), pa.bool_()),
        "f16": pa.array(maybe(lambda i: i / 4), pa.float16()),
        "f32": pa.array(maybe(lambda i: float("nan") if i % 50 == 0 else i / 3), pa.float32()),
        "f64": pa.array(maybe(lambda i: float("-inf") if i % 50 == 0 else i / 3), pa.float64()),
        "s": pa.array(maybe(lambda i: f"text {i} " + "x" * (i % 30)), pa.string()),
        "few": pa.array(maybe(lambda i: "abc"[i % 3]), pa.string()).dictionary_encode(),
        "bin": pa.array(maybe(lambda i: b"\0" + bytes([i % 256]) * (i % 40)), pa.binary()),
        "fixed": pa.array(maybe(lambda i: bytes([i % 256]) * 5), pa.binary(5)),
        "d": pa.array(maybe(lambda i: day + datetime.timedelta(days=i)), pa.date32()),
        "t_ms": pa.array(maybe(lambda i: i * 1000), pa.time32("ms")),
        "t_us": pa.array(maybe(lambda i: i * 1001), pa.time64("us")),
        "t_ns": pa.array(maybe(lambda i: i * 1001), pa.time64("ns")),
        "u": pa.array(maybe(lambda i: uuid.UUID(int=r.getrandbits(128)).bytes), pa.binary(16)).cast(pa.uuid()),
        "j": pa.array(maybe(lambda i: '{"a": %d}' % i), pa.string()).cast(pa.json_()),
        "l": pa.array(maybe(lambda i: [None if x % 4 == 1 else x for x in range(i % 5)]), pa.list_(pa.int16())),
        "ll": pa.array(maybe(lambda i: [None if x == 2 else [str(x)] * x for x in range(i % 4)]), pa.list_(pa.list_(pa.string()))),
        "st": pa.array(maybe(lambda i: {"x": i, "y": None if i % 2 else {"z": [day] * (i % 3), "q\"": str(i)}}),
                       pa.struct([("x", pa.uint16()), ("y", pa.struct([("z", pa.list_(pa.date32())), ('q"', pa.string())]))])),
        "m": pa.array(maybe(lambda i: [(f"k{x}", None if x == 1 else x) for x in range(i % 4)]), pa.map_(pa.string(), pa.int64())),
        "lst": pa.array(maybe(lambda i: [{"h": x / 2, "t": i} for x in range(i % 3)]),
                        pa.list_(pa.struct([("h", pa.float16()), ("t", pa.timestamp("ms", "UTC"))]))),
    }
    for bits in (8, 16, 32, 64):
        columns[f"i{bits}"] = pa.array(maybe(lambda i: i % 120 - 60), getattr(pa, f"int{bits}")())
        columns[f"u{bits}"] = pa.array(maybe(lambda i: 2**bits - 1 - i % 120), getattr(pa, f"uint{bits}")())
    for unit in ("ms", "us", "ns"):
        columns[f"ts_{unit}"] = pa.array(maybe(lambda i: 1_700_000_000_000 + i), pa.timestamp(unit))
        columns[f"tz_{unit}"] = pa.array(maybe(lambda i: 1_700_000_000_000 + i), pa.timestamp(unit, "UTC"))
    for precision, scale in ((4, 1), (9, 3), (18, 6), (38, 10)):
        columns[f"dec{precision}"] = pa.array(maybe(lambda i: decimal.Decimal(i - 500).scaleb(-1)), pa.decimal128(precision, scale))
    return pa.table(columns)


WRITERS = {
    "v1 plain": {"use_dictionary": False, "version": "2.6", "compression": "none"},
    "v2 zstd": {"data_page_version": "2.0", "compression": "zstd", "data_page_size": 2000},
    "dictionary": {"compression": "snappy", "row_group_size": 700, "write_page_index": True, "store_decimal_as_integer": True},
    "no statistics": {"write_statistics": False, "compression": "gzip", "store_schema": False},
    "old": {"version": "1.0", "compression": "lz4", "use_deprecated_int96_timestamps": True},
}


@pytest.mark.parametrize("writer", WRITERS)
def test_files_of_pyarrow_read_as_read_parquet_reads_them(con, writer, tmp_path):
    path = tmp_path / "all.parquet"
    table = every_type()
    options = dict(WRITERS[writer])
    if writer == "old":
        table = table.drop_columns(["t_ns"])
    pq.write_table(table, path, **options)
    for block in (500, 65536):
        same(con, f"read_parquet({text(path)})", f"read_partitions({text(path)}, max_block_size := {block})")
    # One column after the other, and counts alone.
    for column in table.column_names:
        same(con, f"read_parquet({text(path)})", f"read_partitions({text(path)})", quote(column))
    assert con.execute(f"SELECT count(*) FROM read_partitions({text(path)})").fetchone() == (3000,)


def test_files_of_duckdb_read_as_read_parquet_reads_them(con, tmp_path):
    path = tmp_path / "all.parquet"
    con.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
    con.execute(f"""COPY (
        SELECT i, i::HUGEINT h, i::UHUGEINT uh, i::UTINYINT ut, INTERVAL (i) MONTH + INTERVAL (i) DAY + INTERVAL (i) SECOND iv,
            TIMETZ '01:02:03+02' ttz, '101'::BIT bit, 'bad'::mood AS e, [i, 2]::INT[2] ar, {{'a': i, 'b': ['x']}} st, MAP {{i: 'v'}} m,
            '{{}}'::JSON j, TIMESTAMP_S '2024-01-01 00:00:01' s, TIMESTAMP_MS '2024-01-01' ms, TIMESTAMP_NS '2024-01-01' ns,
            TIMESTAMPTZ '2024-01-01 00:00:00+00' tz, TIME '01:02:03' t, md5(i::VARCHAR)::UUID u, (i / 8)::DECIMAL(5, 3) d5, i::DECIMAL(30, 5) d30
        FROM range(200) r(i) UNION ALL SELECT {", ".join(["NULL"] * 20)}) TO {text(path)} (FORMAT parquet)""")
    columns = [c[0] for c in con.execute(f"DESCRIBE FROM {text(path)}").fetchall() if c[0] not in ("iv", "ttz")]
    same(con, f"read_parquet({text(path)})", f"read_partitions({text(path)})", ", ".join(columns))
    # Arrow has no exact form of these.
    for column in ("iv", "ttz"):
        query = f"SELECT typeof({column}), {column}::VARCHAR FROM "
        want = con.execute(query + f"read_parquet({text(path)})").fetchall()
        assert con.execute(query + f"read_partitions({text(path)})").fetchall() == want


def test_long_decimals_keep_their_digits(con, tmp_path):
    path = tmp_path / "long.parquet"
    value = decimal.Decimal("-1234567890123456789012345678901234567890.123")
    column = pa.array([value, None, decimal.Decimal("0.001")], pa.decimal256(60, 3))
    pq.write_table(pa.table({"d": column, "nested": pa.array([[value], None, []], pa.list_(pa.decimal256(60, 3)))}), path)
    rows = con.execute(f"SELECT typeof(d), d, nested FROM read_partitions({text(path)})").fetchall()
    assert rows == [("VARCHAR", str(value), [str(value)]), ("VARCHAR", None, None), ("VARCHAR", "0.001", [])]


def test_an_entry_that_no_longer_fits_is_not_trusted(con, tmp_path):
    """pyarrow keeps key-value entries when it writes a changed table."""
    case = cases.case("all_types_wal")
    source = export(con, case, tmp_path / "x", "mode := 'single_file'")
    table = pq.read_table(source)
    entry = {b"questdb": pq.ParquetFile(source).metadata.metadata[b"questdb"]}
    fewer = table.drop_columns([table.column_names[0]]).replace_schema_metadata(entry)
    pq.write_table(fewer, tmp_path / "fewer.parquet")
    long = {c for c, kind in case.kinds.items() if (match := re.match(r"DECIMAL\((\d+)", kind)) and int(match[1]) > 38}
    columns = ", ".join(quote(column) for column in fewer.column_names if column not in long)
    same(con, f"read_parquet({text(tmp_path / 'fewer.parquet')})", f"read_partitions({text(tmp_path / 'fewer.parquet')})", columns)
    shuffled = table.select(table.column_names[1:] + table.column_names[:1]).replace_schema_metadata(entry)
    pq.write_table(shuffled, tmp_path / "shuffled.parquet")
    count = con.execute(f"SELECT count(*) FROM (FROM read_partitions({text(tmp_path / 'shuffled.parquet')}))").fetchone()
    assert count == (table.num_rows,)


def in_any_order(table):
    return pa.table({"rows": sorted(repr(row) for row in zip(*(normal(column).to_pylist() for column in table.columns)))})


FILTERED = {"part_day": 40, "part_month": 25, "ns_hour": 40, "o3_split": 40, "all_types_wal": 60, "pq_mixed_types": 40, "sym_edge": 40}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FILTERED)
def test_random_filters_over_exports(con, name, layout, tmp_path):
    case = cases.case(name)
    options = LAYOUTS[layout] + ("" if layout == "single" else f", bloom_filter_columns := [{text(case.columns[0])}]")
    path = export(con, case, tmp_path / "x", options)
    con.execute(f"CREATE TABLE native AS FROM {case.scan}")
    columns = [(n, truth.duckdb_type(k)) for n, k in case.kinds.items()]
    sampled = filters.sample_columns(con, "native", columns, case.timestamp)
    names = ", ".join(quote(column) for column in case.columns)
    failed = []
    for i in range(FILTERED[name]):
        query = filters.Generator(sampled, f"exported/{name}/{layout}/{i}").query()
        # Row groups of a few rows come out of DuckDB's joins in any order, those of read_parquet too.
        threads = 1 if "LIMIT" in query else (1, 2, 4)[i % 3]
        con.execute(f"SET threads = {threads}")
        tables = f"(SELECT {names} FROM read_partitions({text(path)})) t", "native"
        got, want = both = answers(con, (query.replace("{T}", table) for table in tables))
        if isinstance(want, duckdb.Error) and "INTERNAL" not in str(got):
            continue            # which rows meet a failing cast is the plan's affair
        if isinstance(got, duckdb.Error):
            failed.append(f"{query}\n    {got}")
        elif d := difference(*(in_any_order(t) if threads > 1 else t for t in both)):
            failed.append(f"{query}\n    {d}")
    assert not failed, "\n".join(failed[:5])


def test_random_filters_over_other_files(con, tmp_path):
    """Every kind of column, in row groups of different ranges; against a table of the same rows."""
    r = random.Random(11)
    con.execute(f"""COPY (SELECT i, (i * 7919 % 1000)::UINTEGER AS u, 18446744073709551615::UBIGINT - i::UBIGINT AS big, (i // 10)::SMALLINT AS small,
        CASE i % 97 WHEN 0 THEN 'NaN'::DOUBLE ELSE i / 10 END AS d, (i / 7)::FLOAT AS f, 'n' || (i // 50) AS s, DATE '2024-01-01' + i::INTEGER // 20 AS day,
        TIMESTAMP '2024-01-01' + to_minutes(i) AS ts, TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_minutes(i) AS tz, (i / 100)::DECIMAL(9, 2) AS dec,
        NULLIF(i // 500, 2) AS half, i % 2 = 0 AS even, md5((i // 3)::VARCHAR)::UUID AS id FROM range(5000) r(i))
        TO {text(tmp_path / 'all.parquet')} (FORMAT questdb_parquet, row_group_rows 250, bloom_filter_columns ['s', 'id', 'u'])""")
    con.execute(f"COPY (FROM {text(tmp_path / 'all.parquet')}) TO {text(tmp_path / 'duck.parquet')} (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    con.execute(f"CREATE TABLE native AS FROM {text(tmp_path / 'all.parquet')}")
    columns = [c[:2] for c in con.execute("DESCRIBE native").fetchall()]
    makers = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"]
    for i in range(300):
        parts = []
        for _ in range(r.randint(1, 3)):
            name, kind = r.choice(columns)
            constant = lambda: f"(SELECT {name} FROM native LIMIT 1 OFFSET {r.randrange(5000)})"
            values = [con.execute(f"SELECT ({constant()})::VARCHAR").fetchone()[0] for _ in range(3)]
            values = [f"NULL::{kind}" if v is None else f"'{v}'::{kind}" for v in values]
            parts.append(r.choice([
                f"{name} {r.choice(makers)} {values[0]}", f"{name} IN ({', '.join(values)})", f"{name} NOT IN ({', '.join(values)})",
                f"{name} IS NULL", f"{name} IS NOT NULL", f"{name} BETWEEN {values[0]} AND {values[1]}", "s LIKE 'n1%'"]))
        where = r.choice([" AND ", " OR "]).join(parts)
        want = con.execute(f"SELECT count(*), sum(i), count(s) FROM native WHERE {where}").fetchone()
        for file in ("all", "duck"):
            got = con.execute(f"SELECT count(*), sum(i), count(s) FROM read_partitions({text(tmp_path / file)} || '.parquet') WHERE {where}")
            assert got.fetchone() == want, (file, where)


def test_damaged_files_are_errors(con, tmp_path):
    """Bytes cut off and changed: an error that names the file, or right or other values, and never more."""
    pq.write_table(every_type(400), tmp_path / "good.parquet", row_group_size=150, compression="none")
    good = (tmp_path / "good.parquet").read_bytes()
    path = tmp_path / "bad.parquet"
    r = random.Random(3)
    failures = 0
    for i in range(150):
        bad = bytearray(good)
        if i % 3 == 0:
            bad = bad[:r.randrange(len(bad))]
        for _ in range(r.choice([1, 3, 20])):
            # Half of the damage in the footer.
            at = r.randrange(len(bad)) if i % 2 or len(bad) < 9000 else len(bad) - 1 - r.randrange(9000)
            bad[at] = r.randrange(256)
        path.write_bytes(bad)
        try:
            con.execute(f"FROM read_partitions({text(path)})").fetchall()
        except duckdb.Error as error:
            assert "INTERNAL" not in str(error) and "should not" not in str(error), error
            failures += 1
    assert failures > 60


def test_order_and_threads(con, tmp_path):
    case = cases.case("trades_2m")
    path = export(con, case, tmp_path / "x", "row_group_size := 7")
    ts = quote(case.timestamp)
    for threads in (1, 2, 4):
        con.execute(f"SET threads = {threads}")
        con.execute(f"CREATE OR REPLACE TABLE copy AS FROM read_partitions({text(path)})")
        assert con.execute(f"SELECT count(*), count(*) FILTER ({ts} < before) FROM (SELECT {ts}, lag({ts}) OVER () AS before FROM copy)").fetchone() == (case.rows, 0)
    want = con.execute(f"SELECT * FROM {case.scan} LIMIT 5 OFFSET 1234567").fetchall()
    assert con.execute(f"SELECT * FROM read_partitions({text(path)}) LIMIT 5 OFFSET 1234567").fetchall() == want


def test_a_file_of_later_columns_is_only_opened_when_needed(con, tmp_path):
    """A prepared statement is run again after files changed: they are looked at anew."""
    for i in (1, 2):
        con.execute(f"COPY (SELECT {i} AS x) TO {text(tmp_path / f'{i}.parquet')} (FORMAT parquet)")
    con.execute(f"PREPARE q AS SELECT sum(x) FROM read_partitions({text(tmp_path)}) WHERE x > $1")
    assert con.execute("EXECUTE q(0)").fetchone() == (3,)
    con.execute(f"COPY (SELECT 40 AS x) TO {text(tmp_path / '2.parquet')} (FORMAT parquet)")
    assert con.execute("EXECUTE q(0)").fetchone() == (41,)
