"""Every way to say where a table is, the columns that say where a row came from, and everything that is no table."""
import os
import shutil
import struct

import duckdb
import pyarrow as pa
import pytest

from helpers import cases, script, truth
from helpers.cases import case, text
from helpers.compare import arrow, assert_same

PLAIN = "part_day"              # id, sym, val, note, ts; WAL: part_day~17


def short(value):
    return repr(value[:24])


@pytest.fixture
def table(tmp_path):
    """A copy of a table under a name: table("some/dir/name~1")."""
    def copy(name, source=PLAIN):
        target = tmp_path / name
        shutil.copytree(case(source).path, target, symlinks=True)
        return target
    return copy


def is_table(con, call, name=PLAIN):
    assert_same(arrow(con, f"SELECT {truth.select_list(name)} FROM {call}"), truth.expected(name), call)


def refused(con, sql, *words, kind=duckdb.Error):
    """The statement fails in an ordinary way, says all the words, and leaves the connection usable."""
    with pytest.raises(kind) as e:
        con.execute(sql).fetchall()
    message = str(e.value)
    assert not isinstance(e.value, (duckdb.InternalException, duckdb.FatalException)) and "INTERNAL" not in message and "anic" not in message, message
    missing = [w for w in words if w.lower() not in message.lower()]
    assert not missing, f"{missing} not in: {message}"
    assert con.execute("SELECT 42").fetchall() == [(42,)]
    return message


# ---- paths ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["t", "with space/a b~6", "é/日本 é😀~8", "it's", 'double"quote', "a[b]{c}", "#hash %41&x=y;z", "UPPER~1"])
def test_odd_directory_names(con, table, name):
    is_table(con, f"read_partitions({text(table(name))})")


@pytest.mark.parametrize("ending", ["", "/", "//", "/.", "/../t~1"])
def test_endings_of_a_path(con, table, ending):
    is_table(con, f"read_partitions({text(str(table('t~1')) + ending)})")


def test_relative_paths(table):
    path = table("db/t~1")
    want = [[case(PLAIN).rows]]
    calls = ["read_partitions('db/t~1')", "read_partitions('./db/t~1/')", "read_partitions('db/../db/t~1')", "'db/t~1'", "read_partitions('db', table_name := 'part_day')"]
    assert script.queries([f"SELECT count(*) FROM {c}" for c in calls], cwd=path.parents[1]) == [want] * len(calls)
    assert script.queries(["SELECT count(*) FROM read_partitions('.')", "SELECT count(*) FROM questdb_columns('.')"], cwd=path) == [want, [[5]]]


def test_home_directory(table):
    path = table("home/data/t~1")
    statements = [f"SELECT count(*) FROM {c}" for c in ("read_partitions('~/data/t~1')", "'~/data/t~1'", "questdb_columns('~/data/t~1')", "questdb_tables('~/data')")]
    got = script.queries(statements, env={"HOME": str(path.parents[1])})
    assert got == [[[case(PLAIN).rows]], [[case(PLAIN).rows]], [[5]], [[1]]]


def test_symbolic_links(con, table, tmp_path):
    path = table("elsewhere/t~1")
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "relative").symlink_to("elsewhere/t~1")
    (tmp_path / "linked root").symlink_to(path.parent)
    (tmp_path / "twice").symlink_to(tmp_path / "link")
    for p in ("link", "relative", "linked root/t~1", "twice", "link/"):
        is_table(con, f"read_partitions({text(tmp_path / p) if not p.endswith('/') else text(str(tmp_path / p) + '/')})")
    assert con.execute(f"SELECT count(*) FROM {text(tmp_path / 'link')}").fetchone() == (case(PLAIN).rows,)


