//! Watching a table for commits while its rows are read (docs/format.md §11.3, step 8).
//!
//! The server does not know that we read: it may overwrite rows under an old snapshot. So rows are copied
//! out, then [`Watch::check`] says whether what was copied is what the snapshot describes, and only then are
//! they used. As long as nothing was committed that is one atomic load.
//!
//! ```text
//! now = current _txn
//!   same transaction                                               → good
//!   truncated since                                                → conflict
//!   partition unchanged (same directory, no squash, no fewer rows,
//!     no new partition cut out of it)                              → good
//!   partition gone, replaced or converted, one commit later        → good (its files were not reused yet)
//!   anything else                                                  → conflict
//! ```

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::partition::Partition;
use super::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::meta::PartitionBy;
use crate::format::txn::{PartitionEntry, Txn};
use crate::source::{Access, FileIdentity, Source};

/// What happened to a snapshot's table since.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// Mapped `_txn`; its first word is the current transaction.
    version: Arc<dyn Source>,
    /// Which file that is: a table that was dropped and created again has another one.
    identity: Option<FileIdentity>,
    /// The transaction of the snapshot.
    txn: u64,
    /// The newest state that was looked at.
    latest: Mutex<Option<Arc<Txn>>>,
}

impl Watch {
    /// Starts to watch the table of a snapshot at transaction `txn`, whose `_txn` is at `path`.
    pub(super) fn new(files: &dyn crate::source::Files, path: PathBuf, txn: u64) -> Result<Self> {
        let version = files.open(&path, Access::Polled)?;
        let identity = files.identity(&path)?;
        Ok(Self { path, version, identity, txn, latest: Mutex::new(None) })
    }

    /// Whether bytes of `partition` that were copied before this call belong to `snapshot`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when they may not.
    pub fn check(&self, snapshot: &Snapshot, partition: &Partition) -> Result<()> {
        let version = self.version.load_u64(0)?;
        if version == self.txn {
            return Ok(());
        }
        let now = self.state(version)?;
        let verdict = judge(snapshot, partition, &now);
        verdict.map_err(|what| conflict(what, snapshot, Some(partition)))
    }

    /// Whether bytes of the table's symbol files that were copied before this call belong to `snapshot`.
    pub fn check_symbols(&self, snapshot: &Snapshot) -> Result<()> {
        let version = self.version.load_u64(0)?;
        if version == self.txn || self.state(version)?.truncate_version == snapshot.txn().truncate_version {
            return Ok(());
        }
        Err(conflict("the table was truncated", snapshot, None))
    }

    /// Whether the table is still the one that was watched at first: files that are opened later by their
    /// path could be those of another one.
    pub fn check_identity(&self, snapshot: &Snapshot) -> Result<()> {
        if snapshot.files().identity(&self.path)? == self.identity {
            return Ok(());
        }
        Err(conflict("the table was dropped, renamed or created again", snapshot, None))
    }

    /// An error met while reading `partition`: when the table has changed since the snapshot, that is its
    /// reason, and the query can be run again.
    pub fn explain(&self, error: Error, snapshot: &Snapshot, partition: Option<&Partition>) -> Error {
        if error.kind() == ErrorKind::Conflict {
            return error.hint(RUN_AGAIN);
        }
        // TRUNCATE and DROP TABLE touch files shortly before they show in `_txn`.
        let started = Instant::now();
        while !self.version.load_u64(0).map_or(true, |version| version != self.txn) {
            if let Err(gone) = self.check_identity(snapshot) {
                return gone;
            }
            if started.elapsed() > PATIENCE {
                return error;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        conflict(&format!("the table changed while it was read ({error})"), snapshot, partition)
    }

    fn state(&self, version: u64) -> Result<Arc<Txn>> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = latest.as_ref().filter(|known| known.txn >= version) {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(Txn::read(self.version.as_ref()).or_else(|_| self.reopen())?);
        *latest = Some(Arc::clone(&read));
        Ok(read)
    }

    /// The mapping has the file's length at the time of the snapshot; `_txn` may have grown since.
    fn reopen(&self) -> Result<Txn> {
        let file = crate::source::LocalFiles;
        Txn::read(crate::source::Files::open(&file, &self.path, Access::Record)?.as_ref())
    }
}

/// How long an error waits for the commit that may explain it.
const PATIENCE: Duration = Duration::from_millis(150);

const RUN_AGAIN: &str = "A server is writing to the table; run the query again.";

fn conflict(what: &str, snapshot: &Snapshot, partition: Option<&Partition>) -> Error {
    let error = Error::new(ErrorKind::Conflict, what.to_owned()).in_table(snapshot.name()).hint(RUN_AGAIN);
    match partition {
        Some(partition) => error.in_partition(&partition.directory()),
        None => error,
    }
}

/// The rules of the module's picture; the error is what happened.
fn judge(snapshot: &Snapshot, partition: &Partition, now: &Txn) -> std::result::Result<(), &'static str> {
    let then = snapshot.txn();
    if now.truncate_version != then.truncate_version {
        return Err("the table was truncated or lost partitions while it was read");
    }
    if partition.entry.parquet {
        // Bytes of the snapshot's version are never overwritten.
        return Ok(());
    }
    if snapshot.meta().partition_by == PartitionBy::None {
        let kept = now.transient_rows >= partition.rows();
        return if kept { Ok(()) } else { Err("rows were removed while the table was read") };
    }
    let old = &partition.entry;
    let found = now.partitions.binary_search_by_key(&old.timestamp, |p| p.timestamp).ok();
    let current = found.and_then(|i| now.partitions.get(i));
    match current {
        Some(current) if current.name_txn == old.name_txn && !current.parquet => {
            let next = found.and_then(|i| now.partitions.get(i.saturating_add(1)));
            if current.squash_count != old.squash_count {
                Err("the partition was squashed while it was read")
            } else if current.rows < old.rows || is_cut(snapshot, partition, next) {
                Err("the partition was split while it was read")
            } else {
                Ok(())
            }
        }
        // Replaced: what happened to the old files in between is not known, unless nothing was in between.
        _ if now.txn == then.txn.saturating_add(1) => Ok(()),
        Some(_) => Err("the partition was replaced while it was read"),
        None => Err("the partition was removed while it was read"),
    }
}

/// Whether `next`, the entry behind the partition now, was not there in the snapshot: a part of the partition.
fn is_cut(snapshot: &Snapshot, partition: &Partition, next: Option<&PartitionEntry>) -> bool {
    let Some(next) = next else { return false };
    let then = snapshot.txn();
    match then.partitions.get(partition.index.saturating_add(1)) {
        Some(following) => next.timestamp < following.timestamp,
        None => then.max_timestamp.is_some_and(|max| next.timestamp <= max),
    }
}
