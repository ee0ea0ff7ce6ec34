"""A reader: a process with DuckDB and the extension, which queries tables while they are written and checks every result.

    readers.py CONFIGURATION        started by run.py; CONFIGURATION is JSON: extension, threads, seed, progress, snapshot, kinds

It takes commands as JSON lines from its standard input and reports as JSON lines on its standard output:

    {"read": seconds, "tables": […], "db": …}    random queries until the time is over; with "checkpoint", all of the server's checkpoint
    {"once": folder, "tables": […], "db": …}     every kind of query once on each table, which nobody writes; a Parquet copy in `folder`
    → {"begin": kind, "table": …, "sql": …}      before each query, so that a crash or a hang can be told
    → {"end": kind, "table": …, "outcome": "ok" | "conflict" | "gone" | "unsupported" | "failed", "rows": …, …}
    → {"done": …}                                the command is over

Whatever it is told to run, a table is {"scenario", "table", "seed", "slot", "directory"} (see writers.py).
"""

import faulthandler
import json
import mmap
import os
import random
import re
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import duckdb
import pyarrow as pa
import pyarrow.parquet

import writers
from invariants import BATCH, DAY, Model, Problem, bad_row

BIND_SHARED = 10  # seconds: a statement that is bound and not executed lends its snapshot to the next one for 0.1 s, not counting waits for a processor
RETRIES = 60  # conflicts of one query in a row before it counts as starved
CONFLICT = re.compile(r"run (the query|it) again", re.IGNORECASE)
GONE = re.compile(
    r'has no table|dropped, renamed or created again|(?<!partition )directory does not exist|not a QuestDB table directory: expected files _meta and _txn, found neither'
    r'|file does not exist \(table "[^"]*", file "[^"]*/_(meta|txn|cv|name)"')  # not: the file of a column
CATALOGUE = ("tables", "partitions", "symbols", "described")
UNSUPPORTED = re.compile(r"stored as Parquet, which is not supported yet", re.IGNORECASE)


class Wrong(Exception):
    """A result that breaks invariants."""

    def __init__(self, problems, result=None):
        super().__init__("; ".join(p.rule for p in problems))
        self.problems, self.result = problems, result


class Table:
    """A table as this reader knows it."""

    def __init__(self, spec, db):
        self.spec, self.db = spec, db
        self.scenario = writers.scenario(spec["scenario"], spec["table"], spec["seed"])
        self.model = Model(self.scenario)
        self.slot, self.directory = spec["slot"], spec["directory"]
        self.prepared = False
        self.lent = (-BIND_SHARED, 0)  # when a statement was bound without being executed, and what was acknowledged before that
        self.frozen = None  # the state that a checkpoint holds
        self.oldest = spec.get("oldest")  # it is at least this one


