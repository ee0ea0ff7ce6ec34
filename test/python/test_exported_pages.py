"""Pages that the column index of a Parquet file excludes are not read, and never a row too few: against read_parquet over the same
files."""
import random
import re

import duckdb
import pyarrow.parquet as pq
import pytest

from helpers import cases, filters, truth
from helpers.cases import quote, text
from helpers.compare import answers, arrow, difference

ROWS = 12_000

# Runs of NULL, of one value and of NaN; values that ascend, that descend, and that do not; long texts that indexes cut.
MIXED = f"""SELECT i, {ROWS} - i AS back, (i * 7919 % 1000)::UINTEGER AS u, 18446744073709551615::UBIGINT - i::UBIGINT AS big, (i // 40)::SMALLINT AS small,
    (i // 900)::TINYINT AS tiny, CASE WHEN i % 997 = 0 OR i // 500 = 5 THEN 'NaN'::DOUBLE WHEN i // 500 = 6 THEN '-inf'::DOUBLE ELSE i / 10 END AS d,
    (i / 7)::FLOAT AS f, 'n' || (i // 50) AS s, CASE WHEN i // 700 % 3 <> 1 THEN repeat('long ', 20) || lpad((i // 9)::VARCHAR, 6, '0') END AS t,
    DATE '2024-01-01' + i::INTEGER // 20 AS day, TIMESTAMP '2024-01-01' + to_minutes(i) AS ts, TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_minutes(i) AS tz,
    TIMESTAMP_NS '2024-01-01' + to_seconds(i) AS ns, (i / 100)::DECIMAL(9, 2) AS dec, NULLIF(i // 500, 2) AS half, i // 1000 % 2 = 0 AS even,
    md5((i // 3)::VARCHAR)::UUID AS id, CASE WHEN i // 1000 = 7 THEN NULL ELSE [i, i + 1] END AS l, (i // 333)::VARCHAR::BLOB AS b
    FROM range({ROWS}) r(i)"""

OURS = {
    "ours": "row_group_rows 5000, data_page_size 2048, batch_size 100",
    "ours zstd v2": "row_group_rows 12000, data_page_size 900, batch_size 64, compression_codec zstd, compression_level 1, parquet_version 2",
    "ours tiny pages": "row_group_rows 3001, data_page_size 64, batch_size 16",
    "ours plain": "row_group_rows 4000, data_page_size 4096, batch_size 256, encoding plain, compression_codec uncompressed",
}
PYARROW = {
    "pyarrow v1": {"row_group_size": 5000, "data_page_size": 1500, "write_batch_size": 100},
    "pyarrow v2": {"row_group_size": ROWS, "data_page_size": 3000, "write_batch_size": 128, "data_page_version": "2.0", "compression": "zstd"},
    "pyarrow plain v2": {"row_group_size": ROWS, "data_page_size": 2000, "write_batch_size": 50, "use_dictionary": False, "data_page_version": "2.0"},
    "pyarrow plain": {"row_group_size": 7000, "data_page_size": 800, "write_batch_size": 50, "use_dictionary": False, "compression": "none"},
}


def write(con, writer, path):
    if writer in OURS:
        con.execute(f"COPY ({MIXED}) TO {text(path)} (FORMAT questdb_parquet, {OURS[writer]})")
    else:
        table = con.sql(MIXED).to_arrow_table()
        pq.write_table(table, path, write_page_index=True, store_schema=False, **PYARROW[writer])


