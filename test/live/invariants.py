"""What must hold in every result that was read beside a running server, and the checks of it.

The rows are made so that one result shows whether it mixes two states; nobody has to ask the server.

* **A row says what it must be.** `id = batch * BATCH + position`; every other column is a function of `id`, `ts` and
  `n` (rows in the batch), and `chk` ties these together. A row with values of two states breaks one of them.
* **The plan says what was inserted.** Scenarios are deterministic (writers.py), so a reader knows `n`, the first
  timestamp and the step of every batch without having seen the statement.
* **A commit is there or not.** Each INSERT, UPDATE, ALTER is one transaction. QuestDB publishes a transaction of a
  BYPASS WAL table, and of a WAL table one or several whole ones, with one write of `_txn`, so batches are all or none.
  (9.3.4 has code to show the first rows, by time, of the last waiting WAL transactions early, "fast apply partial lag".
  It runs when applying several transactions at once has failed, for want of memory. No run of this test has met it.)
* **The set of batches is a state.** After operation `j` the table holds a known set of batches. What is read must be
  the state after some `j` that is not older than what the reader has seen, nor than what the server had acknowledged
  before the query began, nor newer than what had been sent when it ended.
* **Scenarios add their own**: two columns that one UPDATE sets, one epoch between two TRUNCATEs, one row per key.

`Model` is a reader's knowledge of one table. Its own DuckDB, without the extension, does the checking.
"""

import re
from dataclasses import dataclass

import duckdb

BATCH = 100_000  # ids of a batch are batch * BATCH + 0, 1, 2 …
HOUR = 3_600_000_000
DAY = 24 * HOUR
START = 1_709_251_200_000_000  # 2024-03-01, in microseconds
EVIDENCE = 6  # rows of a failure that are shown


@dataclass(frozen=True)
class Column:
    """A column whose value follows from the row's id, n (rows in its batch), us (its time) and epoch, in both dialects."""

    name: str
    type: str
    questdb: str
    duckdb: str
    needs: tuple = ("id",)


# All kinds of column files: fixed width of 2, 4 and 8 bytes, symbol, both string types, arrays. Values with NULL, the
# empty string, strings that VARCHAR keeps in its auxiliary file (up to 9 bytes) and ones that it does not.
BASE = (
    Column("ts", "TIMESTAMP", "us::timestamp", "make_timestamp(us)", ("ts",)),
    Column("id", "LONG", "id", "id"),
    Column("n", "INT", "n::int", "n::INTEGER", ("n",)),
    Column("sym", "SYMBOL", "CASE WHEN id % 17 = 16 THEN null ELSE 's' || (id % 7) END", "CASE WHEN id % 17 <> 16 THEN 's' || (id % 7) END"),
    Column("price", "DOUBLE", "CASE WHEN id % 13 = 5 THEN null ELSE id * 0.25 END", "CASE WHEN id % 13 <> 5 THEN id / 4::DOUBLE END"),
    Column("qty", "SHORT", "(id % 1000)::short", "(id % 1000)::SMALLINT"),
    Column("note", "VARCHAR",
           "CASE WHEN id % 5 = 0 THEN null WHEN id % 5 = 1 THEN 'n' || (id % 1000) WHEN id % 5 = 2 THEN '' "
           "WHEN id % 5 = 3 THEN 'note of row ' || id ELSE 'ü日' || id END",
           "CASE id % 5 WHEN 1 THEN 'n' || (id % 1000) WHEN 2 THEN '' WHEN 3 THEN 'note of row ' || id WHEN 4 THEN 'ü日' || id END"),
    Column("txt", "STRING", "CASE WHEN id % 3 = 0 THEN null ELSE 'text ' || id END", "CASE WHEN id % 3 <> 0 THEN 'text ' || id END"),
    Column("arr", "DOUBLE[]", "ARRAY[id::double, (id % 7)::double]", "[id::DOUBLE, (id % 7)::DOUBLE]"),
    Column("chk", "LONG", "us + id * 1000003 + n * 7919", "us::HUGEINT + id::HUGEINT * 1000003 + n::HUGEINT * 7919", ("chk", "id", "n", "ts")),
)


def replaced(columns, *changed):
    """`columns` with those of the same name exchanged, and the others added at the end."""
    by_name = {c.name: c for c in changed}
    out = [by_name.pop(c.name, c) for c in columns]
    return (*out, *by_name.values())


