"""Exact comparison of Arrow tables: values, NULLs, order, types; floats by their bits, so -0.0 is not 0.0."""
import struct

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def normal(column):
    """One array; times as their integers; dictionaries and large types as plain ones."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    t = column.type
    if pa.types.is_dictionary(t):
        return normal(column.dictionary_decode())
    if pa.types.is_timestamp(t):
        return column.cast(pa.int64())
    if pa.types.is_large_string(t) or getattr(pa.types, "is_string_view", lambda _: False)(t):
        return column.cast(pa.string())
    if pa.types.is_large_binary(t):
        return column.cast(pa.binary())
    return column


def _type_text(t):
    return "list<" + _type_text(t.value_type) + ">" if pa.types.is_list(t) else str(t)


def _exact(value):
    """A form of a nested value in which == is exact. [[], []] and [] are the same: the server's exports do not tell them apart."""
    if isinstance(value, list):
        inner = [_exact(v) for v in value]
        return [] if inner and all(v == [] for v in inner) else inner
    return struct.pack("d", value) if isinstance(value, float) else value


def _bits(array):
    """Floats as integers of their bits."""
    ints = {pa.float32(): (np.float32, np.int32), pa.float64(): (np.float64, np.int64)}[array.type]
    return np.asarray(pc.fill_null(array, 0.0).to_numpy(zero_copy_only=False), dtype=ints[0]).view(ints[1])


def differing_rows(got, want):
    """Row numbers at which two columns of one length and type differ."""
    if pa.types.is_list(got.type):
        pairs = zip(got.to_pylist(), want.to_pylist())
        return [i for i, (a, b) in enumerate(pairs) if _exact(a) != _exact(b)]
    nulls = np.asarray(got.is_null()) != np.asarray(want.is_null())
    if pa.types.is_floating(got.type):
        values = _bits(got) != _bits(want)
    else:
        if got.equals(want):
            return []
        values = np.asarray(pc.fill_null(pc.not_equal(got, want), False))
    return np.flatnonzero(nulls | values).tolist()


def difference(got, want):
    """None, or a text that says where two tables (or columns) differ."""
    if not isinstance(got, pa.Table):
        got, want = pa.table({"column": got}), pa.table({"column": want})
    if got.column_names != want.column_names:
        return f"columns {got.column_names} instead of {want.column_names}"
    if got.num_rows != want.num_rows:
        return f"{got.num_rows} rows instead of {want.num_rows}"
    out = []
    for name, g, w in zip(got.column_names, got.columns, want.columns):
        g, w = normal(g), normal(w)
        if _type_text(g.type) != _type_text(w.type):
            out.append(f"{name}: Arrow type {g.type} instead of {w.type}")
            continue
        rows = differing_rows(g, w)
        if rows:
            shown = "; ".join(f"row {r}: {_short(g[r])} instead of {_short(w[r])}" for r in rows[:4])
            out.append(f"{name}: {len(rows)} of {got.num_rows} rows differ: {shown}")
    return "\n".join(out) or None


def _short(scalar):
    word = repr(scalar.as_py())
    return word if len(word) <= 120 else word[:100] + f"... ({len(word)} characters)"


def assert_same(got, want, what=""):
    d = difference(got, want)
    assert d is None, f"{what}\n{d}" if what else d


def arrow(con, sql):
    """The result of a statement as one Arrow table."""
    return con.execute(sql).to_arrow_table()


def answers(con, statements):
    """The result of each statement as an Arrow table, or its error; all in one transaction, so with one now()."""
    found = []
    con.execute("BEGIN")
    for sql in statements:
        try:
            found.append(arrow(con, sql))
        except duckdb.Error as error:
            found.append(error)
            con.execute("ROLLBACK")
            con.execute("BEGIN")
    con.execute("ROLLBACK")
    return found
