//! What a call does when it is executed: hand over a job, or wait for one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use duckdb_neo::connection::Context;
use duckdb_neo::Result;

use super::bind::BindData;
use super::run::run;
use crate::duckdb::listing::Cell;
use crate::duckdb::session::check_interrupt;
use crate::duckdb::vectors::CHUNK_ROWS;
use crate::functions::questdb_export::state::answer;
use crate::jobs::{registry, Attended, Job, Queue};

/// How often an interrupt is looked for.
pub const POLL: Duration = Duration::from_millis(100);

/// Result rows of the job's thread.
type Rows = Vec<Vec<Cell>>;

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

/// An export that the statement waits for.
struct Here {
    attended: Attended,
    rows: Mutex<(Receiver<Rows>, VecDeque<Vec<Cell>>)>,
    destination: PathBuf,
}

impl GlobalState {
    /// Starts the export, or hands it over.
    pub fn new(bound: &BindData, queue: &Queue, projection: Vec<usize>) -> Result<Self> {
        let job = Job::new(bound.description.clone(), &bound.settings);
        registry::add(&job)?;
        let work = if bound.background {
            let request = Arc::clone(&bound.request);
            queue.add(&job, Box::new(move |job| run(&request, job, None)))?;
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
            Work::Here(here) => here.attended.job().counters().progress() / 100.0,
            Work::Background(_) => 1.0,
        }
    }

    /// The next rows of the result; none at the end.
    pub fn next(&self, context: &Context) -> Result<Rows> {
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
        let (sender, receiver) = channel();
        let request = Arc::clone(&bound.request);
        let destination = request.destination.clone();
        let task = move |job: &Arc<Job>| {
            let mut listener = |rows| {
                // Nobody listens when the statement has ended; then the job is cancelled, too.
                let _ = sender.send(rows);
            };
            run(&request, job, Some(&mut listener))
        };
        let attended = Attended::start(job, Box::new(task))?;
        Ok(Self { attended, rows: Mutex::new((receiver, VecDeque::new())), destination })
    }

    fn next(&self, context: &Context) -> Result<Rows> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (receiver, ready) = &mut *rows;
        while ready.is_empty() {
            match receiver.recv_timeout(POLL) {
                Ok(rows) => ready.extend(rows),
                Err(RecvTimeoutError::Timeout) => check_interrupt(context, &self.destination)?,
                // The task is over; what it has come to follows.
                Err(RecvTimeoutError::Disconnected) => match self.attended.wait(POLL) {
                    Some(outcome) => {
                        outcome?;
                        break;
                    }
                    None => check_interrupt(context, &self.destination)?,
                },
            }
        }
        let count = ready.len().min(CHUNK_ROWS);
        Ok(ready.drain(..count).collect())
    }
}
