//! The log of exports: a row for each step that began or ended, kept by the process and, when a path is set, in a file.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use duckdb_neo::Result;

use super::file;
use super::phase::{Phase, Status};

/// Rows that are kept, at most; the oldest go first. An export has about eight.
const MOST_ROWS: usize = 100_000;

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

static ROWS: Mutex<VecDeque<Kept>> = Mutex::new(VecDeque::new());

/// A row of the log; the server's columns, and how far the export was.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    /// Microseconds since 1970.
    pub ts: i64,
    /// The export, as 16 digits.
    pub id: String,
    /// The table; `copy.<id>` for a query.
    pub table_name: String,
    /// Where the files are, in the last row of a successful export.
    pub export_path: Option<String>,
    /// How many files there are, in the same row.
    pub num_exported_files: Option<i64>,
    /// The step.
    pub phase: Cow<'static, str>,
    /// How it stands.
    pub status: Cow<'static, str>,
    /// More words, or the error.
    pub message: Option<String>,
    /// 0, or -1 after an error or a cancellation.
    pub errors: i64,
    /// Rows written.
    pub rows: i64,
    /// Bytes written.
    pub bytes: i64,
    /// Percent of the planned rows.
    pub progress: f64,
}

/// A row and when it goes.
struct Kept {
    row: LogRow,
    expires: i64,
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Keeps `row` for `retention` microseconds.
pub fn append(row: LogRow, retention: Option<i64>) {
    let expires = retention.map_or(i64::MAX, |retention| row.ts.saturating_add(retention));
    let mut rows = rows();
    while rows.len() >= MOST_ROWS || rows.front().is_some_and(|kept| kept.expires < now()) {
        rows.pop_front();
    }
    rows.push_back(Kept { row, expires });
}

/// The rows of this process and of the log file, oldest first. Those of the last `retention` microseconds.
pub fn all(path: Option<&Path>, retention: Option<i64>) -> Result<Vec<LogRow>> {
    let now = now();
    let mut all = path.map_or_else(|| Ok(Vec::new()), file::read)?;
    // This process has written to the file, too; and a row can stand there twice.
    let mut known = HashSet::new();
    let key = |row: &LogRow| (row.ts, row.id.clone(), row.phase.clone(), row.status.clone());
    all.retain(|row| known.insert(key(row)));
    let here =
        rows().iter().filter(|kept| kept.expires >= now).map(|kept| kept.row.clone()).collect::<Vec<_>>();
    all.extend(here.into_iter().filter(|row| !known.contains(&key(row))));
    let first = retention.map_or(i64::MIN, |retention| now.saturating_sub(retention));
    all.retain(|row| row.ts >= first);
    all.sort_by_key(|row| row.ts);
    Ok(all)
}

/// Whether `row` says how an export ended.
pub fn is_last(row: &LogRow) -> bool {
    row.phase == Phase::Success.name()
        || row.status == Status::Failed.name()
        || row.status == Status::Cancelled.name()
}

fn rows() -> MutexGuard<'static, VecDeque<Kept>> {
    ROWS.lock().unwrap_or_else(PoisonError::into_inner)
}
