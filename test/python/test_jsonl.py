"""JSON lines: every byte is the one that DuckDB's own writer of JSON makes; files, blocks, compression, damage."""
import gzip
import os
from pathlib import Path

import duckdb
import pytest
import zstandard

from helpers import cases
from helpers.cases import text

# One expression for each type, with the values where formats differ: signs, limits, trailing zeros, what is not a number.
VALUES = {
    "boolean": ["true", "false"],
    "tinyint": ["-128", "127"], "smallint": ["-32768"], "integer": ["-2147483648", "7"], "bigint": ["9223372036854775807"],
    "utinyint": ["255"], "usmallint": ["65535"], "uinteger": ["4294967295"], "ubigint": ["18446744073709551615"],
    "hugeint": ["170141183460469231731687303715884105727", "-170141183460469231731687303715884105728", "-5"],
    "uhugeint": ["340282366920938463463374607431768211455", "0"],
    "float": ["0.1", "1e10", "-0.0", "3.4028235e38", "1e-45", "16777216", "'nan'", "'inf'", "1234567.8"],
    "double": ["0.1", "1e20", "1e21", "1.5e21", "1e-5", "1e-6", "1.234e-7", "-0.0", "5e-324", "1.7976931348623157e308",
               "123456789012345678901", "'nan'", "'-inf'", "100", "0.30000000000000004"],
    "decimal(1,0)": ["5"], "decimal(4,2)": ["1.5", "-0.05"], "decimal(9,0)": ["100"], "decimal(15,1)": ["99999999999999.9"],
    "decimal(15,14)": ["1.23456789012345"], "decimal(16,3)": ["1.5", "-0.001"], "decimal(18,17)": ["1"],
    "decimal(38,10)": ["123456789012345678.1234567890", "-0.0000000001"], "decimal(38,0)": ["99999999999999999999999999999999999999"],
    "varchar": ["''", "'a\"b\\\\/<>&'", "chr(0) || 'x' || chr(31) || chr(127) || chr(8) || chr(12) || chr(10) || chr(13) || chr(9)",
                "'é😀' || chr(8232)"],
    "blob": ["''", "unhex('00ff22275c41')"],
    "uuid": ["'12345678-1234-abcd-0000-1234567890ab'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "bit": ["'101'", "'111000111000'", "'0'"],
    "date": ["'2024-02-29'", "'0001-01-01'", "'0044-03-15 (BC)'", "'12024-01-02'", "'infinity'", "'-infinity'"],
    "time": ["'01:02:03'", "'00:00:00.000001'", "'24:00:00'", "'23:59:59.5'"],
    "time_ns": ["'01:02:03.123456789'", "'01:02:03.12'"],
    "timetz": ["'01:02:03+05:30'", "'01:02:03.5-15:59:59'", "'00:00:00+00'"],
    "timestamp": ["'2024-01-02 03:04:05'", "'2024-01-02 03:04:05.000100'", "'1969-12-31 23:59:59.999999'", "'290309-12-22 (BC) 00:00:00'",
                  "'294246-12-31 23:59:59'", "'infinity'", "'-infinity'"],
    "timestamp_s": ["'2024-01-02 03:04:05'", "'290000-01-02 03:04:05'", "'infinity'"],
    "timestamp_ms": ["'2024-01-02 03:04:05.120'", "'-290000-01-01'", "'-infinity'"],
    "timestamp_ns": ["'2024-01-02 03:04:05.123456789'", "'1677-09-22 00:00:00'", "'infinity'"],
    "timestamptz": ["'2024-01-02 03:04:05.5+01'", "'2024-07-02 03:04:05+00'", "'1850-01-02 03:04:05+00'", "'infinity'"],
    "timestamptz_ns": ["'2024-01-02 03:04:05.123456789'"],
    "interval": ["'1 year 2 months 3 days 4 hours 5.5 seconds'", "'-25 months'", "'-1 day'", "'0 days'", "'1 month -1 microsecond'",
                 "'1000 hours'", "'11 months -3 days'"],
    "enum('x', 'y\"')": ["'x'", "'y\"'"],
    "json": ["' { \"a\" : 1.50, \"b\": [1e5, -0, -0.0, 1E-7], \"c\\u00e9\":\"\\u0001\\/\\ud83d\\ude00\" }'", "'12345678901234567890123'", "'\"x\"'", "'null'",
             "'[1e400, 0.1000000000000000055, [ ], { }]'", "'NaN'"],
    "integer[]": ["[]", "[1, null, 3]"], "varchar[][]": ["[['a\"'], [], null, [null]]"], "integer[2]": ["[1, null]"],
    "struct(a integer, \"b\"\"c\" varchar[])": ["{'a': 1, 'b\"c': ['x']}", "{'a': null, 'b\"c': null}"],
    "struct(a decimal(20,2), b timestamp, c uuid)": ["{'a': 1.5, 'b': '2024-01-01', 'c': '12345678-1234-abcd-0000-1234567890ab'}"],
    "map(varchar, integer)": ["map {'a\"': 1, 'b': null}", "map {}"],
    "map(integer, integer[])": ["map {-1: [2]}"], "map(boolean, integer)": ["map {true: 1}"], "map(date, integer)": ["map {'2024-01-02': 1}"],
    "map(double, integer)": ["map([1e16::double, 1e15, 1e-5, 0.0001, 'nan', 'inf', -0.0, 1e100, 1.5], [1, 2, 3, 4, 5, 6, 7, 8, 9])"],
    "map(float, integer)": ["map([0.1::float, 1e10, 16777216, 1e16], [1, 2, 3, 4])"],
    "map(decimal(4,2), integer)": ["map {1.5: 1}"], "map(hugeint, integer)": ["map {5: 1}"], "map(timestamp_ns, integer)": ["map {'2024-01-02 03:04:05.5': 1}"],
    "map(interval, integer)": ["map {'1 day': 1}"], "map(uuid, integer)": ["map {'12345678-1234-abcd-0000-1234567890ab': 1}"],
    "struct(m map(varchar, struct(x integer)[]))": ["{'m': map {'k': [{'x': 1}, null]}}"],
}


def same(con, query, directory, options=""):
    """Writes `query` with both formats and returns our bytes, which must be DuckDB's."""
    ours, theirs = directory / "ours.jsonl", directory / "theirs.json"
    con.execute(f"COPY ({query}) TO {text(ours)} (FORMAT questdb_jsonl{options})")
    con.execute(f"COPY ({query}) TO {text(theirs)} (FORMAT json)")
    assert ours.read_bytes() == theirs.read_bytes()
    return ours.read_bytes()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("lossless", ["true", "false"])
def test_every_type_is_rendered_as_duckdb_renders_it(con, tmp_path, zone, lossless):
    con.execute(f"SET TimeZone = '{zone}'")
    con.execute(f"SET arrow_lossless_conversion = {lossless}")
    for sql_type, values in VALUES.items():
        if sql_type == "timetz" and lossless == "false":
            continue
        rows = " UNION ALL ".join(f"SELECT {i} AS i, ({value})::{sql_type} AS \"a \"\"name\"" for i, value in enumerate([*values, "NULL"]))
        assert same(con, f"SELECT * FROM ({rows}) ORDER BY i", tmp_path).count(b"\n") == len(values) + 1, sql_type
        # Inside of a list, a struct and a map.
        nested = f"SELECT i, [x, NULL] AS l, {{'x': x}} AS s, map {{'k': x}} AS m FROM (SELECT i, \"a \"\"name\" AS x FROM ({rows})) ORDER BY i"
        same(con, nested, tmp_path)


def test_a_row_is_an_array_and_null_is_a_type(con, tmp_path):
    assert same(con, "SELECT row(1, 'x', row(NULL)) AS r, NULL AS n", tmp_path) == b'{"r":[1,"x",[null]],"n":null}\n'


def test_types_without_a_form_are_refused(con, tmp_path):
    for value in ("union_value(k := 1)", "timetz '01:02:03+01'", "[timetz '01:02:03+01']", "map([{'a': 1}], [1])"):
        with pytest.raises(duckdb.Error, match="VARCHAR"):
            con.execute(f"COPY (SELECT {value} AS x) TO {text(tmp_path / 'x.jsonl')} (FORMAT questdb_jsonl)")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("threads", [1, 4])
def test_many_rows_keep_their_order(con, tmp_path, threads):
    con.execute(f"SET threads = {threads}")
    query = "SELECT i, i * 0.37 AS d, 'text ' || i AS s, make_timestamp(i * 1234567) AS t, CASE WHEN i % 7 = 0 THEN NULL ELSE i END AS n FROM range(250000) r(i)"
    for options in ("", ", row_group_size 1000", ", row_group_size_bytes '100KB'"):
        same(con, query, tmp_path, options)


@pytest.mark.parametrize("name", [n for n in cases.GOOD if cases.case(n).rows])
def test_a_table_exported_is_the_table_as_duckdb_writes_it(con, tmp_path, name):
    case = cases.case(name)
    if case.rows > 100_000:
        pytest.skip("the types of large tables are those of small ones")
    if name == "extreme_times":
        pytest.skip("DuckDB's own writer of JSON fails on times that it cannot convert to microseconds")
    con.execute(f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'x')}, partition_by := 'none', format := 'jsonl', row_group_size := 777)").fetchall()
    con.execute(f"COPY (FROM {case.scan}) TO {text(tmp_path / 'theirs.json')} (FORMAT json)")
    assert (tmp_path / "x.jsonl").read_bytes() == (tmp_path / "theirs.json").read_bytes()


