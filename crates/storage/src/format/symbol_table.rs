//! Symbol tables: the strings behind a SYMBOL column's keys (docs/format.md §8.1).
//!
//! ```text
//! <col>.o   0 capacity i32 │ 4 cached u8 │ 8 has NULL u8 │ … 64 │ offset of symbol k (i64) at 64 + 8·k │ end
//! <col>.c   symbol k: i32 UTF-16 units, then the units
//! ```

use super::bytes::{decode_utf16, Record};
use crate::error::{Error, Result};
use crate::source::Source;

const HEADER_SIZE: u64 = 64;
const NULL_FLAG: usize = 8;

/// The committed symbols of one column, as UTF-8.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SymbolTable {
    text: String,
    /// End of symbol k in `text`; symbol k starts where symbol k − 1 ends.
    ends: Vec<usize>,
    has_null: bool,
}

impl SymbolTable {
    /// Bytes that the offsets file needs for `count` symbols.
    pub fn offsets_size(count: u32) -> u64 {
        HEADER_SIZE.saturating_add(u64::from(count).saturating_add(1).saturating_mul(8))
    }

    /// Decodes the first `count` symbols; later entries are not committed.
    ///
    /// # Errors
    /// Offsets that do not ascend or leave the characters file, and lengths that disagree with them.
    pub fn read(offsets: &dyn Source, chars: &dyn Source, count: u32) -> Result<Self> {
        let size = Self::offsets_size(count);
        // Before anything is allocated by the number.
        if size > offsets.len() {
            return Err(Error::too_short(offsets.path(), size, offsets.len()));
        }
        let mut raw = vec![0; usize::try_from(size).unwrap_or_default()];
        offsets.read_into(0, &mut raw)?;
        let record = Record::new(&raw, 0);
        let mut table = Self { has_null: record.u8(NULL_FLAG)? != 0, ..Self::default() };
        if count == 0 {
            return Ok(table);
        }
        let bounds = read_bounds(&record, count, chars).map_err(|e| e.in_file(offsets.path()))?;
        let (first, last) = match (bounds.first(), bounds.last()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => return Ok(table),
        };
        let mut bytes = vec![0; usize::try_from(last.saturating_sub(first)).unwrap_or_default()];
        chars.read_into(first, &mut bytes)?;
        let file = Record::new(&bytes, first);
        table.text.reserve(bytes.len() / 2);
        table.ends.reserve(bounds.len());
        for pair in bounds.windows(2) {
            if let [start, end] = pair {
                table
                    .push(&file, start.saturating_sub(first), *end, *start)
                    .map_err(|e| e.in_file(chars.path()))?;
            }
        }
        Ok(table)
    }

    fn push(&mut self, file: &Record<'_>, at: u64, end: u64, start: u64) -> Result<()> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let size = end.saturating_sub(start);
        let units = file.i32(at)?;
        let stored = u64::from(units.unsigned_abs()).saturating_mul(2).saturating_add(4);
        if units < 0 || stored != size {
            return Err(Error::corrupt(
                "symbol length disagrees with its offsets",
                format_args!("{size} bytes"),
                format_args!("{units} UTF-16 units"),
            )
            .at(start));
        }
        let text =
            file.slice(at.saturating_add(4), usize::try_from(stored.saturating_sub(4)).unwrap_or_default())?;
        self.text.push_str(&decode_utf16(text));
        self.ends.push(self.text.len());
        Ok(())
    }

    /// A table of these symbols, for tests and tools.
    pub fn from_values<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Self::default();
        for value in values {
            table.text.push_str(value);
            table.ends.push(table.text.len());
        }
        table
    }

    /// Number of symbols; keys are below it.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no symbols.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether some row holds NULL, as the server last noted.
    pub fn has_null(&self) -> bool {
        self.has_null
    }

    /// The text of `key`.
    pub fn get(&self, key: usize) -> Option<&str> {
        let end = *self.ends.get(key)?;
        let start = match key.checked_sub(1) {
            Some(previous) => *self.ends.get(previous)?,
            None => 0,
        };
        self.text.get(start..end)
    }

    /// All symbols in key order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|key| self.get(key).unwrap_or_default())
    }

    /// All texts, back to back, and where each one ends.
    pub fn parts(&self) -> (&str, &[usize]) {
        (&self.text, &self.ends)
    }
}

/// The null flag of an offsets file, without its symbols.
pub fn null_flag(offsets: &dyn Source) -> Result<bool> {
    let mut flag = [0u8; 1];
    offsets.read_into(NULL_FLAG as u64, &mut flag)?;
    Ok(flag != [0])
}

fn read_bounds(record: &Record<'_>, count: u32, chars: &dyn Source) -> Result<Vec<u64>> {
    let mut bounds = Vec::with_capacity(count as usize);
    let mut previous = 0u64;
    for key in 0..=count as usize {
        let at = (HEADER_SIZE as usize).saturating_add(key.saturating_mul(8));
        let offset = record.i64(at)?;
        let valid = u64::try_from(offset).ok().filter(|o| *o >= previous && *o <= chars.len());
        let Some(offset) = valid else {
            return Err(Error::corrupt(
                "symbol offset is out of range",
                format_args!("{previous} to {}, the length of \"{}\"", chars.len(), chars.path().display()),
                offset,
            )
            .at(at as u64));
        };
        previous = offset;
        bounds.push(offset);
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::Memory;

    fn files(symbols: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let mut offsets = vec![0u8; 64];
        let mut chars = Vec::new();
        for symbol in symbols {
            offsets.extend((chars.len() as i64).to_le_bytes());
            chars.extend((symbol.encode_utf16().count() as i32).to_le_bytes());
            chars.extend(symbol.encode_utf16().flat_map(u16::to_le_bytes));
        }
        offsets.extend((chars.len() as i64).to_le_bytes());
        (offsets, chars)
    }

    #[test]
    fn reads_exactly_the_committed_symbols() {
        let (mut offsets, chars) = files(&["sym-a", "", "Ünïcödé🎉"]);
        offsets[NULL_FLAG] = 1;
        let read =
            |count| SymbolTable::read(&Memory::new(offsets.clone()), &Memory::new(chars.clone()), count);
        let table = read(3).unwrap();
        assert_eq!(table.iter().collect::<Vec<_>>(), ["sym-a", "", "Ünïcödé🎉"]);
        assert!(table.has_null());
        assert_eq!(table.get(3), None);
        assert_eq!(read(2).unwrap().len(), 2);
        assert!(read(0).unwrap().is_empty());
        assert!(read(4).is_err());
        assert!(read(u32::MAX).unwrap_err().to_string().contains("too short"), "nothing is allocated");
    }

    #[test]
    fn offsets_and_lengths_must_agree() {
        let (offsets, chars) = files(&["abc", "de"]);
        let mut far = offsets.clone();
        far[72..80].copy_from_slice(&(1i64 << 40).to_le_bytes());
        assert!(SymbolTable::read(&Memory::new(far), &Memory::new(chars.clone()), 2).is_err());
        let mut long = chars.clone();
        long[0] = 99;
        assert!(SymbolTable::read(&Memory::new(offsets.clone()), &Memory::new(long), 2).is_err());
        assert!(SymbolTable::read(&Memory::new(offsets), &Memory::new(chars[..3].to_vec()), 2).is_err());
    }
}
