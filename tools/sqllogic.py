"""Runs sqllogictests in DuckDB's dialect inside the Python package of DuckDB.

DuckDB's own runner is part of its C++ build, and no package registry has a shell of DuckDB 2.0.0: the Python package is
the host of the extension. The files run under DuckDB's own runner as well; where the two differ this one is stricter
(floats agree to 1e-9, there to 1 %; expected rows count even beside a label).

Each file has a process of its own, so that a crash, a hang or an early exit of the extension is a failure of that file.

    sqllogic.py --extension build/release/questdb.duckdb_extension --fixtures build/fixtures test/sql
"""

import argparse
import contextlib
import decimal
import difflib
import glob
import hashlib
import math
import operator
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace

import duckdb

SIGNED = ["tinyint", "smallint", "integer", "bigint", "hugeint"]
UNSIGNED = ["u" + name for name in SIGNED]
NUMERIC = [*SIGNED, *UNSIGNED, "float", "double"]
VALUE_LISTS = {
    "<signed>": SIGNED,
    "<unsigned>": UNSIGNED,
    "<integral>": SIGNED + UNSIGNED,
    "<numeric>": NUMERIC,
    "<alltypes>": [*NUMERIC, "bool", "interval", "varchar"],
    "<compression>": ["none", "uncompressed", "rle", "bitpacking", "dictionary", "fsst", "alp", "alprd"],
}
# Features that `require` may name; everything else it names is an extension.
PRESENT = {"64bit", "longdouble", "no_extension_autoloading", "no_vector_verification", "noalternativeverify",
           "noforcestorage", "notmingw", "nothreadsan", "notwindows", "skip_reload", "strinline"}
ABSENT = {"mingw", "windows"}
VECTOR_SIZE = 2048
DEFECTS = ("INTERNAL", "differs from original result")  # not accepted even where an error is expected
SORTS = ("nosort", "rowsort", "sort", "valuesort")
SECONDS = {"minute": 60, "second": 1, "millisecond": 1e-3, "microsecond": 1e-6, "nanosecond": 1e-9}
COMPARISONS = {"=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
               ">=": operator.ge}
HASH = re.compile(r"\d+ values hashing to [0-9a-f]{32}")
# One-line records and what their arguments look like.
ONE_LINE = {
    "concurrentforeach": r"\S+( \S+)+", "concurrentloop": r"\S+ -?\d+ -?\d+", "endloop": "", "foreach": r"\S+( \S+)+",
    "halt": "", "hash-threshold": r"\d+", "load": r"(\S+( \S+)*)?", "loop": r"\S+ -?\d+ -?\d+", "mode": "(un)?skip",
    "reconnect": "", "require": r"\S+( \S+)?", "require-env": r"\S+( \S+)?", "restart": r"\S*", "set": r"seed \S+",
    "sleep": rf"\d+ ({'|'.join(SECONDS)})s?", "tags": ".*", "test-env": r"\S+ \S+",
}
SKIPPED = 77  # exit code of a skipped file, as in automake
FINISHED = "#finished"  # last line of a child that came to its end by itself


class Failure(Exception):
    def __init__(self, line, message, sql=""):
        super().__init__(message)
        self.line, self.message, self.sql = line, message, sql


class Skip(Exception):
    """The file needs something that is not here."""


class Halt(Exception):
    """The file ends here."""


@dataclass
class Record:
    line: int
    verb: str
    arguments: list
    conditions: list  # pairs of "skipif" or "onlyif" and a condition on loop variables
    sql: str = ""
    expected: list | None = None  # the lines below "----", None without one
    body: list = field(default_factory=list)  # of a loop

    def check(self):
        """Refuses what cannot mean anything, before any record of the file has run."""
        form = {"statement": r"(ok|error|maybe)( \S+)?", "query": r"[TIR]+( \S+){0,2}", **ONE_LINE}.get(self.verb)
        problem = None
        if form is None:
            problem = f'unknown record "{self.verb}"'
        elif not re.fullmatch(form, " ".join(self.arguments)):
            problem = f"{self.verb} cannot have these arguments: {' '.join(self.arguments) or 'none'}"
        elif not self.sql and self.verb not in ONE_LINE:
            problem = f"{self.verb} without SQL"
        elif self.verb == "statement" and self.arguments[0] == "ok" and self.expected is not None:
            problem = "statement ok cannot expect a message"
        elif self.verb == "statement" and self.arguments[0] == "error" and not self.expected:
            problem = "statement error must say which message it expects"
        elif self.expected and self.expected[0].startswith("<FILE>:"):
            problem = "expected results in a file are not supported"
        if problem:
            raise Failure(self.line, problem, self.sql)


