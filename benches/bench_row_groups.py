#!/usr/bin/env python3
"""How many rows should a row group have? Time to write, size, and time to read, by rows of a row group.

    bench_row_groups.py [--rows 20000000] [--repeat 3] [--threads 2]

Each file is written by questdb_export from the trades table and read by DuckDB's read_parquet: sums over all of it, a grouping, one
minute of it by its timestamp. The best round counts. The page goes to the terminal and to build/bench/row_groups.md, the plot to
docs/row_groups.svg.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import make_table
from harness import BENCH_DIRECTORY, EXTENSION, REPOSITORY, connect, literal, machine_facts, markdown_table, seconds

SIZES = [960 * 2**n for n in range(12)]
COLUMNS = ["rows of a row group", "write s", "MB", "all columns ms", "group by sym ms", "one minute ms"]
COLOURS = ["#1f5fa8", "#b3412e", "#3d7d3d", "#8a5aa8", "#c28a12"]


def measure(connection, table, path, size, repeat):
    """One row of the table."""
    parquet = f"read_parquet({literal(path)})"
    sql = f"SELECT sum(rows) FROM questdb_export({literal(table)}, {literal(path)}, mode := 'single_file', row_group_size := {size}, overwrite := true)"
    reads = [
        f"SELECT sum(id), sum(price), sum(amount), sum(qty), sum(length(note)), max(ts), max(sym), max(side) FROM {parquet}",
        f"SELECT sym, count(*), avg(price) FROM {parquet} GROUP BY sym",
        f"SELECT count(*), sum(price) FROM {parquet} WHERE ts >= '2024-01-05 12:00:00' AND ts < '2024-01-05 12:01:00'",
    ]
    run = connection.execute
    write = min(seconds(lambda: run(sql).fetchall()) for _ in range(repeat))
    times = [min(seconds(lambda q=q: run(q).fetchall()) for _ in range(repeat)) for q in reads]
    return [size, write, path.stat().st_size / 1e6, *(t * 1000 for t in times)]


def plot(rows):
    """The columns of the table, each in parts of its smallest value, over the rows of a row group; both axes logarithmic."""
    from math import log2
    width, height, left, bottom = 720, 360, 50, 40
    names = [name.rsplit(" ", 1)[0] if name != "MB" else "size" for name in COLUMNS[1:]]
    columns = [[row[i] for row in rows] for i in range(1, len(COLUMNS))]
    relative = [[value / min(column) for value in column] for column in columns]
    top = max(map(max, relative))

    def x(index):
        return left + index * (width - left - 20) / (len(rows) - 1)

    def y(value):
        return height - bottom - log2(value) * (height - bottom - 30) / max(log2(top), 1)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    level = 1
    while level <= top:
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(level):.1f}" y2="{y(level):.1f}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level}×</text>')
        level *= 2
    for index, row in enumerate(rows):
        parts.append(f'<text x="{x(index):.1f}" y="{height - bottom + 16}" text-anchor="middle">{row[0]}</text>')
    parts.append(f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">rows of a row group; each line in parts of its best value</text>')
    for position, (name, values, colour) in enumerate(zip(names, relative, COLOURS)):
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{width - 130}" y="{30 + 15 * position}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=make_table.DEFAULT_ROWS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    table = next((Path(make_table.ensure(options.rows)) / "db").glob("trades*"))
    connection = connect(EXTENSION, [f"SET threads = {options.threads}"])
    folder = Path(tempfile.mkdtemp(prefix="row_groups", dir=BENCH_DIRECTORY))
    try:
        rows = [measure(connection, table, folder / "t.parquet", size, options.repeat) for size in SIZES]
    finally:
        shutil.rmtree(folder)
    cells = [[row[0], f"{row[1]:.2f}", f"{row[2]:.0f}", *(f"{value:.0f}" if value >= 10 else f"{value:.1f}" for value in row[3:])] for row in rows]
    facts = "\n".join(f"- {name}: {text}" for name, text in machine_facts())
    text = f"# Rows of a row group\n\n{facts}\n- {options.rows} trades, lz4_raw, threads {options.threads}, best of {options.repeat}\n\n{markdown_table(COLUMNS, cells)}\n"
    print(text)
    (BENCH_DIRECTORY / "row_groups.md").write_text(text)
    (REPOSITORY / "docs" / "row_groups.svg").write_text(plot(rows))


if __name__ == "__main__":
    main()
