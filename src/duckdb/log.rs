//! DuckDB's log: `CALL enable_logging(level = 'warning')`, then `FROM duckdb_logs WHERE type = 'QuestDB'`.

use duckdb_neo::connection::Context;
use duckdb_neo::log::{Log, LogLevel};
use duckdb_neo::Result;

/// `type` of the extension's entries.
const TYPE: &str = "QuestDB";

/// Notes damage that does not end the query, each with the text that the error would have.
pub fn warn<'e>(
    context: &Context,
    damage: impl IntoIterator<Item = &'e questdb_storage::Error>,
) -> Result<()> {
    damage
        .into_iter()
        .try_for_each(|error| Log::log_on_context(context, LogLevel::Warn, &error.to_string(), TYPE))
}
