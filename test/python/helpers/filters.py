"""Random queries over a table: a projection, a WHERE tree, sometimes an aggregate or a LIMIT; constants from the data.

Everything follows from one random.Random, so a seed gives a query again.
"""
import datetime
import math
import random
import time

from .cases import quote, text
from .compare import normal

COMPARISONS = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
INTEGER_RANGE = {"TINYINT": (-2**7, 2**7 - 1), "SMALLINT": (-2**15, 2**15 - 1), "INTEGER": (-2**31, 2**31 - 1), "BIGINT": (-2**63, 2**63 - 1)}
PER_SECOND = {"TIMESTAMP_MS": 10**3, "TIMESTAMP": 10**6, "TIMESTAMP_NS": 10**9}
MAKE = {"TIMESTAMP_MS": "make_timestamp_ms", "TIMESTAMP": "make_timestamp", "TIMESTAMP_NS": "make_timestamp_ns"}
PRINTABLE = (-2_000_000_000, 9_000_000_000)         # seconds within which every time type has a literal and every zone a rule
ZONES = ["+00", "-05", "+05:30", "Z"]


class Column:
    """A column of the table: its name, DuckDB type and some of its values."""

    def __init__(self, name, type_, values, designated=False):
        self.name, self.type, self.values, self.designated = name, type_, values, designated
        self.sql = quote(name)

    @property
    def is_time(self):
        return self.type in MAKE

    @property
    def is_convertible(self):
        """All values fit every time type; where they do not, a cast of the column fails, or not, as the plan likes."""
        second = PER_SECOND[self.type]
        return all(in_print(v, second) for v in self.values)

    @property
    def is_integer(self):
        return self.type in INTEGER_RANGE

    @property
    def is_float(self):
        return self.type in ("FLOAT", "DOUBLE")


