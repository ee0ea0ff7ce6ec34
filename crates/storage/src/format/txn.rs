//! `_txn`: which rows exist (docs/format.md §3).
//!
//! ```text
//!  0 ┌ version (i64): even → area A, odd → area B
//!  8 │ A: offset i32 │ symbol bytes i32 │ partition bytes i32 │ 20 … 32
//! 32 │ B: offset i32 │ symbol bytes i32 │ partition bytes i32 │ 44 … 64
//!    └ record areas anywhere behind byte 64:
//!      0 txn │ 8 transient rows │ 16 fixed rows │ 24 min ts │ 32 max ts │ 40 structure version
//!     48 data version │ 56 partition table version │ 64 column version │ 72 truncate version
//!     80 seqTxn │ 88 lag checksum │ 92 lag txns │ 96 lag rows │ 100 lag min │ 108 lag max │ 116 …
//!    128 symbol count S │ 132 S × {count i32, transient i32} │ partition bytes i32 │ P × 32 bytes
//! ```

use super::bytes::Record;
use super::seqlock;
use crate::error::{Error, Result};
use crate::source::Source;

const AREA_A: usize = 8;
const AREA_B: usize = 32;
const HEADER_SIZE: u64 = 64;
const SYMBOLS: usize = 132;
const PARTITION_SIZE: usize = 32;

/// A symbol or partition section larger than this is damage; it bounds what we allocate.
const MAX_SECTION: i32 = 1 << 30;

/// No partition and no table has more rows: the row count field of a partition has 44 bits.
const MAX_ROWS: i64 = 1 << 44;

/// One partition as `_txn` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionEntry {
    /// Partition timestamp, in the designated timestamp's unit.
    pub timestamp: i64,
    /// Committed rows.
    pub rows: u64,
    /// Times that split parts were folded into this one.
    pub squash_count: u16,
    /// Stored as `data.parquet`.
    pub parquet: bool,
    /// Attached through a symbolic link.
    pub read_only: bool,
    /// Suffix of the directory.
    pub name_txn: Option<u64>,
    /// Bytes of `data.parquet` that belong to this version.
    pub parquet_size: Option<u64>,
}

/// A validated `_txn` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txn {
    /// Transaction number; the version word of the file.
    pub txn: u64,
    /// Rows of the last partition.
    pub transient_rows: u64,
    /// Rows of all other partitions.
    pub fixed_rows: u64,
    /// Smallest designated timestamp, when known.
    pub min_timestamp: Option<i64>,
    /// Largest designated timestamp, when known.
    pub max_timestamp: Option<i64>,
    /// Low half of the `_meta` version that goes with this record.
    pub meta_version: u32,
    /// `_cv` version that goes with this record.
    pub column_version: i64,
    /// Changes with each TRUNCATE.
    pub truncate_version: i64,
    /// Last WAL transaction applied.
    pub seq_txn: i64,
    /// Committed symbol counts, by dense symbol index.
    pub symbol_counts: Vec<u32>,
    /// Attached partitions, ascending; empty for tables that are not partitioned.
    pub partitions: Vec<PartitionEntry>,
}

impl Txn {
    /// All rows of the table.
    pub fn rows(&self) -> u64 {
        self.transient_rows.saturating_add(self.fixed_rows)
    }

    /// Reads the current record with the seqlock of docs/format.md §3.1.
    pub fn read(source: &dyn Source) -> Result<Self> {
        if source.len() < HEADER_SIZE {
            return Err(Error::too_short(source.path(), HEADER_SIZE, source.len()));
        }
        seqlock::read(source, |version| Self::read_version(source, version))
            .map_err(|e| e.in_file(source.path()))
    }

    fn read_version(source: &dyn Source, version: u64) -> Result<Self> {
        let mut header = [0u8; HEADER_SIZE as usize];
        source.read_into(0, &mut header)?;
        let header = Record::new(&header, 0);
        let area = if version.is_multiple_of(2) { AREA_A } else { AREA_B };
        let offset = header.i32(area)?;
        let symbols = section(&header, area.saturating_add(4), "symbol section", 8)?;
        let partitions = section(&header, area.saturating_add(8), "partition section", PARTITION_SIZE)?;
        let size = (SYMBOLS as u64)
            .saturating_add(4)
            .saturating_add(symbols as u64)
            .saturating_add(partitions as u64);
        let start = u64::try_from(offset).ok().filter(|o| *o >= HEADER_SIZE);
        let start = start.filter(|o| o.saturating_add(size) <= source.len()).ok_or_else(|| {
            Error::corrupt(
                "record lies outside the file",
                format_args!("{size} bytes between {HEADER_SIZE} and {}", source.len()),
                format_args!("offset {offset}"),
            )
            .at(area as u64)
        })?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        source.read_into(start, &mut bytes)?;
        Self::parse(&Record::new(&bytes, start), version, symbols, partitions)
    }

