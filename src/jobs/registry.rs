//! The exports of this process: those at work, and those that the log still remembers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb_neo::error::Error;
use duckdb_neo::Result;

use super::id::JobId;
use super::job::Job;
use super::log;
use super::outcome::Outcome;

/// Exports that are remembered after their end, at most.
const MOST_REMEMBERED: usize = 10_000;
/// Names of files that are remembered, at most.
const MOST_FILES: usize = 1_000_000;

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
    let (mut over, mut files) = (0usize, 0usize);
    let mut keep = Vec::with_capacity(jobs.len());
    // The newest first: they are kept.
    for job in jobs.iter().rev() {
        let view = job.view();
        if let Some(Outcome::Finished(summary)) = &view.outcome {
            files += summary.files.len();
        }
        over += usize::from(view.ended.is_some());
        let retention = job.settings().retention.unwrap_or(i64::MAX);
        let is_recent = |ended: i64| ended.saturating_add(retention) >= now;
        keep.push(
            view.ended.is_none_or(is_recent)
                && (view.ended.is_none() || (over <= MOST_REMEMBERED && files <= MOST_FILES)),
        );
    }
    let mut keep = keep.into_iter().rev();
    jobs.retain(|_| keep.next().unwrap_or(true));
}

fn jobs() -> MutexGuard<'static, VecDeque<Arc<Job>>> {
    JOBS.lock().unwrap_or_else(PoisonError::into_inner)
}
