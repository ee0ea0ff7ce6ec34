"""Only the files that a query needs are opened: seen from outside, by the system calls of another process."""
import re
import shutil
import subprocess

import pytest

from helpers import script
from helpers.cases import case

STRACE = shutil.which("strace")


def usable():
    return STRACE and subprocess.run([STRACE, "-f", "-o", "/dev/null", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not usable(), reason="strace cannot be used here")


def opened(tmp_path, name, sql, rows=None):
    """Files of the table (relative paths) that a statement opens successfully."""
    c = case(name)
    log = tmp_path / "trace"
    got = script.queries([sql], prefix=[STRACE, "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", str(log)])[0]
    assert not isinstance(got, str), got
    if rows is not None:
        assert got == rows
    inside = re.compile(re.escape(str(c.path)) + r'/([^"]+)"')
    out = set()
    handles = {}
    for line in log.read_text(errors="replace").splitlines():
        if "= -1" in line:
            continue
        m = inside.search(line)
        if m:
            out.add(m[1])
        elif (relative := re.search(r'openat2?\((\d+), "([^"]+)".*= (\d+)$', line)) and relative[1] in handles:
            out.add(handles[relative[1]] + relative[2])
        if m and "O_DIRECTORY" in line and (fd := re.search(r"= (\d+)$", line)):
            handles[fd[1]] = m[1] + "/"
    return out


def columns(files):
    """Names of the columns whose data files are among the files."""
    return {m[1] for f in files if (m := re.match(r"[^/]+/([^/]+?)\.[di](?:\.\d+)?$", f))}


def partitions(files):
    return {f.partition("/")[0] for f in files if re.search(r"/[^/]+\.[di](\.\d+)?$", f)}


def symbol_files(files):
    return {f for f in files if "/" not in f and re.search(r"\.[ockv](\.\d+)?$", f)}


def test_one_column(tmp_path):
    files = opened(tmp_path, "trades_2m", f"SELECT count(price) FROM {case('trades_2m').scan}", [[1999756]])
    assert columns(files) == {"price"}
    assert len(partitions(files)) == len(case("trades_2m").attached)


def test_var_size_column(tmp_path):
    files = opened(tmp_path, "o3_split", f"SELECT max(note) FROM {case('o3_split').scan}")
    assert columns(files) == {"note"}


def test_symbol_column_needs_its_keys_and_its_table(tmp_path):
    files = opened(tmp_path, "trades_2m", f"SELECT symbol, count(*) FROM {case('trades_2m').scan} GROUP BY symbol")
    assert columns(files) == {"symbol"}
    assert not {f for f in symbol_files(files) if f.startswith("side.c")}, files


def test_count_opens_at_most_one_column(tmp_path):
    files = opened(tmp_path, "trades_2m", f"SELECT count(*) FROM {case('trades_2m').scan}", [[2_000_000]])
    assert len(columns(files)) <= 1


def test_binding_opens_no_partition(tmp_path):
    files = opened(tmp_path, "trades_2m", f"DESCRIBE FROM {case('trades_2m').scan}")
    assert partitions(files) == set() and {"_meta", "_txn"} <= files


def test_time_filter_opens_only_its_days(tmp_path):
    c = case("trades_2m")
    day = c.attached[4]["name"]
    files = opened(tmp_path, "trades_2m", f"SELECT count(price) FROM {c.scan} WHERE ts >= '{day}' AND ts < TIMESTAMP '{day}' + INTERVAL 1 DAY")
    assert {p.split(".")[0] for p in partitions(files)} <= {day, c.attached[5]["name"]} and any(p.startswith(day) for p in partitions(files))
    assert columns(files) <= {"price", "ts"}


@pytest.mark.parametrize("where", ["ts::DATE = '{day}'", "date_trunc('hour', ts) = '{day} 05:00:00'", "ts = '{day} 05:00:00'", "ts BETWEEN '{day} 01:00:00' AND '{day} 02:00:00'",
                                   "ts IN ('{day} 01:00:00', '{day} 02:00:00')", "ts >= TIMESTAMPTZ '{day} 03:00:00+00' AND ts < TIMESTAMPTZ '{day} 04:00:00+00'"])
def test_every_way_to_ask_for_a_day_opens_only_that_day(tmp_path, where):
    c = case("part_day")
    day = c.attached[3]["name"]
    files = opened(tmp_path, "part_day", f"SELECT count(val), max(id) FROM {c.scan} WHERE {where.format(day=day)}")
    neighbours = {c.attached[i]["name"] for i in (2, 3, 4)}         # bounds count as inclusive
    assert {p.split(".")[0] for p in partitions(files)} <= neighbours


def test_filter_that_nothing_can_meet_opens_no_partition(tmp_path):
    c = case("trades_2m")
    files = opened(tmp_path, "trades_2m", f"SELECT count(price) FROM {c.scan} WHERE ts > '2100-01-01'", [[0]])
    assert partitions(files) == set()


def test_unknown_symbol_opens_no_other_column(tmp_path):
    c = case("trades_2m")
    files = opened(tmp_path, "trades_2m", f"SELECT sum(price) FROM {c.scan} WHERE symbol = 'no such symbol'", [[None]])
    assert "price" not in columns(files)


def test_filter_column_is_read_but_nothing_more(tmp_path):
    files = opened(tmp_path, "o3_split", f"SELECT sum(val) FROM {case('o3_split').scan} WHERE id > 100")
    assert columns(files) == {"val", "id"}


def test_stale_directories_and_wal_are_never_opened(tmp_path):
    """Old versions of partitions and the write-ahead log lie beside the data."""
    c = case("live_old_versions")
    files = opened(tmp_path, "live_old_versions", f"SELECT count(*), count(val) FROM {c.scan}")
    assert not {f for f in files if f.startswith(("wal", "txn_seq/wal"))}
    assert len(partitions(files)) == len(c.attached)
