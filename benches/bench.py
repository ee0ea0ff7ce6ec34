#!/usr/bin/env python3
"""Reading: `read_partitions` against DuckDB's own table and its Parquet file of the same rows, in one run.

    bench.py [--rows 20000000] [--threads 1,2] [--repeat 5] [--only 'group*,create*'] [--systems Q,N,P] [--quick]

Q is this extension over the QuestDB table directory, N a DuckDB table on disk, P an lz4 Parquet file written by
DuckDB; all in one process, with warm caches. Each query's answer is compared between the systems first, and every value
of every table before that. Goals are those of the project; a missed goal is reported, a wrong answer fails the run.
The page goes to the terminal and to build/bench/results.md, all times to build/bench/results.json.
"""

import argparse
import fnmatch
import hashlib
import json
import string
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import make_table
from harness import (BENCH_DIRECTORY, EXTENSION, bandwidth, connect, interleaved, literal, machine_facts, markdown_table, milliseconds, peak_memory,
                     same_answer, seconds)

SYSTEMS = {"Q": "read_partitions", "N": "DuckDB table", "P": "Parquet lz4"}


# ---- goals ----------------------------------------------------------------------------------------
# A goal looks at the results of one thread count and answers (what it compares, whether it is reached).


def at_most(times, other):
    def check(run, name):
        ratio = run.best(name, "Q") / run.best(name, other)
        return f"≤ {times} × {other}: {ratio:.2f}", ratio <= times
    check.needs = {other}
    return check


def faster(times, other):
    def check(run, name):
        ratio = run.best(name, other) / run.best(name, "Q")
        return f"≥ {times} × faster than {other}: {ratio:.1f}", ratio >= times
    check.needs = {other}
    return check


def share_of_bandwidth(share, bytes_per_row):
    def check(run, name):
        reached = run.rows * bytes_per_row / run.best(name, "Q") / 1e9
        return (f"≥ {share:.0%} of {run.bandwidth['sum']:.1f} GB/s: {reached:.1f} = {reached / run.bandwidth['sum']:.0%} "
                f"({reached / run.ceiling:.0%} of the executor's ceiling)", reached >= share * run.bandwidth["sum"])
    check.needs = set()
    return check


def share_of(share, whole):
    def check(run, name):
        part = run.best(name, "Q") / run.best(whole, "Q")
        return f"≤ {share:.0%} of {whole}: {part:.1%}", part <= share
    check.needs = set()
    check.needs_query = whole
    return check


def within(limit):
    def check(run, name):
        time = run.best(name, "Q")
        return f"≤ {limit * 1000:.0f} ms: {milliseconds(time)}", time <= limit
    check.needs = set()
    return check


# ---- queries --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """A statement with {trades}, {ticks1000}, {many_partitions} for the tables, {converted} for Parquet partitions, and constants (see constants())."""
    name: str
    sql: str
    goals: tuple = ()
    before: tuple = ()      # statements run before each measured one, and after
    after: tuple = ()
    answer: str = ""        # a query whose result is compared, when that is not the statement's own
    compared: bool = True
    slow: bool = False      # left out with --quick, and repeated twice at most
    memory: bool = False    # its memory is measured

    def fields(self):
        return {field for _, field, _, _ in string.Formatter().parse(self.sql + self.answer) if field}


SCRATCH = BENCH_DIRECTORY / "scratch.duckdb"
NEW_TABLE = "SELECT count(*), sum(hash(rowid, {columns})) FROM {copy}"  # every value, and the order of the rows

