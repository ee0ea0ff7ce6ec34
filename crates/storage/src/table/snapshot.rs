//! One committed state of a table.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::column::Column;
use super::layout::Layout;
use super::partition::Partition;
use super::structure::{columns, disagree, loose, partitions, time_unit, Structure};
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::format::column_versions::ColumnVersions;
use crate::format::meta::{Meta, PartitionBy};
use crate::format::symbol_table::SymbolTable;
use crate::format::txn::Txn;
use crate::source::{Access, Files};
use crate::types::TimeUnit;

/// How long the three record files may take to agree while a server changes the table's structure.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same for errors that are more likely to be damage.
const SHORT_PATIENCE: Duration = Duration::from_millis(50);

/// How long errors of different kinds may follow each other.
const LONGEST: Duration = Duration::from_secs(5);

/// How often they are read before an error counts, however long that took.
const TRIES: u32 = 16;

/// How a snapshot stays true while a server writes (docs/format.md §11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnapshotMode {
    /// The checkpoint when the server holds one that covers the table, else validation.
    #[default]
    Automatic,
    /// What was read is checked against later commits before it is used.
    Validate,
    /// The server's checkpoint, which keeps the files as they were: nothing needs checking.
    Checkpoint,
    /// Nothing is checked: for tables that nobody writes to.
    Unchecked,
}

/// A table at one transaction: `_meta`, `_txn` and `_cv` that belong together. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    layout: Layout,
    files: Arc<dyn Files>,
    meta: Meta,
    txn: Txn,
    column_versions: ColumnVersions,
    columns: Vec<Column>,
    partitions: Vec<Partition>,
    /// By column; read on first use, so that all scans of a snapshot share one copy.
    symbols: Vec<OnceLock<Arc<SymbolTable>>>,
    /// `None` when nothing needs checking.
    watch: Option<Watch>,
}

impl Snapshot {
    /// Reads the state of the table in `dir`, waiting for a server that is just changing it
    /// (docs/format.md §11.3, steps 1 to 4).
    pub(super) fn read(
        name: String,
        layout: Layout,
        files: Arc<dyn Files>,
        mode: SnapshotMode,
    ) -> Result<Self> {
        let begun = Instant::now();
        let mut same = Repeated::default();
        loop {
            let error = match Self::try_read(&name, &layout, &files, mode, Structure::Current) {
                Ok(snapshot) => return Ok(snapshot),
                Err(error) => error,
            };
            match patience(error.kind()) {
                Some((time, times))
                    if !same.is_over(error.kind(), time, times) && begun.elapsed() < LONGEST =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                // The server may have been killed while it changed the structure.
                Some(_) if Structure::is_behind(&error) => {
                    return Self::try_read(&name, &layout, &files, mode, Structure::LeftOver)
                        .map_err(|_| error.in_table(&name));
                }
                _ => return Err(error.in_table(&name)),
            }
        }
    }

