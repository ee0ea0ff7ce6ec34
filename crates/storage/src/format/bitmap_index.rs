//! Bitmap indexes of SYMBOL columns: the rows of each key (docs/format.md §8.3).
//!
//! ```text
//! <col>.k   0 0xFA │ 1 sequence i64 │ 9 size of .v i64 │ 17 block capacity i32 │ 21 keys i32 │ 29 sequence i64
//!           64 + 32·k: count i64 │ first block i64 │ last block i64 │ count i64          k = symbol key + 1, 0 = NULL
//! <col>.v   block: capacity × row id (i64) │ previous block i64 │ next block i64
//! ```

use super::bytes::Record;
use crate::error::{Error, Result};
use crate::source::Source;

const SIGNATURE: u8 = 0xfa;
const HEADER_SIZE: u64 = 64;
const ENTRY_SIZE: u64 = 32;
const MAX_BLOCK_CAPACITY: u64 = 1 << 24;

/// An open index of one partition.
#[derive(Debug)]
pub struct BitmapIndex<'a> {
    keys: &'a dyn Source,
    values: &'a dyn Source,
    key_count: u64,
    block_capacity: u64,
}

impl<'a> BitmapIndex<'a> {
    /// Checks the header.
    ///
    /// # Errors
    /// Another signature, sequence words that disagree (a writer at work), impossible capacities.
    pub fn open(keys: &'a dyn Source, values: &'a dyn Source) -> Result<Self> {
        let mut header = [0u8; HEADER_SIZE as usize];
        keys.read_into(0, &mut header)?;
        let header = Record::new(&header, 0);
        let fail = |problem: &str, expected: String, found: String, at: u64| {
            Err(Error::corrupt(problem, expected, found).at(at).in_file(keys.path()))
        };
        let signature = header.u8(0)?;
        if signature != SIGNATURE {
            return fail("not a bitmap index", format!("{SIGNATURE:#x}"), format!("{signature:#x}"), 0);
        }
        let (start, end) = (header.i64(1)?, header.i64(29)?);
        if start != end {
            return fail("index is being written", start.to_string(), end.to_string(), 29);
        }
        let capacity = header.i32(17)?;
        let block_capacity = u64::try_from(capacity).unwrap_or(0);
        if !(1..=MAX_BLOCK_CAPACITY).contains(&block_capacity) {
            return fail(
                "impossible index block",
                format!("1 to {MAX_BLOCK_CAPACITY} rows"),
                capacity.to_string(),
                17,
            );
        }
        let key_count = u64::try_from(header.i32(21)?).unwrap_or(0);
        Ok(Self { keys, values, key_count, block_capacity })
    }

    /// Number of rows that the index lists for symbol `key`; may run ahead of the snapshot.
    pub fn count(&self, key: u32) -> Result<u64> {
        Ok(self.entry(key)?.map_or(0, |(count, _)| count))
    }

    /// Appends the rows of symbol `key` that are below `rows`, ascending, to `out`.
    ///
    /// # Errors
    /// Blocks outside the file, row ids that do not ascend, counts larger than the partition.
    pub fn rows(&self, key: u32, rows: u64, out: &mut Vec<u32>) -> Result<()> {
        let Some((count, first)) = self.entry(key)? else { return Ok(()) };
        let mut left = count;
        let mut block = first;
        let mut previous: Option<u64> = None;
        let mut ids = Vec::new();
        while left > 0 {
            let here = left.min(self.block_capacity);
            ids.resize(usize::try_from(here.saturating_mul(8)).unwrap_or_default(), 0);
            self.values.read_into(block, &mut ids)?;
            for id in ids.chunks_exact(8) {
                let id = Record::new(id, block).i64(0)?;
                let row = u64::try_from(id).ok().filter(|id| previous.is_none_or(|p| p < *id));
                let Some(row) = row else {
                    return Err(Error::corrupt(
                        "index rows must ascend",
                        format_args!("more than {previous:?}"),
                        id,
                    )
                    .at(block)
                    .in_file(self.values.path()));
                };
                previous = Some(row);
                if row >= rows {
                    return Ok(());
                }
                out.push(
                    u32::try_from(row)
                        .map_err(|_| Error::unsupported("partition has more than 4 billion rows"))?,
                );
            }
            left = left.saturating_sub(here);
            if left > 0 {
                // The link to the next block stands behind the rows and the link to the previous one.
                let link = block.saturating_add(self.block_capacity.saturating_mul(8)).saturating_add(8);
                block = self.values.load_unaligned(link)?;
            }
        }
        Ok(())
    }

