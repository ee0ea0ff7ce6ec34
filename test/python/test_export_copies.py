"""Row groups of Parquet partitions that are copied into an export as they are."""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from helpers.cases import FIXTURES, text as literal

# Converted by the server, all columns of the types that exports have, indexes in the files.
COPIED = ["pq_ns_hour", "pq_type_change"]


def table_of(name):
    return next((FIXTURES / name / "db").glob(f"{name}~*"))


def export(con, table, destination, options=""):
    con.execute(f"SELECT * FROM questdb_export({literal(table)}, {literal(destination)}{options})").fetchall()
    return sorted(Path(destination).glob("*.parquet"))


def chunk_bytes(path, row_group=0):
    """The bytes of each column chunk. The server's footers may leave out where the dictionary is: at the data's offset then."""
    data = Path(path).read_bytes()
    group = pq.ParquetFile(path).metadata.row_group(row_group)
    chunks = [group.column(i) for i in range(group.num_columns)]
    starts = [c.dictionary_page_offset if c.has_dictionary_page else c.data_page_offset for c in chunks]
    return [data[start:start + c.total_compressed_size] for start, c in zip(starts, chunks)]


def copied(table, files):
    """Names of the files whose only row group is byte for byte one of the table's."""
    sources = {b"".join(chunk_bytes(path)) for path in Path(table).glob("*/data.parquet")}
    return [f.name for f in files if b"".join(chunk_bytes(f)) in sources]


def same_rows(con, table, files):
    names = ", ".join(f'"{c[0]}"' for c in con.execute(f"DESCRIBE FROM read_partitions({literal(table)})").fetchall())
    parquet = "[" + ", ".join(map(literal, files)) + "]"
    ours = con.execute(f"SELECT {names} FROM read_partitions({literal(table)}) ORDER BY ALL").fetchall()
    return ours == con.execute(f"SELECT {names} FROM read_partitions({parquet}) ORDER BY ALL").fetchall()


@pytest.mark.parametrize("name", COPIED)
def test_row_groups_that_fit_are_copied(con, name, tmp_path):
    table = table_of(name)
    files = export(con, table, tmp_path / "out")
    assert copied(table, files)
    assert same_rows(con, table, files)
    for path in files:
        for group in [pq.ParquetFile(path).metadata.row_group(0)]:
            for column in map(group.column, range(group.num_columns)):
                assert column.is_stats_set and column.has_offset_index and column.has_column_index
                dictionary = "RLE_DICTIONARY" in column.encodings
                assert column.has_dictionary_page == dictionary, column


@pytest.mark.parametrize("options", [
    ", copy_row_groups := false", ", compression := 'zstd'", ", data_page_size := 512", ", parquet_version := '2'",
    ", encoding := 'plain'", ", bloom_filter_columns := ['id']", ", row_group_size := 7", ", columns := ['ts', 'id'], compression := 'gzip'",
    ", write_page_index := false", ", statistics_enabled := false", ", column_encoding := MAP {'id': 'plain'}",
])
def test_options_that_say_how_pages_are_made_encode_anew(con, options, tmp_path):
    table = table_of("pq_ns_hour")
    files = export(con, table, tmp_path / "out", options)
    assert files and not copied(table, files)
    if "columns :=" not in options:
        assert same_rows(con, table, files)


def test_columns_can_be_left_out_and_reordered(con, tmp_path):
    table = table_of("pq_ns_hour")
    files = export(con, table, tmp_path / "out", ", columns := ['ts', 'val', 'id']")
    sources = {tuple(chunk_bytes(path)) for path in table.glob("*/data.parquet")}
    pairs = {pair for chunks in sources for pair in [(chunks[4], chunks[2], chunks[0])]}
    assert any(tuple(chunk_bytes(f)) in pairs for f in files)
    query = "SELECT count(*), sum(id), sum(val) FROM read_partitions({})"
    answers = [con.execute(query.format(x)).fetchone() for x in (literal(table), "[" + ", ".join(map(literal, files)) + "]")]
    assert answers[0] == answers[1]


def test_a_time_range_that_cuts_a_row_group_is_encoded(con, tmp_path):
    table = table_of("pq_ns_hour")
    low, high = con.execute(f"SELECT min(ts) + INTERVAL 1 second, max(ts) FROM read_partitions({literal(table)})").fetchone()
    files = export(con, table, tmp_path / "out", f", from_ts := '{low}', to_ts := '{high}'")
    parquet = "[" + ", ".join(map(literal, files)) + "]"
    condition = f"ts >= '{low}'::TIMESTAMP_NS AND ts < '{high}'::TIMESTAMP_NS"
    expected = con.execute(f"SELECT count(*), sum(id) FROM read_partitions({literal(table)}) WHERE {condition}").fetchone()
    assert con.execute(f"SELECT count(*), sum(id) FROM read_partitions({parquet})").fetchone() == expected


@pytest.mark.parametrize("name", ["corrupt_parquet_page_garbage"])
def test_damaged_pages_are_not_copied(con, name, tmp_path):
    table = next((FIXTURES / name / "db").iterdir())
    with pytest.raises(duckdb.Error, match="data.parquet"):
        export(con, table, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))
