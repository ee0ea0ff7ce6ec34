"""Exports as jobs: in the background, cancelled, at the end of a database, of a process."""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time

import duckdb
import pytest

from helpers import cases
from helpers.cases import text
from helpers.txn import commit

# Slow enough to be interrupted on any machine: the whole table takes seconds.
SLOW = "compression := 'brotli', compression_level := 11, row_group_size := 2000"
FINAL = ("finished", "failed", "cancelled")
PATIENCE = 60


def start(con, case, destination, options=""):
    """Starts an export in the background; returns its id."""
    comma = ", " if options else ""
    statement = f"FROM questdb_export({text(case.path)}, {text(destination)}, background := true{comma}{options})"
    (job, shown, status), = con.execute(statement).fetchall()
    assert (shown, status) == (str(destination), "queued") and re.fullmatch("[0-9a-f]{16}", job)
    return job


def status(con, job):
    (found,), = con.execute("SELECT status FROM questdb_exports() WHERE id = ?", [job]).fetchall()
    return found


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


def wait(con, job):
    until(lambda: status(con, job) in FINAL)
    return status(con, job)


def running(con, job):
    until(lambda: status(con, job) != "queued")
    assert status(con, job) == "running"


def cancel(con, job):
    (shown, answer), = con.execute(f"FROM questdb_export_cancel({text(job)})").fetchall()
    assert shown == job
    return answer


def steps(con, job):
    return con.execute("SELECT phase, status FROM questdb_export_log() WHERE id = ? ORDER BY ts", [job]).fetchall()


def phases(rows):
    return {phase for phase, _ in rows}


