//! Bind: arguments → a query with known columns, options, a destination. Nothing is written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::{Schema, SchemaRef};
use duckdb_neo::connection::{Connection, Context};
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::query_result::StatementType;
use duckdb_neo::statement::Statement;
use duckdb_neo::Result;
use questdb_parquet::options::{Context as OptionsOf, Format, PartitionUnit};
use questdb_parquet::sink::{self, Address};
use questdb_parquet::{OptionValue, Options, Plan};

use super::{ATTACH, NAME};
use crate::copy::json_types::JsonSession;
use crate::copy::types::Target;
use crate::duckdb::arguments::Arguments;
use crate::duckdb::errors::{binder, export_error, without_class};
use crate::duckdb::log;
use crate::duckdb::options::option_value;
use crate::duckdb::private::Inherited;
use crate::functions::questdb_export::bind::mode_name;
use crate::functions::questdb_export::paths::{address_of, key};
use crate::functions::questdb_export::{option_names, BACKGROUND};
use crate::functions::{questdb_attach, register_readers};
use crate::jobs::{self, Description, Settings};

/// What an error about an unknown table adds.
const PRIVATE: &str = "questdb_export_query runs the query in an instance of its own, which sees table directories, files and \
                       the tables of attach := 'root', but no table of this database: write those with COPY (…) TO … \
                       (FORMAT questdb_parquet).";

/// A checked call.
pub struct BindData {
    /// What to do.
    pub request: Arc<Request>,
    /// The job that it becomes.
    pub description: Description,
    /// Settings of the session.
    pub settings: Settings,
    /// On threads of our own, behind the answer.
    pub background: bool,
}

/// A checked export. It holds nothing of the database that it was started from.
pub struct Request {
    sql: String,
    /// Statements that come before the query.
    setup: String,
    inherited: Inherited,
    /// The instance that bound the query, for the first execution.
    bound_in: Mutex<Option<Connection>>,
    /// How each column is written.
    pub targets: Vec<Target>,
    /// What batches look like.
    pub schema: SchemaRef,
    /// Where the files go.
    pub destination: PathBuf,
    /// The options.
    pub options: Options,
}

/// The arguments of a call.
#[derive(Default)]
pub struct Call {
    /// The query.
    pub sql: String,
    /// Where the files go.
    pub destination: String,
    /// A database root, or nothing.
    pub root: String,
    /// On threads of our own, behind the answer.
    pub background: bool,
    /// Options of the writer.
    pub given: Vec<(String, OptionValue)>,
}

/// Takes the arguments of the SQL function.
pub fn bind(context: &Context, mut arguments: Arguments) -> Result<BindData> {
    let sql: String = arguments.required("sql")?;
    let destination: String = arguments.required("destination")?;
    let root: String = arguments.required(ATTACH)?;
    let background = arguments.switch(BACKGROUND)?;
    let mut given: Vec<(String, OptionValue)> = Vec::new();
    for name in option_names() {
        if let Some(value) = arguments.next(name)? {
            given.push((name.to_owned(), option_value(context, name, &value)?));
        }
    }
    check(context, Call { sql, destination, root, background, given })
}

/// Checks a call.
pub fn check(context: &Context, call: Call) -> Result<BindData> {
    let Call { sql, destination, root, background, given } = call;
    let mut options = Options::parse(given, OptionsOf::Function).map_err(export_error)?;
    log::warn(context, &options.notices)?;
    options.partition_unit.get_or_insert(PartitionUnit::None);
    options.compress_by_name(Path::new(&destination));
    let address = destination_address(context, &destination, &options)?;
    sink::check(&address.path, &options).map_err(export_error)?;
    let setup = match root.as_str() {
        "" => String::new(),
        root => {
            let schema = questdb_attach::DEFAULT_SCHEMA;
            let views = questdb_attach::attach(context, root, schema, false, false)?;
            format!("{views};\nSET search_path = 'main,{schema}'")
        }
    };
    let settings = Settings::of(context)?;
    let inherited = Inherited::of(context, settings.threads)?;
    let connection = inherited.open(register_readers, &setup)?;
    let json = match options.format {
        Format::Parquet => None,
        Format::Jsonl => Some(JsonSession::of(context)?),
    };
    let (targets, schema) = columns(&connection, &sql, json.as_ref()).map_err(explain)?;
    let description = Description {
        table_name: None,
        destination: jobs::shown(&address.path.to_string_lossy()),
        key: key(&address),
        is_remote: address.endpoint.is_some(),
        mode: mode_name(options.mode),
        include_metrics: options.include_metrics,
    };
    let destination = address.path;
    let bound_in = Mutex::new(Some(connection));
    let request = Request { sql, setup, inherited, bound_in, targets, schema, destination, options };
    // Whatever is wrong with the options for these columns, it is said before anything is written.
    request.plan(Arc::default())?;
    Ok(BindData { request: Arc::new(request), description, settings, background })
}

