"""The same table native, half converted to Parquet and converted as a whole gives the same answers to random queries.

The conversion is made here, with pyarrow, so that every page version, codec, dictionary choice, row group and page size occurs. Tables
that the server converted are in test_filters.py and test_fixtures.py.
"""
import shutil

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import files, filters, truth, txn
from helpers.cases import case, connect, text
from helpers.compare import arrow, assert_same

IS_PARQUET = 1 << 61
TABLES = {"part_day": 60, "ns_hour": 40, "o3_many": 30, "evo_symbol_flags": 30, "dedup_upsert": 20}
ARROW = {
    "LONG": pa.int64(), "INT": pa.int32(), "SHORT": pa.int16(), "BYTE": pa.int8(), "DOUBLE": pa.float64(), "FLOAT": pa.float32(), "SYMBOL": pa.string(),
    "VARCHAR": pa.string(), "STRING": pa.string(), "TIMESTAMP": pa.timestamp("us", "UTC"), "TIMESTAMP_NS": pa.timestamp("ns", "UTC"),
}
# Ways to write a file; partitions take them in turn.
WAYS = [
    {"compression": "lz4", "use_dictionary": False},
    {"compression": "none", "use_dictionary": True, "row_group_size": 7},
    {"compression": "lz4", "use_dictionary": True, "data_page_version": "2.0", "data_page_size": 64, "write_batch_size": 5},
    {"compression": "zstd", "use_dictionary": ["sym"], "row_group_size": 50, "write_page_index": True},
    {"compression": "lz4", "use_dictionary": True, "dictionary_pagesize_limit": 40, "data_page_size": 32, "write_batch_size": 3},
    {"compression": "snappy", "use_dictionary": False, "data_page_version": "2.0", "write_statistics": False},
]


def converted(con, name, directory, chosen):
    """A copy of the table in which the chosen partitions (by position) are Parquet files."""
    c = case(name)
    shutil.copytree(c.path, directory)
    writer_index = files.meta(c.path)
    rows = arrow(con, f"FROM {c.scan}")

    def change(entries):
        start = 0
        for position, entry in enumerate(entries):
            count = entry[1] & (1 << 44) - 1
            part, start = rows.slice(start, count), start + count
            if position not in chosen or not count:
                continue
            partition = c.attached[position]
            path = directory / (partition["name"] if entry[2] == -1 else f"{partition['name']}.{entry[2]}")
            assert path.is_dir(), path
            for file in path.iterdir():
                file.unlink()
            fields, columns = [], []
            for column, kind in c.kinds.items():
                field = pa.field(column, ARROW[kind], nullable=column != c.timestamp, metadata={"PARQUET:field_id": str(writer_index[column])})
                values = part.column(column)
                fields.append(field)
                columns.append(values.cast(pa.int64()).cast(field.type) if kind.startswith("TIMESTAMP") else values.cast(field.type))
            way = {"use_dictionary": True, **WAYS[position % len(WAYS)]}
            pq.write_table(pa.table(columns, pa.schema(fields)), path / "data.parquet", version="2.6", store_schema=False, **way)
            entry[1] |= IS_PARQUET
            entry[3] = (path / "data.parquet").stat().st_size

    txn.rewrite(directory, change)
    return f"read_partitions({text(directory)})"


@pytest.mark.parametrize("name", TABLES)
def test_conversion_changes_no_answer(tmp_path, name):
    c = case(name)
    con = connect()
    partitions = range(len(c.attached))
    forms = {
        "half": converted(con, name, tmp_path / "half~1", [i for i in partitions if i % 2]),
        "whole": converted(con, name, tmp_path / "whole~1", list(partitions)),
    }
    for form, scan in forms.items():
        formats = con.execute(f"SELECT DISTINCT partition_format FROM {scan[:-1]}, partition := true) ORDER BY ALL").fetchall()
        assert formats == ([("native",), ("parquet",)] if form == "half" else [("parquet",)])
        assert_same(arrow(con, f"SELECT {truth.select_list(name)} FROM {scan}"), truth.expected(name), form)
    con.execute(f"CREATE TABLE native AS FROM {c.scan}")
    columns = filters.sample_columns(con, "native", [(n, truth.duckdb_type(k)) for n, k in c.kinds.items()], c.timestamp)
    compared = 0
    for i in range(TABLES[name]):
        query = filters.Generator(columns, f"conversion/{name}/{i}").query()
        con.execute(f"SET threads = {(1, 2, 4)[i % 3]}")
        con.execute("BEGIN")                # one transaction, one now()
        try:
            want = arrow(con, query.replace("{T}", c.scan))
        except duckdb.Error:                # which rows meet a failing cast is the plan's affair
            con.execute("ROLLBACK")
            continue
        for form, scan in forms.items():
            assert_same(arrow(con, query.replace("{T}", scan)), want, f"{form}, seed {i}: {query}")
        con.execute("ROLLBACK")
        compared += 1
    assert compared > TABLES[name] // 2
    con.close()
