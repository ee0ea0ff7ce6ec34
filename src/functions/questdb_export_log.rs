//! `questdb_export_log()`: the steps of all exports, as the server's `sys.copy_export_log` shows them.

use std::path::PathBuf;

use duckdb_neo::connection::Context;
use duckdb_neo::signature::{FunctionDocumentationBuilder, SignatureBuilder};
use duckdb_neo::{extension::Extension, Result};
use questdb_storage::types::ValueType;
use questdb_storage::ErrorKind;

use crate::duckdb::arguments::Arguments;
use crate::duckdb::listing::{self, Cell, Listing};
use crate::jobs::log::{self, LogRow};
use crate::jobs::settings;

/// The function.
struct QuestdbExportLog;

/// Which rows.
struct Request {
    /// Microseconds; `None` is all.
    retention: Option<i64>,
    /// The log file.
    path: Option<PathBuf>,
}

/// Registers the function.
pub fn register(extension: &Extension) -> Result<()> {
    listing::register(extension, QuestdbExportLog)
}

impl Listing for QuestdbExportLog {
    type Request = Request;

    const NAME: &'static str = "questdb_export_log";

    const COLUMNS: &'static [(&'static str, ValueType)] = &[
        ("ts", ValueType::TimestampUs),
        ("id", ValueType::Text),
        ("table_name", ValueType::Text),
        ("export_path", ValueType::Text),
        ("num_exported_files", ValueType::Int32),
        ("phase", ValueType::Text),
        ("status", ValueType::Text),
        ("message", ValueType::Text),
        ("errors", ValueType::Int64),
        ("rows", ValueType::Int64),
        ("bytes", ValueType::Int64),
        ("progress", ValueType::Float64),
    ];

    fn signature() -> SignatureBuilder {
        SignatureBuilder::new().documentation(
            FunctionDocumentationBuilder::new()
                .description(
                    "Lists the steps of exports, oldest first: a row when a step begins and one when it ends, with the \
                     columns of QuestDB's sys.copy_export_log, and the rows and bytes written and the percentage of \
                     rows read by then. The log is that of the process and of the file that the setting \
                     questdb_export_log_path names, for as many days as questdb_export_log_retention_days says.",
                )
                .add_example("The last steps", "FROM questdb_export_log() ORDER BY ts DESC LIMIT 10")
                .add_example(
                    "Exports that failed",
                    "SELECT id, table_name, message FROM questdb_export_log() WHERE status = 'failed'",
                )
                .add_category("questdb"),
        )
    }

    fn bind(&self, context: &Context, _arguments: Arguments) -> Result<Request> {
        Ok(Request { retention: settings::retention(context)?, path: settings::log_path(context)? })
    }

    fn rows(&self, request: &Request) -> questdb_storage::Result<Vec<Vec<Cell>>> {
        let rows = log::all(request.path.as_deref(), request.retention);
        let rows = rows.map_err(|error| questdb_storage::Error::new(ErrorKind::Io, error.message))?;
        Ok(rows.into_iter().map(cells).collect())
    }
}

fn cells(row: LogRow) -> Vec<Cell> {
    vec![
        row.ts.into(),
        row.id.into(),
        row.table_name.into(),
        row.export_path.into(),
        row.num_exported_files.into(),
        row.phase.into_owned().into(),
        row.status.into_owned().into(),
        row.message.into(),
        row.errors.into(),
        row.rows.into(),
        row.bytes.into(),
        row.progress.into(),
    ]
}