    /// Count and first block of symbol `key`.
    fn entry(&self, key: u32) -> Result<Option<(u64, u64)>> {
        let slot = u64::from(key).saturating_add(1);
        if slot >= self.key_count {
            return Ok(None);
        }
        let at = HEADER_SIZE.saturating_add(slot.saturating_mul(ENTRY_SIZE));
        let mut bytes = [0u8; ENTRY_SIZE as usize];
        self.keys.read_into(at, &mut bytes)?;
        let entry = Record::new(&bytes, at);
        let (count, first, check) = (entry.i64(0)?, entry.i64(8)?, entry.i64(24)?);
        let valid = u64::try_from(count).ok().zip(u64::try_from(first).ok()).filter(|_| count == check);
        // Each listed row takes eight bytes, which bounds the count.
        let valid = valid.filter(|(count, _)| count.saturating_mul(8) <= self.values.len());
        valid.map(Some).ok_or_else(|| {
            Error::corrupt(
                "index entry is torn",
                format_args!("{count} rows twice"),
                format_args!("{check} rows"),
            )
            .at(at)
            .in_file(self.keys.path())
        })
    }
}

/// A word that need not be aligned.
trait LoadUnaligned {
    fn load_unaligned(&self, offset: u64) -> Result<u64>;
}

impl LoadUnaligned for dyn Source + '_ {
    fn load_unaligned(&self, offset: u64) -> Result<u64> {
        let mut word = [0; 8];
        self.read_into(offset, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::Memory;

    /// An index with blocks of two rows: NULL → {5}, key 0 → {0, 2, 7}, key 1 → {}.
    fn files() -> (Vec<u8>, Vec<u8>) {
        let mut k = vec![0u8; 64];
        k[0] = SIGNATURE;
        k[17..21].copy_from_slice(&2i32.to_le_bytes());
        k[21..25].copy_from_slice(&3i32.to_le_bytes());
        for entry in [[1i64, 0, 0, 1], [3, 32, 64, 3], [0, 0, 0, 0]] {
            k.extend(entry.iter().flat_map(|v| v.to_le_bytes()));
        }
        let blocks = [[5i64, 0, 0, 0], [0, 2, 0, 64], [7, 0, 32, 0]];
        (k, blocks.iter().flatten().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn rows(k: &[u8], v: &[u8], key: u32, limit: u64) -> Result<Vec<u32>> {
        let (k, v) = (Memory::new(k.to_vec()), Memory::new(v.to_vec()));
        let mut out = Vec::new();
        BitmapIndex::open(&k, &v)?.rows(key, limit, &mut out)?;
        Ok(out)
    }

    #[test]
    fn follows_blocks_and_stops_at_the_snapshot() {
        let (k, v) = files();
        assert_eq!(rows(&k, &v, 0, 10).unwrap(), [0, 2, 7]);
        assert_eq!(rows(&k, &v, 0, 7).unwrap(), [0, 2]);
        assert!(rows(&k, &v, 1, 10).unwrap().is_empty());
        assert!(rows(&k, &v, 99, 10).unwrap().is_empty(), "a key newer than the index");
    }

    #[test]
    fn damage_is_an_error_not_a_loop() {
        let (k, v) = files();
        let mut cyclic = v.clone();
        cyclic[32 + 24..64].copy_from_slice(&32i64.to_le_bytes());
        assert!(rows(&k, &cyclic, 0, 10).is_err(), "rows must ascend");
        let mut foreign = k.clone();
        foreign[0] = 0;
        assert!(rows(&foreign, &v, 0, 10).is_err());
        let mut huge = k.clone();
        for at in [96, 120] {
            huge[at..at + 8].copy_from_slice(&i64::MAX.to_le_bytes());
        }
        assert!(rows(&huge, &v, 0, 10).is_err());
        assert!(rows(&k, &v[..40], 0, 10).is_err());
    }
}
