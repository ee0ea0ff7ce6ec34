"""Exports to an S3 bucket, and to one behind a network that fails: what arrives is whole and right, or nothing is there."""
import gzip
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import duckdb
import pytest

from helpers import cases, s3
from helpers.cases import text
from helpers.s3 import storage

pytestmark = pytest.mark.skipif(s3.program() is None, reason="the S3 server `rclone` is not installed: make configure-test")

TRADES = "trades_2m"
# Two weeks meet here.
FEW = {"from_ts": "'2024-03-03 22:00:00'", "to_ts": "'2024-03-04 02:00:00'"}
# As text, each of them is more than a part.
MANY = {"from_ts": "'2024-03-03 08:00:00'", "to_ts": "'2024-03-04 16:00:00'", "format": "'jsonl'", "row_group_size": 20000}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = s3.Server(tmp_path_factory.mktemp("store"))
    yield server
    server.stop()


@pytest.fixture
def prefix(request):
    """A place in the bucket of this test alone."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


@pytest.fixture
def through(server):
    """Makes a proxy before the server with a rule."""
    proxies = []

    def make(rule):
        proxies.append(s3.Proxy(server.port, rule))
        return proxies[-1]
    yield make
    for proxy in proxies:
        proxy.stop()


def export(con, destination, store, case=TRADES, **options):
    options = {**FEW, **options} if case == TRADES else options
    parameters = "".join(f", {name} := {value}" for name, value in options.items() if value is not None)
    where = f", storage := {store}" if store else ""
    return con.execute(f"FROM questdb_export({text(cases.case(case).path)}, {text(destination)}{where}{parameters}) ORDER BY ALL").fetchall()


def files(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def first(number, action):
    """A rule that acts on the first `number` requests of each kind."""
    seen = {}

    def rule(*request):
        kind = (request[0], "uploads" in request[2], "uploadId" in request[2])
        seen[kind] = seen.get(kind, 0) + 1
        return action if seen[kind] <= number else None
    return rule


@pytest.mark.parametrize("options", [
    {"partition_by": "'week'"}, {"partition_by": "'day'", "layout": "'hive'"}, {"format": "'jsonl'", "compression": "'gzip'"},
    {"partition_by": "'none'", "max_row_groups_per_file": 3, "layout": "'parts'"}, {"row_group_size_bytes": "'1MB'"},
], ids=str)
def test_the_objects_are_the_files_of_a_local_export(con, server, prefix, tmp_path, options):
    rows = export(con, prefix, storage(server.endpoint), **options)
    export(con, tmp_path / "x", None, **options)
    assert server.objects(prefix) == {f"{prefix}/{name}": data for name, data in files(tmp_path / "x").items()}
    assert {row[0] for row in rows} == {f"s3://{s3.BUCKET}/{key}" for key in server.objects(prefix)}
    assert server.uploads() == []


def test_a_large_object_arrives_in_parts(con, server, through, prefix, tmp_path):
    proxy = through(lambda *request: None)
    export(con, f"s3://{s3.BUCKET}/{prefix}", storage(proxy.endpoint), partition_by="'none'", **MANY)
    export(con, tmp_path / "x", None, partition_by="'none'", **MANY)
    local = (tmp_path / "x.jsonl").read_bytes()
    assert server.objects(prefix) == {f"{prefix}.jsonl": local}
    parts = {query for method, _, query in proxy.requests if method == "PUT" and "partNumber" in query}
    assert len(parts) == -(-len(local) // (8 << 20)) > 1
    assert server.uploads() == []


def test_what_is_there_stays_unless_it_is_to_be_replaced(con, server, prefix):
    store = storage(server.endpoint)
    week = {"partition_by": "'week'"}
    export(con, prefix, store, **week)
    before = server.objects(prefix)
    assert len(before) == 2
    with pytest.raises(duckdb.IOException, match="the destination is not empty.*\n.*overwrite"):
        export(con, prefix, store, **week)
    assert server.objects(prefix) == before
    export(con, prefix, store, append="true", **week)
    assert sorted(set(server.objects(prefix)) - set(before)) == [f"{prefix}/2024-W09.1.parquet", f"{prefix}/2024-W10.1.parquet"]
    export(con, prefix, store, overwrite_or_ignore="true", partition_by="'day'")
    assert len(server.objects(prefix)) > 4
    export(con, prefix, store, overwrite="true", **week)
    assert server.objects(prefix) == before
    for name in ("", ".1", ".2"):
        rows = export(con, f"{prefix}/one", store, case="one_col_ts", partition_by="'none'", append="true")
        assert rows[0][0] == f"s3://{s3.BUCKET}/{prefix}/one{name}.parquet"
        assert f"{prefix}/one{name}.parquet" in server.objects(prefix)


def test_copy_writes_objects(con, server, prefix, tmp_path):
    store = storage(server.endpoint)
    query = "SELECT make_timestamp(i * 3600000000) AS ts, i FROM range(100) r(i)"
    for name, options in (("one.parquet", "FORMAT questdb_parquet"), ("lines.jsonl.gz", "FORMAT questdb_jsonl"),
                          ("days", "FORMAT questdb_jsonl, partition_unit day")):
        con.execute(f"COPY ({query}) TO '{prefix}/{name}' ({options}, storage {store})")
        con.execute(f"COPY ({query}) TO {text(tmp_path / name)} ({options})")
    assert server.objects(prefix) == {f"{prefix}/{name}": data for name, data in files(tmp_path).items()}
    assert gzip.decompress(server.objects(prefix)[f"{prefix}/lines.jsonl.gz"]).count(b"\n") == 100
    # A single object is replaced, as a local file is; a directory is not.
    con.execute(f"COPY (SELECT 1 AS i) TO '{prefix}/one.parquet' (FORMAT questdb_jsonl, storage {store})")
    assert server.objects(prefix)[f"{prefix}/one.parquet"] == b'{"i":1}\n'
    with pytest.raises(duckdb.IOException, match="not empty"):
        con.execute(f"COPY ({query}) TO '{prefix}/days' (FORMAT questdb_jsonl, partition_unit day, storage {store})")


def test_copy_leaves_names_to_the_option(con, server, prefix, tmp_path):
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        for options in ("PARTITION_BY (i)", "PER_THREAD_OUTPUT"):
            with pytest.raises(duckdb.NotImplementedException, match="partition_unit"):
                con.execute(f"COPY (SELECT i, i AS j FROM range(3) r(i)) TO '{prefix}' (FORMAT questdb_parquet, {options}, storage {storage(server.endpoint)})")
    finally:
        os.chdir(here)
    assert server.objects(prefix) == {}


@pytest.mark.parametrize("wrong, message", [
    ({"bucket": "nosuch"}, r'"s3://nosuch/.*404 Not Found NoSuchBucket.*\n.*Create the bucket'),
    ({"secret_key": "NOTTHESECRET"}, r"403 Forbidden SignatureDoesNotMatch.*\n.*Check access_key and secret_key"),
    ({"access_key": "AKNOBODY"}, r"403 Forbidden InvalidAccessKeyId.*\n.*Check access_key and secret_key"),
    ({"endpoint": "http://127.0.0.1:{port}"}, r"at http://127.0.0.1:\d+: .*[Rr]efused.* \(after 2 more attempts\)\n.*Check the endpoint"),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_a_wrong_address_or_key_is_said_at_once(con, server, prefix, wrong, message):
    wrong = {name: value.format(port=s3.free_port()) for name, value in wrong.items()}
    store = storage(**{"endpoint": server.endpoint, **wrong})
    for run in (lambda: export(con, prefix, store, case="one_col_ts"),
                lambda: con.execute(f"COPY (SELECT 1 AS i) TO '{prefix}/x' (FORMAT questdb_parquet, storage {store})")):
        with pytest.raises(duckdb.IOException, match=message) as error:
            run()
        assert s3.SECRET_KEY not in str(error.value) and "NOTTHESECRET" not in str(error.value) and "AKNOBODY" not in str(error.value)
    assert server.objects(prefix) == {}


def test_secrets_are_nowhere(con, server, prefix):
    con.execute("CALL enable_logging(level = 'debug')")
    export(con, prefix, storage(server.endpoint), case="one_col_ts")
    with pytest.raises(duckdb.IOException) as error:
        export(con, prefix, storage(server.endpoint), case="one_col_ts")
    with pytest.raises(duckdb.Error) as syntax:
        export(con, prefix, storage(server.endpoint, regoin="x"), case="one_col_ts")
    con.execute("CALL disable_logging()")
    seen = [str(error.value), str(syntax.value)]
    for source in ("questdb_exports()", "questdb_export_log()", "duckdb_settings()"):
        seen += [str(row) for row in con.execute(f"FROM {source}").fetchall()]
    # DuckDB logs the text of statements itself.
    seen += [str(row) for row in con.execute("SELECT message FROM duckdb_logs WHERE type <> 'QueryLog'").fetchall()]
    assert not [line for line in seen if s3.SECRET_KEY in line or s3.ACCESS_KEY in line]
    assert any(f"s3://{s3.BUCKET}/{prefix}" in line for line in seen)


def test_no_request_leaves_without_external_access(con, through, prefix):
    proxy = through(lambda *request: 500)
    con.execute("SET enable_external_access = false")
    for run in (lambda: export(con, prefix, storage(proxy.endpoint), case="one_col_ts"),
                lambda: con.execute(f"COPY (SELECT 1 AS i) TO '{prefix}/x' (FORMAT questdb_parquet, storage {storage(proxy.endpoint)})")):
        with pytest.raises(duckdb.Error, match="enable_external_access|disabled"):
            run()
    assert proxy.requests == []


def test_bind_sends_nothing(con, through, prefix):
    proxy = through(lambda *request: 500)
    case = cases.case("one_col_ts")
    con.execute(f"EXPLAIN FROM questdb_export({text(case.path)}, '{prefix}', storage := {storage(proxy.endpoint)})").fetchall()
    assert proxy.requests == []


@pytest.mark.parametrize("fault", ["reset", 503, 500, 429, 0.3], ids=str)
def test_passing_faults_are_overcome(con, server, through, prefix, tmp_path, fault):
    options = {"partition_by": "'week'", **MANY}
    proxy = through(first(2, fault))
    export(con, prefix, storage(proxy.endpoint, max_retries=6), **options)
    export(con, tmp_path / "x", None, **options)
    assert server.objects(prefix) == {f"{prefix}/{name}": data for name, data in files(tmp_path / "x").items()}
    assert server.uploads() == []


def test_a_lost_answer_does_not_lose_the_object(con, server, through, prefix, tmp_path):
    options = {"partition_by": "'none'", **MANY}
    completed = []

    def rule(method, path, query):
        if method == "POST" and "uploadId" in query and not completed:
            completed.append(path)
            return "lost"
        return None
    export(con, prefix, storage(through(rule).endpoint), **options)
    export(con, tmp_path / "x", None, **options)
    assert completed and server.objects(prefix) == {f"{prefix}.jsonl": (tmp_path / "x.jsonl").read_bytes()}


FAILURES = {
    "the upload cannot begin": (lambda m, p, q: 403 if m == "POST" and q.startswith("uploads") else None, "begin the upload of"),
    "the second part fails": (lambda m, p, q: 500 if "partNumber=2&" in q else None, "upload part 2 of"),
    "the second part is reset": (lambda m, p, q: "reset" if "partNumber=2&" in q else None, "upload part 2 of"),
    "the upload cannot be completed": (lambda m, p, q: 400 if m == "POST" and "uploadId" in q else None, "complete the upload of"),
    "the second object cannot be completed": (lambda m, p, q: 400 if m == "POST" and "uploadId" in q and "W10" in p else None, "complete the upload of"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("statement", ["function", "copy"])
def test_a_failure_in_the_middle_leaves_nothing(con, server, through, prefix, failure, statement):
    rule, action = FAILURES[failure]
    store = storage(through(rule).endpoint)
    with pytest.raises(duckdb.IOException, match=f'cannot {action} "s3://{s3.BUCKET}/{prefix}') as error:
        if statement == "function":
            export(con, prefix, store, partition_by="'week'", **MANY)
        else:
            con.execute(f"COPY (FROM {cases.case(TRADES).scan} WHERE ts >= {MANY['from_ts']} AND ts < {MANY['to_ts']}) TO '{prefix}' "
                        f"(FORMAT questdb_jsonl, partition_unit week, row_group_rows 20000, storage {store})")
    assert s3.SECRET_KEY not in str(error.value)
    assert server.objects(prefix) == {} and server.uploads() == []
    # And the same connection can go on.
    export(con, prefix, storage(server.endpoint), case="one_col_ts", partition_by="'none'")
    assert list(server.objects(prefix)) == [f"{prefix}.parquet"]


def test_the_end_of_the_store_ends_the_export(con, tmp_path, prefix):
    server = s3.Server(tmp_path)
    proxy = s3.Proxy(server.port, lambda m, p, q: server.stop() if "partNumber=2&" in q else None)
    with pytest.raises(duckdb.IOException, match="cannot (upload|complete|begin)"):
        export(con, prefix, storage(proxy.endpoint), partition_by="'none'", **MANY)
    proxy.stop()
    assert server.objects() == {}


@pytest.mark.parametrize("way", ["cancel", "waited for", "close"])
def test_a_slow_store_does_not_hold_up_the_end(server, through, prefix, way):
    """Every request for a part hangs; what was begun is aborted all the same. A statement that waits is cancelled from another session."""
    proxy = through(lambda m, p, q: 60.0 if "partNumber" in q else None)
    con = cases.connect()
    case = cases.case(TRADES)
    statement = (f"SELECT id FROM questdb_export({text(case.path)}, '{prefix}', format := 'jsonl', partition_by := 'none', "
                 f"row_group_size := 20000, storage := {storage(proxy.endpoint)}, background := {str(way != 'waited for').lower()})")
    if way == "waited for":
        statement = statement.replace("SELECT id", "SELECT file")
        other, ended = con.cursor(), threading.Event()

        def cancel():
            while not ended.wait(0.5):
                for (job,) in other.execute("SELECT id FROM questdb_exports() WHERE status = 'running' AND destination LIKE '%' || ?", [prefix]).fetchall():
                    other.execute("FROM questdb_export_cancel(?)", [job]).fetchall()
        helper = threading.Thread(target=cancel)
        helper.start()
        started = time.monotonic()
        with pytest.raises(duckdb.Error, match="cancel"):
            con.execute(statement).fetchall()
        ended.set()
        helper.join()
        other.close()
    else:
        (job,), = con.execute(statement).fetchall()
        until = time.monotonic() + 30
        while not any("partNumber" in query for _, _, query in proxy.requests) and time.monotonic() < until:
            time.sleep(0.05)
        started = time.monotonic()
        if way == "cancel":
            con.execute(f"FROM questdb_export_cancel('{job}')").fetchall()
        else:
            con.close()
    until = started + 20
    while server.uploads() and time.monotonic() < until:
        time.sleep(0.1)
    assert server.uploads() == [] and server.objects(prefix) == {} and time.monotonic() - started < 25


def peak(statement):
    """Peak memory in MiB of a process that runs `statement`."""
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(cases.REPO / "test/python")!r})
        from helpers import cases
        con = cases.connect(threads=2)
        con.execute("SET enable_progress_bar = false")
        con.execute({statement!r})
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(int(status["VmHWM"].split()[0]) >> 10)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout.split()[-1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_export(server, through, prefix, tmp_path):
    """A store that is slower than the export: what it has not taken yet does not pile up."""
    proxy = through(lambda m, p, q: 0.3 if "partNumber" in q else None)
    copy = "COPY (SELECT i, repeat(md5(i::VARCHAR), 20) AS t FROM range(400000) r(i)) TO {} (FORMAT questdb_jsonl, row_group_rows 10000{})"
    local = peak(copy.format(text(tmp_path / "x"), ""))
    remote = peak(copy.format(text(prefix), f", storage {storage(proxy.endpoint)}"))
    assert (tmp_path / "x").stat().st_size > 260_000_000
    assert (server.root / s3.BUCKET / prefix).read_bytes() == (tmp_path / "x").read_bytes()
    assert remote - local < 120, f"{remote} MiB, {local} MiB locally"