def unpacked(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            return reader.read()
    return data


@pytest.mark.parametrize("codec, suffix", [("none", ".jsonl"), ("gzip", ".jsonl.gz"), ("zstd", ".jsonl.zst")])
def test_blocks_are_compressed_by_themselves_and_read_as_one(con, tmp_path, codec, suffix):
    case = cases.case("trades_2m")
    rows = con.execute(f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'x')}, format := 'jsonl', compression := '{codec}', "
                       "partition_by := 'week', to_ts := '2024-03-01 01:00:00', row_group_size := 10000)").fetchall()
    files = sorted({row[0] for row in rows})
    assert all(file.endswith(suffix) for file in files) and len(rows) > len(files)
    con.execute(f"COPY (FROM {case.scan} WHERE ts < '2024-03-01 01:00:00') TO {text(tmp_path / 'theirs.json')} (FORMAT json)")
    assert b"".join(unpacked(Path(file)) for file in files) == (tmp_path / "theirs.json").read_bytes()
    assert sum(row[4] for row in rows) == len((tmp_path / "theirs.json").read_bytes())
    assert sum(row[5] for row in rows) == sum(os.path.getsize(file) for file in files)
    # DuckDB reads it too.
    reread = con.execute(f"SELECT count(*), sum(amount) FROM read_json({files!r})").fetchone()
    assert reread == con.execute(f"SELECT count(*), sum(amount) FROM {case.scan} WHERE ts < '2024-03-01 01:00:00'").fetchone()


