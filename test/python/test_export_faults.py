"""Exports that end early: killed, interrupted, on a full disk, without permission. Nothing partial under a final name."""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import duckdb
import pyarrow.parquet as pq
import pytest

from helpers import cases, script
from helpers.cases import text

TRADES = cases.case("trades_2m")
KILLS = 5
SLOW = "compression_codec := 'zstd', compression_level := 3"

# Ways of writing the table, to `{to}`: planned row groups, row groups by bytes, one file, and COPY.
EXPORT = f"FROM questdb_export({text(TRADES.path)}, '{{to}}', row_group_size := 20000, {SLOW})"
WAYS = {
    "partitions": EXPORT,
    "bytes": EXPORT.replace("row_group_size := 20000", "row_group_size_bytes := '500KB', partition_by := 'none'"),
    "files": EXPORT.replace("row_group_size := 20000", "row_group_size := 9000, max_row_groups_per_file := 3, layout := 'parts'"),
    "copy": f"COPY (FROM {TRADES.scan}) TO '{{to}}' (FORMAT questdb_parquet, row_group_rows 20000, compression zstd)",
    "copy partitions": f"COPY (FROM {TRADES.scan}) TO '{{to}}' (FORMAT questdb_parquet, partition_unit day, row_group_rows 20000, compression zstd)",
}


def visible(folder):
    """Files below a folder, hidden ones and those of DuckDB's own temporary names left out."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file()
            and not any(part.startswith((".", "tmp_")) for part in path.relative_to(folder).parts)]


def hidden(folder):
    return [name for name in os.listdir(folder) if name.startswith((".", "tmp_"))]


def rows_of(files):
    """Rows of files that are read as a whole: a partial one is an error."""
    return sum(pq.ParquetFile(file).read(columns=[0]).num_rows for file in files)


class Worker:
    """A process that runs one statement, and says when it begins and when it has ended."""

    def __init__(self, statement):
        code = textwrap.dedent(f"""
            import sys
            sys.path.insert(0, {str(cases.REPO / "test/python")!r})
            from helpers import cases
            con = cases.connect()
            con.execute("SET enable_progress_bar = false")
            print("begins", flush=True)
            con.execute({statement!r}).fetchall()
            print("ended", flush=True)
        """)
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "begins\n"
        self.begun = time.monotonic()

    def duration(self):
        assert self.process.stdout.readline() == "ended\n"
        seconds = time.monotonic() - self.begun
        self.process.wait()
        self.process.stdout.close()
        return seconds

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.parametrize("way", WAYS)
def test_kill_at_random_moments(con, way, tmp_path):
    statement = WAYS[way].format(to=tmp_path / "out.parquet")
    seconds = Worker(statement).duration()
    assert rows_of(visible(tmp_path)) == TRADES.rows and not hidden(tmp_path)
    chance, unfinished = random.Random(way), 0
    for _ in range(KILLS):
        for path in visible(tmp_path):
            path.unlink()
        if (tmp_path / "out.parquet").exists():
            shutil.rmtree(tmp_path / "out.parquet")
        worker = Worker(statement)
        time.sleep(chance.uniform(0.02, 0.9) * seconds)
        worker.kill()
        files = visible(tmp_path)
        unfinished += not files
        assert rows_of(files) in (0, TRADES.rows), files
    assert unfinished, "every export was over before it was killed"
    for path in visible(tmp_path):
        path.unlink()
    if (tmp_path / "out.parquet").is_dir():
        shutil.rmtree(tmp_path / "out.parquet")
    con.execute(statement).fetchall()
    assert rows_of(visible(tmp_path)) == TRADES.rows
    assert not hidden(tmp_path), "what killed exports left is still there"


def test_kill_leaves_what_was_there_before(con, tmp_path):
    """An export that would have replaced files did not touch them yet."""
    target = tmp_path / "out"
    con.execute(f"FROM questdb_export({text(TRADES.path)}, {text(target)}, columns := ['ts'])").fetchall()
    before = {path: path.read_bytes() for path in visible(tmp_path)}
    statement = WAYS["partitions"].format(to=target).replace("zstd'", "zstd', overwrite := true")
    chance = random.Random(7)
    for _ in range(KILLS):
        worker = Worker(statement)
        while not hidden(tmp_path) and worker.process.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        worker.kill()
        files = visible(tmp_path)
        if {path: path.read_bytes() for path in files} != before:
            assert rows_of(files) == TRADES.rows and "price" in pq.read_schema(files[0]).names
            break
    con.execute(statement).fetchall()
    files = visible(tmp_path)
    assert rows_of(files) == TRADES.rows and "price" in pq.read_schema(files[0]).names and not hidden(tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_interrupt_within_a_second(con, way, tmp_path):
    """The fastest of a few: other processes share the machine."""
    statement = WAYS[way].format(to=tmp_path / "out.parquet").replace("level := 3", "level := 19")
    statement = re.sub(r"compression zstd\)", "compression zstd, compression_level 19)", statement)
    waited = []
    for delay in (0.15, 0.3, 0.6):
        timer = threading.Timer(delay, con.interrupt)
        timer.start()
        begun = time.monotonic()
        with pytest.raises(duckdb.InterruptException):
            con.execute(statement).fetchall()
        waited.append(time.monotonic() - begun - delay)
        timer.join()
        assert os.listdir(tmp_path) == []
    assert min(waited) < 1 and max(waited) < 20, waited


# ---- full disks -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
def test_files_that_may_not_grow(way, tmp_path):
    """A limit of the process on the size of files, at the first page, in the middle and near the end."""
    statement = WAYS[way].format(to=tmp_path / "out.parquet")
    answers = script.run(f"""
