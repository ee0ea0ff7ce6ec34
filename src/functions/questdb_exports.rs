//! `questdb_exports()`: one row for each export, with its result.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::connection::Context;
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::logical_type::LogicalType;
use duckdb_neo::signature::{FunctionDocumentationBuilder, SignatureBuilder};
use duckdb_neo::table_function::{
    BindFunctionHandle, ExecColumnInfo, InitColumnData, TableFunctionBuilder, TableFunctionCallbacks,
};
use duckdb_neo::{extension::Extension, Result};

use crate::duckdb::errors::guard;
use crate::duckdb::listing::projection;
use crate::duckdb::values::{write_fields, Field};
use crate::duckdb::vectors::CHUNK_ROWS;
use crate::jobs::{registry, Job, Outcome, Summary, View};

/// SQL name.
const NAME: &str = "questdb_exports";

/// Result columns.
const COLUMNS: &[(&str, &str)] = &[
    ("id", "VARCHAR"),
    ("status", "VARCHAR"),
    ("table_name", "VARCHAR"),
    ("destination", "VARCHAR"),
    ("phase", "VARCHAR"),
    ("progress", "DOUBLE"),
    ("rows", "BIGINT"),
    ("bytes", "BIGINT"),
    ("started", "TIMESTAMP"),
    ("ended", "TIMESTAMP"),
    ("message", "VARCHAR"),
    (
        "export_result",
        "STRUCT(files VARCHAR[], \"mode\" VARCHAR, num_row_groups BIGINT, average_uncompressed_row_group_size BIGINT, \
         output_prefix VARCHAR, total_row_count BIGINT, total_uncompressed_byte_size BIGINT)",
    ),
    ("metrics", "STRUCT(elapsed_time DOUBLE, rss_peak_bytes BIGINT)"),
];

/// The function.
struct QuestdbExports;

/// All rows, and how many of them were returned.
struct State {
    rows: Vec<Vec<Field>>,
    next: AtomicUsize,
    projection: Vec<usize>,
}

/// Registers the function.
pub fn register(extension: &Extension) -> Result<()> {
    let signature = SignatureBuilder::new().documentation(
        FunctionDocumentationBuilder::new()
            .description(
                "Lists the exports of this process, oldest first: those that wait or run, with how far they are, and \
                 those that ended, with their error, or with their files, row groups, rows and bytes in export_result. \
                 metrics holds seconds and the process's memory when the export has include_metrics. Times are UTC. An \
                 export is forgotten as its log is (setting questdb_export_log_retention_days).",
            )
            .add_example("What runs", "SELECT id, destination, progress FROM questdb_exports() WHERE status = 'running'")
            .add_example("A result", "SELECT unnest(export_result.files) FROM questdb_exports() WHERE id = '00f1c2d3e4a5b697'")
            .add_category("questdb"),
    );
    TableFunctionBuilder::new(NAME, signature, QuestdbExports)
        .with_projection_pushdown(true)
        .register(extension)
}

impl TableFunctionCallbacks for QuestdbExports {
    type BindData = ();
    type LocalState = ();
    type GlobalState = State;

    fn bind(&self, context: &Context, _: Vec<BindArgument>, handle: BindFunctionHandle<'_>) -> Result<()> {
        guard(|| {
            COLUMNS.iter().try_for_each(|(name, sql)| {
                handle.add_result_column(name, &LogicalType::from_text(context, sql)?)
            })
        })
    }

    fn init_global_state(
        &self,
        (): &(),
        _context: &Context,
        columns: InitColumnData<'_>,
    ) -> Result<(Option<State>, Option<usize>)> {
        guard(|| {
            let projection = projection(&columns)?;
            let rows = registry::all().iter().map(row).collect();
            Ok((Some(State { rows, next: AtomicUsize::new(0), projection }), Some(1)))
        })
    }

    fn exec(
        &self,
        (): &(),
        state: Option<&State>,
        _local: Option<&mut ()>,
        context: &Context,
        mut chunk: DataChunkRef<'_>,
        _columns: ExecColumnInfo<'_>,
    ) -> Result<()> {
        guard(|| {
            let Some(state) = state else { return Ok(()) };
            let start = state.next.fetch_add(CHUNK_ROWS, Ordering::Relaxed).min(state.rows.len());
            let rows = state.rows.get(start..state.rows.len().min(start + CHUNK_ROWS)).unwrap_or_default();
            write_fields(context, &mut chunk, &state.projection, rows)
        })
    }
}

fn number(value: u64) -> Field {
    Field::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn text(value: &str) -> Field {
    Field::Text(Some(value.to_owned()))
}

fn row(job: &Arc<Job>) -> Vec<Field> {
    let view = job.view();
    let (rows, bytes) = (job.counters().rows(), job.counters().bytes());
    let (message, result) = match &view.outcome {
        Some(Outcome::Failed(message) | Outcome::Cancelled(message)) => (Some(message.clone()), None),
        Some(Outcome::Finished(result)) => (view.restarts.clone(), Some(result)),
        None => (view.restarts.clone(), None),
    };
    vec![
        text(&job.id().to_string()),
        text(view.status),
        text(&job.table_name()),
        text(&job.description().destination),
        text(view.phase),
        Field::Float(Some(job.counters().progress())),
        number(result.map_or(rows, |result| result.rows)),
        number(result.map_or(bytes, |result| result.bytes)),
        Field::Time(view.begun),
        Field::Time(view.ended),
        Field::Text(message),
        Field::Struct(result.map(|result| export_result(job, result))),
        Field::Struct(metrics(job, &view)),
    ]
}

/// The export API's `export_result`.
fn export_result(job: &Job, result: &Summary) -> Vec<(&'static str, Field)> {
    vec![
        ("files", Field::Texts(result.files.clone())),
        ("mode", text(job.description().mode.unwrap_or(result.mode()))),
        ("num_row_groups", number(result.row_groups)),
        ("average_uncompressed_row_group_size", number(result.average_row_group_bytes)),
        ("output_prefix", text(&result.prefix)),
        ("total_row_count", number(result.rows)),
        ("total_uncompressed_byte_size", number(result.uncompressed)),
    ]
}

fn metrics(job: &Job, view: &View) -> Option<Vec<(&'static str, Field)>> {
    if !job.description().include_metrics {
        return None;
    }
    let elapsed = view.elapsed.map(|elapsed| elapsed.as_secs_f64());
    let rss = job.counters().rss_peak().map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    Some(vec![("elapsed_time", Field::Float(elapsed)), ("rss_peak_bytes", Field::Int(rss))])
}
