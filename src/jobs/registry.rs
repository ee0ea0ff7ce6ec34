//! The exports of this process: those at work, and those that the log still remembers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb_neo::error::Error;
use duckdb_neo::Result;

use super::id::JobId;
use super::job::Job;
use super::log;

/// Exports that are remembered after their end, at most.
const MOST_REMEMBERED: usize = 10_000;

static JOBS: Mutex<VecDeque<Arc<Job>>> = Mutex::new(VecDeque::new());

/// Adds `job`, which has not begun.
///
/// # Errors
/// Another export writes to the same destination.
pub fn add(job: &Arc<Job>) -> Result<()> {
    let mut jobs = jobs();
    forget_old(&mut jobs);
    let same = |other: &&Arc<Job>| other.description().key == job.description().key && !other.is_over();
    if let Some(other) = jobs.iter().find(same) {
        let id = other.id();
        return Err(Error::invalid_input(format!(
            "duplicate export path: {} [id={id}]\nWait until that export has ended, or end it with FROM \
             questdb_export_cancel('{id}').",
            job.description().destination
        )));
    }
    jobs.push_back(Arc::clone(job));
    Ok(())
}

/// The export `id`.
pub fn find(id: JobId) -> Option<Arc<Job>> {
    jobs().iter().find(|job| job.id() == id).cloned()
}

/// All exports, oldest first.
pub fn all() -> Vec<Arc<Job>> {
    let mut jobs = jobs();
    forget_old(&mut jobs);
    jobs.iter().cloned().collect()
}

fn forget_old(jobs: &mut VecDeque<Arc<Job>>) {
    let now = log::now();
    let mut over_many = jobs.len().saturating_sub(MOST_REMEMBERED);
    jobs.retain(|job| {
        let view = job.view();
        let Some(ended) = view.ended else { return true };
        let retention = job.settings().retention.unwrap_or(i64::MAX);
        let is_old = ended.saturating_add(retention) < now || over_many > 0;
        over_many = over_many.saturating_sub(usize::from(is_old));
        !is_old
    });
}

fn jobs() -> MutexGuard<'static, VecDeque<Arc<Job>>> {
    JOBS.lock().unwrap_or_else(PoisonError::into_inner)
}