def test_the_name_of_a_file_tells_its_codec(con, tmp_path):
    for name in ("a.jsonl", "a.jsonl.gz", "a.json.zst"):
        con.execute(f"COPY (SELECT i FROM range(3) r(i)) TO {text(tmp_path / name)} (FORMAT questdb_jsonl)")
        assert unpacked(tmp_path / name) == b'{"i":0}\n{"i":1}\n{"i":2}\n'
    con.execute(f"COPY (SELECT 1 AS i) TO {text(tmp_path / 'b.gz')} (FORMAT questdb_jsonl, compression 'none')")
    assert (tmp_path / "b.gz").read_bytes() == b'{"i":1}\n'


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_no_rows_are_a_file_that_can_be_read(con, tmp_path, codec):
    path = tmp_path / "x"
    con.execute(f"COPY (SELECT 1 AS i WHERE false) TO {text(path)} (FORMAT questdb_jsonl, compression '{codec}')")
    data = path.read_bytes()
    assert {"none": lambda d: d, "gzip": gzip.decompress, "zstd": lambda d: zstandard.ZstdDecompressor().decompress(d)}[codec](data) == b""


def test_files_rotate_partition_and_replace_as_parquet_files_do(con, tmp_path):
    query = "SELECT make_timestamp(i * 3600000000) AS ts, i FROM range(100) r(i)"
    con.execute(f"COPY ({query}) TO {text(tmp_path / 'days')} (FORMAT questdb_jsonl, partition_unit day, max_row_groups_per_file 1, row_group_rows 20)")
    names = sorted(os.listdir(tmp_path / "days"))
    assert names[:3] == ["1970-01-01.1.jsonl", "1970-01-01.jsonl", "1970-01-02.1.jsonl"]
    assert con.execute(f"SELECT count(*), sum(i) FROM read_json({text(tmp_path / 'days/*.jsonl')})").fetchone() == (100, 4950)
    with pytest.raises(duckdb.IOException, match="not empty"):
        con.execute(f"COPY ({query}) TO {text(tmp_path / 'days')} (FORMAT questdb_jsonl, partition_unit day)")
    con.execute(f"COPY ({query}) TO {text(tmp_path / 'hive')} (FORMAT questdb_jsonl, partition_unit month, layout hive)")
    assert [str(p.relative_to(tmp_path / "hive")) for p in (tmp_path / "hive").rglob("*.jsonl")] == ["year=1970/month=1/data.jsonl"]
    case = cases.case("one_col_ts")
    for number in ("", ".1", ".2"):
        con.execute(f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'one')}, partition_by := 'none', format := 'jsonl', compression := 'gzip', append := true)").fetchall()
        assert (tmp_path / f"one{number}.jsonl.gz").exists()


def test_blocks_end_at_their_size(con, tmp_path):
    case = cases.case("trades_2m")
    rows = con.execute(f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'x')}, format := 'jsonl', partition_by := 'none', "
                       "to_ts := '2024-03-01 12:00:00', row_group_size_bytes := '1MB')").fetchall()
    assert len(rows) > 3 and all(950_000 <= row[4] <= 1_050_000 for row in rows[:-1])


def test_copy_of_duckdb_writes_a_file_for_each_partition(con, tmp_path):
    con.execute(f"COPY (SELECT i, i % 3 AS p FROM range(30) r(i)) TO {text(tmp_path / 'p')} (FORMAT questdb_jsonl, PARTITION_BY (p))")
    files = sorted((tmp_path / "p").rglob("*.jsonl"))
    assert len(files) == 3 and files[0].read_bytes().startswith(b'{"i":0}\n{"i":3}\n')


def test_a_failed_query_leaves_nothing(con, tmp_path):
    with pytest.raises(duckdb.Error):
        con.execute(f"COPY (SELECT i, CASE WHEN i = 150000 THEN error('stop') END FROM range(200000) r(i)) TO {text(tmp_path / 'x.jsonl')} (FORMAT questdb_jsonl)")
    assert os.listdir(tmp_path) == []
