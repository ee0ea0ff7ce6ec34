//! STRING: UTF-16 with a length prefix (docs/format.md §7.2).
//!
//! ```text
//! .i  n + 1 offsets (i64)        .d  i32 length in UTF-16 units (−1 = NULL), then the units; back to back
//! ```

use crate::error::{Error, Result};
use crate::source::Source;

use super::sink::ColumnSink;
use super::source::{read_values, NULL_RANGE};
use super::{ColumnSource, Rows, Scratch};

/// Bytes of the length prefix.
const PREFIX: usize = 4;

pub(super) fn decode<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    let Scratch { words, bytes, text, ranges, .. } = scratch;
    text.clear();
    ranges.clear();
    for_each(source, rows, words, bytes, PREFIX, |value| {
        let Some((prefix, units)) = value.split_first_chunk::<PREFIX>() else {
            return Err(Error::corrupt("value is shorter than its length", PREFIX, value.len()));
        };
        let length = i32::from_le_bytes(*prefix);
        if length == -1 && units.is_empty() {
            ranges.push((0, NULL_RANGE));
            return Ok(());
        }
        let bytes = u64::from(length.unsigned_abs()) * 2;
        if length < 0 || bytes != units.len() as u64 {
            return Err(length_disagrees(units.len() / 2, "UTF-16 units", i64::from(length)));
        }
        let start = text.len();
        push_utf16(units, text);
        ranges.push(range(start, text.len() - start)?);
        Ok(())
    })?;
    append(text, ranges, sink)
}

/// Calls `visit` with the bytes of each row, found by the offsets of the auxiliary file. `prefix` is
/// the least that a value takes.
pub(super) fn for_each(
    source: &ColumnSource,
    rows: Rows<'_>,
    words: &mut Vec<u64>,
    bytes: &mut Vec<u8>,
    prefix: usize,
    mut visit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let aux = source.aux()?;
    let data = source.data.as_ref();
    let n = rows.len();
    let place = |e: Error, i: usize| e.at(rows.position(i).saturating_mul(8)).in_file(aux.path());
    let check = |start: u64, end: u64| match (start <= end, end <= data.len()) {
        (true, true) if end - start >= prefix as u64 => Ok((start, end)),
        _ => Err(Error::corrupt(
            "offset of a value is out of range",
            format_args!("at least {prefix} bytes within the {} bytes of the data file", data.len()),
            format_args!("{} to {}", start as i64, end as i64),
        )),
    };
    if let Rows::Range { start, .. } = rows {
        let words: &[u64] = Scratch::values(words, aux, Rows::Range { start, len: n + 1 })?;
        let ends = || words.iter().zip(words.iter().skip(1));
        for (i, (start, end)) in ends().enumerate() {
            check(*start, *end).map_err(|e| place(e, i))?;
        }
        let (first, last) = (words.first().copied().unwrap_or(0), words.last().copied().unwrap_or(0));
        bytes.resize(usize::try_from(last - first).unwrap_or(usize::MAX), 0);
        data.read_into(first, bytes)?;
        for (start, end) in ends() {
            let value = bytes.get((start - first) as usize..(end - first) as usize).unwrap_or_default();
            visit(value).map_err(|e| e.at(*start).in_file(data.path()))?;
        }
        return Ok(());
    }
    // Scattered rows: the two offsets of each, then its bytes.
    words.resize(n * 2, 0);
    let (starts, ends) = words.split_at_mut(n);
    read_values(aux, rows, starts)?;
    let shifted = Shifted(aux);
    read_values(&shifted, rows, ends)?;
    for (i, (start, end)) in starts.iter().zip(ends.iter()).enumerate() {
        let (start, end) = check(*start, *end).map_err(|e| place(e, i))?;
        bytes.resize(usize::try_from(end - start).unwrap_or(usize::MAX), 0);
        data.read_into(start, bytes)?;
        visit(bytes).map_err(|e| e.at(start).in_file(data.path()))?;
    }
    Ok(())
}

/// A file of words without its first one: row `i` is where value `i` ends.
#[derive(Debug)]
struct Shifted<'a>(&'a dyn Source);

impl Source for Shifted<'_> {
    fn len(&self) -> u64 {
        self.0.len().saturating_sub(8)
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        self.0.read_into(offset.saturating_add(8), dst)
    }

    fn gather(&self, base: u64, width: usize, rows: &[u32], dst: &mut [u8]) -> Result<()> {
        self.0.gather(base.saturating_add(8), width, rows, dst)
    }
}