    fn try_read(
        name: &str,
        layout: &Layout,
        files: &Arc<dyn Files>,
        mode: SnapshotMode,
        structure: Structure,
    ) -> Result<Self> {
        // What is not a table's own directory holds records that nobody changes.
        let plain = layout.records == layout.data;
        let checkpoint = match mode {
            SnapshotMode::Automatic | SnapshotMode::Checkpoint if plain => {
                checkpoint_of(&layout.data, files.as_ref())?
            }
            _ => None,
        };
        if plain && checkpoint.is_none() && mode == SnapshotMode::Checkpoint {
            return Err(Error::new(ErrorKind::NotFound, "there is no checkpoint of this table")
                .in_file(&layout.data)
                .hint("Run CHECKPOINT CREATE on the server first, or leave the parameter snapshot out."));
        }
        let checked = plain && checkpoint.is_none() && mode != SnapshotMode::Unchecked;
        let mut layout = layout.clone();
        layout.records = checkpoint.unwrap_or(layout.records);
        let records = layout.records.as_path();
        let txn_path = records.join("_txn");
        // All records are of one table if `_txn` is the same file before and after.
        let watch = checked.then(|| Watch::open(files.as_ref(), txn_path.clone()));
        let meta = structure.read(files.as_ref(), records)?;
        if meta.partition_by == PartitionBy::NotApplicable {
            return Err(Error::new(ErrorKind::NotATable, "this is a view, not a table")
                .in_file(records)
                .hint("A view has a query but no data; read the tables that it selects from."));
        }
        let mut watch = watch.transpose()?;
        let txn = match &mut watch {
            Some(watch) => watch.read()?,
            None => Txn::read(files.open(&txn_path, Access::Record)?.as_ref())?,
        };
        if txn.meta_version != meta.version as u32 {
            return Err(disagree("_meta", txn.meta_version, meta.version).in_file(&records.join("_meta")));
        }
        let cv_path = records.join("_cv");
        let cv = files.open(&cv_path, Access::Record)?;
        let mut column_versions = ColumnVersions::read(cv.as_ref())?;
        if column_versions.version == txn.column_version.wrapping_add(1) {
            // Ahead while a transaction commits, and for good if the server was killed then.
            let before = ColumnVersions::read_before(cv.as_ref())?;
            if Txn::read(files.open(&txn_path, Access::Record)?.as_ref())?.txn == txn.txn {
                column_versions = before;
            }
        }
        if column_versions.version != txn.column_version {
            return Err(disagree("_cv", txn.column_version, column_versions.version).in_file(&cv_path));
        }
        let columns =
            columns(&meta, &txn, &column_versions, &layout.data).map_err(|e| e.in_file(&txn_path))?;
        let mut partitions = partitions(&meta, &txn).map_err(|e| e.in_file(&txn_path))?;
        if let Some(only) = &layout.only {
            partitions = loose(partitions, only).map_err(|e| e.in_file(&txn_path))?;
        }
        if let Some(watch) = &watch {
            watch.check_identity(files.as_ref(), name)?;
        }
        let symbols = columns.iter().map(|_| OnceLock::new()).collect();
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            layout,
            files: Arc::clone(files),
            meta,
            txn,
            column_versions,
            columns,
            partitions,
            symbols,
            watch,
        })))
    }

    /// Whether both are the same reading of a table.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Table name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Directory of partitions and symbol tables: the table's.
    pub fn dir(&self) -> &Path {
        &self.0.layout.data
    }

    /// The directory of the only partition, when this is one that is not part of its table (detached).
    pub(crate) fn loose_partition(&self) -> Option<&Path> {
        self.0.layout.only.as_ref().map(|_| self.0.layout.records.as_path())
    }

    /// Directory of the record files: the table's, save for checkpoints and detached partitions.
    pub(crate) fn record_dir(&self) -> &Path {
        &self.0.layout.records
    }

    /// How files are opened.
    pub fn files(&self) -> &dyn Files {
        self.0.files.as_ref()
    }

    /// `_meta`.
    pub fn meta(&self) -> &Meta {
        &self.0.meta
    }

    /// `_txn`.
    pub fn txn(&self) -> &Txn {
        &self.0.txn
    }

    /// `_cv`.
    pub fn column_versions(&self) -> &ColumnVersions {
        &self.0.column_versions
    }

    /// Live columns in the order that users see.
    pub fn columns(&self) -> &[Column] {
        &self.0.columns
    }

    /// Position of the column called `name`, whatever its case.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        let wanted = name.to_lowercase();
        self.columns().iter().position(|c| c.name == name || c.name.to_lowercase() == wanted)
    }

    /// Attached partitions in order of time.
    pub fn partitions(&self) -> &[Partition] {
        &self.0.partitions
    }

    /// Rows of the table.
    pub fn rows(&self) -> u64 {
        match self.loose_partition() {
            Some(_) => {
                self.partitions().iter().fold(0u64, |sum, partition| sum.saturating_add(partition.rows()))
            }
            None => self.0.txn.rows(),
        }
    }

    /// Position of the designated timestamp.
    pub fn timestamp(&self) -> Option<usize> {
        self.columns().iter().position(|c| c.designated)
    }

    /// Unit of the designated timestamp; microseconds when there is none.
    pub fn time_unit(&self) -> TimeUnit {
        time_unit(&self.0.meta)
    }

    /// Symbols of column `index`, read on first use; `None` for other types.
    pub fn symbols(&self, index: usize) -> Result<Option<Arc<SymbolTable>>> {
        let (Some(column), Some(cell)) = (self.columns().get(index), self.0.symbols.get(index)) else {
            return Err(Error::invalid_input(format!("table has no column {index}")).in_table(self.name()));
        };
        let Some(symbols) = &column.symbols else { return Ok(None) };
        if let Some(table) = cell.get() {
            return Ok(Some(Arc::clone(table)));
        }
        let read = symbols.read(self.files()).map_err(|e| e.in_column(&column.name).in_table(self.name()));
        let table = read.map_err(|e| self.explain(e, None))?;
        if let Some(watch) = self.watch() {
            watch.check_symbols(self)?;
        }
        Ok(Some(Arc::clone(cell.get_or_init(|| table))))
    }

    /// What checks that rows read later still belong to this snapshot; `None` when nothing can change.
    pub fn watch(&self) -> Option<&Watch> {
        self.0.watch.as_ref()
    }

    /// Whether nothing was committed since: then all bytes that were copied before this call belong to the snapshot.
    pub(crate) fn is_unchanged(&self) -> Result<bool> {
        self.watch().map_or(Ok(true), |watch| watch.is_current(self))
    }

    /// Whether bytes of `partition` that were copied before this call belong to the snapshot.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when they may not: take a new snapshot.
    pub fn check(&self, partition: &Partition) -> Result<()> {
        self.watch().map_or(Ok(()), |watch| watch.check(self, partition))
    }

    /// Says that a file of the table was opened by its path, which could be that of another table by then.
    pub(crate) fn note_opened(&self) {
        if let Some(watch) = self.watch() {
            watch.note_opened();
        }
    }

    /// The reason of an error met while reading: the table's change, if it has changed.
    pub(crate) fn explain(&self, error: Error, partition: Option<&Partition>) -> Error {
        match self.watch() {
            Some(watch) => watch.explain(error, self, partition),
            None => error,
        }
    }

    /// Whether nothing was committed since: then an error or a finding is not the trace of a change.
    pub fn is_current(&self) -> Result<bool> {
        self.note_opened();
        match self.is_unchanged() {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            other => other,
        }
    }
}

