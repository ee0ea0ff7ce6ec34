//! DuckDB's log: `CALL enable_logging(level = 'warning')`, then `FROM duckdb_logs WHERE type = 'QuestDB'`.

use duckdb_neo::connection::Context;
use duckdb_neo::log::{Log, LogLevel};
use duckdb_neo::Result;

/// `type` of the extension's entries.
const TYPE: &str = "QuestDB";

/// Notes what does not end the query: damage with the text that the error would have, options that are ignored.
pub fn warn<'n, N: ToString + 'n>(context: &Context, notices: impl IntoIterator<Item = &'n N>) -> Result<()> {
    notices
        .into_iter()
        .try_for_each(|notice| Log::log_on_context(context, LogLevel::Warn, &notice.to_string(), TYPE))
}

/// Notes what a query did without being asked: a scan that started again.
pub fn info(context: &Context, message: &str) -> Result<()> {
    Log::log_on_context(context, LogLevel::Info, message, TYPE)
}
