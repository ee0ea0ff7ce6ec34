"""Parquet files that nobody can read, or that lie: errors that name the file and say what to do, for files without a table and for
Parquet partitions of one. The kinds of damage are those of apache/parquet-testing's bad_data, made anew."""
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import cases
from helpers.cases import text


def fails(con, query, *words):
    with pytest.raises(duckdb.Error) as error:
        con.execute(query).fetchall()
    message = str(error.value)
    assert "INTERNAL" not in message and "panic" not in message, message
    for word in words:
        assert word in message, message
    return error.value


def uncompressed(path, columns, **options):
    """Writes a file without compression; returns its bytes."""
    options = {"compression": "none", "use_dictionary": False, **options}
    pq.write_table(pa.table(columns), path, **options)
    return path.read_bytes()


def with_codec(data, column, codec):
    """The file with another number of the codec of a column, which is stored as it is."""
    name = column.encode()
    before = b"\x19\x18" + bytes([len(name)]) + name + b"\x15\x00"
    assert data.count(before) == 1
    return data.replace(before, before[:-1] + bytes([codec * 2]))


@pytest.fixture
def partition(tmp_path):
    """A copy of a table with a Parquet partition, and the path of that partition's file."""
    case = cases.case("pq_all")
    table = tmp_path / "db" / Path(case.path).name
    shutil.copytree(case.path, table)
    file = sorted(table.glob("*/data.parquet"))[0]
    return f"read_partitions({text(table)})", file


def test_codecs_that_are_not_supported(con, tmp_path):
    path = tmp_path / "x.parquet"
    data = uncompressed(path, {"some_number": list(range(100)), "other": ["x"] * 100})
    scan = f"read_partitions({text(path)})"
    path.write_bytes(with_codec(data, "some_number", 3))
    error = fails(con, f"SELECT sum(some_number) FROM {scan}", "LZO", "some_number", str(path), "Write the file again")
    assert isinstance(error, duckdb.NotImplementedException)
    assert con.execute(f"SELECT count(other) FROM {scan}").fetchone() == (100,)
    # A number that no release of Parquet knows.
    path.write_bytes(with_codec(data, "some_number", 50))
    fails(con, f"SELECT sum(some_number) FROM {scan}", "50", str(path))


def test_encrypted_files(con, tmp_path):
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(encryption.KmsClient):
        def wrap_key(self, key, name):
            return key.hex().encode()

        def unwrap_key(self, key, name):
            return bytes.fromhex(key.decode())

    factory = encryption.CryptoFactory(lambda _: Keys())
    table = pa.table({"a": list(range(1000)), "b": ["x"] * 1000})
    for plain in (False, True):
        path = tmp_path / f"{plain}.parquet"
        how = encryption.EncryptionConfiguration(footer_key="f", column_keys={"c": ["a"]}, plaintext_footer=plain)
        how = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
        with pq.ParquetWriter(path, table.schema, encryption_properties=how) as writer:
            writer.write_table(table)
        scan = f"read_partitions({text(path)})"
        if plain:
            fails(con, f"SELECT sum(a) FROM {scan}", "encrypted", '"a"', str(path))
            assert con.execute(f"SELECT count(b) FROM {scan}").fetchone() == (1000,)
        else:
            error = fails(con, f"SELECT count(*) FROM {scan}", "encrypted", str(path), "encryption_config")
            assert isinstance(error, duckdb.NotImplementedException)


def test_an_encrypted_partition(con, partition):
    scan, file = partition
    data = file.read_bytes()
    file.write_bytes(b"PARE" + data[4:-4] + b"PARE")
    error = fails(con, f"FROM {scan}", "encrypted", str(file))
    assert isinstance(error, duckdb.NotImplementedException)


def test_a_partition_of_an_unknown_codec(con, partition):
    scan, file = partition
    data = file.read_bytes()
    column = pq.ParquetFile(file).schema.names[0]
    name = b"\x19\x18" + bytes([len(column)]) + column.encode() + b"\x15"
    at = data.index(name, len(data) - 8 - int.from_bytes(data[-8:-4], "little")) + len(name)
    for codec in (3, 50):
        file.write_bytes(data[:at] + bytes([codec * 2]) + data[at + 1:])
        fails(con, f'SELECT max("{column}") FROM {scan}', str(file), "LZO" if codec == 3 else "50")


