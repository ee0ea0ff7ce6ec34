//! Bind: arguments → snapshots → declared columns.

use std::sync::{Arc, Mutex, PoisonError};

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::connection::Context;
use duckdb_neo::table_function::BindFunctionHandle;
use duckdb_neo::Result;
use questdb_storage::scan::Filter;
use questdb_storage::table::SnapshotMode;
use questdb_storage::Snapshot;

use super::columns::{declare, ColumnOptions, OutputColumn};
use super::files::{self, BoundFiles, FileArguments};
use super::paths::{self, Found};
use super::snapshots::{self, Shared};
use super::NAME;
use crate::duckdb::arguments::Arguments;
use crate::duckdb::errors::{binder, conflict, test_panic, to_duckdb};
use crate::functions::resolve;

/// The conflict that no further snapshot settles: the query must be bound again.
pub const COLUMNS_CHANGED: &str =
    "The columns of the table have changed: run the query again, or prepare its statement again";

/// A bound scan.
pub enum Bound {
    /// Of tables.
    Tables(BindData),
    /// Of Parquet files without a table around them.
    Files(BoundFiles),
}

/// A bound scan of tables.
pub struct BindData {
    options: ColumnOptions,
    /// Whether to read around damage.
    pub lenient: bool,
    state: Mutex<Arc<BoundState>>,
    executions: Arc<Mutex<Executions>>,
    shared: Vec<Shared>,
    /// What the query asked for, in terms of declared columns. Set by the optimizer between bind and init.
    filter: Mutex<Filter>,
}

/// How often a bind was executed. One that begins while another one is at work belongs to the same query.
#[derive(Debug, Default)]
struct Executions {
    number: usize,
    at_work: usize,
}

/// An execution at work; ends when it is dropped.
#[derive(Debug)]
pub struct Execution(Arc<Mutex<Executions>>);

impl Drop for Execution {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at_work -= 1;
    }
}

/// The states of the tables that a bind describes: all of its executions and threads see the same.
pub struct BoundState {
    /// One per table.
    pub snapshots: Vec<Snapshot>,
    /// Declared columns.
    pub columns: Vec<OutputColumn>,
    /// Numbers and bytes instead of text forms.
    pub raw_types: bool,
}

pub fn bind(
    context: &Context,
    arguments: Vec<BindArgument>,
    handle: &BindFunctionHandle<'_>,
) -> Result<Bound> {
    test_panic("bind");
    let mut arguments = Arguments::new(NAME, arguments);
    let path = arguments.next("path")?.ok_or_else(|| arguments.null("path"))?;
    let table_name = resolve::table_name(&mut arguments)?;
    let enums = symbols_as_enums(&arguments.required::<String>("symbols")?)?;
    let options = ColumnOptions {
        enums,
        raw_types: arguments.switch("raw_types")?,
        filename: arguments.switch("filename")?,
        file_row_number: arguments.switch("file_row_number")?,
        partition: arguments.switch("partition")?,
        union_by_name: arguments.switch("union_by_name")?,
    };
    let mode = snapshot_mode(&arguments.required::<String>("snapshot")?)?;
    let lenient = arguments.switch("lenient")?;
    let file_arguments = FileArguments::take(&mut arguments)?;
    let tables = match paths::find(context, &arguments, &path, table_name.as_deref())? {
        Found::Tables(tables) => tables,
        Found::Files(_) if mode == SnapshotMode::Checkpoint => {
            return Err(binder(
                "snapshot := 'checkpoint' needs a table, and the path names Parquet files without one",
            ))
        }
        Found::Files(found) => {
            return files::bind(context, found, options, lenient, file_arguments, handle).map(Bound::Files)
        }
    };
    file_arguments.refuse_for_tables()?;
    let shared: Vec<Shared> =
        tables.iter().map(|table| snapshots::take(context, table, mode)).collect::<Result<_>>()?;
    let state = BoundState::new(shared.iter().map(Shared::snapshot).collect(), options)?;
    for column in &state.columns {
        handle.add_result_column(&column.name, &column.logical_type(context)?)?;
    }
    let rows = state.snapshots.iter().fold(0u64, |sum, t| sum.saturating_add(t.rows()));
    handle.set_cardinality(usize::try_from(rows).unwrap_or(usize::MAX), !lenient)?;
    Ok(Bound::Tables(BindData {
        options,
        lenient,
        state: Mutex::new(Arc::new(state)),
        executions: Arc::default(),
        shared,
        filter: Mutex::new(Filter::all()),
    }))
}

