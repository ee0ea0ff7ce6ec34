#!/usr/bin/env python3
"""Makes the data that the benchmarks read: QuestDB tables by a real server, and the same rows for DuckDB.

    make_table.py [--rows 20000000]         # makes build/bench/<rows>/ unless it is there

    db/trades            ROWS rows in ten DAY partitions: the table that most queries read
    db/ticks1000         ROWS rows, a symbol of 1000 values (and some nulls)
    db/converted         the first PARQUET_DAYS days of trades again, all of them converted to Parquet partitions
    db/many_partitions   50 000 rows in 10 000 HOUR partitions
    peers.duckdb         the three tables as DuckDB's own, checkpointed
    <table>.parquet      the three tables as DuckDB writes them: lz4_raw, its defaults otherwise
    truth.json           columns, statements, and the server's answers, which the DuckDB tables were checked against

Rows come from generators with fixed seeds: the same --rows gives the same tables. About 170 bytes of disk a row; delete build/bench/<rows> to have
it made anew.
Without Java (see tools/questdb_server.py) the bundled fixture trades_2m stands in, as build/bench/fixture/.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb

from harness import BENCH_DIRECTORY, REPOSITORY, same_answer

sys.path.insert(0, str(REPOSITORY / "tools"))
import questdb_server  # noqa: E402

DEFAULT_ROWS = 20_000_000
DAYS = 10
PARQUET_DAYS = 5
HOURS = 10_000
FIRST_DAY = 1_704_067_200_000_000  # 2024-01-01, µs
DAY, HOUR = 86_400_000_000, 3_600_000_000

FIXTURE = "trades_2m"
FIXTURE_PLACES = [REPOSITORY / "test" / "data", REPOSITORY.parent / "shared" / "fixtures" / "public"]

# `note`: a tenth null, four tenths within the aux entry (up to 9 bytes), three tenths longer out of a few
# thousand texts, two tenths all different.
TRADES = """
    CREATE TABLE trades (ts TIMESTAMP, id LONG, sym SYMBOL CAPACITY 256, side SYMBOL CAPACITY 4, price DOUBLE, amount DOUBLE, note VARCHAR, qty INT)
    TIMESTAMP(ts) PARTITION BY DAY BYPASS WAL"""
TRADES_DAY = """
    INSERT INTO trades SELECT timestamp_sequence({start}::timestamp, rnd_long(0, {step}, 0)), x + {done}, concat('SYM', rnd_int(0, 99, 0))::symbol,
        rnd_symbol('buy', 'sell'), round(rnd_double() * 1000, 2), rnd_double() * 10,
        CASE WHEN kind = 0 THEN null WHEN kind < 5 THEN concat('n', rnd_int(0, 999, 0))
             WHEN kind < 8 THEN concat('a longer note, number ', rnd_int(0, 4999, 0)) ELSE concat('order ', x + {done}, ' was filled') END::varchar,
        rnd_int(1, 1000, 0)
    FROM (SELECT x, rnd_int(0, 9, 0) kind FROM long_sequence({rows}, {seed}, 1))"""

# A table with a WAL may convert its last partition, too.
CONVERTED = TRADES.replace("TABLE trades", "TABLE converted").replace("BYPASS WAL", "WAL")
CONVERTED_DAY = TRADES_DAY.replace("INTO trades", "INTO converted")

TICKS = """
    CREATE TABLE ticks1000 (ts TIMESTAMP, sym SYMBOL CAPACITY 2048, price DOUBLE, qty INT) TIMESTAMP(ts) PARTITION BY DAY BYPASS WAL"""
TICKS_DAY = """
    INSERT INTO ticks1000 SELECT timestamp_sequence({start}::timestamp, rnd_long(0, {step}, 0)),
        CASE WHEN k = 1000 THEN null ELSE concat('TICK', k) END::symbol, rnd_double() * 1000, rnd_int(1, 1000, 0)
    FROM (SELECT x, rnd_int(0, 1000, 0) k FROM long_sequence({rows}, {seed}, 2))"""

MANY = """
    CREATE TABLE many_partitions (ts TIMESTAMP, sym SYMBOL CAPACITY 128, price DOUBLE, note VARCHAR) TIMESTAMP(ts) PARTITION BY HOUR BYPASS WAL"""
MANY_ROWS = """
    INSERT INTO many_partitions SELECT timestamp_sequence({start}::timestamp, {step}), rnd_symbol(50, 3, 6, 0), rnd_double() * 1000,
        concat('reading number ', x)::varchar
    FROM long_sequence({rows}, {seed}, 3)"""

# Statements that mean the same to both systems: the server's answers are kept, DuckDB's tables must give them too.
# (QuestDB's length of null is -1.)
CHECKS = {
    "trades": [
        "SELECT count(*), sum(id), sum(price), sum(amount), sum(qty), count(note), sum(length(coalesce(note, ''))), max(sym), max(side), max(note) FROM trades",
        "SELECT sym, side, count(*), sum(id), sum(qty) FROM trades ORDER BY sym, side",
        "SELECT sum(id), count(*) FROM trades WHERE ts >= '2024-01-05T06:00:00.000000Z' AND ts < '2024-01-05T08:00:00.000000Z'",
    ],
    "ticks1000": [
        "SELECT count(*), count(sym), count(DISTINCT sym), sum(price), sum(qty) FROM ticks1000",
        "SELECT sym, count(*), sum(qty) FROM ticks1000 WHERE sym IS NOT NULL ORDER BY sym",
    ],
    "many_partitions": ["SELECT count(*), sum(price), count(DISTINCT sym), sum(length(note)), max(note) FROM many_partitions"],
}


def ensure(rows=DEFAULT_ROWS, say=print):
    """The directory with everything described above, made if it is not there yet."""
    directory = BENCH_DIRECTORY / str(rows)
    if (directory / "truth.json").exists():
        add_converted(directory, rows, say)
        return directory
    if questdb_server.find() is None:
        say(f"No Java and QuestDB server here: the benchmarks read the small fixture {FIXTURE} instead of {rows:,} rows. Its values repeat in runs; "
            "its ratios say little about real tables.")
        return ensure_fixture()
    return build(directory, lambda partial: make_with_server(partial, rows, say))


def build(directory, make):
    """Calls make(partial) and gives the result its name only when it is complete."""
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    truth = make(partial)
    (partial / "truth.json").write_text(json.dumps(truth, indent=1))
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)
    return directory


# ---- with the server ----------------------------------------------------------------------------


def make_with_server(root, rows, say):
    truth = {"server": f"QuestDB {questdb_server.VERSION}", "tables": {}}
    with questdb_server.Server(root, heap="2g") as server:
        for table, create, inserts in (
                ("trades", TRADES, daily(TRADES_DAY, rows)),
                ("ticks1000", TICKS, daily(TICKS_DAY, rows)),
                ("many_partitions", MANY, [MANY_ROWS.format(start=FIRST_DAY, step=HOUR // 5, rows=5 * HOURS, seed=1)])):
            begin = time.monotonic()
            server.query(create)
            for insert in inserts:
                server.query(insert)
            server.copy(f"COPY {table} TO '{table}' WITH FORMAT PARQUET")
            truth["tables"][table] = {
                "directory": f"db/{server.directory(table).name}",
                "columns": {name: kind for name, kind in server.query(f"SELECT \"column\", type FROM table_columns('{table}')")},
                "rows": server.query(f"SELECT count() FROM {table}")[0][0],
                "partitions": server.query(f"SELECT count() FROM table_partitions('{table}')")[0][0],
                "checks": [{"sql": sql, "answer": server.query(sql)} for sql in CHECKS[table]],
            }
            say(f"{table}: made by the server in {time.monotonic() - begin:.0f} s", flush=True)
    make_peers(root, {table: f"{root}/export/{table}/*.parquet" for table in truth["tables"]}, truth, say)
    truth["converted"] = make_converted(root, rows, say)
    for leftover in ("export", "import", "public", "conf"):
        shutil.rmtree(root / leftover, ignore_errors=True)
    return truth


def add_converted(directory, rows, say):
    """Adds the table to a directory that was made before there was one."""
    truth = json.loads((directory / "truth.json").read_text())
    if "converted" in truth or questdb_server.find() is None:
        return
    truth["converted"] = make_converted(directory, rows, say)
    (directory / "truth.json").write_text(json.dumps(truth, indent=1))


def make_converted(root, rows, say):
    """The table of Parquet partitions; DuckDB reads the same files."""
    begin = time.monotonic()
    with questdb_server.Server(root, heap="2g") as server:
        server.query(CONVERTED)
        for insert in list(daily(CONVERTED_DAY, rows))[:PARQUET_DAYS]:
            server.query(insert)
        server.wait_applied("converted")
        server.query("ALTER TABLE converted CONVERT PARTITION TO PARQUET WHERE ts >= '2024-01-01'")
        server.wait_applied("converted")
        directory = f"db/{server.directory('converted').name}"
    say(f"converted: made by the server in {time.monotonic() - begin:.0f} s", flush=True)
    return directory


def daily(insert, rows):
    """One INSERT per day: the rows spread at random over 95 % of the day."""
    for day in range(DAYS):
        done, end = rows * day // DAYS, rows * (day + 1) // DAYS
        step = int(DAY * 0.95 / (end - done) * 2)
        yield insert.format(start=FIRST_DAY + day * DAY, step=step, done=done, rows=end - done, seed=day + 1)


# ---- DuckDB's own ---------------------------------------------------------------------------------


def make_peers(root, sources, truth, say):
    """DuckDB's table and Parquet file of each table, from Parquet files that the server wrote."""
    with duckdb.connect(str(root / "peers.duckdb")) as connection:
        for table, source in sources.items():
            begin = time.monotonic()
            # The server writes times with UTC as their zone; everything here is without one.
            columns = ", ".join(f"make_timestamp(epoch_us({name})) AS {name}" if kind == "TIMESTAMP" else name
                                for name, kind in truth["tables"][table]["columns"].items())
            connection.execute(f"CREATE TABLE {table} AS SELECT {columns} FROM read_parquet('{source}')")
            connection.execute(f"CHECKPOINT; COPY {table} TO '{root}/{table}.parquet' (FORMAT parquet, COMPRESSION lz4_raw)")
            for check in truth["tables"][table].get("checks", []):
                # QuestDB groups by what is selected beside aggregates; DuckDB wants to hear it.
                sql = check["sql"] if "ORDER BY" not in check["sql"] else check["sql"].replace("ORDER BY", "GROUP BY ALL ORDER BY")
                answer = connection.execute(sql).fetchall()
                if not same_answer(answer, check["answer"]):
                    raise SystemExit(f"DuckDB's copy of {table} differs from the server's table:\n{sql}\n{answer[:3]}\n{check['answer'][:3]}")
            say(f"{table}: DuckDB's table and Parquet file in {time.monotonic() - begin:.0f} s", flush=True)