def test_a_background_export_writes_what_a_waiting_one_writes(con, tmp_path):
    case = cases.case("trades_2m")
    options = "row_group_size := 300000, partition_by := 'week'"
    assert wait(con, start(con, case, tmp_path / "a", options)) == "finished"
    con.execute(f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'b')}, {options})").fetchall()
    assert sorted(os.listdir(tmp_path / "a")) == sorted(os.listdir(tmp_path / "b"))
    for name in os.listdir(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize("options", ["", "row_group_size_bytes := 500000, partition_by := 'none'"])
def test_rows_and_bytes_are_those_of_the_files(con, tmp_path, options):
    case = cases.case("trades_2m")
    job = start(con, case, tmp_path / "x", options)
    assert wait(con, job) == "finished"
    (rows, size, result), = con.execute(
        "SELECT rows, bytes, export_result FROM questdb_exports() WHERE id = ?", [job]).fetchall()
    assert rows == result["total_row_count"] == case.rows
    files = [os.path.join(result["output_prefix"], file) for file in result["files"]]
    assert size == sum(os.path.getsize(file) for file in files)
    counted = con.execute("SELECT sum(num_rows) FROM parquet_file_metadata(?)", [files]).fetchone()
    assert counted == (case.rows,)


def test_fifty_jobs_cancelled_at_random_leave_whole_files_or_none(con, tmp_path):
    con.execute("SET questdb_export_max_jobs = 3")
    case = cases.case("part_day")
    slow = cases.case("trades_2m")
    random.seed(7)
    jobs = {}
    for number in range(50):
        table, options = (slow, SLOW) if number % 10 == 0 else (case, "row_group_size := 10")
        jobs[start(con, table, tmp_path / f"d{number}", options)] = (table, tmp_path / f"d{number}")
    answers = {}
    for job in random.sample(sorted(jobs), 30):
        time.sleep(random.random() / 20)
        answers[job] = cancel(con, job)
    for job, (table, _) in jobs.items():
        if table is slow:
            cancel(con, job)
    for job, (table, destination) in jobs.items():
        ended = wait(con, job)
        assert ended in ("finished", "cancelled")
        # What was answered is what became of it.
        assert answers.get(job, ended) == ended
        rows = steps(con, job)
        assert rows[-1][1] == ended
        if ended == "finished":
            assert rows[-1] == ("success", "finished")
            count, = con.execute(f"SELECT count(*) FROM read_parquet({text(destination / '*.parquet')})").fetchone()
            assert count == table.rows
        else:
            assert not destination.exists() and "success" not in phases(rows)
    # A thread that still compresses a page holds its hidden directory.
    until(lambda: not [name for name in os.listdir(tmp_path) if name.startswith(".")])


def test_jobs_run_in_order_and_as_many_as_allowed(con, tmp_path):
    case = cases.case("trades_2m")
    jobs = [start(con, case, tmp_path / str(number), SLOW) for number in range(3)]
    running(con, jobs[0])
    assert [status(con, job) for job in jobs[1:]] == ["queued", "queued"]
    assert cancel(con, jobs[0]) == "cancelled"
    running(con, jobs[1])
    assert status(con, jobs[2]) == "queued"
    con.execute("SET questdb_export_max_jobs = 3")
    more = start(con, case, tmp_path / "more", SLOW)
    until(lambda: status(con, jobs[2]) == status(con, more) == "running")
    for job in jobs[1:] + [more]:
        assert cancel(con, job) == "cancelled"
        assert wait(con, job) == "cancelled"
    until(lambda: os.listdir(tmp_path) == [])


def test_a_cancelled_job_stops_soon_and_is_cancelled_twice(con, tmp_path):
    job = start(con, cases.case("trades_2m"), tmp_path / "x", SLOW)
    running(con, job)
    started = time.monotonic()
    assert cancel(con, job) == "cancelled"
    assert wait(con, job) == "cancelled"
    assert time.monotonic() - started < 5
    assert cancel(con, job) == cancel(con, job.upper().lower()) == "cancelled"
    assert not (tmp_path / "x").exists()
    until(lambda: os.listdir(tmp_path) == [])


def test_an_export_of_another_connection_can_be_cancelled(con, tmp_path):
    case = cases.case("trades_2m")
    failures = []

    def export():
        try:
            con.cursor().execute(f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'x')}, {SLOW})").fetchall()
        except duckdb.Error as error:
            failures.append(error)

    thread = threading.Thread(target=export)
    thread.start()
    find = "SELECT id FROM questdb_exports() WHERE destination = ? AND status = 'running'"
    until(lambda: con.execute(find, [str(tmp_path / "x")]).fetchall())
    (job,), = con.execute(find, [str(tmp_path / "x")]).fetchall()
    assert cancel(con, job) == "cancelled"
    thread.join(PATIENCE)
    assert isinstance(failures[0], duckdb.InterruptException), failures
    assert wait(con, job) == "cancelled" and os.listdir(tmp_path) == []


def test_an_interrupt_and_a_limit_cancel_the_job_of_their_statement(con, tmp_path):
    case = cases.case("trades_2m")
    statement = f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'x')}, {SLOW})"
    con.execute(statement + " LIMIT 1").fetchall()
    timer = threading.Timer(0.3, con.interrupt)
    timer.start()
    with pytest.raises(duckdb.InterruptException):
        con.execute(statement).fetchall()
    found = con.execute("SELECT status, message FROM questdb_exports() WHERE destination = ?",
                        [str(tmp_path / "x")]).fetchall()
    assert found == [("cancelled", "the statement was interrupted, or needed no more rows")] * 2
    assert os.listdir(tmp_path) == []


def test_an_interrupt_does_not_wait_for_the_end_of_a_row_group(con, tmp_path):
    # One row group of the whole table, which takes half a minute.
    statement = (f"FROM questdb_export({text(cases.case('trades_2m').path)}, {text(tmp_path / 'x')}, partition_by := 'none', "
                 "compression := 'brotli', compression_level := 11, row_group_size := 10000000)")
    timer = threading.Timer(0.5, con.interrupt)
    timer.start()
    started = time.monotonic()
    with pytest.raises(duckdb.InterruptException):
        con.execute(statement).fetchall()
    assert time.monotonic() - started < 15
    (found, message), = con.execute("SELECT status, message FROM questdb_exports() WHERE destination = ?",
                                    [str(tmp_path / "x")]).fetchall()
    assert (found, message) == ("cancelled", "the statement was interrupted, or needed no more rows")
    assert os.listdir(tmp_path) == []


