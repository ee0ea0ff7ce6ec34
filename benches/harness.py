"""What the benchmarks share: a DuckDB session, fair timing, equal answers, memory, and the page that is printed.

Timing is interleaved: every round runs each system once, in an order that rotates, so that a busy moment of the
machine or a warm cache favours nobody; the best of the rounds counts. Answers are compared before anything is timed.
Linux only (/proc).
"""

import json
import math
import os
import platform
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import numpy

REPOSITORY = Path(__file__).resolve().parents[1]
BENCH_DIRECTORY = REPOSITORY / "build" / "bench"
EXTENSION = REPOSITORY / "build" / "release" / "questdb.duckdb_extension"


# ---- DuckDB -------------------------------------------------------------------------------------


def connect(extension=None, statements=()):
    """An in-memory DuckDB with the extension loaded (if one is given) and the statements run."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    if extension:
        connection.execute(f"LOAD {literal(extension)}")
    for statement in statements:
        connection.execute(statement)
    return connection


def literal(text):
    return "'" + str(text).replace("'", "''") + "'"


# ---- answers ------------------------------------------------------------------------------------


def same_answer(left, right, tolerance=1e-9):
    """Whether two results are the same rows; floating-point sums may differ by the order of their additions."""
    def same(a, b):
        if isinstance(a, float) and isinstance(b, (float, int)) or isinstance(b, float) and isinstance(a, int):
            return math.isclose(a, b, rel_tol=tolerance)
        return a == b
    return len(left) == len(right) and all(len(a) == len(b) and all(map(same, a, b)) for a, b in zip(left, right))


# ---- time ---------------------------------------------------------------------------------------


def seconds(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def interleaved(actions, repeat):
    """Runs each action `repeat` times in turn. An action takes nothing and answers the seconds that count.

    `actions` is a dict by system; the answer has the list of times by system.
    """
    times = {system: [] for system in actions}
    order = list(actions)
    for _ in range(repeat):
        for system in order:
            times[system].append(actions[system]())
        order.append(order.pop(0))
    return times


# ---- the machine --------------------------------------------------------------------------------


def machine_facts():
    """What a reader of the numbers wants to know, as (name, text) pairs."""
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("date", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("machine", f"{len(os.sched_getaffinity(0))} cores of {cpu}, {memory:.0f} GiB of memory"),
        ("load average at the start", f"{os.getloadavg()[0]:.2f}"),
        ("software", f"Linux {platform.release()}, Python {platform.python_version()}, DuckDB {duckdb.__version__}"),
    ]


def bandwidth(files, threads, repeat=5):
    """GB/s at which this many threads get through the float64 values in `files` (all in the page cache), by way:

    sum           np.sum over mappings that stay: the yardstick, because it reads the column's bytes once and does nothing else
    sum in memory the same over plain arrays
    mapped anew   np.sum over mappings made for the occasion: with the page faults of a first look
    pread         np.sum over 256 KiB at a time, read into one buffer per thread
    copy          from the mappings that stay into plain arrays (counted once, though it reads and writes)
    """
    sizes = [os.path.getsize(file) // 8 for file in files]
    mappings = [numpy.memmap(file, numpy.float64, "r", shape=(size,)) for file, size in zip(files, sizes)]
    arrays = [numpy.zeros(size) for size in sizes]
    handles = [os.open(file, os.O_RDONLY) for file in files]
    block = 1 << 15

    def mapped_anew(i, start, stop):
        numpy.memmap(files[i], numpy.float64, "r", offset=8 * start, shape=(stop - start,)).sum()

    def pread(i, start, stop):
        buffer = numpy.empty(block)
        for at in range(start, stop, block):
            part = buffer[:min(block, stop - at)]
            os.preadv(handles[i], [part], 8 * at)
            part.sum()

    ways = {
        "sum": lambda i, start, stop: mappings[i][start:stop].sum(),
        "sum in memory": lambda i, start, stop: arrays[i][start:stop].sum(),
        "mapped anew": mapped_anew,
        "pread": pread,
        "copy": lambda i, start, stop: numpy.copyto(arrays[i][start:stop], mappings[i][start:stop]),
    }

    def time(way):
        def share(thread):
            for i, size in enumerate(sizes):
                way(i, size * thread // threads, size * (thread + 1) // threads)
        return seconds(lambda: list(pool.map(share, range(threads))))

    with ThreadPoolExecutor(threads) as pool:
        actions = {name: (lambda way=way: time(way)) for name, way in ways.items()}
        interleaved(actions, 1)
        times = interleaved(actions, repeat)
    for handle in handles:
        os.close(handle)
    return {name: 8 * sum(sizes) / min(of_way) / 1e9 for name, of_way in times.items()}


# ---- memory -------------------------------------------------------------------------------------


def peak_memory(sql, extension=None, statements=()):
    """Bytes by which a statement raises the memory of a fresh process at its highest: (its own, with mapped files).

    The process runs `statements` first and plans the query once; pages of mapped files are the kernel's to take back.
    """
    job = json.dumps({"sql": sql, "extension": extension and str(extension), "statements": list(statements)})
    child = subprocess.run([sys.executable, __file__], input=job, capture_output=True, text=True)
    if child.returncode:
        raise RuntimeError(child.stderr.strip().splitlines()[-1])
    return json.loads(child.stdout)


def measure_memory_here(job):
    connection = connect(job["extension"], job["statements"])
    connection.execute("EXPLAIN " + job["sql"]).fetchall()

    def resident():
        _, all_pages, shared_pages = Path("/proc/self/statm").read_text().split()[:3]
        page = os.sysconf("SC_PAGE_SIZE")
        return (int(all_pages) - int(shared_pages)) * page, int(all_pages) * page

    before = peak = resident()
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.001):
            peak = tuple(map(max, peak, resident()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection.execute(job["sql"]).fetchall()
    done.set()
    watcher.join()
    return [now - then for now, then in zip(peak, before)]


# ---- the page -----------------------------------------------------------------------------------


def markdown_table(header, rows):
    """A Markdown table with columns of even width; all but the first and last columns are numbers."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    numeric = [0 < i < len(header) - 1 for i in range(len(header))]

    def line(cells):
        return "| " + " | ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric)) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if n else "-") for w, n in zip(widths, numeric)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def milliseconds(value):
    ms = value * 1000
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


if __name__ == "__main__":  # the child of peak_memory
    print(json.dumps(measure_memory_here(json.load(sys.stdin))))