QUERIES = [
    Query("count(*)", "SELECT count(*) FROM {trades}"),
    Query("all columns", "SELECT count(*), {aggregates} FROM {trades}", (at_most(1.0, "N"), faster(3, "P")), memory=True),
    Query("sum(price)", "SELECT sum(price) FROM {trades}", (share_of_bandwidth(0.7, 8),), memory=True),
    Query("sum of numbers", "SELECT sum(price), sum(amount), max(ts) FROM {trades}"),
    Query("group by sym", "SELECT {sym}, count(*), sum(price) FROM {trades} GROUP BY ALL ORDER BY ALL", (at_most(1.0, "N"),), memory=True),
    Query("group by 2 syms", "SELECT {sym}, side, count(*), sum(price) FROM {trades} GROUP BY ALL ORDER BY ALL"),
    Query("distinct sym", "SELECT count(DISTINCT {sym}) FROM {trades}", (at_most(1.0, "N"),)),
    Query("group by sym of 1000", "SELECT sym, count(*), sum(price) FROM {ticks1000} GROUP BY ALL ORDER BY ALL", (at_most(1.0, "N"),)),
    Query("distinct sym of 1000", "SELECT count(DISTINCT sym) FROM {ticks1000}", (at_most(1.0, "N"),)),
    Query("filter sym", "SELECT count(*), sum(amount) FROM {trades} WHERE {sym} = '{symbol}'", (at_most(1.0, "N"),)),
    Query("filter sym and price", "SELECT count(*), sum(amount) FROM {trades} WHERE {sym} = '{symbol}' AND price > {price}", (at_most(1.0, "N"),)),
    Query("filter to all columns", "SELECT count(*), {aggregates} FROM {trades} WHERE {sym} = '{symbol}' AND price > {price}", (at_most(1.0, "N"),), memory=True),
    Query("filter price", "SELECT count(*), sum(amount) FROM {trades} WHERE price > {price}"),
    Query("1 % of time", "SELECT count(*), {aggregates} FROM {trades} WHERE ts >= {start} AND ts < {end}", (share_of(0.03, "all columns"),)),
    Query("one minute", "SELECT count(*), {aggregates} FROM {trades} WHERE ts BETWEEN {start} AND {soon}"),
    Query("last 10 by time", "SELECT * FROM {trades} ORDER BY ts DESC LIMIT 10"),
    Query("limit 10", "SELECT * FROM {trades} LIMIT 10"),
    Query("limit 10 offset 3/4", "SELECT * FROM {trades} LIMIT 10 OFFSET {offset}"),
    Query("create table in memory", "CREATE TABLE copied AS FROM {trades}", (at_most(1.1, "N"),), after=("DROP TABLE copied",),
          answer=NEW_TABLE.replace("{copy}", "copied")),
    Query("create table in a file", "CREATE TABLE scratch.copied AS FROM {trades}", (at_most(1.1, "N"),), before=(f"ATTACH {literal(SCRATCH)} AS scratch",),
          after=("DETACH scratch",), answer=NEW_TABLE.replace("{copy}", "scratch.copied"), slow=True),
    Query("Parquet: count(*)", "SELECT count(*) FROM {converted}"),
    Query("Parquet: sum(price)", "SELECT sum(price) FROM {converted}", (at_most(1.0, "P"),)),
    Query("Parquet: sum of numbers", "SELECT sum(price), sum(amount), epoch_us(max(ts)) FROM {converted}", (at_most(1.0, "P"),)),
    Query("Parquet: group by sym", "SELECT {sym}, count(*), sum(price) FROM {converted} GROUP BY ALL ORDER BY ALL", (at_most(1.0, "P"),)),
    Query("Parquet: distinct sym", "SELECT count(DISTINCT {sym}) FROM {converted}", (at_most(1.0, "P"),)),
    Query("Parquet: text", "SELECT sum(length(note)) FROM {converted}", (at_most(1.0, "P"),)),
    Query("Parquet: all columns", "SELECT count(*), {plain_aggregates} FROM {converted}", (at_most(1.0, "P"),)),
    Query("Parquet: filter sym", "SELECT count(*), sum(amount) FROM {converted} WHERE {sym} = '{symbol}'", (faster(1, "P"),)),
    Query("Parquet: one minute", "SELECT count(*), {plain_aggregates} FROM {converted} WHERE ts BETWEEN {start} AND {soon}", (faster(1, "P"),)),
    Query("bind 10 000 partitions", "DESCRIBE FROM {many_partitions}", (within(0.05),)),
    Query("plan 1 h of 10 000", "EXPLAIN SELECT sum(price) FROM {many_partitions} WHERE ts >= {last_hour}", (within(0.05),), compared=False),
    Query("read 1 h of 10 000", "SELECT count(*), sum(price), max(sym) FROM {many_partitions} WHERE ts >= {last_hour}"),
    Query("count 10 000", "SELECT count(*) FROM {many_partitions}"),
    Query("read 10 000", "SELECT count(*), sum(price), sum(length(note)), max(sym), max(ts) FROM {many_partitions}"),
]

