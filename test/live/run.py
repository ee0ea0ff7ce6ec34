#!/usr/bin/env python3
"""Tests reading beside a running QuestDB server: `make test-live`.

Starts a server on loopback and takes one group of scenarios (writers.py) after the other. In each, one thread per table
writes over HTTP, while processes with DuckDB and the extension query the tables (readers.py) and check every result
against what must hold (invariants.py). Then the server is read under a checkpoint, and killed while it writes.

A scan that starts again by itself is counted; DuckDB's log tells. An error that says that the query can be run again is
no failure: the query is run again, and counted. Nor is a clear error about a table that another thread has dropped or
renamed. Everything else is one: a wrong row, another error, a crash, no answer within a minute, a query that meets a
conflict 60 times in a row.

    run.py                                      one minute
    run.py --seconds 600 --seed 7
    run.py --short                              what `make test` runs
    run.py --writers 'out_of_order*' --readers full,stream
    run.py --snapshot none --writers 'out_of_order*'     without validation: must fail, or the test sees nothing
    run.py --overhead                           what validation costs on a table that nobody writes

Ends with 0 if all scenarios passed, 1 if not, 2 if it cannot run here.
"""

import argparse
import fnmatch
import json
import mmap
import os
import queue
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
sys.path.insert(0, str(REPO / "tools"))
sys.dont_write_bytecode = True

import duckdb

import questdb_server
import readers
import writers

EXTENSION = Path(os.environ.get("QUESTDB_EXTENSION", REPO / "build/release/questdb.duckdb_extension")).resolve()
FIXTURES = Path(os.environ.get("QUESTDB_FIXTURES", REPO / "build/fixtures")).resolve()
SERVER_SETTINGS = {
    "cairo.o3.partition.split.min.size": 4000,  # bytes: partitions of a few hundred rows are split
    "cairo.o3.last.partition.max.splits": 8,  # and soon squashed again
}
THREADS = (1, 2)  # of each reader's DuckDB
SILENCE = 60  # seconds without a word from a reader: it hangs
SHOWN = 2  # failures of one sort in one scenario that are printed in full

# Few tables at a time, so that many queries meet a commit to the table that they read.
GROUPS = (
    ("out_of_order_wal", "in_order_bypass", "truncate_bypass"),
    ("out_of_order_bypass", "dedup_wal", "recreate_wal"),
    ("in_order_wal", "update_wal", "columns_bypass"),
    ("drop_partition_wal", "truncate_wal", "symbols_bypass", "rename_bypass"),
    ("parquet_wal", "truncate_none", "recreate_bypass"),
    ("parquet_bypass", "columns_wal", "drop_partition_bypass", "in_order_none"),
    ("update_bypass", "symbols_wal", "rename_wal"),
)
SHORT = (
    ("out_of_order_wal", "out_of_order_bypass", "truncate_bypass"),
    ("dedup_wal", "update_wal", "columns_bypass", "recreate_wal"),
)
CHECKPOINT = ("out_of_order_wal", "out_of_order_bypass", "update_wal")  # TRUNCATE and DROP TABLE are refused meanwhile
KILL = ("in_order_wal", "out_of_order_wal", "out_of_order_bypass", "dedup_wal", "update_bypass", "symbols_bypass")


class Count:
    """What one scenario, or one kind of query, came to."""

    def __init__(self):
        self.outcomes = Counter()
        self.restarts = self.restarted = 0  # of scans; queries that had one
        self.rows = 0
        self.commits = 0
        self.failures = []
        self.slowest = 0.0

    def add(self, report):
        self.outcomes[report["outcome"]] += 1
        self.rows += report.get("rows", 0)
        self.restarts += len(report.get("restarts", ()))
        self.restarted += bool(report.get("restarts"))
        self.slowest = max(self.slowest, report.get("seconds", 0))

    @property
    def reads(self):
        return self.outcomes["ok"]

    @property
    def retry_rate(self):
        tries = self.reads + self.outcomes["conflict"]
        return 100 * self.outcomes["conflict"] / tries if tries else 0.0


