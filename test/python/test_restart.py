"""A scan that starts again says so in DuckDB's log."""
import shutil

import duckdb
import pytest

from helpers.cases import case, text
from helpers.txn import commit


@pytest.fixture
def table(tmp_path):
    shutil.copytree(case("part_day").path, tmp_path / "t")
    return tmp_path / "t"


def messages(con):
    return [m for (m,) in con.execute("SELECT message FROM duckdb_logs WHERE type = 'QuestDB' AND log_level = 'INFO' ORDER BY timestamp").fetchall()]


def test_restart_is_logged_with_its_reason(con, table):
    con.execute("CALL enable_logging(level := 'info')")
    query = f"SELECT count(id), sum(id) FROM read_partitions({text(table)})"
    expected = con.execute(query).fetchall()
    con.execute(f"PREPARE p AS {query}")  # its first execution begins with the state of now
    commit(table, truncations=1)
    assert con.execute("EXECUTE p").fetchall() == expected
    [message] = messages(con)
    assert message.startswith("read_partitions: restart 1, before the first row: ") and "truncated" in message and 'partition "' in message


def test_commit_that_leaves_what_is_read_alone_restarts_nothing(con, table):
    con.execute("CALL enable_logging(level := 'info')")
    query = f"SELECT count(id), sum(id) FROM read_partitions({text(table)})"
    expected = con.execute(query).fetchall()
    con.execute(f"PREPARE p AS {query}")
    commit(table, truncations=0)
    assert con.execute("EXECUTE p").fetchall() == expected
    assert messages(con) == []


def test_two_scans_of_one_state_do_not_start_again(con, table):
    con.execute("CALL enable_logging(level := 'info')")
    source = f"read_partitions({text(table)})"
    con.execute(f"PREPARE p AS SELECT (SELECT sum(id) FROM {source}), (SELECT max(id) FROM {source})")
    commit(table, truncations=1)
    with pytest.raises(duckdb.TransactionException, match="run the query again"):
        con.execute("EXECUTE p").fetchall()
