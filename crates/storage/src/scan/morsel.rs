//! Units of work: a morsel goes to one thread, a chunk of it is decoded at once.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::damage::Damage;
use super::decode::Decoder;
use super::interval::IntervalSet;
use crate::error::{Error, Result};
use crate::parquet::{GroupCache, ParquetFile};
use crate::table::{ColumnRows, Partition, Remains, Snapshot};
use crate::types::{ColumnSink, Discard, Scratch};

/// Rows of one partition.
#[derive(Debug, Clone)]
pub enum RowSet {
    /// All from the first to the one before the last.
    Range(Range<u64>),
    /// These, ascending.
    List(Vec<u32>),
}

impl RowSet {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.end.saturating_sub(range.start) as usize,
            Self::List(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A partition that is being read: its columns are opened on first use and shared by all threads.
#[derive(Debug)]
pub(super) struct OpenPartition {
    /// Position of the table in the scan.
    pub(super) table: usize,
    pub(super) snapshot: Snapshot,
    pub(super) partition: Partition,
    pub(super) damage: Arc<Damage>,
    columns: Vec<OnceLock<Result<Arc<ColumnRows>>>>,
    /// What is left of columns that cannot be opened.
    remains: Vec<OnceLock<Option<Remains>>>,
    parquet: OnceLock<Result<Arc<ParquetFile>>>,
}

/// What one thread reuses from chunk to chunk.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) scratch: Scratch,
    /// Open column chunks of Parquet partitions.
    pub(super) groups: GroupCache,
    /// Takes values that are only tried.
    pub(super) probe: Discard,
}

impl OpenPartition {
    pub(super) fn new(
        table: usize,
        snapshot: &Snapshot,
        partition: &Partition,
        damage: &Arc<Damage>,
    ) -> Self {
        let columns = snapshot.columns().iter().map(|_| OnceLock::new()).collect();
        let remains = snapshot.columns().iter().map(|_| OnceLock::new()).collect();
        Self {
            table,
            snapshot: snapshot.clone(),
            partition: partition.clone(),
            damage: Arc::clone(damage),
            columns,
            remains,
            parquet: OnceLock::new(),
        }
    }

    /// The rows of column `index`.
    pub(super) fn column(&self, index: usize) -> Result<&ColumnRows> {
        let (Some(cell), Some(column)) = (self.columns.get(index), self.snapshot.columns().get(index)) else {
            return Err(Error::invalid_input(format!("table has no column {index}")));
        };
        let opened = cell.get_or_init(|| {
            let symbols = self.snapshot.symbols(index)?;
            let opened = self.partition.open_column(&self.snapshot, column, symbols).map(Arc::new);
            opened.map_err(|e| self.snapshot.explain(e, Some(&self.partition)))
        });
        opened.as_deref().map_err(Clone::clone)
    }

    /// What can be read of column `index`, which cannot be opened.
    pub(super) fn remains(&self, index: usize) -> Option<&Remains> {
        let (cell, column) = self.remains.get(index).zip(self.snapshot.columns().get(index))?;
        let open = || {
            let symbols = self.snapshot.symbols(index).ok()?;
            let remains = self.partition.open_remains(&self.snapshot, column, symbols);
            self.snapshot.note_opened();
            remains
        };
        cell.get_or_init(open).as_ref()
    }

    /// The file of a Parquet partition; `None` for a native one.
    pub(super) fn parquet(&self) -> Result<Option<&Arc<ParquetFile>>> {
        if !self.partition.entry.parquet {
            return Ok(None);
        }
        let opened =
            self.parquet.get_or_init(|| ParquetFile::open(&self.snapshot, &self.partition).map(Arc::new));
        opened.as_ref().map(Some).map_err(Clone::clone)
    }

    /// Decodes `rows` of column `index` into `sink`.
    pub(super) fn decode<S: ColumnSink>(
        &self,
        index: usize,
        raw: bool,
        rows: &RowSet,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<()> {
        let Some(column) = self.snapshot.columns().get(index) else {
            return Err(Error::invalid_input(format!("table has no column {index}")));
        };
        Decoder { open: self, column, index, raw }.decode(rows, buffers, sink)
    }

    /// Whether what was copied so far belongs to the snapshot.
    pub(super) fn check(&self) -> Result<()> {
        self.snapshot.check(&self.partition)
    }

    /// Adds table and partition to an error.
    pub(super) fn place(&self, error: Error) -> Error {
        error.in_partition(&self.partition.directory()).in_table(self.snapshot.name())
    }
}

/// A part of a morsel: rows of one partition that are still to be filtered.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) partition: Arc<OpenPartition>,
    pub(super) part: Part,
}

/// Rows of a partition as they are handed out.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) rows: RowSet,
    /// The rows are a row group of a Parquet partition, of which only those in these intervals are needed. Whoever
    /// gets the part finds them: that takes decoding the timestamps.
    pub(super) narrow: Option<IntervalSet>,
    /// The rows are a row group of which the bounds of its pages may exclude some. Left to whoever gets the part, too.
    pub(super) pages: bool,
    /// Not to be cut up: a row group's dictionaries are decoded once.
    pub(super) whole: bool,
}

impl Part {
    /// Any rows of a native partition.
    pub(super) fn native(rows: RowSet) -> Self {
        Self { rows, narrow: None, pages: false, whole: false }
    }
}

/// Work for one thread.
#[derive(Debug)]
pub(super) struct Morsel {
    /// Position in the order of rows.
    pub(super) index: u64,
    pub(super) pieces: Vec<Piece>,
}

/// Rows of one partition in a chunk.
#[derive(Debug)]
pub struct Segment {
    pub(super) partition: Arc<OpenPartition>,
    pub(super) rows: RowSet,
}

impl Segment {
    /// Position of the table in the scan.
    pub fn table(&self) -> usize {
        self.partition.table
    }

    /// The table's state.
    pub fn snapshot(&self) -> &Snapshot {
        &self.partition.snapshot
    }

    /// The partition.
    pub fn partition(&self) -> &Partition {
        &self.partition.partition
    }

    /// Rows, counted from the start of the partition.
    pub fn rows(&self) -> &RowSet {
        &self.rows
    }
}

/// Rows that are decoded together, in the order of the table.
#[derive(Debug, Default)]
pub struct Chunk {
    pub(super) segments: Vec<Segment>,
    pub(super) rows: usize,
    pub(super) morsel: u64,
}

impl Chunk {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Where the rows are.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Position of the chunk's morsel in the order of rows; chunks of a morsel follow each other.
    pub fn morsel(&self) -> u64 {
        self.morsel
    }

    pub(super) fn push(&mut self, partition: &Arc<OpenPartition>, rows: RowSet) {
        self.rows += rows.len();
        self.segments.push(Segment { partition: Arc::clone(partition), rows });
    }
}