# ---- without a server -----------------------------------------------------------------------------


def ensure_fixture():
    directory = BENCH_DIRECTORY / "fixture"
    return directory if (directory / "truth.json").exists() else build(directory, make_from_fixture)


def make_from_fixture(root):
    packed = next((path for place in FIXTURE_PLACES for path in sorted(place.rglob(f"{FIXTURE}.tar.zst"))), None)
    if packed is None:
        raise SystemExit(f"{FIXTURE}.tar.zst is in none of {', '.join(map(str, FIXTURE_PLACES))}")
    unpack(packed, root)
    case = json.loads((root / FIXTURE / "case.json").read_text())
    schema = json.loads((root / FIXTURE / "schema.json").read_text())
    truth = {"server": case["server"], "tables": {"trades": {
        "directory": f"{FIXTURE}/db/{case['directory']}",
        "columns": {column["column"]: column["type"] for column in schema},
        "rows": case["rows"],
        "partitions": len(case["partition_directories"]),
    }}}
    make_peers(root, {"trades": f"{root}/{FIXTURE}/expected.parquet"}, truth, lambda *_, **__: None)
    return truth


def unpack(packed, into):
    """Unpacks a .tar.zst with the zstd program, or else with Python's zstandard package."""
    if shutil.which("zstd"):
        unzip = subprocess.Popen(["zstd", "-dc", str(packed)], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-xf", "-", "-C", str(into)], stdin=unzip.stdout, check=True)
        return
    try:
        import zstandard
    except ImportError:
        raise SystemExit("unpacking the fixture needs the program zstd or Python's package zstandard") from None
    with open(packed, "rb") as source:
        bare = zstandard.ZstdDecompressor().stream_reader(source).read()
    subprocess.run(["tar", "-xf", "-", "-C", str(into)], input=bare, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=DEFAULT_ROWS)
    print(ensure(parser.parse_args().rows))


if __name__ == "__main__":
    main()
