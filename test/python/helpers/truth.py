"""What a scan must return, as an Arrow table made from the server's own exports.

`expected.parquet` is the source, `expected.csv` where there is none (odd_text). Every column has the Arrow type in which
DuckDB hands out the type of docs/types.md, except that times are plain int64 in their own unit (values at the ends of
the 64-bit range have no text) and LONG128 is its decimal digits (Arrow has no 128-bit integer).
"""
import json
import re
import struct
import uuid
from decimal import Decimal
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .cases import case, quote

REPLACEMENT = "\ufffd"
BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz"
ARROW = {
    "BOOLEAN": pa.bool_(), "BYTE": pa.int8(), "SHORT": pa.int16(), "CHAR": pa.string(), "INT": pa.int32(),
    "LONG": pa.int64(), "DATE": pa.int64(), "TIMESTAMP": pa.int64(), "TIMESTAMP_NS": pa.int64(),
    "FLOAT": pa.float32(), "DOUBLE": pa.float64(), "STRING": pa.string(), "SYMBOL": pa.string(),
    "VARCHAR": pa.string(), "BINARY": pa.binary(), "UUID": pa.string(), "LONG128": pa.string(),
    "LONG256": pa.string(), "IPv4": pa.string(),
}
DUCKDB = {
    "BOOLEAN": "BOOLEAN", "BYTE": "TINYINT", "SHORT": "SMALLINT", "CHAR": "VARCHAR", "INT": "INTEGER",
    "LONG": "BIGINT", "DATE": "TIMESTAMP_MS", "TIMESTAMP": "TIMESTAMP", "TIMESTAMP_NS": "TIMESTAMP_NS",
    "FLOAT": "FLOAT", "DOUBLE": "DOUBLE", "STRING": "VARCHAR", "SYMBOL": "VARCHAR", "VARCHAR": "VARCHAR",
    "BINARY": "BLOB", "UUID": "UUID", "LONG128": "UHUGEINT", "LONG256": "VARCHAR", "IPv4": "VARCHAR",
}
RAW_DUCKDB = {"LONG256": "BLOB", "IPv4": "UINTEGER", "GEOHASH": "BIGINT"}       # raw_types := true
TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_NS")
UNIT = {"DATE": "ms", "TIMESTAMP": "us", "TIMESTAMP_NS": "ns"}
DIGITS = {"DATE": 3, "TIMESTAMP": 6, "TIMESTAMP_NS": 9}


# ---- types ------------------------------------------------------------------------------------------------------

def family(kind):
    """The QuestDB type without its parameters: GEOHASH(3c) -> GEOHASH, DOUBLE[][] -> ARRAY."""
    return "ARRAY" if kind.endswith("[]") else kind.partition("(")[0]


def precision_scale(kind):
    p, s = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind).groups()
    return int(p), int(s)


def duckdb_type(kind, raw=False):
    """The DuckDB type that a QuestDB type must have."""
    f = family(kind)
    if raw and f in RAW_DUCKDB:
        return RAW_DUCKDB[f]
    if f == "GEOHASH":
        return "VARCHAR"
    if f == "ARRAY":
        return kind
    if f == "DECIMAL":
        return kind if precision_scale(kind)[0] <= 38 else "VARCHAR"
    return DUCKDB[kind]


def arrow_type(kind):
    f = family(kind)
    if f == "GEOHASH":
        return pa.string()
    if f == "ARRAY":
        t = pa.float64()
        for _ in range(kind.count("[]")):
            t = pa.list_(t)
        return t
    if f == "DECIMAL":
        p, s = precision_scale(kind)
        return pa.decimal128(p, s) if p <= 38 else pa.string()
    return ARROW[kind]


# ---- text forms of the server -----------------------------------------------------------------------------------

def geohash_text(kind, value):
    unit = kind[-2]
    n = int(re.search(r"\d+", kind).group())
    if unit == "b":
        return format(value, f"0{n}b")
    return "".join(BASE32[value >> 5 * (n - 1 - i) & 31] for i in range(n))


