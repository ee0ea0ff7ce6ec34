//! `questdb_export_api(request, source, …)`: the export API's request body in, its response body out.

mod request;
mod response;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::connection::Context;
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::logical_type::LogicalType;
use duckdb_neo::signature::{FunctionDocumentationBuilder, FunctionParameter, SignatureBuilder};
use duckdb_neo::table_function::{
    BindFunctionHandle, ExecColumnInfo, InitColumnData, TableFunctionBuilder, TableFunctionCallbacks,
};
use duckdb_neo::{extension::Extension, Result};
use questdb_storage::types::ValueType;

use self::request::Request;
use super::questdb_export::{self, background};
use super::questdb_export_query::{self, state::POLL};
use crate::duckdb::arguments::{named, Arguments};
use crate::duckdb::errors::guard;
use crate::duckdb::listing::{write_rows, Cell};
use crate::duckdb::{paths, session};
use crate::functions::resolve;
use crate::jobs::{registry, Attended, Description, Job, Settings};

/// SQL name.
const NAME: &str = "questdb_export_api";

/// Result column; a JSON where DuckDB has the type.
const COLUMNS: &[(&str, ValueType)] = &[("response", ValueType::Text)];

/// The function.
struct QuestdbExportApi;

/// The arguments.
pub struct Call {
    request: String,
    source: String,
    table_name: Option<String>,
    root: String,
}

/// A checked request.
struct Checked {
    description: Description,
    settings: Settings,
    destination: PathBuf,
    task: crate::jobs::Task,
}

/// Registers the function.
pub fn register(extension: &Extension) -> Result<()> {
    let signature = SignatureBuilder::new()
        .param(FunctionParameter::new::<String>("request"))
        .param(FunctionParameter::new::<String>("source"))
        .param(resolve::table_name_parameter())
        .param(named("attach", String::new()))
        .documentation(
            FunctionDocumentationBuilder::new()
                .description(
                    "Does what the request body of an export API asks for and returns the response body: code, data with \
                     export_result and metrics, exception, success. What goes wrong is in the response, too. request: a \
                     JSON object with export_paths (paths: one directory, storage_config: an object store), format, \
                     include_metrics, max_row_groups_per_file, mode, row_group_size in bytes, target_file_size_bytes. \
                     source: a table directory, a database root (with table_name), or a query. table_name: the table \
                     of a database root. attach: a database root whose tables a query can name.",
                )
                .add_example(
                    "A table",
                    "FROM questdb_export_api('{\"export_paths\": {\"paths\": [\"out/trades\"]}, \"include_metrics\": true}', 'db/trades~12')",
                )
                .add_example(
                    "A query",
                    "FROM questdb_export_api('{\"export_paths\": {\"paths\": [\"out/large\"]}}', 'FROM trades WHERE price > 100', attach := 'db')",
                )
                .add_category("questdb"),
        );
    TableFunctionBuilder::new(NAME, signature, QuestdbExportApi).register(extension)
}

impl TableFunctionCallbacks for QuestdbExportApi {
    type BindData = Call;
    type LocalState = ();
    type GlobalState = AtomicBool;

    fn bind(
        &self,
        context: &Context,
        arguments: Vec<BindArgument>,
        handle: BindFunctionHandle<'_>,
    ) -> Result<Call> {
        guard(|| {
            let mut arguments = Arguments::new(NAME, arguments);
            let call = Call {
                request: arguments.required("request")?,
                source: arguments.required("source")?,
                table_name: resolve::table_name(&mut arguments)?,
                root: arguments.required("attach")?,
            };
            let json = LogicalType::from_text(context, "JSON");
            let json = json.or_else(|_| LogicalType::from_text(context, "VARCHAR"))?;
            COLUMNS.iter().try_for_each(|(name, _)| handle.add_result_column(name, &json))?;
            Ok(call)
        })
    }

    fn init_global_state(
        &self,
        _call: &Call,
        _context: &Context,
        _columns: InitColumnData<'_>,
    ) -> Result<(Option<AtomicBool>, Option<usize>)> {
        Ok((Some(AtomicBool::new(false)), Some(1)))
    }

    fn exec(
        &self,
        call: &Call,
        answered: Option<&AtomicBool>,
        _local: Option<&mut ()>,
        context: &Context,
        output: DataChunkRef<'_>,
        _columns: ExecColumnInfo<'_>,
    ) -> Result<()> {
        guard(|| {
            let mut rows = Vec::new();
            if answered.is_some_and(|answered| !answered.swap(true, Ordering::AcqRel)) {
                rows.push(vec![Cell::Text(respond(context, call)?)]);
            }
            write_rows(context, &output, COLUMNS, &[0], &rows)
        })
    }
}

/// The response. Only an interrupt is an error of the statement.
fn respond(context: &Context, call: &Call) -> Result<String> {
    match export(context, call) {
        Ok(job) => Ok(response::success(&job)),
        Err(error) if error.code == DuckDBError::RuntimeInterrupt => Err(error),
        Err(error) => Ok(response::failure(&error)),
    }
}

/// Exports, and waits for it.
fn export(context: &Context, call: &Call) -> Result<Arc<Job>> {
    let checked = check(context, call, Request::parse(&call.request)?)?;
    let job = Job::new(checked.description, &checked.settings);
    registry::add(&job)?;
    let attended = Attended::start(Arc::clone(&job), checked.task)?;
    loop {
        match attended.wait(POLL) {
            Some(outcome) => return outcome.map(|()| job),
            None => session::check_interrupt(context, &checked.destination)?,
        }
    }
}

/// Whether `source` names a directory. Without permission nothing is looked at; what cannot be a query is refused then.
fn is_directory(context: &Context, source: &str) -> Result<bool> {
    let Ok(path) = paths::expand(context, source) else { return Ok(false) };
    match paths::ask(context, &path) {
        Ok(()) => Ok(path.is_dir()),
        Err(_) if source.contains(char::is_whitespace) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A source that is a directory is a table, everything else a query.
fn check(context: &Context, call: &Call, request: Request) -> Result<Checked> {
    let Request { destination, options: given } = request;
    if call.table_name.is_some() || is_directory(context, &call.source)? {
        let bound = questdb_export::bind::check(
            context,
            questdb_export::bind::Call {
                path: call.source.clone(),
                destination,
                table_name: call.table_name.clone(),
                given,
                ..Default::default()
            },
        )?;
        let request = bound.request;
        return Ok(Checked {
            description: bound.description,
            settings: bound.settings,
            destination: request.destination.clone(),
            task: Box::new(move |job| background::run(&request, job)),
        });
    }
    let bound = questdb_export_query::bind::check(
        context,
        questdb_export_query::bind::Call {
            sql: call.source.clone(),
            destination,
            root: call.root.clone(),
            given,
            ..Default::default()
        },
    )
    .map_err(|error| match error.code {
        DuckDBError::QueryParser => Error {
            message: format!("The source is neither a directory nor a query: {}", error.message),
            ..error
        },
        _ => error,
    })?;
    let request = bound.request;
    Ok(Checked {
        description: bound.description,
        settings: bound.settings,
        destination: request.destination.clone(),
        task: Box::new(move |job| questdb_export_query::run::run(&request, job, None)),
    })
}
