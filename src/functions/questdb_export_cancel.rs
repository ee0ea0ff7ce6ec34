//! `questdb_export_cancel(id)`: ends an export, and answers as the server's `COPY '<id>' CANCEL` does.

use std::path::{Path, PathBuf};

use duckdb_neo::connection::Context;
use duckdb_neo::signature::{FunctionDocumentationBuilder, FunctionParameter, SignatureBuilder};
use duckdb_neo::{extension::Extension, Result};
use questdb_storage::types::ValueType;
use questdb_storage::ErrorKind;

use crate::duckdb::arguments::Arguments;
use crate::duckdb::listing::{self, Cell, Listing};
use crate::jobs::{log, registry, settings, JobId, BY_USER};

/// The answer about an id that nobody knows.
const UNKNOWN: &str = "unknown";

/// The function.
struct QuestdbExportCancel;

/// Registers the function.
pub fn register(extension: &Extension) -> Result<()> {
    listing::register(extension, QuestdbExportCancel)
}

/// Which export.
struct Request {
    id: JobId,
    /// The log file.
    path: Option<PathBuf>,
}

/// How an export of another process, or one that was forgotten, has ended.
fn elsewhere(id: JobId, path: Option<&Path>) -> questdb_storage::Result<Option<String>> {
    let rows =
        log::all(path, None).map_err(|error| questdb_storage::Error::new(ErrorKind::Io, error.message))?;
    let id = id.to_string();
    let last = rows.into_iter().rfind(|row| row.id == id && log::is_last(row));
    Ok(last.map(|row| row.status.into_owned()))
}

impl Listing for QuestdbExportCancel {
    type Request = Request;

    const NAME: &'static str = "questdb_export_cancel";

    const COLUMNS: &'static [(&'static str, ValueType)] =
        &[("id", ValueType::Text), ("status", ValueType::Text)];

    fn signature() -> SignatureBuilder {
        SignatureBuilder::new().param(FunctionParameter::new::<String>("id")).documentation(
            FunctionDocumentationBuilder::new()
                .description(
                    "Ends an export of this process and returns its status: cancelled when it was waiting or running, \
                     otherwise how it had ended (finished, failed or cancelled), or unknown. A cancelled export leaves \
                     no files. id: the id that questdb_export returned with background := true, or one of \
                     questdb_exports().",
                )
                .add_example("An export", "FROM questdb_export_cancel('00f1c2d3e4a5b697')")
                .add_category("questdb"),
        )
    }

    fn bind(&self, context: &Context, mut arguments: Arguments) -> Result<Request> {
        let id: String = arguments.required("id")?;
        Ok(Request { id: JobId::parse(&id)?, path: settings::log_path(context)? })
    }

    fn rows(&self, request: &Request) -> questdb_storage::Result<Vec<Vec<Cell>>> {
        let id = request.id;
        let status = match registry::find(id) {
            Some(job) => job.cancel(BY_USER).to_owned(),
            None => elsewhere(id, request.path.as_deref())?.unwrap_or_else(|| UNKNOWN.to_owned()),
        };
        Ok(vec![vec![id.to_string().into(), status.into()]])
    }
}