# "all columns" must read every value of every column, strings too; min and max alone could come from statistics.
AGGREGATES = {"TIMESTAMP": "max({})", "LONG": "sum({})", "INT": "sum({})", "DOUBLE": "sum({})", "SYMBOL": "max({})", "VARCHAR": "sum(length({}))"}


# ---- data -----------------------------------------------------------------------------------------


class Data:
    """The tables of one directory made by make_table.py, as each system names them."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.truth = json.loads((self.directory / "truth.json").read_text())
        self.tables = self.truth["tables"]

    def attach(self):
        return f"ATTACH {literal(self.directory / 'peers.duckdb')} AS peers (READ_ONLY)"

    def relation(self, system, table):
        return {
            "Q": f"read_partitions({literal(self.directory / self.tables[table]['directory'])})",
            "N": f"peers.{table}",
            "P": f"read_parquet({literal(self.directory / (table + '.parquet'))})",
        }[system]

    def relations(self, system):
        relations = {table: self.relation(system, table) for table in self.tables}
        if converted := self.truth.get("converted"):
            path = self.directory / converted
            # Both read the files that the server wrote; DuckDB has no table of them.
            relations |= {"Q": {"converted": f"read_partitions({literal(path)})"}, "N": {},
                          "P": {"converted": f"read_parquet({literal(path / '*' / 'data.parquet')})"}}[system]
        return relations

    def constants(self, connection):
        """What the queries compare with, taken from the rows themselves."""
        columns = self.tables["trades"]["columns"]
        sym = "sym" if "sym" in columns else "symbol"
        rows = self.tables["trades"]["rows"]
        first, last = connection.execute("SELECT epoch_us(min(ts)), epoch_us(max(ts)) FROM peers.trades").fetchone()
        start = first + (last - first) * 45 // 100
        [symbol] = connection.execute(f"SELECT {sym} FROM peers.trades LIMIT 1 OFFSET {rows // 2}").fetchone()
        [price] = connection.execute("SELECT round(avg(price), 2) FROM peers.trades").fetchone()
        constants = {
            "sym": sym, "symbol": symbol, "price": price, "offset": rows * 3 // 4, "columns": ", ".join(columns),
            "aggregates": ", ".join(AGGREGATES[kind].format(name) for name, kind in columns.items()),
            # The server's Parquet files have times with a zone, which are other values to Python.
            "plain_aggregates": ", ".join(("epoch_us(max({}))" if kind == "TIMESTAMP" else AGGREGATES[kind]).format(name) for name, kind in columns.items()),
            "start": timestamp(start), "end": timestamp(start + (last - first) // 100), "soon": timestamp(start + 60_000_000),
        }
        if "many_partitions" in self.tables:
            [last] = connection.execute("SELECT epoch_us(date_trunc('hour', max(ts))) FROM peers.many_partitions").fetchone()
            constants["last_hour"] = timestamp(last)
        return constants

    def price_files(self):
        return sorted((self.directory / self.tables["trades"]["directory"]).glob("*/price.d"))


def timestamp(microseconds):
    whole, fraction = divmod(microseconds, 1_000_000)
    moment = datetime.fromtimestamp(whole, timezone.utc)
    return f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}.{fraction:06d}'"


# ---- one run --------------------------------------------------------------------------------------


class Run:
    """The results at one number of threads."""

    def __init__(self, threads, systems, rows, bandwidth, ceiling):
        self.threads, self.systems, self.rows, self.bandwidth, self.ceiling = threads, systems, rows, bandwidth, ceiling
        self.times = {}      # query name → system → seconds of each repetition
        self.problems = {}   # query name → text

    def best(self, name, system):
        return min(self.times[name][system])

    def has(self, name, system):
        return system in self.times.get(name, {})

    def goals(self, query):
        """(text, reached) of each goal of the query; those that compare with something that was not to run are left out."""
        for goal in query.goals:
            whole = getattr(goal, "needs_query", query.name)
            if {"Q", *goal.needs} <= set(self.systems) and whole in self.times:
                if self.has(query.name, "Q") and self.has(whole, "Q") and all(self.has(query.name, system) for system in goal.needs):
                    yield goal(self, query.name)
                else:
                    yield "no time to judge by", False


class Bench:
    def __init__(self, data, systems, extension):
        self.data, self.systems = data, systems
        self.extension = extension if "Q" in systems else None
        self.connection = connect(self.extension, [data.attach()])
        self.constants = data.constants(self.connection)
        self.relations = {system: data.relations(system) for system in systems}

    def sql(self, query, system, part="sql"):
        return getattr(query, part).format(**self.relations[system], **self.constants)

    def possible(self, query):
        return any(self.answers(query, system) for system in self.systems)

    def answers(self, query, system):
        """Whether the system has the tables of the query."""
        return query.fields() <= {*self.constants, *self.relations[system]}

    def compare_tables(self):
        """Every value of every table, between the systems; the problems as texts."""
        problems = []
        for table, facts in self.data.tables.items():
            columns = ", ".join(facts["columns"])
            hashes = {}
            for system in self.systems:
                try:
                    hashes[system] = self.connection.execute(
                        f"SELECT count(*), sum(hash({columns})) FROM {self.relations[system][table]}").fetchall()
                except Exception as error:
                    hashes[system] = problems.append(f"{table}: {system}: {first_line(error)}")
            seen = {str(h) for h in hashes.values() if h}
            if len(seen) > 1:
                problems.append(f"{table}: the systems have different rows: {hashes}")
        return problems

    def ceiling(self, repeat):
        """GB/s of DuckDB's sum(price) over doubles that lie uncompressed in its memory: no scan can make the query faster."""
        self.connection.execute("CREATE OR REPLACE TABLE in_memory AS SELECT price FROM peers.trades")
        times = [seconds(lambda: self.connection.execute("SELECT sum(price) FROM in_memory").fetchall()) for _ in range(repeat + 1)]
        self.connection.execute("DROP TABLE in_memory")
        return 8 * self.data.tables["trades"]["rows"] / min(times) / 1e9

    def run(self, query, run, repeat):
        """Compares the answers, then times the systems that gave the right one."""
        answers = {}
        for system in filter(lambda system: self.answers(query, system), self.systems):
            try:
                answers[system] = self.once(query, system)
            except Exception as error:  # one broken query must not hide the others' times
                run.problems[query.name] = f"{system}: {first_line(error)}"
                self.clean(query)
        reference = next((answers[s] for s in ("N", "P", "Q") if s in answers), None)
        for system in list(answers):
            if query.compared and not same_answer(answers[system], reference):
                run.problems[query.name] = f"{system} is WRONG: {str(answers.pop(system))[:200]} instead of {str(reference)[:200]}"
        run.times[query.name] = interleaved({system: (lambda s=system: self.timed(query, s)) for system in answers}, min(repeat, 2) if query.slow else repeat)

    def once(self, query, system):
        self.execute(query.before)
        rows = self.connection.execute(self.sql(query, system)).fetchall()
        if query.answer:
            rows = self.connection.execute(self.sql(query, system, "answer")).fetchall()
        self.clean(query)
        return rows

    def timed(self, query, system):
        sql = self.sql(query, system)
        self.execute(query.before)
        time = seconds(lambda: self.connection.execute(sql).fetchall())
        self.clean(query)
        return time

    def execute(self, statements):
        for statement in statements:
            self.connection.execute(statement)

    def clean(self, query):
        for statement in query.after:
            try:
                self.connection.execute(statement)
            except Exception:  # after a failure there may be nothing to drop
                pass
        if query.before:
            SCRATCH.unlink(missing_ok=True)
            SCRATCH.with_name(SCRATCH.name + ".wal").unlink(missing_ok=True)

    def memory(self, query, system, threads):
        """Peak memory of the query over the whole table and over its first tenth, in MB."""
        statements = [self.data.attach(), f"SET threads = {threads}"]
        first_tenth = "(FROM {} WHERE ts < {})".format(self.relations[system]["trades"], self.tenth())
        for relation in (self.relations[system]["trades"], first_tenth):
            sql = query.sql.format(**{**self.relations[system], **self.constants, "trades": relation})
            own, mapped = peak_memory(sql, self.extension, statements)
            yield own / 1e6, mapped / 1e6

    def tenth(self):
        [moment] = self.connection.execute(
            f"SELECT epoch_us(ts) FROM peers.trades LIMIT 1 OFFSET {self.data.tables['trades']['rows'] // 10}").fetchone()
        return timestamp(moment)


