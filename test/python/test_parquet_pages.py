"""Row groups of many pages, as a server with small pages writes them: only the pages with rows of the filter are read, and never a
row too few. Against a table of the same rows whose partitions are native."""
import sys

import pyarrow.parquet as pq
import pytest

from helpers import cases, filters
from helpers.cases import text
from helpers.compare import arrow, difference

sys.path.append(str(cases.REPO / "tools"))
import questdb_server  # noqa: E402

ROWS = 40_000
SETTINGS = {"cairo.partition.encoder.parquet.row.group.size": 9000, "cairo.partition.encoder.parquet.data.page.size": 4096,
            "cairo.partition.encoder.parquet.statistics.enabled": "true"}
# One row a second, with a gap of an hour after each 3000: inside row groups and between them. `late` is added after the
# first half, so that it has a column top.
HALF = """SELECT timestamp_sequence('2024-01-01', 0) + (x + x / 3000 * 3600) * 1000000L AS ts, x AS i, {rows} - x AS back,
    (x / 400)::SHORT AS small, CASE WHEN x / 700 % 3 = 1 THEN NULL ELSE x / 10.0 END AS d,
    CASE WHEN x / 900 % 2 = 1 THEN NULL ELSE (x * 7919 % 1000)::INT END AS n, ('s' || x / 1500)::SYMBOL AS sym,
    CASE WHEN x / 800 % 4 = 2 THEN NULL ELSE 'a text of some length, row ' || x / 5 END AS note, rnd_uuid4(20) AS id
    FROM (SELECT x + {first} AS x FROM long_sequence({half}))"""


def half(number):
    return HALF.format(rows=ROWS, first=number * ROWS // 2, half=ROWS // 2)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Directories of the table with native and with Parquet partitions."""
    if not questdb_server.find():
        pytest.skip(f"no QuestDB server can run here: needs Java {questdb_server.MINIMUM_JAVA} or newer, and Maven or the jar in build/questdb")
    with questdb_server.Server(tmp_path_factory.mktemp("pages"), SETTINGS, heap="512m") as server:
        server.query(f"CREATE TABLE native AS ({half(0)}) TIMESTAMP(ts) PARTITION BY MONTH BYPASS WAL")
        server.query("ALTER TABLE native ADD COLUMN late LONG")
        server.query(f"INSERT INTO native SELECT *, i * 3 FROM ({half(1)})")
        # The last partition of a table stays native.
        server.query("INSERT INTO native(ts, i) VALUES ('2024-06-01', 0)")
        server.query("CREATE TABLE paged (LIKE native)")
        server.query("INSERT INTO paged SELECT * FROM native")
        server.query("ALTER TABLE paged CONVERT PARTITION TO PARQUET WHERE ts < '2024-06-01'")
        yield {name: server.directory(name) for name in ("native", "paged")}


def scan(directory):
    return f"read_partitions({text(directory)})"


@pytest.fixture
def both(con, tables):
    """The two tables as `native` and `paged`; the first one is a table of DuckDB, which no filter of ours touches."""
    con.execute(f"CREATE TABLE native AS FROM {scan(tables['native'])}")
    con.execute(f"CREATE VIEW paged AS FROM {scan(tables['paged'])}")
    return con


def same(con, condition, columns="*"):
    got, want = (arrow(con, f"SELECT {columns} FROM {table} WHERE {condition} ORDER BY i, ts") for table in ("paged", "native"))
    assert difference(got, want) is None, condition
    return got.num_rows


def test_row_groups_have_many_pages(tables):
    [file] = tables["paged"].glob("2024-01*/data.parquet")
    metadata = pq.read_metadata(file)
    assert metadata.num_row_groups > 3 and metadata.num_rows == ROWS
    column = metadata.row_group(0).column(1)
    assert column.has_column_index and column.has_offset_index
    assert column.total_uncompressed_size > 10 * 4096


def test_all_rows_are_there(both):
    assert same(both, "true") == ROWS + 1


@pytest.mark.parametrize("condition", [
    "i BETWEEN 20000 AND 20010", "i = 17000 OR i = 3", "i IN (1, 9000, 9001, 39999)", "back < 50", "small = 33", "small = 0",
    "d BETWEEN 100 AND 101", "d IS NULL AND i < 3000", "d IS NOT NULL AND n IS NULL", "n = 17", "n IS NULL AND i > 30000",
    "late = 90000", "late IS NULL", "late < 60100", "sym = 's4'", "sym = 's4' AND i % 7 = 0 AND d > 600", "note LIKE 'a text%row 3999'",
    "note IS NULL AND i BETWEEN 100 AND 3000", "i > 100000", "id IS NULL AND i < 100",
    "ts = TIMESTAMP '2024-01-01 02:00:00'", "ts >= TIMESTAMP '2024-01-01 01:00:00' AND ts < TIMESTAMP '2024-01-01 03:10:00' AND i % 2 = 0",
    "ts BETWEEN TIMESTAMP '2024-01-01 03:00:00' AND TIMESTAMP '2024-01-01 04:00:00' AND d > 0",
])
def test_filters_lose_no_row(both, condition):
    for columns in ("*", "i, ts", "note, i, ts", "i, ts, late, small"):
        same(both, condition, columns)


def test_a_gap_in_one_row_group_does_not_hide_rows_of_the_next(both):
    """The first interval lies in a gap, where the row group has no rows; the second one is far inside the next row group."""
    start = both.execute("SELECT ts FROM native WHERE i = 3001").fetchone()[0]
    for first, last in [(16_000, 16_100), (26_950, 27_050), (35_000, 39_000)]:
        times = both.execute(f"SELECT min(ts), max(ts) FROM native WHERE i BETWEEN {first} AND {last}").fetchone()
        condition = (f"(ts BETWEEN TIMESTAMP '{start}' - INTERVAL 20 MINUTE AND TIMESTAMP '{start}' - INTERVAL 10 MINUTE"
                     f" OR ts BETWEEN TIMESTAMP '{times[0]}' AND TIMESTAMP '{times[1]}')")
        assert same(both, condition) == last - first + 1


def test_random_filters(both):
    columns = filters.sample_columns(both, "native", [column[:2] for column in both.execute("DESCRIBE native").fetchall()], "ts")
    generator = filters.Generator(columns, 11)
    both.execute("BEGIN")  # one now() for both tables
    for _ in range(120):
        same(both, generator.predicate())


def test_pages_without_rows_of_the_filter_are_not_decoded(both, tables, tmp_path):
    """Pages that are garbage do no harm where the filter excludes them, and are errors elsewhere."""
    [file] = tables["paged"].glob("2024-01*/data.parquet")
    metadata = pq.read_metadata(file)
    position = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == "back")
    chunk = metadata.row_group(1).column(position)
    good = file.read_bytes()
    start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    # The end of the chunk is that of its last page, in LZ4: distances that lead out of the page.
    end = start + chunk.total_compressed_size
    file.write_bytes(good[:end - 300] + bytes([0xff] * 300) + good[end:])
    try:
        with pytest.raises(Exception, match="back.*row group 1"):
            both.execute("SELECT sum(back) FROM paged").fetchall()
        [until] = both.execute("SELECT ts FROM native WHERE i = 9500").fetchone()
        for condition in ("i BETWEEN 9500 AND 9600", f"ts <= TIMESTAMP '{until}'", f"ts <= TIMESTAMP '{until}' AND n > 0"):
            assert same(both, condition, "back, i, ts") > 0
    finally:
        file.write_bytes(good)
