//! `_meta`: the table's structure (docs/format.md §2).
//!
//! ```text
//!   0 ┌ column count C ─────┬ partition by ───────┬ timestamp index ────┬ format 426 ─────────┐
//!  16 ├ table id ───────────┼ max uncommitted ────┼ O3 max lag, µs (i64) ─────────────────────┤
//!  32 ├ metadata version (i64) ───────────────────┼ WAL u8 ┬ checks i32 ┬ TTL i32 ┬ reserved …┤
//! 128 ├ C × column record (32 bytes) ─────────────────────────────────────────────────────────┤
//!     └ C × column name (str) ────────────────────────────────────────────────────────────────┘
//! ```

use std::collections::HashSet;

use super::bytes::Record;
use crate::error::{Error, Result};
use crate::types::ColumnType;

const COLUMN_COUNT: usize = 0;
const PARTITION_BY: usize = 4;
const TIMESTAMP_INDEX: usize = 8;
const FORMAT_VERSION: usize = 12;
const TABLE_ID: usize = 16;
const MAX_UNCOMMITTED_ROWS: usize = 20;
const O3_MAX_LAG: usize = 24;
const METADATA_VERSION: usize = 32;
const WAL_ENABLED: usize = 40;
const MINOR_CHECK: usize = 41;
const TTL: usize = 45;
const COLUMNS: usize = 128;
const COLUMN_SIZE: usize = 32;

/// The only format version that current servers read and write.
pub const SUPPORTED_FORMAT: i32 = 426;

/// More columns than any table has; larger counts are damage, and bound what we allocate.
const MAX_COLUMNS: i32 = 100_000;

/// Longest column name, in UTF-16 units.
const MAX_NAME_UNITS: i32 = 255;

/// `_meta` larger than this is damage.
pub const MAX_FILE_SIZE: u64 = 128 << 20;

/// The unit of a table's partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionBy {
    /// One partition for everything.
    None,
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// ISO weeks.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
    /// A view: no partitions at all.
    NotApplicable,
}

impl PartitionBy {
    fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            0 => Self::Day,
            1 => Self::Month,
            2 => Self::Year,
            3 => Self::None,
            4 => Self::Hour,
            5 => Self::Week,
            6 => Self::NotApplicable,
            _ => return None,
        })
    }

    /// The server's word for the unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Hour => "HOUR",
            Self::Day => "DAY",
            Self::Week => "WEEK",
            Self::Month => "MONTH",
            Self::Year => "YEAR",
            Self::NotApplicable => "N/A",
        }
    }
}

/// How long rows live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeToLive {
    /// For ever.
    Unlimited,
    /// So many hours.
    Hours(u32),
    /// So many months.
    Months(u32),
}

impl TimeToLive {
    /// Value and unit as the server's `tables()` shows them: the largest unit that divides evenly.
    pub fn value_and_unit(self) -> (u32, &'static str) {
        match self {
            Self::Unlimited => (0, "HOUR"),
            Self::Hours(h) if h % 168 == 0 => (h / 168, "WEEK"),
            Self::Hours(h) if h % 24 == 0 => (h / 24, "DAY"),
            Self::Hours(h) => (h, "HOUR"),
            Self::Months(m) if m % 12 == 0 => (m / 12, "YEAR"),
            Self::Months(m) => (m, "MONTH"),
        }
    }
}

/// A column record with its name. `w` below is its position: the writer index.
#[derive(Debug, Clone)]
pub struct ColumnRecord {
    /// Name as written.
    pub name: String,
    /// Type; deleted columns keep theirs.
    pub column_type: ColumnType,
    /// Whether the column was dropped or replaced.
    pub deleted: bool,
    /// Has a bitmap index.
    pub indexed: bool,
    /// The server caches the symbol table.
    pub symbol_cached: bool,
    /// Part of the deduplication key.
    pub dedup_key: bool,
    /// Row ids per index block.
    pub index_block_capacity: i32,
    /// Symbol capacity; noise for other types.
    pub symbol_capacity: i32,
    /// Writer index of the column whose place this one takes.
    pub replaces: Option<usize>,
}

