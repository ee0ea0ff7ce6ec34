"""questdb_tables, questdb_columns, questdb_partitions, questdb_symbols: what tables(), table_columns() and SHOW PARTITIONS say."""
import os
import shutil

import duckdb
import numpy as np
import pytest

from helpers import cases, files, truth
from helpers.cases import case, quote, text

# one table of each root (mat_view's also holds its base table)
ROOTS = [n for n in cases.GOOD if "/" not in n]
SYMBOLS = [(n, c) for n in cases.GOOD for c, k in case(n).kinds.items() if k == "SYMBOL" and n != "sym_high_card"]
NS_RANGE = (-2**63 + 2, 2**63 - 2)

# partitions whose files changed after the server had said how large they were
DISK_SIZE_CHANGED = {
    "o3_split_add_col": "the files of the dropped column were purged afterwards",
}

# tables whose sequencer took another transaction after the server had been asked
SEQUENCER_WENT_ON = {
    "pq_type_change": "a second ALTER COLUMN TYPE while the WAL was suspended",
}


def rows(con, sql):
    cursor = con.execute(sql)
    names = [d[0] for d in cursor.description]
    return [dict(zip(names, r)) for r in cursor.fetchall()]


def nanoseconds(value, unit):
    """A time as TIMESTAMP_NS can hold it; None where it cannot (year 9999)."""
    if value is None:
        return None
    value *= {"ns": 1, "us": 1000}[unit]
    return value if NS_RANGE[0] <= value <= NS_RANGE[1] else None


def iso_ns(iso):
    if iso is None:
        return None
    value = truth.iso_to_int(iso, 9)
    return value if NS_RANGE[0] <= value <= NS_RANGE[1] else None


def ts_column(name):
    """The designated timestamp's values and unit, or None."""
    c = case(name)
    return None if c.timestamp is None else (truth.expected(name).column(c.timestamp), truth.UNIT[c.kinds[c.timestamp]])


def time_range(name, start=0, end=None):
    """min and max of the designated timestamp over rows [start, end), in nanoseconds."""
    found = ts_column(name)
    if found is None:
        return None, None
    values, unit = found
    end = len(values) if end is None else end
    if end <= start:
        return None, None
    return nanoseconds(values[start].as_py(), unit), nanoseconds(values[end - 1].as_py(), unit)


TABLES = """SELECT * REPLACE (epoch_ns(min_timestamp) AS min_timestamp, epoch_ns(max_timestamp) AS max_timestamp)
            FROM questdb_tables({})"""
PARTITIONS = """SELECT * REPLACE (epoch_ns(min_timestamp) AS min_timestamp, epoch_ns(max_timestamp) AS max_timestamp)
                FROM questdb_partitions({})"""


# ---- result columns -----------------------------------------------------------------------------------------------

EXPECTED_COLUMNS = {
    "questdb_tables": [
        ("id", "INTEGER"), ("table_name", "VARCHAR"), ("directory", "VARCHAR"), ("kind", "VARCHAR"),
        ("partition_by", "VARCHAR"), ("designated_timestamp", "VARCHAR"), ("wal", "BOOLEAN"), ("dedup", "BOOLEAN"),
        ("ttl_value", "INTEGER"), ("ttl_unit", "VARCHAR"), ("row_count", "BIGINT"), ("min_timestamp", "TIMESTAMP_NS"),
        ("max_timestamp", "TIMESTAMP_NS"), ("txn", "BIGINT"), ("wal_txn", "BIGINT"), ("pending_wal_txns", "BIGINT"),
        ("disk_size", "BIGINT"), ("max_uncommitted_rows", "INTEGER"), ("o3_max_lag_us", "BIGINT"), ("error", "VARCHAR")],
    "questdb_columns": [
        ("column_name", "VARCHAR"), ("type", "VARCHAR"), ("duckdb_type", "VARCHAR"), ("indexed", "BOOLEAN"),
        ("index_block_capacity", "INTEGER"), ("symbol_cached", "BOOLEAN"), ("symbol_capacity", "INTEGER"),
        ("symbol_table_size", "INTEGER"), ("symbol_count", "INTEGER"), ("designated", "BOOLEAN"),
        ("upsert_key", "BOOLEAN"), ("position", "INTEGER"), ("writer_index", "INTEGER")],
    "questdb_partitions": [
        ("index", "INTEGER"), ("partition_by", "VARCHAR"), ("name", "VARCHAR"), ("min_timestamp", "TIMESTAMP_NS"),
        ("max_timestamp", "TIMESTAMP_NS"), ("num_rows", "BIGINT"), ("disk_size", "BIGINT"), ("read_only", "BOOLEAN"),
        ("active", "BOOLEAN"), ("attached", "BOOLEAN"), ("detached", "BOOLEAN"), ("attachable", "BOOLEAN"),
        ("is_parquet", "BOOLEAN"), ("parquet_file_size", "BIGINT"), ("directory", "VARCHAR"), ("name_txn", "BIGINT")],
    "questdb_symbols": [("key", "INTEGER"), ("value", "VARCHAR")],
}