@pytest.mark.parametrize("writer", [*OURS, *PYARROW])
def test_random_filters_over_pages(con, writer, tmp_path):
    path = tmp_path / "x.parquet"
    write(con, writer, path)
    r = random.Random(writer)
    con.execute(f"CREATE TABLE native AS FROM read_parquet({text(path)})")
    columns = [c[:2] for c in con.execute("DESCRIBE native").fetchall() if not c[1].endswith("[]")]
    operators = ["=", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"]
    for i in range(60):
        parts = []
        for _ in range(r.randint(1, 3)):
            name, kind = r.choice(columns)
            rows = sorted(r.randrange(ROWS) for _ in range(2))
            values = [con.execute(f"SELECT ({name})::VARCHAR FROM native LIMIT 1 OFFSET {row}").fetchone()[0] for row in rows]
            values = [f"NULL::{kind}" if v is None else f"'{v}'::{kind}" for v in values]
            parts.append(r.choice([
                f"{name} {r.choice(operators)} {values[0]}", f"{name} IN ({', '.join(values)})", f"{name} NOT IN ({', '.join(values)})",
                f"{name} IS NULL", f"{name} IS NOT NULL", f"{name} BETWEEN {values[0]} AND {values[1]}", "s LIKE 'n1%'", "t LIKE 'long %0001%'"]))
        where = r.choice([" AND ", " OR "]).join(parts)
        shown = ", ".join(r.sample([c[0] for c in columns] + ["l"], r.randint(1, 4)))
        con.execute(f"SET threads = {1 + i % 3}")
        query = f"SELECT {shown}, file_row_number FROM {{}} WHERE {where} ORDER BY file_row_number"
        want = arrow(con, query.format(f"read_parquet({text(path)}, file_row_number = true)"))
        for options in ("", ", max_block_size := 700"):
            got = arrow(con, query.format(f"read_partitions({text(path)}, file_row_number := true{options})"))
            assert not (d := difference(got, want)), (where, d)


PAGED = {"part_day": 40, "o3_split": 40, "all_types_wal": 80, "pq_mixed_types": 60, "sym_edge": 40, "ns_hour": 30}
PAGES = ["data_page_size := 64, batch_size := 8", "data_page_size := 300, batch_size := 8, parquet_version := 2, encoding := 'smallest'"]


@pytest.mark.parametrize("pages", PAGES)
@pytest.mark.parametrize("name", PAGED)
def test_random_filters_over_pages_of_exports(con, name, pages, tmp_path):
    """The types of QuestDB, whose NULLs are values in Parquet."""
    case = cases.case(name)
    export = f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'x')}, mode := 'single_file', row_group_size := 150, {pages})"
    path = con.execute(f"SELECT any_value(file) {export}").fetchone()[0]
    con.execute(f"CREATE TABLE native AS FROM {case.scan}")
    columns = [(n, truth.duckdb_type(k)) for n, k in case.kinds.items()]
    sampled = filters.sample_columns(con, "native", columns, case.timestamp)
    con.execute("SET threads = 1")
    for i in range(PAGED[name]):
        query = filters.Generator(sampled, f"pages/{name}/{i}").query()
        names = ", ".join(map(quote, case.columns))
        tables = f"read_partitions({text(path)})", "native"
        got, want = answers(con, (query.replace("{T}", f"(SELECT {names} FROM {table}) t") for table in tables))
        if isinstance(want, duckdb.Error) and "INTERNAL" not in str(got):
            continue                            # which rows meet a failing cast is the plan's affair
        assert not isinstance(got, duckdb.Error), (query, got)
        assert not (d := difference(got, want)), (query, d)


def spoil_first_pages(path):
    """Makes the first data page of every column of the first row group unreadable."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    data = bytearray(path.read_bytes())
    for column in range(group.num_columns):
        at = group.column(column).data_page_offset
        data[at:at + 16] = b"\xff" * 16
    path.write_bytes(data)


@pytest.mark.parametrize("writer", ["ours tiny pages", "pyarrow plain", "pyarrow plain v2"])
def test_pages_that_cannot_match_are_not_read(con, writer, tmp_path):
    """Only who needs the spoilt pages meets the damage."""
    path = tmp_path / "x.parquet"
    write(con, writer, path)
    spoil_first_pages(path)
    scan = lambda options: f"SELECT count(*), sum(i), max(file_row_number), count(t) FROM read_partitions({text(path)}, file_row_number := true{options})"
    for where, rows in (("i >= 2900", range(2900, ROWS)), ("back = 9000", [3000]), ("ts BETWEEN '2024-01-03 00:00:00' AND '2024-01-03 00:10:00'", range(2880, 2891)),
                        ("tiny = 3 AND (i = 2950 OR i = 2999)", [2950, 2999]), ("s = 'n59' AND i > 2000", range(2950, 3000)), ("half IS NULL AND i > 1400", range(1401, 1500))):
        count, total, last, _ = con.execute(f"{scan('')} WHERE {where}").fetchone()
        assert (count, total, last) == (len(rows), sum(rows), max(rows)), where
        with pytest.raises(duckdb.IOException, match=re.escape(str(path))):
            con.execute(f"{scan(', filter_pushdown := false')} WHERE {where}").fetchall()
    with pytest.raises(duckdb.IOException, match="column"):
        con.execute(scan("")).fetchall()


def test_files_of_default_options_have_pages_to_skip(con, tmp_path):
    path = tmp_path / "x.parquet"
    con.execute(f"COPY (SELECT i, i / 4 AS d, 'text ' || i AS t, 's' || i % 3 AS s FROM range(100000) r(i)) TO {text(path)} (FORMAT questdb_parquet)")
    assert pq.ParquetFile(path).metadata.num_row_groups == 1
    spoil_first_pages(path)
    query = f"SELECT sum(d), min(t), count(DISTINCT s) FROM read_partitions({text(path)}) WHERE i BETWEEN 77000 AND 77010"
    assert con.execute(query).fetchone() == (sum(range(77000, 77011)) / 4, "text 77000", 3)
    with pytest.raises(duckdb.IOException):
        con.execute(query.replace("77000", "7000")).fetchall()
