//! One query sees one state of a table, also when it names the table twice.
//!
//! DuckDB binds each mention of a function by itself and does not say which query a bind belongs to. All
//! mentions of one query are bound one after the other, though, in one session and before any of them is
//! executed. So a snapshot is shared by the binds of a session that follow each other within
//! [`WINDOW`], until one of them is executed.

use std::path::PathBuf;
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

/// A snapshot, and whether several scans depend on it being the same.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The state of the table.
    pub snapshot: Snapshot,
    is_shared: Arc<AtomicBool>,
}

impl Shared {
    /// Whether another scan of the query has this snapshot as well, so that it cannot be replaced by a newer one.
    pub fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Acquire)
    }
}

struct Taken {
    session: i64,
    dir: PathBuf,
    mode: SnapshotMode,
    at: Instant,
    shared: Shared,
}

static RECENT: Mutex<Vec<Taken>> = Mutex::new(Vec::new());

/// The state of `table` for the query that is being bound.
pub fn take(context: &Context, table: &Table, mode: SnapshotMode) -> Result<Shared> {
    let session = session::number(context)?;
    let known = |recent: &[Taken]| {
        let same = |t: &&Taken| t.session == session && t.mode == mode && t.dir == table.dir();
        recent.iter().find(same).map(|t| t.shared.clone())
    };
    if let Some(shared) = known(&recent()) {
        shared.is_shared.store(true, Ordering::Release);
        return Ok(shared);
    }
    let snapshot = table.snapshot_in(mode).map_err(to_duckdb)?;
    let shared = Shared { snapshot, is_shared: Arc::default() };
    let taken =
        Taken { session, dir: table.dir().to_owned(), mode, at: Instant::now(), shared: shared.clone() };
    recent().push(taken);
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