def test_an_interrupt_does_not_reach_a_job_in_the_background(con, tmp_path):
    job = start(con, cases.case("trades_2m"), tmp_path / "x")
    con.interrupt()
    assert wait(con, job) == "finished"


@pytest.mark.parametrize("other", [", background := true", ""])
def test_a_destination_that_is_written_is_refused_with_the_id(con, tmp_path, other):
    case = cases.case("trades_2m")
    job = start(con, case, tmp_path / "x", SLOW)
    (tmp_path / "link").symlink_to(tmp_path)
    for same in (tmp_path / "x", f"{tmp_path}/./x/", tmp_path / "link" / "x"):
        with pytest.raises(duckdb.InvalidInputException, match=rf"duplicate export path: .* \[id={job}\]"):
            con.execute(f"FROM questdb_export({text(case.path)}, {text(same)}{other})").fetchall()
    # In another database of the process, too.
    with cases.connect() as stranger, pytest.raises(duckdb.InvalidInputException, match=job):
        stranger.execute(f"FROM questdb_export({text(case.path)}, {text(tmp_path / 'x')}{other})").fetchall()
    assert cancel(con, job) == "cancelled" and wait(con, job) == "cancelled"
    assert wait(con, start(con, case, tmp_path / "x")) == "finished"


def test_a_job_that_fails_says_why(con, tmp_path):
    case = cases.case("corrupt_column_missing")
    job = start(con, case, tmp_path / "x")
    assert wait(con, job) == "failed"
    (message,), = con.execute("SELECT message FROM questdb_exports() WHERE id = ?", [job]).fetchall()
    assert "column" in message and "file" in message
    rows = con.execute("SELECT phase, status, message, errors FROM questdb_export_log() WHERE id = ?", [job]).fetchall()
    assert rows[-1] == ("converting_partitions", "failed", message, -1)
    assert cancel(con, job) == "failed" and os.listdir(tmp_path) == []


def test_a_destination_that_appears_meanwhile_fails_the_job(con, tmp_path):
    case = cases.case("trades_2m")
    job = start(con, case, tmp_path / "x", "row_group_size := 50000")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").write_text("")
    assert wait(con, job) == "failed"
    assert os.listdir(tmp_path) == ["x"] and os.listdir(tmp_path / "x") == ["mine"]


def test_threads_of_a_job_are_a_setting(con, tmp_path):
    con.execute("SET threads = 1; SET questdb_export_threads = 3")
    workers = lambda: [name for name in names() if name.startswith("questdb-export")]

    def names():
        for task in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{task}/comm") as comm:
                    yield comm.read()
            except FileNotFoundError:
                pass

    if not os.path.isdir("/proc/self/task"):
        pytest.skip("the system has no /proc")
    until(lambda: workers() == [])
    job = start(con, cases.case("trades_2m"), tmp_path / "x", SLOW)
    # One that waits, and three that work.
    until(lambda: len(workers()) == 4)
    cancel(con, job)
    wait(con, job)
    until(lambda: workers() == [])


def test_settings_belong_to_their_database(con, tmp_path):
    with cases.connect() as other:
        other.execute("SET questdb_export_max_jobs = 5")
        assert con.execute("SELECT current_setting('questdb_export_max_jobs')").fetchone() == (1,)
        case = cases.case("trades_2m")
        mine = [start(con, case, tmp_path / f"a{number}", SLOW) for number in range(2)]
        theirs = [start(other, case, tmp_path / f"b{number}", SLOW) for number in range(2)]
        until(lambda: [status(con, job) for job in theirs] == ["running"] * 2)
        assert status(con, mine[1]) == "queued"
    # The other database was closed, and its jobs ended with it.
    assert [status(con, job) for job in theirs] == ["cancelled"] * 2
    (message,), = con.execute("SELECT DISTINCT message FROM questdb_exports() WHERE list_contains(?, id)",
                              [theirs]).fetchall()
    assert message == "the database was closed"
    assert status(con, mine[0]) == "running"
    for job in mine:
        cancel(con, job)


