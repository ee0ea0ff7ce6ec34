//! `questdb_export_cancel(id)`: ends an export, and answers as the server's `COPY '<id>' CANCEL` does.

use duckdb_neo::connection::Context;
use duckdb_neo::signature::{FunctionDocumentationBuilder, FunctionParameter, SignatureBuilder};
use duckdb_neo::{extension::Extension, Result};
use questdb_storage::types::ValueType;

use crate::duckdb::arguments::Arguments;
use crate::duckdb::listing::{self, Cell, Listing};
use crate::jobs::{registry, JobId, BY_USER};

/// The answer about an id that nobody knows.
const UNKNOWN: &str = "unknown";

/// The function.
struct QuestdbExportCancel;

/// Registers the function.
pub fn register(extension: &Extension) -> Result<()> {
    listing::register(extension, QuestdbExportCancel)
}

impl Listing for QuestdbExportCancel {
    type Request = JobId;

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

    fn bind(&self, _context: &Context, mut arguments: Arguments) -> Result<JobId> {
        let id: String = arguments.required("id")?;
        JobId::parse(&id)
    }

    fn rows(&self, id: &JobId) -> questdb_storage::Result<Vec<Vec<Cell>>> {
        let status = registry::find(*id).map_or(UNKNOWN, |job| job.cancel(BY_USER));
        Ok(vec![vec![id.to_string().into(), status.into()]])
    }
}
