"""questdb_export and COPY … (FORMAT questdb_parquet): options, errors, what is left behind. Values: test_export_readers.py."""
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time

import duckdb
import pyarrow.parquet as pq
import pytest

from helpers import cases
from helpers.cases import quote, text
from helpers.readers import BEYOND_DUCKDB, files_in_order

# Rows above which row groups of a few rows would take too long.
LARGE = 20_000


def export(con, case, destination, options=""):
    """Exports; returns the result's rows and the files in the order of rows."""
    comma = ", " if options else ""
    rows = con.execute(
        f"FROM questdb_export({text(case.path)}, {text(destination)}{comma}{options})").fetchall()
    return rows, files_in_order(rows)


def leftovers(folder):
    return [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.mark.parametrize("name", [name for name in cases.READABLE[::3] if name not in BEYOND_DUCKDB])
def test_copy_writes_what_duckdb_writes(con, name, tmp_path):
    case = cases.case(name)
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    exact = 101 if (case.rows or 0) < LARGE else 30011
    con.execute(f"COPY (FROM {case.scan}) TO {text(ours)} (FORMAT questdb_parquet, ROW_GROUP_ROWS {exact})")
    con.execute(f"COPY (FROM {case.scan}) TO {text(theirs)} (FORMAT parquet)")
    columns = con.execute(f"DESCRIBE FROM {text(theirs)}").fetchall()
    assert [c[:2] for c in con.execute(f"DESCRIBE FROM {text(ours)}").fetchall()] == [c[:2] for c in columns]
    different = " OR ".join(f"a.{quote(c[0])} IS DISTINCT FROM b.{quote(c[0])}" for c in columns)
    rows = con.execute(f"SELECT (SELECT count(*) FROM {text(ours)}), (SELECT count(*) FROM {text(theirs)})").fetchone()
    assert rows[0] == rows[1]
    wrong = f"FROM {text(ours)} a POSITIONAL JOIN {text(theirs)} b WHERE {different} LIMIT 3"
    assert con.execute(wrong).fetchall() == []
    sizes = [pq.ParquetFile(ours).metadata.row_group(i).num_rows for i in range(pq.ParquetFile(ours).num_row_groups)]
    assert all(size == exact for size in sizes[:-1])
    assert leftovers(tmp_path) == []


EVERY_TYPE = """
    SELECT i::TINYINT ti, i::UBIGINT ub, i::HUGEINT h, i::UHUGEINT uh, i / 4 AS d, (i / 8)::DECIMAL(9, 3) d9,
        i::DECIMAL(38, 2) d38, i::DECIMAL(4, 1) d4, 'text ' || i AS s, ('b' || i)::BLOB b, md5(i::VARCHAR)::UUID u,
        DATE '2024-01-01' + i::INTEGER AS dt, TIME '01:02:03' t, TIMESTAMP '2024-01-01' + to_hours(i) ts,
        (TIMESTAMP '2024-01-01')::TIMESTAMP_S ts_s, (TIMESTAMP '2024-01-01')::TIMESTAMP_MS ts_ms,
        (TIMESTAMP '2024-01-01')::TIMESTAMP_NS ts_ns, TIMESTAMPTZ '2024-01-01 00:00:00+02' tz, i % 2 = 0 bo,
        TIMETZ '01:02:03+00' ttz, to_days(i::INTEGER) iv, (CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END)::ENUM ('a', 'b') e,
        [i, NULL, 2] li, [i, 1]::BIGINT[2] ar, {'x': i, 'y': [md5(i::VARCHAR)::UUID]} st, MAP {'k': i::HUGEINT} m,
        ('{"a": ' || i || '}')::JSON j, NULL::INTEGER n FROM range(100) r(i)
    UNION ALL SELECT """ + ", ".join(["NULL"] * 28)


def test_copy_keeps_every_type_whatever_the_session(con, tmp_path):
    theirs = tmp_path / "theirs.parquet"
    con.execute(f"COPY ({EVERY_TYPE}) TO {text(theirs)} (FORMAT parquet)")
    described = con.execute(f"DESCRIBE FROM {text(theirs)}").fetchall()
    settings = [[], ["arrow_lossless_conversion = true"], ["arrow_large_buffer_size = true"],
                ["arrow_output_version = '1.5'", "produce_arrow_string_view = true", "arrow_output_list_view = true"],
                ["TimeZone = 'Asia/Tokyo'"]]
    for number, chosen in enumerate(settings):
        for setting in chosen:
            con.execute(f"SET {setting}")
        ours = tmp_path / f"ours{number}.parquet"
        con.execute(f"COPY ({EVERY_TYPE}) TO {text(ours)} (FORMAT questdb_parquet)")
        for setting in chosen:
            con.execute(f"RESET {setting.split(' ')[0]}")
        con.execute("SET TimeZone = 'UTC'")
        assert con.execute(f"DESCRIBE FROM {text(ours)}").fetchall() == described, chosen
        different = " OR ".join(f"a.{quote(c[0])} IS DISTINCT FROM b.{quote(c[0])}" for c in described)
        wrong = con.execute(f"FROM {text(ours)} a POSITIONAL JOIN {text(theirs)} b WHERE {different} LIMIT 1").fetchall()
        assert wrong == [], chosen
        assert ours.read_bytes() == (tmp_path / "ours0.parquet").read_bytes(), chosen


def test_row_groups_of_copy(con, tmp_path):
    def sizes(options, rows=300_000):
        path = tmp_path / "x.parquet"
        con.execute(f"COPY (FROM range({rows})) TO {text(path)} (FORMAT questdb_parquet{options})")
        footer = pq.ParquetFile(path).metadata
        return [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]

    assert sizes("") == [100_000] * 3
    assert sizes(", row_group_rows 77_777") == [77_777] * 3 + [66_669]
    # DuckDB's own option: rounded up by DuckDB to a multiple of 2048, as for its own Parquet files.
    assert sizes(", ROW_GROUP_SIZE 122880") == [122_880, 122_880, 54_240]
    assert sizes(", ROW_GROUP_SIZE 100000")[:2] == [100_352, 100_352]
    sizes(", row_group_bytes 200_000, compression uncompressed, encoding plain")
    footer = pq.ParquetFile(tmp_path / "x.parquet").metadata
    encoded = [sum(footer.row_group(i).column(c).total_uncompressed_size for c in range(footer.num_columns))
               for i in range(footer.num_row_groups)]
    assert len(encoded) > 1 and all(190_000 <= size <= 210_000 for size in encoded[:-1]), encoded


def test_byte_row_groups_are_within_five_percent(con, tmp_path):
    case = cases.case("trades_2m")
    rows, _ = export(con, case, tmp_path / "x", "row_group_size_bytes := '1MB', partition_by := 'none'")
    sizes = [row[4] for row in sorted(rows, key=lambda row: row[2])]
    assert len(sizes) > 3 and all(950_000 <= size <= 1_050_000 for size in sizes[:-1]), sizes


def test_options_of_duckdb_keep_working(con, tmp_path):
    source = "SELECT i, i % 3 AS k FROM range(10000) r(i)"
    con.execute(f"COPY ({source}) TO {text(tmp_path / 'p')} (FORMAT questdb_parquet, PARTITION_BY (k))")
    assert con.execute(f"SELECT count(*), sum(k) FROM {text(tmp_path / 'p/*/*.parquet')}").fetchone() == (10000, 9999)
    con.execute(f"COPY ({source}) TO {text(tmp_path / 't')} (FORMAT questdb_parquet, PER_THREAD_OUTPUT)")
    assert con.execute(f"SELECT count(*) FROM {text(tmp_path / 't/*.parquet')}").fetchone() == (10000,)
    one = text(tmp_path / "one.parquet")
    for _ in range(2):
        stats = con.execute(f"COPY ({source}) TO {one} (FORMAT questdb_parquet, RETURN_STATS)").fetchall()
        assert stats[0][1] == 10000 and stats[0][2] == os.path.getsize(tmp_path / "one.parquet")
    assert con.execute(f"COPY ({source}) TO {one} (FORMAT questdb_parquet, RETURN_FILES)").fetchone()[0] == 10000
    days = "SELECT TIMESTAMP '2024-01-01' + to_hours(i) AS ts FROM range(48) r(i)"
    con.execute(f"COPY ({days}) TO {text(tmp_path / 'days')} (FORMAT questdb_parquet, partition_unit day)")
    assert sorted(os.listdir(tmp_path / "days")) == ["2024-01-01.parquet", "2024-01-02.parquet"]
    assert leftovers(tmp_path) == []


def test_time_range_and_columns(con, tmp_path):
    case = cases.case("trades_2m")
    ts = quote(case.timestamp)
    middle = con.execute(f"SELECT min({ts}) + (max({ts}) - min({ts})) / 3 FROM {case.scan}").fetchone()[0]
    column = next(name for name in case.columns if name != case.timestamp)
    options = f"columns := [{text(column)}], from_ts := TIMESTAMP {text(middle)}, row_group_size := 100000"
    rows, _ = export(con, case, tmp_path / "late", options)
    expected = con.execute(f"SELECT count(*) FROM {case.scan} WHERE {ts} >= {text(middle)}").fetchone()[0]
    assert sum(row[3] for row in rows) == expected
    early, _ = export(con, case, tmp_path / "early", options.replace("from_ts", "to_ts"))
    assert sum(row[3] for row in early) + expected == case.rows
    assert pq.ParquetFile(rows[0][0]).schema_arrow.names == [column]


ERRORS = {
    "row_group_sise := 1": "row_group_size",
    "row_group_size := 0": 'Option "row_group_size": out of range',
    "compression_codec := 'zstandard'": 'Option "compression_codec": unknown value',
    "compression_level := 3": "compression_level",
    "partition_by := 'minute'": 'Option "partition_unit": unknown value',
    "bloom_filter_columns := 'nosuch'": "non-existent column: nosuch",
    "columns := ['nosuch']": 'has no column "nosuch"',
    "columns := ['price', 'PRICE']": "named twice",
    "timestamp := 'nosuch'": "nosuch",
    "overwrite := 'perhaps'": 'Option "overwrite": not a boolean',
    "from_ts := 'yesterday'": "from_ts",
}


@pytest.mark.parametrize("options", ERRORS)
def test_errors_say_what_is_wrong(con, options, tmp_path):
    case = cases.case("trades_2m")
    with pytest.raises(duckdb.Error, match=re.escape(ERRORS[options])):
        export(con, case, tmp_path / "x", options)
    assert os.listdir(tmp_path) == []


def test_destinations_that_are_refused(con, tmp_path):
    case = cases.case("trades_2m")
    before = sorted(os.listdir(case.path))
    with pytest.raises(duckdb.Error, match="lies inside the table"):
        export(con, case, case.path / "out")
    assert sorted(os.listdir(case.path)) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(duckdb.IOException, match="is not empty"):
        export(con, case, tmp_path / "full")
    (tmp_path / "file").write_text("")
    with pytest.raises(duckdb.IOException):
        export(con, case, tmp_path / "file" / "below")
    con.execute("SET enable_external_access = false")
    with pytest.raises(duckdb.PermissionException):
        export(con, case, tmp_path / "y")
    assert sorted(os.listdir(tmp_path)) == ["file", "full"]


def test_a_damaged_table_leaves_nothing(con, tmp_path):
    failed = 0
    for name in cases.CORRUPT:
        case = cases.case(name)
        destination = tmp_path / name
        try:
            export(con, case, destination, "row_group_size := 10")
        except duckdb.Error as error:
            failed += 1
            assert "INTERNAL" not in str(error), name
            assert not destination.exists() and not destination.with_suffix(".parquet").exists(), name
        assert leftovers(tmp_path) == [], name
    assert failed > len(cases.CORRUPT) / 2


def test_limit_and_interrupt_leave_nothing(con, tmp_path):
    case = cases.case("trades_2m")
    destination = text(tmp_path / "x")
    con.execute(f"FROM questdb_export({text(case.path)}, {destination}, row_group_size := 100) LIMIT 1").fetchall()
    assert os.listdir(tmp_path) == []
    for statement in (
        f"FROM questdb_export({text(case.path)}, {destination}, row_group_size := 100, compression := 'brotli', "
        "compression_level := 11)",
        f"COPY (FROM range(400000000)) TO {text(tmp_path / 'y.parquet')} (FORMAT questdb_parquet)",
    ):
        timer = threading.Timer(0.4, con.interrupt)
        timer.start()
        started = time.monotonic()
        with pytest.raises(duckdb.InterruptException):
            con.execute(statement).fetchall()
        assert time.monotonic() - started < 3
    assert os.listdir(tmp_path) == []


def test_a_killed_export_is_cleaned_up_by_the_next(con, tmp_path):
    case = cases.case("trades_2m")
    statement = (f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'x')}, row_group_size := 50, "
                 "compression := 'brotli', compression_level := 11)")
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(cases.REPO / "test/python")!r})
        from helpers import cases
        cases.connect().execute({statement!r}).fetchall()
    """)
    worker = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + 20
    while not leftovers(tmp_path) and time.monotonic() < until:
        time.sleep(0.02)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert len(leftovers(tmp_path)) == 1 and not (tmp_path / "x").exists()
    rows, _ = export(con, case, tmp_path / "x")
    assert sum(row[3] for row in rows) == case.rows and leftovers(tmp_path) == []
