"""The few bytes of a table directory that tests read for themselves (questdb-format.md sections 2, 3 and 10)."""
import struct


def meta(path):
    """Live columns of `_meta`: writer index by name; and the raw bytes."""
    data = (path / "_meta").read_bytes()
    count = struct.unpack_from("<i", data, 0)[0]
    at, out = 128 + 32 * count, {}
    for index in range(count):
        n = struct.unpack_from("<i", data, at)[0]
        name = data[at + 4:at + 4 + 2 * n].decode("utf-16-le")
        at += 4 + 2 * n
        if struct.unpack_from("<i", data, 128 + 32 * index)[0] > 0:
            out[name] = index
    return out


def txn(path):
    """The transaction number: the version word of `_txn`."""
    return struct.unpack("<q", (path / "_txn").read_bytes()[:8])[0]


def sequencer_txn(path):
    """The last transaction of a WAL table's sequencer."""
    return struct.unpack_from("<q", (path / "txn_seq/_txnlog").read_bytes(), 4)[0]


def size(directory):
    """The sum of the lengths of the files in a directory."""
    return sum(f.stat().st_size for f in directory.iterdir() if f.is_file())