@pytest.mark.parametrize("function", EXPECTED_COLUMNS)
def test_names_and_types_of_the_result(con, function):
    c = case("part_day")
    arguments = {"questdb_tables": text(c.root), "questdb_symbols": f"{text(c.path)}, 'sym'"}.get(function, text(c.path))
    got = con.execute(f"DESCRIBE FROM {function}({arguments})").fetchall()
    got = [(r[0], r[1]) for r in got]
    counts = {"symbol_table_size", "symbol_count"}          # INTEGER or BIGINT: the server says INT
    assert [n for n, _ in got] == [n for n, _ in EXPECTED_COLUMNS[function]]
    for (n, g), (_, w) in zip(got, EXPECTED_COLUMNS[function]):
        assert g == w or n in counts and g == "BIGINT", (n, g, w)


# ---- questdb_tables -----------------------------------------------------------------------------------------------

def check_table_row(name, row):
    c = case(name)
    want, wal = c.tables["tables"], c.tables["wal_tables"]
    low, high = time_range(name)
    facts = {
        "id": want["id"], "table_name": c.table, "partition_by": want["partitionBy"],
        "kind": "materialized view" if want["matView"] else "table",
        "designated_timestamp": want["designatedTimestamp"], "wal": want["walEnabled"], "dedup": want["dedup"],
        "ttl_value": want["ttlValue"], "ttl_unit": want["ttlUnit"], "row_count": c.rows,
        "min_timestamp": low, "max_timestamp": high, "txn": files.txn(c.path),
        "wal_txn": files.sequencer_txn(c.path) if want["walEnabled"] else None,
        "max_uncommitted_rows": want["maxUncommittedRows"], "o3_max_lag_us": want["o3MaxLag"], "error": None,
    }
    bad = {k: (row[k], v) for k, v in facts.items() if row[k] != v}
    if want["partitionBy"] == "NONE":           # _txn keeps no minimum for a table without partitions
        if row["min_timestamp"] is None:
            bad.pop("min_timestamp", None)
    if wal:
        last = files.sequencer_txn(c.path)
        assert last == wal["sequencerTxn"] or name in SEQUENCER_WENT_ON
        pending = last - wal["writerTxn"]
        if row["pending_wal_txns"] != pending:
            bad["pending_wal_txns"] = (row["pending_wal_txns"], pending)
    elif row["pending_wal_txns"] not in (0, None):
        bad["pending_wal_txns"] = (row["pending_wal_txns"], "0 or NULL")
    if os.path.basename(row["directory"].rstrip("/")) != want["directoryName"]:
        bad["directory"] = (row["directory"], want["directoryName"])
    everything = sum(os.stat(os.path.join(d, f)).st_size for d, _, fs in os.walk(c.path, followlinks=True) for f in fs)
    inside = sum(files.size(directory_of(c, p)) for p in c.attached if directory_of(c, p) is not None)
    if not inside <= row["disk_size"] <= everything:
        bad["disk_size"] = (row["disk_size"], f"{inside} .. {everything}")
    assert not bad, f"{name}: (got, want) = {bad}"


