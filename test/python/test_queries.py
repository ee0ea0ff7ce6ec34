"""The server's own small queries, in DuckDB's dialect, with the server's answers."""
import math
from collections import Counter

import duckdb
import pytest

from helpers import cases
from helpers.cases import case

REPLACEMENT = "\ufffd"


def same_value(got, want, tolerance):
    if tolerance and isinstance(got, float) and isinstance(want, (int, float)):
        return math.isclose(got, want, rel_tol=tolerance)
    return got == want


def same_rows(got, want, tolerance):
    return len(got) == len(want) and all(
        len(g) == len(w) and all(same_value(x, y, tolerance) for x, y in zip(g, w)) for g, w in zip(got, want))


def server_rows(name, query):
    """The server's answer. In odd_text it tells lone surrogates apart that are all U+FFFD in UTF-8 (and `?` in its JSON)."""
    rows = query["rows"]
    if name != "odd_text":
        return rows
    if query["name"] == "text_nulls":
        return [[10, 9]]
    if query["name"] == "symbol_groups":
        counts = Counter()
        for symbol, n in rows:
            counts[symbol.replace("?", REPLACEMENT)] += n
        return sorted(([s, n] for s, n in counts.items()), key=lambda r: (-r[1], r[0].encode()))
    return rows


@pytest.mark.parametrize("name", cases.GOOD)
def test_queries_of_the_server(con, name):
    c, bad, answered = case(name), [], 0
    for q in c.queries:
        if "duckdb" not in q:
            continue
        want = server_rows(name, q)
        try:
            got = [list(r) for r in con.execute(q["duckdb"].replace("{T}", c.scan)).fetchall()]
        except duckdb.Error as e:
            if name in cases.PARQUET_CASES and not cases.PARQUET_SUPPORTED and "not supported yet" in str(e):
                continue
            bad.append(f"{q['name']}: {q['duckdb']}\n    {e}")
            continue
        answered += 1
        if not same_rows(got, want, q.get("relative_tolerance")):
            bad.append(f"{q['name']}: {q['duckdb']}\n    got  {got[:20]}\n    want {want[:20]}")
    assert not bad, "\n".join(bad)
    assert answered or name in cases.PARQUET_CASES
