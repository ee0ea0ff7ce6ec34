"""Damaged tables: a clear error that names the file and the table, right answers where the damage is not needed, nothing worse.

Everything runs in another process with a time limit, so that a crash or a hang is one failed test.
"""
import os
import random
import re
import shutil

import duckdb
import pyarrow as pa
import pytest

from helpers import cases, files, truth
from helpers.cases import case, quote, text
from helpers.compare import difference
from helpers.isolated import Crashed, Failure, Hung

SECONDS = 20
NATIVE = [n for n in cases.CORRUPT if "parquet" not in n]
PARQUET = [n for n in cases.CORRUPT if "parquet" in n]

# Damage that a plain scan need not notice: what is on disk may be returned as it is.
AS_STORED = {"corrupt_ts_descending"}

# Damage in one file that shows when another one is used, or that names a directory: any of these will do.
ALSO_NAMED = {
    "corrupt_symbol_bad_offset": ["sym.o"],
    "corrupt_symbol_chars_short": ["sym.o"],                    # whose offsets no longer fit
    "corrupt_meta_bad_type": ["id"],
    "corrupt_txn_huge_rows": ["2024-03-03"],                    # the last partition
    "corrupt_txn_negative_partition_rows": ["2024-02-27"],
    "corrupt_txn_partition_rows_huge": ["2024-02-27"],
    "corrupt_txn_partition_ts": ["1969-12-31"],
    "corrupt_txn_partition_version": ["2024-02-27.77"],
    "corrupt_partition_is_file": ["2024-02-27"],
    "corrupt_partition_symlink_loop": ["2024-02-27"],
    "corrupt_partition_missing": ["2024-03-01"],
    "corrupt_no_table": ["corrupt_base_native"],
}

# Columns whose values cannot be had from every partition; files of the table itself spoil all of it.
COLUMN_OF_FILE = re.compile(r"^(id|sym|val|note|ts|st|arr|bin)\.[dioc]$")


def column_of(name):
    m = COLUMN_OF_FILE.match(case(name).info["broken_file"])
    return m[1] if m else "id" if name == "corrupt_meta_bad_type" else None


def first_partition_only(name):
    """The damage is in the first partition's directory and in no file of the table."""
    if column_of(name):
        return case(name).info["broken_file"] not in ("sym.c", "sym.o", "_meta")
    return name in ("corrupt_partition_is_file", "corrupt_partition_symlink_loop", "corrupt_txn_partition_version")


def clear(name, failure):
    """Complaints about an error."""
    c, message = case(name), failure.message
    bad = []
    if not failure.is_duckdb:
        bad.append(f"{failure.kind} is no DuckDB error")
    if re.search(r"INTERNAL|Internal|[Pp]anick?(ed)? |Panic|stack backtrace", message) or failure.kind in ("InternalException", "FatalException"):
        bad.append("an internal error")
    file = c.info["broken_file"]
    named = [f for f in (file, *ALSO_NAMED.get(name, [])) if f != "partition"]
    if file.endswith((".d", ".i")):
        stem = file.partition(".")[0]
        named += [f"{stem}.d", f"{stem}.i"]
    if not any(n in message for n in named):
        bad.append(f"names none of {named}")
    if c.table not in message:
        bad.append(f"does not name the table {c.table}")
    return [f"{b}: {failure.kind}: {message}" for b in bad]


def good_rows(name):
    """The table before the damage, from its CSV (binary columns are not in it)."""
    table = truth.csv_table(name)
    return table.select([n for n in table.column_names if case(name).kinds[n] != "BINARY"])


def alive(results):
    """The last two statements of a run: the connection must still work."""
    answer, count = results
    assert not isinstance(answer, Failure), answer
    assert answer.to_pylist() == [{"a": 42}]
    assert not isinstance(count, Failure), count
    assert count.to_pylist() == [{"n": case("part_day").rows}]


STILL_WORKS = ["SELECT 42 AS a", f"SELECT count(val IS NULL) AS n FROM {case('part_day').scan}"]


@pytest.mark.parametrize("name", NATIVE)
def test_full_scan_is_a_clear_error(elsewhere, name):
    c = case(name)
    scan, *rest = elsewhere.run([f"SELECT * FROM {c.scan}", *STILL_WORKS], SECONDS)
    alive(rest)
    if not isinstance(scan, Failure) and name in AS_STORED:
        assert stored_as_is(name, scan)
        return
    assert isinstance(scan, Failure), f"{name} ({c.info['broken']}): {scan.num_rows} rows and no error"
    bad = clear(name, scan)
    assert not bad, "\n".join(bad)