/// The checkpoint's copy of the records of the table in `dir` (docs/format.md §11.6).
fn checkpoint_of(dir: &Path, files: &dyn Files) -> Result<Option<PathBuf>> {
    let (Some(name), Some(root)) = (dir.file_name(), dir.parent().and_then(Path::parent)) else {
        return Ok(None);
    };
    let database = root.join(".checkpoint").join("db");
    // The directory outlives its checkpoint; this file does not.
    if files.kind(&database.join("_checkpoint_meta.d"))?.is_none() {
        return Ok(None);
    }
    let records = database.join(name);
    Ok(files.kind(&records.join("_txn"))?.map(|_| records))
}

/// How long an error may come from a server at work, and how often it must be met: on a busy machine, time passes while
/// neither we nor the server do anything. Files of a table that is being dropped or created are missing or empty for a
/// moment.
fn patience(kind: ErrorKind) -> Option<(Duration, u32)> {
    match kind {
        ErrorKind::Conflict => Some((PATIENCE, TRIES)),
        ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Unsupported => Some((SHORT_PATIENCE, TRIES)),
        _ => None,
    }
}

/// How long, and how often in a row, an error of one kind was met: another one is a sign of a server at work.
#[derive(Debug, Default)]
struct Repeated {
    kind: Option<ErrorKind>,
    first: Option<Instant>,
    times: u32,
}

impl Repeated {
    /// Counts an error of `kind`; whether it was met for long enough and often enough.
    fn is_over(&mut self, kind: ErrorKind, time: Duration, times: u32) -> bool {
        if self.kind != Some(kind) {
            *self = Self { kind: Some(kind), first: Some(Instant::now()), times: 0 };
        }
        self.times = self.times.saturating_add(1);
        self.times >= times && self.first.is_none_or(|first| first.elapsed() >= time)
    }
}