class Results:
    """Counts of all scenarios, and the printing of failures as they come."""

    def __init__(self, seed):
        self.seed = seed
        self.scenarios = defaultdict(Count)
        self.kinds = defaultdict(Count)
        self.errors = Counter()  # that are allowed: (outcome, text)
        self.sorts = Counter()  # of failures
        self.lock = threading.Lock()

    def add(self, report):
        with self.lock:
            count = self.scenarios[report["scenario"]]
            count.add(report)
            self.kinds[report["end"]].add(report)
            reasons = [("restart", reason) for reason in report.get("restarts", ())]
            if report["outcome"] in ("conflict", "gone"):
                reasons.append((report["outcome"], report["error"].split(": ", 2)[-1]))
            for what, text in reasons:
                words = re.split(r" \(|\n", text)[0]
                self.errors[what, re.sub(r'"[^"]*"|[0-9]+', "…", words)] += 1
            if report["outcome"] == "failed":
                self._fail(report["scenario"], report)

    def fail(self, scenario, **report):
        with self.lock:
            self._fail(scenario, report)

    def _fail(self, scenario, report):
        self.scenarios[scenario].failures.append(report)
        what = (report.get("error") or "").split("\n")[0] or " ".join(problem["rule"] for problem in report.get("problems", ()))
        sort = scenario, re.sub(r'"[^"]*"|[0-9]+', "", what)[:100]
        self.sorts[sort] += 1
        if self.sorts[sort] > SHOWN:
            return
        print(f"FAILED {scenario}, seed {self.seed}" + (f", {report['end']} by a reader with {report['threads']} threads" if "end" in report else ""))
        for name in ("table", "sql", "error", "result", "output"):
            if report.get(name):
                print(f"    {name}: {report[name]}")
        for problem in report.get("problems", ()):
            print(f"    {problem['rule']}")
            for row in problem["rows"]:
                print(f"        {row}")
        sys.stdout.flush()

    def table(self):
        """The report; whether all passed."""
        print(f"\n{'scenario':24}{'commits':>8}{'reads':>8}{'rows':>12}{'restarts':>10}{'conflicts':>11}{'retry rate':>12}{'gone':>7}{'slowest':>9}{'failures':>10}")
        passed = failed = 0
        for name, count in self.scenarios.items():
            if count.outcomes["unsupported"] and not count.failures:
                print(f"{name:24}skipped: this build of the extension does not read Parquet partitions")
                continue
            idle = not count.failures and not count.reads
            passed, failed = (passed, failed + 1) if count.failures or idle else (passed + 1, failed)
            print(f"{name:24}{count.commits:8}{count.reads:8}{count.rows:12,}{count.restarts:10}{count.outcomes['conflict']:11}{count.retry_rate:11.2f}%{count.outcomes['gone']:7}"
                  f"{count.slowest:8.2f}s{len(count.failures) or ('no reads' if idle else 0):>10}")
        print(f"\n{'query':12}{'reads':>8}{'restarts':>10}{'conflicts':>11}{'retry rate':>12}{'slowest':>9}")
        for name, count in sorted(self.kinds.items()):
            if count.outcomes:
                print(f"{name:12}{count.reads:8}{count.restarts:10}{count.outcomes['conflict']:11}{count.retry_rate:11.2f}%{count.slowest:8.2f}s")
        total = sum(count.reads for count in self.scenarios.values())
        conflicts = sum(count.outcomes["conflict"] for count in self.scenarios.values())
        restarts, restarted = (sum(getattr(count, what) for count in self.scenarios.values()) for what in ("restarts", "restarted"))
        print(f"\n{total} reads, {sum(c.rows for c in self.scenarios.values()):,} rows, {sum(c.commits for c in self.scenarios.values())} commits, "
              f"{restarts} restarts in {restarted} queries ({100 * restarted / max(1, total + conflicts):.2f} %), "
              f"{conflicts} conflicts ({100 * conflicts / max(1, total + conflicts):.2f} % of the tries), seed {self.seed}")
        for (outcome, error), n in self.errors.most_common(16):
            print(f"{n:8}  {outcome}: {error}")
        print(f"{passed} passed, {failed} failed")
        return failed == 0 and passed > 0