def parse(text):
    """The records of a file, those of loops inside the loop's."""
    lines = [*text.replace("\r", "").split("\n"), "", ""]
    ends_sql = lambda line: not line.strip() or line.startswith("#")  # results end at an empty line only
    blocks, loops, skipping, i = [[]], [], 0, 0
    while i < len(lines):
        if ends_sql(lines[i]):
            i += 1
            continue
        conditions = []
        while lines[i].startswith(("skipif ", "onlyif ")):
            conditions.append(lines[i].split())
            i += 1
        verb, *arguments = lines[i].split() or [""]
        record = Record(i + 1, verb, arguments, [c for c in conditions if not c[1].isalnum()])
        i += 1
        if verb in ONE_LINE and not ends_sql(lines[i]):
            raise Failure(record.line, f"{verb} must be followed by an empty line")
        start = i
        while not ends_sql(lines[i]) and lines[i] != "----":
            i += 1
        record.sql = "\n".join(lines[start:i])
        if lines[i] == "----":
            start = i = i + 1
            while lines[i]:
                i += 1
            record.expected = lines[start:i]

        # A condition on the system is settled here, one on loop variables when the record runs.
        if any((verb == "skipif") == (name == "duckdb") for verb, name, *_ in conditions if name.isalnum()):
            continue
        if skipping and verb != "mode":
            continue
        record.check()
        if verb == "mode":
            skipping += 1 if arguments == ["skip"] else -1
            if skipping < 0:
                raise Failure(record.line, "mode unskip without mode skip")
        elif verb == "endloop":
            if not loops:
                raise Failure(record.line, "endloop without a loop")
            loops.pop().body = blocks.pop()
        else:
            blocks[-1].append(record)
            if verb.endswith(("loop", "foreach")):
                loops.append(record)
                blocks.append([])
    if loops:
        raise Failure(loops[-1].line, f"{loops[-1].verb} without endloop")
    return blocks[0]


class Renderer:
    """Turns results into the texts that DuckDB's runner prints: each value cast to VARCHAR by DuckDB.

    The query is not wrapped in such a cast, that would test another plan. Its rows travel as Arrow, which keeps every
    type with `arrow_lossless_conversion` (only tuples become structs), to a private database that casts them.
    """

    def __init__(self):
        self.database = duckdb.connect()
        self.lock = threading.Lock()  # concurrent loops share it

    def rows(self, table):
        table = table.rename_columns([f"c{i}" for i in range(table.num_columns)])  # names may repeat
        with self.lock:
            if zone := re.search(r"tz=([^\]]+)\]", str(table.schema)):  # the time zone of the session
                self.database.execute(f"SET TimeZone = '{zone[1]}'")
            rows = self.database.from_arrow(table).project("CAST(COLUMNS(*) AS VARCHAR)").fetchall()
        return [["NULL" if v is None else v.replace("\0", "\\0") or "(empty)" for v in row] for row in rows]


def agrees(found, expected, type):
    """Whether a value is the expected one: as text, by a pattern or, for booleans and numbers, by value."""
    if found == expected:
        return True
    for prefix, wanted in (("<REGEX>:", True), ("<!REGEX>:", False)):
        if expected.startswith(prefix):
            return bool(re.fullmatch(expected.removeprefix(prefix), found, re.DOTALL)) == wanted
    with contextlib.suppress(ValueError, OverflowError, decimal.InvalidOperation):
        if type == "BOOLEAN":
            return found == {"1": "true", "0": "false"}.get(expected, expected.lower())
        if type == "FLOAT":  # the expected text may have more digits than a float has
            return math.isclose(*struct.unpack("2f", struct.pack("2f", float(found), float(expected))), rel_tol=1e-9)
        if type == "DOUBLE":
            return math.isclose(float(found), float(expected), rel_tol=1e-9)
        if type.startswith("DECIMAL") or type.lower() in NUMERIC:
            return decimal.Decimal(found) == decimal.Decimal(expected)
    return False