/// A validated `_meta`.
#[derive(Debug, Clone)]
pub struct Meta {
    /// Partition unit.
    pub partition_by: PartitionBy,
    /// Writer index of the designated timestamp.
    pub timestamp: Option<usize>,
    /// Table id.
    pub table_id: i32,
    /// Rows a writer keeps uncommitted at most.
    pub max_uncommitted_rows: i32,
    /// Out-of-order lag in microseconds.
    pub o3_max_lag_us: i64,
    /// Version of this structure; `_txn` names the one it goes with.
    pub version: i64,
    /// Whether writes go through the WAL.
    pub wal: bool,
    /// Time to live.
    pub ttl: TimeToLive,
    /// All records, by writer index.
    pub records: Vec<ColumnRecord>,
    /// Writer indexes of the live columns, in the order that users see.
    pub order: Vec<usize>,
}

impl Meta {
    /// Parses the whole file.
    ///
    /// # Errors
    /// Corrupt or unsupported content, with the offset.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let file = Record::new(bytes, 0);
        if file.is_empty() {
            return Err(Error::corrupt("file is empty", "table metadata", "0 bytes").at(0));
        }
        let format = file.i32(FORMAT_VERSION)?;
        if format != SUPPORTED_FORMAT {
            return Err(Error::unsupported("metadata format is not supported")
                .expected(format_args!("version {SUPPORTED_FORMAT}"))
                .found(format_args!("version {format}"))
                .at(FORMAT_VERSION as u64)
                .hint(
                    "A version below 426 is migrated when a current QuestDB server starts on the directory.",
                ));
        }
        let count = file.i32(COLUMN_COUNT)?;
        if !(0..=MAX_COLUMNS).contains(&count) {
            return Err(
                Error::corrupt("impossible column count", format_args!("0 to {MAX_COLUMNS}"), count).at(0)
            );
        }
        let count = count.unsigned_abs() as usize;
        let partition_by = file.i32(PARTITION_BY)?;
        let partition_by = PartitionBy::from_code(partition_by).ok_or_else(|| {
            Error::corrupt("unknown partition unit", "0 to 6", partition_by).at(PARTITION_BY as u64)
        })?;
        let records = parse_records(&file, count)?;
        let timestamp = parse_timestamp(&file, &records)?;
        let version = file.i64(METADATA_VERSION)?;
        let meta = Self {
            partition_by,
            timestamp,
            table_id: file.i32(TABLE_ID)?,
            max_uncommitted_rows: file.i32(MAX_UNCOMMITTED_ROWS)?,
            o3_max_lag_us: file.i64(O3_MAX_LAG)?,
            version,
            wal: file.u8(WAL_ENABLED)? != 0,
            ttl: parse_ttl(&file, version, count)?,
            order: visible_order(&records),
            records,
        };
        meta.check_names()?;
        meta.check_order()?;
        Ok(meta)
    }

    /// Position of column `writer_index` among the live symbol columns: its place in `_txn`'s
    /// symbol counts (docs/format.md §2.1).
    pub fn dense_symbol_index(&self, writer_index: usize) -> usize {
        let before = self.records.iter().take(writer_index);
        before.filter(|r| !r.deleted && r.column_type == ColumnType::Symbol).count()
    }

    /// Whether rows are deduplicated on write.
    pub fn dedup(&self) -> bool {
        self.records.iter().any(|r| !r.deleted && r.dedup_key)
    }

    /// Only a column that was replaced gives its place to another: a live one would vanish.
    fn check_order(&self) -> Result<()> {
        let live = self.records.iter().filter(|r| !r.deleted).count();
        if self.order.len() == live {
            return Ok(());
        }
        let expected = format_args!("{live} places for as many columns").to_string();
        Err(Error::corrupt("the place of a live column is taken by another", expected, self.order.len()))
    }

    fn check_names(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for record in self.records.iter().filter(|r| !r.deleted) {
            if !seen.insert(record.name.to_lowercase()) {
                return Err(Error::corrupt(
                    "two columns share a name",
                    "unique names",
                    format_args!("\"{}\" twice", record.name),
                ));
            }
        }
        Ok(())
    }
}