    fn parse(record: &Record<'_>, version: u64, symbols: usize, partitions: usize) -> Result<Self> {
        let txn = record.i64(0)?;
        if txn as u64 != version {
            return Err(
                Error::corrupt("record is of another transaction", version, txn).at(record.position(0))
            );
        }
        let stored_symbols = record.i32(128)?;
        if i64::from(stored_symbols) != (symbols / 8) as i64 {
            return Err(Error::corrupt(
                "symbol column count disagrees with the header",
                symbols / 8,
                stored_symbols,
            )
            .at(record.position(128)));
        }
        let symbol_counts = (0..symbols / 8)
            .map(|i| {
                let at = SYMBOLS.saturating_add(i.saturating_mul(8));
                let count = record.i32(at)?;
                u32::try_from(count).map_err(|_| {
                    Error::corrupt("negative symbol count", "0 or more", count).at(record.position(at))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let list = SYMBOLS.saturating_add(symbols).saturating_add(4);
        let transient_rows = rows(record, 8, "transient row count")?;
        let min = record.i64(24)?;
        let max = record.i64(32)?;
        let mut txn = Self {
            txn: version,
            transient_rows,
            fixed_rows: rows(record, 16, "fixed row count")?,
            min_timestamp: (min != i64::MAX).then_some(min),
            max_timestamp: (max != i64::MIN).then_some(max),
            meta_version: record.i64(40)? as u32,
            column_version: record.i64(64)?,
            truncate_version: record.i64(72)?,
            seq_txn: record.i64(80)?,
            symbol_counts,
            partitions: parse_partitions(&record.part(list, partitions)?)?,
        };
        if let Some(last) = txn.partitions.last_mut() {
            // The stored count of the last partition is stale.
            last.rows = transient_rows;
        }
        txn.check_row_total(record)?;
        Ok(txn)
    }

    fn check_row_total(&self, record: &Record<'_>) -> Result<()> {
        if self.partitions.is_empty() {
            return Ok(());
        }
        let total = self.partitions.iter().fold(0u64, |sum, p| sum.saturating_add(p.rows));
        if total != self.rows() {
            return Err(Error::corrupt(
                "row counts of the partitions do not add up",
                format_args!("{} rows", self.rows()),
                format_args!("{total} rows"),
            )
            .at(record.position(16)));
        }
        Ok(())
    }
}

fn section(header: &Record<'_>, at: usize, what: &str, unit: usize) -> Result<usize> {
    let size = header.i32(at)?;
    let fits = (0..=MAX_SECTION).contains(&size) && (size.unsigned_abs() as usize).is_multiple_of(unit);
    if !fits {
        return Err(Error::corrupt(
            format!("impossible size of the {what}"),
            format_args!("a multiple of {unit} up to {MAX_SECTION}"),
            size,
        )
        .at(header.position(at)));
    }
    Ok(size.unsigned_abs() as usize)
}

fn rows(record: &Record<'_>, at: usize, what: &str) -> Result<u64> {
    let rows = record.i64(at)?;
    if !(0..MAX_ROWS).contains(&rows) {
        return Err(Error::corrupt(format!("impossible {what}"), format_args!("0 to {MAX_ROWS}"), rows)
            .at(record.position(at)));
    }
    Ok(rows.unsigned_abs())
}

fn parse_partitions(list: &Record<'_>) -> Result<Vec<PartitionEntry>> {
    let count = list.len() / PARTITION_SIZE;
    let mut entries: Vec<PartitionEntry> = Vec::with_capacity(count);
    for i in 0..count {
        let start = i.saturating_mul(PARTITION_SIZE);
        let record = list.part(start, PARTITION_SIZE)?;
        let timestamp = record.i64(0)?;
        let flags = record.i64(8)? as u64;
        let ascending = entries.last().is_none_or(|previous| previous.timestamp < timestamp);
        if !ascending || timestamp < 0 {
            return Err(Error::corrupt(
                "partition timestamps must ascend from 1970 on",
                entries.last().map_or("0 or more".to_owned(), |p| format!("more than {}", p.timestamp)),
                timestamp,
            )
            .at(record.position(0)));
        }
        if flags >> 63 != 0 {
            return Err(Error::corrupt("impossible partition size", "a row count of 44 bits", flags as i64)
                .at(record.position(8)));
        }
        let parquet = flags >> 61 & 1 != 0;
        // Newer servers keep flags in the high byte (docs/format.md §14).
        let size = record.i64(24)? as u64 & 0x00ff_ffff_ffff_ffff;
        entries.push(PartitionEntry {
            timestamp,
            rows: flags & 0x0fff_ffff_ffff,
            squash_count: (flags >> 44) as u16,
            parquet,
            read_only: flags >> 62 & 1 != 0,
            name_txn: u64::try_from(record.i64(16)?).ok(),
            parquet_size: parquet.then_some(size),
        });
    }
    Ok(entries)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::source::tests::Memory;

    /// A `_txn` of version `version` with one symbol column and (timestamp, flags and rows) partitions.
    pub(crate) fn file(version: i64, transient: i64, fixed: i64, partitions: &[(i64, u64)]) -> Vec<u8> {
        let mut bytes = vec![0u8; 64];
        bytes[0..8].copy_from_slice(&version.to_le_bytes());
        let area = if version % 2 == 0 { AREA_A } else { AREA_B };
        bytes[area..area + 4].copy_from_slice(&64i32.to_le_bytes());
        bytes[area + 4..area + 8].copy_from_slice(&8i32.to_le_bytes());
        bytes[area + 8..area + 12].copy_from_slice(&(32 * partitions.len() as i32).to_le_bytes());
        let mut record = vec![0u8; SYMBOLS];
        for (at, value) in [(0, version), (8, transient), (16, fixed), (24, i64::MAX), (32, i64::MIN)] {
            record[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        record[128..132].copy_from_slice(&1i32.to_le_bytes());
        bytes.extend(record);
        bytes.extend([5i32, 9].iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend((32 * partitions.len() as i32).to_le_bytes());
        for (timestamp, flags) in partitions {
            bytes.extend([*timestamp, *flags as i64, -1, -1].iter().flat_map(|v| v.to_le_bytes()));
        }
        bytes
    }

    fn read(bytes: Vec<u8>) -> Result<Txn> {
        Txn::read(&Memory::new(bytes))
    }

    #[test]
    fn last_partition_takes_the_transient_count() {
        for version in [8, 9] {
            let txn = read(file(version, 7, 20, &[(0, 20 | 1 << 61), (1000, 999)])).unwrap();
            assert_eq!(txn.rows(), 27);
            assert_eq!(txn.symbol_counts, [5]);
            assert!(txn.partitions[0].parquet);
            assert_eq!(txn.partitions[1].rows, 7);
            assert_eq!(txn.partitions[1].name_txn, None);
            assert_eq!((txn.min_timestamp, txn.max_timestamp), (None, None));
        }
    }

    #[test]
    fn impossible_numbers_are_refused_with_their_place() {
        assert!(read(file(8, -5, 0, &[])).unwrap_err().to_string().contains("transient row count"));
        assert!(read(file(8, 1 << 50, 0, &[])).is_err());
        assert!(read(file(8, 7, 20, &[(0, 19), (1000, 7)])).is_err(), "counts must add up");
        assert!(read(file(8, 7, 20, &[(1000, 20), (1000, 7)])).is_err(), "timestamps must ascend");
        assert!(read(file(8, 7, 20, &[(-1, 20), (1000, 7)])).is_err());
        assert!(read(file(8, 7, 20, &[(0, u64::MAX), (1000, 7)])).is_err());
        let mut bytes = file(8, 7, 20, &[(0, 20), (1000, 7)]);
        bytes[16..20].copy_from_slice(&(i32::MAX - 7).to_le_bytes());
        assert!(read(bytes).is_err());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = file(8, 7, 20, &[(0, 20), (1000, 7)]);
        for len in (0..bytes.len()).step_by(7) {
            assert!(read(bytes[..len].to_vec()).is_err(), "{len} bytes");
        }
    }
}