ENDLESS = "SELECT sum(a.range * b.range) AS s FROM range(10000000) a, range(10000000) b"


def start_query(con, sql, destination, options=""):
    comma = ", " if options else ""
    return con.execute(f"FROM questdb_export_query({text(sql)}, {text(destination)}, background := true{comma}{options})"
                       ).fetchone()[0]


@pytest.mark.parametrize("sql", [ENDLESS, "FROM range(1000000000000)"])
def test_a_query_stops_soon_when_cancelled_or_interrupted(con, tmp_path, sql):
    job = start_query(con, sql, tmp_path / "x")
    running(con, job)
    started = time.monotonic()
    assert cancel(con, job) == "cancelled" and wait(con, job) == "cancelled"
    assert time.monotonic() - started < 5
    timer = threading.Timer(0.4, con.interrupt)
    timer.start()
    started = time.monotonic()
    with pytest.raises(duckdb.InterruptException):
        con.execute(f"FROM questdb_export_query({text(sql)}, {text(tmp_path / 'x')})").fetchall()
    assert time.monotonic() - started < 5
    assert [steps(con, job)[-1], os.listdir(tmp_path)] == [("stream_sending_data", "cancelled"), []]


def test_a_query_in_the_background_that_fails_half_way_says_why(con, tmp_path):
    job = start_query(con, "SELECT CASE WHEN range = 900000 THEN error('half-way') END AS x FROM range(1000000)", tmp_path / "x")
    assert wait(con, job) == "failed"
    (message,), = con.execute("SELECT message FROM questdb_exports() WHERE id = ?", [job]).fetchall()
    assert "half-way" in message and os.listdir(tmp_path) == []


def test_a_query_keeps_its_order_and_types(con, tmp_path):
    case = cases.case("trades_2m")
    sql = f"SELECT * FROM {case.scan} WHERE price > 150 ORDER BY ALL"
    con.execute(f"FROM questdb_export_query({text(sql)}, {text(tmp_path / 'x')}, row_group_size := 123456)").fetchall()
    con.execute(f"COPY ({sql}) TO {text(tmp_path / 'y.parquet')} (FORMAT questdb_parquet, row_group_rows 123456)")
    one, other = (f"SELECT row_number() OVER () AS n, * FROM {text(tmp_path / name)}" for name in ("x.parquet", "y.parquet"))
    assert con.execute(f"DESCRIBE {one}").fetchall() == con.execute(f"DESCRIBE {other}").fetchall()
    assert con.execute(f"SELECT count(*) FROM ({one} EXCEPT ALL {other})").fetchone() == (0,)


def test_a_query_writes_json_as_copy_does(con, tmp_path):
    con.execute("SET TimeZone = 'Asia/Tokyo'")
    sql = ("SELECT range AS i, timestamptz '2024-01-01 00:00:00+00' + to_seconds(range) AS t, (1, 'x') AS tuple, "
           "[range] AS l FROM range(50000)")
    con.execute(f"FROM questdb_export_query({text(sql)}, {text(tmp_path / 'x')}, format := 'jsonl')").fetchall()
    con.execute(f"COPY ({sql}) TO {text(tmp_path / 'y.jsonl')} (FORMAT questdb_jsonl)")
    assert (tmp_path / "x.jsonl").read_bytes() == (tmp_path / "y.jsonl").read_bytes()


