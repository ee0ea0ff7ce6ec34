"""Changes a table's `_txn` (docs/format.md §3)."""
import struct

from . import files


def rewrite(table, change):
    """`change` gets the list of [timestamp, rows, name txn, Parquet size] and edits it; totals follow.

    A list that gets shorter leaves room behind it, which nobody reads. Flags of the row count stay as they are.
    """
    path = table / "_txn"
    data = bytearray(path.read_bytes())
    area = 8 if struct.unpack_from("<q", data, 0)[0] % 2 == 0 else 32
    at, symbols, size = struct.unpack_from("<iii", data, area)
    start = at + 132 + symbols + 4
    entries = [list(struct.unpack_from("<qqqq", data, start + i)) for i in range(0, size, 32)]
    _, transient, fixed = struct.unpack_from("<qqq", data, at)
    rows = [e[1] & (1 << 44) - 1 for e in entries]
    if entries:
        rows[-1] = transient
        entries[-1][1] = entries[-1][1] & ~((1 << 44) - 1) | transient
    change(entries)
    rows = [e[1] & (1 << 44) - 1 for e in entries]
    struct.pack_into("<qq", data, at + 8, rows[-1], sum(rows[:-1]))
    for i, entry in enumerate(entries):
        struct.pack_into("<qqqq", data, start + 32 * i, *entry)
    struct.pack_into("<i", data, area + 8, 32 * len(entries))
    struct.pack_into("<i", data, start - 4, 32 * len(entries))
    path.write_bytes(data)


def commit(table, truncations):
    """Writes the next transaction to `_txn`: the same rows, and so many more TRUNCATEs or dropped partitions."""
    path = table / "_txn"
    data = bytearray(path.read_bytes())
    txn = files.txn(table)
    offset, symbols, partitions = struct.unpack_from("<3i", data, 8 + 24 * (txn % 2))
    record = bytearray(data[offset:offset + 136 + symbols + partitions])
    struct.pack_into("<q", record, 0, txn + 1)
    struct.pack_into("<q", record, 72, struct.unpack_from("<q", record, 72)[0] + truncations)
    struct.pack_into("<3i", data, 8 + 24 * ((txn + 1) % 2), len(data), symbols, partitions)
    struct.pack_into("<q", data, 0, txn + 1)
    with open(path, "r+b") as file:  # the same file, as the server does
        file.write(data + record)
