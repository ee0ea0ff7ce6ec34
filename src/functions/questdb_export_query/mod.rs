//! `questdb_export_query(sql, destination, …)`: any query over QuestDB's directories and over files, as Parquet files.
//!
//! ```text
//! bind     arguments → a private instance with the session's settings, in which the query is bound
//! init     a job: in the background, or on a thread of its own for this statement
//! run      the private instance's rows → Arrow → the writer
//! exec     hands on what the thread has written, and looks whether the statement was interrupted
//! ```

pub mod bind;
pub mod run;
pub mod state;

use std::sync::Arc;

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::connection::Context;
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::signature::{FunctionDocumentationBuilder, FunctionParameter, SignatureBuilder};
use duckdb_neo::table_function::{
    BindFunctionHandle, ExecColumnInfo, InitColumnData, TableFunctionBuilder, TableFunctionCallbacks,
};
use duckdb_neo::{extension::Extension, Result};

use self::bind::BindData;
use self::state::GlobalState;
use super::questdb_export::{columns, option_help, option_names, optional, BACKGROUND};
use crate::duckdb::arguments::{named, Arguments};
use crate::duckdb::errors::guard;
use crate::duckdb::listing::{declare, projection, write_rows};
use crate::jobs::Queue;

/// SQL name.
pub const NAME: &str = "questdb_export_query";

/// Name of the parameter with a database root.
const ATTACH: &str = "attach";

/// The function.
struct QuestdbExportQuery {
    queue: Arc<Queue>,
}

/// Registers the function.
pub fn register(extension: &Extension, queue: &Arc<Queue>) -> Result<()> {
    TableFunctionBuilder::new(NAME, signature(), QuestdbExportQuery { queue: Arc::clone(queue) })
        .with_projection_pushdown(true)
        .with_progress()
        .register(extension)
}

/// Parameters, in the order in which [`bind`] takes them.
fn signature() -> SignatureBuilder {
    let signature = SignatureBuilder::new()
        .param(FunctionParameter::new::<String>("sql"))
        .param(FunctionParameter::new::<String>("destination"))
        .param(named(ATTACH, String::new()))
        .param(named(BACKGROUND, false));
    option_names().fold(signature, |signature, name| signature.param(optional(name))).documentation(
        FunctionDocumentationBuilder::new()
            .description(format!(
                "Writes the rows of a query as Parquet files and returns one row for each finished row group. The query \
                 runs in a private DuckDB instance with the settings of the session. It sees QuestDB's table \
                 directories, files and what attach names, and nothing of this database: use COPY for its tables. sql: \
                 the query. destination: directory of the new files; a single file gets its name with .parquet. \
                 attach: a QuestDB database root whose tables the query can name. background: answers at once with \
                 the id of a job, which questdb_exports, questdb_export_log and questdb_export_cancel know (default \
                 false). {} The files appear when all of them are complete: run it without LIMIT.",
                option_help()
            ))
            .add_example(
                "A query",
                "FROM questdb_export_query('SELECT symbol, avg(price) FROM ''db/trades~12'' GROUP BY ALL', 'out/prices')",
            )
            .add_example(
                "Tables by name, in the background",
                "FROM questdb_export_query('FROM trades WHERE price > 100', 'out/large', attach := 'db', background := true)",
            )
            .add_category("questdb"),
    )
}

impl TableFunctionCallbacks for QuestdbExportQuery {
    type BindData = BindData;
    type LocalState = ();
    type GlobalState = GlobalState;

    fn bind(
        &self,
        context: &Context,
        arguments: Vec<BindArgument>,
        handle: BindFunctionHandle<'_>,
    ) -> Result<Self::BindData> {
        guard(|| {
            let bound = bind::bind(context, Arguments::new(NAME, arguments))?;
            declare(context, &handle, columns(bound.background))?;
            Ok(bound)
        })
    }

    fn init_global_state(
        &self,
        bound: &Self::BindData,
        _context: &Context,
        columns: InitColumnData<'_>,
    ) -> Result<(Option<Self::GlobalState>, Option<usize>)> {
        guard(|| {
            let projection = projection(&columns)?;
            Ok((Some(GlobalState::new(bound, &self.queue, projection)?), Some(1)))
        })
    }

    fn exec(
        &self,
        bound: &Self::BindData,
        global: Option<&Self::GlobalState>,
        _local: Option<&mut Self::LocalState>,
        context: &Context,
        output: DataChunkRef<'_>,
        _columns: ExecColumnInfo<'_>,
    ) -> Result<()> {
        guard(|| {
            let Some(global) = global else { return Ok(()) };
            let rows = global.next(context)?;
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