class Reader:
    """A reader's process, its reports, and what becomes of it."""

    def __init__(self, run, number, threads):
        self.run, self.number, self.threads = run, number, threads
        self.closed = self.hung = False
        self.started = 0
        self.process = None
        self.start()

    def start(self):
        self.started += 1
        configuration = {
            "extension": str(EXTENSION), "threads": self.threads, "seed": f"{self.run.seed}/reader {self.number}/{self.started}",
            "progress": str(self.run.progress_path), "snapshot": self.run.options.snapshot, "kinds": self.run.kinds,
        }
        self.errors = open(self.run.root / f"reader-{self.number}-{self.started}.log", "w+b")
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "readers.py"), json.dumps(configuration)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env={**os.environ, "RUST_BACKTRACE": "1", "PYTHONDONTWRITEBYTECODE": "1"})
        self.begun = None  # the query at work
        self.done = queue.Queue()
        self.heard = time.monotonic()
        threading.Thread(target=self._listen, args=(self.process, self.done), daemon=True).start()
        self._wait(60)

    def command(self, command):
        """Has a command carried out; a crash or a hang is a failure, and the rest of the time goes to a new process."""
        ends = time.monotonic() + command.get("read", 0)
        while True:
            self.heard = time.monotonic()
            try:
                self.process.stdin.write(json.dumps(command).encode() + b"\n")
                self.process.stdin.flush()
                if self._wait(None):
                    return
            except (BrokenPipeError, ValueError):
                pass
            if self.closed:
                return
            self._failed()
            self.start()
            command = {**command, "read": ends - time.monotonic()} if "read" in command else None
            if command is None or command["read"] <= 0:
                return

    def close(self):
        self.closed = True
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process:
            self.process.stdin.close()
            self.errors.close()

    def _listen(self, process, done):
        for line in process.stdout:
            self.heard = time.monotonic()
            report = json.loads(line)
            if "begin" in report:
                self.begun = report
            elif "end" in report:
                self.begun = None
                self.run.results.add({**report, "scenario": self.run.scenario_of(report["table"]), "threads": self.threads})
            else:
                done.put(True)
        process.stdout.close()
        done.put(False)

    def _wait(self, seconds):
        ends = time.monotonic() + seconds if seconds else None
        while True:
            try:
                return self.done.get(timeout=1)
            except queue.Empty:
                if time.monotonic() - self.heard > SILENCE or (ends and time.monotonic() > ends):
                    self.process.send_signal(signal.SIGABRT)  # for the Python stack in its log
                    try:
                        self.process.wait(5)
                    except subprocess.TimeoutExpired:
                        self.process.kill()
                        self.process.wait()
                    self.hung = True
                    return False

    def _failed(self):
        code = self.process.wait()
        self.errors.seek(0)
        output = self.errors.read()[-3000:].decode("utf-8", "replace")
        begun = self.begun or {"table": "(no query)", "begin": "(none)", "sql": ""}
        what = f"no answer within {SILENCE} s" if self.hung else f"the process ended with {signal.Signals(-code).name if code < 0 else code}"
        self.hung = False
        self.run.results.fail(
            self.run.scenario_of(begun["table"]), end=begun["begin"], threads=self.threads, sql=begun.get("sql"), error=what, output=output)
        self.process.stdin.close()
        self.errors.close()