def stored_as_is(name, scan):
    """corrupt_ts_descending: all columns right, the first partition's times in reverse."""
    want = good_rows(name)
    n = case(name).attached[0]["numRows"]
    ts = want.column("ts").to_pylist()
    ts[:n] = ts[:n][::-1]
    want = want.set_column(want.column_names.index("ts"), "ts", pa.array(ts, pa.int64()))
    return difference(scan.select(want.column_names), want) is None


@pytest.mark.parametrize("name", [n for n in NATIVE if column_of(n)])
def test_other_columns_are_right(elsewhere, name):
    """A damaged column does not stand in the way of the others."""
    c, want = case(name), good_rows(name)
    others = [n for n in want.column_names if n != column_of(name)]
    lists = [others, *([n] for n in others)]
    *got, answer, count = elsewhere.run([f"SELECT {', '.join(map(quote, x))} FROM {c.scan}" for x in lists] + STILL_WORKS, SECONDS)
    alive((answer, count))
    for columns, table in zip(lists, got):
        assert not isinstance(table, Failure), f"{columns}: {table}"
        assert difference(table, want.select(columns)) is None, f"{columns}: {difference(table, want.select(columns))}"


@pytest.mark.parametrize("name", [n for n in NATIVE if first_partition_only(n)])
def test_other_days_are_right(elsewhere, name):
    """A damaged first partition does not stand in the way of the later ones."""
    c, want = case(name), good_rows(name)
    start = c.attached[0]["numRows"]
    columns = ", ".join(map(quote, want.column_names))
    where = ["ts >= '2024-02-28'", "ts > TIMESTAMP '2024-02-27 23:59:59.999999'", "ts BETWEEN '2024-02-28' AND '2024-03-31'"]
    *got, answer, count = elsewhere.run([f"SELECT {columns} FROM {c.scan} WHERE {w}" for w in where] + STILL_WORKS, SECONDS)
    alive((answer, count))
    for w, table in zip(where, got):
        assert not isinstance(table, Failure), f"{w}: {table}"
        assert difference(table, want.slice(start)) is None, f"{w}: {difference(table, want.slice(start))}"


def test_rows_around_a_missing_partition_are_right(elsewhere):
    c = case("corrupt_partition_missing")
    want = good_rows(c.name)
    missing = next(i for i, p in enumerate(c.attached) if not any(d.name.split(".")[0] == p["name"] for d in c.path.iterdir()))
    start, end = c.row_ranges[missing]
    day = c.attached[missing]["name"]
    columns = ", ".join(map(quote, want.column_names))
    before, after, both, inside, *rest = elsewhere.run([
        f"SELECT {columns} FROM {c.scan} WHERE ts < '{day}'",
        f"SELECT {columns} FROM {c.scan} WHERE ts >= DATE '{day}' + 1",
        f"SELECT {columns} FROM {c.scan} WHERE ts < '{day}' OR ts >= DATE '{day}' + 1",
        f"SELECT {columns} FROM {c.scan} WHERE ts::DATE = '{day}'", *STILL_WORKS], SECONDS)
    alive(rest)
    for table, rows in ((before, want.slice(0, start)), (after, want.slice(end)), (both, pa.concat_tables([want.slice(0, start), want.slice(end)]))):
        assert not isinstance(table, Failure), table
        assert difference(table, rows) is None, difference(table, rows)
    assert isinstance(inside, Failure) and not clear(c.name, inside), inside


def test_time_filters_over_descending_timestamps_invent_nothing(elsewhere):
    """Binary search needs order; without it: an error, or the rows that the same filter finds in the scan's own result."""
    c = case("corrupt_ts_descending")
    where = ["ts < '2024-02-27 05:00:00'", "ts >= '2024-02-27 20:00:00' AND ts < '2024-02-28 03:00:00'", "ts = '2024-02-27 00:00:00'"]
    full, *rest = elsewhere.run([f"SELECT id, ts FROM {c.scan}", *(f"SELECT id, ts FROM {c.scan} WHERE {w}" for w in where), *STILL_WORKS], SECONDS)
    got = rest[:len(where)]
    alive(rest[len(where):])
    if isinstance(full, Failure):
        pytest.skip("already the scan is refused")
    con = duckdb.connect()
    con.register("stored", full)
    for w, table in zip(where, got):
        if isinstance(table, Failure):
            assert not clear(c.name, table), table
            continue
        want = con.execute(f"SELECT id, ts FROM stored WHERE {w}").to_arrow_table()
        assert difference(table, want) is None, f"{w}: {difference(table, want)}"


