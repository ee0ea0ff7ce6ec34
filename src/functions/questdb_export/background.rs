//! An export as the task of a job: all of it on threads of our own, nothing of DuckDB's.

use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use duckdb_neo::error::Error;
use duckdb_neo::Result;
use questdb_parquet::ExportResult;

use super::bind::Request;
use super::run::{is_conflict, pause, Run};
use crate::duckdb::errors::{export_error, guard};
use crate::jobs::{Job, MOST_STARTS};

/// How often a cancellation is looked for.
const POLL: Duration = Duration::from_millis(20);

/// How long a cancelled export waits for its threads.
const PATIENCE: Duration = Duration::from_millis(300);

/// Runs the whole export. Nothing is visible before its end, so a server that gets in the way makes it begin again.
pub fn run(request: &Request, job: &Arc<Job>) -> Result<ExportResult> {
    let mut starts = 0;
    loop {
        starts += 1;
        match attempt(request, job) {
            Err(error) if is_conflict(&error) && starts < MOST_STARTS && !job.is_cancelled() => {
                job.begin_again(&error);
                pause(starts);
            }
            outcome => return outcome,
        }
    }
}

fn attempt(request: &Request, job: &Arc<Job>) -> Result<ExportResult> {
    let run = Arc::new(Run::new(request, job.settings().threads, job)?);
    let cancelled = || export_error(questdb_parquet::Error::cancelled());
    // Each worker holds a sender; the channel is closed when all are gone.
    let (alive, workers) = channel::<()>();
    let mut started = 0;
    for _ in 0..run.threads() {
        let (of_worker, alive) = (Arc::clone(&run), alive.clone());
        let work = move || {
            work(&of_worker);
            drop((of_worker, alive));
        };
        // With fewer threads it takes longer, which is no reason to fail.
        let spawned = Builder::new().name("questdb-export-worker".to_owned()).spawn(work);
        started += usize::from(spawned.is_ok());
    }
    drop(alive);
    if started == 0 {
        work(&run);
    }
    let mut stopping: Option<Instant> = None;
    while let Err(RecvTimeoutError::Timeout) = workers.recv_timeout(POLL) {
        if !job.is_cancelled() {
            continue;
        }
        let since = *stopping.get_or_insert_with(Instant::now);
        run.abort();
        if since.elapsed() > PATIENCE {
            // A page is being compressed. Its thread ends behind it, and can publish nothing.
            return Err(cancelled());
        }
    }
    match (run.failure(), run.take_result()) {
        (Some(error), _) => Err(error),
        (None, Some(result)) => Ok(result),
        (None, None) if job.is_cancelled() => Err(cancelled()),
        (None, None) => Err(Error::internal("an export ended without a result")),
    }
}

/// What one thread does. Its error is kept by `run`.
fn work(run: &Run) {
    let done = guard(|| {
        let mut local = run.local();
        while !run.next(&mut local, &|| Ok(()))?.is_empty() {}
        Ok(())
    });
    if let Err(error) = done {
        run.fail(error);
    }
}