@dataclass(frozen=True)
class Batch:
    """The rows of one INSERT: row k has id number * BATCH + k and time base + k * step."""

    number: int
    n: int
    base: int
    step: int
    epoch: int = 0


@dataclass(frozen=True)
class Rule:
    """A query over the result `r` (and the model's `plan`) that gives the rows which break it. `whole`: holds only for
    results that are all rows of the table."""

    name: str
    needs: frozenset
    sql: str
    whole: bool = False


def rule(name, needs, sql, whole=False):
    return Rule(name, frozenset(needs.split()), sql, whole)


def same(name, first, second):
    """A rule of each row: two expressions over `r` are equal, NULL included."""
    return rule(name, " ".join(first.split() + second.split()), f"SELECT * FROM r WHERE {first} IS DISTINCT FROM {second}")


@dataclass
class Problem:
    """A broken invariant with the rows that show it."""

    rule: str
    rows: list

    def as_json(self):
        return {"rule": self.rule, "rows": [str(row) for row in self.rows[:EVIDENCE]]}


def bad_row(columns, available):
    """A condition over a scan: whether any column, of those that are available, has another value than it must have."""
    tests = [
        f"({c.name} IS DISTINCT FROM {c.duckdb})" for c in columns
        if c.name not in ("id", "n", "ts", "epoch") and {c.name, *c.needs} <= set(available)
    ]
    return re.sub(r"\bus\b", "epoch_us(ts)", " OR ".join(tests)) or "false"


