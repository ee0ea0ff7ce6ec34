#!/usr/bin/env python3
"""Writing: `questdb_export` and `COPY … (FORMAT questdb_parquet)` against DuckDB's own COPY of the same rows, in one run.

    bench_export.py [--table build/bench/20000000/db/trades] [--threads 1,2] [--repeat 2] [--row-group-size 100000]

E is questdb_export over the table directory, C the COPY format over a DuckDB table, D DuckDB's Parquet writer over the same
DuckDB table, R DuckDB's writer over read_partitions. All write one file with row groups of the same size (DuckDB rounds its own
up to a multiple of 2048). Every file's rows are summed up and compared before a time counts.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from harness import EXTENSION, connect, literal

CODECS = {
    "lz4_raw": ("compression_codec := 'lz4_raw'", "COMPRESSION lz4_raw"),
    "zstd 1": ("compression_codec := 'zstd', compression_level := 1", "COMPRESSION zstd, COMPRESSION_LEVEL 1"),
    "zstd 3": ("compression_codec := 'zstd', compression_level := 3", "COMPRESSION zstd, COMPRESSION_LEVEL 3"),
    "uncompressed": ("compression_codec := 'uncompressed'", "COMPRESSION uncompressed"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="build/bench/20000000/db/trades")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--row-group-size", type=int, default=100_000)
    parser.add_argument("--systems", default="E,C,D,R")
    parser.add_argument("--codecs", default=",".join(CODECS))
    arguments = parser.parse_args()
    con = connect(EXTENSION)
    con.execute("SET preserve_insertion_order = true")
    scan = f"read_partitions({literal(arguments.table)})"
    systems = arguments.systems.split(",")
    if set(systems) & {"C", "D"}:
        con.execute(f"CREATE TABLE native AS FROM {scan}")
    columns = con.execute(f"DESCRIBE FROM {scan}").fetchall()
    numbers = [f"sum({c[0]})" for c in columns if c[1] in ("BIGINT", "INTEGER", "DOUBLE", "FLOAT")]
    check = f"SELECT count(*), {', '.join(f'round({n}::DOUBLE, -3)' for n in numbers)} FROM "
    expected = con.execute(check + scan).fetchone()
    rows, size = expected[0], arguments.row_group_size
    print(f"{rows} rows, row groups of {size}, {EXTENSION}")
    print(f"{'codec':13} {'threads':>7} {'system':>6} {'seconds':>8} {'Mrows/s':>8} {'MB':>7} {'vs D':>6}")
    folder = Path(tempfile.mkdtemp(prefix="bench_export", dir="build"))
    try:
        for codec in arguments.codecs.split(","):
            ours, theirs = CODECS[codec]
            for threads in arguments.threads.split(","):
                con.execute(f"SET threads = {threads}")
                times = {}
                for _ in range(arguments.repeat):
                    for system in systems:
                        path = folder / f"{system}.parquet"
                        path.unlink(missing_ok=True)
                        source = {"C": "native", "D": "native"}.get(system, scan)
                        statement = {
                            "E": f"SELECT sum(rows) FROM questdb_export({literal(arguments.table)}, {literal(path)}, "
                                 f"mode := 'single_file', row_group_size := {size}, {ours})",
                            "C": f"COPY (FROM {source}) TO {literal(path)} "
                                 f"(FORMAT questdb_parquet, ROW_GROUP_ROWS {size}, {theirs})",
                        }.get(system, f"COPY (FROM {source}) TO {literal(path)} "
                                      f"(FORMAT parquet, ROW_GROUP_SIZE {size}, {theirs})")
                        begin = time.perf_counter()
                        con.execute(statement).fetchall()
                        elapsed = time.perf_counter() - begin
                        times[system] = min(elapsed, times.get(system, elapsed))
                        if con.execute(check + literal(path)).fetchone() != expected:
                            raise SystemExit(f"{system} {codec}: the file holds other rows")
                for system in systems:
                    megabytes = (folder / f"{system}.parquet").stat().st_size / 1e6
                    ratio = times["D"] / times[system] if "D" in times else float("nan")
                    print(f"{codec:13} {threads:>7} {system:>6} {times[system]:8.2f} {rows / times[system] / 1e6:8.1f} "
                          f"{megabytes:7.0f} {ratio:6.2f}", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
