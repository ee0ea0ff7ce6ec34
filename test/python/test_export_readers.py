"""Every good fixture, exported in every layout under options of all kinds, as DuckDB, pyarrow, polars and ClickHouse read it."""
import importlib.util
import itertools
import re

import pyarrow.parquet as pq
import pytest

from helpers import cases, readers, truth
from helpers.cases import text
from helpers.compare import difference

LAYOUTS = ["questdb", "hive", "parts", "single"]
LARGE = 20_000          # rows above which row groups of a few rows would take too long

# Every value of an option meets every value of every other one in some export.
CHOICES = {
    "layout": LAYOUTS,
    "codec": ["", "compression_codec := 'uncompressed'", "compression_codec := 'snappy'",
              "compression_codec := 'gzip', compression_level := 1", "compression_codec := 'brotli', compression_level := 1",
              "compression_codec := 'zstd', compression_level := 1", "compression_codec := 'lz4'"],
    "row_group": ["", "row_group_size := 1000", "row_group_size := 7", "row_group_size_bytes := 20000",
                  "row_group_size := 40, row_group_size_bytes := 8000"],
    "encoding": ["", "encoding := 'smallest'", "encoding := 'plain'"],
    "files": ["", "max_row_groups_per_file := 2", "target_file_size_bytes := 30000"],
    "unit": ["", "partition_by := 'none'", "partition_by := 'month'"],
    "page": ["", "data_page_size := 100, batch_size := 3", "data_page_size := 4096"],
    "dictionary": ["", "dictionary_page_size := 1", "dictionary_page_size := 64"],
    "version": ["", "parquet_version := 2"],
    "bloom": ["", "bloom_filter_columns"],
    "arrays": ["", "raw_array_encoding := true"],
    "index": ["", "write_page_index := false"],
    "statistics": ["", "statistics_enabled := false"],
}
# Columns that get a bloom filter where the row says so.
BLOOM = {"BYTE", "SHORT", "INT", "LONG", "FLOAT", "DOUBLE", "STRING", "SYMBOL", "VARCHAR", "UUID", "LONG256", "TIMESTAMP"}


def contradicts(pair):
    """A single file has neither partitions nor further files."""
    values = dict(pair)
    return values.get("layout") == "single" and bool(values.get("files") or values.get("unit"))


def covering():
    """Combinations in which every pair of values stands together that may; the same ones in every run."""
    pairs = [frozenset(((a, x), (b, y))) for a, b in itertools.combinations(CHOICES, 2) for x in CHOICES[a] for y in CHOICES[b]]
    pairs = dict.fromkeys(pair for pair in pairs if not contradicts(pair))
    rows = []
    while pairs:
        row = dict(next(iter(pairs)))
        for name in CHOICES:
            if name not in row:
                open_pairs = {value: sum(frozenset(((name, value), other)) in pairs for other in row.items())
                              for value in CHOICES[name] if not any(contradicts(((name, value), other)) for other in row.items())}
                row[name] = max(open_pairs, key=open_pairs.get)
        rows.append(row)
        for pair in itertools.combinations(row.items(), 2):
            pairs.pop(frozenset(pair), None)
    return rows


ROWS = covering()


def test_every_pair_of_options_is_tried():
    done = {frozenset(pair) for row in ROWS for pair in itertools.combinations(row.items(), 2)}
    for a, b in itertools.combinations(CHOICES, 2):
        for pair in itertools.product(CHOICES[a], CHOICES[b]):
            pair = tuple(zip((a, b), pair))
            assert frozenset(pair) in done or contradicts(pair), pair
    assert len(ROWS) < len(cases.READABLE) * len(LAYOUTS), "more combinations than exports"


def options_of(case, row):
    """SQL of a row for one table; row groups suit its size, and a table without timestamp has no partitions."""
    chosen = {name: value for name, value in row.items() if value}
    if case.timestamp is None and chosen.get("unit", "").endswith("'month'"):
        chosen.pop("unit")
    if chosen.pop("bloom", None):
        columns = [text(name) for name, kind in case.kinds.items() if truth.family(kind) in BLOOM and "," not in name]
        if columns:
            chosen["bloom"] = f"bloom_filter_columns := [{', '.join(columns)}]"
    layout = chosen.pop("layout")
    chosen["layout"] = "mode := 'single_file'" if layout == "single" else f"layout := '{layout}'"
    sql = ", ".join(chosen.values())
    if layout == "single" and "row_group_size" not in sql:
        sql += ", row_group_size := 100000"
    if case.rows > LARGE:
        sql = re.sub(r"row_group_size := (7|40|1000)\b", "row_group_size := 30011", sql)
        sql = re.sub(r"(size_bytes := )\d+", r"\g<1>3000000", sql)
        sql = re.sub(r"data_page_size := 100, batch_size := 3", "data_page_size := 10000, batch_size := 300", sql)
    return sql


@pytest.fixture(scope="module")
def chdb():
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("chDB is not installed: requirements-test.txt has it only for platforms that it has wheels for")
    worker = readers.Chdb()
    yield worker
    worker.close()


def check_row_groups(result, size):
    """All row groups of a file but the last are exactly full, and the result says of each what the file says."""
    by_file = {}
    for file, _, number, *rest in result:
        by_file.setdefault(file, {})[number] = tuple(rest)
    for file, groups in by_file.items():
        footer = pq.ParquetFile(file).metadata
        assert sorted(groups) == list(range(footer.num_row_groups)), file
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            chunks = [group.column(i) for i in range(group.num_columns)]
            expected = (group.num_rows, sum(c.total_uncompressed_size for c in chunks), sum(c.total_compressed_size for c in chunks))
            assert groups[number] == expected, (file, number)
            if size and number + 1 < footer.num_row_groups:
                assert group.num_rows == size, (file, number)


def compared(case, table, what, null_arrays=True):
    want = readers.expected(case, table.column_names)
    if not null_arrays:
        want, table = (readers.without_null_arrays(t, case.kinds) for t in (want, table))
    wrong = difference(table, want)
    assert wrong is None, f"{case.name}, {what}\n{wrong}"


@pytest.mark.parametrize("name", cases.READABLE)
def test_fixture_in_every_layout(con, chdb, name, tmp_path):
    case, number = cases.case(name), cases.READABLE.index(name)
    for layout in LAYOUTS:
        rows = [row for row in ROWS if row["layout"] == layout]
        options = options_of(case, rows[number % len(rows)])
        destination = tmp_path / layout / "out"
        result = con.execute(f"FROM questdb_export({text(case.path)}, {text(destination)}, {options})").fetchall()
        assert sum(row[3] for row in result) == case.rows
        files = readers.files_in_order(result)
        exact = re.search(r"row_group_size := (\d+)", options) if "bytes" not in options else None
        check_row_groups(result, int(exact[1]) if exact else None)
        if not case.rows:
            files = [str(path) for path in sorted(destination.parent.rglob("*")) if path.is_file()]
            assert len(files) <= 1, files
            if not files:
                continue
        compared(case, readers.by_pyarrow(case, files), f"pyarrow, {options}")
        compared(case, readers.by_duckdb(con, case, files), f"DuckDB, {options}")
        # The two others read each table once, all layouts in turn.
        if layout == LAYOUTS[number % len(LAYOUTS)]:
            compared(case, readers.by_polars(case, files), f"polars, {options}")
            compared(case, chdb.read(case, files), f"chDB, {options}", null_arrays=False)
    assert not list(tmp_path.rglob(".*")), "something is left behind"
