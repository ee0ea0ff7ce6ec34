//! `_cv`: which file of a column belongs to which partition, and column tops (docs/format.md §4).
//!
//! ```text
//!  0 ┌ version (i64): even → area A, odd → area B
//!  8 │ A: offset i64 │ size i64        24 │ B: offset i64 │ size i64
//! 40 └ areas of records: partition ts i64 │ writer index i64 │ column name txn i64 │ value i64
//! ```

use super::bytes::Record;
use super::seqlock;
use crate::error::{Error, Result};
use crate::source::Source;

const AREA_A: usize = 8;
const AREA_B: usize = 24;
const HEADER_SIZE: u64 = 40;
const RECORD_SIZE: usize = 32;

/// Partition timestamp of a column's default record.
const DEFAULT: i64 = i64::MIN;
/// Partition timestamp of a symbol-table record.
const SYMBOL_FILES: i64 = i64::MIN + 1;

/// An area larger than this is damage; it bounds what we allocate.
const MAX_AREA: u64 = 1 << 31;

/// Where a column's rows of one partition are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnState {
    /// The column is younger than the partition: no files, every row is NULL.
    Absent,
    /// Rows before `top` are NULL and not stored; the others are in the files with suffix `name_txn`.
    Present {
        /// Suffix of the column's files in this partition.
        name_txn: Option<u64>,
        /// Leading rows that are not stored.
        top: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    partition: i64,
    column: i64,
    name_txn: i64,
    value: i64,
}

/// A validated `_cv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnVersions {
    /// Version; `_txn` names the one it goes with.
    pub version: i64,
    /// Sorted by (partition, column).
    entries: Vec<Entry>,
}

impl ColumnVersions {
    /// Reads the current area with the seqlock of docs/format.md §3.1.
    pub fn read(source: &dyn Source) -> Result<Self> {
        Self::read_area(source, |version| version)
    }

    /// Reads the area of the version before the current one. It stays as it is until the transaction of the current one
    /// is over and the next one writes: a reader has to see afterwards that `_txn` is still the one before.
    pub fn read_before(source: &dyn Source) -> Result<Self> {
        Self::read_area(source, |version| version.wrapping_sub(1))
    }

    fn read_area(source: &dyn Source, choose: impl Fn(u64) -> u64) -> Result<Self> {
        if source.len() < HEADER_SIZE {
            return Err(Error::too_short(source.path(), HEADER_SIZE, source.len()));
        }
        seqlock::read(source, |version| Self::read_version(source, choose(version)))
            .map_err(|e| e.in_file(source.path()))
    }

