//! The log of exports: a row for each step that began or ended, kept by the process.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

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

/// The rows of this process, oldest first.
pub fn all() -> Vec<LogRow> {
    let now = now();
    rows().iter().filter(|kept| kept.expires >= now).map(|kept| kept.row.clone()).collect()
}

fn rows() -> MutexGuard<'static, VecDeque<Kept>> {
    ROWS.lock().unwrap_or_else(PoisonError::into_inner)
}