class Run:
    def __init__(self, options):
        self.options = options
        self.seed = options.seed
        self.results = Results(self.seed)
        self.kinds = [k for k in readers.KINDS if matches(k, options.readers)]
        self.groups = [chosen for group in (SHORT if options.short else GROUPS) if (chosen := [n for n in group if matches(n, options.writers)])]
        self.phases = [name for name in ("checkpoint", "kill_9") if matches(name, options.writers)]
        if "checkpoint" in self.phases and (options.snapshot or options.short):
            self.phases.remove("checkpoint")
        if not (self.groups or self.phases) or not self.kinds:
            scenarios = ", ".join([*writers.SCENARIOS, "checkpoint", "kill_9"])
            raise SystemExit(f"no such scenario or kind of query; scenarios: {scenarios}; queries: {', '.join(readers.KINDS)}")
        self.root = Path(tempfile.mkdtemp(prefix="run-", dir=made(REPO / "build" / "live")))
        self.progress_path = self.root / "progress"
        self.progress_path.write_bytes(bytes(16 * 64))
        with open(self.progress_path, "r+b") as file:
            self.progress = writers.Progress(mmap.mmap(file.fileno(), 0))
        self.server = questdb_server.Server(self.root / "server", SERVER_SETTINGS, heap="1g")
        self.readers = []
        self.writers = []
        self.as_scenario = None  # reports count for this one, whatever the table
        self.failed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for writer in self.writers:
            writer.crashing.set()
            writer.stopping.set()
        for reader in self.readers:
            reader.close()
        self.server.kill()
        for writer in self.writers:
            writer.join(10)
        if self.failed or self.options.keep:
            print(f"kept: {self.root}")
        else:
            shutil.rmtree(self.root, ignore_errors=True)

    def scenario_of(self, table):
        return self.as_scenario or table

    def go(self):
        groups, phases = self.groups, {name: getattr(self, name) for name in self.phases}
        self.server.start()
        self.readers = [Reader(self, number, threads) for number, threads in enumerate(THREADS)]
        seconds = self.options.seconds
        for name in phases:
            seconds -= self.phase_seconds
        slice_ = self.options.slice or min(10.0, max(2.0, seconds / max(1, len(groups))))
        rounds = max(1, round(seconds / (slice_ * len(groups)))) if groups else 0
        for number in range(rounds):
            for group in groups:
                self.group(group, number, slice_)
        for phase in phases.values():
            for number in range(max(1, int(self.options.seconds // 240))):
                phase(number)
        self.failed = any(count.failures for count in self.results.scenarios.values())

    @property
    def phase_seconds(self):
        return 3.0 if self.options.short else min(10.0, self.options.seconds / 10)

    # ---- parts of a run

    def prepare(self, names, label):
        """Writers of new tables, each with its first state."""
        self.writers = []
        for slot, name in enumerate(names):
            scenario = writers.scenario(name, f"{name}_{label}", self.seed)
            self.progress.set(slot, sent=0, acknowledged=0)
            writer = writers.Writer(self.server, scenario, self.progress, slot)
            self.results.scenarios[self.scenario_of(name)].commits += 0  # it is in the report from now on
            writer.prepare()
            self.writers.append(writer)
        return self.writers

    def specs(self):
        return [{
            "scenario": w.scenario.name, "table": w.scenario.table, "seed": self.seed, "slot": w.slot,
            "directory": str(self.server.directory(w.scenario.table)), "oldest": self.progress.acknowledged(w.slot),
        } for w in self.writers]

    def command_all(self, command):
        threads = [threading.Thread(target=reader.command, args=(command,)) for reader in self.readers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def end_writers(self):
        for writer in self.writers:
            writer.stopping.set()
        for writer in self.writers:
            writer.stop()
            count = self.results.scenarios[self.scenario_of(writer.scenario.name)]
            count.commits += writer.next
            if writer.is_alive():
                self.results.fail(writer.scenario.name, error="the writer does not end")
            if writer.error:
                self.results.fail(writer.scenario.name, error=f"the writer stopped at operation {writer.next}: {writer.error}")

    def drop_tables(self):
        """The server fails now and then to remove a directory in which it is deleting old files itself; what is left of
        the table then stands in the way of a checkpoint."""
        left = []
        for writer in self.writers:
            for _ in range(5):
                try:
                    writer.drop()
                    break
                except questdb_server.SqlError as error:
                    failure = error
                    time.sleep(0.5)
            else:
                print(f"{writer.scenario.table} was not dropped, its directory is removed: {failure}")
                left += writer.scenario.names()
        self.writers = []
        if left:
            self.server.stop()
            for name in left:
                shutil.rmtree(self.server.db / name, ignore_errors=True)
            self.server.start()

    def group(self, names, number, seconds):
        started = time.monotonic()
        before = sum(self.results.kinds[k].reads for k in readers.KINDS)
        self.prepare(names, number)
        specs = self.specs()
        for writer in self.writers:
            writer.start()
        self.command_all({"read": seconds, "tables": specs, "db": str(self.server.db)})
        self.end_writers()
        reads = sum(self.results.kinds[k].reads for k in readers.KINDS) - before
        print(f"{', '.join(names)}: {sum(w.next for w in self.writers)} commits, {reads} reads in {time.monotonic() - started:.1f} s", flush=True)
        self.drop_tables()

    def checkpoint(self, number):
        """While a checkpoint exists, every query gives the state at its creation and none ends in a conflict."""
        self.as_scenario = "checkpoint"
        names = [n for n in CHECKPOINT]
        self.prepare(names, f"checkpoint_{number}")
        for writer in self.writers:
            writer.start()
        time.sleep(1)
        specs = self.specs()
        self.server.query("CHECKPOINT CREATE")
        try:
            self.command_all({"read": self.phase_seconds, "tables": specs, "db": str(self.server.db), "checkpoint": True})
        finally:
            if self.server.running():
                self.server.query("CHECKPOINT RELEASE")
        self.command_all({"read": 1, "tables": specs, "db": str(self.server.db)})
        self.end_writers()
        self.drop_tables()
        print(f"checkpoint: {self.results.scenarios['checkpoint'].reads} reads", flush=True)
        self.as_scenario = None

    def kill_9(self, number):
        """The server is killed while it writes. The files must read at once, without a conflict, as a state that was committed, and then
        equal what the server says that is started on them; tables with a WAL after it has applied what was waiting."""
        self.as_scenario = "kill_9"
        self.prepare(KILL, f"kill_{number}")
        specs = self.specs()
        for writer in self.writers:
            writer.start()
        killer = threading.Timer(self.phase_seconds / 2 + random.Random(f"{self.seed}/{number}").random(), self.crash)
        killer.start()
        self.command_all({"read": self.phase_seconds, "tables": specs, "db": str(self.server.db)})
        killer.join()
        for writer in self.writers:
            writer.stop()
            self.results.scenarios["kill_9"].commits += writer.next
        crashed = made(self.root / f"crashed-{number}")
        once = {"once": str(crashed), "tables": specs, "db": str(self.server.db)}
        self.readers[-1].command(once)
        self.server.start()
        restarted = made(self.root / f"restarted-{number}")
        for writer in self.writers:
            writer.wait_applied()
        self.readers[0].command({**once, "once": str(restarted)})
        for writer in self.writers:
            name = writer.scenario.table
            said = self.root / f"{name}.parquet"
            said.write_bytes(self.server.exp_parquet(f"SELECT * FROM {name} LIMIT 9000000000"))
            for read, when in ((crashed, "before the restart"), (restarted, "after it")):
                if writer.scenario.wal and read is crashed:
                    continue
                if difference := compare(read / f"{name}.parquet", said):
                    self.results.fail("kill_9", table=name, error=f"what was read {when} is not what the restarted server says: {difference}")
        print(f"kill -9: {self.results.scenarios['kill_9'].reads} reads", flush=True)
        self.drop_tables()
        self.as_scenario = None

    def crash(self):
        for writer in self.writers:
            writer.crashing.set()
        self.server.kill()


def compare(ours, theirs):
    """How two Parquet files differ in rows or their order; None if they do not."""
    if not ours.exists():
        return f"{ours.name} was not written"
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    a, b = f"read_parquet('{ours}')", f"read_parquet('{theirs}')"
    counts = [con.execute(f"SELECT count(*) FROM {x}").fetchone()[0] for x in (a, b)]
    if counts[0] != counts[1]:
        return f"{counts[0]} rows, the server has {counts[1]}"
    columns = [row[0] for row in con.execute(f"DESCRIBE FROM {a}").fetchall()]
    values = ", ".join(f"{c}::TIMESTAMP AS {c}" if c == "ts" else c for c in columns)
    # Rows of one time have no order between them that means anything.
    ordered = f"SELECT {values} FROM {{}} ORDER BY ts, id"
    first = con.execute(f"SELECT * FROM ({ordered.format(a)}) EXCEPT ALL SELECT * FROM ({ordered.format(b)}) LIMIT 3").fetchall()
    order = con.execute(f"SELECT x.id, y.id FROM {a} x POSITIONAL JOIN {b} y WHERE x.ts IS DISTINCT FROM y.ts::TIMESTAMP LIMIT 3").fetchall()
    return f"rows that the server does not have: {first}" if first else f"another order (id, the server's): {order}" if order else None


def matches(name, patterns):
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns.split(","))


def made(directory):
    directory.mkdir(parents=True, exist_ok=True)
    return directory


# ---- what validation costs ----------------------------------------------------------------------


def overhead(options):
    """Scans of tables that nobody writes, with and without validation, in turn; and without twice, for the noise."""
    cases = ("trades_2m", "o3_many", "sym_high_card")
    query = "SELECT max(COLUMNS(*)) FROM {}"
    print(f"CPU time, all threads: medians of {options.rounds} scans of all columns; their ratio, that of the fastest ones, and of 'none' against itself")
    print(f"{'table':16}{'threads':>8}{'none':>11}{'validate':>11}{'ratio':>9}{'fastest':>9}{'noise':>9}")
    for name in cases:
        case = FIXTURES / name
        if not (case / "case.json").exists():
            print(f"{name:16}not there: make fixtures")
            continue
        path = case / "db" / json.loads((case / "case.json").read_text())["directory"]
        for threads in THREADS:
            con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
            con.execute(f"LOAD '{EXTENSION}'; SET threads = {threads}; SET enable_progress_bar = false")
            times = defaultdict(list)
            for i in range(options.rounds + 2):
                modes = [("none", "none"), ("validate", "validate"), ("again", "none")]
                for label, mode in modes[i % 3:] + modes[:i % 3]:
                    source = f"read_partitions('{path}', snapshot := '{mode}')"
                    started = time.process_time()
                    con.execute(query.format(source)).fetchall()
                    if i > 1:
                        times[label].append(time.process_time() - started)
            median = {label: statistics.median(t) for label, t in times.items()}
            print(f"{name:16}{threads:8}{1000 * median['none']:9.2f}ms{1000 * median['validate']:9.2f}ms{median['validate'] / median['none']:9.3f}"
                  f"{min(times['validate']) / min(times['none']):9.3f}{median['again'] / median['none']:9.3f}")
            con.close()
    return True


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, help="of reading, about (default 60, with --short 15)")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--writers", default="*", help="scenarios: patterns, separated by commas")
    parser.add_argument("--readers", default="*", help="kinds of queries: patterns, separated by commas")
    parser.add_argument("--short", action="store_true", help="a few scenarios, for make test")
    parser.add_argument("--slice", type=float, help="seconds that a group of tables is written")
    parser.add_argument("--snapshot", choices=("auto", "validate", "none"), help="given to read_partitions; 'none' shows that the test can fail")
    parser.add_argument("--keep", action="store_true", help="keep the server's directory")
    parser.add_argument("--overhead", action="store_true", help="measure instead of testing")
    parser.add_argument("--rounds", type=int, default=41, help="of --overhead")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (15 if options.short else 60)
    options.seed = options.seed if options.seed is not None else random.randrange(10**6)
    return options


def stop(*_):
    raise KeyboardInterrupt


def main(arguments):
    options = parse(arguments)
    if not EXTENSION.is_file():
        print(f"the extension is not there: {EXTENSION} (make release, or set QUESTDB_EXTENSION)", file=sys.stderr)
        return 2
    if options.overhead:
        return 0 if overhead(options) else 1
    try:
        questdb_server.require()
    except SystemExit as missing:
        print(missing, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, stop)
    print(f"seed {options.seed}, QuestDB {questdb_server.VERSION}, {EXTENSION}", flush=True)
    try:
        with Run(options) as run:
            run.go()
        return 0 if run.results.table() else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (questdb_server.ServerGone, questdb_server.SqlError, OSError, TimeoutError):
        traceback.print_exc()
        print("0 passed, 1 failed")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
