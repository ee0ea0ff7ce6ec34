"""Exported files as other systems read them: each reader gives an Arrow table in the form of helpers.truth.

A reader takes a case and its files in the order of rows. Columns that a system cannot represent are left out of its table:
polars has no decimals beyond 38 digits, DuckDB reads those as DOUBLE and refuses times outside its range.
"""
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from . import truth
from .cases import quote, text

DIGITS = 38                     # of the largest decimals of DuckDB and polars
BEYOND_DUCKDB = {"extreme_times": ("d", "t", "n")}      # columns with times outside DuckDB's range


def expected(case, columns):
    """The server's answer for some columns."""
    return truth.expected(case.name).select(columns)


# ---- values -----------------------------------------------------------------------------------------------------

def array_of(blob, dimensions):
    """A value of `raw_array_encoding`: 32-bit lengths, zeros up to 8 bytes, then the doubles row by row, NaN for NULL."""
    if blob is None:
        return None
    lengths = struct.unpack_from(f"<{dimensions}i", blob)
    start = (4 * dimensions + 7) // 8 * 8
    values = iter(struct.unpack_from(f"<{(len(blob) - start) // 8}d", blob, start))

    def level(depth):
        if depth == dimensions:
            value = next(values)
            return None if value != value else value
        return [level(depth + 1) for _ in range(lengths[depth])]

    out = level(0)
    assert next(values, None) is None, f"{len(blob)} bytes for the shape {lengths}"
    return out


def normal(kind, column):
    """A column of a file, or of a reader's answer, in the form of helpers.truth."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    f = truth.family(kind)
    if f == "ARRAY" and not pa.types.is_nested(column.type):
        blobs = column.cast(pa.binary()).to_pylist()
        return pa.array([array_of(blob, kind.count("[]")) for blob in blobs], truth.arrow_type(kind))
    if f in truth.TIMES and pa.types.is_int64(column.type):
        return column
    if f == "UUID" and pa.types.is_string(column.type.storage_type if hasattr(column.type, "storage_type") else column.type):
        return column
    return truth.from_parquet(kind, column)


def files_in_order(result):
    """The files of an export in the order of the table's rows: partitions by name, a partition's files by number."""
    def key(path):
        path = re.sub(r"\.parquet$", "", path)
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]
    return sorted({row[0] for row in result}, key=key)


def table_of(case, columns, read):
    return pa.table({name: normal(case.kinds[name], read(name)) for name in columns})


# ---- pyarrow ----------------------------------------------------------------------------------------------------

def by_pyarrow(case, files):
    parts = [pq.ParquetFile(file).read() for file in files]
    for part in parts:
        part.validate(full=True)
    assert parts[0].column_names == case.columns
    whole = pa.concat_tables(parts)
    return table_of(case, case.columns, whole.column)


# ---- DuckDB -----------------------------------------------------------------------------------------------------

def duckdb_form(kind, column):
    f = truth.family(kind)
    if f in truth.TIMES:
        return f"epoch_{truth.UNIT[kind]}({column})"
    return f"{column}::VARCHAR" if f == "UUID" else column


def by_duckdb(con, case, files):
    beyond = BEYOND_DUCKDB.get(case.name, ())
    columns = [name for name, kind in case.kinds.items() if name not in beyond and not is_wide_decimal(kind)]
    wide = [name for name, kind in case.kinds.items() if name not in beyond and is_wide_decimal(kind)]
    source = f"read_parquet([{', '.join(text(file) for file in files)}], hive_partitioning = false)"
    listed = ", ".join(f"{duckdb_form(case.kinds[name], quote(name))} AS {quote(name)}" for name in columns + wide)
    whole = con.execute(f"SELECT {listed} FROM {source}").to_arrow_table()
    for name in wide:
        check_wide_decimals(case, name, whole.column(name))
    return table_of(case, columns, whole.column)


def is_wide_decimal(kind):
    return truth.family(kind) == "DECIMAL" and truth.precision_scale(kind)[0] > DIGITS


def check_wide_decimals(case, name, column):
    """DuckDB's DOUBLE of a decimal that it has no type for: NULL where it is NULL, and near it elsewhere."""
    for got, want in zip(column.to_pylist(), truth.expected(case.name).column(name).to_pylist(), strict=True):
        same = (got is None) == (want is None) and (got is None or abs(got - float(want)) <= abs(float(want)) * 1e-12)
        assert same, f"{case.name}.{name}: {got} instead of {want}"