def first_line(error):
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


# ---- the page -------------------------------------------------------------------------------------


def results_table(run, queries, systems):
    header = ["query", *(f"{s}, ms" for s in systems), *(["Q / N"] if {"Q", "N"} <= set(systems) else []), *(["P / Q"] if {"Q", "P"} <= set(systems) else []), "goals"]
    rows = []
    for query in queries:
        def ratio(a, b):
            return f"{run.best(query.name, a) / run.best(query.name, b):.2f}" if run.has(query.name, a) and run.has(query.name, b) else "–"
        row = [query.name, *(milliseconds(run.best(query.name, s)) if run.has(query.name, s) else "–" for s in systems)]
        row += [ratio("Q", "N")] if {"Q", "N"} <= set(systems) else []
        row += [ratio("P", "Q")] if {"Q", "P"} <= set(systems) else []
        notes = [f"{'✓' if reached else '✗ MISSED'} {text}" for text, reached in run.goals(query)]
        notes += [f"**{run.problems[query.name]}**"] if query.name in run.problems else []
        rows.append([*row, "; ".join(notes).replace("|", "\\|")])
    return markdown_table(header, rows)


def memory_table(bench, queries, threads):
    rows = []
    for query in queries:
        if not query.memory:
            continue
        for system in bench.systems:
            try:
                (whole, whole_mapped), (tenth, _) = bench.memory(query, system, threads)
                rows.append([f"{query.name}, {system}", f"{whole:.1f}", f"{tenth:.1f}", f"{whole_mapped:.0f}", ""])
            except RuntimeError as error:
                rows.append([f"{query.name}, {system}", "–", "–", "–", str(error)[:200]])
    return markdown_table(["query, system", "whole table, MB", "its first tenth, MB", "with mapped files, MB", ""], rows)


