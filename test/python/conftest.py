"""Fixtures of the Python test suite, and the conditions without which it must not run."""
import pytest

from helpers import cases, isolated


def pytest_sessionstart(session):
    if not cases.GOOD or not cases.CORRUPT:
        pytest.exit(f"no unpacked fixtures in {cases.FIXTURES} (set QUESTDB_FIXTURES)", returncode=3)
    if not session.config.option.collectonly and not cases.EXTENSION.is_file():
        pytest.exit(f"the extension is not there: {cases.EXTENSION} (build it, or set QUESTDB_EXTENSION)", returncode=3)


@pytest.fixture
def con():
    """A connection to a database of its own, with the extension, in UTC."""
    c = cases.connect()
    yield c
    c.close()


@pytest.fixture(scope="module")
def elsewhere():
    """DuckDB in another process (see helpers.isolated)."""
    worker = isolated.Isolated()
    yield worker
    worker.close()