class Model:
    """What one reader knows about one table: its plan, the newest state seen, and the checks."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.floor = 0  # the operation whose state was seen last
        self.con = duckdb.connect()
        self.con.execute("SET threads = 1; SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
        self.con.execute("CREATE TABLE plan (b BIGINT, n INTEGER, base BIGINT, step BIGINT, epoch INTEGER)")
        values = ", ".join(f"{c.duckdb} AS {c.name}" for c in scenario.columns if c.name != "epoch")
        rows = f"SELECT b * {BATCH} + k AS id, n, base + k * step AS us, epoch FROM (SELECT *, unnest(range(n)) AS k FROM plan WHERE b >= $1 AND b < $2)"
        self.values = f"SELECT {values}, epoch FROM ({rows})"
        self.con.execute(f"CREATE TABLE expected AS {self.values}", {"1": 0, "2": 0})
        self.planned = self.filled = 0

    def close(self):
        self.con.close()

    # ---- what must be there

    def plan(self, batches):
        """Knows the batches below this number, as far as the scenario has got to them."""
        if batches > self.planned:
            new = self.scenario.batches_from(self.planned, batches)
            if new:
                self.con.executemany("INSERT INTO plan VALUES (?, ?, ?, ?, ?)", [(b.number, b.n, b.base, b.step, b.epoch) for b in new])
                self.planned += len(new)

    def fill(self, batches):
        """Holds the rows of these batches in `expected`: for comparing filters."""
        self.plan(batches)
        if self.planned > self.filled:
            self.con.execute(f"INSERT INTO expected {self.values}", {"1": self.filled, "2": self.planned})
            self.filled = self.planned

    def state_of_batch(self, batch):
        """SQL of the rows of the table right after this batch (tables that only grow, and deduplicated ones)."""
        self.fill(batch + 1)
        rows = f"SELECT * FROM expected WHERE id < {(batch + 1) * BATCH}"
        return f"SELECT * FROM ({rows}) QUALIFY id = max(id) OVER (PARTITION BY ts)" if self.scenario.dedup else rows

    # ---- checks; each gives a list of problems

    def use(self, result):
        """Makes an Arrow table the result `r` under test."""
        self.con.register("r", result)
        return set(result.column_names)

    def rows(self, result, ordered=True):
        """Rows by themselves, and their order. For any part of the table."""
        names = self.use(result)
        self.plan(self.newest(names) + 1)
        problems = []
        bad = bad_row([c for c in self.scenario.columns if c.name in names], names)
        found = self.con.execute(f"SELECT * FROM r WHERE {bad} LIMIT {EVIDENCE}").fetchall()
        if found:
            problems.append(Problem("values of a row do not belong together", found))
        if {"id", "ts"} <= names:
            also = "".join(f" OR r.{c} <> plan.{c}" for c in ("n", "epoch") if c in names)
            found = self.con.execute(
                f"SELECT r.* FROM r LEFT JOIN plan ON plan.b = r.id // {BATCH} WHERE plan.b IS NULL OR r.id % {BATCH} >= plan.n OR r.id < 0{also} "
                f"OR epoch_us(r.ts) <> plan.base + (r.id % {BATCH}) * plan.step LIMIT {EVIDENCE}").fetchall()
            if found:
                problems.append(Problem("rows that were never inserted", found))
        if "id" in names:
            found = self.con.execute(f"SELECT id, count(*) FROM r GROUP BY id HAVING count(*) > 1 LIMIT {EVIDENCE}").fetchall()
            if found:
                problems.append(Problem("a row that was inserted once is there several times (id, times)", found))
        if ordered and "ts" in names:
            found = self.con.execute(
                "SELECT row, before, ts FROM (SELECT row_number() OVER () AS row, lag(ts) OVER () AS before, ts FROM r) "
                f"WHERE ts IS NULL OR before > ts LIMIT {EVIDENCE}").fetchall()
            if found:
                problems.append(Problem("timestamps descend in storage order (row, time before, time)", found))
        return problems + self._rules(names, whole=False)

    def whole(self, result, acknowledged, sent, ordered=True):
        """A result that must be all rows of the table in one state."""
        problems = self.rows(result, ordered)
        names = self.use(result)
        if "id" in names:
            counts = self.con.execute(
                f"SELECT id // {BATCH}, count(*), min(id % {BATCH}), max(id % {BATCH}) FROM r GROUP BY ALL").fetchall()
            problems += self.batches({b: rest for b, *rest in counts}, acknowledged, sent)
        return problems + self._rules(names, whole=True) + self.mark(names, acknowledged, sent)

    def batches(self, counts, acknowledged, sent):
        """`counts`: batch → [rows, first position, last position]. They must be the state after one operation."""
        if self.scenario.dedup:
            return self._dedup_batches(counts, acknowledged, sent)
        problems = []
        self.plan(max(counts, default=-1) + 1)
        sizes = dict(self.con.execute("SELECT b, n FROM plan").fetchall())
        torn = [(b, *c, sizes.get(b)) for b, c in sorted(counts.items()) if c[0] != sizes.get(b) or c[1] != 0 or c[2] != c[0] - 1]
        if torn:
            problems.append(Problem("batches that are there in part (batch, rows, first, last, rows of the batch)", torn))
        state = self.state(signature(counts), max(acknowledged, self.floor), sent)
        if state is not None:
            self.floor = state
        elif not torn:
            problems.append(self._no_state(counts, acknowledged, sent))
        return problems

    def state(self, wanted, first, last):
        """The first operation of this range after which the table's batches are `wanted`."""
        for j in range(first, last + 1):
            if self.scenario.signature_after(j) == wanted:
                return j
        return None

    def _no_state(self, counts, acknowledged, sent):
        first = max(acknowledged, self.floor)
        there = self.scenario.present_after(first)
        lost, more = sorted(there - set(counts)), sorted(set(counts) - there)
        older = self.state(signature(counts), 0, first - 1)
        return Problem(
            f"not a state of the table after any of the operations {first} to {sent}"
            + (f", but the older one after operation {older} (acknowledged {acknowledged}, seen {self.floor})" if older is not None else ""),
            [f"batches missing since: {lost[:20]}", f"batches more than then: {more[:20]}", f"batches in the result: {len(counts)}"])

    def _dedup_batches(self, counts, acknowledged, sent):
        newest = max(counts, default=-1)
        floor = max(acknowledged, self.floor)
        if newest < self.scenario.last_batch_after(floor):
            return [Problem(f"an older state than the one after operation {floor}", [f"newest batch {newest}"])]
        if newest > self.scenario.last_batch_after(sent):
            return [Problem("rows from the future", [f"newest batch {newest}, sent: operation {sent}"])]
        self.floor = max(self.floor, self.scenario.operation_of_batch(newest))
        state = self.state_of_batch(newest)
        wanted = dict(self.con.execute(f"SELECT id // {BATCH}, count(*) FROM ({state}) GROUP BY ALL").fetchall())
        got = {b: c[0] for b, c in counts.items()}
        wrong = [(b, got.get(b, 0), wanted.get(b, 0)) for b in sorted(wanted.keys() | got.keys()) if got.get(b, 0) != wanted.get(b, 0)]
        return [Problem("rows that a later upsert has replaced, or the reverse (batch, rows, rows that it must have)", wrong)] if wrong else []

    def totals(self, rows, batches, sum_of_batches, newest, acknowledged, sent):
        """Aggregates over the whole table: they must be those of one state."""
        floor = max(acknowledged, self.floor)
        for j in range(floor, sent + 1):
            if self.scenario.totals_after(j) == (rows, batches, sum_of_batches):
                self.floor = j
                return []
        return [Problem(f"aggregates of no state after the operations {floor} to {sent}", [
            f"rows {rows}, batches {batches}, sum of batches {sum_of_batches}, newest {newest}",
            f"after operation {floor}: {self.scenario.totals_after(floor)}", f"after operation {sent}: {self.scenario.totals_after(sent)}"])]

    def filtered(self, result, condition, acknowledged, sent, ordered=True):
        """The rows that satisfy a condition: all that the state has, and no others. For tables that only grow, and for
        conditions on time of deduplicated ones: there the newest batch in sight, or known, decides all of it."""
        problems = self.rows(result, ordered)
        names = self.use(result)
        newest = max(self.newest(names), self.scenario.last_batch_after(max(acknowledged, self.floor)))
        if newest > self.scenario.last_batch_after(sent):
            return problems or [Problem("rows from the future", [f"newest batch {newest}, sent: operation {sent}"])]
        wanted = f"SELECT id FROM ({self.state_of_batch(newest)}) WHERE {condition}"
        for name, sql in (("rows that the filter lost (id)", f"{wanted} EXCEPT SELECT id FROM r"),
                          ("rows that the filter should have left out (id)", f"SELECT id FROM r EXCEPT ({wanted})")):
            found = self.con.execute(f"SELECT * FROM ({sql}) ORDER BY id LIMIT {EVIDENCE}").fetchall()
            if found:
                problems.append(Problem(name, found))
        if not problems:
            self.floor = max(self.floor, self.scenario.operation_of_batch(newest))
        return problems

    def partitions(self, listed, acknowledged, sent):
        """`listed`: (min_timestamp, max_timestamp, rows) of the attached partitions, as nanoseconds, of a table that only grows."""
        total = sum(rows for *_, rows in listed)
        floor = max(acknowledged, self.floor)
        state = next((j for j in range(floor, sent + 1) if self.scenario.totals_after(j)[0] == total), None)
        if state is None:
            return [Problem(f"row counts of partitions of no state after the operations {floor} to {sent}",
                            [f"{total} rows in all; {self.scenario.totals_after(floor)[0]} to {self.scenario.totals_after(sent)[0]} were expected", *listed])]
        self.floor = state
        rows = self.state_of_batch(self.scenario.last_batch_after(state))
        wrong = []
        for first, last, count in listed:
            if first is None:  # Parquet partitions have no times in the list
                continue
            [found] = self.con.execute(f"SELECT count(*), min(epoch_ns(ts)), max(epoch_ns(ts)) FROM ({rows}) WHERE epoch_ns(ts) BETWEEN {first} AND {last}").fetchall()
            if found != (count, first, last):
                wrong.append(((count, first, last), "must be", found))
        return [Problem("a partition's rows, first or last time (rows, first, last)", wrong)] if wrong else []

    def mark(self, names, acknowledged, sent):
        """The column that counts an operation which leaves the batches alone (UPDATE): as old or new as allowed."""
        column = self.scenario.mark_column
        if column is None or column not in names:
            return []
        [(mark,)] = self.con.execute(f"SELECT max({column}) FROM r").fetchall()
        floor = max(acknowledged, self.floor)
        if mark is None or any(self.scenario.mark_after(j) == mark for j in range(floor, sent + 1)):
            return []
        return [Problem(f"{column} of no state after the operations {floor} to {sent}",
                        [f"{column} {mark}; {self.scenario.mark_after(floor)} to {self.scenario.mark_after(sent)} were expected"])]

    def newest(self, names):
        """The newest batch in the result, at most the newest that the scenario has."""
        if "id" not in names:
            return -1
        [(newest,)] = self.con.execute(f"SELECT max(id) // {BATCH} FROM r").fetchall()
        return -1 if newest is None else min(newest, self.planned + 10_000)

    def _rules(self, names, whole):
        problems = []
        for check in self.scenario.rules_for(names):
            if check.whole == whole and check.needs <= names:
                found = self.con.execute(f"SELECT * FROM ({check.sql}) LIMIT {EVIDENCE}").fetchall()
                if found:
                    problems.append(Problem(check.name, found))
        return problems


def signature(batches):
    """A set of batches as a key that can be kept for every state."""
    return len(batches), sum(batches), sum(b * b for b in batches)
