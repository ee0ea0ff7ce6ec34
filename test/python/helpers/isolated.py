"""DuckDB with the extension in another process: a crash or a hang there is a failed test here, not a dead test run."""
import os
import pickle
import select
import struct
import subprocess
import sys
from pathlib import Path

from . import cases


class Crashed(Exception):
    pass


class Hung(Exception):
    pass


class Failure:
    """An exception of DuckDB in the other process."""

    def __init__(self, kind, message, is_duckdb):
        self.kind, self.message, self.is_duckdb = kind, message, is_duckdb

    def __repr__(self):
        return f"{self.kind}: {self.message}"


class Isolated:
    """Runs statements on one connection per `run`, in a process that is replaced after a crash or a hang."""

    def __init__(self):
        self.process = None

    def _start(self):
        # in C the child would inherit pytest's captured output; stderr is kept for the crash message
        self.process = subprocess.Popen(
            [sys.executable, "-m", "helpers.isolated"], cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "RUST_BACKTRACE": "0"})

    def run(self, statements, timeout=20):
        """One result per statement: an Arrow table, or a Failure. All on one connection."""
        if self.process is None or self.process.poll() is not None:
            self._start()
        _write(self.process.stdin, statements)
        out = []
        for sql in statements:
            try:
                out.append(_read(self.process.stdout, timeout))
            except EOFError:
                code = self.process.wait()
                self.process = None
                raise Crashed(f"the process ended with {code} in: {sql}") from None
            except TimeoutError:
                self.process.kill()
                self.process.wait()
                self.process = None
                raise Hung(f"no answer within {timeout} s: {sql}") from None
        return out

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None


def _write(stream, value):
    data = pickle.dumps(value)
    stream.write(struct.pack("<q", len(data)) + data)
    stream.flush()


def _read(stream, timeout):
    def exactly(n):
        data = b""
        while len(data) < n:
            if timeout is not None and not select.select([stream], [], [], timeout)[0]:
                raise TimeoutError
            more = os.read(stream.fileno(), n - len(data))
            if not more:
                raise EOFError
            data += more
        return data
    return pickle.loads(exactly(struct.unpack("<q", exactly(8))[0]))


def _serve():
    import warnings

    import duckdb

    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            statements = _read(sys.stdin.buffer, None)
        except EOFError:
            return
        con = cases.connect(threads=2)
        for sql in statements:
            try:
                _write(answers, con.execute(sql).to_arrow_table())
            except Exception as e:
                _write(answers, Failure(type(e).__name__, str(e), isinstance(e, duckdb.Error)))
        con.close()


if __name__ == "__main__":
    from helpers import isolated        # so that Failure pickles under its importable name

    isolated._serve()
