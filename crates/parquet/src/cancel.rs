//! The state that all threads of one export share: cancelled, failed, and how far it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// Locks; a poisoned lock is taken too, because a panic has been turned into the export's failure by then.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counters that another thread may read at any time.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    row_groups: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Rows accepted by `write`.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Row groups written to files.
    pub fn row_groups(&self) -> u64 {
        self.row_groups.load(Ordering::Relaxed)
    }

    /// Files completed.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Bytes written to files.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add_rows(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_row_group(&self, bytes: u64) {
        self.row_groups.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }
}

/// Cancel token, first failure and progress of one export.
#[derive(Debug, Clone, Default)]
pub struct Control {
    cancel: Arc<AtomicBool>,
    failure: Arc<Mutex<Option<Error>>>,
    progress: Arc<Progress>,
}

impl Control {
    /// A control that stops when `cancel` becomes true.
    pub fn new(cancel: Arc<AtomicBool>) -> Self {
        Self { cancel, ..Self::default() }
    }

    /// The counters.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// An error when the export was cancelled or has failed.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = lock(&self.failure).as_ref() {
            return Err(error.clone());
        }
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::cancelled());
        }
        Ok(())
    }

    /// Records the first failure; later ones are consequences of it.
    pub fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
    }

    /// Whether there is no point in going on.
    pub fn stopped(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || lock(&self.failure).is_some()
    }
}
