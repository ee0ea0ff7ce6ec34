//! An execution of a scan, and starting it again when a server got in the way before the first row.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::Result;
use questdb_storage::scan::{Damage, Projected, ScanPlan, Scanner};
use questdb_storage::Snapshot;

use super::bind::{BindData, BoundState, Execution};
use super::columns::{undeclared, OutputColumn};
use crate::duckdb::errors::to_duckdb;

/// New starts that a conflict may cause, with pauses that grow from 1 to 64 ms.
const MOST_STARTS: u32 = 20;

/// A scan over one set of snapshots.
pub struct Run {
    /// How many runs there were before.
    pub number: u32,
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
    current: RwLock<Current>,
}

struct Current {
    run: Arc<Run>,
    /// Whether a row left the scan: then it cannot start again.
    emitted: bool,
}

impl GlobalState {
    /// Starts an execution that returns the declared columns `columns`.
    pub fn new(bound: &BindData, columns: Vec<usize>) -> Result<Self> {
        let execution = bound.begin_execution()?;
        let damage = Arc::new(if bound.lenient { Damage::lenient() } else { Damage::default() });
        let mut state = bound.state();
        let mut number = 0;
        loop {
            match start(bound, &state, &columns, &damage, number) {
                Ok(run) => {
                    let current = RwLock::new(Current { run: Arc::new(run), emitted: false });
                    return Ok(Self { columns, _execution: execution, damage, current });
                }
                Err(error) if !is_conflict(&error) || number >= MOST_STARTS || !bound.can_refresh() => {
                    return Err(error)
                }
                Err(_) => {
                    pause(number);
                    number += 1;
                    state = bound.refresh()?;
                }
            }
        }
    }

    /// The present run.
    pub fn run(&self) -> Arc<Run> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).run)
    }

    /// Says that rows of run `number` are about to leave the scan; `false` when that run is over, and its rows
    /// must be dropped.
    pub fn emit(&self, number: u32) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if current.run.number != number || current.emitted {
            return current.run.number == number;
        }
        drop(current);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let is_current = current.run.number == number;
        current.emitted |= is_current;
        is_current
    }

    /// After `error` in run `number`: starts a new run, unless one was started already. Returns the error when
    /// it is no conflict, or when it is too late.
    pub fn restart(&self, bound: &BindData, number: u32, error: Error) -> Result<()> {
        if !is_conflict(&error) {
            return Err(error);
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.run.number != number {
            return Ok(());
        }
        if current.emitted || number >= MOST_STARTS || !bound.can_refresh() {
            return Err(error);
        }
        let mut next = number;
        loop {
            pause(next);
            next += 1;
            match bound.refresh().and_then(|state| start(bound, &state, &self.columns, &self.damage, next)) {
                Ok(run) => {
                    current.run = Arc::new(run);
                    return Ok(());
                }
                Err(error) if !is_conflict(&error) || next >= MOST_STARTS => return Err(error),
                Err(_) => {}
            }
        }
    }
}

fn is_conflict(error: &Error) -> bool {
    error.code == DuckDBError::DatabaseTransaction
}

fn pause(attempt: u32) {
    std::thread::sleep(Duration::from_millis(1 << attempt.min(6)));
}

fn start(
    bound: &BindData,
    state: &BoundState,
    columns: &[usize],
    damage: &Arc<Damage>,
    number: u32,
) -> Result<Run> {
    let projection: Vec<OutputColumn> = columns
        .iter()
        .map(|index| state.columns.get(*index).cloned().ok_or_else(|| undeclared(*index)))
        .collect::<Result<_>>()?;
    let scanner = Scanner::with_damage(plans(bound, state, &projection), Arc::clone(damage));
    let scanner = scanner.map_err(to_duckdb)?;
    Ok(Run { number, scanner, projection })
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
