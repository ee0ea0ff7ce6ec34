//! One query sees one state of a table, also when it names the table twice.
//!
//! DuckDB binds each mention of a function by itself and does not say which query a bind belongs to. All
//! mentions of one query are bound one after the other, though, in one session and before any of them is
//! executed. So a snapshot is shared by the binds of a session that follow each other within
//! [`WINDOW`], until one of them is executed.

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
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// Number of the execution that the snapshot belongs to, from 1; the bind's own is the first one's.
    number: usize,
    /// Scans of that execution that have begun.
    begun: usize,
    snapshot: Snapshot,
}

impl Shared {
    /// The state, for declaring columns.
    pub fn snapshot(&self) -> Snapshot {
        self.current().snapshot.clone()
    }

    /// The state for a scan that begins, in execution `number` of the statement.
    pub fn begin(&self, number: usize) -> questdb_storage::Result<Snapshot> {
        let mut current = self.current();
        if current.number < number {
            *current = Current { number, begun: 0, snapshot: self.0.table.snapshot_in(self.0.mode)? };
        }
        current.begun += 1;
        Ok(current.snapshot.clone())
    }

    /// Whether the state can be replaced by a newer one: no other scan of the execution has begun with it.
    pub fn can_renew(&self) -> bool {
        self.current().begun <= 1
    }

    /// A newer state for the same execution.
    pub fn renew(&self) -> questdb_storage::Result<Snapshot> {
        let snapshot = self.0.table.snapshot_in(self.0.mode)?;
        self.current().snapshot = snapshot.clone();
        Ok(snapshot)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
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
        return Ok(shared);
    }
    let snapshot = table.snapshot_in(mode).map_err(to_duckdb)?;
    let shared = Shared(Arc::new(Group {
        table: table.clone(),
        mode,
        current: Mutex::new(Current { number: 1, begun: 0, snapshot }),
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