def test_symbolic_link_loop(con, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    refused(con, f"FROM read_partitions({text(tmp_path / 'a')})", "a")


# ---- a database root and a table's name -------------------------------------------------------------------------------

@pytest.mark.parametrize("name", cases.WHOLE_ROOT)
def test_table_name_in_a_database_root(con, name):
    c = case(name)
    is_table(con, f"read_partitions({text(c.root)}, table_name := {text(c.table)})", name)
    is_table(con, f"read_partitions({text(c.root.parent)}, table_name := {text(c.table)})", name)     # the server's root, which holds db/


def test_table_names_compare_without_case(con):
    c = case(PLAIN)
    is_table(con, f"read_partitions({text(c.root)}, table_name := 'PART_Day')")


def test_a_renamed_table_is_found_by_its_new_name_only(con):
    root = cases.FIXTURES / "whole_root/db"
    refused(con, f"FROM read_partitions({text(root)}, table_name := 'a b')", "a b")


def test_unknown_table_name_says_what_there_is(con):
    root = cases.FIXTURES / "whole_root/db"
    refused(con, f"FROM read_partitions({text(root)}, table_name := 'no such table')", "no such table")
    assert "UPPER" in refused(con, f"FROM read_partitions({text(root)}, table_name := 'UPPERR')", "UPPERR")


def test_a_database_root_without_a_table_name(con):
    refused(con, f"FROM read_partitions({text(cases.FIXTURES / 'whole_root/db')})", "table_name")


def test_a_dropped_table_of_the_registry_is_not_there(con, table, tmp_path):
    """A WAL directory that the registry does not name is dropped or half made."""
    root = tmp_path / "db"
    shutil.copytree(cases.FIXTURES / "whole_root/db", root, symlinks=True)
    table("db/part_day~17")
    refused(con, f"FROM read_partitions({text(root)}, table_name := 'part_day')", "part_day")
    is_table(con, f"read_partitions({text(root / 'part_day~17')})")     # by its path it is what it is


# ---- lists and globs ---------------------------------------------------------------------------------------------------

def test_a_list_of_tables_is_read_in_its_order(con):
    names = ["part_month", "part_day", "part_week", "part_day"]
    want = pa.concat_tables([truth.expected(n) for n in names])
    paths = ", ".join(text(case(n).path) for n in names)
    for threads in (1, 2, 4):
        con.execute(f"SET threads = {threads}")
        assert_same(arrow(con, f"FROM read_partitions([{paths}])"), want)
        got = arrow(con, f"FROM read_partitions([{paths}]) WHERE sym = 'AA'")
        con.register("want", want)
        assert_same(got, arrow(con, "FROM want WHERE sym = 'AA'"))
        con.unregister("want")


def test_a_glob_of_tables_is_read_in_the_order_of_names(con, table, tmp_path):
    table("db/b~2", "part_week")
    table("db/a~1", "part_day")
    table("db/c~3", "part_month")
    (tmp_path / "db/readme.txt").write_text("not a table")
    (tmp_path / "db/empty").mkdir()
    want = pa.concat_tables([truth.expected(n) for n in ("part_day", "part_week", "part_month")])
    assert_same(arrow(con, f"FROM read_partitions({text(tmp_path / 'db/*~*')})"), want)
    assert_same(arrow(con, f"FROM read_partitions({text(tmp_path / '*/[ab]~?')})"), want.slice(0, 1000))
    refused(con, f"FROM read_partitions({text(tmp_path / 'db/nothing*')})", "nothing*")


def test_a_directory_whose_name_looks_like_a_glob_is_itself(con, table):
    is_table(con, f"read_partitions({text(table('a[b]c*?~1'))})")


def test_an_empty_list_is_refused(con):
    refused(con, "FROM read_partitions([])")
    refused(con, "FROM read_partitions([]::VARCHAR[])")


def test_tables_of_different_columns_need_union_by_name(con):
    a, b = case("part_day"), case("evo_symbol_flags")         # b has s2 besides
    paths = f"[{text(a.path)}, {text(b.path)}]"
    got = con.execute(f"SELECT count(*), count(s2), count(val) FROM read_partitions({paths}, union_by_name := true)").fetchone()
    counts = [truth.expected(n) for n in ("part_day", "evo_symbol_flags")]
    s2 = len(counts[1]) - counts[1].column("s2").null_count
    val = sum(len(t) - t.column("val").null_count for t in counts)
    assert got == (a.rows + b.rows, s2, val)
    names = [r[0] for r in con.execute(f"DESCRIBE FROM read_partitions({paths}, union_by_name := true)").fetchall()]
    assert names == [*a.columns, "s2"]
    refused(con, f"FROM read_partitions([{text(b.path)}, {text(a.path)}])", "s2", "union_by_name")


def test_union_by_name_of_different_types(con):
    """TIMESTAMP and TIMESTAMP_NS of the same name: a common type, or an error that says which column."""
    paths = f"[{text(case('part_day').path)}, {text(case('ns_day').path)}]"
    try:
        got = con.execute(f"SELECT count(*), count(ts) FROM read_partitions({paths}, union_by_name := true)").fetchall()
        assert got == [(1000, 1000)]
    except duckdb.Error as e:
        assert "ts" in str(e) and "INTERNAL" not in str(e)


# ---- columns that say where a row came from ----------------------------------------------------------------------------

def test_filename_is_the_table_directory(con):
    a, b = case("part_day"), case("part_week")
    got = con.execute(f"SELECT filename, count(*) FROM read_partitions([{text(a.path)}, {text(b.path)}], filename := true) GROUP BY ALL ORDER BY min(ts) DESC").fetchall()
    assert [(os.path.realpath(f), n) for f, n in got] == [(os.path.realpath(a.path), a.rows), (os.path.realpath(b.path), b.rows)]
    got = con.execute(f"SELECT count(*) FROM read_partitions([{text(a.path)}, {text(b.path)}], filename := true) WHERE filename = {text(got[0][0])}").fetchone()
    assert got == (a.rows,)
    columns = con.execute(f"DESCRIBE FROM read_partitions({text(a.path)}, filename := true)").fetchall()
    assert [(r[0], r[1]) for r in columns][-1] == ("filename", "VARCHAR") and [r[0] for r in columns][:-1] == a.columns


@pytest.mark.parametrize("name", ["part_day", "part_hour", "part_week", "part_month", "part_year", "part_none_ts", "part_none_nots", "ns_hour",
                                  "o3_split", "o3_split_hour_ns", "live_splits", "detached", "detach_attach", "evo_add_mid_wal", "empty_day_wal"])
def test_partition_names_and_formats(con, name):
    c = case(name)
    call = f"read_partitions({text(c.path)}, partition := true)"
    want = [p["name"] for p in c.attached for _ in range(p["numRows"])]
    for threads in (1, 4):
        con.execute(f"SET threads = {threads}")
        assert con.execute(f"SELECT partition, partition_format FROM {call}").fetchall() == [(p, "native") for p in want]
    if want:
        one = want[len(want) // 2]
        assert con.execute(f"SELECT count(*) FROM {call} WHERE partition = {text(one)}").fetchone() == (want.count(one),)
    columns = [(r[0], r[1]) for r in con.execute(f"DESCRIBE FROM {call}").fetchall()]
    assert columns[len(c.columns):] == [("partition", "VARCHAR"), ("partition_format", "VARCHAR")]


def test_all_extra_columns_together(con):
    c = case("o3_split")
    call = f"read_partitions({text(c.path)}, filename := true, file_row_number := true, partition := true)"
    names = [r[0] for r in con.execute(f"DESCRIBE FROM {call}").fetchall()]
    assert names[:5] == c.columns and sorted(names[5:]) == ["file_row_number", "filename", "partition", "partition_format"]
    rows = con.execute(f"SELECT file_row_number, partition FROM {call} WHERE sym = 'AA' AND ts < '2024-02-28 20:00:00'").fetchall()
    of_row = [p["name"] for p in c.attached for _ in range(p["numRows"])]
    assert rows and all(of_row[n] == p for n, p in rows)


def test_extra_columns_that_the_table_has_already(con, table):
    """A table with a column called `partition` (or another of ours) is readable, and the clash is an error that names it."""
    c = case("weird_columns")
    assert con.execute(f"SELECT count(*) FROM {c.scan}").fetchone() == (c.rows,)


# ---- replacement scan -----------------------------------------------------------------------------------------------------

def test_replacement_scan(con):
    c = case("o3_split")
    is_table(con, text(c.path), "o3_split")
    assert con.execute(f"SELECT count(o3_split.id) FROM {text(c.path)} WHERE o3_split.sym IS NOT NULL").fetchone()[0] > 0
    assert con.execute(f"SELECT count(x.id) FROM {text(c.path)} AS x").fetchone() == (c.rows,)
    assert con.execute(f'SELECT count(*) FROM "{c.path}"').fetchone() == (c.rows,)
    assert con.execute(f"SELECT count(*) FROM {text(str(c.path) + '/')}").fetchone() == (c.rows,)


def test_alias_of_a_renamed_table_is_its_name(con):
    """The directory keeps its first name; `_name` has the present one."""
    c = case("whole_root/00")
    assert con.execute(f'SELECT count("renamed one".id) FROM {text(c.path)}').fetchone() == (c.rows,)


def test_replacement_scan_joins(con):
    a, b = case("part_day"), case("part_week")
    got = con.execute(f"SELECT count(*) FROM {text(a.path)} JOIN {text(b.path)} ON part_day.id = part_week.id").fetchone()
    assert got == (500,)


def test_a_view_over_a_replacement_scan(con):
    c = case(PLAIN)
    con.execute(f"CREATE VIEW v AS FROM {text(c.path)}")
    assert con.execute("SELECT count(*) FROM v").fetchone() == (c.rows,)


@pytest.mark.parametrize("name", ["nosuch", "/nowhere/t~1", "nosuch.qdb", "a.b.c", "main.nosuch", "~", "", " ", "/", "/tmp", "/etc/passwd", "/dev/null", "x" * 5000, "*", "[", "/proc/self/mem"], ids=short)
def test_replacement_scan_never_claims_anything_else(con, name):
    """The error is the one that DuckDB gives by itself."""
    plain = duckdb.connect()
    sql = 'SELECT * FROM "' + name + '"' if "." not in name or "/" in name else f"SELECT * FROM {name}"
    with pytest.raises(duckdb.Error) as ours:
        con.execute(sql)
    with pytest.raises(duckdb.Error) as theirs:
        plain.execute(sql)
    assert (type(ours.value), str(ours.value)) == (type(theirs.value), str(theirs.value))


def test_replacement_scan_declines_directories_that_are_no_tables(con, tmp_path):
    (tmp_path / "only_meta").mkdir()
    (tmp_path / "only_meta/_meta").write_bytes(b"x" * 200)
    (tmp_path / "files").mkdir()
    (tmp_path / "files/_meta").mkdir()
    (tmp_path / "files/_txn").mkdir()
    for d in ("only_meta", "files"):
        refused(con, f"FROM {text(tmp_path / d)}", d, kind=duckdb.CatalogException)


def test_parquet_and_csv_files_stay_duckdbs(con, tmp_path):
    con.execute(f"COPY (SELECT 1 AS a) TO {text(tmp_path / 'x.parquet')}; COPY (SELECT 1 AS a) TO {text(tmp_path / 'x.csv')}")
    assert con.execute(f"FROM {text(tmp_path / 'x.parquet')}").fetchall() == [(1,)]
    assert con.execute(f"FROM {text(tmp_path / 'x.csv')}").fetchall() == [(1,)]


# ---- what is no table -------------------------------------------------------------------------------------------------------

def test_a_directory_that_is_no_table(con, tmp_path):
    refused(con, f"FROM read_partitions({text(tmp_path)})", str(tmp_path))


def test_a_file_instead_of_a_directory(con, tmp_path):
    (tmp_path / "f").write_text("x")
    refused(con, f"FROM read_partitions({text(tmp_path / 'f')})", str(tmp_path / "f"))
    refused(con, f"FROM read_partitions({text(case(PLAIN).path / '_meta')})", "_meta")


@pytest.mark.parametrize("path", ["/nowhere/at/all", "", " ", "\x01", "x" * 5000, "/dev/null", "s3://bucket/t~1", "http://127.0.0.1:1/t~1"], ids=short)
def test_a_path_that_does_not_exist(con, path):
    refused(con, f"FROM read_partitions({text(path)})", path.strip("\x01 ")[:40])


def test_a_partition_directory_says_that_it_is_one_level_too_deep(con):
    refused(con, f"FROM read_partitions({text(next(d for d in case(PLAIN).path.iterdir() if d.name.startswith('2024-02-28')))})", "2024-02-28")


def test_a_plain_view_is_refused_as_a_view(con, table):
    """`_view` instead of data: partition by 6, no `_cv`, no partitions."""
    path = table("v~9", "empty_day_wal")
    for f in path.iterdir():
        if f.is_file() and f.name not in ("_meta", "_name", "_txn"):
            f.unlink()
    meta = bytearray((path / "_meta").read_bytes())
    struct.pack_into("<i", meta, 4, 6)
    (path / "_meta").write_bytes(meta)
    sql = "SELECT 1"
    body = struct.pack("<i", len(sql)) + sql.encode("utf-16-le")
    block = struct.pack("<ii", len(body) + 8, 0) + body
    region = struct.pack("<ii", 0, 1) + block
    (path / "_view").write_bytes(struct.pack("<qqqqq", 1, 0, len(region), 0, 0) + region)
    refused(con, f"FROM read_partitions({text(path)})", "view")


def test_a_materialized_view_is_a_table(con):
    is_table(con, case("mat_view").scan, "mat_view")


@pytest.mark.parametrize("arguments, words", [
    ("NULL", ["NULL"]), ("NULL::VARCHAR", ["NULL"]), ("[NULL]", ["NULL"]), ("['{T}', NULL]", ["NULL"]), ("42", []), ("{{'a': 1}}", []), ("[1, 2]", []), ("[['{T}']]", []),
    ("", []), ("'{T}', 'x'", []),
    ("'{T}', no_such_option := 1", ["no_such_option"]), ("'{T}', symbol := 'enum'", ["symbol"]),
    ("'{T}', symbols := 'emun'", ["emun", "enum"]), ("'{T}', symbols := 1", ["symbols"]), ("'{T}', filename := 'x y'", []), ("'{T}', partition := 'maybe'", []),
    ("'{T}', file_row_number := NULL", []), ("'{T}', raw_types := NULL", []), 
    ("'{T}', snapshot := 'sometimes'", ["snapshot"]), ("'{T}', union_by_name := NULL", []),
])
def test_wrong_arguments_are_refused_when_bound(con, arguments, words):
    refused(con, f"FROM read_partitions({arguments.replace('{T}', str(case(PLAIN).path))})", *words)


# ---- security ---------------------------------------------------------------------------------------------------------------

GUARDED = ["FROM read_partitions({T})", "FROM {T}", "FROM read_partitions([{T}, {T}])", "FROM read_partitions({R}, table_name := 'part_day')", "FROM read_partitions({G})",
           "FROM questdb_tables({R})", "FROM questdb_columns({T})", "FROM questdb_partitions({T})", "FROM questdb_symbols({T}, 'sym')"]


def spelled(sql):
    c = case(PLAIN)
    return sql.replace("{T}", text(c.path)).replace("{R}", text(c.root)).replace("{G}", text(str(c.root) + "/part*"))


@pytest.mark.parametrize("sql", GUARDED)
def test_no_external_access_means_none(con, sql):
    con.execute("SET enable_external_access = false")
    with pytest.raises(duckdb.Error) as e:
        con.execute(spelled(sql)).fetchall()
    assert "INTERNAL" not in str(e.value)
    if sql != "FROM {T}":               # a replacement scan may decline instead
        assert isinstance(e.value, duckdb.PermissionException) or "ermission" in str(e.value) or "disabled" in str(e.value), e.value
    assert con.execute("SELECT 42").fetchall() == [(42,)]


@pytest.mark.parametrize("sql", GUARDED)
def test_no_external_access_does_not_tell_what_exists(con, sql):
    """The same error for a path that is not there."""
    con.execute("SET enable_external_access = false")
    missing = spelled(sql).replace(str(case(PLAIN).root), "/nowhere")
    errors = []
    for statement in (spelled(sql), missing):
        with pytest.raises(duckdb.Error) as e:
            con.execute(statement).fetchall()
        errors.append(str(e.value).replace(str(case(PLAIN).root), "/nowhere").split("\n")[0])
    assert errors[0] == errors[1]


def test_allowed_directories(con):
    c, other = case(PLAIN), case("part_week")
    con.execute(f"SET allowed_directories = [{text(c.root)}]; SET enable_external_access = false")
    for sql in GUARDED:
        assert con.execute(spelled(sql)).fetchall()
    with pytest.raises(duckdb.Error):
        con.execute(f"FROM {other.scan}")
    with pytest.raises(duckdb.Error):
        con.execute(f"FROM read_partitions([{text(c.path)}, {text(other.path)}])")
    with pytest.raises(duckdb.Error):
        con.execute(f"FROM read_partitions({text(str(c.path) + '/../../../part_week/db/' + other.path.name)})")
    is_table(con, c.scan)


NOBODY = 65534


@pytest.fixture
def as_nobody(tmp_path):
    """A function that runs statements in a process without root's rights."""
    def run(statements):
        if os.geteuid():
            return script.queries(statements)
        for d in (tmp_path, *tmp_path.parents):
            if "pytest-" in d.name or d.name.startswith("popen-") or d == tmp_path:
                d.chmod(0o755)
        return script.queries(statements, user=NOBODY)
    return run


@pytest.mark.parametrize("what", ["", "_meta", "_txn", "_cv", "sym.c", "2024-02-28", "2024-02-28/val.d"])
def test_missing_permissions(table, as_nobody, what):
    path = table("t~1")
    target = path / what
    if not target.exists():             # a partition directory has a name txn
        head, _, tail = what.partition("/")
        target = next(d for d in path.iterdir() if d.name.startswith(head)) / tail
    if what:
        assert as_nobody([f"SELECT count(*) FROM read_partitions({text(path)})"]) == [[[case(PLAIN).rows]]]
    target.chmod(0)
    try:
        first, after = as_nobody([f"FROM read_partitions({text(path)})", "SELECT 42"])
    finally:
        target.chmod(0o755)
    assert isinstance(first, str) and "INTERNAL" not in first and target.name.split(".")[0] in first, first
    assert "ermission" in first or "denied" in first.lower(), first
    assert after == [[42]]
