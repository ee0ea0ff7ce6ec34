//! One query sees one state of a table, also when it names the table twice.
//!
//! DuckDB binds each mention of a function by itself and does not say which query a bind belongs to. All
//! mentions of one query are bound one after the other, though, in one session and before any of them is
//! executed. So a snapshot is shared by the binds of a session that follow each other within
//! [`WINDOW`], until one of them is executed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use duckdb_neo::connection::Context;
use duckdb_neo::Result;
use questdb_storage::table::SnapshotMode;
use questdb_storage::{Snapshot, Table};

use crate::duckdb::errors::to_duckdb;
use crate::duckdb::session;

/// How long a snapshot waits for the next mention of its table. Only statements that are bound and not
/// executed (EXPLAIN, PREPARE) leave one behind for so long.
const WINDOW: Duration = Duration::from_millis(50);

/// The state of a table for all mentions of it in one query. A statement that is executed again without being
/// bound again (a prepared one without parameters) gets a new state for each execution.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Group>);

#[derive(Debug)]
struct Group {
    table: Table,
    mode: SnapshotMode,
    has_other_scans: AtomicBool,
    /// Number of the execution that the snapshot belongs to, from 1; the bind's own is the first one's.
    current: Mutex<(usize, Snapshot)>,
}

impl Shared {
    /// Whether another scan of the query has this state as well, so that it cannot be replaced by a newer one.
    pub fn is_shared(&self) -> bool {
        self.0.has_other_scans.load(Ordering::Acquire)
    }

    /// The state for execution `number` of the statement.
    pub fn at(&self, number: usize) -> questdb_storage::Result<Snapshot> {
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 < number {
            *current = (number, self.0.table.snapshot_in(self.0.mode)?);
        }
        Ok(current.1.clone())
    }

    /// A newer state for the same execution.
    pub fn renew(&self) -> questdb_storage::Result<Snapshot> {
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.1 = self.0.table.snapshot_in(self.0.mode)?;
        Ok(current.1.clone())
    }
}

struct Taken {
    session: i64,
    at: Instant,
    shared: Shared,
}

static RECENT: Mutex<Vec<Taken>> = Mutex::new(Vec::new());

/// The state of `table` for the query that is being bound.
pub fn take(context: &Context, table: &Table, mode: SnapshotMode) -> Result<Shared> {
    let session = session::number(context)?;
    let known = |recent: &[Taken]| {
        let same = |t: &&Taken| {
            let group = &t.shared.0;
            t.session == session && group.mode == mode && group.table.dir() == table.dir()
        };
        recent.iter().find(same).map(|t| t.shared.clone())
    };
    if let Some(shared) = known(&recent()) {
        shared.0.has_other_scans.store(true, Ordering::Release);
        return Ok(shared);
    }
    let snapshot = table.snapshot_in(mode).map_err(to_duckdb)?;
    let shared = Shared(Arc::new(Group {
        table: table.clone(),
        mode,
        has_other_scans: AtomicBool::new(false),
        current: Mutex::new((1, snapshot)),
    }));
    recent().push(Taken { session, at: Instant::now(), shared: shared.clone() });
    Ok(shared)
}

/// Says that a query of the session is executed: later binds belong to another one.
pub fn executed(context: &Context) -> Result<()> {
    let session = session::number(context)?;
    recent().retain(|taken| taken.session != session);
    Ok(())
}

/// The snapshots that still wait.
fn recent() -> MutexGuard<'static, Vec<Taken>> {
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    recent.retain(|taken| taken.at.elapsed() < WINDOW);
    recent
}
