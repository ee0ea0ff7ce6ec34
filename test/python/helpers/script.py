"""A small program in another process, under the extension: for the working directory, HOME, permissions, strace."""
import json
import os
import subprocess
import sys
from pathlib import Path

from . import cases

PREAMBLE = """
import json, sys
sys.path.insert(0, {helpers!r})
from helpers import cases
con = cases.connect()
def ask(sql):
    try:
        return [list(r) for r in con.execute(sql).fetchall()]
    except Exception as e:
        return type(e).__name__ + ": " + str(e)
"""


def run(body, cwd=None, env=None, prefix=(), timeout=60):
    """Runs `body` (which calls ask(sql) and print(json.dumps(...))) and returns what it printed, from JSON."""
    code = PREAMBLE.format(helpers=str(Path(__file__).resolve().parents[1])) + body
    environment = {**os.environ, "QUESTDB_EXTENSION": str(cases.EXTENSION), "QUESTDB_FIXTURES": str(cases.FIXTURES),
                   "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    done = subprocess.run([*prefix, sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def queries(statements, user=None, **options):
    """The rows of each statement, or its error as a text; root can become another user once everything is loaded."""
    become = f"import os; os.setgroups([]); os.setresgid(*[{user}] * 3); os.setresuid(*[{user}] * 3)\n" if user is not None else ""
    return run(f"{become}print(json.dumps([ask(q) for q in {statements!r}], default=str))", **options)
