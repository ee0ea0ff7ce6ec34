//! Bind: arguments → table, columns, options. Nothing is written.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use duckdb_neo::connection::Context;
use duckdb_neo::error::Error;
use duckdb_neo::logical_type::LogicalType;
use duckdb_neo::types::{TimestampNsValue, TimestampValue};
use duckdb_neo::value::Value;
use duckdb_neo::Result;
use questdb_parquet::options::{Context as OptionsOf, Mode, PartitionUnit};
use questdb_parquet::sink::{self, Address};
use questdb_parquet::{OptionValue, Options, Plan};
use questdb_storage::format::meta::PartitionBy;
use questdb_storage::scan::{CompareOp, Filter, Literal, ScanPlan};
use questdb_storage::types::TimeUnit;
use questdb_storage::{Snapshot, Table};

use super::columns::Columns;
use super::partitions::restrict;
use super::paths::{address_of, key};
use super::{option_names, BACKGROUND};
use crate::duckdb::arguments::Arguments;
use crate::duckdb::errors::{binder, conflict, export_error, to_duckdb};
use crate::duckdb::log;
use crate::duckdb::options::option_value;
use crate::functions::resolve;
use crate::jobs::{self, Description, Settings};

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

/// A checked export. It holds nothing of DuckDB's.
pub struct Request {
    table: Table,
    snapshot: Snapshot,
    names: Option<Vec<String>>,
    columns: Columns,
    /// Partitions of the table by name; all when `None`.
    pub partitions: Option<Vec<String>>,
    /// The time range.
    pub filter: Filter,
    /// Where the files go.
    pub destination: PathBuf,
    /// The options; the unit of partitions is settled.
    pub options: Options,
    /// Unit of the files.
    pub unit: PartitionUnit,
    /// Position in the snapshot of the timestamp that partitions the files, when it is not the designated one.
    pub other_timestamp: bool,
}

/// The arguments of a call.
#[derive(Default)]
pub struct Call {
    /// The table, or the root of its database.
    pub path: String,
    /// Where the files go.
    pub destination: String,
    /// The table of a database root.
    pub table_name: Option<String>,
    /// Columns; all when `None`.
    pub names: Option<Vec<String>>,
    /// Partitions of the table; all when `None`.
    pub partitions: Option<Vec<String>>,
    /// First timestamp.
    pub from: Option<Value>,
    /// First timestamp behind the rows.
    pub to: Option<Value>,
    /// On threads of our own, behind the answer.
    pub background: bool,
    /// Options of the writer.
    pub given: Vec<(String, OptionValue)>,
}

/// Takes the arguments of the SQL function.
pub fn bind(context: &Context, mut arguments: Arguments) -> Result<BindData> {
    let path: String = arguments.required("path")?;
    let destination: String = arguments.required("destination")?;
    let table_name = resolve::table_name(&mut arguments)?;
    let names = arguments.next("columns")?.map(|value| list(context, "columns", &value)).transpose()?;
    let partitions =
        arguments.next("partitions")?.map(|value| list(context, "partitions", &value)).transpose()?;
    let (from, to) = (arguments.next("from_ts")?, arguments.next("to_ts")?);
    let background = arguments.switch(BACKGROUND)?;
    let mut given: Vec<(String, OptionValue)> = Vec::new();
    for name in option_names() {
        if let Some(value) = arguments.next(name)? {
            given.push((name.to_owned(), option_value(context, name, &value)?));
        }
    }
    check(context, Call { path, destination, table_name, names, partitions, from, to, background, given })
}

/// Checks a call.
pub fn check(context: &Context, call: Call) -> Result<BindData> {
    let Call { path, destination, table_name, names, partitions, from, to, background, given } = call;
    let mut options = Options::parse(given, OptionsOf::Function).map_err(export_error)?;
    log::warn(context, &options.notices)?;
    let table = resolve::table(context, &path, table_name.as_deref())?;
    let snapshot = table.snapshot().map_err(to_duckdb)?;
    let columns = Columns::new(&snapshot, names.as_deref(), options.format)?;
    if let Some(names) = &partitions {
        restrict(&mut ScanPlan::with(&snapshot, Vec::new(), Filter::all(), true), names)?;
    }
    let filter = time_filter(context, &snapshot, from, to)?;
    let (unit, other_timestamp) = partition_unit(&snapshot, &options)?;
    options.partition_unit = Some(unit);
    if options.root_name == Options::default().root_name {
        options.root_name = snapshot.name().to_owned();
    }
    options.compress_by_name(Path::new(&destination));
    let address = destination_address(context, &destination, &snapshot, &options)?;
    let description = description(&snapshot, &address, &options);
    let destination = address.path;
    sink::check(&destination, &options).map_err(export_error)?;
    let request = Request {
        table,
        snapshot,
        names,
        columns,
        partitions,
        filter,
        destination,
        options,
        unit,
        other_timestamp,
    };
    // Whatever is wrong with the options for this table, it is said before anything is written.
    request.plan(&request.columns, Arc::default())?;
    let settings = Settings::of(context)?;
    Ok(BindData { request: Arc::new(request), description, settings, background })
}

fn description(snapshot: &Snapshot, address: &Address, options: &Options) -> Description {
    Description {
        table_name: Some(snapshot.name().to_owned()),
        destination: jobs::shown(&address.path.to_string_lossy()),
        key: key(address),
        is_remote: address.endpoint.is_some(),
        mode: mode_name(options.mode),
        include_metrics: options.include_metrics,
    }
}

/// What `mode` was said.
pub fn mode_name(mode: Option<Mode>) -> Option<&'static str> {
    mode.map(|mode| match mode {
        Mode::MultiFile => "multi_file",
        Mode::SingleFile => "single_file",
    })
}