END = {
    "close": "con.close()",
    "exit": "sys.exit(0)",
    "return": "pass",
    "hard": "os._exit(0)",
    "thread": "threading.Thread(target=con.close).start()",
    "hold": "import builtins; builtins.kept = con",
}


@pytest.mark.parametrize("end", END)
@pytest.mark.parametrize("stage", ["queued", "running", "query"])
def test_a_database_or_process_that_ends_ends_its_jobs(con, tmp_path, end, stage):
    case = cases.case("trades_2m")
    call = f"FROM questdb_export({text(case.path)}, {text('DEST')}, background := true, {SLOW})"
    if stage == "query":
        # Slow enough to be at work, quick enough to have written something.
        slow = f"SELECT *, md5(repeat(price::VARCHAR, 20)) AS h FROM {case.scan}"
        call = f"FROM questdb_export_query({text(slow)}, {text('DEST')}, background := true, {SLOW})"
    script = textwrap.dedent(f"""
        import os, sys, threading, time
        sys.path.insert(0, {str(cases.REPO / "test/python")!r})
        from helpers import cases
        con = cases.connect()
        for number in range(3):
            con.execute({call!r}.replace('DEST', {str(tmp_path)!r} + '/' + str(number)))
        while {stage!r} != "queued" and not con.execute(
                "SELECT count(*) FROM questdb_exports() WHERE status = 'running' AND rows > 0").fetchone()[0]:
            time.sleep(0.01)
        {END[end]}
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    # Nothing under a final name; what a process left that ended hard, the next export to the place removes.
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == []
    if end in ("close", "thread"):
        assert os.listdir(tmp_path) == []
    for number in range(3):
        assert wait(con, start(con, cases.case("part_day"), tmp_path / str(number))) == "finished"
    assert sorted(os.listdir(tmp_path)) == ["0", "1", "2"]


EXPORTER = """
import sys, time
sys.path.insert(0, {tests!r})
from helpers import cases
con = cases.connect()
con.execute("SET questdb_export_log_path = {log}; SET questdb_export_max_jobs = 4")
for number in range(20):
    con.execute({call!r}.replace("DEST", {name!r} + str(number)))
while con.execute("SELECT count(*) FROM questdb_exports() WHERE status IN ('queued', 'running')").fetchone() != (0,):
    time.sleep(0.01)
print(*[id for id, in con.execute("SELECT id FROM questdb_exports() WHERE status = 'finished'").fetchall()])
"""


def exporter(tmp_path, log, name):
    call = f"FROM questdb_export({text(cases.case('one_col_ts').path)}, {text('DEST')}, background := true)"
    script = EXPORTER.format(tests=str(cases.REPO / "test/python"), log=text(log), call=call, name=str(tmp_path / name))
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_share_a_log_file(con, tmp_path):
    log = tmp_path / "log.jsonl"
    con.execute(f"SET questdb_export_log_path = {text(log)}")
    workers = [exporter(tmp_path, log, name) for name in "ab"]
    while any(worker.poll() is None for worker in workers):
        # Read while they write: each line is whole.
        rows = con.execute("SELECT id, count(*) FROM questdb_export_log() GROUP BY id").fetchall()
        assert all(count <= 7 for _, count in rows)
    outputs = [worker.communicate() for worker in workers]
    assert [error for _, error in outputs] == ["", ""]
    ids = [job for output, _ in outputs for job in output.split()]
    assert len(set(ids)) == 40
    rows = con.execute("SELECT id, list(phase || ' ' || status ORDER BY ts) FROM questdb_export_log() "
                       "WHERE list_contains(?, id) GROUP BY id", [ids]).fetchall()
    assert len(rows) == 40
    expected = {"wait_to_run started", "wait_to_run finished", "converting_partitions started",
                "converting_partitions finished", "move_files started", "move_files finished", "success finished"}
    assert all(len(steps) == 7 and set(steps) == expected for _, steps in rows)
    assert len(log.read_text().splitlines()) == 40 * 7
    # They are over, and known to nobody but the file.
    assert cancel(con, ids[0]) == "finished"


def test_a_log_file_that_goes_away_or_is_broken_does_not_end_an_export(con, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"ts": 1, "id": "half a li')
    con.execute(f"SET questdb_export_log_path = {text(log)}")
    job = start(con, cases.case("part_day"), tmp_path / "x")
    assert wait(con, job) == "finished" and len(steps(con, job)) == 7
    assert len(log.read_text().splitlines()) == 8
    job = start(con, cases.case("trades_2m"), tmp_path / "y", SLOW)
    running(con, job)
    log.unlink()
    log.mkdir()
    cancel(con, job)
    assert wait(con, job) == "cancelled"
    con.execute("RESET questdb_export_log_path")
    (message,), = con.execute("SELECT message FROM questdb_export_log() WHERE id = ? AND status = 'cancelled'", [job]).fetchall()
    assert message.startswith("cancelled by user") and "it is not a regular file" in message


def test_a_log_file_without_permission_is_an_error_of_the_statement(con, tmp_path):
    if os.getuid() == 0:
        path = "/proc/self/log.jsonl"
    else:
        path = tmp_path / "closed" / "log.jsonl"
        path.parent.mkdir(mode=0o500)
    con.execute(f"SET questdb_export_log_path = {text(path)}")
    with pytest.raises(duckdb.IOException, match="The log of exports, file .* cannot be written"):
        start(con, cases.case("part_day"), tmp_path / "x")
    (status_, message), = con.execute("SELECT status, message FROM questdb_exports() WHERE destination = ?",
                                      [str(tmp_path / "x")]).fetchall()
    assert status_ == "failed" and "cannot be written" in message and not (tmp_path / "x").exists()


def test_a_lock_that_is_held_for_a_moment_is_waited_for(con, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    log = tmp_path / "log.jsonl"
    con.execute(f"SET questdb_export_log_path = {text(log)}")
    with open(log, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        release = threading.Timer(0.3, lambda: fcntl.flock(held, fcntl.LOCK_UN))
        release.start()
        assert wait(con, start(con, cases.case("part_day"), tmp_path / "x")) == "finished"
        release.join()
    assert len(log.read_text().splitlines()) == 7


def test_the_api_stops_at_an_interrupt(con, tmp_path):
    request = json.dumps({"export_paths": {"paths": [str(tmp_path / "x")]}})
    timer = threading.Timer(0.4, con.interrupt)
    timer.start()
    with pytest.raises(duckdb.InterruptException):
        con.execute("FROM questdb_export_api(?, ?)", [request, ENDLESS]).fetchall()
    (found, message), = con.execute("SELECT status, message FROM questdb_exports() WHERE destination = ?",
                                    [str(tmp_path / "x")]).fetchall()
    assert (found, os.listdir(tmp_path)) == ("cancelled", []) and "interrupted" in message


def test_the_response_of_the_api_describes_the_files(con, tmp_path):
    request = {"export_paths": {"paths": [str(tmp_path / "x")], "storage_config": None}, "format": "Parquet",
               "include_metrics": True, "max_row_groups_per_file": None, "mode": "multi_file", "row_group_size": 2000000,
               "target_file_size_bytes": 700000}
    case = cases.case("trades_2m")
    response = json.loads(con.execute("FROM questdb_export_api(?, ?)", [json.dumps(request), str(case.path)]).fetchone()[0])
    assert {"code", "data", "exception", "success"} == set(response) and response["success"] and response["code"] == 200
    result = response["data"]["export_result"]
    assert result["files"] == sorted(os.listdir(tmp_path / "x")) and len(result["files"]) > 2
    assert (result["output_prefix"], result["mode"]) == (str(tmp_path / "x"), "multi_file")
    rows = con.execute("SELECT file_name, row_group_id, any_value(row_group_num_rows), sum(total_uncompressed_size) "
                       "FROM parquet_metadata(?) GROUP BY ALL", [str(tmp_path / "x" / "*.parquet")]).fetchall()
    assert result["num_row_groups"] == len(rows) and result["total_row_count"] == case.rows == sum(row[2] for row in rows)
    assert result["total_uncompressed_byte_size"] == sum(row[3] for row in rows)
    assert result["average_uncompressed_row_group_size"] == result["total_uncompressed_byte_size"] // len(rows)
    assert response["data"]["metrics"]["elapsed_time"] > 0


@pytest.fixture
def table(tmp_path):
    shutil.copytree(cases.case("trades_2m").path, tmp_path / "table")
    return tmp_path / "table"


def exports_of(table, destination):
    """The same export by both functions."""
    one = f"FROM questdb_export({text(table)}, {text(destination)}, background := true, {SLOW}, partition_by := 'none')"
    # The query is slow, not the writer, whose queue would hide what happens to the rows behind it.
    query = f"FROM {text(table)} WHERE length(repeat(price::VARCHAR, 3000)) > 0"
    other = f"FROM questdb_export_query({text(query)}, {text(destination)}, background := true, row_group_size := 2000)"
    return {"table": one, "query": other}


@pytest.mark.parametrize("kind", ["table", "query"])
def test_a_server_that_gets_in_the_way_makes_a_job_begin_again(con, tmp_path, table, kind):
    (job, _, _), = con.execute(exports_of(table, tmp_path / "x")[kind]).fetchall()
    until(lambda: con.execute("SELECT rows FROM questdb_exports() WHERE id = ?", [job]).fetchone()[0] > 0)
    commit(table, truncations=1)
    until(lambda: (con.execute("SELECT message FROM questdb_exports() WHERE id = ?", [job]).fetchone()[0] or "").startswith(
        "began again, 1 of 4 possible times: "))
    until(lambda: con.execute("SELECT rows FROM questdb_exports() WHERE id = ?", [job]).fetchone()[0] > 0)
    assert status(con, job) == "running"
    assert cancel(con, job) == "cancelled" and wait(con, job) == "cancelled"
    until(lambda: os.listdir(tmp_path) == ["table"])


def test_a_job_that_began_again_writes_the_newer_state_and_says_so(con, tmp_path, table):
    # Fast enough to end, slow enough to be met.
    call = f"FROM questdb_export({text(table)}, {text(tmp_path / 'x')}, background := true, row_group_size := 10000)"
    (job, _, _), = con.execute(call).fetchall()
    until(lambda: con.execute("SELECT rows FROM questdb_exports() WHERE id = ?", [job]).fetchone()[0] > 0)
    commit(table, truncations=1)
    assert wait(con, job) == "finished"
    (message,), = con.execute("SELECT message FROM questdb_export_log() WHERE id = ? AND phase = 'converting_partitions' "
                              "AND status = 'finished'", [job]).fetchall()
    assert message.startswith("began again, 1 of 4 possible times: ") and "truncated" in message
    assert con.execute(f"SELECT count(*) FROM {text(tmp_path / 'x' / '*.parquet')}").fetchone() == (cases.case("trades_2m").rows,)


@pytest.mark.parametrize("kind", ["table", "query"])
def test_a_server_that_never_rests_ends_the_job(con, tmp_path, table, kind):
    stop = threading.Event()

    def serve():
        while not stop.wait(0.2):
            commit(table, truncations=1)

    server = threading.Thread(target=serve)
    server.start()
    try:
        (job, _, _), = con.execute(exports_of(table, tmp_path / "x")[kind]).fetchall()
        assert wait(con, job) == "failed"
    finally:
        stop.set()
        server.join()
    (message,), = con.execute("SELECT message FROM questdb_exports() WHERE id = ?", [job]).fetchall()
    assert "truncated" in message and message.endswith("\nThe export began again 4 times before.")
    assert os.listdir(tmp_path) == ["table"]
