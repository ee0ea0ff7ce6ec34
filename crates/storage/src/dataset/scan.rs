//! The shared state of a scan: hands out row groups in the order of files, to any number of threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::file::metadata::ColumnChunkMetaData;

use super::declared::{find, DataColumn, ScanColumn};
use super::discover::FoundFile;
use super::file::{ExportFile, FileColumn, FileGroup};
use super::pruning::{constant_may, may_match, time_range, GroupColumn};
use super::selection::{rows_of, ColumnPages};
use crate::error::{Error, Result};
use crate::scan::{Damage, Filter, IntervalSet};
use crate::source::Files;
use crate::types::TimeUnit;

/// How files are read.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Columns of files are the same when their names differ in case only.
    pub case_insensitive: bool,
    /// A column that a file lacks is NULL there.
    pub allow_missing: bool,
    /// Leave out files, row groups and pages that the filter excludes.
    pub filter_pushdown: bool,
    /// Look constants up in bloom filters.
    pub bloom_filters: bool,
    /// Timestamps without a time zone are of UTC.
    pub local_time_as_utc: bool,
    /// Rows that are decoded at once, at most, where they are not decoded by pages.
    pub block_rows: usize,
    /// Numbers and bytes instead of the text of LONG256, IPv4 and GEOHASH.
    pub raw_types: bool,
    /// Go on where files are damaged.
    pub lenient: bool,
}

/// A scan of files.
#[derive(Debug)]
pub struct FileScan {
    fs: Arc<dyn Files>,
    files: Arc<Vec<FoundFile>>,
    columns: Arc<Vec<ScanColumn>>,
    /// Declared columns of files whose values are needed.
    needed: Vec<usize>,
    filter: Filter,
    pub(super) options: ReadOptions,
    /// The designated timestamp by the first file: the declared column, and its unit.
    time: Option<(usize, TimeUnit)>,
    /// Files that were opened at bind, by position.
    opened: Vec<Option<Arc<ExportFile>>>,
    queue: Mutex<Queue>,
    claimed_files: AtomicU64,
    files_opened: AtomicU64,
    damage: Damage,
}

/// Files in a row, or row groups, that may be opened in vain before a row is returned all the same, so that the caller can
/// react to an interrupt.
pub(super) const PATIENCE: usize = 256;

#[derive(Debug, Default)]
struct Queue {
    next_file: usize,
    next_batch: u64,
    /// The file whose row groups are handed out, and those left, the next one last.
    current: Option<(Arc<OpenFile>, Vec<usize>)>,
    /// Files in a row that were opened in vain.
    fruitless: usize,
    failed: bool,
}

/// A file of the scan.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Position in the scan.
    pub(super) index: usize,
    pub(super) file: Arc<ExportFile>,
    /// Where the file has the declared columns that it needs to have.
    pub(super) columns: Vec<Option<usize>>,
}

impl OpenFile {
    /// The file's column for a declared one that is needed.
    pub(super) fn column(&self, declared: usize) -> Option<&FileColumn> {
        self.file.columns().get(self.columns.get(declared).copied().flatten()?)
    }
}

/// A row group for one thread.
#[derive(Debug)]
pub(super) struct Piece {
    /// Position in the order of rows.
    pub(super) batch: u64,
    pub(super) file: Arc<OpenFile>,
    pub(super) group: usize,
    /// No row is needed, but the first one is to be returned, if it can be read.
    pub(super) in_vain: bool,
}

impl FileScan {
    /// Prepares a scan of the declared columns `needed` of `files`, of which some were `opened` already.
    pub fn new(
        fs: Arc<dyn Files>,
        files: Arc<Vec<FoundFile>>,
        columns: Arc<Vec<ScanColumn>>,
        needed: Vec<usize>,
        filter: Filter,
        options: ReadOptions,
        opened: Vec<Option<Arc<ExportFile>>>,
    ) -> Arc<Self> {
        let first = opened.iter().zip(files.iter()).find_map(|(file, found)| Some((file.as_ref()?, found)));
        let time = first.and_then(|(file, found)| designated(file, found, &columns));
        Arc::new(Self {
            fs,
            files,
            columns,
            needed,
            filter: if options.filter_pushdown { filter } else { Filter::all() },
            options,
            time,
            opened,
            queue: Mutex::new(Queue::default()),
            claimed_files: AtomicU64::new(0),
            files_opened: AtomicU64::new(0),
            damage: if options.lenient { Damage::lenient() } else { Damage::default() },
        })
    }

    /// The part of the files that was handed out, from 0 to 1.
    pub fn progress(&self) -> f64 {
        match self.files.len() {
            0 => 1.0,
            all => self.claimed_files.load(Ordering::Relaxed) as f64 / all as f64,
        }
    }