def geohash_bits(kind, word):
    """The value of a GEOHASH from its text."""
    value = 0
    if kind[-2] == "b":
        return int(word, 2)
    for letter in word:
        value = value * 32 + BASE32.index(letter)
    return value


def long256_text(value):
    digits = format(value, "x")
    return "0x" + digits.zfill(len(digits) + len(digits) % 2)


def ipv4_text(value):
    return ".".join(str(value >> s & 255) for s in (24, 16, 8, 0))


def char_text(unit):
    return None if not unit else REPLACEMENT if 0xD800 <= unit <= 0xDFFF else chr(unit)


def iso_to_int(iso, digits):
    """Units of 10^-digits seconds since 1970 of an ISO time of any year (proleptic Gregorian)."""
    m = re.fullmatch(r"(-?\d+)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?Z", iso)
    y, mo, d, h, mi, s = (int(x) for x in m.groups()[:6])
    y2 = y - (mo <= 2)
    era = y2 // 400
    yoe = y2 - era * 400
    doy = (153 * (mo + (-3 if mo > 2 else 9)) + 2) // 5 + d - 1
    days = era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
    fraction = (m.group(7) or "").ljust(digits, "0")[:digits]
    return ((days * 24 + h) * 3600 + mi * 60 + s) * 10**digits + int(fraction or 0)


# ---- expected.parquet -------------------------------------------------------------------------------------------

def _mapped(column, kind, f):
    return pa.array([None if v is None else f(v) for v in column.to_pylist()], arrow_type(kind))


def _no_nan(value):
    if isinstance(value, list):
        return [_no_nan(v) for v in value]
    return None if value is None or value != value else value


def from_parquet(kind, column):
    """A column of expected.parquet as the scan must give it."""
    f = family(kind)
    if f in TIMES:
        whole = column.cast(pa.int64())
        if kind == "DATE" and column.type.unit == "us":
            whole = pc.divide(whole, 1000)
        return whole
    if f in ("FLOAT", "DOUBLE"):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if f == "ARRAY":
        return pa.array(_no_nan(column.to_pylist()), arrow_type(kind))
    if f == "CHAR":
        return pa.array([char_text(v) for v in column.to_pylist()], pa.string())
    if f == "UUID":
        return _mapped(column, kind, lambda v: str(v if isinstance(v, uuid.UUID) else uuid.UUID(bytes=v)))
    if f == "LONG128":
        return _mapped(column, kind, lambda v: str(int.from_bytes(v, "little")))
    if f == "LONG256":
        return _mapped(column, kind, lambda v: long256_text(int.from_bytes(v, "little")))
    if f == "IPv4":
        return _mapped(column, kind, ipv4_text)
    if f == "GEOHASH":
        return _mapped(column, kind, lambda v: geohash_text(kind, v))
    if f == "DECIMAL" and precision_scale(kind)[0] > 38:
        return _mapped(column, kind, lambda v: format(v, "f"))
    return column.cast(arrow_type(kind))


# ---- expected.csv -----------------------------------------------------------------------------------------------

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.S)
_FIELD = re.compile(r'"((?:[^"]|"")*)"|((?:(?!\r\n)[^,])*)')


def unescape(word):
    """Undoes the JSON-like escapes that /exp puts into quoted text."""
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _ESCAPES.get(m[2], m[2]), word)


def parse_csv(data, char_columns=()):
    """Rows of (quoted, text) fields as /exp wrote them, without the header.

    A CHAR stands bare, without quotes or escapes, even when it is a comma or a quote: `char_columns` are their
    positions. A comma there looks like a null and an empty field after it; it is taken as null, unless that gives
    the row more fields than the header has.
    """
    rows, i = [], 0
    while i < len(data):
        row, end = _parse_row(data, i, char_columns if rows else (), False)
        if rows and len(row) > len(rows[0]):
            row, end = _parse_row(data, i, char_columns, True)
        assert not rows or len(row) == len(rows[0]), f"CSV row {len(rows)} has {len(row)} fields: {row}"
        rows.append(row)
        i = end
    return rows[1:]


