//! What a call does when it is executed: hand over a job, or wait for one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use duckdb_neo::connection::Context;
use duckdb_neo::error::Error;
use duckdb_neo::Result;

use super::bind::BindData;
use super::run::run;
use crate::duckdb::errors::guard;
use crate::duckdb::listing::Cell;
use crate::duckdb::session::check_interrupt;
use crate::duckdb::vectors::CHUNK_ROWS;
use crate::functions::questdb_export::state::{answer, EARLY};
use crate::jobs::{registry, Job, Queue};

/// How often an interrupt is looked for.
const POLL: Duration = Duration::from_millis(100);

/// What the thread of a statement says.
type Message = Result<Vec<Vec<Cell>>>;

/// A call that is being executed.
pub struct GlobalState {
    projection: Vec<usize>,
    work: Work,
}

enum Work {
    /// The answer, until it was given.
    Background(Mutex<Option<Vec<Cell>>>),
    Here(Here),
}

/// An export on a thread that ends with its statement.
struct Here {
    job: Arc<Job>,
    messages: Mutex<(Receiver<Message>, VecDeque<Vec<Cell>>)>,
    destination: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl GlobalState {
    /// Starts the export, or hands it over.
    pub fn new(bound: &BindData, queue: &Queue, projection: Vec<usize>) -> Result<Self> {
        let job = Job::new(bound.description.clone(), &bound.settings);
        registry::add(&job)?;
        let work = if bound.background {
            let request = Arc::clone(&bound.request);
            queue.add(&job, Box::new(move |job| run(&request, job, &mut |_| ())))?;
            Work::Background(Mutex::new(Some(answer(&job))))
        } else {
            Work::Here(Here::begin(bound, job)?)
        };
        Ok(Self { projection, work })
    }

    /// Declared columns that are wanted.
    pub fn projection(&self) -> &[usize] {
        &self.projection
    }

    /// From 0 to 1.
    pub fn progress(&self) -> f64 {
        match &self.work {
            Work::Here(here) => here.job.progress() / 100.0,
            Work::Background(_) => 1.0,
        }
    }

    /// The next rows of the result; none at the end.
    pub fn next(&self, context: &Context) -> Result<Vec<Vec<Cell>>> {
        match &self.work {
            Work::Here(here) => here.next(context),
            Work::Background(answer) => {
                Ok(answer.lock().unwrap_or_else(PoisonError::into_inner).take().into_iter().collect())
            }
        }
    }
}

impl Here {
    fn begin(bound: &BindData, job: Arc<Job>) -> Result<Self> {
        let (sender, receiver) = channel::<Message>();
        let (request, of_thread) = (Arc::clone(&bound.request), Arc::clone(&job));
        let destination = request.destination.clone();
        job.queued()?;
        job.begin();
        let work = move || {
            let outcome = guard(|| {
                run(&request, &of_thread, &mut |rows| {
                    // Nobody listens when the statement has ended; then the job is cancelled, too.
                    let _ = sender.send(Ok(rows));
                })
            });
            of_thread.end(outcome.as_ref());
            if let Err(error) = outcome {
                let _ = sender.send(Err(error));
            }
        };
        match Builder::new().name("questdb-export".to_owned()).spawn(work) {
            Ok(thread) => {
                let messages = Mutex::new((receiver, VecDeque::new()));
                Ok(Self { job, messages, destination, thread: Some(thread) })
            }
            Err(error) => {
                let error = Error::invalid_input(format!("cannot start a thread for the export: {error}"));
                job.end(Err(&error));
                Err(error)
            }
        }
    }

    fn next(&self, context: &Context) -> Result<Vec<Vec<Cell>>> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let (receiver, ready) = &mut *messages;
        while ready.is_empty() {
            match receiver.recv_timeout(POLL) {
                Ok(rows) => ready.extend(rows?),
                Err(RecvTimeoutError::Timeout) => check_interrupt(context, &self.destination)?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let count = ready.len().min(CHUNK_ROWS);
        Ok(ready.drain(..count).collect())
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // No effect after a proper end.
        self.job.cancel(EARLY);
        if let Some(thread) = self.thread.take() {
            // A panic in there was turned into an error.
            let _ = thread.join();
        }
    }
}
