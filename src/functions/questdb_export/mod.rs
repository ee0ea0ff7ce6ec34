//! `questdb_export(path, destination, …)`: a table as Parquet files, straight from its columns.
//!
//! ```text
//! bind     arguments → snapshot, columns, options                     nothing is written
//! init     export partitions → scan plans → morsels = row groups      staging directory
//! exec     claim a row group, decode, check, encode, hand over        on DuckDB's threads, one row for each
//! the last exec publishes the files; dropping the state without that removes them
//! ```
//!
//! With `background := true`, init hands the same work to the queue of the database, and the only row says its id.

pub mod background;
pub mod bind;
mod columns;
mod partitions;
pub mod paths;
pub mod run;
pub mod state;

use std::sync::Arc;

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::connection::Context;
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::signature::{
    FunctionDocumentationBuilder, FunctionParameter, FunctionParameterKind, SignatureBuilder,
};
use duckdb_neo::table_function::{
    BindFunctionHandle, ExecColumnInfo, InitColumnData, OrderPreservation, TableFunctionBuilder,
    TableFunctionCallbacks,
};
use duckdb_neo::types::Any;
use duckdb_neo::{extension::Extension, Result};
use questdb_parquet::options::{CLICKHOUSE, TABLE};
use questdb_storage::types::ValueType;

use self::bind::BindData;
use self::run::LocalState;
use self::state::GlobalState;
use crate::duckdb::arguments::{named, Arguments};
use crate::duckdb::errors::{guard, test_panic};
use crate::duckdb::listing::{declare, projection, write_rows};
use crate::duckdb::session;
use crate::functions::resolve;
use crate::jobs::Queue;

/// SQL name.
pub const NAME: &str = "questdb_export";

/// Result columns.
const COLUMNS: &[(&str, ValueType)] = &[
    ("file", ValueType::Text),
    ("partition", ValueType::Text),
    ("row_group", ValueType::Int64),
    ("rows", ValueType::Int64),
    ("uncompressed_bytes", ValueType::Int64),
    ("compressed_bytes", ValueType::Int64),
];

/// Result columns in the background.
const BACKGROUND_COLUMNS: &[(&str, ValueType)] =
    &[("id", ValueType::Text), ("destination", ValueType::Text), ("status", ValueType::Text)];

/// Name of the parameter that chooses them.
pub const BACKGROUND: &str = "background";

/// The function.
struct QuestdbExport {
    queue: Arc<Queue>,
}

/// Registers the function.
pub fn register(extension: &Extension, queue: &Arc<Queue>) -> Result<()> {
    TableFunctionBuilder::new(NAME, signature(), QuestdbExport { queue: Arc::clone(queue) })
        .with_projection_pushdown(true)
        .with_progress()
        .register(extension)
}

/// A named parameter that may be anything, and is NULL when it is left out.
pub fn optional(name: &str) -> FunctionParameter {
    FunctionParameter::new::<Any>(name).default_value(None::<bool>).kind(FunctionParameterKind::Named)
}

/// Every name that an option has, in the order of the signature.
pub fn option_names() -> impl Iterator<Item = &'static str> {
    let own = TABLE.iter().flat_map(|spec| std::iter::once(&spec.name).chain(spec.aliases));
    own.chain(CLICKHOUSE).copied()
}

/// What each option does, from the engine's table.
pub fn option_help() -> String {
    let help = TABLE.iter().map(|spec| {
        let aliases = spec.aliases.iter().map(|alias| format!(" {alias}: the same as {}.", spec.name));
        format!("{}: {}{}", spec.name, spec.text, aliases.collect::<String>())
    });
    let all_names = CLICKHOUSE.iter().map(|name| format!("{name}: ClickHouse's name of the same."));
    help.chain(all_names).collect::<Vec<_>>().join(" ")
}