@pytest.mark.parametrize("kind", ["text", "long", "double", "symbol"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_dictionary_ids_out_of_range(con, kind, version, tmp_path):
    path = tmp_path / "x.parquet"
    values = {"text": ["a", "bb", "ccc"], "symbol": ["a", "bb", "ccc"], "long": [1, 2, 3], "double": [1.5, 2.5, 3.5]}[kind]
    # Three entries take two bits; 3 is none of them.
    options = {"use_dictionary": True, "data_page_version": version}
    if kind == "symbol":
        con.execute(f"COPY (SELECT 's' || i % 3 AS x FROM range(999) r(i)) TO {text(path)} (FORMAT questdb_parquet, compression_codec uncompressed)")
        data = path.read_bytes()
    else:
        data = uncompressed(path, {"x": values * 333}, **options)
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    end = (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size
    path.write_bytes(data[:end - 40] + b"\xff" * 40 + data[end:])
    fails(con, f"SELECT x, count(*) FROM read_partitions({text(path)}) GROUP BY x", '"x"' if kind == "symbol" else "", str(path))


def header(data, at):
    """Places and values of the varints of a data page header that begins at `at`, in order; structs are entered."""
    found, depth = [], 1
    while depth:
        field = data[at]
        at += 1
        kind = field & 15
        if field == 0:
            depth -= 1
        elif kind == 12:
            depth += 1
        elif kind in (5, 6):
            start, value, shift = at, 0, 0
            while True:
                value |= (data[at] & 127) << shift
                shift += 7
                at += 1
                if data[at - 1] < 128:
                    break
            found.append((start, at, value >> 1 ^ -(value & 1)))
        elif kind in (1, 2):
            pass
        elif kind == 8:
            at += 1 + data[at]
        else:
            raise ValueError(kind)
    return found


def varint(value, size):
    """A number in exactly so many bytes, or None."""
    value = value << 1 ^ value >> 63
    out = bytes([value >> 7 * i & 127 | 128 for i in range(size - 1)]) + bytes([value >> 7 * (size - 1) & 127])
    return out if value < 1 << 7 * size else None


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_page_headers_that_lie(con, version, tmp_path):
    """Sizes, numbers of values, NULLs and rows, lengths of levels: each one too small, too large, negative."""
    path = tmp_path / "x.parquet"
    rows = 400
    values = [None if i % 7 == 0 else i for i in range(rows)]
    good = uncompressed(path, {"x": pa.array(values, pa.int64())}, data_page_version=version, write_statistics=False)
    places = header(good, pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset)
    assert len(places) >= (9 if version == "2.0" else 7), places
    want = con.execute(f"SELECT count(*), count(x), sum(x) FROM read_parquet({text(path)})").fetchone()
    errors = 0
    for number, (start, end, value) in enumerate(places):
        for lie in (value + 1, value - 1, value + 40, value * 2, -1, -value, 0, 8191 if end - start > 1 else 63):
            if lie == value or (bad := varint(lie, end - start)) is None:
                continue
            path.write_bytes(good[:start] + bad + good[end:])
            try:
                got = con.execute(f"SELECT count(*), count(x), sum(x) FROM read_partitions({text(path)})").fetchone()
                # The NULLs of a page are told by its levels; some fields nobody needs.
                assert got[0] == rows and (got == want or number in (3, 4, 5, 6)), (number, value, lie, got, want)
            except duckdb.Error as error:
                assert "INTERNAL" not in str(error) and str(path) in str(error), error
                errors += 1
    assert errors >= 20, errors


def test_footers_with_other_numbers_of_rows(con, tmp_path):
    path = tmp_path / "x.parquet"
    good = uncompressed(path, {"x": list(range(1000)), "y": ["y"] * 1000})
    number = b"\x16" + varint(1000, 2)
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    places = [at for at in range(footer, len(good)) if good[at:at + 3] == number]
    # Those of the file, of both chunks and, the last one, of the row group; another number may look the same.
    assert len(places) >= 4, places
    for position, at in enumerate(places):
        for rows in (999, 1001, 2000, 0, -1):
            path.write_bytes(good[:at + 1] + varint(rows, 2) + good[at + 3:])
            query = f"SELECT count(*), sum(x), count(y) FROM read_partitions({text(path)})"
            try:
                got = con.execute(query).fetchone()
                # The number of the row group counts; those of the file and of the chunks are repetitions.
                assert got == (1000, 499500, 1000) or (at == places[-1] and rows == 0), (position, rows, got)
            except duckdb.Error as error:
                assert "INTERNAL" not in str(error) and str(path) in str(error), error
            else:
                assert at != places[-1] or rows == 0, (position, rows)
