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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::partition::Partition;
use super::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::meta::PartitionBy;
use crate::format::txn::{PartitionEntry, Txn};
use crate::source::{Access, FileIdentity, Files, Source};

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
    /// Files of the table that were opened by their paths.
    opened: AtomicU64,
    /// How many of them are known to be this table's, and not those of another one at the same path.
    proven: AtomicU64,
}

impl Watch {
    /// Starts to watch the table whose `_txn` is at `path`. What is read from now on is of that table if
    /// [`Watch::check_identity`] says so afterwards.
    pub(super) fn open(files: &dyn Files, path: PathBuf) -> Result<Self> {
        // First the question, then the file: its inode cannot be used again while it is open.
        let identity = files.identity(&path)?;
        let version = files.open(&path, Access::Polled)?;
        let (opened, proven) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { path, version, identity, txn: 0, latest: Mutex::new(None), opened, proven })
    }

    /// The transaction that the snapshot is of from now on: the current one.
    pub(super) fn read(&mut self) -> Result<Txn> {
        let txn = Txn::read(self.version.as_ref())?;
        self.txn = txn.txn;
        Ok(txn)
    }

    /// Says that a file of the table was opened by its path.
    pub(super) fn note_opened(&self) {
        self.opened.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether nothing was committed since the snapshot. Then all bytes that were copied before belong to it.
    pub(super) fn is_current(&self, snapshot: &Snapshot) -> Result<bool> {
        let version = self.version.load_u64(0)?;
        let opened = self.opened.load(Ordering::Acquire);
        if self.proven.load(Ordering::Acquire) < opened {
            self.check_identity(snapshot.files(), snapshot.name())?;
            self.proven.fetch_max(opened, Ordering::AcqRel);
        }
        Ok(version == self.txn)
    }

    /// Whether bytes of `partition` that were copied before this call belong to `snapshot`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when they may not.
    pub fn check(&self, snapshot: &Snapshot, partition: &Partition) -> Result<()> {
        if self.is_current(snapshot)? {
            return Ok(());
        }
        let now = self.state(snapshot)?;
        let verdict = judge(snapshot, partition, &now);
        verdict.map_err(|what| conflict(what, snapshot.name(), Some(partition)))
    }

    /// Whether bytes of the table's symbol files that were copied before this call belong to `snapshot`.
    pub fn check_symbols(&self, snapshot: &Snapshot) -> Result<()> {
        self.note_opened();
        if self.is_current(snapshot)?
            || self.state(snapshot)?.truncate_version == snapshot.txn().truncate_version
        {
            return Ok(());
        }
        Err(conflict("the table was truncated", snapshot.name(), None))
    }

    /// Whether the table is still the one that was watched at first: files that are opened later by their
    /// path could be those of another one.
    pub(super) fn check_identity(&self, files: &dyn Files, table: &str) -> Result<()> {
        if files.identity(&self.path)? == self.identity {
            return Ok(());
        }
        Err(conflict("the table was dropped, renamed or created again", table, None))
    }

    /// An error met while reading `partition`: when the table has changed since the snapshot, that is its
    /// reason, and the query can be run again.
    pub fn explain(&self, error: Error, snapshot: &Snapshot, partition: Option<&Partition>) -> Error {
        if error.kind() == ErrorKind::Conflict {
            return error.hint(RUN_AGAIN);
        }
        // TRUNCATE and DROP TABLE touch files before they show in `_txn`.
        let patience = if self.has_writer(snapshot) { WRITER_PATIENCE } else { PATIENCE };
        let started = Instant::now();
        let mut polls = 0u32;
        while !self.version.load_u64(0).map_or(true, |version| version != self.txn) {
            if let Err(gone) = self.check_identity(snapshot.files(), snapshot.name()) {
                return gone;
            }
            if started.elapsed() > patience && polls > POLLS {
                return error;
            }
            polls = polls.saturating_add(1);
            std::thread::sleep(Duration::from_millis(5));
        }
        conflict(&format!("the table changed while it was read ({error})"), snapshot.name(), partition)
    }

    /// Whether the server has the table open for writing, or had when it crashed: its lock file lies beside the
    /// directory.
    fn has_writer(&self, snapshot: &Snapshot) -> bool {
        let dir = snapshot.dir();
        let lock = dir.file_name().map(|name| dir.with_file_name(format!("{}.lock", name.to_string_lossy())));
        lock.is_some_and(|lock| matches!(snapshot.files().kind(&lock), Ok(Some(_))))
    }

    /// The current state, or a newer one than that of this moment.
    fn state(&self, snapshot: &Snapshot) -> Result<Arc<Txn>> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.version.load_u64(0)?;
        if let Some(known) = latest.as_ref().filter(|known| known.txn >= version) {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(Txn::read(self.version.as_ref()).or_else(|_| self.reopen(snapshot))?);
        *latest = Some(Arc::clone(&read));
        Ok(read)
    }

    /// The mapping has the file's length at the time of the snapshot; `_txn` may have grown since.
    fn reopen(&self, snapshot: &Snapshot) -> Result<Txn> {
        let txn = Txn::read(snapshot.files().open(&self.path, Access::Record)?.as_ref());
        self.check_identity(snapshot.files(), snapshot.name())?;
        txn
    }
}