# ---- polars -----------------------------------------------------------------------------------------------------

def by_polars(case, files):
    import polars

    columns = [name for name, kind in case.kinds.items() if not is_wide_decimal(kind)]
    frame = polars.concat([polars.read_parquet(file, columns=columns, hive_partitioning=False) for file in files])
    whole = frame.to_arrow(compat_level=polars.CompatLevel.oldest())
    return table_of(case, columns, lambda name: plain(whole.column(name)))


def plain(column):
    """Large lists and texts as ordinary ones."""
    t = column.type
    if pa.types.is_large_list(t):
        return pa.array(column.to_pylist(), plain_list(t))
    if pa.types.is_large_binary(t):
        return column.cast(pa.binary())
    return column


def plain_list(t):
    return pa.list_(plain_list(t.value_type)) if pa.types.is_large_list(t) else t


# ---- chDB -------------------------------------------------------------------------------------------------------

TICKS = {"DATE": "Milli", "TIMESTAMP": "Micro", "TIMESTAMP_NS": "Nano"}


class Chdb:
    """ClickHouse, in a process of its own: its library is large, and shares no symbols with DuckDB there."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "helpers.readers"], cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def query(self, sql):
        self.process.stdin.write(json.dumps(sql).encode() + b"\n")
        self.process.stdin.flush()
        head = self.process.stdout.read(9)
        assert len(head) == 9, f"chDB ended: {sql}"
        failed, size = struct.unpack("<?q", head)
        answer = self.process.stdout.read(size)
        assert not failed, f"{answer.decode(errors='replace')}\n{sql}"
        return pa.ipc.open_file(answer).read_all()

    def read(self, case, files):
        listed = ", ".join(f"{self.form(kind, backtick(name))} AS {backtick(name)}" for name, kind in case.kinds.items())
        parts = [self.query(f"SELECT {listed} FROM file({text(escaped(file))}, Parquet)") for file in files]
        whole = pa.concat_tables(parts, promote_options="permissive")
        return table_of(case, case.columns, lambda name: textual(case.kinds[name], whole.column(name)))

    @staticmethod
    def form(kind, column):
        if kind in TICKS:
            return f"toUnixTimestamp64{TICKS[kind]}({column})"
        return f"toString({column})" if kind == "UUID" else column


def backtick(name):
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def escaped(path):
    return str(path).replace("\\", "\\\\")


def textual(kind, column):
    """chDB gives every text as bytes, because not every text of it is UTF-8."""
    binary = truth.family(kind) in ("BINARY", "ARRAY", "LONG128", "LONG256")
    return column.cast(pa.string()) if not binary and pa.types.is_binary(column.type) else column


def without_null_arrays(table, kinds):
    """ClickHouse has no NULL arrays: they are empty there."""
    for index, name in enumerate(table.column_names):
        if truth.family(kinds[name]) == "ARRAY":
            values = pa.array([value or [] for value in table.column(name).to_pylist()], truth.arrow_type(kinds[name]))
            table = table.set_column(index, name, values)
    return table


def _serve():
    import chdb

    settings = "output_format_arrow_string_as_string = 0, use_hive_partitioning = 0, input_format_parquet_preserve_order = 1, max_threads = 1"
    for line in sys.stdin.buffer:
        try:
            failed, answer = False, chdb.query(f"{json.loads(line)} SETTINGS {settings}", "Arrow").bytes()
        except Exception as e:
            failed, answer = True, str(e).encode()
        sys.stdout.buffer.write(struct.pack("<?q", failed, len(answer)) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