def compare(expected, found, width, types):
    """What is wrong with the rows found, None if nothing is."""
    # Expected lines are rows, their values separated by tabs, or single values.
    if (width > 1 and len(expected) == len(found)) or all("\t" in line for line in expected):
        rows = [line.split("\t") for line in expected]
    else:
        rows = [expected[i:i + width] for i in range(0, len(expected), width)]
    problem = None
    if len(types) != width:
        problem = f"expected {width} columns, found {len(types)}: {', '.join(types)}"
    elif len(rows) != len(found):
        problem = f"expected {len(rows)} rows, found {len(found)}"
    elif ragged := [number for number, row in enumerate(rows, 1) if len(row) != width]:
        problem = f"expected row {ragged[0]} has {len(rows[ragged[0] - 1])} values for {width} columns"
    else:
        for r, c in ((r, c) for r in range(len(rows)) for c in range(width)):
            if not agrees(found[r][c], rows[r][c], types[c]):
                problem = f"wrong value in row {r + 1}, column {c + 1} ({types[c]})"
                problem += f"\nexpected: {rows[r][c]}\nfound:    {found[r][c]}"
                break
    if problem is None:
        return None
    texts = [["\t".join(row) for row in side] for side in (rows, found)]
    diff = list(difflib.unified_diff(*texts, "expected", "found", lineterm=""))
    return "\n".join([problem, *diff[:40], *(["..."] if len(diff) > 40 else [])])


def digest(rows, types):
    """The line that stands for many rows; DuckDB's runner hashes booleans as numbers."""
    booleans = {"true": "1", "false": "0"}
    values = [booleans.get(v, v) if type == "BOOLEAN" else v for row in rows for v, type in zip(row, types)]
    hashed = hashlib.md5("".join(value + "\n" for value in values).encode()).hexdigest()
    return f"{len(values)} values hashing to {hashed}"


@dataclass(frozen=True)
class Scope:
    """Where a record runs: the loop variables in force and the connection it uses unless it names another."""

    connection: duckdb.DuckDBPyConnection | None = None  # the runner's main one
    variables: dict = field(default_factory=dict)