impl Request {
    /// The table as it is now, which must have the columns that bind saw.
    pub fn snapshot(&self) -> Result<(Snapshot, Columns)> {
        let snapshot = self.table.snapshot().map_err(to_duckdb)?;
        let columns = Columns::new(&snapshot, self.names.as_deref(), self.options.format)?;
        if !columns.is_same(&self.columns) || snapshot.timestamp() != self.snapshot.timestamp() {
            return Err(conflict(
                "The columns of the table changed before it was exported; run the query again",
            ));
        }
        Ok((snapshot, columns))
    }

    /// Whether the rows' partitions and row groups are known before they are read.
    pub fn is_planned(&self) -> bool {
        self.options.row_group.bytes.is_none()
            && self.options.row_group.rows.is_some()
            && !self.other_timestamp
    }

    /// The writer's plan.
    pub fn plan(&self, columns: &Columns, cancel: Arc<AtomicBool>) -> Result<Plan> {
        let mut options = self.options.clone();
        if self.is_planned() {
            // The scan partitions; the timestamp itself need not be among the columns.
            options.partition_unit = None;
            options.timestamp = None;
        }
        Plan::new(Arc::clone(&columns.schema), &columns.hints(), options, cancel).map_err(export_error)
    }
}

fn list(context: &Context, argument: &str, value: &Value) -> Result<Vec<String>> {
    let wrong = || binder(format!("Argument \"{argument}\" of questdb_export must be a list of names"));
    match option_value(context, argument, value)? {
        OptionValue::Text(name) => Ok(vec![name]),
        OptionValue::List(values) => values
            .into_iter()
            .map(|value| match value {
                OptionValue::Text(name) => Ok(name),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    }
}

/// Rows from `from` up to, not including, `to`.
fn time_filter(
    context: &Context,
    snapshot: &Snapshot,
    from: Option<Value>,
    to: Option<Value>,
) -> Result<Filter> {
    let mut parts = Vec::new();
    for (name, op, value) in [("from_ts", CompareOp::Ge, from), ("to_ts", CompareOp::Lt, to)] {
        let Some(value) = value else { continue };
        let column = snapshot.timestamp().ok_or_else(|| {
            binder(format!(
                "Argument \"{name}\" needs a designated timestamp, which table \"{}\" does not have",
                snapshot.name()
            ))
        })?;
        let instant = instant(context, &value, snapshot.time_unit())
            .map_err(|e| Error { message: format!("Argument \"{name}\": {}", e.message), ..e })?;
        parts.push(Filter::Compare { column, op, value: Literal::Int(instant.into()) });
    }
    Ok(if parts.is_empty() { Filter::all() } else { Filter::And(parts) })
}

fn instant(context: &Context, value: &Value, unit: TimeUnit) -> Result<i64> {
    let cast = |sql: &str| value.cast(context, &LogicalType::from_text(context, sql)?);
    let found = match unit {
        TimeUnit::Micros => cast("TIMESTAMP")?.get::<TimestampValue>()?.map(|time| time.0),
        TimeUnit::Nanos => cast("TIMESTAMP_NS")?.get::<TimestampNsValue>()?.map(|time| time.0),
    };
    found.ok_or_else(|| Error::invalid_input("not a timestamp"))
}

/// The unit of the files, and whether another column than the designated timestamp decides.
fn partition_unit(snapshot: &Snapshot, options: &Options) -> Result<(PartitionUnit, bool)> {
    let designated = snapshot.timestamp().and_then(|index| snapshot.columns().get(index));
    let other = match (&options.timestamp, designated) {
        (None, _) => false,
        (Some(name), Some(column)) => snapshot.column_index(name) != snapshot.column_index(&column.name),
        (Some(_), None) => true,
    };
    let unit = match options.partition_unit {
        Some(unit) => unit,
        None if options.mode == Some(Mode::SingleFile) => PartitionUnit::None,
        None if designated.is_none() && !other => PartitionUnit::None,
        None => match snapshot.meta().partition_by {
            PartitionBy::Hour => PartitionUnit::Hour,
            PartitionBy::Day => PartitionUnit::Day,
            PartitionBy::Week => PartitionUnit::Week,
            PartitionBy::Month => PartitionUnit::Month,
            PartitionBy::Year => PartitionUnit::Year,
            PartitionBy::None | PartitionBy::NotApplicable => PartitionUnit::None,
        },
    };
    if unit != PartitionUnit::None && designated.is_none() && !other {
        return Err(binder(format!(
            "Option \"partition_by\": partitioning is possible only with a timestamp, and table \"{}\" has no \
             designated one\nName a column with the option timestamp.",
            snapshot.name()
        )));
    }
    Ok((unit, other && unit != PartitionUnit::None))
}

/// The destination: a place in a bucket, or an absolute path, which must not lie in the table that is read.
fn destination_address(
    context: &Context,
    destination: &str,
    snapshot: &Snapshot,
    options: &Options,
) -> Result<Address> {
    if destination.trim().is_empty() {
        return Err(binder("Argument \"destination\" of questdb_export is empty"));
    }
    let address = address_of(context, destination, options)?;
    if address.endpoint.is_some() {
        return Ok(address);
    }
    let path = &address.path;
    let table = std::fs::canonicalize(snapshot.dir()).unwrap_or_else(|_| snapshot.dir().to_owned());
    if jobs::resolved(path).starts_with(&table) {
        return Err(Error::invalid_input(format!(
            "The destination \"{}\" lies inside the table that is exported, \"{}\"\nChoose a directory outside of the \
             database.",
            path.display(),
            snapshot.dir().display()
        )));
    }
    Ok(address)
}