class Reader:
    def __init__(self, configuration):
        self.random = random.Random(configuration["seed"])
        self.snapshot = configuration["snapshot"]
        self.kinds = configuration["kinds"]
        self.threads = configuration["threads"]
        with open(configuration["progress"], "rb") as file:
            self.progress = writers.Progress(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        self.con.execute(f"LOAD {text(configuration['extension'])}")
        self.con.execute(f"SET TimeZone = 'UTC'; SET threads = {self.threads}; SET enable_progress_bar = false")
        self.con.execute("CALL enable_logging(level := 'info')")  # the extension notes restarts there
        self.tables = []
        self.db = None
        self.still = False  # nobody writes: conflicts are failures

    # ---- commands

    def begin(self, command):
        for table in self.tables:
            table.model.close()
        self.db = command["db"]
        self.still = "once" in command
        self.checkpoint = command.get("checkpoint", False)
        self.tables = [Table(spec, self.db) for spec in command["tables"]]

    def read(self, command):
        self.begin(command)
        ends = time.monotonic() + command["read"]
        while time.monotonic() < ends:
            table = self.random.choice(self.tables)
            self.query(self.choose(table), table, ends)
        return {"done": "read"}

    def once(self, command):
        self.begin(command)
        for table in self.tables:
            for kind in KINDS:
                if kind in self.kinds and KINDS[kind].suits(table):
                    self.query(kind, table, time.monotonic() + 60)
            path = f"{command['once']}/{table.scenario.table}.parquet"
            say({"begin": "copy", "table": table.scenario.name, "sql": path})
            try:
                self.con.execute(f"COPY (FROM {self.source(table)}) TO {text(path)} (FORMAT parquet)")
            except duckdb.Error as error:
                say({"end": "copy", "table": table.scenario.name, "outcome": "failed", "rows": 0, "tries": 1, "seconds": 0,
                     "error": f"{type(error).__name__}: {error}"})
        return {"done": "once"}

    def choose(self, table):
        kinds = [k for k in KINDS if k in self.kinds and KINDS[k].suits(table) and not (self.checkpoint and not KINDS[k].checkpoint)]
        return self.random.choices(kinds, [KINDS[k].weight for k in kinds])[0]

    # ---- one query

    def query(self, kind, table, ends):
        """Runs it until it succeeds, and reports each try."""
        state = self.random.getstate()
        for tries in range(1, RETRIES + 1):
            self.random.setstate(state)  # the same query again
            self.sql = ""
            started = time.monotonic()
            report = {"end": kind, "table": table.scenario.name, "tries": tries, "rows": 0}
            try:
                self.acknowledged = self.known(table)
                if self.checkpoint:
                    self.acknowledged = table.oldest if table.frozen is None else table.frozen
                report["rows"] = KINDS[kind].run(self, table)
                if self.checkpoint:
                    self.check_frozen(table)
                report["outcome"] = "ok"
                if kind not in CATALOGUE:  # what was lent to this session is given back when a scan is executed
                    for other in self.tables:
                        other.lent = (-BIND_SHARED, 0)
            except Wrong as wrong:
                report |= {"outcome": "failed", "problems": [p.as_json() for p in wrong.problems], "result": self.keep(wrong.result)}
            except duckdb.Error as error:
                report |= self.classify(error, table)
                self.bound_only(table)
            except Exception as error:  # a check met a value that it cannot even compute with
                report |= {"outcome": "failed", "problems": [Problem(f"{type(error).__name__}: {error}", []).as_json()]}
            if report["outcome"] == "failed":
                report["sql"] = self.sql
            if report["outcome"] == "conflict" and tries == RETRIES:
                report |= {"outcome": "failed", "sql": self.sql, "error": f"{tries} conflicts in a row, the last one: {report['error']}"}
            report["seconds"] = round(time.monotonic() - started, 4)
            report["restarts"] = self.restarts()
            say(report)
            if report["outcome"] == "gone":
                time.sleep(0.005)
            if report["outcome"] != "conflict" or time.monotonic() > ends:
                return

    def restarts(self):
        """Why scans of the last query started again, each time."""
        found = self.con.execute("SELECT message FROM duckdb_logs WHERE type = 'QuestDB' AND message LIKE '%: restart %'").fetchall()
        self.con.execute("CALL truncate_duckdb_logs()")
        return [message.split("first row: ", 1)[-1] for (message,) in found]

    def known(self, table):
        """The operation whose effect the next query must see."""
        since, before = table.lent
        return before if time.monotonic() - since < BIND_SHARED else self.progress.acknowledged(table.slot)

    def bound_only(self, table):
        """Says that a statement was bound, perhaps, and not executed: CREATE VIEW, PREPARE, an error in the second mention."""
        table.lent = (time.monotonic(), self.acknowledged)

    def classify(self, error, table):
        message = f"{type(error).__name__}: {error}"
        if isinstance(error, duckdb.NotImplementedException) and UNSUPPORTED.search(message):
            return {"outcome": "unsupported", "error": message}
        if isinstance(error, (duckdb.InternalException, duckdb.FatalException)) or "should not" in message:
            return {"outcome": "failed", "error": message}
        if self.still or self.checkpoint:
            return {"outcome": "failed", "error": message}
        if isinstance(error, (duckdb.TransactionException, duckdb.IOException)) and CONFLICT.search(message):
            return {"outcome": "conflict", "error": message}
        if table.scenario.may_be_gone and isinstance(error, (duckdb.IOException, duckdb.InvalidInputException)) and GONE.search(message):
            return {"outcome": "gone", "error": message}
        return {"outcome": "failed", "error": message}

    def check_frozen(self, table):
        """Under a checkpoint every query sees the same state."""
        if table.frozen is not None and table.model.floor != table.frozen:
            raise Wrong([Problem("another state under the same checkpoint", [f"after operation {table.model.floor}, before that {table.frozen}"])])
        table.frozen = table.model.floor

    def keep(self, result):
        """A copy of a wrong result for whoever looks into it."""
        if result is None or not result.num_rows:
            return None
        path = f"{self.db}/../wrong-{self.threads}-{time.time_ns()}.parquet"
        try:
            pa.parquet.write_table(result, path)
        except (pa.ArrowException, OSError):
            return None
        return path

    def source(self, table, name_too=True, **parameters):
        """The table in FROM: by path or by name, or as a plain path where that says the same."""
        scenario = table.scenario
        snapshot = "checkpoint" if self.checkpoint and self.random.random() < 0.5 else self.snapshot
        if snapshot:
            parameters["snapshot"] = text(snapshot)
        named = not scenario.by_path or self.random.random() < 0.2
        if not named and not parameters and not scenario.may_be_gone and self.random.random() < 0.3:
            return text(table.directory)
        if named:
            parameters["table_name"] = text(self.random.choice(scenario.names()))
        more = "".join(f", {name} := {value}" for name, value in parameters.items())
        return f"read_partitions({text(table.db if named else table.directory)}{more})"

    def run(self, sql, table, kind):
        self.sql = sql
        say({"begin": kind, "table": table.scenario.name, "sql": sql})
        return self.con.execute(sql)

    def arrow(self, sql, table, kind):
        return self.run(sql, table, kind).to_arrow_table()

    def sent(self, table):
        return self.progress.sent(table.slot)

    def check(self, problems, result=None):
        if problems:
            raise Wrong(problems, result)

    def condition(self, table, kind):
        """A random condition that some rows satisfy."""
        pick = self.random
        first, last = table.scenario.time_range(self.acknowledged)
        a, b = sorted(pick.randint(first, last) for _ in range(2))
        if pick.random() < 0.4:
            b = min(b, a + 7_200_000_000)
        known = max(0, table.scenario.last_batch_after(self.acknowledged))
        number = pick.randint(0, known)
        id_ = number * BATCH + pick.randrange(table.scenario.batches_from(number, number + 1)[0].n)
        time_conditions = (
            f"ts >= make_timestamp({a}) AND ts < make_timestamp({b})",
            f"ts BETWEEN make_timestamp({a}) AND make_timestamp({b})",
            f"ts > make_timestamp({a})",
            f"ts <= make_timestamp({b})",
            f"ts::DATE = DATE '{writers.date(a)}'",
            f"(ts < make_timestamp({a}) OR ts >= make_timestamp({b}))",
        )
        if kind == "time":
            return pick.choice(time_conditions)
        if kind == "symbol":
            symbols = [f"s{pick.randrange(8)}", f"v{id_}", f"v{id_ + 1}", f"e{pick.randrange(4)}s{pick.randrange(7)}", f"s{pick.randrange(7)}"]
            own = f"v{id_}" if table.scenario.name.startswith("symbols") else symbols[0]
            return pick.choice((
                f"sym = '{own}'", f"sym IN ({', '.join(text(s) for s in symbols)})", "sym IS NULL", f"sym <> '{own}'", f"sym LIKE '{own[:2]}%'",
                f"sym = '{own}' AND {pick.choice(time_conditions)}"))
        return pick.choice((
            f"id = {id_}", f"id BETWEEN {id_ - 50} AND {id_ + 2 * BATCH}", f"qty = {id_ % 1000}", f"price > {id_ / 4 - 10} AND qty < 500", "txt IS NULL",
            f"note = 'note of row {id_}'", "note LIKE 'note%'", f"qty IN (1, 2, 3, {id_ % 1000}) AND {pick.choice(time_conditions)}", "price IS NULL OR qty > 900"))


# ---- the kinds of queries; each gives the number of rows that it read ------------------------------


def full(reader, table):
    result = reader.arrow(f"SELECT * FROM {reader.source(table)}", table, "full")
    reader.check(table.model.whole(result, reader.acknowledged, reader.sent(table)), result)
    return result.num_rows


def columns(reader, table):
    some = reader.random.choice((
        ("ts",), ("id",), ("id", "sym"), ("sym",), ("ts", "id"), ("note", "id"), ("id", "txt", "arr"), ("ts", "id", "n", "chk"), ("price", "qty", "id", "n"),
        ("id", "arr"), ("n", "id", "ts", "note", "sym")))
    if reader.random.random() < 0.4:
        some = (*some, *{"update": ("g1", "gs", "gt", "g2", "h1"), "truncate": ("epoch",), "recreate": ("epoch",), "columns": ("turn",)}.get(
            table.scenario.name.rsplit("_", 1)[0], ()))
    if table.scenario.name.startswith(("truncate", "recreate")) and "sym" in some:
        some = (*dict.fromkeys((*some, "id", "epoch")),)
    result = reader.arrow(f"SELECT {', '.join(some)} FROM {reader.source(table)}", table, "columns")
    reader.check(table.model.whole(result, reader.acknowledged, reader.sent(table)), result)
    return result.num_rows


def stream(reader, table):
    """Takes its time: rows are out before the scan is over, so that a conflict must end the query."""
    sql = f"SELECT * FROM {reader.source(table)}"
    reader.sql = sql
    say({"begin": "stream", "table": table.scenario.name, "sql": sql})
    batches = []
    pause = reader.random.choice((0, 0.002, 0.02))
    try:
        arrow = reader.con.sql(sql).to_arrow_reader(2048)
        for batch in arrow:
            batches.append(batch)
            time.sleep(pause)
    except (duckdb.Error, OSError, pa.ArrowException) as error:
        if batches:  # what was handed out before must be right all the same
            part = pa.Table.from_batches(batches)
            reader.check(table.model.rows(part), part)
        # Arrow's stream hands errors on as its own, with the text only.
        raise error if isinstance(error, duckdb.Error) else as_duckdb(error) from None
    result = pa.Table.from_batches(batches) if batches else arrow.schema.empty_table()
    reader.check(table.model.whole(result, reader.acknowledged, reader.sent(table)), result)
    return result.num_rows


def as_duckdb(error):
    message = str(error)
    for start, kind in (("TransactionContext Error", duckdb.TransactionException), ("IO Error", duckdb.IOException),
                        ("Not implemented Error", duckdb.NotImplementedException), ("INTERNAL Error", duckdb.InternalException)):
        if start in message:
            return kind(message)
    return duckdb.Error(message)


def compared(kind):
    """A condition, against all that must be there."""

    def run(reader, table):
        condition = reader.condition(table, kind)
        result = reader.arrow(f"SELECT * FROM {reader.source(table)} WHERE {condition}", table, kind)
        # IN with a list can become a hash join, which does not keep the order.
        problems = table.model.filtered(result, condition, reader.acknowledged, reader.sent(table), ordered=" IN (" not in condition)
        reader.check(problems, result)
        return result.num_rows

    return run


def twice(reader, table):
    """A condition beside the same condition where nothing can use it to skip rows, in one query and so in one state."""
    condition = reader.condition(table, reader.random.choice(("time", "symbol", "value")))
    source = reader.source(table)
    [row] = reader.run(
        f"SELECT a.rows, b.rows, a.ids, b.ids, b.every FROM (SELECT count(*) AS rows, sum(id) AS ids FROM {source} WHERE {condition}) a, "
        f"(SELECT count(*) FILTER ({condition}) AS rows, sum(id) FILTER ({condition}) AS ids, count(*) AS every FROM {source}) b", table, "twice").fetchall()
    if row[0] != row[1] or row[2] != row[3]:
        reader.check([Problem("a filter and the same aggregate differ (rows, rows, sum of ids, sum of ids, all rows)", [row])])
    return 2 * row[4]


def old(reader, table):
    """The day that the writer leaves alone: its rows, and no conflicts because of the other days."""
    condition = f"ts < make_timestamp({writers.START + DAY})"
    result = reader.arrow(f"SELECT * FROM {reader.source(table)} WHERE {condition}", table, "old")
    reader.check(table.model.filtered(result, condition, reader.acknowledged, reader.sent(table)), result)
    return result.num_rows


def aggregate(reader, table):
    bad = bad_row(table.scenario.columns, [c.name for c in table.scenario.columns])
    [(rows, wrong, times, batches, total, newest)] = reader.run(
        f"SELECT count(*), count(*) FILTER ({bad}), count(DISTINCT ts), count(DISTINCT id // {BATCH}), coalesce(sum(DISTINCT id // {BATCH}), 0), max(id) // {BATCH} "
        f"FROM {reader.source(table)}", table, "aggregate").fetchall()
    if wrong:
        reader.check([Problem("values of a row do not belong together", [f"{wrong} of {rows} rows"])])
    if not table.scenario.dedup:
        reader.check(table.model.totals(rows, batches, total, newest, reader.acknowledged, reader.sent(table)))
    elif rows != times:
        reader.check([Problem("several rows of one key", [f"{rows} rows, {times} keys"])])
    return rows


def group(reader, table):
    rows = reader.run(
        f"SELECT id // {BATCH} AS batch, count(*), min(id % {BATCH}), max(id % {BATCH}) FROM {reader.source(table)} GROUP BY batch", table, "group").fetchall()
    reader.check(table.model.batches({batch: rest for batch, *rest in rows}, reader.acknowledged, reader.sent(table)))
    return sum(row[1] for row in rows)


def ctas(reader, table):
    reader.run(f"CREATE OR REPLACE TABLE copied AS FROM {reader.source(table)}", table, "ctas")
    result = reader.con.execute("FROM copied").to_arrow_table()
    reader.check(table.model.whole(result, reader.acknowledged, reader.sent(table)), result)
    return result.num_rows


def limit(reader, table):
    rows = table.scenario.totals_after(reader.acknowledged)[0]
    n, offset = reader.random.choice((1, 10, 3000)), reader.random.choice((0, reader.random.randint(0, max(1, rows))))
    result = reader.arrow(f"SELECT * FROM {reader.source(table)} LIMIT {n} OFFSET {offset}", table, "limit")
    problems = table.model.rows(result)
    if result.num_rows > n or (table.scenario.grows and not table.scenario.dedup and result.num_rows < min(n, rows - offset)):
        problems.append(Problem(f"LIMIT {n} OFFSET {offset} of at least {rows} rows", [f"{result.num_rows} rows"]))
    reader.check(problems, result)
    return result.num_rows


def self_join(reader, table):
    source = reader.source(table)
    result = reader.arrow(
        f"SELECT a.id, b.id AS other, a.ts, b.ts AS other_ts FROM {source} a FULL JOIN {source} b ON a.id = b.id AND a.ts = b.ts AND a.chk = b.chk "
        "WHERE a.id IS NULL OR b.id IS NULL", table, "self_join")
    if result.num_rows:
        reader.check([Problem(f"{result.num_rows} rows of one side of a self-join only", result.slice(0, 6).to_pylist())])
    return table.scenario.totals_after(reader.acknowledged)[0] * 2


def union(reader, table):
    source = reader.source(table)
    result = reader.arrow(
        f"SELECT id, count(*) AS times FROM (SELECT id, sym FROM {source} UNION ALL SELECT id, sym FROM {source}) GROUP BY id, sym HAVING times <> 2", table, "union")
    if result.num_rows:
        reader.check([Problem(f"{result.num_rows} rows that the two halves of UNION ALL do not share", result.slice(0, 6).to_pylist())])
    return table.scenario.totals_after(reader.acknowledged)[0] * 2


def cte(reader, table):
    how = reader.random.choice(("MATERIALIZED", "NOT MATERIALIZED"))
    [(first, second)] = reader.run(
        f"WITH t AS {how} (FROM {reader.source(table)}) SELECT (SELECT [count(*), sum(id), max(chk)] FROM t), "
        "(SELECT [count(*), sum(id), max(chk)] FROM t WHERE ts IS NOT NULL)", table, "cte").fetchall()
    if first != second:
        reader.check([Problem("one CTE, two states (rows, sum of ids, greatest chk)", [first, second])])
    return int(first[0]) * 2


def prepared(reader, table):
    """Prepared once and executed again and again: a new state each time."""
    name = f"prepared_{table.slot}"
    if not table.prepared:
        epoch = ", epoch" if any(c.name == "epoch" for c in table.scenario.columns) else ""
        reader.run(f"PREPARE {name} AS SELECT id, ts, n, sym, note, chk{epoch} FROM {reader.source(table)} WHERE id >= $1", table, "prepared")
        table.prepared = True
        reader.bound_only(table)
    result = reader.arrow(f"EXECUTE {name}(0)", table, "prepared")
    reader.check(table.model.whole(result, reader.acknowledged, reader.sent(table)), result)
    return result.num_rows


def view(reader, table):
    name = f"view_{table.slot}"
    reader.run(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT id, ts, chk, n FROM {reader.source(table)}", table, "view")
    reader.bound_only(table)
    for _ in range(2):
        reader.acknowledged = reader.known(table)
        result = reader.arrow(f"FROM {name}", table, "view")
        reader.check(table.model.whole(result, reader.acknowledged, reader.sent(table)), result)
    return result.num_rows


def numbered(reader, table):
    """Row numbers without a gap, and each row in the partition of its time."""
    result = reader.arrow(f"SELECT id, ts, n, chk, file_row_number, partition FROM {reader.source(table, file_row_number='true', partition='true')}", table, "numbered")
    problems = table.model.whole(result, reader.acknowledged, reader.sent(table))
    table.model.use(result)
    found = table.model.con.execute(
        "SELECT * FROM (SELECT *, row_number() OVER () - 1 AS position FROM r) WHERE file_row_number <> position "
        "OR (partition <> 'default' AND left(partition, 10) <> strftime(ts, '%Y-%m-%d')) LIMIT 6").fetchall()
    if found:
        problems.append(Problem("row number or partition of a row", found))
    reader.check(problems, result)
    return result.num_rows


def enum(reader, table):
    result = reader.arrow(f"SELECT id, ts, sym, n, chk FROM {reader.source(table, symbols=text('enum'))}", table, "enum")
    reader.check(table.model.whole(result, reader.acknowledged, reader.sent(table)), result)
    return result.num_rows


def tables(reader, table):
    """questdb_tables: each table consistent in itself, and all tables there."""
    rows = reader.run(f"SELECT table_name, row_count, epoch_us(min_timestamp), epoch_us(max_timestamp), pending_wal_txns, error FROM questdb_tables({text(table.db)})",
                      table, "tables").fetchall()
    listed = {name: rest for name, *rest in rows}
    names = [name for name in table.scenario.names() if name in listed]
    if not names and not table.scenario.may_be_gone:
        reader.check([Problem("the table is not listed", sorted(listed))])
    if not names:
        return 0
    if len(names) > 1 and not table.scenario.may_be_gone:
        reader.check([Problem("a table under two names", names)])
    count, first, last, pending, error = listed[names[0]]
    if error is not None:
        if table.scenario.may_be_gone:
            return 0
        raise duckdb.IOException(error) if CONFLICT.search(error) else Wrong([Problem("questdb_tables reports an error", [error])])
    if pending is not None and pending < 0:
        reader.check([Problem("a negative number of waiting transactions", [pending])])
    if table.scenario.dedup or len(names) > 1:
        return 0
    floor = max(reader.acknowledged, table.model.floor)
    states = [j for j in range(floor, reader.sent(table) + 1) if table.scenario.totals_after(j)[0] == count]
    if not states:
        reader.check([Problem(f"row_count of no state after the operations {floor} to {reader.sent(table)}", [
            f"{count}; {table.scenario.totals_after(floor)[0]} to {table.scenario.totals_after(reader.sent(table))[0]} were expected"])])
    if table.scenario.grows:
        range_ = table.scenario.time_range(states[0])
        if (first, last) != range_:
            reader.check([Problem("min_timestamp or max_timestamp of another state than row_count", [(first, last), "must be", range_])])
        table.model.floor = states[0]
    return 0


def partitions(reader, table):
    rows = reader.run(f"SELECT epoch_ns(min_timestamp), epoch_ns(max_timestamp), num_rows, is_parquet FROM questdb_partitions({text(table.directory)}) WHERE attached",
                      table, "partitions").fetchall()
    if table.scenario.partition_by != "NONE":
        reader.check(table.model.partitions([row[:3] for row in rows], reader.acknowledged, reader.sent(table)))
    return 0


def symbols(reader, table):
    rows = reader.run(f"FROM questdb_symbols({text(table.directory)}, 'sym')", table, "symbols").fetchall()
    values = [value for _, value in rows]
    known = "v" if table.scenario.name.startswith("symbols") else "s"
    wrong = [row for i, row in enumerate(rows) if row[0] != i or not re.fullmatch(rf"{known}\d+", row[1])]
    if len(set(values)) != len(values):
        wrong.append("a symbol twice")
    if known == "v":  # every row has its own: as many as rows, in the order of rows
        total = table.scenario.totals_after(reader.acknowledged)[0]
        if len(values) < total:
            wrong.append(f"{len(values)} symbols of at least {total}")
    reader.check([Problem("symbols (key, value)", wrong)] if wrong else [])
    return 0


def described(reader, table):
    rows = reader.run(f"SELECT column_name, type FROM questdb_columns({text(table.directory)})", table, "described").fetchall()
    names = {row[0] for row in rows}
    lost = {c.name for c in table.scenario.columns} - names
    reader.check([Problem("columns that were never dropped are missing", [sorted(lost)])] if lost else [])
    return 0


class Kind:
    """A kind of query: how to run and check it, how often, and for which tables."""

    def __init__(self, run, weight, suits=lambda table: True, checkpoint=False):
        self.run, self.weight, self.suits = run, weight, suits
        self.checkpoint = checkpoint  # it finds out which state was read


def grows(table):
    return table.scenario.grows and not table.scenario.dedup


def by_path(table):
    return table.scenario.by_path and not table.scenario.may_be_gone


KINDS = {
    "full": Kind(full, 4, checkpoint=True),
    "columns": Kind(columns, 4),
    "stream": Kind(stream, 4, checkpoint=True),
    "time": Kind(compared("time"), 4, lambda t: t.scenario.grows),
    "symbol": Kind(compared("symbol"), 3, grows),
    "value": Kind(compared("value"), 3, grows),
    "old": Kind(old, 2, lambda t: isinstance(t.scenario, writers.OutOfOrder)),
    "twice": Kind(twice, 3),
    "aggregate": Kind(aggregate, 4),
    "group": Kind(group, 3, checkpoint=True),
    "ctas": Kind(ctas, 2, checkpoint=True),
    "limit": Kind(limit, 2),
    "self_join": Kind(self_join, 2),
    "union": Kind(union, 2),
    "cte": Kind(cte, 2),
    "prepared": Kind(prepared, 2),
    "view": Kind(view, 1),
    "numbered": Kind(numbered, 2, checkpoint=True),
    "enum": Kind(enum, 1, grows),
    "tables": Kind(tables, 2),
    "partitions": Kind(partitions, 2, lambda t: grows(t) and by_path(t)),
    "symbols": Kind(symbols, 1, lambda t: grows(t) and by_path(t)),
    "described": Kind(described, 1, by_path),
}


def text(value):
    return "'" + str(value).replace("'", "''") + "'"


def say(report):
    sys.stdout.write(json.dumps(report, default=str) + "\n")
    sys.stdout.flush()


def main():
    os.nice(5)  # the server comes first: more commits, and more of them in the middle of a scan
    faulthandler.enable()
    warnings.simplefilter("ignore")
    reader = Reader(json.loads(sys.argv[1]))
    say({"done": "start"})
    for line in sys.stdin:
        command = json.loads(line)
        say(reader.read(command) if "read" in command else reader.once(command))


if __name__ == "__main__":
    main()