/// How long an error waits for the commit that may explain it.
const PATIENCE: Duration = Duration::from_millis(150);

/// The same while the server has the table open for writing: between the first change of a TRUNCATE and its commit,
/// more than 100 ms were seen on a busy machine.
const WRITER_PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks for it at least: on a busy machine the server gets no further in that time.
const POLLS: u32 = 10;

const RUN_AGAIN: &str = "A server is writing to the table; run the query again.";

fn conflict(what: &str, table: &str, partition: Option<&Partition>) -> Error {
    let error = Error::new(ErrorKind::Conflict, what.to_owned()).in_table(table).hint(RUN_AGAIN);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::format::txn::tests::file as txn;
    use crate::table::table::tests::{meta, MemoryFiles};
    use crate::table::Table;

    const DAY: i64 = 86_400_000_000;
    const PARQUET: u64 = 1 << 61;

    /// Four days of 3 rows at transaction 10, the third one a Parquet file; the last row is at the fourth day's noon.
    fn snapshot() -> Snapshot {
        let mut files = MemoryFiles::default();
        files.add("/db/t~1/_meta", meta(true));
        files.add("/db/t~1/_cv", vec![0; 40]);
        let mut bytes = txn(10, 3, 9, &[(DAY, 3), (2 * DAY, 3), (3 * DAY, 3 | PARQUET), (4 * DAY, 0)]);
        bytes[64 + 32..64 + 40].copy_from_slice(&(4 * DAY + DAY / 2).to_le_bytes());
        files.add("/db/t~1/_txn", bytes);
        Table::open_with(Path::new("/db/t~1"), Arc::new(files)).unwrap().snapshot().unwrap()
    }

    /// A change, the partition that was read, how many transactions later, and what must be said about it.
    type Case = (&'static str, fn(&mut Txn), usize, u64, Option<&'static str>);

    fn cut(now: &mut Txn, index: usize, timestamp: i64) {
        let piece = PartitionEntry { timestamp, name_txn: Some(12), ..now.partitions[index] };
        now.partitions.insert(index + 1, piece);
    }

    fn remove(now: &mut Txn, index: usize) {
        now.partitions.remove(index);
    }

    #[test]
    fn each_rule_tells_what_is_still_good_from_what_is_not() {
        let cases: &[Case] = &[
            ("rows appended", |now| now.partitions[3].rows += 9, 3, 5, None),
            ("another partition replaced", |now| now.partitions[1].name_txn = Some(12), 0, 5, None),
            ("a new last partition", |now| cut(now, 3, 5 * DAY), 3, 5, None),
            ("truncated", |now| now.truncate_version += 1, 0, 1, Some("truncated")),
            ("truncated, Parquet", |now| now.truncate_version += 1, 2, 1, Some("truncated")),
            ("fewer rows", |now| now.partitions[0].rows -= 1, 0, 5, Some("split")),
            ("fewer rows, the next transaction", |now| now.partitions[0].rows -= 1, 0, 1, Some("split")),
            ("a piece cut out", |now| cut(now, 0, DAY + 7), 0, 5, Some("split")),
            ("a piece cut out of the last", |now| cut(now, 3, 4 * DAY + 7), 3, 5, Some("split")),
            ("squashed", |now| now.partitions[0].squash_count += 1, 0, 5, Some("squashed")),
            (
                "squashed, the next transaction",
                |now| now.partitions[0].squash_count += 1,
                0,
                1,
                Some("squashed"),
            ),
            ("replaced, the next transaction", |now| now.partitions[0].name_txn = Some(11), 0, 1, None),
            ("replaced", |now| now.partitions[0].name_txn = Some(12), 0, 2, Some("replaced")),
            ("removed, the next transaction", |now| remove(now, 0), 0, 1, None),
            ("removed", |now| remove(now, 0), 0, 2, Some("removed")),
            ("converted, the next transaction", |now| now.partitions[0].parquet = true, 0, 1, None),
            ("converted", |now| now.partitions[0].parquet = true, 0, 2, Some("replaced")),
            ("Parquet, grown", |now| now.partitions[2].parquet_size = Some(99), 2, 5, None),
            ("Parquet, native again", |now| now.partitions[2].parquet = false, 2, 5, None),
            ("Parquet, removed", |now| remove(now, 2), 2, 5, None),
        ];
        let snapshot = snapshot();
        for (what, change, partition, later, expected) in cases {
            let mut now = snapshot.txn().clone();
            now.txn += later;
            change(&mut now);
            let verdict = judge(&snapshot, &snapshot.partitions()[*partition], &now);
            let right = match (verdict, expected) {
                (Ok(()), None) => true,
                (Err(found), Some(expected)) => found.contains(expected),
                _ => false,
            };
            assert!(right, "{what}: {verdict:?}, expected {expected:?}");
        }
    }
}
