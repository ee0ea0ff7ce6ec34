"""The tables that are written while others read: what a server can do to a table, as endless lists of operations.

A scenario is deterministic: its name, table and seed give the same operations in the writer, which sends them, and in
every reader, which needs to know what a table may hold (invariants.py).
"""

import random
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

from invariants import BASE, BATCH, DAY, HOUR, START, Batch, Column, replaced, rule, same, signature
from questdb_server import ServerGone, SqlError

SECOND = 1_000_000


@dataclass
class Operation:
    """Statements that make the next state of a table. `adds` and `removes` are batch numbers."""

    statements: list
    adds: tuple = ()
    removes: tuple = ()
    mark: int | None = None  # the new value of Scenario.mark_column
    hold: bool | None = None  # opens or closes a reader inside the server instead
    applied: bool = True  # a WAL table: go on only when it is in the table


@dataclass
class _Past:
    """What is known of the states so far, one entry per operation."""

    operations: list = field(default_factory=list)
    batches: list = field(default_factory=list)  # all, by number
    operation_of: list = field(default_factory=list)  # of each batch
    signatures: list = field(default_factory=list)
    totals: list = field(default_factory=list)
    newest: list = field(default_factory=list)
    marks: list = field(default_factory=list)


class Scenario:
    """One table and its operations. Subclasses give `operations()` and, where they differ, the attributes."""

    columns = BASE
    partition_by = "DAY"
    options = ""  # of CREATE TABLE, behind WAL
    grows = True  # nothing is ever removed: filters are compared with all that must be there
    dedup = False
    by_path = True  # the directory stays: read it by path; else only by the table's name
    may_be_gone = False  # a query may find no table
    mark_column = None
    rules = ()

    def __init__(self, name, wal, table, seed):
        self.name, self.wal, self.table = name, wal, table
        self.random = random.Random(f"{seed}/{table}")
        self._coming = self.operations()
        self._past = _Past()
        self._present = set()
        self._rows = 0

    # ---- for subclasses

    def operations(self):
        raise NotImplementedError

    def create(self, columns=None):
        kinds = ", ".join(f"{c.name} {c.type}" for c in columns or self.columns)
        return f"CREATE TABLE {self.table} ({kinds}) TIMESTAMP(ts) PARTITION BY {self.partition_by} {'WAL' if self.wal else 'BYPASS WAL'} {self.options}".strip()

    def insert(self, n, base, step, epoch=0, more=(), applied=True, into=None):
        """The next batch. `more`: columns beyond the scenario's, as they are at the moment; `into`: the table's name at the moment."""
        batch = Batch(len(self._past.batches), n, base, step, epoch)
        self._past.batches.append(batch)
        self._past.operation_of.append(len(self._past.operations))
        columns = (*self.columns, *more)
        sql = (f"INSERT INTO {into or self.table} ({', '.join(c.name for c in columns)}) SELECT {', '.join(c.questdb for c in columns)} "
               f"FROM (SELECT {base}L + (x - 1) * {step}L AS us, {batch.number * BATCH}L + x - 1 AS id, {n}L AS n, {epoch} AS epoch FROM long_sequence({n}))")
        return Operation([sql], adds=(batch.number,), applied=applied)

    def alter(self, *texts):
        return Operation([f"ALTER TABLE {self.table} {text}" for text in texts])

    # ---- for readers and the writer

    def names(self):
        """All names that the table may have."""
        return [self.table]

    def rules_for(self, names):
        return self.rules

    def setup(self):
        """Statements before the first operation."""
        return [self.create()]

    def operation(self, j):
        while len(self._past.operations) <= j:
            self._advance()
        return self._past.operations[j]

    def batches_from(self, first, end):
        """The batches from `first` to before `end`."""
        while len(self._past.batches) < end:
            self._advance()
        return self._past.batches[first:end]

    def signature_after(self, j):
        self.operation(j)
        return self._past.signatures[j]

    def totals_after(self, j):
        """(rows, batches, sum of batch numbers)"""
        self.operation(j)
        return self._past.totals[j]

    def last_batch_after(self, j):
        self.operation(j)
        return self._past.newest[j]

    def mark_after(self, j):
        self.operation(j)
        return self._past.marks[j]

    def operation_of_batch(self, batch):
        self.batches_from(batch, batch + 1)
        return self._past.operation_of[batch] if batch >= 0 else 0

    def present_after(self, j):
        present = set()
        for operation in self._past.operations[: j + 1]:
            present = present.difference(operation.removes).union(operation.adds)
        return present

    def time_range(self, j):
        """First and last time of all batches up to then, for conditions on time."""
        batches = self._past.batches[: max(1, self.last_batch_after(j) + 1)]
        return min(b.base for b in batches), max(b.base + (b.n - 1) * b.step for b in batches)

    def _advance(self):
        past = self._past
        operation = next(self._coming)
        past.operations.append(operation)
        self._present.difference_update(operation.removes)
        self._present.update(operation.adds)
        self._rows += sum(past.batches[b].n for b in operation.adds) - sum(past.batches[b].n for b in operation.removes)
        past.signatures.append(signature(self._present))
        past.totals.append((self._rows, len(self._present), sum(self._present)))
        past.newest.append(max((past.newest[-1] if past.newest else -1, *operation.adds)))
        past.marks.append(operation.mark if operation.mark is not None else past.marks[-1] if past.marks else None)


