//! A destination whose last step is seen by the job.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use questdb_parquet::sink::{PathOf, Shape, Sink, SinkFile};
use questdb_parquet::Result;

use super::job::Job;

/// Passes everything on. Publishing begins only if the job was not cancelled; from then on it cannot be.
pub struct JobSink {
    inner: Box<dyn Sink>,
    job: Arc<Job>,
}

impl JobSink {
    /// The destination `inner` of `job`.
    pub fn new(inner: Box<dyn Sink>, job: &Arc<Job>) -> Self {
        Self { inner, job: Arc::clone(job) }
    }
}

impl Sink for JobSink {
    fn create(&mut self, relative: &Path) -> Result<Box<dyn SinkFile>> {
        self.inner.create(relative)
    }

    fn location(&self, relative: &Path) -> PathBuf {
        self.inner.location(relative)
    }

    fn is_free(&self, relative: &Path) -> bool {
        self.inner.is_free(relative)
    }

    fn paths(&self) -> PathOf {
        self.inner.paths()
    }

    fn max_open(&self) -> usize {
        self.inner.max_open()
    }

    fn scratch(&self) -> Option<PathBuf> {
        self.inner.scratch()
    }

    fn publish(&mut self, files: &[PathBuf], shape: Shape) -> Result<Vec<PathBuf>> {
        self.job.begin_publishing()?;
        let paths = self.inner.publish(files, shape)?;
        self.job.finish_phase();
        Ok(paths)
    }
}
