//! The exports in the background of one database: they wait in order, and threads of our own run them.
//!
//! DuckDB gives a database no id, but it owns the functions that were registered for it. So each of them holds the
//! [`Queue`], and when DuckDB closes the database it drops them, and with the last one the queue: that cancels what is
//! left and waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use duckdb_neo::error::Error;
use duckdb_neo::Result;
use questdb_parquet::ExportResult;

use super::job::Job;
use crate::duckdb::errors::guard;

/// Reason of a cancellation when the database goes away.
const CLOSED: &str = "the database was closed";

/// What an export does. It must not touch the database that it was started from: that may be closed by then.
pub type Task = Box<dyn FnOnce(&Arc<Job>) -> Result<ExportResult> + Send>;

/// The queue of one database. Dropping it ends all exports.
#[derive(Default)]
pub struct Queue {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    waiting: VecDeque<(Arc<Job>, Task)>,
    running: Vec<Arc<Job>>,
    /// Threads that take jobs.
    runners: usize,
    /// Those that there may be, as the last export to be added was told.
    most: usize,
    closed: bool,
    threads: Vec<JoinHandle<()>>,
}

impl Queue {
    /// Adds `job`, which does `task` when its turn has come.
    pub fn add(&self, job: &Arc<Job>, task: Task) -> Result<()> {
        job.queued()?;
        let mut shared = lock(&self.shared);
        shared.most = job.settings().max_jobs;
        shared.waiting.push_back((Arc::clone(job), task));
        shared.threads.retain(|thread| !thread.is_finished());
        // More may be allowed than before, so one new thread may not be enough.
        while shared.runners < shared.most.min(shared.running.len() + shared.waiting.len()) {
            let of_queue = Arc::clone(&self.shared);
            let thread = Builder::new().name("questdb-export".to_owned()).spawn(move || run(&of_queue));
            match thread {
                Ok(thread) => {
                    shared.runners += 1;
                    shared.threads.push(thread);
                }
                Err(_) if shared.runners > 0 => break,
                Err(error) => {
                    shared.waiting.retain(|(other, _)| !Arc::ptr_eq(other, job));
                    drop(shared);
                    let error =
                        Error::invalid_input(format!("cannot start a thread for the export: {error}"));
                    job.end(Err(&error));
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let (jobs, threads) = {
            let mut shared = lock(&self.shared);
            shared.closed = true;
            let waiting = std::mem::take(&mut shared.waiting).into_iter().map(|(job, _)| job);
            let jobs: Vec<Arc<Job>> = waiting.chain(shared.running.iter().cloned()).collect();
            (jobs, std::mem::take(&mut shared.threads))
        };
        for job in jobs {
            job.cancel(CLOSED);
        }
        for thread in threads {
            // A panic in there has ended its job with an error already.
            let _ = thread.join();
        }
    }
}

/// Runs jobs until there is none left.
fn run(queue: &Mutex<Shared>) {
    loop {
        let (job, task) = {
            let mut shared = lock(queue);
            let next =
                if shared.closed || shared.runners > shared.most { None } else { shared.waiting.pop_front() };
            let Some((job, task)) = next else {
                shared.runners -= 1;
                return;
            };
            shared.running.push(Arc::clone(&job));
            (job, task)
        };
        if job.begin() {
            let result = guard(|| task(&job));
            job.end(result.as_ref());
        }
        lock(queue).running.retain(|other| !Arc::ptr_eq(other, &job));
    }
}

fn lock(queue: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