class InOrder(Scenario):
    """Rows behind all others. The WAL is not waited for, so that transactions queue up and are applied several at once."""

    partition_by = "HOUR"

    def operations(self):
        at = START
        for i in range(10**9):
            n = 6000 if i == 0 else self.random.randint(20, 250)
            step = 0 if i and self.random.random() < 0.05 else SECOND
            yield self.insert(n, at, step, applied=i % 25 == 0)
            at += n * step


class NotPartitioned(InOrder):
    """PARTITION BY NONE: one directory for everything, which takes rows in order only."""

    partition_by = "NONE"


class OutOfOrder(Scenario):
    """Rows into the middle of partitions, most of them of the last day: directories are rewritten, split, squashed. The
    first day is left alone after the load."""

    days = 4

    def operations(self):
        end = START + self.days * DAY
        yield self.insert(8000, START, self.days * DAY // 8000)
        holding = False
        for i in range(1, 10**9):
            kind = self.random.random()
            if i % 12 == 0 and self.random.random() < 0.5:
                # While the server has a reader of its own it copies where it would squash in place, and keeps the pieces.
                holding = not holding
                yield Operation([], hold=holding)
            elif i % 40 == 0:
                yield self.alter("SQUASH PARTITIONS")
            elif kind < 0.12:  # over several partitions
                yield self.insert(self.random.randint(50, 300), START + DAY + self.random.randrange(DAY), DAY // 200)
            elif kind < 0.24:  # behind all others
                n = self.random.randint(20, 300)
                yield self.insert(n, end, SECOND)
                end += n * SECOND
            else:
                day = self.random.choice((self.days - 1,) * 3 + tuple(range(1, self.days - 1)))
                yield self.insert(self.random.randint(20, 300), START + day * DAY + self.random.randrange(DAY), self.random.choice((SECOND + 3, 40_003)))


class Dedup(Scenario):
    """DEDUP UPSERT: every batch replaces the rows with the times that it has. Times lie on a grid."""

    slot = 20 * SECOND
    dedup = True
    options = "DEDUP UPSERT KEYS(ts, key)"
    columns = replaced(BASE, Column("key", "SYMBOL", f"'k' || ((us / {slot}L) % 5)", f"'k' || ((us // {slot}) % 5)", ("ts",)))
    rules = (rule("two rows of one key", "ts key", "SELECT ts, key, count(*) FROM r GROUP BY ALL HAVING count(*) > 1"),)

    def operations(self):
        slots = 8000
        yield self.insert(slots, START, self.slot)
        while True:
            n = self.random.randint(20, 300)
            kind = self.random.random()
            first = slots - n // 2 if kind < 0.15 else slots - n - self.random.randrange(3000) if kind < 0.75 else self.random.randrange(slots - n)
            slots = max(slots, first + n)
            yield self.insert(n, START + first * self.slot, self.slot)


class Update(Scenario):
    """UPDATE of all rows, and of one day's rows: columns that are set together are equal, and all rows have one generation."""

    days = 3
    updated = (("g1", "LONG"), ("g2", "LONG"), ("gs", "SYMBOL"), ("gt", "VARCHAR"), ("h1", "LONG"), ("h2", "INT"))
    mark_column = "g1"
    rules = (
        same("two columns of one UPDATE", "g1", "g2"),
        rule("two columns of one UPDATE", "g1 gs", "SELECT * FROM r WHERE gs IS DISTINCT FROM 'g' || g1"),
        rule("two columns of one UPDATE", "g1 gt", "SELECT * FROM r WHERE gt IS DISTINCT FROM 'generation ' || repeat('+', (g1 % 9)::INT) || g1"),
        same("two columns of one UPDATE of a day", "h1", "h2"),
        rule("rows of two generations", "g1", "SELECT g1, count(*) FROM r WHERE (SELECT count(DISTINCT g1) > 1 FROM r) GROUP BY g1", whole=True),
        rule("rows of a day of two generations", "ts h1", "SELECT ts::DATE, list(DISTINCT h1) FROM r GROUP BY ALL HAVING count(DISTINCT h1) > 1", whole=True),
    )

    def text(self, g):
        return f"'generation {'+' * (g % 9)}{g}'"

    def operations(self):
        g, h = 0, [0] * self.days

        def own(day):
            values = (f"{g}", f"{g}", f"'g{g}'", self.text(g), f"{h[day]}", f"{h[day]}")
            return [Column(name, kind, value, "") for (name, kind), value in zip(self.updated, values)]

        filled = 0
        while True:
            for _ in range(self.random.randint(1, 3)):
                day = filled if filled < self.days else self.random.randrange(self.days)
                n = 2500 if filled < self.days else self.random.randint(20, 200)
                filled += 1
                base = START + day * DAY + (0 if n == 2500 else self.random.randrange(DAY - n * SECOND))
                operation = self.insert(n, base, 30 * SECOND if n == 2500 else SECOND, more=own(day))
                operation.mark = g
                yield operation
            if self.random.random() < 0.6:
                g += 1
                yield Operation([f"UPDATE {self.table} SET g1 = {g}, g2 = {g}, gs = 'g{g}', gt = {self.text(g)}"], mark=g)
            else:
                day = self.random.randrange(self.days)
                h[day] += 1
                first = START + day * DAY
                yield Operation([f"UPDATE {self.table} SET h1 = {h[day]}, h2 = {h[day]} WHERE ts >= {first}L::timestamp AND ts < {first + DAY}L::timestamp"])

    def setup(self):
        return [self.create((*BASE, *(Column(name, kind, "", "") for name, kind in self.updated)))]


class Columns(Scenario):
    """ADD, RENAME, DROP COLUMN, ALTER COLUMN TYPE: columns come and go under rows that stay."""

    days = 3
    kinds = {  # of an added column: QuestDB type → its value in both dialects
        "LONG": ("id * 3", "id * 3"),
        "VARCHAR": ("'added to row ' || id", "'added to row ' || id"),
        "SYMBOL": ("'a' || (id % 50)", "'a' || (id % 50)"),
        "DOUBLE": ("id * 0.5", "id / 2::DOUBLE"),
        "STRING": ("'a' || id", "'a' || id"),
    }

    def setup(self):
        return [self.create((*BASE, Column("turn", "LONG", "", "")))]

    def operations(self):
        added = []  # (name, kind)
        number = 0
        turn = "LONG"
        again = None
        self._filled = 0

        def fill():
            first = self._filled == 0
            self._filled += 1
            n = 5000 if first else self.random.randint(20, 300)
            base = START if first else START + self.random.choice((0, 1, 2, 2, 2)) * DAY + self.random.randrange(DAY)
            now = [Column(name, kind, self.kinds[kind][0], "") for name, kind in (*added, *([("again", again)] if again else []))]
            return self.insert(n, base, self.days * DAY // 5000 if first else SECOND, more=(*now, Column("turn", turn, f"id::{turn}", "")))

        yield fill()
        while True:
            yield fill()
            kind = self.random.random()
            if kind < 0.3 or not added:
                number += 1
                added.append((f"x{number}_{(t := self.random.choice(list(self.kinds))).lower()}", t))
                yield self.alter(f"ADD COLUMN {added[-1][0]} {added[-1][1]}")
            elif kind < 0.45:
                i = self.random.randrange(len(added))
                name, t = added[i]
                added[i] = ("y" + name[1:] if name[0] == "x" else "x" + name[1:], t)
                yield self.alter(f"RENAME COLUMN {name} TO {added[i][0]}")
            elif kind < 0.65 and len(added) > 3:
                yield self.alter(f"DROP COLUMN {added.pop(self.random.randrange(len(added)))[0]}")
            elif kind < 0.8:  # one name, another type each time
                if again:
                    yield self.alter("DROP COLUMN again")
                    again = None
                    yield fill()
                again = self.random.choice(list(self.kinds))
                yield self.alter(f"ADD COLUMN again {again}")
            else:
                turn = self.random.choice([t for t in ("LONG", "VARCHAR", "SYMBOL", "STRING") if t != turn])
                yield self.alter(f"ALTER COLUMN turn TYPE {turn}")

    def rules_for(self, names):
        found = [rule("value of the column whose type changes", "id turn", "SELECT id, turn FROM r WHERE turn::BIGINT IS DISTINCT FROM id")]
        for name in sorted(names):
            if name[0] in "xy" and "_" in name:
                _, value = self.kinds[name.split("_")[1].upper()]
                found.append(rule(f"value of {name}", f"id {name}", f"SELECT id, {name} FROM r WHERE {name} IS NOT NULL AND {name} <> {value}"))
            if name == "again" or (name[0] in "xy" and "_" in name):
                found.append(rule(
                    f"{name} has values before it was added, or none after", f"id {name}",
                    f"SELECT min(id) FILTER ({name} IS NOT NULL) AS v, max(id) FILTER ({name} IS NULL) AS nothing FROM r HAVING v < nothing", whole=True))
        if "again" in names:
            values = ", ".join(f"({v})::VARCHAR" for _, v in self.kinds.values())
            found.append(rule("value of again", "id again", f"SELECT id, again FROM r WHERE again IS NOT NULL AND again::VARCHAR NOT IN ({values})"))
        return found


class DropPartition(Scenario):
    """Days are filled and dropped: the oldest, one in the middle, the active one. A day's batches vanish together."""

    grows = False
    per_day = 4

    def operations(self):
        days = {}  # day → its batches
        for day in range(10**9):
            days[day] = []
            for part in range(self.per_day):  # the later part of a day first, with a little overlap
                n = self.random.randint(100, 500)
                operation = self.insert(n, START + day * DAY + (self.per_day - 1 - part) * 5 * HOUR, 6 * HOUR // n)
                days[day] += operation.adds
                yield operation
            while len(days) > 5 or (len(days) > 2 and self.random.random() < 0.4):
                kept = sorted(days)
                drop = self.random.choice((kept[0], kept[0], kept[0], kept[len(kept) // 2], kept[-1]))
                operation = self.alter(f"DROP PARTITION LIST '{date(START + drop * DAY)}'")
                operation.removes = tuple(days.pop(drop))
                yield operation


class Truncate(Scenario):
    """TRUNCATE and new rows, with new symbols: a table holds batches of one epoch only, and symbols of that epoch."""

    grows = False
    columns = replaced(
        BASE, Column("epoch", "INT", "epoch::int", "epoch", ("epoch",)),
        Column("sym", "SYMBOL", "'e' || epoch || 's' || (id % 7)", "'e' || epoch || 's' || (id % 7)", ("id", "epoch")),
        Column("text", "SYMBOL CAPACITY 16", "'text of row ' || id || ' in epoch ' || epoch", "'text of row ' || id || ' in epoch ' || epoch", ("id", "epoch")))
    rules = (rule("rows of two epochs", "epoch", "SELECT epoch, count(*) FROM r WHERE (SELECT count(DISTINCT epoch) > 1 FROM r) GROUP BY epoch"),)
    order = (0, 2, 1, 3)  # of the quarters of a day

    def operations(self):
        for epoch in range(10**9):
            batches = []
            for i in range(self.random.randint(2, 8)):
                n = self.random.randint(100, 900)
                operation = self.insert(n, START + i // 4 * DAY + self.order[i % 4] * 6 * HOUR, 6 * HOUR // n, epoch)
                batches += operation.adds
                yield operation
            yield Operation([f"TRUNCATE TABLE {self.table}"], removes=tuple(batches))


class TruncateNotPartitioned(Truncate):
    """PARTITION BY NONE: TRUNCATE resets the files in place."""

    partition_by = "NONE"
    order = (0, 1, 2, 3)


class Parquet(Scenario):
    """Partitions are converted to Parquet and back, and rows merged into both kinds."""

    days = 4

    def operations(self):
        parquet = set()
        last = START + self.days * DAY
        yield self.insert(6000, START, self.days * DAY // 6000)
        yield self.insert(200, last, SECOND)  # the active partition, which the server keeps native
        last += 200 * SECOND
        for i in range(10**9):
            kind = self.random.random()
            if kind < 0.35:
                day = self.random.randrange(self.days)
                parquet.symmetric_difference_update({day})
                yield self.alter(f"CONVERT PARTITION TO {'PARQUET' if day in parquet else 'NATIVE'} LIST '{date(START + day * DAY)}'")
            elif kind < 0.5:
                n = self.random.randint(20, 300)
                yield self.insert(n, last, SECOND)
                last += n * SECOND
            else:
                yield self.insert(self.random.randint(20, 200), START + self.random.randrange(self.days * DAY - HOUR), SECOND)


class Symbols(Scenario):
    """Every row brings a new symbol: the symbol files outgrow their capacity again and again."""

    columns = replaced(
        BASE, Column("sym", "SYMBOL CAPACITY 16 INDEX", "'v' || id", "'v' || id"),
        Column("rare", "SYMBOL CAPACITY 16 NOCACHE", "'r' || (id / 100)", "'r' || (id // 100)"))

    def operations(self):
        at = START
        while True:
            n = self.random.randint(20, 400)
            yield self.insert(n, at, 10 * SECOND)
            at += n * 10 * SECOND


class Recreate(Truncate):
    """DROP TABLE, then CREATE TABLE of the same name with its columns in another order."""

    may_be_gone = True

    @property
    def by_path(self):
        return not self.wal  # a WAL table gets a new directory

    def setup(self):
        return []

    def operations(self):
        for epoch in range(10**9):
            turned = self.columns[epoch % len(self.columns):] + self.columns[: epoch % len(self.columns)]
            create = Operation([self.create(turned)])
            batches = []
            for i in range(self.random.randint(2, 6)):
                n = self.random.randint(100, 900)
                operation = self.insert(n, START + i // 4 * DAY + self.order[i % 4] * 6 * HOUR, 6 * HOUR // n, epoch)
                if create:  # together: readers never meet a table without rows for long
                    operation.statements, create = create.statements + operation.statements, None
                batches += operation.adds
                yield operation
            yield Operation([f"DROP TABLE {self.table}"], removes=tuple(batches))


class Rename(Scenario):
    """RENAME TABLE to and fro, rows in order in between. One without WAL moves its directory."""

    may_be_gone = True
    by_path = False
    partition_by = "HOUR"

    def names(self):
        return [self.table, self.table + "_2"]

    def operations(self):
        at = START
        name, other = self.names()
        while True:
            for _ in range(self.random.randint(1, 4)):
                n = 4000 if at == START else self.random.randint(20, 300)
                yield self.insert(n, at, SECOND, into=name)
                at += n * SECOND
            yield Operation([f"RENAME TABLE '{name}' TO '{other}'"])
            name, other = other, name


SCENARIOS = {
    "in_order_wal": (InOrder, True),
    "in_order_bypass": (InOrder, False),
    "in_order_none": (NotPartitioned, False),
    "out_of_order_wal": (OutOfOrder, True),
    "out_of_order_bypass": (OutOfOrder, False),
    "dedup_wal": (Dedup, True),
    "update_wal": (Update, True),
    "update_bypass": (Update, False),
    "columns_wal": (Columns, True),
    "columns_bypass": (Columns, False),
    "drop_partition_wal": (DropPartition, True),
    "drop_partition_bypass": (DropPartition, False),
    "truncate_wal": (Truncate, True),
    "truncate_bypass": (Truncate, False),
    "truncate_none": (TruncateNotPartitioned, False),
    "parquet_wal": (Parquet, True),
    "parquet_bypass": (Parquet, False),
    "symbols_wal": (Symbols, True),
    "symbols_bypass": (Symbols, False),
    "recreate_wal": (Recreate, True),
    "recreate_bypass": (Recreate, False),
    "rename_wal": (Rename, True),
    "rename_bypass": (Rename, False),
}


def scenario(name, table, seed):
    kind, wal = SCENARIOS[name]
    return kind(name, wal, table, seed)


def date(us):
    return time.strftime("%Y-%m-%d", time.gmtime(us // SECOND))


class Progress:
    """Numbers that the writers share with the readers' processes: per table, the operation that was sent last, and the
    one whose effect is in the table's files for certain."""

    def __init__(self, memory):
        self.memory = memory

    def set(self, slot, sent=None, acknowledged=None):
        if sent is not None:
            struct.pack_into("<q", self.memory, slot * 16, sent)
        if acknowledged is not None:
            struct.pack_into("<q", self.memory, slot * 16 + 8, acknowledged)

    def sent(self, slot):
        return struct.unpack_from("<q", self.memory, slot * 16)[0]

    def acknowledged(self, slot):
        return struct.unpack_from("<q", self.memory, slot * 16 + 8)[0]


class Writer(threading.Thread):
    """Sends a scenario's operations until it is told to stop."""

    def __init__(self, server, scenario, progress, slot):
        super().__init__(name=scenario.table, daemon=True)
        self.server, self.scenario, self.progress, self.slot = server, scenario, progress, slot
        self.stopping = threading.Event()
        self.crashing = threading.Event()  # the server is about to be killed: its absence is no error
        self.next = 0
        self.error = None
        self._holder = None

    def prepare(self):
        """Makes the table, and its first state."""
        for sql in self.scenario.setup():
            self._send(sql)
        self._step()

    def run(self):
        try:
            while not self.stopping.is_set():
                self._step()
                self.stopping.wait(0.002)
            self.wait_applied()
            self.progress.set(self.slot, acknowledged=self.next - 1)
        except (SqlError, ServerGone, OSError, TimeoutError) as error:
            if not self.crashing.is_set():
                self.error = f"{type(error).__name__}: {error}"
        finally:
            self._hold(False)

    def stop(self):
        self.stopping.set()
        self.join(60)

    def drop(self):
        """Removes the table, under whatever name."""
        for name in self.scenario.names():
            self._send(f"DROP TABLE IF EXISTS {name}")

    def _step(self):
        operation = self.scenario.operation(self.next)
        self.progress.set(self.slot, sent=self.next)
        if operation.hold is not None:
            self._hold(operation.hold)
        for sql in operation.statements:
            self._send(sql)
        if operation.applied:
            self.wait_applied()
        if operation.applied or not self.scenario.wal:
            self.progress.set(self.slot, acknowledged=self.next)
        self.next += 1

    def _send(self, sql):
        ends = time.monotonic() + 20
        while True:
            try:
                return self.server.query(sql, timeout=60)
            except SqlError as error:
                # Jobs of the server itself hold a table's writer, or its lock, for a moment.
                if not any(word in str(error) for word in ("busy", "could not lock", "Could not lock", "async cmd")) or time.monotonic() > ends:
                    raise
                time.sleep(0.01)

    def wait_applied(self):
        if not self.scenario.wal:
            return
        names = " OR ".join(f"name = '{name}'" for name in self.scenario.names())
        ends = time.monotonic() + 60
        pause = 0.003
        while True:
            rows = self.server.query(f"SELECT writerTxn, sequencerTxn, suspended, errorMessage FROM wal_tables() WHERE {names}")
            if any(suspended for _, _, suspended, _ in rows):
                raise SqlError(f"the server suspended the WAL: {rows}")
            # Right after a RENAME the table is in the list under neither name for a moment.
            if (rows or isinstance(self.scenario, Recreate)) and all(int(applied) >= int(written) for applied, written, _, _ in rows):
                return
            if time.monotonic() > ends:
                raise TimeoutError("the WAL was not applied within 60 s")
            time.sleep(pause)
            pause = min(0.02, pause * 1.5)

    def _hold(self, hold):
        """A reader inside the server, kept by an export whose answer nobody reads."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None
        if hold:
            self._holder = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
            query = urllib.parse.quote(f"SELECT t.id, x FROM {self.scenario.table} t CROSS JOIN long_sequence(100000000)")
            self._holder.sendall(f"GET /exp?query={query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self._holder.recv(16)