def directory_of(c, p):
    """The directory of an attached partition: among those of its name the one the server counted, else the newest."""
    found = [d for d in c.path.iterdir() if (d.name == p["name"] or d.name.startswith(p["name"] + ".")) and not d.name.endswith((".detached", ".attachable"))]
    same = [d for d in found if files.size(d) == p["diskSize"]]
    found = same or sorted(found, key=lambda d: int(d.name[len(p["name"]) + 1:] or -1))
    return found[-1] if found else None


@pytest.mark.parametrize("name", ROOTS)
def test_tables_of_a_root(con, name):
    c = case(name)
    got = rows(con, TABLES.format(text(c.root)))
    names = {c.table, *c.info.get("other_tables", [])}
    assert {r["table_name"] for r in got} == names and len(got) == len(names)
    check_table_row(name, next(r for r in got if r["table_name"] == c.table))


def test_tables_of_a_root_with_a_registry(con):
    """Renamed, dropped and oddly named tables; the system tables only when asked for."""
    root = cases.FIXTURES / "whole_root/db"
    got = {r["table_name"]: r for r in rows(con, TABLES.format(text(root)))}
    assert set(got) == {case(n).table for n in cases.WHOLE_ROOT}
    for n in cases.WHOLE_ROOT:
        check_table_row(n, got[case(n).table])


def test_system_tables_when_asked_for(con):
    root = cases.FIXTURES / "whole_root/db"
    system = {"_query_trace", "sys.column_versions_purge_log", "sys.copy_export_log", "sys.telemetry_wal", "sys.text_import_log", "telemetry_config"}
    got = {r["table_name"] for r in rows(con, f"FROM questdb_tables({text(root)}, system := true)")}
    assert got == {case(n).table for n in cases.WHOLE_ROOT} | system


def test_tables_of_a_server_root(con):
    """The folder that holds db/ does as well."""
    c = case("o3_split")
    assert rows(con, TABLES.format(text(c.files))) == rows(con, TABLES.format(text(c.root)))


def test_tables_of_a_folder_without_tables(con, tmp_path):
    try:
        assert rows(con, f"FROM questdb_tables({text(tmp_path)})") == []
    except duckdb.Error as e:
        assert str(tmp_path) in str(e)


@pytest.mark.parametrize("bad", ["/nowhere/at/all", ""])
def test_tables_of_no_folder_is_an_error(con, bad):
    with pytest.raises(duckdb.Error) as e:
        con.execute(f"FROM questdb_tables({text(bad)})").fetchall()
    assert "INTERNAL" not in str(e.value)


@pytest.mark.parametrize("name", cases.CORRUPT)
def test_a_damaged_table_does_not_hide_the_others(con, tmp_path, name):
    c, good = case(name), case("part_day")
    shutil.copytree(c.path, tmp_path / c.path.name, symlinks=True)
    shutil.copytree(good.path, tmp_path / good.path.name, symlinks=True)
    got = {r["table_name"]: r for r in rows(con, f"FROM questdb_tables({text(tmp_path)})")}
    assert got["part_day"]["row_count"] == good.rows and got["part_day"]["error"] is None
    broken = [r for n, r in got.items() if n != "part_day"]
    assert len(broken) <= 1
    if any(word in name for word in ("_empty", "_garbage", "_truncated", "_version", "_huge_columns", "_negative_columns", "_bad_offset")) \
            and c.info["broken_file"] in ("_meta", "_txn") and "partition_version" not in name:
        assert len(broken) == 1 and c.info["broken_file"] in (broken[0]["error"] or ""), broken


# ---- questdb_columns ----------------------------------------------------------------------------------------------

SERVER_COLUMNS = {
    "column_name": "column", "type": "type", "indexed": "indexed", "index_block_capacity": "indexBlockCapacity",
    "symbol_cached": "symbolCached", "symbol_capacity": "symbolCapacity", "symbol_table_size": "symbolTableSize",
    "designated": "designated", "upsert_key": "upsertKey",
}


