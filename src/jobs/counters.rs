//! How far an export is: numbers that any thread may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use questdb_parquet::RowGroupResult;

/// The numbers of one export.
#[derive(Debug, Default)]
pub struct Counters {
    rows: AtomicU64,
    bytes: AtomicU64,
    /// Bits of an `f64`, from 0 to 100.
    progress: AtomicU64,
    rss_peak: AtomicU64,
}

impl Counters {
    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Percent of the planned rows.
    pub fn progress(&self) -> f64 {
        f64::from_bits(self.progress.load(Ordering::Relaxed))
    }

    /// Largest memory of the process that was seen.
    pub fn rss_peak(&self) -> Option<u64> {
        Some(self.rss_peak.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Adds row groups.
    pub fn add<'a>(&self, written: impl IntoIterator<Item = &'a RowGroupResult>) {
        for group in written {
            self.rows.fetch_add(group.rows, Ordering::Relaxed);
            self.bytes.fetch_add(group.bytes, Ordering::Relaxed);
        }
    }

    /// Sets the percentage.
    pub fn set_progress(&self, percent: f64) {
        self.progress.store(percent.clamp(0.0, 100.0).to_bits(), Ordering::Relaxed);
    }

    /// The process holds so many bytes now.
    pub fn saw_memory(&self, bytes: u64) {
        self.rss_peak.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Nothing is written any more; the memory was used all the same.
    pub fn reset(&self) {
        for counter in [&self.rows, &self.bytes, &self.progress] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}
