"""DuckDB's log: what the extension warned of."""


def enable(con):
    """From now on, warnings are kept."""
    con.execute("CALL enable_logging(level = 'warning')")


def warnings(con):
    """The messages so far, in order; the log is emptied."""
    found = con.execute("SELECT log_level, message FROM duckdb_logs WHERE type = 'QuestDB' ORDER BY timestamp").fetchall()
    con.execute("CALL truncate_duckdb_logs()")
    assert all(level == "WARNING" for level, _ in found), found
    return [message for _, message in found]


def error_text(error):
    """What an error of a query says, without its class and the line of the query."""
    return str(error).split(": ", 1)[1].split("\n\nLINE")[0]