@pytest.mark.parametrize("name", cases.GOOD)
def test_columns(con, name):
    c = case(name)
    got = rows(con, f"FROM questdb_columns({text(c.path)})")
    writer, bad = files.meta(c.path), []
    assert [r["column_name"] for r in got] == c.columns
    for i, (g, w) in enumerate(zip(got, c.schema)):
        facts = {ours: w[theirs] for ours, theirs in SERVER_COLUMNS.items()}
        facts |= {"duckdb_type": truth.duckdb_type(w["type"]), "position": i + got[0]["position"], "writer_index": writer[w["column"]]}
        bad += [f"{w['column']}.{k}: {g[k]!r} instead of {v!r}" for k, v in facts.items() if g[k] != v]
        if w["type"] == "SYMBOL":
            if g["symbol_count"] not in (w["symbolTableSize"], w["symbolTableSize"] - 1):
                bad.append(f"{w['column']}.symbol_count: {g['symbol_count']} beside a table size of {w['symbolTableSize']}")
        elif g["symbol_count"] not in (0, None):
            bad.append(f"{w['column']}.symbol_count: {g['symbol_count']} for {w['type']}")
    assert got[0]["position"] in (0, 1)
    assert not bad, "\n".join(bad)


# ---- questdb_partitions -------------------------------------------------------------------------------------------

SERVER_PARTITIONS = {
    "index": "index", "partition_by": "partitionBy", "name": "name", "num_rows": "numRows", "read_only": "readOnly",
    "active": "active", "attached": "attached", "detached": "detached", "attachable": "attachable",
    "is_parquet": "isParquet", "parquet_file_size": "parquetFileSize",
}


@pytest.mark.parametrize("name", cases.GOOD)
def test_partitions(con, name):
    c = case(name)
    got = rows(con, PARTITIONS.format(text(c.path)))
    bad = []
    assert [r["name"] for r in got] == [p["name"] for p in c.partitions]
    ranges = c.row_ranges
    for i, (g, w) in enumerate(zip(got, c.partitions)):
        facts = {ours: w[theirs] for ours, theirs in SERVER_PARTITIONS.items()}
        low, high = iso_ns(w["minTimestamp"]), iso_ns(w["maxTimestamp"])
        if low is None and w["attached"] and g["min_timestamp"] is not None:
            low, high = time_range(name, *ranges[i])        # where the server says nothing the truth may be said
        facts |= {"min_timestamp": low, "max_timestamp": high}
        bad += [f"{w['name']}.{k}: {g[k]!r} instead of {v!r}" for k, v in facts.items() if g[k] != v]
        bad += directory_problems(c, g, w)
    assert not bad, "\n".join(bad)


def directory_problems(c, g, w):
    """The directory exists, its name is the partition's with its name txn, and disk_size is what its files add up to."""
    base = os.path.basename(g["directory"].rstrip("/"))
    if w["attached"]:
        suffix = "" if g["name_txn"] in (None, -1) else f".{g['name_txn']}"
        if base != w["name"] + suffix:
            return [f"{w['name']}.directory: {g['directory']} with name txn {g['name_txn']}"]
    elif base != w["name"]:
        return [f"{w['name']}.directory: {g['directory']}"]
    directory = c.path / base
    if not directory.is_dir():
        return [] if w["numRows"] == 0 and g["disk_size"] == 0 else [f"{w['name']}: no directory {directory}"]
    out = []
    if g["disk_size"] != files.size(directory):
        out.append(f"{w['name']}.disk_size: {g['disk_size']}, the files have {files.size(directory)}")
    # a clean shutdown cuts the active partition's preallocated files (README, On disk)
    if not w["active"] and c.name not in DISK_SIZE_CHANGED and g["disk_size"] != w["diskSize"]:
        out.append(f"{w['name']}.disk_size: {g['disk_size']}, the server said {w['diskSize']}")
    return out


@pytest.mark.parametrize("name", ["live_bypass", "live_wal", "live_splits", "live_old_versions"])
def test_active_partition_of_a_live_table_has_the_servers_disk_size(con, name):
    c = case(name)
    got = rows(con, f"FROM questdb_partitions({text(c.path)}) WHERE active")
    assert [r["disk_size"] for r in got] == [p["diskSize"] for p in c.partitions if p["active"]]


