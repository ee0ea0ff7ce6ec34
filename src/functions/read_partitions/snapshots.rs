//! One query sees one state of a table, also when it names the table twice.
//!
//! DuckDB binds each mention of a function by itself and does not say which query a bind belongs to. All
//! mentions of one query are bound one after the other, though, in one session and before any of them is
//! executed. So a snapshot, and which directory a table's name stands for, is shared by the binds of a session
//! that follow each other within [`WINDOW`], until one of them is executed. The time for which the thread waits for a
//! processor does not count.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duckdb_neo::connection::Context;
use duckdb_neo::Result;
use questdb_storage::table::SnapshotMode;
use questdb_storage::{Database, Snapshot, Table};

use super::moment::Moment;
use crate::duckdb::errors::to_duckdb;
use crate::duckdb::{paths, session};

/// How long these wait for the next mention of its table. Only statements that are bound and not
/// executed (EXPLAIN, PREPARE) leave one behind for so long.
const WINDOW: Duration = Duration::from_millis(100);

/// How long mentions that follow each other share them at most.
const LONGEST: Duration = Duration::from_secs(1);

/// When they are given up, by the clock, however busy the machine is.
const GIVEN_UP: Duration = Duration::from_secs(10);

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
    first: Moment,
    /// The last mention.
    last: Moment,
    what: What,
}

impl Taken {
    fn new(session: i64, what: What) -> Self {
        let now = Moment::now();
        Self { session, first: now, last: now, what }
    }
}

/// What the mentions of one query share.
enum What {
    /// The state of a table.
    State(Shared),
    /// Which table has a name: it can be dropped and created again between two mentions.
    Named { root: PathBuf, name: String, table: Table },
}

static RECENT: Mutex<Vec<Taken>> = Mutex::new(Vec::new());

/// The state of `table` for the query that is being bound.
pub fn take(context: &Context, table: &Table, mode: SnapshotMode) -> Result<Shared> {
    let session = session::number(context)?;
    let known = mentioned(session, |what| match what {
        What::State(shared) if shared.0.mode == mode && shared.0.table.dir() == table.dir() => {
            Some(shared.clone())
        }
        _ => None,
    });
    if let Some(shared) = known {
        return Ok(shared);
    }
    let snapshot = table.snapshot_in(mode).map_err(to_duckdb)?;
    let shared = Shared(Arc::new(Group {
        table: table.clone(),
        mode,
        current: Mutex::new(Current { number: 1, begun: 0, snapshot }),
    }));
    recent().push(Taken::new(session, What::State(shared.clone())));
    Ok(shared)
}

/// The table called `name` in the database at `root`, for the query that is being bound.
pub fn named(context: &Context, root: &Path, name: &str) -> Result<Table> {
    let session = session::number(context)?;
    paths::check_access(context, root)?;
    let known = mentioned(session, |what| match what {
        What::Named { root: r, name: n, table } if r == root && n == name => Some(table.clone()),
        _ => None,
    });
    if let Some(table) = known {
        return Ok(table);
    }
    let table = Database::open(root).and_then(|database| database.table(name)).map_err(to_duckdb)?;
    let what = What::Named { root: root.to_owned(), name: name.to_owned(), table: table.clone() };
    recent().push(Taken::new(session, what));
    Ok(table)
}

/// Says that a query of the session is executed: later binds belong to another one.
pub fn executed(context: &Context) -> Result<()> {
    let session = session::number(context)?;
    recent().retain(|taken| taken.session != session);
    Ok(())
}

/// What an earlier mention of the query has left, if there is one.
fn mentioned<T>(session: i64, pick: impl Fn(&What) -> Option<T>) -> Option<T> {
    let mut recent = recent();
    if !recent.iter().any(|taken| taken.session == session) {
        return None;
    }
    let now = Moment::now();
    recent.retain(|taken| {
        taken.session != session || (taken.last.until(&now) < WINDOW && taken.first.until(&now) < LONGEST)
    });
    recent.iter_mut().filter(|taken| taken.session == session).find_map(|taken| {
        let found = pick(&taken.what)?;
        taken.last = now;
        Some(found)
    })
}

/// What still waits for further mentions.
fn recent() -> MutexGuard<'static, Vec<Taken>> {
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    recent.retain(|taken| taken.last.elapsed() < GIVEN_UP);
    recent
}
