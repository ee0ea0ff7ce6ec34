"""Reading beside a running server: the short form of test/live/run.py, and that its checks notice what they must."""
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from helpers import cases

sys.path[:0] = [str(cases.REPO / "tools"), str(cases.REPO / "test/live")]
import invariants  # noqa: E402
import questdb_server  # noqa: E402
import writers  # noqa: E402


def test_readers_see_committed_states_only():
    if not questdb_server.find():
        pytest.skip(f"no QuestDB server can run here: needs Java {questdb_server.MINIMUM_JAVA} or newer, and Maven or the jar in build/questdb")
    run = subprocess.run(
        [sys.executable, str(cases.REPO / "test/live/run.py"), "--short"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400,
        env={**os.environ, "QUESTDB_EXTENSION": str(cases.EXTENSION)})
    assert run.returncode == 0, run.stdout[-8000:]
    assert run.stdout.rstrip().endswith(", 0 failed"), run.stdout[-8000:]


@pytest.fixture
def model():
    """A reader's model of an out-of-order table, and the rows that the table has after operation 9."""
    m = invariants.Model(writers.scenario("out_of_order_bypass", "t", 1))
    rows = m.con.execute(f"{m.state_of_batch(m.scenario.last_batch_after(9))} ORDER BY ts").to_arrow_table()
    yield m, rows
    m.close()


def replaced(rows, column, start, values):
    """`rows` with `values` in one column, from row `start` on."""
    whole = rows[column].combine_chunks()
    new = pa.concat_arrays([whole[:start], values.cast(whole.type), whole[start + len(values):]])
    return rows.set_column(rows.column_names.index(column), column, new)


def test_checks_accept_a_committed_state(model):
    m, rows = model
    assert m.whole(rows, 9, 9) == []
    assert m.whole(rows, 5, 12) == []
    assert m.filtered(rows.filter(pc.equal(rows["sym"], "s3")), "sym = 's3'", 9, 9) == []


@pytest.mark.parametrize("column", ["sym", "price", "note", "txt", "arr", "chk", "qty", "n"])
def test_checks_notice_values_of_other_rows(model, column):
    m, rows = model
    assert m.rows(replaced(rows, column, 100, rows[column].combine_chunks()[-17:])) != []


@pytest.mark.parametrize("state", [8, 10, 30])
def test_checks_notice_another_state(model, state):
    m, rows = model
    problems = m.whole(rows, state, state)
    assert (problems == []) == (m.scenario.signature_after(state) == m.scenario.signature_after(9))


def test_checks_notice_rows_lost_doubled_and_misplaced(model):
    m, rows = model
    n = rows.num_rows
    assert "in part" in m.whole(pa.concat_tables([rows.slice(0, 500), rows.slice(501)]), 9, 9)[0].rule
    assert "several times" in m.rows(pa.concat_tables([rows.slice(0, 500), rows.slice(499)]))[0].rule
    assert "descend" in m.rows(pa.concat_tables([rows.slice(n - 100), rows.slice(0, n - 100)]))[0].rule
    assert m.whole(rows.slice(0, 0), 9, 9) != []


def test_checks_notice_what_a_filter_loses_or_adds(model):
    m, rows = model
    some = rows.filter(pc.equal(rows["sym"], "s3"))
    assert "lost" in m.filtered(some.slice(1), "sym = 's3'", 9, 9)[0].rule
    assert "left out" in m.filtered(some, "sym = 's3' AND id <> " + str(some["id"][0].as_py()), 9, 9)[0].rule


def test_checks_notice_an_older_state_than_one_seen(model):
    m, rows = model
    newer = m.con.execute(f"{m.state_of_batch(m.scenario.last_batch_after(30))} ORDER BY ts").to_arrow_table()
    assert m.whole(newer, 9, 30) == []
    assert "not a state" in m.whole(rows, 9, 30)[0].rule