@pytest.mark.parametrize("name", cases.READABLE)
def test_partitions_describe_the_rows_of_the_scan(con, name):
    """Rows and time range of each partition are those that read_partitions gives for it."""
    c = case(name)
    if c.timestamp is None:
        pytest.skip("no designated timestamp")
    ts = quote(c.timestamp)
    got = con.execute(f"""
        SELECT index, num_rows FROM questdb_partitions({text(c.path)}) WHERE attached AND num_rows > 0 ORDER BY index""").fetchall()
    scanned = con.execute(f"""
        SELECT partition, count(*), count({ts}) FROM read_partitions({text(c.path)}, partition := true)
        GROUP BY partition ORDER BY min({ts}), partition""").fetchall()
    assert [n for _, n in got] == [n for _, n, _ in scanned]


# ---- questdb_symbols ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, column", SYMBOLS)
def test_symbols(con, name, column):
    c = case(name)
    got = con.execute(f"SELECT key, value FROM questdb_symbols({text(c.path)}, {text(column)})").fetchall()
    assert [k for k, _ in got] == list(range(len(got)))
    assert all(v is not None for _, v in got)
    values = [v for _, v in got]
    assert len(set(values)) == len(values) or name == "odd_text"        # lone surrogates all become U+FFFD
    used = {v for v in truth.expected(name).column(column).unique().to_pylist() if v is not None}
    assert used <= set(values)
    size = next(s["symbolTableSize"] for s in c.schema if s["column"] == column)
    count = con.execute(f"SELECT symbol_count FROM questdb_columns({text(c.path)}) WHERE column_name = {text(column)}").fetchone()[0]
    assert len(values) == count and size - count in (0, 1)


@pytest.mark.parametrize("name, column", [("part_day", "sym"), ("part_none_nots", "sym"), ("sym_edge", "mixed"), ("same_ts", "sym")])
def test_symbol_keys_are_those_of_the_column_files(con, name, column):
    c = case(name)
    values = dict(con.execute(f"FROM questdb_symbols({text(c.path)}, {text(column)})").fetchall())
    want = truth.expected(name).column(column).to_pylist()
    for p, (start, end) in zip(c.attached, c.row_ranges):
        keys = np.fromfile(directory_of(c, p) / f"{column}.d", dtype="<i4")[:end - start]
        assert [values.get(int(k)) for k in keys] == want[start:end]


@pytest.mark.parametrize("column, hint", [("nothing", "nothing"), ("price", "price"), ("", "")])
def test_symbols_of_what_is_no_symbol_column_is_an_error(con, column, hint):
    with pytest.raises(duckdb.Error) as e:
        con.execute(f"FROM questdb_symbols({text(case('trades_2m').path)}, {text(column)})").fetchall()
    assert hint in str(e.value) and "INTERNAL" not in str(e.value)


# ---- all of them ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("function", ["questdb_columns", "questdb_partitions", "questdb_symbols"])
@pytest.mark.parametrize("path", ["NULL", "'/nowhere/at/all'", "''"])
def test_a_path_that_is_no_table_is_an_error(con, function, path):
    arguments = path + (", 'sym'" if function == "questdb_symbols" else "")
    with pytest.raises(duckdb.Error) as e:
        con.execute(f"FROM {function}({arguments})").fetchall()
    assert "INTERNAL" not in str(e.value)


@pytest.mark.parametrize("name", [n for n in cases.CORRUPT if case(n).info["broken_file"] in ("_meta", "_txn", "_cv")])
@pytest.mark.parametrize("function", ["questdb_columns", "questdb_partitions"])
def test_catalogue_of_a_damaged_table_is_an_error_or_an_answer(con, function, name):
    c = case(name)
    try:
        con.execute(f"FROM {function}({text(c.path)})").fetchall()
    except duckdb.Error as e:
        assert "INTERNAL" not in str(e) and "Panic" not in str(e)
        assert c.path.name in str(e), e
    assert con.execute("SELECT 42").fetchall() == [(42,)]


@pytest.mark.parametrize("function", ["read_partitions", "questdb_tables", "questdb_columns", "questdb_partitions", "questdb_symbols"])
def test_every_function_is_described(con, function):
    found = con.execute(f"SELECT description, examples FROM duckdb_functions() WHERE function_name = {text(function)}").fetchall()
    assert found
    for description, examples in found:
        assert description and len(description) > 20
        assert examples and any(function in e for e in examples)
