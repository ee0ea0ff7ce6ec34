//! An execution of a scan, and starting it again when a server got in the way before the first row.

use std::sync::Arc;

use duckdb_neo::connection::Context;
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::Result;
use questdb_storage::scan::{Damage, Projected, Run, Runs, ScanPlan, Scanner, Start};
use questdb_storage::Snapshot;

use super::bind::{BindData, BoundState, Execution, COLUMNS_CHANGED};
use super::columns::{undeclared, OutputColumn};
use super::NAME;
use crate::duckdb::errors::to_duckdb;
use crate::duckdb::log;

/// A scan over one set of snapshots.
pub struct Scan {
    /// Hands out morsels.
    pub scanner: Arc<Scanner>,
    /// Output columns, in order.
    pub projection: Vec<OutputColumn>,
}

/// What all threads of a scan share.
pub struct GlobalState {
    /// Declared columns that are wanted.
    columns: Vec<usize>,
    _execution: Execution,
    /// What was found damaged, in all runs.
    pub damage: Arc<Damage>,
    runs: Runs<Scan>,
}

impl GlobalState {
    /// Starts an execution that returns the declared columns `columns`.
    pub fn new(bound: &BindData, context: &Context, columns: Vec<usize>) -> Result<Self> {
        let execution = bound.begin_execution()?;
        let damage = Arc::new(if bound.lenient { Damage::lenient() } else { Damage::default() });
        let runs = Runs::begin(&mut Starter { bound, context, columns: &columns, damage: &damage })?;
        Ok(Self { columns, _execution: execution, damage, runs })
    }

    /// The present run.
    pub fn run(&self) -> Arc<Run<Scan>> {
        self.runs.current()
    }

    /// Says that rows of run `number` are about to leave the scan; `false` when that run is over, and its rows
    /// must be dropped.
    pub fn emit(&self, number: u32) -> bool {
        self.runs.emit(number)
    }

    /// After `error` in run `number`: starts a new run, unless one was started already. Returns the error when
    /// it is no conflict, or when it is too late.
    pub fn restart(&self, bound: &BindData, context: &Context, number: u32, error: Error) -> Result<()> {
        let (columns, damage) = (&self.columns, &self.damage);
        self.runs.restart(number, error, &mut Starter { bound, context, columns, damage })
    }
}

/// Starts runs of a bound scan.
struct Starter<'a> {
    bound: &'a BindData,
    context: &'a Context,
    columns: &'a [usize],
    damage: &'a Arc<Damage>,
}

impl Start for Starter<'_> {
    type Scan = Scan;
    type Error = Error;

    fn is_conflict(&self, error: &Error) -> bool {
        error.code == DuckDBError::DatabaseTransaction && error.message != COLUMNS_CHANGED
    }

    fn may_renew(&self) -> bool {
        self.bound.can_refresh()
    }

    fn start(&mut self) -> Result<Scan> {
        start(self.bound, &self.bound.state(), self.columns, self.damage)
    }

    /// Notes the reason in DuckDB's log as well.
    fn start_again(&mut self, number: u32, conflict: &Error) -> Result<Scan> {
        let message = format!("{NAME}: restart {number}, before the first row: {}", conflict.message);
        log::info(self.context, &message)?;
        start(self.bound, &*self.bound.refresh()?, self.columns, self.damage)
    }
}

fn start(bound: &BindData, state: &BoundState, columns: &[usize], damage: &Arc<Damage>) -> Result<Scan> {
    let projection: Vec<OutputColumn> = columns
        .iter()
        .map(|index| state.columns.get(*index).cloned().ok_or_else(|| undeclared(*index)))
        .collect::<Result<_>>()?;
    let scanner = Scanner::with_damage(plans(bound, state, &projection), Arc::clone(damage));
    let scanner = scanner.map_err(to_duckdb)?;
    Ok(Scan { scanner, projection })
}

/// One plan per table.
fn plans(bound: &BindData, state: &BoundState, projection: &[OutputColumn]) -> Vec<ScanPlan> {
    let filter = bound.filter();
    let plan = |(table, snapshot): (usize, &Snapshot)| {
        let in_table = |column: &OutputColumn| column.position(table).unwrap_or(Projected::Missing);
        let filter = filter.map_columns(&|column| match state.columns.get(column)?.position(table)? {
            Projected::Column(index) => Some(index),
            Projected::Missing => None,
        });
        let filter = match snapshot.timestamp().filter(|_| bound.lenient) {
            Some(timestamp) => filter.with_lost_times(timestamp),
            None => filter,
        };
        ScanPlan::with(snapshot, projection.iter().map(in_table).collect(), filter, state.raw_types)
    };
    state.snapshots.iter().enumerate().map(plan).collect()
}
