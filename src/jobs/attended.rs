//! An export on a thread of our own that a statement waits for, and that ends with it.

use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use duckdb_neo::error::Error;
use duckdb_neo::Result;

use super::job::Job;
use super::queue::Task;
use crate::duckdb::errors::guard;

/// Why a job ends with its statement.
pub const EARLY: &str = "the statement was interrupted, or needed no more rows";

/// A job at work. Dropping it ends the job.
pub struct Attended {
    job: Arc<Job>,
    outcome: Mutex<Receiver<Result<()>>>,
    thread: Option<JoinHandle<()>>,
}

impl Attended {
    /// Starts `task` for `job`, which the registry knows.
    pub fn start(job: Arc<Job>, task: Task) -> Result<Self> {
        let (sender, receiver) = channel();
        let of_thread = Arc::clone(&job);
        job.queued()?;
        job.begin();
        let work = move || {
            let outcome = guard(|| task(&of_thread));
            of_thread.end(outcome.as_ref());
            // Nobody listens when the statement has ended.
            let _ = sender.send(outcome.map(drop));
        };
        match Builder::new().name("questdb-export".to_owned()).spawn(work) {
            Ok(thread) => Ok(Self { job, outcome: Mutex::new(receiver), thread: Some(thread) }),
            Err(error) => {
                let error = Error::invalid_input(format!("cannot start a thread for the export: {error}"));
                job.end(Err(&error));
                Err(error)
            }
        }
    }

    /// The job.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// How it ended, once; `None` when it has not ended within `most`.
    pub fn wait(&self, most: Duration) -> Option<Result<()>> {
        match self.outcome.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(most) {
            Ok(outcome) => Some(outcome),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Ok(())),
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        // No effect after a proper end.
        self.job.cancel(EARLY);
        if let Some(thread) = self.thread.take() {
            // A panic in there was turned into an error.
            let _ = thread.join();
        }
    }
}