fn parse_records(file: &Record<'_>, count: usize) -> Result<Vec<ColumnRecord>> {
    let table = file.part(COLUMNS, count.saturating_mul(COLUMN_SIZE))?;
    let mut name_offset = COLUMNS.saturating_add(table.len());
    let mut records = Vec::with_capacity(count);
    for w in 0..count {
        let start = w.saturating_mul(COLUMN_SIZE);
        let record = table.part(start, COLUMN_SIZE)?;
        let code = record.i32(0)?;
        let flags = record.i64(4)?;
        let replacing = record.i32(24)?;
        let (name, next) = file.utf16(name_offset, MAX_NAME_UNITS)?;
        check_name(&name).map_err(|e| e.at(name_offset as u64))?;
        name_offset = next;
        records.push(ColumnRecord {
            name,
            column_type: ColumnType::from_code(code.wrapping_abs()),
            deleted: code < 0,
            indexed: flags & 1 != 0,
            symbol_cached: flags & 4 != 0,
            dedup_key: flags & 8 != 0,
            index_block_capacity: record.i32(12)?,
            symbol_capacity: record.i32(16)?,
            replaces: usize::try_from(replacing).ok().and_then(|r| r.checked_sub(1)),
        });
    }
    Ok(records)
}

/// Names become file names, so a name that leaves its directory must never pass (docs/format.md §6).
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
        return Err(Error::corrupt(
            "impossible column name",
            "a name that QuestDB allows",
            format_args!("{name:?}"),
        ));
    }
    Ok(())
}

fn parse_timestamp(file: &Record<'_>, records: &[ColumnRecord]) -> Result<Option<usize>> {
    let index = file.i32(TIMESTAMP_INDEX)?;
    if index == -1 {
        return Ok(None);
    }
    let found = usize::try_from(index).ok().and_then(|w| records.get(w).map(|r| (w, r)));
    match found {
        Some((w, record)) if !record.deleted && matches!(record.column_type, ColumnType::Timestamp(_)) => {
            Ok(Some(w))
        }
        Some((_, record)) => Err(Error::corrupt(
            "designated timestamp is not a live TIMESTAMP column",
            "TIMESTAMP or TIMESTAMP_NS",
            format_args!("{} \"{}\"", record.column_type, record.name),
        )),
        None => Err(Error::corrupt(
            "designated timestamp names no column",
            format_args!("-1 or an index below {}", records.len()),
            index,
        )),
    }
    .map_err(|e| e.at(TIMESTAMP_INDEX as u64))
}

/// TTL counts only when the checksum says that the minor-version fields are there.
fn parse_ttl(file: &Record<'_>, version: i64, columns: usize) -> Result<TimeToLive> {
    let check = file.i32(MINOR_CHECK)?;
    let (found, minor) = (check & 0xffff, (check >> 16) & 0xffff);
    if found != minor_checksum(version, columns) || minor < 1 {
        return Ok(TimeToLive::Unlimited);
    }
    Ok(match file.i32(TTL)? {
        0 => TimeToLive::Unlimited,
        hours if hours > 0 => TimeToLive::Hours(hours.unsigned_abs()),
        months => TimeToLive::Months(months.unsigned_abs()),
    })
}

fn minor_checksum(version: i64, columns: usize) -> i32 {
    let folded = (version as i32) ^ ((version >> 32) as i32);
    let hash = 13i32.wrapping_mul(folded).wrapping_add(37i32.wrapping_mul(columns as i32));
    let check = (hash & 0xffff) ^ ((hash >> 16) & 0xffff);
    if check == 0 {
        (-1337i32) & 0xffff
    } else {
        check
    }
}

