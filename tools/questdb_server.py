#!/usr/bin/env python3
"""A real QuestDB server on loopback, for benchmarks and live tests. Standard library only.

    with Server("/tmp/root") as server:                 # the tables are in /tmp/root/db
        server.query("CREATE TABLE t (ts TIMESTAMP, x LONG) TIMESTAMP(ts) PARTITION BY DAY")
        server.query("INSERT INTO t SELECT timestamp_sequence(0, 1000000), x FROM long_sequence(100)")
        server.wait_applied("t")
        assert server.query("SELECT count() FROM t") == [[100]]

The server is one jar without dependencies, fetched once from Maven Central by `mvn` into build/questdb/.
It needs a Java runtime of version 17 or newer. `find()` answers None where either is absent; `Server`
ends the program with a message that says what to install.

    questdb_server.py           fetches the jar and says which Java and jar will be used
    questdb_server.py ROOT      serves ROOT until interrupted, for a look around in the web console
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

VERSION = "9.3.4"  # the one place that names the server's version
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
MINIMUM_JAVA = 17
JAR_DIRECTORY = Path(__file__).resolve().parents[1] / "build" / "questdb"

# One thread for each kind of work, nothing running that the callers do not use. WAL segments are purged early,
# so that a table directory soon holds what it would hold in the long run.
SETTINGS = {
    "shared.network.worker.count": 1,
    "shared.query.worker.count": 1,
    "shared.write.worker.count": 1,
    "wal.apply.worker.count": 1,
    "mat.view.refresh.worker.count": 1,
    "view.compiler.worker.count": 1,
    "http.min.enabled": "false",
    "line.tcp.enabled": "false",
    "line.http.enabled": "false",
    "pg.enabled": "false",
    "telemetry.enabled": "false",
    "query.timeout": "3600s",
    "http.export.timeout": "3600s",
    "cairo.wal.purge.interval": 1000,
}

LOG_SETTINGS = """\
writers=stdout
w.stdout.class=io.questdb.log.LogConsoleWriter
w.stdout.level=ERROR,CRITICAL,ADVISORY
"""


class SqlError(Exception):
    """The server refused a statement; the text is its own."""


class ServerGone(Exception):
    """The server ended, did not start, or cut the connection."""


# ---- what the server needs ----------------------------------------------------------------------


def find_java():
    """The Java to run: $JAVA_HOME's or the PATH's, or None if there is none of the minimum version."""
    home = os.environ.get("JAVA_HOME")
    for java in (home and os.path.join(home, "bin", "java"), shutil.which("java")):
        if not java or not os.access(java, os.X_OK):
            continue
        said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version.group(1)) >= MINIMUM_JAVA:
            return java
    return None


def find_jar():
    """The path of the server's jar, fetched if need be, or None without Maven or its registry."""
    jar = JAR_DIRECTORY / f"questdb-{VERSION}.jar"
    if jar.exists():
        return jar
    maven = shutil.which("mvn")
    if not maven:
        return None
    JAR_DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JAR_DIRECTORY) as fetched:
        subprocess.run(
            [maven, "-q", "-B", f"{MAVEN_PLUGIN}:copy", f"-Dartifact=org.questdb:questdb:{VERSION}", f"-DoutputDirectory={fetched}"],
            cwd=fetched, stdout=sys.stderr, check=False)
        if not os.path.exists(os.path.join(fetched, jar.name)):
            return None
        os.replace(os.path.join(fetched, jar.name), jar)
    return jar


def find():
    """(java, jar), or None when this machine cannot run the server."""
    java = find_java()
    jar = java and find_jar()
    return (java, jar) if jar else None


def require():
    """(java, jar), or the end of the program with a word on what is missing."""
    found = find()
    if found:
        return found
    raise SystemExit(
        f"QuestDB {VERSION} cannot run here: it needs a Java runtime of version {MINIMUM_JAVA} or newer (on the PATH or in JAVA_HOME) "
        f"and Maven (mvn) with Maven Central in reach, or the jar org.questdb:questdb:{VERSION} in {JAR_DIRECTORY}. "
        "On Debian: apt-get install default-jre-headless maven")


# ---- the server ---------------------------------------------------------------------------------


