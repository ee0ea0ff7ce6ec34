"""PRAGMA questdb_attach: a schema of views over a database root."""
import os
import shutil

import duckdb
import pytest

from helpers import cases
from helpers.cases import case, quote, text

ROOT = cases.FIXTURES / "whole_root/db"


def views(con, schema="questdb"):
    return [r[0] for r in con.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = ? ORDER BY ALL", [schema]).fetchall()]


def tables(con, root):
    return con.execute(f"SELECT table_name, row_count FROM questdb_tables({text(root)}) ORDER BY ALL").fetchall()


def test_every_table_has_a_view_with_its_rows(con):
    want = tables(con, ROOT)
    cursor = con.execute(f"PRAGMA questdb_attach({text(ROOT)})")
    assert [d[0] for d in cursor.description] == ["schema_name", "view_name", "directory", "error"]
    got = cursor.fetchall()
    assert sorted(r[1] for r in got) == [n for n, _ in want] == views(con)
    assert all(r[0] == "questdb" and r[3] is None and os.path.isdir(r[2]) for r in got)
    for name, rows in want:
        assert con.execute(f"SELECT count(*) FROM questdb.{quote(name)}").fetchone() == (rows,), name
    assert any(not n.isidentifier() for n, _ in want), "no odd name in this root"


def test_schema_has_any_name(con):
    con.execute(f"""PRAGMA questdb_attach({text(ROOT)}, schema = 'it''s a "schema"')""")
    assert views(con, 'it\'s a "schema"') == [n for n, _ in tables(con, ROOT)]
    assert views(con) == []


def test_running_it_again_refreshes_and_overwrite_forgets(con, tmp_path):
    root = tmp_path / "db"
    shutil.copytree(ROOT, root, symlinks=True)
    con.execute(f"PRAGMA questdb_attach({text(root)})")
    first = views(con)
    gone = con.execute(f"SELECT table_name, directory FROM questdb_tables({text(root)}) ORDER BY ALL LIMIT 1").fetchone()
    shutil.rmtree(root / os.path.basename(gone[1]))
    con.execute(f"PRAGMA questdb_attach({text(root)})")
    assert views(con) == first
    con.execute(f"PRAGMA questdb_attach({text(root)}, overwrite = true)")
    assert views(con) == [n for n in first if n != gone[0]]


def test_table_that_cannot_be_read_is_reported_and_the_others_are_there(con, tmp_path):
    root = tmp_path / "db"
    shutil.copytree(ROOT, root, symlinks=True)
    name, directory = con.execute(f"SELECT table_name, directory FROM questdb_tables({text(root)}) ORDER BY ALL LIMIT 1").fetchone()
    (root / os.path.basename(directory) / "_txn").write_bytes(b"")
    got = con.execute(f"PRAGMA questdb_attach({text(root)})").fetchall()
    assert [(r[1], "_txn" in r[3]) for r in got if r[3]] == [(name, True)]
    assert name not in views(con) and len(views(con)) == len(got) - 1


def test_views_are_live(con, tmp_path):
    before, after = case("wal_pending").path, case("part_day").path
    root = tmp_path / "db"
    root.mkdir()
    shutil.copytree(after, root / "t")
    con.execute(f"PRAGMA questdb_attach({text(root)})")
    (view,) = views(con)
    count = con.execute(f"SELECT count(*) FROM questdb.{quote(view)}").fetchone()[0]
    assert count == case("part_day").rows
    shutil.rmtree(root / "t")
    with pytest.raises(duckdb.Error):
        con.execute(f"SELECT count(*) FROM questdb.{quote(view)}")
    del before


def test_system_tables_are_left_out_unless_wanted(con, tmp_path):
    root = tmp_path / "db"
    root.mkdir()
    shutil.copytree(case("part_day_bypass").path, root / "t")
    shutil.copytree(case("part_day_bypass").path, root / "sys.t")
    (root / "sys.t" / "_name").unlink(missing_ok=True)
    con.execute(f"PRAGMA questdb_attach({text(root)}, schema = 'a')")
    con.execute(f"PRAGMA questdb_attach({text(root)}, schema = 'b', system = true)")
    assert len(views(con, "a")) == 1 and len(views(con, "b")) == 2


@pytest.mark.parametrize("arguments, message", [
    ("'/no/such/root'", "does not exist"),
    ("NULL", "NULL"),
    (f"{text(ROOT)}, schema = ''", "cannot be empty"),
    (f"{text(ROOT)}, schema = 'main', overwrite = true", "cannot overwrite"),
    (f"{text(ROOT)}, shema = 'x'", "shema"),
])
def test_mistakes_are_refused(con, arguments, message):
    with pytest.raises(duckdb.Error, match=message):
        con.execute(f"PRAGMA questdb_attach({arguments})")


def test_it_works_in_a_transaction(con):
    con.execute("BEGIN")
    con.execute(f"PRAGMA questdb_attach({text(ROOT)})")
    assert views(con)
    con.execute("ROLLBACK")
    assert views(con) == []
