#!/usr/bin/env python3
"""Writing: `questdb_export` and `COPY … (FORMAT questdb_parquet)` against other writers of the same rows, in one run.

    bench_export.py [--rows 20000000] [--threads 1,2] [--repeat 3] [--systems E,C,D,S,L] [--codecs lz4_raw,zstd 1] [--quick]

E is questdb_export over the table directory, C the COPY format over a DuckDB table on disk, D DuckDB's Parquet writer over the same DuckDB
table, S the QuestDB server's COPY TO over the same table directory (needs Java), L polars from memory. All write row groups of the same
size (DuckDB rounds its own up to a multiple of 2048); S one file a day, as it does by itself, the others one file. The rows of every file
are counted and summed up before a time counts. The systems run in turn, in an order that rotates; the best round counts. A missed goal is
reported, a wrong file fails the run. The page goes to the terminal and to build/bench/export.md.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import make_table
from harness import BENCH_DIRECTORY, EXTENSION, REPOSITORY, connect, interleaved, literal, machine_facts, markdown_table, same_answer, seconds

sys.path.insert(0, str(REPOSITORY / "tools"))
import questdb_server  # noqa: E402

SYSTEMS = {"E": "questdb_export", "C": "COPY (FORMAT questdb_parquet)", "D": "DuckDB's COPY (FORMAT parquet)", "S": "QuestDB server's COPY TO", "L": "polars"}

# Options of E and of the two COPYs, of the server, of polars.
CODECS = {
    "lz4_raw": ("compression_codec := 'lz4_raw'", "COMPRESSION lz4_raw", "COMPRESSION_CODEC lz4_raw", {"compression": "lz4"}),
    "uncompressed": ("compression_codec := 'uncompressed'", "COMPRESSION uncompressed", "COMPRESSION_CODEC uncompressed", {"compression": "uncompressed"}),
    **{f"zstd {level}": (f"compression_codec := 'zstd', compression_level := {level}", f"COMPRESSION zstd, COMPRESSION_LEVEL {level}",
                         f"COMPRESSION_CODEC zstd COMPRESSION_LEVEL {level}", {"compression": "zstd", "compression_level": level}) for level in (1, 3, 9)},
}

# (system, other, at least so many times as fast, codecs)
SPEED_GOALS = [("E", "D", 5.0, "lz4_raw"), ("E", "S", 2.0, "lz4_raw"), ("C", "D", 1.5, "lz4_raw")]
SIZE_GOAL = 0.65


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.data = make_table.ensure(options.rows)
        self.table = next((Path(self.data) / "db").glob("trades*"))
        self.connection = connect(EXTENSION)
        self.connection.execute(f"ATTACH {literal(Path(self.data) / 'peers.duckdb')} AS peers (READ_ONLY)")
        columns = self.connection.execute("DESCRIBE peers.trades").fetchall()
        numbers = [f"sum({c[0]})" for c in columns if c[1] in ("BIGINT", "INTEGER", "DOUBLE", "FLOAT")]
        self.check = f"SELECT count(*), {', '.join(numbers)}, count(note), sum(length(note)) FROM "
        self.expected = self.connection.execute(self.check + "peers.trades").fetchall()
        self.rows = self.expected[0][0]
        self.server = self.frame = None

    def write(self, system, codec, threads):
        """Seconds for one export; the file is checked, and its size kept."""
        ours, copy, theirs, polars = CODECS[codec]
        path = self.folder / f"{system}.parquet"
        path.unlink(missing_ok=True)
        size = self.options.row_group_size
        run = self.connection.execute
        if system == "E":
            sql = (f"SELECT sum(rows) FROM questdb_export({literal(self.table)}, {literal(path)}, mode := 'single_file', "
                   f"row_group_size := {size}, {ours})")
            elapsed = seconds(lambda: run(sql).fetchall())
        elif system == "C":
            sql = f"COPY (FROM peers.trades) TO {literal(path)} (FORMAT questdb_parquet, ROW_GROUP_ROWS {size}, {copy})"
            elapsed = seconds(lambda: run(sql))
        elif system == "D":
            sql = f"COPY (FROM peers.trades) TO {literal(path)} (FORMAT parquet, ROW_GROUP_SIZE {size}, {copy})"
            elapsed = seconds(lambda: run(sql))
        elif system == "L":
            elapsed = seconds(lambda: self.frame.write_parquet(path, row_group_size=size, **polars))
        else:
            out = self.server.root / "export" / "S"
            shutil.rmtree(out, ignore_errors=True)
            elapsed = seconds(lambda: self.server.copy(f"COPY trades TO 'S' WITH FORMAT PARQUET {theirs} ROW_GROUP_SIZE {size}"))
            path = f"{out}/*.parquet"
        found = run(self.check + literal(path)).fetchall()
        if not same_answer(found, self.expected):
            raise SystemExit(f"{SYSTEMS[system]}, {codec}: the file holds other rows: {found}, expected {self.expected}")
        files = Path(path).parent.glob(Path(path).name)
        self.sizes[codec, system] = sum(file.stat().st_size for file in files)
        return elapsed

    def run(self):
        """Best times by (threads, codec, system), sizes by (codec, system)."""
        self.sizes, times = {}, {}
        for threads in self.options.threads:
            self.connection.execute(f"SET threads = {threads}")
            systems = [s for s in self.options.systems if s != "L" or threads == self.options.threads[-1]]
            if "S" in systems:
                workers = {name: threads for name in ("shared.query.worker.count", "shared.write.worker.count")}
                self.server = questdb_server.Server(self.data, workers, heap="2g").start()
            try:
                if "L" in systems:
                    self.frame = self.connection.sql("FROM peers.trades").pl()
                for codec in self.options.codecs:
                    actions = {s: lambda s=s: self.write(s, codec, threads) for s in systems}
                    for system, found in interleaved(actions, self.options.repeat).items():
                        times[threads, codec, system] = min(found)
            finally:
                if self.server:
                    self.server.stop()
                    shutil.rmtree(self.server.root / "export", ignore_errors=True)
                    self.server = None
        return times


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help=f"rows of the table (default {make_table.DEFAULT_ROWS}; 2000000 with --quick)")
    parser.add_argument("--threads", default="1,2", help="threads of each system; polars takes what it finds, and runs once")
    parser.add_argument("--repeat", type=int, help="the best of this many counts (default 3; 1 with --quick)")
    parser.add_argument("--row-group-size", type=int, default=100_000)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--codecs", help="default: all; lz4_raw with --quick")
    parser.add_argument("--quick", action="store_true", help="a small table, one codec, one round: does it work, roughly how fast")
    options = parser.parse_args()
    options.rows = options.rows or (2_000_000 if options.quick else make_table.DEFAULT_ROWS)
    options.repeat = options.repeat or (1 if options.quick else 3)
    options.threads = [int(t) for t in options.threads.split(",")]
    options.systems = options.systems.split(",")
    options.codecs = (options.codecs or ("lz4_raw" if options.quick else ",".join(CODECS))).split(",")
    if "S" in options.systems and questdb_server.find() is None:
        options.systems.remove("S")
    return options


def page(bench, times):
    options = bench.options
    yield "# Writing Parquet: benchmark"
    facts = machine_facts() + [
        ("systems", "; ".join(f"{s} = {SYSTEMS[s]}" for s in options.systems)),
        ("data", f"{bench.rows} trades, row groups of {options.row_group_size}"),
        ("times", f"best of {options.repeat}, systems in turn; million rows a second")]
    yield "\n".join(f"- {name}: {text}" for name, text in facts)
    header = ["codec, threads", *options.systems, *(f"E / {s}" for s in options.systems if s in "DS"), "C / D"]
    rows = []
    for threads in options.threads:
        for codec in options.codecs:
            def speed(system):
                best = times.get((threads, codec, system))
                return bench.rows / best / 1e6 if best else None

            def ratio(a, b):
                return f"{speed(a) / speed(b):.2f}" if speed(a) and speed(b) else ""
            rows.append([f"{codec}, {threads}", *(f"{speed(s):.1f}" if speed(s) else "" for s in options.systems),
                         *(ratio("E", s) for s in options.systems if s in "DS"), ratio("C", "D")])
    yield markdown_table(header, rows)
    sizes = [[codec, *(f"{bench.sizes[codec, s] / 1e6:.0f}" for s in options.systems)] for codec in options.codecs]
    yield "Megabytes:\n\n" + markdown_table(["codec", *options.systems], sizes)
    goals = []
    for system, other, factor, codec in SPEED_GOALS:
        for threads in options.threads:
            best = [times.get((threads, codec, s)) for s in (system, other)]
            if all(best):
                reached = best[1] / best[0]
                goals.append(f"- {system} ≥ {factor} × {other}, {codec}, threads {threads}: {reached:.2f}, {'reached' if reached >= factor else 'missed'}")
    if {"E", "D"} <= set(options.systems) and "lz4_raw" in options.codecs:
        share = bench.sizes["lz4_raw", "E"] / bench.sizes["lz4_raw", "D"]
        goals.append(f"- file ≤ {SIZE_GOAL:.0%} of D: {share:.0%}, {'reached' if share <= SIZE_GOAL else 'missed'}")
    yield "\n".join(goals)


def main():
    options = arguments()
    BENCH_DIRECTORY.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="export", dir=BENCH_DIRECTORY))
    try:
        bench = Bench(options, folder)
        text = "\n\n".join(part for part in page(bench, bench.run()) if part)
    finally:
        shutil.rmtree(folder)
    print(text)
    (BENCH_DIRECTORY / "export.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
