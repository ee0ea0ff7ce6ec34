"""lenient := true over Parquet files without a table: what is damaged is NULL or left out, and each damage is in DuckDB's log."""
import random

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.cases import text

ROWS = 3000


@pytest.fixture
def files(con, tmp_path):
    """Three files with three row groups each, of a table's types and of others; `i` counts through all of them."""
    con.execute("CALL enable_logging(level = 'warning')")
    for number in range(3):
        rows = f"SELECT i, i / 2 AS d, 'text ' || i AS t, 's' || i % 3 AS s, [i, 1] AS l FROM range({number * ROWS}, {(number + 1) * ROWS}) r(i)"
        options = ["row_group_rows 1000, compression_codec uncompressed", "row_group_rows 1000, compression_codec zstd", "row_group_rows 1000"][number]
        con.execute(f"COPY ({rows}) TO {text(tmp_path / f'part-{number}.parquet')} (FORMAT questdb_parquet, {options})")
    return tmp_path


def warnings(con):
    return [m for m, in con.execute("SELECT message FROM duckdb_logs WHERE type = 'QuestDB' ORDER BY timestamp").fetchall()]


def spoil(path, group, column):
    """Makes the first data page of a column chunk unreadable."""
    chunk = pq.ParquetFile(path).metadata.row_group(group).column(column)
    data = bytearray(path.read_bytes())
    at = chunk.data_page_offset
    data[at:at + 12] = b"\xff" * 12
    path.write_bytes(data)


def test_nothing_changes_without_damage(con, files):
    query = f"SELECT * FROM read_partitions({text(files)}{{}}) WHERE i % 7 = 0"
    assert con.execute(query.format(", lenient := true")).fetchall() == con.execute(query.format("")).fetchall()
    assert not warnings(con)


@pytest.mark.parametrize("number", range(3))
def test_a_damaged_chunk_is_null(con, files, number):
    path = files / f"part-{number}.parquet"
    for column in (1, 2, 4):
        spoil(path, 1, column)
    with pytest.raises(duckdb.IOException, match='"d"'):
        con.execute(f"SELECT sum(d) FROM read_partitions({text(files)})").fetchall()
    scan = f"read_partitions({text(files)}, lenient := true)"
    assert con.execute(f"SELECT count(*), count(i), count(d), count(t), count(s), count(l) FROM {scan}").fetchone() == (9000, 9000, 8000, 8000, 9000, 8000)
    first = number * ROWS + 1000
    assert con.execute(f"SELECT min(i), max(i) FROM {scan} WHERE d IS NULL").fetchone() == (first, first + 999)
    found = warnings(con)
    assert sorted(c for c in "dtl" for m in found if f'column "{c}"' in m and str(path) in m) == ["d", "d", "l", "t"], found
    assert len(found) == 4
    # Order and numbers of rows are those of the files.
    con.execute("SET threads = 4")
    assert con.execute(f"SELECT count(*) FROM (SELECT i, file_row_number FROM read_partitions({text(files)}, lenient := true, file_row_number := true)) WHERE i % {ROWS} <> file_row_number").fetchone() == (0,)


def test_files_that_cannot_be_opened_are_left_out(con, files):
    (files / "part-0.parquet").write_bytes((files / "part-0.parquet").read_bytes()[:-300])
    (files / "part-2.parquet").write_bytes(b"PAR1")
    scan = f"read_partitions({text(files)}, lenient := true)"
    assert con.execute(f"SELECT count(*), min(i), max(i) FROM {scan}").fetchone() == (ROWS, ROWS, 2 * ROWS - 1)
    found = warnings(con)
    assert len(found) == 2 and "part-0" in found[0] and "part-2" in found[1], found
    assert con.execute(f"SELECT count(*) FROM {scan[:-1]}, union_by_name := true)").fetchone() == (ROWS,)
    (files / "part-1.parquet").unlink()
    with pytest.raises(duckdb.IOException, match="part-0"):
        con.execute(f"FROM {scan}").fetchall()


@pytest.mark.parametrize("codec", ["lz4_raw", "gzip"])
def test_a_chunk_that_ends_early_is_null_in_the_rest(con, codec, tmp_path):
    """The second page of two cannot be read: the block of rows before it is there."""
    con.execute("CALL enable_logging(level = 'warning')")
    path = tmp_path / "x.parquet"
    con.execute(f"COPY (SELECT i, i / 3 AS j FROM range(40000) r(i)) TO {text(path)} (FORMAT questdb_parquet, encoding plain, compression_codec {codec})")
    data = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(1)
    end = chunk.data_page_offset + chunk.total_compressed_size
    data[end - 2000:end - 1000] = b"\xff" * 1000
    path.write_bytes(data)
    query = f"SELECT count(*), count(i), count(j), max(i) FILTER (j IS NOT NULL) FROM read_partitions({text(path)}, lenient := true)"
    assert con.execute(query).fetchone() == (40000, 40000, 16384, 16383)
    assert len(warnings(con)) == 1


def test_random_damage_never_ends_the_query(con, tmp_path):
    columns = {"i": list(range(900)), "t": [f"text number {i}" for i in range(900)], "n": pa.array([None if i % 3 else i / 2 for i in range(900)]),
               "l": [[i] * (i % 3) for i in range(900)]}
    pq.write_table(pa.table(columns), tmp_path / "good.parquet", row_group_size=300, compression="none", write_page_index=True)
    good = (tmp_path / "good.parquet").read_bytes()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "b.parquet").write_bytes(good)
    r = random.Random(7)
    for _ in range(150):
        bad = bytearray(good)
        for _ in range(r.choice([1, 3, 20])):
            bad[r.randrange(4, len(bad))] = r.randrange(256)
        (tmp_path / "x" / "a.parquet").write_bytes(bad)
        try:
            count, = con.execute(f"SELECT count(*) FROM (FROM read_partitions({text(tmp_path / 'x')}, lenient := true))").fetchone()
            assert 900 <= count <= 1800
        except duckdb.Error as error:
            # What a file says of its columns is believed, and files must agree.
            assert "different types" in str(error) or "has no column" in str(error) or "no column that can be read" in str(error), error