    /// What was found damaged.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Files that the scan had to open.
    pub fn files_opened(&self) -> u64 {
        self.files_opened.load(Ordering::Relaxed)
    }

    /// How many threads can work at once, as far as is known.
    pub fn parallelism(&self) -> usize {
        let first = self.opened.iter().flatten().next().map_or(1, |file| file.group_count());
        self.files.len().saturating_mul(first.max(1)).max(1)
    }

    pub(super) fn needed(&self) -> &[usize] {
        &self.needed
    }

    pub(super) fn found(&self, index: usize) -> Option<&FoundFile> {
        self.files.get(index)
    }

    /// The next row group; `None` when all were handed out.
    pub(super) fn claim(&self) -> Result<Option<Piece>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.failed {
            return Ok(None);
        }
        let claimed = self.next(&mut queue);
        queue.failed = claimed.is_err();
        claimed
    }

    fn next(&self, queue: &mut Queue) -> Result<Option<Piece>> {
        loop {
            if let Some((file, groups)) = &mut queue.current {
                if let Some(group) = groups.pop() {
                    let batch = queue.next_batch;
                    (queue.next_batch, queue.fruitless) = (queue.next_batch + 1, 0);
                    let file = Arc::clone(file);
                    return Ok(Some(Piece { batch, file, group, in_vain: false }));
                }
                queue.current = None;
            }
            let index = queue.next_file;
            let Some(found) = self.files.get(index) else { return Ok(None) };
            queue.next_file += 1;
            self.claimed_files.store(queue.next_file as u64, Ordering::Relaxed);
            if !self.name_may_match(index, found) {
                continue;
            }
            let open = match self.open(index, found) {
                Ok(open) => open,
                Err(error) => {
                    self.damage.tolerate(error, |e| e)?;
                    continue;
                }
            };
            let mut groups =
                if self.options.lenient { self.likely_groups(&open) } else { self.needed_groups(&open) };
            groups.reverse();
            queue.fruitless += 1;
            // Filters are hints, so a row that does not match does no harm. Damage that is left out is no filter.
            if groups.is_empty() && queue.fruitless >= PATIENCE && !self.options.lenient {
                if let Some(group) = open.file.groups().iter().position(|group| group.rows > 0) {
                    let batch = queue.next_batch;
                    (queue.next_batch, queue.fruitless) = (queue.next_batch + 1, 0);
                    return Ok(Some(Piece { batch, file: Arc::new(open), group, in_vain: true }));
                }
            }
            queue.current = Some((Arc::new(open), groups));
        }
    }

    /// Whether a row of the file can satisfy the filter, by its name and the keys of its directories.
    fn name_may_match(&self, index: usize, found: &FoundFile) -> bool {
        if let (Some((column, unit)), Some((start, end))) = (self.time, found.time) {
            let ticks = ticks(unit);
            let first = start.saturating_mul(ticks);
            let last = end.map_or(i64::MAX, |end| end.saturating_mul(ticks).saturating_sub(1));
            if self.filter.intervals(column).within(first, last).is_empty() {
                return false;
            }
        }
        may_match(&self.filter, &|column, condition| match self.columns.get(column) {
            Some(ScanColumn::Key(values)) => {
                values.get(index).is_none_or(|value| constant_may(value.as_ref(), condition))
            }
            _ => true,
        })
    }

    /// Row groups that can hold rows of the filter.
    fn needed_groups(&self, open: &OpenFile) -> Vec<usize> {
        let groups = open.file.groups().iter().enumerate().filter(|(_, group)| group.rows > 0);
        let may = |group: usize, rows: u64| {
            may_match(&self.filter, &|declared, condition| {
                let Some((column, chunk)) = self.flat_chunk(open, declared, group) else { return true };
                let (statistics, bloom_filters) = (chunk.statistics(), self.options.bloom_filters);
                GroupColumn { file: &open.file, column, chunk, statistics, rows, bloom_filters }
                    .may(condition)
            })
        };
        groups.filter(|(index, group)| may(*index, group.rows)).map(|(index, _)| index).collect()
    }

    /// Row groups whose number of rows is that of some column, or cannot be told. Statistics may be damaged, too.
    fn likely_groups(&self, open: &OpenFile) -> Vec<usize> {
        let leaves = open.file.reader.parquet_schema().columns();
        let likely = |(index, group): &(usize, &FileGroup)| {
            let chunks = open.file.reader.metadata().row_groups().get(*index).map(|group| group.columns());
            let flat =
                leaves.iter().zip(chunks.unwrap_or_default()).filter(|(leaf, _)| leaf.max_rep_level() == 0);
            let mut numbers = flat.map(|(_, chunk)| u64::try_from(chunk.num_values()).ok()).peekable();
            let likely = numbers.peek().is_none() || numbers.any(|values| values == Some(group.rows));
            if !likely {
                let what = "row group has another number of rows than its columns";
                let error = Error::corrupt(what, "the values of a column", group.rows);
                let hint = format!("Row group {index} is left out.");
                self.damage.note(&error.in_file(open.file.path()).hint(hint));
            }
            likely && group.rows > 0
        };
        open.file.groups().iter().enumerate().filter(likely).map(|(index, _)| index).collect()
    }

    /// The rows of a row group of `rows` rows that can satisfy the filter by the bounds of their pages; `None` for all.
    pub(super) fn selection(&self, open: &OpenFile, group: usize, rows: u64) -> Option<IntervalSet> {
        if self.options.lenient {
            return None;
        }
        let last = i64::try_from(rows.checked_sub(1)?).ok()?;
        let all = IntervalSet::between(0, last);
        let mut known: HashMap<usize, Option<ColumnPages<'_>>> = HashMap::new();
        let selected = rows_of(&self.filter, &all, &mut |declared, condition| {
            let pages = known.entry(declared).or_insert_with(|| {
                let (column, chunk) = self.flat_chunk(open, declared, group)?;
                ColumnPages::read(&open.file, column, chunk, rows)
            });
            pages.as_ref().map_or_else(|| all.clone(), |pages| pages.rows(condition))
        });
        Some(selected).filter(|selected| *selected != all)
    }

    /// The chunk of a declared column that has one leaf and no lists.
    fn flat_chunk<'f>(
        &self,
        open: &'f OpenFile,
        declared: usize,
        group: usize,
    ) -> Option<(&'f FileColumn, &'f ColumnChunkMetaData)> {
        let column = self.file_column(open, declared).filter(|column| column.leaves.len() == 1)?;
        let leaf = open.file.reader.parquet_schema().columns().get(column.leaves.start)?;
        let groups = open.file.reader.metadata().row_groups();
        let chunk = groups.get(group)?.columns().get(column.leaves.start)?;
        (leaf.path().parts().len() == 1 && leaf.max_rep_level() == 0).then_some((column, chunk))
    }

    fn file_column<'f>(&self, open: &'f OpenFile, declared: usize) -> Option<&'f FileColumn> {
        let ScanColumn::Data(column) = self.columns.get(declared)? else { return None };
        let known = open.columns.get(declared).copied().flatten();
        let index = known.or_else(|| find(&open.file, &column.name, self.options.case_insensitive))?;
        // What was compared at bind is the declared type; another one's statistics would be in other terms.
        let raw = self.options.raw_types;
        open.file.columns().get(index).filter(|found| found.kind.sql(raw) == column.kind.sql(raw))
    }

    fn open(&self, index: usize, found: &FoundFile) -> Result<OpenFile> {
        let file = match self.opened.get(index).cloned().flatten() {
            Some(file) => file,
            None => {
                self.files_opened.fetch_add(1, Ordering::Relaxed);
                Arc::new(ExportFile::open(&found.path, self.fs.as_ref(), self.options.local_time_as_utc)?)
            }
        };
        let mut columns = vec![None; self.columns.len()];
        for declared in &self.needed {
            let (Some(slot), Some(ScanColumn::Data(column))) =
                (columns.get_mut(*declared), self.columns.get(*declared))
            else {
                continue;
            };
            *slot = column.position(&file, self.options)?;
        }
        Ok(OpenFile { index, file, columns })
    }

    pub(super) fn declared(&self, index: usize) -> Option<&DataColumn> {
        match self.columns.get(index) {
            Some(ScanColumn::Data(column)) => Some(column),
            _ => None,
        }
    }
}

/// The designated timestamp of the scan. Names of files are taken to be about it only if the first file agrees:
/// directories `year=…` may be of another calendar.
fn designated(first: &ExportFile, found: &FoundFile, columns: &[ScanColumn]) -> Option<(usize, TimeUnit)> {
    let (index, unit) = first.designated()?;
    let name = &first.columns().get(index)?.name;
    let declared =
        columns.iter().position(|c| matches!(c, ScanColumn::Data(column) if column.name == *name))?;
    let (start, end) = found.time?;
    let (min, max) = time_range(first)?;
    let ticks = ticks(unit);
    let inside = start.saturating_mul(ticks) <= min && end.is_none_or(|end| max < end.saturating_mul(ticks));
    inside.then_some((declared, unit))
}

fn ticks(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Micros => 1_000_000,
        TimeUnit::Nanos => 1_000_000_000,
    }
}
