"""The server's own read_parquet over our files, with the default encodings: every type must come back as it is in the table."""
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import cases, readers, script, truth
from helpers.cases import text
from helpers.compare import difference

sys.path.append(str(cases.REPO / "tools"))
import questdb_server  # noqa: E402

# Every codec and both versions of pages, in turn.
OPTIONS = ["", "compression_codec := 'zstd', parquet_version := 2", "compression_codec := 'snappy'",
           "compression_codec := 'gzip', parquet_version := 2", "compression_codec := 'brotli'",
           "parquet_version := 2", "compression_codec := 'uncompressed', raw_array_encoding := true"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not questdb_server.find():
        pytest.skip(f"no QuestDB server can run here: needs Java {questdb_server.MINIMUM_JAVA} or newer, and Maven or the jar in build/questdb")
    with questdb_server.Server(tmp_path_factory.mktemp("server"), heap="512m") as started:
        yield started


def read_by_server(server, file, size):
    """The rows of a file in `import`, by way of the server. The row groups of its answer are those of the file: it writes
    an illegal second dictionary into row groups that span several."""
    answer = server.exp_parquet(f"SELECT * FROM read_parquet('{file.name}')", row_group_size=size)
    return pq.read_table(pa.BufferReader(answer))


def without_empty_arrays(table, kinds):
    """The server reads an empty array as one of a single NULL, also in its own files: here the two are the same."""
    def bare(value):
        inner = [bare(v) for v in value] if isinstance(value, list) else value
        return [] if isinstance(inner, list) and all(v is None or v == [] for v in inner) else inner
    for index, name in enumerate(table.column_names):
        if truth.family(kinds[name]) == "ARRAY":
            values = pa.array([bare(value) for value in table.column(name).to_pylist()], truth.arrow_type(kinds[name]))
            table = table.set_column(index, name, values)
    return table


@pytest.mark.parametrize("name", cases.READABLE)
def test_server_reads_what_we_write(con, server, name):
    case, number = cases.case(name), cases.READABLE.index(name)
    size = max(9, case.rows // 20)
    options = ", ".join(filter(None, [OPTIONS[number % len(OPTIONS)], f"row_group_size := {size}"]))
    file = server.root / "import" / f"{number}.parquet"
    con.execute(f"FROM questdb_export({text(case.path)}, {text(file)}, mode := 'single_file', {options})").fetchall()
    got = read_by_server(server, file, size)
    file.unlink()
    assert got.column_names == case.columns
    tables = readers.table_of(case, case.columns, got.column), readers.expected(case, case.columns)
    wrong = difference(*(without_empty_arrays(table, case.kinds) for table in tables))
    assert wrong is None, f"{options}\n{wrong}"


def through_the_server(con, server, version, expressions):
    file = server.root / "import" / "rows.parquet"
    con.execute(f"CREATE TABLE rows AS SELECT {expressions} FROM range(70000) r(i)")
    con.execute(f"COPY rows TO {text(file)} (FORMAT questdb_parquet, data_page_size 20000, parquet_version {version})")
    assert difference(read_by_server(server, file, 100_000), con.execute("FROM rows").to_arrow_table()) is None


@pytest.mark.parametrize("version", [1, 2])
def test_server_reads_pages_without_values(con, server, version):
    through_the_server(con, server, version, ", ".join(
        f"CASE WHEN i < 3000 THEN {value} END AS c{number}"
        for number, value in enumerate(["i", "i / 3", "'value ' || i", "('b' || i)::BLOB", "i::INTEGER"])))


def test_server_reads_dictionary_pages_without_values(con, server):
    through_the_server(con, server, 1, "CASE WHEN i < 3000 THEN 'value ' || i % 5 END AS c")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status is Linux's")
def test_memory_of_rows_of_a_megabyte(server, tmp_path):
    """The table is written row group by row group, and neither a batch nor a row group of it is held as a whole."""
    server.query("CREATE TABLE wide (ts TIMESTAMP, note VARCHAR) TIMESTAMP(ts) PARTITION BY DAY BYPASS WAL")
    for start in range(0, 400, 100):
        server.query(f"INSERT INTO wide SELECT timestamp_sequence({start}000000, 1000000), rpad(x::string, 1000000, 'abcdefgh')::varchar FROM long_sequence(100)")
    statement = (f"FROM questdb_export({text(server.directory('wide'))}, {text(tmp_path / 'wide.parquet')}, mode := 'single_file', "
                 "row_group_size := 100000, compression_codec := 'uncompressed')")
    before, after, groups = script.run(f"""
import threading
def anonymous():                # memory of the process's own; mapped files are the system's
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
con.execute("SET enable_progress_bar = false; SET threads = 2")
peak, over = [anonymous()], threading.Event()
def watch():
    while not over.wait(0.002):
        peak.append(anonymous())
watcher = threading.Thread(target=watch)
watcher.start()
groups = ask({statement!r})
over.set()
watcher.join()
print(json.dumps([peak[0], max(peak), groups]))
""")
    assert [group[3] for group in groups] == [400] and groups[0][5] > 400_000_000
    # 128 MiB of finished pages for the row group, and what is being encoded.
    assert after - before < 300 << 20, f"{(after - before) >> 20} MiB for 400 MB of rows"
    notes = pq.read_table(tmp_path / "wide.parquet", columns=["note"]).column(0)
    assert len(notes) == 400 and notes[0].as_py().startswith("1abcdefgh") and len(notes[399].as_py()) == 1_000_000