import resource
con.execute("SET enable_progress_bar = false")
answers = []
for limit in (3, 2_000, 20_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    answers.append(ask({statement!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
rows = ask({statement!r})
print(json.dumps([answers, len(rows)]))
""")
    for answer in answers[0]:
        assert answer.startswith("IOException: ") and "File too large" in answer and str(tmp_path) in answer, answer
    assert answers[1] and rows_of(visible(tmp_path)) == TRADES.rows and not hidden(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A file system with less room than any export of the table needs."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("a small file system can be mounted by root only")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("way", WAYS)
def test_disk_that_gets_full(con, small_disk, way):
    (small_disk / "other").write_bytes(b"stays")
    with pytest.raises(duckdb.IOException, match="No space left on device") as error:
        con.execute(WAYS[way].format(to=small_disk / "out.parquet")).fetchall()
    assert str(small_disk) in str(error.value)
    assert os.listdir(small_disk) == ["other"]
    con.execute(f"COPY (FROM {TRADES.scan} LIMIT 1000) TO {text(small_disk / 'out.parquet')} (FORMAT questdb_parquet)")
    assert rows_of([small_disk / "out.parquet"]) == 1000


# ---- permission -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
def test_unwritable_destination(way, tmp_path_factory):
    place = tmp_path_factory.mktemp("closed")
    nobody = 65534 if os.geteuid() == 0 else None
    opened = []
    for parent in place.parents:        # pytest's own directories are for their owner only
        if nobody and parent.stat().st_mode & 0o5 != 0o5:
            opened.append((parent, parent.stat().st_mode))
            parent.chmod(parent.stat().st_mode | 0o5)
    place.chmod(0o555)
    try:
        [answer] = script.queries([WAYS[way].format(to=place / "sub" / "out")], user=nobody)
    finally:
        place.chmod(0o755)
        for parent, mode in opened:
            parent.chmod(mode)
    assert isinstance(answer, str) and answer.startswith("IOException: "), answer
    assert "Permission denied" in answer and str(place) in answer, answer
    assert os.listdir(place) == []
