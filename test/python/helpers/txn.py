"""Changes the partitions that a table's `_txn` lists (docs/format.md §3)."""
import struct


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