def _parse_row(data, i, char_columns, comma_is_a_value):
    row = []
    while True:
        if len(row) in char_columns:
            empty = data.startswith("\r\n", i) or data[i] == "," and not comma_is_a_value
            row.append((False, "" if empty else data[i]))
            i += not empty
        else:
            m = _FIELD.match(data, i)
            row.append((True, m[1].replace('""', '"')) if m[1] is not None else (False, m[2]))
            i = m.end()
        if data.startswith("\r\n", i):
            return row, i + 2
        if data[i] != ",":
            raise ValueError(f"unexpected character in CSV at {i}: {data[i:i + 20]!r}")
        i += 1


def from_csv(kind, field):
    """The value of a CSV field as the scan must give it (Infinity is null in CSV)."""
    quoted, word = field
    f = family(kind)
    if f in ("STRING", "VARCHAR", "SYMBOL"):
        return unescape(word) if quoted else None
    if f == "CHAR":
        return word or None
    if word in ("", "null"):
        return None
    if f == "BOOLEAN":
        return word == "true"
    if f in ("BYTE", "SHORT", "INT", "LONG"):
        return int(word)
    if f in TIMES:
        value = iso_to_int(word, DIGITS[f])     # CSV shows a wrong year near the low end of the range
        return value if -2**63 < value < 2**63 else None
    if f == "FLOAT":
        return struct.unpack("f", struct.pack("f", float(word)))[0]
    if f == "DOUBLE":
        return float(word)
    if f == "DECIMAL":
        return Decimal(word) if precision_scale(kind)[0] <= 38 else word
    if f == "ARRAY":
        return json.loads(word)
    return word                         # LONG256, IPv4, GEOHASH, UUID: the text itself


@lru_cache(maxsize=2)
def csv_table(name):
    """expected.csv as a table; LONG128 columns are not in it, BINARY ones are always null."""
    c = case(name)
    kinds = [(n, k) for n, k in c.kinds.items() if k != "LONG128"]
    data = (c.files / "expected.csv").read_bytes().decode("utf-8")
    rows = parse_csv(data, {i for i, (_, k) in enumerate(kinds) if k == "CHAR"})
    columns = {n: pa.array([from_csv(k, r[i]) for r in rows], arrow_type(k)) for i, (n, k) in enumerate(kinds)}
    return pa.table(columns) if columns else None


def has_csv(name):
    return (case(name).files / "expected.csv").exists()


@lru_cache(maxsize=4)
def expected(name):
    """Every row of the case, in order."""
    c = case(name)
    path = c.files / "expected.parquet"
    if path.exists():
        source = pq.read_table(path)
        assert source.column_names == c.columns, f"{name}: expected.parquet has other columns than schema.json"
        return pa.table({n: from_parquet(k, source.column(i)) for i, (n, k) in enumerate(c.kinds.items())})
    table = csv_table(name)
    if name == "odd_text":              # CSV shows a lone surrogate as `?`; no other question mark is in the data
        for i, n in enumerate(table.column_names):
            if c.kinds[n] in ("STRING", "SYMBOL", "CHAR"):
                table = table.set_column(i, n, pc.replace_substring(table.column(i), "?", REPLACEMENT))
    return table


def raw_expected(name, column):
    """The column as `raw_types := true` must give it: LONG256 its 32 bytes, IPv4 and GEOHASH their number."""
    c = case(name)
    kind = c.kinds[column]
    words = expected(name).column(column).to_pylist()
    if kind == "LONG256":
        return pa.array([None if w is None else int(w, 16).to_bytes(32, "little") for w in words], pa.binary())
    if kind == "IPv4":
        return pa.array([None if w is None else int.from_bytes(bytes(map(int, w.split("."))), "big") for w in words], pa.uint32())
    return pa.array([None if w is None else geohash_bits(kind, w) for w in words], pa.int64())


# ---- asking DuckDB ----------------------------------------------------------------------------------------------

def select_list(name, columns=None):
    """The columns in a form that Arrow can carry exactly."""
    kinds = case(name).kinds
    return ", ".join(f"{quote(n)}::VARCHAR AS {quote(n)}" if kinds[n] == "LONG128" else quote(n) for n in columns or kinds)