/// Live columns in the order users see: a column whose type was changed keeps the old one's place.
fn visible_order(records: &[ColumnRecord]) -> Vec<usize> {
    let mut slots: Vec<Option<usize>> = Vec::with_capacity(records.len());
    for (w, record) in records.iter().enumerate() {
        match record.replaces.and_then(|r| slots.get_mut(r)) {
            Some(slot) => {
                *slot = Some(w);
                slots.push(None);
            }
            None => slots.push(Some(w)),
        }
    }
    let live = |w: &usize| records.get(*w).is_some_and(|r| !r.deleted);
    slots.into_iter().flatten().filter(live).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `_meta` with the given (type code, name, replacing) columns.
    fn file(timestamp: i32, columns: &[(i32, &str, i32)]) -> Vec<u8> {
        let mut bytes = vec![0u8; COLUMNS];
        bytes[0..4].copy_from_slice(&(columns.len() as i32).to_le_bytes());
        bytes[8..12].copy_from_slice(&timestamp.to_le_bytes());
        bytes[12..16].copy_from_slice(&SUPPORTED_FORMAT.to_le_bytes());
        for (code, _, replacing) in columns {
            let mut record = [0u8; COLUMN_SIZE];
            record[0..4].copy_from_slice(&code.to_le_bytes());
            record[24..28].copy_from_slice(&replacing.to_le_bytes());
            bytes.extend(record);
        }
        for (_, name, _) in columns {
            bytes.extend((name.encode_utf16().count() as i32).to_le_bytes());
            bytes.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
        }
        bytes
    }

    #[test]
    fn retyped_column_keeps_its_place_and_dropped_ones_vanish() {
        let bytes = file(0, &[(8, "ts", 0), (-5, "a", 0), (-6, "gone", 0), (6, "a", 2), (5, "b", 0)]);
        let meta = Meta::parse(&bytes).unwrap();
        let names: Vec<_> = meta.order.iter().map(|w| meta.records[*w].name.as_str()).collect();
        assert_eq!(names, ["ts", "a", "b"]);
        assert_eq!(meta.order, [0, 3, 4]);
        assert_eq!(meta.timestamp, Some(0));
    }

    #[test]
    fn dense_symbol_index_counts_live_symbols_in_writer_order() {
        let bytes = file(-1, &[(12, "a", 0), (-12, "b", 0), (12, "c", 0), (5, "d", 0), (12, "e", 2)]);
        let meta = Meta::parse(&bytes).unwrap();
        assert_eq!(meta.dense_symbol_index(0), 0);
        assert_eq!(meta.dense_symbol_index(2), 1);
        assert_eq!(meta.dense_symbol_index(4), 2);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = file(0, &[(8, "ts", 0), (5, "price", 0)]);
        for len in 0..bytes.len() {
            assert!(Meta::parse(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(Meta::parse(&bytes).is_ok());
    }

    #[test]
    fn foreign_versions_names_and_timestamps_are_refused() {
        let mut bytes = file(0, &[(8, "ts", 0)]);
        bytes[12] = 0;
        assert!(Meta::parse(&bytes).unwrap_err().to_string().contains("version 256"));
        assert!(Meta::parse(&file(77, &[(8, "ts", 0)])).is_err());
        assert!(Meta::parse(&file(0, &[(5, "i", 0)])).is_err());
        assert!(Meta::parse(&file(-1, &[(5, "../x", 0)])).is_err());
        assert!(Meta::parse(&file(-1, &[(5, "a", 0), (5, "A", 0)])).is_err());
    }

    #[test]
    fn a_live_column_does_not_vanish_when_another_takes_its_place() {
        let error = Meta::parse(&file(-1, &[(5, "a", 0), (6, "b", 1)])).unwrap_err().to_string();
        assert!(error.contains("taken by another"), "{error}");
        assert!(Meta::parse(&file(-1, &[(-5, "a", 0), (-6, "a", 1), (8, "a", 1)])).is_ok(), "retyped twice");
    }

    #[test]
    fn ttl_needs_a_matching_checksum() {
        let mut bytes = file(0, &[(8, "ts", 0)]);
        bytes[TTL..TTL + 4].copy_from_slice(&72i32.to_le_bytes());
        assert_eq!(Meta::parse(&bytes).unwrap().ttl, TimeToLive::Unlimited);
        let check = minor_checksum(0, 1) | (1 << 16);
        bytes[MINOR_CHECK..MINOR_CHECK + 4].copy_from_slice(&check.to_le_bytes());
        assert_eq!(Meta::parse(&bytes).unwrap().ttl.value_and_unit(), (3, "DAY"));
        assert_eq!(TimeToLive::Months(24).value_and_unit(), (2, "YEAR"));
    }
}
