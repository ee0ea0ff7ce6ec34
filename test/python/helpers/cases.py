"""The fixture cases on disk, the extension under test, and connections that have it loaded.

    QUESTDB_EXTENSION   the extension file   (default build/release/questdb.duckdb_extension)
    QUESTDB_FIXTURES    unpacked cases       (default build/fixtures/<case>/)
"""
import json
import os
from functools import cached_property, lru_cache
from pathlib import Path

import duckdb

REPO = Path(__file__).resolve().parents[3]
EXTENSION = Path(os.environ.get("QUESTDB_EXTENSION", REPO / "build/release/questdb.duckdb_extension")).resolve()
FIXTURES = Path(os.environ.get("QUESTDB_FIXTURES", REPO / "build/fixtures")).resolve()

# Parquet partitions inside a table: while this is False, a query that needs one must raise an error that says
# "not supported yet" and names the partition; when it is True the pq_* cases are compared like all others.
PARQUET_SUPPORTED = True

PARQUET_CASES = [
    "pq_add_cols_after", "pq_add_cols_o3", "pq_all", "pq_back_native", "pq_bypass", "pq_codecs", "pq_dedup",
    "pq_drop_rename", "pq_mixed_types", "pq_ns_hour", "pq_o3_merge", "pq_symbols", "pq_tops", "pq_type_change",
]


def quote(name):
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value):
    """A SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def connect(threads=None, **config):
    """An in-memory database of its own with the extension loaded."""
    con = duckdb.connect(config={"allow_unsigned_extensions": "true", **config})
    con.execute(f"LOAD {text(EXTENSION)}")
    con.execute("SET TimeZone = 'UTC'")
    if threads is not None:
        con.execute(f"SET threads = {threads}")
    return con


class Case:
    """One table of a fixture: where it lies and what the server said about it."""

    def __init__(self, name, files, root, info):
        self.name = name
        self.files = files              # the folder of schema.json, expected.parquet ...
        self.root = root                # the db/ folder
        self.info = info
        self.table = info["table"]
        self.path = root / info["directory"]
        self.corrupt = info["corrupt"]
        self.rows = info.get("rows")

    def __repr__(self):
        return f"<case {self.name}>"

    def json(self, name):
        return json.loads((self.files / name).read_text(encoding="utf-8"))

    @cached_property
    def schema(self):
        """table_columns(t): one dict per column, in table order."""
        return self.json("schema.json")

    @cached_property
    def partitions(self):
        """SHOW PARTITIONS: attached ones first, then detached ones with index None."""
        return self.json("partitions.json")

    @cached_property
    def tables(self):
        """The row of tables() and, for WAL tables, of wal_tables()."""
        return self.json("tables.json")

    @property
    def queries(self):
        return self.json("queries.json")

    @property
    def kinds(self):
        """QuestDB type by column name."""
        return {c["column"]: c["type"] for c in self.schema}

    @property
    def columns(self):
        return [c["column"] for c in self.schema]

    @property
    def timestamp(self):
        """The designated timestamp's name or None."""
        return next((c["column"] for c in self.schema if c["designated"]), None)

    @property
    def attached(self):
        return [p for p in self.partitions if p["attached"]]

    @property
    def row_ranges(self):
        """Rows [start, end) of the table that each attached partition holds."""
        out, start = [], 0
        for p in self.attached:
            out.append((start, start + p["numRows"]))
            start += p["numRows"]
        return out

    @property
    def parquet_partitions(self):
        return [p["name"] for p in self.attached if p["isParquet"]]

    @property
    def scan(self):
        """The table function call."""
        return f"read_partitions({text(self.path)})"


@lru_cache(maxsize=None)
def case(name):
    """A case by its folder's name; a table of whole_root is `whole_root/00`."""
    folder, _, number = name.partition("/")
    files = FIXTURES / folder / "tables" / number if number else FIXTURES / folder
    info = json.loads((files / "case.json").read_text(encoding="utf-8"))
    return Case(name, files, FIXTURES / folder / "db", info)


def _names():
    if not FIXTURES.is_dir():
        return []
    return sorted(f.name for f in FIXTURES.iterdir() if (f / "case.json").is_file())


WHOLE_ROOT = [f"whole_root/{d.name}" for d in sorted((FIXTURES / "whole_root/tables").glob("[0-9][0-9]"))]
GOOD = [n for n in _names() if not n.startswith("corrupt_") and n != "whole_root"] + WHOLE_ROOT
CORRUPT = [n for n in _names() if n.startswith("corrupt_")]
NATIVE = [n for n in GOOD if n not in PARQUET_CASES]
READABLE = GOOD if PARQUET_SUPPORTED else NATIVE