def bandwidth_line(run):
    return ", ".join(f"{way} {value:.1f}" for way, value in run.bandwidth.items())


def describe_data(data):
    parts = [f"`{name}` {facts['rows']:,} rows, {facts['partitions']:,} partitions, {directory_size(data.directory / facts['directory']) / 1e6:,.0f} MB"
             for name, facts in data.tables.items()]
    files = [f"{path.name} {path.stat().st_size / 1e6:,.0f} MB" for path in sorted(data.directory.iterdir()) if path.suffix in (".duckdb", ".parquet")]
    return f"{data.truth['server']}: {'; '.join(parts)}. DuckDB: {', '.join(files)}"


def directory_size(directory):
    """Bytes on disk of what the table consists of (files of running or preallocated size count as they are stored)."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())


def extension_fact(extension):
    content = extension.read_bytes()
    return f"{extension.name}, {len(content) / 1e6:.1f} MB, sha256 {hashlib.sha256(content).hexdigest()[:12]}"


# ---- the command ----------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help=f"rows of the tables (default {make_table.DEFAULT_ROWS}; 2000000 with --quick)")
    parser.add_argument("--threads", default="1,2", help="DuckDB's `threads`, one run for each (default 1,2)")
    parser.add_argument("--repeat", type=int, help="the best of this many counts (default 5; 3 with --quick)")
    parser.add_argument("--only", default="*", help="names of queries, with wildcards, separated by commas")
    parser.add_argument("--systems", default="Q,N,P", help="which systems to run (default Q,N,P)")
    parser.add_argument("--extension", type=Path, default=EXTENSION)
    parser.add_argument("--output", type=Path, default=BENCH_DIRECTORY / "results.md")
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument("--quick", action="store_true", help="small tables, few repetitions, no memory: does it work, roughly how fast")
    options = parser.parse_args()
    options.systems = options.systems.split(",")
    options.threads = [int(t) for t in options.threads.split(",")]
    options.rows = options.rows or (2_000_000 if options.quick else make_table.DEFAULT_ROWS)
    options.repeat = options.repeat or (3 if options.quick else 5)
    if unknown := set(options.systems) - set(SYSTEMS):
        parser.error(f"no such system: {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}")
    if "Q" in options.systems and not options.extension.exists():
        parser.error(f"{options.extension} does not exist: build it first (make release), or measure DuckDB alone with --systems N,P")
    return options


def main():
    options = arguments()
    data = Data(make_table.ensure(options.rows))
    bench = Bench(data, options.systems, options.extension)
    names = options.only.split(",")
    queries = [q for q in QUERIES if bench.possible(q) and not (q.slow and options.quick) and any(fnmatch.fnmatch(q.name, n) for n in names)]
    if not queries:
        raise SystemExit(f"No query is called {options.only}; there are: {', '.join(q.name for q in QUERIES)}")
    facts = machine_facts() + ([("extension", extension_fact(options.extension))] if "Q" in options.systems else []) + [
        ("data", describe_data(data)), ("systems", "; ".join(f"{s} = {SYSTEMS[s]}" for s in options.systems)),
        ("times", f"best of {options.repeat}, warm caches, systems in turn")]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    page = []

    def say(text):
        """One part of the page: printed at once, and kept."""
        page.append(text)
        print(text, end="\n\n", flush=True)
        options.output.write_text("\n\n".join(page) + "\n")

    say("# Reading QuestDB tables: benchmark")
    say("\n".join(f"- {name}: {text}" for name, text in facts))
    problems = bench.compare_tables()
    say("\n".join(f"- **{text}**" for text in problems) or "Every value of every table is the same in all systems.")
    runs = []
    for threads in options.threads:
        bench.connection.execute(f"SET threads = {threads}")
        run = Run(threads, options.systems, data.tables["trades"]["rows"], bandwidth(data.price_files(), threads, options.repeat),
                  bench.ceiling(options.repeat))
        runs.append(run)
        for query in queries:
            bench.run(query, run, options.repeat)
        say(f"## threads = {threads}")
        say(f"Memory bandwidth beside it, GB/s over the bytes of `price` (see harness.bandwidth): {bandwidth_line(run)}. "
            f"DuckDB's own sum(price) over uncompressed doubles in memory: {run.ceiling:.1f}, the executor's ceiling.")
        say(results_table(run, queries, options.systems))
    if not (options.no_memory or options.quick):
        threads = options.threads[-1]
        say(f"## Memory, threads = {threads}")
        say("Highest growth of a fresh process's memory during the query. A scan that needs memory by threads and not by rows shows about the same "
            "for the whole table as for a tenth of it.")
        say(memory_table(bench, queries, threads))
    reached = [result for run in runs for query in queries for _, result in run.goals(query)]
    wrong = problems + [text for run in runs for text in run.problems.values()]
    if reached:
        say(f"{sum(reached)} of {len(reached)} goals reached; {len(wrong)} errors or wrong answers.")
    options.output.with_suffix(".json").write_text(json.dumps({
        "facts": dict(facts), "rows": options.rows, "problems": problems,
        "runs": [{"threads": r.threads, "bandwidth": r.bandwidth, "ceiling": r.ceiling, "times": r.times, "problems": r.problems} for r in runs]}, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