impl Request {
    /// The writer's plan.
    pub fn plan(&self, cancel: Arc<std::sync::atomic::AtomicBool>) -> Result<Plan> {
        Plan::new(Arc::clone(&self.schema), &[], self.options.clone(), cancel).map_err(export_error)
    }

    /// A connection to the instance that runs the query: the one that bound it, or, the second time, a new one.
    pub fn connection(&self) -> Result<Connection> {
        let first = self.bound_in.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map_or_else(|| self.inherited.open(register_readers, &self.setup), Ok)
    }

    /// The query.
    pub fn statement(&self, connection: &Connection) -> Result<Statement<'static>> {
        statement(connection, &self.sql)
    }
}

/// The only statement of `sql`, which must be a query.
fn statement(connection: &Connection, sql: &str) -> Result<Statement<'static>> {
    let wrong = |what: &str| binder(format!("Argument \"sql\" of {NAME} must be one query, found {what}"));
    let mut statements = connection.parse(sql)?;
    let statement = statements.next().ok_or_else(|| wrong("nothing"))??;
    if statements.next().is_some() {
        return Err(wrong("several statements"));
    }
    match statement.get_type()? {
        StatementType::Select => Ok(statement),
        other => Err(wrong(&format!("a statement of type {other:?}"))),
    }
}

/// The columns of the query.
fn columns(
    connection: &Connection,
    sql: &str,
    json: Option<&JsonSession>,
) -> Result<(Vec<Target>, SchemaRef)> {
    let bound = statement(connection, sql)?.bind(connection)?;
    if bound.parameters.len()? > 0 {
        return Err(binder(format!("Argument \"sql\" of {NAME} has parameters, which have no values there")));
    }
    let mut targets = Vec::new();
    let mut fields = Vec::new();
    for (name, logical_type) in bound.schema.get_all()? {
        let target = Target::new(&logical_type, json).map_err(|type_text| Error {
            code: DuckDBError::QueryNotImplemented,
            message: format!(
                "Column \"{name}\" has type {type_text}, which cannot be written\nCast it to VARCHAR, or leave \
                 it out."
            ),
        })?;
        fields.push(target.field(&name, true));
        targets.push(target);
    }
    Ok((targets, Arc::new(Schema::new(fields))))
}

/// An error of the private instance, with a word about what it does not see.
pub fn explain(error: Error) -> Error {
    let error = without_class(error);
    if error.code == DuckDBError::DatabaseCatalog {
        return Error { message: format!("{}\n{PRIVATE}", error.message), ..error };
    }
    error
}

/// The destination: a place in a bucket, or an absolute path, which must not lie in a table.
fn destination_address(context: &Context, destination: &str, options: &Options) -> Result<Address> {
    if destination.trim().is_empty() {
        return Err(binder(format!("Argument \"destination\" of {NAME} is empty")));
    }
    let address = address_of(context, destination, options)?;
    if address.endpoint.is_some() {
        return Ok(address);
    }
    let path = &address.path;
    let is_table = |dir: &&Path| dir.join("_txn").is_file() && dir.join("_meta").is_file();
    match jobs::resolved(path).ancestors().find(is_table) {
        Some(table) => Err(Error::invalid_input(format!(
            "The destination \"{}\" lies inside a table, \"{}\"\nChoose a directory outside of the database.",
            path.display(),
            table.display()
        ))),
        None => Ok(address),
    }
}
