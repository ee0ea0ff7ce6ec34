"""Reading beside a running server, in the short form (test/live/run.py): needs Java, and the server's jar."""
import os
import subprocess
import sys

import pytest

from helpers import cases

sys.path.insert(0, str(cases.REPO / "tools"))
import questdb_server  # noqa: E402


def test_readers_see_committed_states_only():
    if not questdb_server.find():
        pytest.skip(f"no QuestDB server can run here: needs Java {questdb_server.MINIMUM_JAVA} or newer, and Maven or the jar in build/questdb")
    run = subprocess.run(
        [sys.executable, str(cases.REPO / "test/live/run.py"), "--short"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        env={**os.environ, "QUESTDB_EXTENSION": str(cases.EXTENSION)})
    assert run.returncode == 0, run.stdout[-8000:]
    assert run.stdout.rstrip().endswith(", 0 failed"), run.stdout[-8000:]