class Runner:
    """Executes the records of one file; `do_x` executes a record that starts with `x`."""

    def __init__(self, extension, fixtures, directory):
        self.extension = extension
        self.presets = {"FIXTURES": str(fixtures)} if fixtures else {}
        self.variables = dict(self.presets)
        self.directory = directory
        self.renderer = Renderer()
        self.loads = []  # done again when the database is opened again
        self.labels = {}
        self.executed = 0
        self.database = None  # kept open by a connection that executes nothing
        self.open(None, False)

    def open(self, path, read_only):
        self.close()
        config = {"allow_unsigned_extensions": "true", "arrow_lossless_conversion": "true",
                  "autoload_known_extensions": "false", "autoinstall_known_extensions": "false"}
        self.path, self.read_only = path, read_only
        self.database = duckdb.connect(path or ":memory:", read_only, config)
        self.main, self.named = self.database.cursor(), {}
        for load in self.loads:
            self.main.execute(load)

    def close(self):
        if self.database:
            self.database.close()  # and with it all its cursors

    def run(self, records, scope=Scope()):
        for record in records:
            if all(self.holds(record, what, scope) == (verb == "onlyif") for verb, what in record.conditions):
                method = getattr(self, "do_" + record.verb.replace("-", "_"))
                try:
                    method(record, [self.substitute(argument, scope) for argument in record.arguments], scope)
                except (duckdb.Error, re.error) as error:  # not of the SQL: a refused LOAD, a wrong pattern
                    raise Failure(record.line, f"{record.verb} failed\nfound: {error}", record.sql) from error

    def substitute(self, text, scope):
        for name, value in {**self.variables, **scope.variables}.items():
            text = text.replace(f"${{{name}}}", value)
        return text.replace("__TEST_DIR__", self.directory).replace("__WORKING_DIRECTORY__", os.getcwd())

    def holds(self, record, condition, scope):
        for part in condition.split("&&"):
            match = re.fullmatch(r"(\w+)(<>|<=|>=|=|<|>)(.*)", part)
            if not match or match[1] not in scope.variables:
                raise Failure(record.line, f'cannot evaluate the condition "{part}"')
            left, right = scope.variables[match[1]], match[3]
            with contextlib.suppress(ValueError):
                left, right = float(left), float(right)
            if not COMPARISONS[match[2]](left, right):
                return False
        return True

    def execute(self, record, sql, name, scope):
        """The result, as column types and an Arrow table, and None; or None and the error's text."""
        self.executed += 1
        if name and name not in self.named:
            self.named[name] = self.database.cursor()
        connection = self.named[name] if name else scope.connection or self.main
        try:
            result = connection.execute(sql)
            types = [str(column[1]) for column in result.description]
            return (types, result.to_arrow_table()), None  # to the last row: it may be the one that fails
        except Exception as error:
            if any(defect in str(error) for defect in DEFECTS):
                raise Failure(record.line, f"this error is never right\nfound: {error}", sql) from error
            return None, str(error)

    def do_statement(self, record, arguments, scope):
        sql = self.substitute(record.sql, scope)
        kind, name, *_ = [*arguments, None]
        result, error = self.execute(record, sql, name, scope)
        if result and kind == "error":
            raise Failure(record.line, "statement succeeded, but should fail", sql)
        if error and kind == "ok":
            raise Failure(record.line, f"statement failed\nfound: {error}", sql)
        expected = self.substitute("\n".join(record.expected or []), scope)
        if error and expected not in error and not agrees(error, expected, "VARCHAR"):
            problem = f"statement failed with another message\nexpected: {expected}\nfound:    {error}"
            raise Failure(record.line, problem, sql)

    def do_query(self, record, arguments, scope):
        sql = self.substitute(record.sql, scope)
        letters, sort, label, *_ = [*arguments, None, None]
        result, error = self.execute(record, sql, sort if sort not in SORTS else None, scope)
        if error:
            raise Failure(record.line, f"query failed\nfound: {error}", sql)
        types, table = result
        found = self.renderer.rows(table)
        if sort in ("rowsort", "sort"):
            found.sort()
        elif sort == "valuesort":  # in the shape of rows, for the comparison
            values = iter(sorted(value for row in found for value in row))
            found = [[next(values) for _ in row] for row in found]

        expected = [self.substitute(line, scope) for line in record.expected or []]
        if label and self.labels.setdefault(label, digest(found, types)) != digest(found, types):
            raise Failure(record.line, f'another result than the first query labelled "{label}"', sql)
        if len(expected) == 1 and HASH.fullmatch(expected[0]):
            if expected[0] != digest(found, types):
                problem = f"wrong hash\nexpected: {expected[0]}\nfound:    {digest(found, types)}"
                raise Failure(record.line, problem, sql)
        elif not label or record.expected is not None:
            if problem := compare(expected, found, len(letters), types):
                raise Failure(record.line, problem, sql)

    def do_loop(self, record, arguments, scope):
        name, start, end = arguments
        self.iterate(record, name, map(str, range(int(start), int(end))), scope)

    def do_foreach(self, record, arguments, scope):
        name, *values = arguments
        self.iterate(record, name, [v for value in values for v in VALUE_LISTS.get(value.lower(), [value])], scope)

    do_concurrentloop, do_concurrentforeach = do_loop, do_foreach

    def iterate(self, record, name, values, scope):
        names = name.split(",")  # `foreach a,b 1,2 3,4`
        scopes = []
        for value in values:
            parts = value.split(",") if len(names) > 1 else [value]
            if len(parts) != len(names):
                raise Failure(record.line, f"{value} does not fit {name}")
            scopes.append(replace(scope, variables={**scope.variables, **dict(zip(names, parts))}))
        if not record.verb.startswith("concurrent"):
            for inner in scopes:
                self.run(record.body, inner)
            return

        def thread(inner):
            with contextlib.closing(self.database.cursor()) as connection:
                self.run(record.body, replace(inner, connection=connection))

        with ThreadPoolExecutor(len(scopes) or 1) as pool:
            list(pool.map(thread, scopes))  # raises what a thread raised

    def do_require(self, record, arguments, scope):
        name = arguments[0].lower()
        if name in PRESENT or name == "vector_size" and int(arguments[1]) <= VECTOR_SIZE:
            return
        ours = self.extension is not None and name == self.extension.name.split(".")[0]
        load = f"LOAD '{self.extension}'" if ours else f'LOAD "{name}"'
        try:
            if name in ABSENT:
                raise Skip(f"require {name}")
            self.main.execute(load)
        except duckdb.Error as error:
            if ours:  # a skip would let a broken build pass
                raise
            raise Skip(f"require {name}") from error
        self.loads.append(load)

    def do_require_env(self, record, arguments, scope):
        name, wanted, *_ = [*arguments, None]
        value = {**os.environ, **self.presets}.get(name)
        if value is None or wanted not in (None, value):
            raise Skip(f"require-env {' '.join(arguments)}")
        self.variables[name] = value

    def do_test_env(self, record, arguments, scope):
        self.variables[arguments[0]] = {**os.environ, **self.presets}.get(*arguments)

    def do_load(self, record, arguments, scope):
        path, *modes = arguments or [None]
        if path and "readonly" not in modes:
            for file in (path, path + ".wal"):
                pathlib.Path(file).unlink(missing_ok=True)
        self.open(path, "readonly" in modes)

    def do_restart(self, record, arguments, scope):
        if not self.path:
            raise Failure(record.line, "only a database in a file can be restarted: load one first")
        self.open(self.path, self.read_only)

    def do_reconnect(self, record, arguments, scope):
        self.main.close()
        self.main = self.database.cursor()

    def do_set(self, record, arguments, scope):
        self.main.execute("SELECT setseed(?)", [float(arguments[1])])

    def do_sleep(self, record, arguments, scope):
        time.sleep(int(arguments[0]) * SECONDS[arguments[1].removesuffix("s")])

    def do_halt(self, record, arguments, scope):
        raise Halt

    def do_tags(self, record, arguments, scope):
        """They choose files in DuckDB's runner."""

    def do_hash_threshold(self, record, arguments, scope):
        """From how many values on DuckDB's runner compares hashes only; here rows count always."""


