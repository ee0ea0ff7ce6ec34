//! What a call does when it is executed: export on DuckDB's threads, or hand over a job.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use duckdb_neo::connection::Context;
use duckdb_neo::error::DuckDBError;
use duckdb_neo::Result;

use super::background;
use super::bind::BindData;
use super::run::{LocalState, Run};
use crate::duckdb::listing::Cell;
use crate::duckdb::session::check_interrupt;
use crate::jobs::{registry, Job, Queue, EARLY};

/// What all threads of DuckDB share.
pub struct GlobalState {
    /// Declared columns that are wanted.
    projection: Vec<usize>,
    work: Work,
}

enum Work {
    Here(Box<Here>),
    /// The answer, until it was given.
    Background(Mutex<Option<Vec<Cell>>>),
}

/// An export on DuckDB's threads.
struct Here {
    run: Run,
    job: Arc<Job>,
    destination: PathBuf,
}

impl GlobalState {
    /// Begins the export, or hands it over.
    pub fn new(bound: &BindData, queue: &Queue, threads: usize, projection: Vec<usize>) -> Result<Self> {
        let job = Job::new(bound.description.clone(), &bound.settings);
        registry::add(&job)?;
        let work = if bound.background {
            let request = Arc::clone(&bound.request);
            queue.add(&job, Box::new(move |job| background::run(&request, job)))?;
            Work::Background(Mutex::new(Some(answer(&job))))
        } else {
            Work::Here(Box::new(Here::begin(bound, job, threads)?))
        };
        Ok(Self { projection, work })
    }

    /// Threads that can work at once.
    pub fn threads(&self) -> usize {
        match &self.work {
            Work::Here(here) => here.run.threads(),
            Work::Background(_) => 1,
        }
    }

    /// Declared columns that are wanted.
    pub fn projection(&self) -> &[usize] {
        &self.projection
    }

    /// From 0 to 1.
    pub fn progress(&self) -> f64 {
        match &self.work {
            Work::Here(here) => here.run.progress(),
            Work::Background(_) => 1.0,
        }
    }

    /// The state of one thread.
    pub fn local(&self) -> Option<LocalState> {
        match &self.work {
            Work::Here(here) => Some(here.run.local()),
            Work::Background(_) => None,
        }
    }

    /// The next rows of the result; none at the end.
    pub fn next(&self, context: &Context, local: Option<&mut LocalState>) -> Result<Vec<Vec<Cell>>> {
        match (&self.work, local) {
            (Work::Here(here), Some(local)) => here.next(context, local),
            (Work::Here(_), None) => Ok(Vec::new()),
            (Work::Background(answer), _) => {
                Ok(answer.lock().unwrap_or_else(PoisonError::into_inner).take().into_iter().collect())
            }
        }
    }
}

/// The row that says which job it became.
pub fn answer(job: &Job) -> Vec<Cell> {
    let destination = job.description().destination.as_str();
    vec![job.id().to_string().into(), destination.into(), "queued".into()]
}

impl Here {
    fn begin(bound: &BindData, job: Arc<Job>, threads: usize) -> Result<Self> {
        job.queued()?;
        job.begin();
        match Run::new(&bound.request, threads, &job) {
            Ok(run) => Ok(Self { run, job, destination: bound.request.destination.clone() }),
            Err(error) => {
                job.end(Err(&error));
                Err(error)
            }
        }
    }

    fn next(&self, context: &Context, local: &mut LocalState) -> Result<Vec<Vec<Cell>>> {
        let pulse = || check_interrupt(context, &self.destination);
        let written = self.run.next(local, &pulse).inspect_err(|error| {
            // After an interrupt of the statement, the job ends with it.
            if error.code != DuckDBError::RuntimeInterrupt || self.job.is_cancelled() {
                self.job.end(Err(error));
            }
        })?;
        if let Some(result) = self.run.take_result() {
            self.job.end(Ok(&result));
        }
        Ok(written.into_iter().map(|row| self.run.cells(row)).collect())
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.run.abort();
        // No effect after a proper end.
        self.job.abandon(EARLY);
    }
}