@pytest.mark.parametrize("name", NATIVE)
def test_no_query_shape_is_worse_than_an_error(elsewhere, name):
    """Counting, filtering, sampling, catalogue functions over the damage: an answer or an ordinary error, soon."""
    c = case(name)
    shapes = [
        f"SELECT count(*) FROM {c.scan}",
        f"SELECT sym, count(*) FROM {c.scan} GROUP BY sym",
        f"SELECT * FROM {c.scan} WHERE sym = 'AA'",
        f"SELECT * FROM {c.scan} WHERE sym = 'no such symbol'",
        f"SELECT * FROM {c.scan} WHERE id = 5",
        f"SELECT * FROM {c.scan} WHERE ts = '2024-02-27 10:00:00'",
        f"SELECT id FROM {c.scan} ORDER BY ts DESC LIMIT 1",
        f"SELECT * FROM {c.scan} LIMIT 1",
        f"SELECT length(note), length(st), len(arr), octet_length(bin) FROM {c.scan} WHERE val > 1",
        f"FROM read_partitions({text(c.path)}, symbols := 'enum', filename := true, partition := true, file_row_number := true)",
        f"FROM read_partitions({text(c.root)}, table_name := 'corrupt_base_native')",
        f"FROM {text(c.path)}",
        f"FROM questdb_columns({text(c.path)})", f"FROM questdb_partitions({text(c.path)})",
        f"FROM questdb_symbols({text(c.path)}, 'sym')", f"FROM questdb_tables({text(c.root)})",
    ]
    *got, answer, count = elsewhere.run(shapes + STILL_WORKS, SECONDS)
    alive((answer, count))
    for sql, result in zip(shapes, got):
        if isinstance(result, Failure):
            assert result.is_duckdb, result
            assert not re.search(r"INTERNAL|Panic|panicked", result.message), f"{sql}: {result}"


@pytest.mark.parametrize("name", PARQUET)
def test_damaged_parquet_partition_is_a_clear_error(elsewhere, name):
    c = case(name)
    scan, *rest = elsewhere.run([f"SELECT * FROM {c.scan}", *STILL_WORKS], SECONDS)
    alive(rest)
    assert isinstance(scan, Failure), f"{name} ({c.info['broken']}): {scan.num_rows} rows and no error"
    assert scan.is_duckdb and "INTERNAL" not in scan.message, scan
    assert c.table in scan.message, scan
    if cases.PARQUET_SUPPORTED:
        assert "data.parquet" in scan.message, scan
    else:
        assert "not supported yet" in scan.message and any(p in scan.message for p in c.parquet_partitions), scan


@pytest.mark.parametrize("name", PARQUET)
def test_native_days_beside_a_damaged_parquet_partition_are_right(elsewhere, name):
    c, want = case(name), good_rows(name)
    first = next(i for i, p in enumerate(c.attached) if not p["isParquet"])
    assert not any(p["isParquet"] for p in c.attached[first:])
    columns = ", ".join(map(quote, want.column_names))
    got, *rest = elsewhere.run([f"SELECT {columns} FROM {c.scan} WHERE ts >= '{c.attached[first]['name']}'", *STILL_WORKS], SECONDS)
    alive(rest)
    assert not isinstance(got, Failure), got
    rows = want.slice(c.row_ranges[first][0])
    assert difference(got, rows) is None, difference(got, rows)


# ---- damage of every kind, made here ---------------------------------------------------------------------------------

DAMAGED_HERE = {            # table: how many changes
    "all_types_wal": 120, "sym_edge": 40, "evo_symbol_flags": 50, "sensor_arrays": 30, "o3_many": 20,
    "pq_mixed_types": 80, "pq_codecs": 40, "pq_symbols": 20,
}
SEED = os.environ.get("QUESTDB_DAMAGE_SEED", "1")
TIMES = int(os.environ.get("QUESTDB_DAMAGE_TIMES", "1"))        # so many times as many changes