/// Parameters, in the order in which [`bind`] takes them.
fn signature() -> SignatureBuilder {
    let signature = SignatureBuilder::new()
        .param(resolve::path_parameter())
        .param(FunctionParameter::new::<String>("destination"))
        .param(resolve::table_name_parameter())
        .param(optional("columns"))
        .param(optional("partitions"))
        .param(optional("from_ts"))
        .param(optional("to_ts"))
        .param(named(BACKGROUND, false));
    option_names().fold(signature, |signature, name| signature.param(optional(name))).documentation(
        FunctionDocumentationBuilder::new()
            .description(format!(
                "Writes a QuestDB table as Parquet files, straight from its directory, and returns one row for each \
                 finished row group. {} destination: directory of the new files; a single file gets its name with \
                 .parquet. columns: names of the columns to write, in this order. partitions: \
                 names of the table's partitions to write, as questdb_partitions lists them. from_ts: first timestamp of the rows to \
                 write. to_ts: first timestamp behind them. background: answers at once with the id of a job, which \
                 questdb_exports, questdb_export_log and questdb_export_cancel know (default false). {} The files appear when all of them are complete: run it \
                 without LIMIT.",
                resolve::PATH_HELP,
                option_help()
            ))
            .add_example("A table", "FROM questdb_export('db/trades~12', 'out/trades')")
            .add_example(
                "Options",
                "FROM questdb_export('db', 'out', table_name := 'trades', row_group_size := 1000000, \
                 compression_codec := 'zstd', partition_by := 'month')",
            )
            .add_example("In the background", "FROM questdb_export('db/trades~12', 'out/trades', background := true)")
            .add_category("questdb"),
    )
}

/// The result columns of a call.
pub fn columns(background: bool) -> &'static [(&'static str, ValueType)] {
    if background {
        BACKGROUND_COLUMNS
    } else {
        COLUMNS
    }
}

impl TableFunctionCallbacks for QuestdbExport {
    type BindData = BindData;
    type LocalState = LocalState;
    type GlobalState = GlobalState;

    fn bind(
        &self,
        context: &Context,
        arguments: Vec<BindArgument>,
        handle: BindFunctionHandle<'_>,
    ) -> Result<Self::BindData> {
        guard(|| {
            test_panic("export bind");
            let bound = bind::bind(context, Arguments::new(NAME, arguments))?;
            declare(context, &handle, columns(bound.background))?;
            handle.set_order(OrderPreservation::None)?;
            Ok(bound)
        })
    }

    fn init_global_state(
        &self,
        bound: &Self::BindData,
        context: &Context,
        columns: InitColumnData<'_>,
    ) -> Result<(Option<Self::GlobalState>, Option<usize>)> {
        guard(|| {
            let projection = projection(&columns)?;
            let global = GlobalState::new(bound, &self.queue, session::threads(context)?, projection)?;
            let threads = global.threads();
            Ok((Some(global), Some(threads)))
        })
    }

    fn init_local_state(
        &self,
        _bound: &Self::BindData,
        global: Option<&Self::GlobalState>,
        _context: &Context,
        _columns: InitColumnData<'_>,
    ) -> Result<Option<Self::LocalState>> {
        guard(|| Ok(global.and_then(GlobalState::local)))
    }

    fn exec(
        &self,
        bound: &Self::BindData,
        global: Option<&Self::GlobalState>,
        local: Option<&mut Self::LocalState>,
        context: &Context,
        output: DataChunkRef<'_>,
        _columns: ExecColumnInfo<'_>,
    ) -> Result<()> {
        guard(|| {
            test_panic("export exec");
            let Some(global) = global else { return Ok(()) };
            let rows = global.next(context, local)?;
            write_rows(context, &output, columns(bound.background), global.projection(), &rows)
        })
    }

    fn progress(
        &self,
        _bound: &Self::BindData,
        global: Option<&Self::GlobalState>,
        _context: &Context,
    ) -> Result<Option<f64>> {
        Ok(global.map(GlobalState::progress))
    }
}