def sample_columns(con, table, columns, designated, count=40):
    """Columns with values sampled evenly over the table: numbers for integers and times, text for the rest."""
    out = []
    total = con.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    step = max(1, total // count)
    for name, type_ in columns:
        q = quote(name)
        value = q if type_ in MAKE or type_ in INTEGER_RANGE else f"TRY_CAST({q} AS VARCHAR)"
        rows = con.execute(f"SELECT {value} AS v FROM (SELECT {q}, row_number() OVER () AS r FROM {table}) WHERE r % {step} = 0 AND {q} IS NOT NULL")
        values = set(normal(rows.to_arrow_table().column(0)).to_pylist())       # Arrow: not every time has a text
        out.append(Column(name, type_, sorted((v for v in values if "\0" not in str(v)), key=str), name == designated))
    return out


def in_print(value, second):
    return PRINTABLE[0] * second <= value <= PRINTABLE[1] * second


class Generator:
    def __init__(self, columns, seed):
        self.columns = columns
        self.random = random.Random(seed)

    # ---- constants --------------------------------------------------------------------------------------------------

    def constant(self, c):
        r = self.random
        if r.random() < 0.04:
            return r.choice(["NULL", f"NULL::{c.type}"])
        if c.is_time:
            return self.time(c)
        if c.is_integer:
            return self.integer(c)
        if c.is_float:
            return self.floating(c)
        if c.type == "VARCHAR":
            return text(self.word(c))
        if c.type == "BOOLEAN":
            return r.choice(["true", "false"])
        if not c.values:
            return f"NULL::{c.type}"
        return f"{text(r.choice(c.values))}::{c.type}"

    def integer(self, c):
        r = self.random
        low, high = INTEGER_RANGE[c.type]
        base = r.choice(c.values) if c.values and r.random() < 0.85 else r.choice([0, low, high, low + 1, low - 1, high + 1])
        value = base + r.choice([0, 0, 0, 1, -1, 1000, -1000])
        kind = r.random()
        if kind < 0.75:
            return f"({value})"
        if kind < 0.85 and low <= value <= high:
            return f"'{value}'"
        if kind < 0.95:
            return f"({value}.5)"
        return f"({value})::DOUBLE"

    def floating(self, c):
        r = self.random
        if not c.values or r.random() < 0.15:
            return r.choice(["'Infinity'", "'-Infinity'", "'NaN'", "0", "-0.0", "1e300", "-1e300", "5e-324", "1e308"]) + "::DOUBLE"
        word = r.choice(c.values)
        value = float(word)
        if math.isfinite(value) and r.random() < 0.3:
            return repr(math.nextafter(value, r.choice([math.inf, -math.inf]))) + "::DOUBLE"
        return f"{text(word)}::{r.choice([c.type, c.type, 'DOUBLE'])}"

    def word(self, c):
        r = self.random
        if not c.values or r.random() < 0.1:
            return r.choice(["", "no such value", "a", "~", "\U0010ffff", " "])
        word = r.choice(c.values)
        how = r.random()
        if how < 0.7:
            return word
        if how < 0.8:
            return word[:r.randint(0, len(word))]
        if how < 0.9:
            return word + r.choice(["a", " ", "\U0001f600"])
        return word.swapcase()

    def time_value(self, c):
        """A number in the column's unit: sampled, a neighbour, a whole hour or day, or far away."""
        r = self.random
        second = PER_SECOND[c.type]
        if not c.values or r.random() < 0.08:
            return r.choice([0, 1, -1, 86400 * second, 4_102_444_800 * second, 1_700_000_000 * second])
        value = r.choice(c.values)
        how = r.random()
        if how < 0.5:
            return value
        if how < 0.65:
            return value + r.choice([1, -1])
        if how < 0.9:
            unit = r.choice([60, 3600, 86400]) * second
            return value // unit * unit + r.choice([0, 0, unit, -1])
        return value + r.choice([-1, 1]) * r.choice([3600, 86400, 31_536_000]) * second

    def time(self, c):
        r = self.random
        value = self.time_value(c)
        second = PER_SECOND[c.type]
        value = max(-2**63 + 2, min(2**63 - 2, value))
        if c.type == "TIMESTAMP_MS":            # make_timestamp_ms gives a TIMESTAMP
            value = max(PRINTABLE[0] * second, min(PRINTABLE[1] * second, value))
        elif not in_print(value, second) or r.random() < 0.15:
            return f"{MAKE[c.type]}({value})"
        word = iso(value, second)
        how = r.random()
        if how < 0.45:
            return f"{c.type} '{word}'"
        if how < 0.75 or not c.is_convertible:
            return f"'{word}'"
        if how < 0.85:
            return f"'{word[:10]}'"
        if how < 0.95 and second != 10**9:
            return f"TIMESTAMP '{word}'"
        return r.choice([f"DATE '{word[:10]}'", f"'{word}'::{c.type}"])

    # ---- predicates -------------------------------------------------------------------------------------------------

    def predicate(self):
        r = self.random
        times = [c for c in self.columns if c.designated]
        c = times[0] if times and r.random() < 0.3 else r.choice(self.columns)
        if c.designated and r.random() < 0.5:
            return self.time_predicate(c)
        how = r.random()
        if how < 0.08:
            return f"{c.sql} IS {r.choice(['', 'NOT '])}NULL"
        if how < 0.2:
            return f"{c.sql} {r.choice(['', 'NOT '])}IN ({', '.join(self.constant(c) for _ in range(r.choice([1, 2, 3, 6])))})"
        if how < 0.32:
            return f"{c.sql} {r.choice(['', 'NOT '])}BETWEEN {self.constant(c)} AND {self.constant(c)}"
        if c.type == "VARCHAR" and how < 0.5:
            return self.text_predicate(c)
        if c.type == "BOOLEAN" and how < 0.5:
            return c.sql
        if c.is_integer and how < 0.42:
            return r.choice([
                f"{c.sql} % 7 = {r.randint(0, 6)}", f"{c.sql}::DOUBLE {r.choice(COMPARISONS[:6])} {self.floating_of(c)}",
                f"{c.sql}::VARCHAR LIKE '{r.randint(1, 9)}%'", f"-({c.sql}::HUGEINT) < {self.integer(c)}",
                f"{c.sql} {r.choice(COMPARISONS)} {self.same_type(c).sql}"])
        if c.is_float and how < 0.42:
            return r.choice([f"{c.sql} + 1 > {self.floating(c)}", f"isinf({c.sql})", f"{c.sql} {r.choice(COMPARISONS)} {self.same_type(c).sql}",
                             f"abs({c.sql}) < {self.floating(c)}"])
        left, right = c.sql, self.constant(c)
        if r.random() < 0.15:
            left, right = right, left
        return f"{left} {r.choice(COMPARISONS)} {right}"

    def floating_of(self, c):
        return repr(float(self.random.choice(c.values or [0]))) + "::DOUBLE"

    def same_type(self, c):
        return self.random.choice([d for d in self.columns if d.type == c.type])

    def text_predicate(self, c):
        r = self.random
        word = self.word(c).replace("%", "").replace("_", "").replace("\\", "")
        part = text(word[:r.randint(0, min(4, len(word)))])[1:-1]
        return r.choice([
            f"{c.sql} LIKE '{part}%'", f"{c.sql} NOT LIKE '{part}%'", f"{c.sql} LIKE '%{part}'", f"{c.sql} LIKE '%{part}%'",
            f"{c.sql} LIKE '{part}'", f"{c.sql} ILIKE '{part}%'", f"starts_with({c.sql}, '{part}')", f"{c.sql}[1] = {text(word[:1])}",
            f"length({c.sql}) {r.choice(['>', '<=', '='])} {r.randint(0, 12)}", f"lower({c.sql}) = {text(word.lower())}",
            f"{c.sql} || 'x' = {text(word + 'x')}", f"{c.sql} {r.choice(COMPARISONS)} {self.same_type(c).sql}",
            f"coalesce({c.sql}, '') = ''", f"{c.sql} {r.choice(COMPARISONS)} {text(word)}"])

    def time_predicate(self, c):
        """What people write about the designated timestamp."""
        r = self.random
        second = PER_SECOND[c.type]
        value = max(PRINTABLE[0] * second, min(PRINTABLE[1] * second, self.time_value(c)))
        word = iso(value, second)
        op = r.choice(COMPARISONS[:6])
        zone = r.choice(ZONES)
        with_zone = f"TIMESTAMPTZ '{word[:26]}{zone}'"
        zoned = f"{c.sql}::TIMESTAMP" if second == 10**9 else c.sql      # TIMESTAMP_NS and TIMESTAMPTZ do not compare
        unit = r.choice(["minute", "hour", "day", "week", "month", "year"])
        return r.choice([
            f"{c.sql}::DATE = DATE '{word[:10]}'", f"{c.sql}::DATE {op} '{word[:10]}'",
            f"date_trunc('{unit}', {c.sql}) = TIMESTAMP '{word[:26]}'", f"date_trunc('{unit}', {c.sql}) {op} date_trunc('{unit}', TIMESTAMP '{word[:26]}')",
            f"{zoned} {op} {with_zone}", f"{c.sql} {op} '{word[:26]}'", f"{c.sql} {op} {self.time(c)}",
            f"{c.sql} >= {self.time(c)} AND {c.sql} < {self.time(c)}", f"{c.sql} > {self.time(c)} AND {c.sql} <= {self.time(c)}",
            f"{c.sql} BETWEEN {self.time(c)} AND {self.time(c)}", f"{c.sql} NOT BETWEEN {self.time(c)} AND {self.time(c)}",
            f"{zoned} >= {with_zone} AND {zoned} < {with_zone} + INTERVAL {r.randint(1, 50)} HOUR",
            f"{c.sql} IN ({', '.join(self.time(c) for _ in range(3))})", f"{zoned} {r.choice(['>', '<'])} now() - INTERVAL ({self.ago(value, second)}) SECOND",
            f"year({c.sql}) = {word[:4]}", f"hour({c.sql}) {op} {r.randint(0, 23)}", f"epoch_us({c.sql}) {op} {value * 10**6 // second}",
            f"{c.sql} - INTERVAL 1 HOUR {op} TIMESTAMP '{word[:26]}'", f"{c.sql}::VARCHAR LIKE '{word[:r.choice([4, 7, 10, 13])]}%'"])

    def ago(self, value, second):
        """Seconds from a value of the table to about now (both statements run in one transaction, so now() is one time)."""
        return int(time.time()) - value // second

    def tree(self, depth):
        r = self.random
        if depth == 0 or r.random() < 0.25:
            return self.predicate()
        how = r.random()
        if how < 0.2:
            return f"NOT ({self.tree(depth - 1)})"
        op = " AND " if how < 0.65 else " OR "
        return op.join(f"({self.tree(depth - 1)})" for _ in range(r.choice([2, 2, 3])))

    # ---- queries ----------------------------------------------------------------------------------------------------

    def query(self):
        """A statement with {T} where the table goes."""
        r = self.random
        where = f" WHERE {self.tree(r.choice([0, 1, 1, 2, 3]))}"
        some = r.sample(self.columns, r.randint(1, min(5, len(self.columns))))
        names = ", ".join(f"{c.sql}::VARCHAR AS {c.sql}" if c.type == "UHUGEINT" else c.sql for c in some)
        how = r.random()
        if how < 0.15:
            return f"SELECT count(*) AS n FROM {{T}}{where}"
        if how < 0.3:
            return f"SELECT count(*) AS n, {', '.join(f'count({c.sql})' for c in some)}, min({some[0].sql})::VARCHAR AS low, max({some[0].sql})::VARCHAR AS high FROM {{T}}{where}" \
                if not some[0].is_time and not some[0].type.endswith("[]") else f"SELECT count({some[0].sql}) AS n FROM {{T}}{where}"
        if how < 0.4:
            return f"SELECT {names} FROM {{T}}{where} LIMIT {r.choice([1, 5, 100])} OFFSET {r.choice([0, 3, 50])}"
        if how < 0.5:
            return f"SELECT {names}, ({self.predicate()}) AS p FROM {{T}}{where}"
        return f"SELECT {names} FROM {{T}}{where}"


def iso(value, second):
    """2024-02-27 13:00:00.123456 of a number of 1/second seconds since 1970."""
    whole, fraction = divmod(value, second)
    digits = len(str(second)) - 1
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=whole)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{fraction:0{digits}d}" if fraction or whole % 2 else "")
