"""Tests of the sqllogictest runner itself. Half of them fail on purpose: a runner that cannot fail proves nothing."""

import pathlib
import subprocess
import sys

import pytest

import sqllogic

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")
RUNNER = pathlib.Path(sqllogic.__file__)


def run(tmp_path, text, **options):
    path = tmp_path / "case.test"
    path.write_text(text, encoding="utf-8")
    return sqllogic.run_file(path, **options)


def command_line(*arguments, env=None):
    done = subprocess.run([sys.executable, RUNNER, *map(str, arguments)], capture_output=True, text=True, env=env)
    return done.returncode, done.stdout, done.stderr


GOOD = {
    "rows": (1, "query IT\nSELECT 1, 'a b' UNION ALL SELECT 2, NULL ORDER BY 1\n----\n1\ta b\n2\tNULL\n"),
    "values": (1, "query II\nVALUES (1, 2), (3, 4)\n----\n1\n2\n3\n4\n"),
    "no_rows": (1, "query I\nSELECT 1 WHERE false\n----\n"),
    "no_rows_without_separator": (1, "query I\nSELECT 1 WHERE false\n"),
    "empty_string_and_nul": (1, "query TT\nSELECT '', 'a' || chr(0) || 'b'\n----\n(empty)\ta\\0b\n"),
    "crlf": (1, "query I\r\nSELECT 1\r\n----\r\n1\r\n"),
    "comment_ends_sql": (1, "statement ok\nSELECT 1\n# SELECT syntax error\n"),
    "row_with_hash_sign": (1, "query T\nSELECT '# no comment'\n----\n# no comment\n"),
    "row_of_spaces": (2, "statement ok\nSELECT 1\n  \nquery T\nVALUES (' '), ('a')\n----\n \na\n"),
    "repeated_column_names": (1, "query II\nSELECT 1 AS a, 2 AS a\n----\n1\t2\n"),
    "describe": (
        2,
        "statement ok\nCREATE TABLE t(a INT)\n\nquery TTTTTT\nDESCRIBE t\n----\n"
        "a\tINTEGER\tYES\tNULL\tNULL\tNULL\n",
    ),
    "pragma_call_explain": (
        3,
        "query TTT\nPRAGMA version\n----\n<REGEX>:v.*\t<REGEX>:.*\t<REGEX>:.*\n\n"
        "query TTT\nCALL pragma_version()\n----\n<REGEX>:v.*\t<REGEX>:.*\t<REGEX>:.*\n\n"
        "query TT\nEXPLAIN SELECT 42\n----\nphysical_plan\t<REGEX>:.*42.*\n",
    ),
    "count_of_insert": (2, "statement ok\nCREATE TABLE t(a INT)\n\nquery I\nINSERT INTO t VALUES (1), (2)\n----\n2\n"),
    "booleans": (1, "query IIII\nSELECT true, true, false, false\n----\n1\ttrue\t0\tFalse\n"),
    "floats_by_value": (
        1,
        "query RRRR\nSELECT 0.1::FLOAT, 1e3::DOUBLE, 'inf'::DOUBLE, 'nan'::DOUBLE\n----\n0.10\t1000\tinf\tnan\n",
    ),
    "decimals_by_value": (1, "query R\nSELECT 1.50::DECIMAL(9, 2)\n----\n1.5\n"),
    "types_that_python_lacks": (
        1,
        "query TTTTT\nSELECT '2024-01-01 00:00:00.123456789'::TIMESTAMP_NS, 'infinity'::TIMESTAMP, "
        "'290000-01-01'::TIMESTAMP, (2 ** 100)::UHUGEINT, {'a': [1, NULL]}\n----\n"
        "2024-01-01 00:00:00.123456789\tinfinity\t290000-01-01 00:00:00\t1267650600228229401496703205376\t"
        "{'a': [1, NULL]}\n",
    ),
    "time_zone_of_session": (
        2,
        "statement ok\nSET TimeZone = 'Asia/Tokyo'\n\n"
        "query T\nSELECT '2024-01-01 00:00:00+00'::TIMESTAMPTZ\n----\n2024-01-01 09:00:00+09\n",
    ),
    "rowsort": (1, "query IT rowsort\nVALUES (10, 'b'), (9, 'a'), (10, 'a')\n----\n10\ta\n10\tb\n9\ta\n"),
    "valuesort": (1, "query II valuesort\nVALUES (4, 1), (3, 2)\n----\n1\n2\n3\n4\n"),
    # The hash of 0 to 9 as DuckDB's own tests have it.
    "hash": (1, "query I\nFROM range(10)\n----\n10 values hashing to e20b902b49a98b1a05ed62804c757f94\n"),
    "label": (2, "query I nosort x\nSELECT 1\n----\n1\n\nquery I nosort x\nSELECT 1\n"),
    "error_substring": (1, "statement error\nFROM nowhere\n----\nnowhere does not exist\n"),
    "error_regex": (1, "statement error\nFROM nowhere\n----\n<REGEX>:Catalog Error.*does not.*\n"),
    "error_not_regex": (1, "statement error\nFROM nowhere\n----\n<!REGEX>:Binder Error.*\n"),
    "error_of_two_lines": (1, "statement error\nFROM nowhere\n----\ndoes not exist!\nDid you mean\n"),
    "error_in_a_late_row": (
        1,
        "statement error\nSELECT CASE WHEN range = 500000 THEN error('late') ELSE 1 END FROM range(1000000)\n----\n"
        "late\n",
    ),
    "maybe": (2, "statement maybe\nSELECT 1\n\nstatement maybe\nSELECT error('x')\n----\nx\n"),
    "connections": (
        5,
        "statement ok\nCREATE TABLE t(a INT)\n\nstatement ok one\nBEGIN\n\nstatement ok one\n"
        "INSERT INTO t VALUES (1)\n\n"
        "query I one\nSELECT count(*) FROM t\n----\n1\n\nquery I\nSELECT count(*) FROM t\n----\n0\n",
    ),
    "nested_loops": (
        6,
        "statement ok\nCREATE TABLE t(a INT, b TEXT)\n\nloop i 0 2\n\nforeach j x y\n\n"
        "statement ok\nINSERT INTO t VALUES (${i}, '${j}')\n\nendloop\n\nendloop\n\n"
        "query IT rowsort\nFROM t\n----\n0\tx\n0\ty\n1\tx\n1\ty\n",
    ),
    "foreach_pairs": (2, "foreach a,b 1,x 2,y\n\nquery IT\nSELECT ${a}, '${b}'\n----\n${a}\t${b}\n\nendloop\n"),
    "value_lists": (7, "foreach type <signed> varchar FLOAT\n\nquery I\nSELECT 1::${type}\n----\n1\n\nendloop\n"),
    "concurrent_loop": (
        42,
        "statement ok\nCREATE TABLE t(a INT)\n\nconcurrentloop i 0 40\n\nstatement ok\nINSERT INTO t VALUES (${i})\n\n"
        "endloop\n\nquery II\nSELECT count(*), sum(a) FROM t\n----\n40\t780\n",
    ),
    "conditions": (
        3,
        "skipif duckdb\nstatement ok\nnot sql\n\nonlyif sqlite\nquery I\nnot sql\n----\n1\n\nonlyif duckdb\n"
        "statement ok\n"
        "SELECT 1\n\nloop i 0 3\n\nskipif i<2\nstatement ok\nSELECT 1\n\nonlyif i>0&&i<>2\nstatement ok\nSELECT 1\n\n"
        "endloop\n",
    ),
    "mode_skip": (1, "mode skip\n\nstatement ok\nnot sql\n\nmode unskip\n\nstatement ok\nSELECT 1\n"),
    "halt": (1, "statement ok\nSELECT 1\n\nhalt\n\nstatement ok\nnot sql\n"),
    "test_directory": (
        2,
        "statement ok\nCOPY (SELECT 1 AS a) TO '__TEST_DIR__/a.csv'\n\nquery I\nFROM '__TEST_DIR__/a.csv'\n----\n"
        "1\n",
    ),
    "test_env": (1, "test-env NO_SUCH_VARIABLE seven\n\nquery T\nSELECT '${NO_SUCH_VARIABLE}'\n----\nseven\n"),
    "database_in_a_file": (
        4,
        "load __TEST_DIR__/x.db\n\nstatement ok\nCREATE TABLE t AS SELECT 7 AS a\n\nrestart\n\nquery I\nFROM t\n"
        "----\n7\n\n"
        "load __TEST_DIR__/x.db readonly\n\nstatement error\nDROP TABLE t\n----\nread-only\n\n"
        "load __TEST_DIR__/x.db\n\n"
        "statement error\nFROM t\n----\ndoes not exist\n",
    ),
    "reconnect": (
        2,
        "statement ok\nCREATE TEMP TABLE t(a INT)\n\nreconnect\n\nstatement error\nFROM t\n----\ndoes not exist\n",
    ),
    "features": (1, "require notwindows\n\nrequire vector_size 512\n\nrequire parquet\n\nstatement ok\nSELECT 1\n"),
    "seed_sleep_tags": (
        2,
        "tags slow\n\nhash-threshold 1\n\nset seed 0.5\n\nquery I nosort r\nSELECT random()\n\nsleep 1 millisecond\n\n"
        "set seed 0.5\n\nquery I nosort r\nSELECT random()\n",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_right_file_passes(tmp_path, name):
    records, text = GOOD[name]
    assert run(tmp_path, text) == records


BAD = {
    "value": ("query I\nSELECT 1\n----\n2\n", 1, "wrong value in row 1, column 1 (INTEGER)\nexpected: 2\nfound:    1"),
    "text_like_a_number": ("query T\nSELECT '1.0'\n----\n1\n", 1, "wrong value"),
    "second_column": ("query II\nSELECT 1, 2\n----\n1\t3\n", 1, "row 1, column 2"),
    "null_is_not_empty": ("query T\nSELECT NULL::VARCHAR\n----\n(empty)\n", 1, "found:    NULL"),
    "float": ("query R\nSELECT 1.00000001::DOUBLE\n----\n1\n", 1, "wrong value"),
    "float_is_not_nan": ("query R\nSELECT 'nan'::DOUBLE\n----\n1\n", 1, "wrong value"),
    "number_against_text": ("query I\nSELECT 1\n----\none\n", 1, "wrong value"),
    "boolean": ("query I\nSELECT true\n----\n0\n", 1, "found:    true"),
    "regex": ("query T\nSELECT 'abc'\n----\n<REGEX>:b\n", 1, "wrong value"),
    "not_regex": ("query T\nSELECT 'abc'\n----\n<!REGEX>:a.c\n", 1, "wrong value"),
    "order": ("query I\nVALUES (2), (1)\n----\n1\n2\n", 1, "row 1"),
    "expected_side_is_not_sorted": ("query I rowsort\nVALUES (2), (1)\n----\n2\n1\n", 1, "row 1"),
    "missing_row": ("query I\nSELECT 1\n----\n1\n2\n", 1, "expected 2 rows, found 1"),
    "extra_row": ("query II\nVALUES (1, 2), (3, 4)\n----\n1\t2\n", 1, "expected 1 rows, found 2"),
    "rows_where_none_expected": ("query I\nSELECT 1\n----\n", 1, "expected 0 rows, found 1"),
    "no_rows_where_some_expected": ("query I\nSELECT 1 WHERE false\n----\n1\n", 1, "expected 1 rows, found 0"),
    "columns": ("query II\nSELECT 1\n----\n1\n", 1, "expected 2 columns, found 1: INTEGER"),
    "ragged": ("query II\nSELECT 1, 2 UNION ALL SELECT 3, 4\n----\n1\t2\n3\n", 1, "row 2 has 1 values for 2 columns"),
    "hash": (f"query I\nFROM range(10)\n----\n10 values hashing to {'0' * 32}\n", 1, "wrong hash"),
    "label": ("query I nosort x\nSELECT 1\n\nquery I nosort x\nSELECT 2\n", 4, "another result"),
    "rows_beside_a_label": ("query I nosort x\nSELECT 1\n----\n2\n", 1, "wrong value"),
    "query_error": ("query I\nFROM nowhere\n----\n1\n", 1, "query failed\nfound: Catalog Error"),
    "statement_error": (
        "statement ok\nSELECT 1\n\nstatement ok\nFROM nowhere\n",
        4,
        "statement failed\nfound: Catalog",
    ),
    "late_error": (
        "statement ok\nSELECT CASE WHEN range = 500000 THEN error('late') END FROM range(1000000)\n",
        1,
        "late",
    ),
    "no_error": ("statement error\nSELECT 1\n----\nx\n", 1, "statement succeeded"),
    "another_error": (
        "statement error\nFROM nowhere\n----\nsyntax error\n",
        1,
        "expected: syntax error\nfound:    Catalog",
    ),
    "another_error_regex": ("statement error\nFROM nowhere\n----\n<REGEX>:nowhere\n", 1, "another message"),
    "error_that_must_not_match": ("statement error\nFROM nowhere\n----\n<!REGEX>:Catalog.*\n", 1, "another message"),
    "maybe_with_another_error": ("statement maybe\nFROM nowhere\n----\nsyntax error\n", 1, "another message"),
    "internal_error": ("statement error\nSELECT error('INTERNAL Error: x')\n----\nx\n", 1, "never right"),
    "internal_error_maybe": ("statement maybe\nSELECT error('INTERNAL Error: x')\n", 1, "never right"),
    "inside_a_loop": ("loop i 0 3\n\nquery I\nSELECT ${i} // 2\n----\n0\n\nendloop\n", 3, "found:    1"),
    "inside_a_concurrent_loop": ("concurrentloop i 0 9\n\nstatement ok\nSELECT error('x')\n\nendloop\n", 3, "found: "),
    "loop_variable_in_expected": ("foreach x a b\n\nquery T\nSELECT 'a'\n----\n${x}\n\nendloop\n", 3, "expected: b"),
    "unknown_record": ("statemant ok\nSELECT 1\n", 1, 'unknown record "statemant"'),
    "unknown_kind": ("statement fine\nSELECT 1\n", 1, "cannot have these arguments: fine"),
    "unknown_letter": ("query X\nSELECT 1\n", 1, "cannot have these arguments: X"),
    "error_without_message": ("statement error\nFROM nowhere\n", 1, "must say which message"),
    "ok_with_message": ("statement ok\nSELECT 1\n----\nx\n", 1, "cannot expect a message"),
    "no_sql": ("statement ok\n\nSELECT 1\n", 1, "statement without SQL"),
    "parse_error_comes_first": (
        "statement ok\nFROM nowhere\n\nquery\nSELECT 1\n",
        4,
        "cannot have these arguments: none",
    ),
    "missing_empty_line": ("loop i 0 2\nstatement ok\nSELECT 1\n\nendloop\n", 1, "followed by an empty line"),
    "missing_endloop": ("loop i 0 2\n\nstatement ok\nSELECT 1\n", 1, "loop without endloop"),
    "missing_skip": ("mode unskip\n\nstatement ok\nSELECT 1\n", 1, "mode unskip without mode skip"),
    "broken_pattern": ("query T\nSELECT 'a'\n----\n<REGEX>:(\n", 1, "query failed\nfound: missing )"),
    "missing_loop": ("endloop\n", 1, "endloop without a loop"),
    "condition": ("skipif i=1\nstatement ok\nSELECT 1\n", 2, 'cannot evaluate the condition "i=1"'),
    "restart_in_memory": ("restart\n", 1, "only a database in a file"),
    "result_file": ("query I\nSELECT 1\n----\n<FILE>:x.csv\n", 1, "not supported"),
    "nothing_tested": ("# only a comment\n", 1, "tests nothing"),
    "all_skipped_by_mode": ("mode skip\n\nstatement ok\nSELECT 1\n", 1, "tests nothing"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_file_fails(tmp_path, name):
    text, line, message = BAD[name]
    with pytest.raises(sqllogic.Failure) as failure:
        run(tmp_path, text)
    assert message in failure.value.message
    assert failure.value.line == line


@pytest.mark.parametrize("requirement", ["require no_such_extension", "require windows", "require vector_size 4096",
                                         "require-env NO_SUCH_VARIABLE", "require-env HOME nowhere"])
def test_missing_requirement_skips(tmp_path, requirement):
    with pytest.raises(sqllogic.Skip, match=requirement.split()[0]):
        run(tmp_path, f"{requirement}\n\nstatement ok\nnot sql\n")


def test_own_extension_that_cannot_be_loaded_fails(tmp_path):
    extension = tmp_path / "mine.duckdb_extension"
    extension.write_bytes(b"no library")
    with pytest.raises(sqllogic.Failure, match="require failed"):
        run(tmp_path, "require mine\n\nstatement ok\nSELECT 1\n", extension=extension)


def test_fixtures_variable_is_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f"query T\nSELECT '${{FIXTURES}}'\n----\n{tmp_path}/data\n"
    for header in ("", "require-env FIXTURES\n\n", "test-env FIXTURES other\n\n"):
        assert run(tmp_path, header + text, fixtures=pathlib.Path("data")) == 1


def test_command_line_reports_and_counts(tmp_path):
    (tmp_path / "good.test").write_text("statement ok\nSELECT 1\n")
    (tmp_path / "skipped.test").write_text("require no_such_extension\n\nstatement ok\nSELECT 1\n")
    (tmp_path / "slow.test_slow").write_text("statement ok\nnot sql\n")
    code, output, _ = command_line(tmp_path, "--jobs", 2)
    assert (code, output.splitlines()[-1]) == (0, "1 passed, 0 failed, 1 skipped")

    (tmp_path / "bad.test").write_text("\nquery I\nSELECT 1 +\n  1\n----\n3\n")
    code, output, _ = command_line(tmp_path, "--jobs", 2)
    assert (code, output.splitlines()[-1]) == (1, "1 passed, 1 failed, 1 skipped")
    assert output.count("\n") < 20
    report = [
        f"{tmp_path}/bad.test:2: wrong value in row 1, column 1 (INTEGER)",
        "      SELECT 1 +",
        "        1",
        "  expected: 3",
        "  found:    2",
    ]
    assert "\n".join(report) in output

    one = f"ok   {tmp_path}/good.test (1 records)\n1 passed, 0 failed\n"
    assert command_line(tmp_path / "good.test")[:2] == (0, one)
    assert command_line("--slow", tmp_path / "good.test", tmp_path / "*slow")[0] == 1


def test_command_line_refuses_a_run_that_proves_nothing(tmp_path):
    assert command_line(tmp_path)[:2] == (1, "0 passed, 0 failed\n")
    (tmp_path / "skipped.test").write_text("require no_such_extension\n\nstatement ok\nSELECT 1\n")
    assert command_line(tmp_path)[0] == 1
    code, _, errors = command_line(tmp_path / "absent.test")
    assert code == 1 and "no such file" in errors


# What an extension can do to its process, played by a module that takes DuckDB's place.
@pytest.mark.parametrize("action, report", [
    ("os.abort()", "(signal 6)"),
    ("os._exit(0)", "(exit code 0)"),
    ("os._exit(3)", "(exit code 3)"),
    ("raise MemoryError('lost')", "lost"),
    ("time.sleep(60)", "still running after 1 s"),
])
def test_command_line_survives_a_crash(tmp_path, action, report):
    (tmp_path / "duckdb.py").write_text(
        "import os, time\nclass DuckDBPyConnection: pass\nclass Error(Exception): pass\n"
        f"def connect(*_):\n    print('last words', flush=True)\n    {action}\n"
    )
    (tmp_path / "case.test").write_text("statement ok\nSELECT 1\n")
    code, output, _ = command_line(tmp_path, "--timeout", 1, env={"PYTHONPATH": str(tmp_path)})
    assert code == 1
    assert report in output and "last words" in output
    assert output.endswith("0 passed, 1 failed\n")