def run_file(path, extension=None, fixtures=None):
    """The number of statements and queries executed; raises Failure or Skip."""
    records = parse(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="sqllogic-") as directory:
        runner = Runner(extension and extension.resolve(), fixtures and fixtures.resolve(), directory)
        with contextlib.closing(runner), contextlib.suppress(Halt):
            runner.run(records)
    if not runner.executed:
        raise Failure(1, "the file tests nothing")
    return runner.executed


def child(path, options):
    """Runs one file and reports it: as text, exit code and a last line that says that the end was reached."""
    code = 0
    try:
        print(run_file(path, options.extension, options.fixtures), "records")
    except Skip as skip:
        print(skip)
        code = SKIPPED
    except Failure as failure:
        message, *details = failure.message.splitlines()
        print(f"{path}:{failure.line}: {message}")
        for line in [*("    " + line for line in failure.sql.splitlines()), *details]:
            print("  " + line)
        code = 1
    print(FINISHED, flush=True)
    return code


def run_child(path, options):
    """Exit code and report of one file."""
    command = [sys.executable, __file__, "--child", str(path)]
    for option in ("extension", "fixtures"):
        if value := getattr(options, option):
            command += [f"--{option}", str(value)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=options.timeout)
        code, output = done.returncode, done.stdout.decode(errors="replace").rstrip()
        if code in (0, 1, SKIPPED) and output.endswith(FINISHED):
            return code, output.removesuffix(FINISHED).rstrip()
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        return 1, f"{path}: the process ended too early or badly ({cause})\n{output}"
    except subprocess.TimeoutExpired as error:
        return 1, f"{path}: still running after {options.timeout:g} s\n{(error.stdout or b'').decode(errors='replace')}"


def find_files(paths, slow):
    patterns = ("*.test", "*.test_slow") if slow else ("*.test",)
    for path in paths:
        matches = sorted(pathlib.Path(match) for match in glob.glob(path))
        if not matches:
            raise SystemExit(f"sqllogic: no such file or directory: {path}")
        for match in matches:
            yield from sorted(f for p in patterns for f in match.rglob(p)) if match.is_dir() else [match]


def main():
    parser = argparse.ArgumentParser(description="Runs sqllogictests in DuckDB's dialect.")
    parser.add_argument("paths", nargs="*", default=["test/sql"], help="files, directories or patterns (test/sql)")
    parser.add_argument("--extension", type=pathlib.Path, help="the file that `require <its name>` loads")
    parser.add_argument("--fixtures", type=pathlib.Path, help="the directory that ${FIXTURES} stands for")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time (1)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one file (600)")
    parser.add_argument("--slow", action="store_true", help="run *.test_slow too")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")
    if options.child:
        return child(pathlib.Path(options.paths[0]), options)

    counts, words = {0: 0, 1: 0, SKIPPED: 0}, {0: "ok   ", 1: "FAIL ", SKIPPED: "skip "}
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(run_child, file, options): file for file in find_files(options.paths, options.slow)}
        for run in as_completed(runs):
            code, report = run.result()
            counts[code] += 1
            print(words[code], runs[run], f"\n{report}" if code == 1 else f" ({report})", sep="", flush=True)
    print(f"{counts[0]} passed, {counts[1]} failed" + f", {counts[SKIPPED]} skipped" * bool(counts[SKIPPED]))
    return 0 if counts[0] and not counts[1] else 1  # a run in which nothing passed proves nothing


if __name__ == "__main__":
    sys.exit(main())
