"""A long query stops soon after interrupt(), reports its progress, and leaves the connection usable."""
import threading
import time

import duckdb
import pytest

from helpers.cases import case, text
from helpers.compare import arrow, assert_same
from helpers import truth

WAIT, LIMIT = 0.4, 1.0          # interrupted after, must have stopped within


def interrupted(con, sql, parameters=None):
    """Seconds that the statement ran on after interrupt(); None when it ended before."""
    at = []

    def stop():
        at.append(time.monotonic())
        con.interrupt()

    timer = threading.Timer(WAIT, stop)
    timer.start()
    try:
        con.execute(sql, parameters).fetchall()
        return None
    except duckdb.InterruptException:
        return time.monotonic() - at[0]
    finally:
        timer.cancel()
        timer.join()


T = case("trades_2m")
LONG = {
    "cross join": f"SELECT sum(price * r.range) FROM {T.scan}, range(20000) r",
    "cross join matching nothing": f"SELECT count(*) FROM {T.scan} t, range(20000) r WHERE t.price + r.range < -1",
    "one table many times": f"SELECT sum(price), max(ts), min(symbol) FROM read_partitions([{', '.join([text(T.path)] * 400)}])",
    "pushed filter matching nothing": f"SELECT count(*), max(ts), min(symbol), max(side) FROM read_partitions([{', '.join([text(T.path)] * 1000)}]) WHERE price = -12345.678",
    "symbol filter matching little": f"SELECT count(*), max(ts) FROM read_partitions([{', '.join([text(T.path)] * 1000)}]) WHERE side = 'no such side' OR amount = -5",
    "sort": f"SELECT * FROM read_partitions([{', '.join([text(T.path)] * 100)}]) ORDER BY price DESC, amount LIMIT 10 OFFSET 100000000",
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("query", LONG)
def test_interrupt_stops_a_scan_within_a_second(con, query, threads):
    con.execute(f"SET threads = {threads}")
    late = interrupted(con, LONG[query])
    if query.startswith("cross"):
        assert late is not None, "the query ended before it could be interrupted"
    assert late is None or late < LIMIT, f"ran on for {late:.2f} s"
    assert con.execute("SELECT 42").fetchall() == [(42,)]
    assert_same(arrow(con, f"FROM {case('part_day').scan}"), truth.expected("part_day"))


def test_interrupt_stops_create_table_as(con):
    late = interrupted(con, f"CREATE TABLE x AS FROM read_partitions([{', '.join([text(T.path)] * 200)}])")
    assert late is None or late < LIMIT
    with pytest.raises(duckdb.CatalogException):
        con.execute("FROM x")


def test_repeated_interrupts_leak_nothing(con):
    for _ in range(3):
        late = interrupted(con, LONG["cross join"])
        assert late is not None and late < LIMIT
    assert con.execute(f"SELECT count(*), count(price) FROM {T.scan}").fetchone() == (2_000_000, 1999756)


def test_progress_grows_from_0_to_100(con):
    con.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET threads = 1")
    seen, done = [], threading.Event()

    def watch():
        while not done.wait(0.01):
            seen.append(con.query_progress())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        con.execute(f"SELECT sum(price), count(DISTINCT amount), max(symbol), max(side) FROM read_partitions([{', '.join([text(T.path)] * 10)}])").fetchall()
    finally:
        done.set()
        watcher.join()
    shown = [p for p in seen if p >= 0]
    assert all(0 <= p <= 100 for p in shown)
    assert len(set(shown)) > 2, f"progress did not move: {sorted(set(shown))[:5]}"


def test_many_connections_at_once(con):
    """Scans of one database from several threads do not disturb each other."""
    failed = []

    def work(number):
        try:
            own = con.cursor()
            for name in ("o3_split", "sym_edge", "part_week", "same_ts") * 3:
                assert_same(arrow(own, f"SELECT {truth.select_list(name)} FROM {case(name).scan}"), truth.expected(name))
        except Exception as e:
            failed.append(f"{number}: {e}")

    for name in ("o3_split", "sym_edge", "part_week", "same_ts"):
        truth.expected(name)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, "\n".join(failed)