    fn read_version(source: &dyn Source, version: u64) -> Result<Self> {
        let mut header = [0u8; HEADER_SIZE as usize];
        source.read_into(0, &mut header)?;
        let header = Record::new(&header, 0);
        let area = if version.is_multiple_of(2) { AREA_A } else { AREA_B };
        let (offset, size) = (header.i64(area)?, header.i64(area.saturating_add(8))?);
        if size == 0 {
            return Ok(Self { version: version as i64, entries: Vec::new() });
        }
        let start = u64::try_from(offset).ok().filter(|o| *o >= HEADER_SIZE);
        let bytes =
            u64::try_from(size).ok().filter(|s| *s <= MAX_AREA && s.is_multiple_of(RECORD_SIZE as u64));
        let (Some(start), Some(bytes)) = (start, bytes) else {
            return Err(Error::corrupt(
                "impossible area of column versions",
                format_args!("an offset from {HEADER_SIZE} on and a multiple of {RECORD_SIZE} bytes"),
                format_args!("offset {offset}, {size} bytes"),
            )
            .at(area as u64));
        };
        if start.saturating_add(bytes) > source.len() {
            return Err(Error::too_short(source.path(), start.saturating_add(bytes), source.len()));
        }
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or_default()];
        source.read_into(start, &mut buffer)?;
        Self::parse(&Record::new(&buffer, start), version as i64)
    }

    fn parse(area: &Record<'_>, version: i64) -> Result<Self> {
        let count = area.len() / RECORD_SIZE;
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        for i in 0..count {
            let record = area.part(i.saturating_mul(RECORD_SIZE), RECORD_SIZE)?;
            let entry = Entry {
                partition: record.i64(0)?,
                column: record.i64(8)?,
                name_txn: record.i64(16)?,
                value: record.i64(24)?,
            };
            if let Some(last) = entries.last() {
                if (last.partition, last.column) >= (entry.partition, entry.column) {
                    return Err(Error::corrupt(
                        "column versions must be sorted",
                        format_args!("more than ({}, {})", last.partition, last.column),
                        format_args!("({}, {})", entry.partition, entry.column),
                    )
                    .at(record.position(0)));
                }
            }
            entries.push(entry);
        }
        Ok(Self { version, entries })
    }

    fn find(&self, partition: i64, column: usize) -> Option<&Entry> {
        let key = (partition, i64::try_from(column).unwrap_or(i64::MAX));
        let at = self.entries.binary_search_by_key(&key, |e| (e.partition, e.column)).ok()?;
        self.entries.get(at)
    }

    /// State of column `writer_index` in the partition whose `_txn` timestamp is `partition`.
    ///
    /// # Errors
    /// A negative column top.
    pub fn state(&self, partition: i64, writer_index: usize) -> Result<ColumnState> {
        if let Some(entry) = self.find(partition, writer_index) {
            let top = u64::try_from(entry.value)
                .map_err(|_| Error::corrupt("negative column top", "0 or more", entry.value))?;
            return Ok(ColumnState::Present { name_txn: u64::try_from(entry.name_txn).ok(), top });
        }
        Ok(match self.find(DEFAULT, writer_index) {
            Some(default) if default.value > partition => ColumnState::Absent,
            Some(default) => ColumnState::Present { name_txn: u64::try_from(default.name_txn).ok(), top: 0 },
            None => ColumnState::Present { name_txn: None, top: 0 },
        })
    }

    /// Suffix of the symbol files of column `writer_index`.
    pub fn symbol_files(&self, writer_index: usize) -> Option<u64> {
        let entry = self.find(SYMBOL_FILES, writer_index).or_else(|| self.find(DEFAULT, writer_index))?;
        u64::try_from(entry.name_txn).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::Memory;

    fn file(version: i64, records: &[[i64; 4]]) -> Vec<u8> {
        let mut bytes = vec![0u8; 40];
        bytes[0..8].copy_from_slice(&version.to_le_bytes());
        let area = if version % 2 == 0 { AREA_A } else { AREA_B };
        bytes[area..area + 8].copy_from_slice(&40i64.to_le_bytes());
        bytes[area + 8..area + 16].copy_from_slice(&(32 * records.len() as i64).to_le_bytes());
        bytes.extend(records.iter().flatten().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    #[test]
    fn resolution_follows_partition_then_default_then_nothing() {
        let day = 1_704_067_200_000_000;
        let records = [[DEFAULT, 5, 3, day], [SYMBOL_FILES, 2, 9, 0], [day, 5, 3, 3010], [day, 6, -1, 2]];
        for version in [0, 1] {
            let cv = ColumnVersions::read(&Memory::new(file(version, &records))).unwrap();
            assert_eq!(cv.state(day, 5).unwrap(), ColumnState::Present { name_txn: Some(3), top: 3010 });
            assert_eq!(cv.state(day, 6).unwrap(), ColumnState::Present { name_txn: None, top: 2 });
            assert_eq!(cv.state(day - 1, 5).unwrap(), ColumnState::Absent);
            assert_eq!(cv.state(day + 1, 5).unwrap(), ColumnState::Present { name_txn: Some(3), top: 0 });
            assert_eq!(cv.state(day, 1).unwrap(), ColumnState::Present { name_txn: None, top: 0 });
            assert_eq!(cv.symbol_files(2), Some(9));
            assert_eq!(cv.symbol_files(5), Some(3));
            assert_eq!(cv.symbol_files(1), None);
        }
    }

    #[test]
    fn the_area_before_the_current_one_is_there() {
        let mut bytes = file(4, &[[5, 5, 0, 7]]);
        bytes.extend([0u8; 64]);
        bytes[AREA_B..AREA_B + 8].copy_from_slice(&72i64.to_le_bytes());
        bytes[AREA_B + 8..AREA_B + 16].copy_from_slice(&32i64.to_le_bytes());
        bytes[72..80].copy_from_slice(&6i64.to_le_bytes());
        let source = Memory::new(bytes);
        let state = |versions: ColumnVersions| (versions.version, versions.state(5, 5).unwrap());
        let now = state(ColumnVersions::read(&source).unwrap());
        assert_eq!(now, (4, ColumnState::Present { name_txn: Some(0), top: 7 }));
        let before = state(ColumnVersions::read_before(&source).unwrap());
        assert_eq!(before, (3, ColumnState::Present { name_txn: None, top: 0 }));
    }

    #[test]
    fn empty_area_means_no_records() {
        assert!(ColumnVersions::read(&Memory::new(vec![0; 40])).unwrap().entries.is_empty());
    }

    #[test]
    fn damage_is_refused() {
        assert!(ColumnVersions::read(&Memory::new(vec![0; 20])).is_err());
        assert!(
            ColumnVersions::read(&Memory::new(file(1, &[[5, 5, 0, 0], [4, 5, 0, 0]]))).is_err(),
            "unsorted"
        );
        let mut bytes = file(1, &[[5, 5, 0, -1]]);
        let cv = ColumnVersions::read(&Memory::new(bytes.clone())).unwrap();
        assert!(cv.state(5, 5).is_err(), "negative top");
        bytes[AREA_B + 8..AREA_B + 16].copy_from_slice(&(1i64 << 40).to_le_bytes());
        assert!(ColumnVersions::read(&Memory::new(bytes)).is_err());
    }
}