impl BindData {
    /// The states that this bind describes now.
    pub fn state(&self) -> Arc<BoundState> {
        Arc::clone(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins an execution. From the second one on, which a prepared statement makes, the states are new; those
    /// that another scan of the query has renewed are taken over.
    pub fn begin_execution(&self) -> Result<Execution> {
        let (number, is_new) = {
            let mut executions = self.executions.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = executions.at_work == 0;
            executions.number += usize::from(is_new);
            executions.at_work += 1;
            (executions.number, is_new)
        };
        let execution = Execution(Arc::clone(&self.executions));
        if is_new {
            let snapshots = self.shared.iter().map(|shared| shared.begin(number));
            let snapshots: Vec<Snapshot> =
                snapshots.collect::<questdb_storage::Result<_>>().map_err(to_duckdb)?;
            let state = self.state();
            if !state.snapshots.iter().zip(&snapshots).all(|(a, b)| a.is(b)) {
                self.replace(snapshots)?;
            }
        }
        Ok(execution)
    }

    /// What the query asked for.
    pub fn filter(&self) -> Filter {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what the query asked for.
    pub fn set_filter(&self, filter: Filter) {
        *self.filter.lock().unwrap_or_else(PoisonError::into_inner) = filter;
    }

    /// Whether the states can be replaced by newer ones: nobody else depends on them.
    pub fn can_refresh(&self) -> bool {
        let executions = self.executions.lock().unwrap_or_else(PoisonError::into_inner);
        executions.at_work <= 1 && self.shared.iter().all(Shared::can_renew)
    }

    /// Replaces the states by the present ones, whose columns must be those that were declared.
    pub fn refresh(&self) -> Result<Arc<BoundState>> {
        let snapshots = self.shared.iter().map(Shared::renew);
        self.replace(snapshots.collect::<questdb_storage::Result<_>>().map_err(to_duckdb)?)
    }

    fn replace(&self, snapshots: Vec<Snapshot>) -> Result<Arc<BoundState>> {
        let fresh = Arc::new(BoundState::new(snapshots, self.options)?);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let same = state.columns.len() == fresh.columns.len()
            && state.columns.iter().zip(&fresh.columns).all(|(a, b)| a.is_declared_like(b));
        if !same {
            return Err(conflict(COLUMNS_CHANGED));
        }
        *state = Arc::clone(&fresh);
        Ok(fresh)
    }
}

impl BoundState {
    fn new(snapshots: Vec<Snapshot>, options: ColumnOptions) -> Result<Self> {
        let columns = declare(&snapshots, options)?;
        Ok(Self { snapshots, columns, raw_types: options.raw_types })
    }
}

fn symbols_as_enums(value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "varchar" => Ok(false),
        "enum" => Ok(true),
        _ => Err(binder(format!(
            "Expected \"symbols\" argument to be any of [varchar or enum], found \"{value}\""
        ))),
    }
}

fn snapshot_mode(value: &str) -> Result<SnapshotMode> {
    match value.to_lowercase().as_str() {
        "auto" => Ok(SnapshotMode::Automatic),
        "validate" => Ok(SnapshotMode::Validate),
        "checkpoint" => Ok(SnapshotMode::Checkpoint),
        "none" => Ok(SnapshotMode::Unchecked),
        _ => Err(binder(format!(
            "Expected \"snapshot\" argument to be any of [auto, validate, checkpoint or none], found \"{value}\""
        ))),
    }
}