/// Appends the ranges of `text` as strings.
pub(super) fn append<S: ColumnSink>(text: &[u8], ranges: &[(u32, u32)], sink: &mut S) -> Result<()> {
    sink.strings(ranges.len(), text.len(), |slots| {
        slots.heap().copy_from_slice(text);
        for (row, (start, len)) in ranges.iter().enumerate() {
            if *len == NULL_RANGE {
                slots.set_null(row);
            } else {
                slots.set_range(row, *start as usize, *len as usize);
            }
        }
        Ok(())
    })
}

/// A range of a chunk's text; one chunk cannot hold 4 GiB.
pub(super) fn range(start: usize, len: usize) -> Result<(u32, u32)> {
    match (u32::try_from(start), u32::try_from(len)) {
        (Ok(start), Ok(len)) if len != NULL_RANGE => Ok((start, len)),
        _ => Err(Error::unsupported("values of one chunk take more than 4 GiB")),
    }
}

/// The error of a length that is not what the offsets leave room for.
pub(super) fn length_disagrees(room: usize, unit: &str, found: i64) -> Error {
    Error::corrupt("length disagrees with the offsets", format_args!("{room} {unit} or NULL"), found)
}

/// Appends UTF-16LE as UTF-8; lone surrogates become U+FFFD.
fn push_utf16(units: &[u8], text: &mut Vec<u8>) {
    let start = text.len();
    let unit = |pair: &[u8]| pair.first_chunk::<2>().map_or(0, |p| u16::from_le_bytes(*p));
    text.extend(units.chunks_exact(2).map(|pair| unit(pair) as u8));
    if units.chunks_exact(2).fold(false, |any, pair| any | (unit(pair) > 0x7f)) {
        text.truncate(start);
        for letter in char::decode_utf16(units.chunks_exact(2).map(unit)) {
            let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
            text.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::ArrowSink;
    use crate::source::tests::Memory;
    use crate::types::{ColumnType, ValueType};
    use std::sync::Arc;

    fn files(values: &[Option<&str>]) -> (Vec<u8>, Vec<u8>) {
        let (mut aux, mut data) = (0i64.to_le_bytes().to_vec(), Vec::new());
        for value in values {
            match value {
                None => data.extend((-1i32).to_le_bytes()),
                Some(text) => {
                    data.extend((text.encode_utf16().count() as i32).to_le_bytes());
                    data.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
                }
            }
            aux.extend((data.len() as i64).to_le_bytes());
        }
        (aux, data)
    }

    fn read(aux: &[u8], data: &[u8], rows: Rows<'_>) -> Result<Vec<Option<String>>> {
        let source = ColumnSource {
            data: Arc::new(Memory::new(data.to_vec())),
            aux: Some(Arc::new(Memory::new(aux.to_vec()))),
            symbols: None,
            ascending: false,
        };
        let mut sink = ArrowSink::new(ValueType::Text);
        super::super::decode(ColumnType::String, false, &source, rows, &mut Scratch::default(), &mut sink)?;
        let array = sink.finish()?;
        let array = array.as_any().downcast_ref::<arrow_array::StringViewArray>().unwrap();
        Ok(array.iter().map(|v| v.map(str::to_owned)).collect())
    }

    #[test]
    fn ranges_and_lists_give_the_same_values() {
        let values = [Some("hello"), None, Some(""), Some("Ünïcödé🎉 and more than twelve"), Some("z")];
        let (aux, data) = files(&values);
        let owned: Vec<_> = values.iter().map(|v| v.map(str::to_owned)).collect();
        assert_eq!(read(&aux, &data, Rows::Range { start: 0, len: 5 }).unwrap(), owned);
        assert_eq!(
            read(&aux, &data, Rows::List { rows: &[101, 103], base: 100 }).unwrap(),
            [None, owned[3].clone()]
        );
    }

    #[test]
    fn lengths_and_offsets_must_agree() {
        let (aux, data) = files(&[Some("abc"), Some("de")]);
        let all = Rows::Range { start: 0, len: 2 };
        let mut long = data.clone();
        long[0] = 9;
        assert_eq!(read(&aux, &long, all).unwrap_err().place().offset, Some(0));
        let mut negative = data.clone();
        negative[0..4].copy_from_slice(&(-7i32).to_le_bytes());
        assert!(read(&aux, &negative, all).is_err());
        let mut outside = aux.clone();
        outside[8..16].copy_from_slice(&(1i64 << 40).to_le_bytes());
        assert!(read(&outside, &data, all).is_err());
        assert!(read(&outside, &data, Rows::List { rows: &[1], base: 0 }).is_err());
        assert!(read(&aux[..16], &data, all).is_err());
    }

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        let mut text = Vec::new();
        push_utf16(&[0x00, 0xd8, b'a', 0], &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), "\u{fffd}a");
    }
}
