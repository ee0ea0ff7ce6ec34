"""A panic in a callback becomes an ordinary error, and the database stays usable.

Only the debug build can be asked to panic (QUESTDB_TEST_PANIC names the callback); the release build holds nothing of it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.cases import case

DEBUG = Path(__file__).parents[2] / "build/debug/questdb.duckdb_extension"

SCRIPT = """
import duckdb, os, sys
extension, table = sys.argv[1:]
con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
con.execute(f"LOAD '{extension}'")
try:
    con.execute(f"SELECT count(*), max(ts) FROM read_partitions('{table}')").fetchall()
except duckdb.Error as error:
    print(type(error).__name__, error)
else:
    sys.exit("no error")
print(con.execute("SELECT 42").fetchall())
print(con.execute("SELECT count(*) FROM range(100000)").fetchall())
"""


@pytest.mark.parametrize("place", ["bind", "init", "exec"])
def test_a_panic_in_a_callback_is_an_error_and_the_database_lives_on(place):
    assert DEBUG.exists(), "run make debug first"
    environment = {**os.environ, "QUESTDB_TEST_PANIC": place}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(DEBUG), str(case("part_day").path)],
                          capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"test panic in {place}" in done.stdout
    assert "INTERNAL" not in done.stdout
    assert "[(42,)]" in done.stdout and "[(100000,)]" in done.stdout
