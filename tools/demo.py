"""The extension at work: queries the files of a table that a real QuestDB server wrote, two million trades.

`make demo` builds what this needs.
"""

import json
import os
import pathlib
import sys
import tempfile
import time

import duckdb
import pyarrow.parquet

os.chdir(pathlib.Path(__file__).resolve().parents[1])  # the queries shown work when pasted there
EXTENSION = pathlib.Path("build/release/questdb.duckdb_extension")
CASE = pathlib.Path("build/fixtures/trades_2m")


def main():
    if not EXTENSION.is_file() or not CASE.is_dir():
        sys.exit("demo: run `make demo`, it builds the extension and unpacks the table")
    connection = duckdb.connect(config={"allow_unsigned_extensions": True})

    def show(title, sql):
        print(f"\n-- {title}\n{sql};")
        started = time.perf_counter()
        result = connection.sql(sql).materialize()
        milliseconds = (time.perf_counter() - started) * 1000
        print(str(result).rstrip())
        print(f"{milliseconds:.1f} ms")

    print(f"questdb in DuckDB {duckdb.__version__}. No server is running: only its files are read.\n")
    load = f"LOAD '{EXTENSION}'"
    print(f"{load};")
    connection.execute(load)

    root = CASE / "db"
    table = root / json.loads((CASE / "case.json").read_text())["directory"]
    show(
        "Which tables are there?",
        f"SELECT table_name, directory, partition_by, designated_timestamp, row_count\nFROM questdb_tables('{root}')",
    )
    show(
        "Which columns has this one?",
        f"SELECT column_name, column_type\nFROM (DESCRIBE FROM read_partitions('{table}'))",
    )
    show("Its first rows", f"FROM read_partitions('{table}')\nLIMIT 5")
    show(
        "Half a day of one symbol: only the partition of that day is opened",
        "SELECT side, count(*) AS trades, round(avg(price), 2) AS avg_price, sum(amount) AS amount\n"
        f"FROM read_partitions('{table}')\n"
        "WHERE ts >= '2024-03-01' AND ts < '2024-03-01 12:00' AND symbol = 'ETH-USD'\n"
        "GROUP BY side\nORDER BY side",
    )
    show(
        "All two million rows",
        "SELECT symbol, count(*) AS trades, round(avg(price), 2) AS avg_price, max(ts) AS last_trade\n"
        f"FROM read_partitions('{table}')\n"
        "GROUP BY symbol\nORDER BY trades DESC\nLIMIT 5",
    )
    show(
        "How is it stored? The server's SHOW PARTITIONS, computed from the files",
        "SELECT name, min_timestamp, max_timestamp, num_rows, format_bytes(disk_size) AS size, is_parquet, active\n"
        f"FROM questdb_partitions('{table}')",
    )
    with tempfile.TemporaryDirectory() as folder:
        destination = pathlib.Path(folder) / "trades"
        show(
            "The same table as Parquet files, one for each week, with row groups of exactly 500 000 rows",
            "SELECT parse_filename(file) AS file, row_group, rows, format_bytes(compressed_bytes) AS size\n"
            f"FROM questdb_export('{table}', '{destination}', partition_by := 'week', row_group_size := 500000)\nORDER BY file, row_group",
        )
        files = sorted(destination.glob("*.parquet"))
        print("\n-- Another reader agrees\npyarrow.parquet.ParquetFile(…).metadata")
        for file in files:
            footer = pyarrow.parquet.ParquetFile(file).metadata
            sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
            print(f"   {file.name}: {footer.num_rows} rows in row groups of {sizes}")
    print("\nNow your own tables:  FROM questdb_tables('/path/to/questdb/db');")


if __name__ == "__main__":
    main()