class Server:
    """One server process over the data root `root`. `settings` are entries of server.conf, over SETTINGS.

    Attributes once started: `port` (HTTP), `pg_port` (with pg=True), `process`, `log` (path of its output), `db`
    (the directory that holds the table directories).
    """

    def __init__(self, root, settings=None, *, pg=False, heap="1g"):
        self.root = Path(root).resolve()
        self.db = self.root / "db"
        self.log = self.root / "server.log"
        self.settings = dict(settings or {})
        self.pg = pg
        self.heap = heap
        self.port = self.pg_port = self.process = None

    def __enter__(self):
        return self if self.running() else self.start()

    def __exit__(self, kind, *_):
        # After an error, what matters is that the process is gone and that the error is seen.
        self.kill() if kind else self.stop()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def start(self, timeout=120):
        """Starts the server and waits until it answers queries. Also starts it again after stop() or kill()."""
        java, jar = require()
        for directory in ("conf", "import", "export"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        (self.root / "conf" / "log.conf").write_text(LOG_SETTINGS)
        # A port that was free a moment ago may be taken by now: then the server ends at once, and another port is tried.
        for attempts_left in (2, 1, 0):
            self._configure()
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    [java, f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-p", str(jar), "-m", "io.questdb/io.questdb.ServerMain", "-d", str(self.root)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={name: value for name, value in os.environ.items() if not name.startswith("QDB_")})
            try:
                self._wait_ready(timeout)
                return self
            except ServerGone:
                self.kill()
                if not attempts_left:
                    raise

    def stop(self, timeout=120):
        """A clean shutdown: the server closes its tables and ends. Does nothing if it is not running."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise ServerGone(f"the server did not stop within {timeout} s and was killed; see {self.log}") from None
        self.process = None

    def kill(self):
        """kill -9: what a crash leaves behind."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    # -- statements

    def query(self, sql, timeout=3600):
        """Runs one statement; its rows as lists, [] for a statement without a result."""
        return self.execute(sql, timeout).get("dataset", [])

    def execute(self, sql, timeout=3600):
        """Runs one statement; the whole answer of /exec (`columns`, `dataset`, `count`, `ddl` …)."""
        return json.loads(self._get("/exec", {"query": sql}, timeout))

    def exp_csv(self, sql, timeout=3600):
        """The rows of a query as the CSV bytes of /exp."""
        return self._get("/exp", {"query": sql}, timeout)

    def exp_parquet(self, sql, timeout=3600, **options):
        """The rows of a query as the Parquet bytes of /exp; `options` are its parameters (row_group_size …)."""
        return self._get("/exp", {"query": sql, "fmt": "parquet", **options}, timeout)

    def copy(self, sql, timeout=3600):
        """Runs a `COPY … TO` statement and waits for its job; the directory or file that it made, None if nothing."""
        [[job]] = self.query(sql)
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            rows = self._query_or_empty(
                f"SELECT phase, status, message, export_path FROM sys.copy_export_log WHERE id = '{job}' ORDER BY ts DESC LIMIT 1")
            for phase, status, message, path in rows:
                if status in ("failed", "cancelled"):
                    raise SqlError(f"{status} while {phase}: {message} :: {sql}")
                if (phase, status) == ("success", "finished"):
                    return Path(path) if path else None
            time.sleep(0.02)
        raise TimeoutError(f"COPY did not end within {timeout} s :: {sql}")

    def wait_applied(self, table, timeout=600):
        """Waits until all committed WAL transactions of the table are in its partitions."""
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            rows = self.query(f"SELECT suspended, writerTxn, sequencerTxn FROM wal_tables() WHERE name = {quote(table)}")
            for suspended, applied, committed in rows:
                if suspended:
                    raise SqlError(f"the WAL of {table} is suspended; see {self.log}")
                if int(applied) < int(committed):
                    break
            else:
                return
            time.sleep(0.02)
        raise TimeoutError(f"the WAL of {table} was not applied within {timeout} s")

    def directory(self, table):
        """The table's directory (`name` or `name~id`)."""
        [[name]] = self.query(f"SELECT directoryName FROM tables() WHERE table_name = {quote(table)}")
        return self.db / name

    # -- inside

    def _configure(self):
        self.port, self.pg_port = free_ports(2)
        settings = dict(SETTINGS)
        settings["http.net.bind.to"] = f"127.0.0.1:{self.port}"
        if self.pg:
            settings["pg.enabled"] = "true"
            settings["pg.net.bind.to"] = f"127.0.0.1:{self.pg_port}"
        settings.update(self.settings)
        lines = (f"{name}={value}\n" for name, value in settings.items())
        (self.root / "conf" / "server.conf").write_text("".join(lines))

    def _wait_ready(self, timeout):
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            try:
                self.query("SELECT 1", timeout=5)
                return
            except (OSError, ServerGone, SqlError):
                if not self.running():
                    raise ServerGone(f"the server ended while starting; see {self.log}") from None
                time.sleep(0.1)
        raise ServerGone(f"the server did not answer within {timeout} s; see {self.log}")

    def _query_or_empty(self, sql):
        try:
            return self.query(sql)
        except SqlError as error:
            if "does not exist" in str(error):  # sys.copy_export_log is made by the first COPY
                return []
            raise

    def _get(self, path, parameters, timeout):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", f"{path}?{urllib.parse.urlencode(parameters)}")
            response = connection.getresponse()
            body = response.read()
        except http.client.HTTPException as error:
            raise ServerGone(f"the server cut the connection ({error!r}) :: {parameters['query'][:200]}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise SqlError(f"{error_text(body)} :: {parameters['query'][:500]}")
        return body


def error_text(body):
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return text.strip()


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def free_ports(count):
    """Loopback ports that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def main(arguments):
    java, jar = require()
    print(f"{java} with {jar}")
    if not arguments:
        return
    with Server(arguments[0]) as server:
        print(f"serving {server.root} at http://127.0.0.1:{server.port}, process {server.process.pid}; Ctrl-C stops", flush=True)
        try:
            server.process.wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main(sys.argv[1:])