def damage(rng, data):
    """Another content of a file, and what was done."""
    data = bytearray(data)
    how = rng.choice(["flip", "flip", "flip", "bytes", "cut", "empty", "grow", "zeros", "number"])
    if how == "cut":
        return bytes(data[:rng.randrange(len(data) + 1)]), "cut"
    if how == "empty":
        return b"", "emptied"
    if how == "grow":
        return bytes(data) + rng.randbytes(rng.choice([1, 8, 4096])), "grown"
    if not data:
        return b"\xff" * 16, "filled"
    at = rng.randrange(min(len(data), rng.choice([64, 512, len(data)])))
    if how == "flip":
        data[at] ^= 1 << rng.randrange(8)
    elif how == "bytes":
        data[at:at + 8] = rng.randbytes(min(8, len(data) - at))
    elif how == "zeros":
        n = min(64, len(data) - at)
        data[at:at + n] = bytes(n)
    else:
        at -= at % 8
        value = rng.choice([-1, -2**63, 2**63 - 1, 2**40, 2**31 - 1, -2**31, 1, 0])
        data[at:at + 8] = value.to_bytes(8, "little", signed=True)[:max(0, min(8, len(data) - at))]
    return bytes(data), f"{how} at {at}"


@pytest.mark.parametrize("name", DAMAGED_HERE)
def test_random_damage_is_an_answer_or_an_ordinary_error(elsewhere, tmp_path, name):
    """Whatever the bytes: no crash, no hang, no internal error, and text that is UTF-8."""
    path = tmp_path / "t~1"
    shutil.copytree(case(name).path, path)
    targets = sorted(f for f in path.rglob("*") if f.is_file() and not f.relative_to(path).parts[0].startswith(("wal", "txn_seq")))
    call = f"read_partitions({text(path)})"
    around = f"read_partitions({text(path)}, lenient := true, snapshot := 'none')"
    statements = [f"SELECT {truth.select_list(name)} FROM {call}", f"SELECT count(*) FROM {call} WHERE ts >= '2024-02-28 05:00:00' AND ts < '2024-03-01'",
                  f"FROM questdb_columns({text(path)})", f"FROM questdb_partitions({text(path)})",
                  f"DESCRIBE FROM {around}", f"SELECT {truth.select_list(name)} FROM {around}",
                  f"SELECT count(*) FROM {around} WHERE ts >= '2024-02-28 05:00:00' AND ts < '2024-03-01'", "SELECT 42 AS a"]
    columns = elsewhere.run([f"DESCRIBE FROM {around}"], SECONDS)[0].to_pylist()
    for i in range(DAMAGED_HERE[name] * TIMES):
        rng = random.Random(f"{SEED}/{name}/{i}")
        file = rng.choice(targets if rng.random() < 0.8 else [path / f for f in ("_meta", "_txn", "_cv")])
        whole = file.read_bytes()
        changed, how = damage(rng, whole)
        file.write_bytes(changed)
        what = f"seed {SEED}/{name}/{i}: {file.relative_to(path)} {how}"
        try:
            results = elsewhere.run(statements, SECONDS)
        except (Crashed, Hung) as e:
            pytest.fail(f"{what}: {e}")
        finally:
            file.write_bytes(whole)
        for sql, result in zip(statements, results):
            if isinstance(result, Failure):
                assert result.is_duckdb and not re.search(r"INTERNAL|Panic|panicked", result.message), f"{what}: {sql}: {result}"
            else:
                result.validate(full=True)
        assert not isinstance(results[-1], Failure), f"{what}: {results[-1]}"
        opens, *read = results[4:7]
        # Columns may have got other names or types: then they are not those of the statement.
        if not isinstance(opens, Failure) and opens.to_pylist() == columns:
            assert not any(isinstance(r, Failure) for r in read), f"{what}: {read}"


def test_text_in_the_middle_of_a_value_that_is_no_utf8(elsewhere, tmp_path):
    """Beyond the prefix that the VARCHAR's entry repeats."""
    path = tmp_path / "t~1"
    shutil.copytree(case("part_day").path, path)
    file = next(d for d in path.iterdir() if d.name.startswith("2024-02-28")) / "note.d"
    data = bytearray(file.read_bytes())
    data[10] = 0xFF
    file.write_bytes(bytes(data))
    got, others = elsewhere.run([f"SELECT note FROM read_partitions({text(path)})", f"SELECT count(val), count(sym) FROM read_partitions({text(path)})"], SECONDS)
    assert isinstance(got, Failure) and "note." in got.message and "part_day" in got.message, got
    assert not isinstance(others, Failure)


def test_every_damaged_fixture_is_tested():
    assert len(cases.CORRUPT) == 59 and set(NATIVE) | set(PARQUET) == set(cases.CORRUPT)
    assert all(case(n).info["broken_file"] in ("partition", "_meta", "_txn", "_cv", "data.parquet") or column_of(n) for n in cases.CORRUPT)
    assert files.size(cases.FIXTURES / "corrupt_no_table/db/corrupt_base_native") == 0
