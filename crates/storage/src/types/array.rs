//! DOUBLE arrays (docs/format.md §7.4).
//!
//! ```text
//! .i  16 bytes per row:  offset i64 (low 48 bits) │ size i64 (0 = NULL)
//! .d  dims × i32 shape │ padding to the next multiple of 8 of the file offset │ elements f64, row by row
//! ```

use crate::error::{Error, Result};

use super::sink::ColumnSink;
use super::{ColumnSource, ColumnType, NestedDoubles, Rows, Scratch};

const DOUBLE_TAG: i32 = 10;
const OFFSET_MASK: u64 = 0xffff_ffff_ffff;

/// The type of a code with tag 27.
pub(super) fn from_code(code: i32) -> Option<ColumnType> {
    let dims = (code >> 14 & 0x1f) as u8 + 1;
    (code >> 8 & 0x3f == DOUBLE_TAG).then_some(ColumnType::DoubleArray { dims })
}

/// The code of a type with so many dimensions.
pub(super) fn code(dims: u8) -> i32 {
    27 | DOUBLE_TAG << 8 | i32::from(dims.saturating_sub(1)) << 14
}

pub(super) fn decode<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    dims: u8,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    let aux = source.aux()?;
    let dims = usize::from(dims);
    let Scratch { words, bytes, doubles, .. } = scratch;
    let entries: &[[u64; 2]] = Scratch::values(words, aux, rows)?;
    doubles.reset(dims);
    for (i, [offset, size]) in entries.iter().enumerate() {
        if *size == 0 {
            doubles.nulls.set(doubles.len());
            push_list(doubles, 0, 0);
            continue;
        }
        let offset = offset & OFFSET_MASK;
        let fits = *size <= source.data.len() && offset <= source.data.len() - size;
        if !fits {
            return Err(Error::corrupt(
                "array lies outside its data file",
                format_args!("at most {} bytes", source.data.len()),
                format_args!("{} bytes at offset {offset}", *size as i64),
            )
            .at(rows.position(i).saturating_mul(16))
            .in_file(aux.path()));
        }
        bytes.resize(*size as usize, 0);
        source.data.read_into(offset, bytes)?;
        push_array(bytes, offset, dims, doubles).map_err(|e| e.at(offset).in_file(source.data.path()))?;
    }
    sink.doubles(doubles)
}

/// Appends one array given its bytes and where they stand in the file.
pub(crate) fn push_array(bytes: &[u8], offset: u64, dims: usize, doubles: &mut NestedDoubles) -> Result<()> {
    let header = dims * 4;
    let padded = header + (8 - (offset as usize + header) % 8) % 8;
    let shape: Vec<i32> = bytes
        .get(..header)
        .unwrap_or_default()
        .chunks_exact(4)
        .map(|c| c.first_chunk::<4>().map_or(-1, |c| i32::from_le_bytes(*c)))
        .collect();
    let elements = shape.iter().try_fold(1u64, |n, d| n.checked_mul(u64::try_from(*d).ok()?));
    let stored = bytes.get(padded..).unwrap_or_default();
    match elements {
        Some(0) if shape.len() == dims => {
            // A dimension of length zero: the server shows and exports an empty list.
            push_list(doubles, 0, 0);
            return Ok(());
        }
        Some(n) if shape.len() == dims && n.checked_mul(8) == Some(stored.len() as u64) => {}
        _ => {
            return Err(Error::corrupt(
                "array's shape disagrees with its size",
                format_args!("{dims} lengths whose product is {}", stored.len() / 8),
                format_args!("{shape:?}"),
            ))
        }
    }
    let mut lists = 1u64;
    for (level, length) in shape.iter().enumerate() {
        let length = u64::from(length.unsigned_abs());
        for _ in 0..lists {
            push_list(doubles, level, length);
        }
        lists *= length;
    }
    let values =
        stored.chunks_exact(8).map(|c| c.first_chunk::<8>().map_or(f64::NAN, |c| f64::from_le_bytes(*c)));
    doubles.values.extend(values);
    Ok(())
}

/// Appends a list of `length` to `level`; its elements are appended to the next level afterwards.
pub(crate) fn push_list(doubles: &mut NestedDoubles, level: usize, length: u64) {
    if let Some(lists) = doubles.levels.get_mut(level) {
        let start = lists.last().map_or(0, |(start, len)| start + len);
        lists.push((start, length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[i32], values: &[f64]) -> Vec<u8> {
        let mut bytes: Vec<u8> = shape.iter().flat_map(|d| d.to_le_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    #[test]
    fn nesting_follows_the_shape() {
        let mut doubles = NestedDoubles::default();
        doubles.reset(2);
        push_array(&array(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), 8, 2, &mut doubles).unwrap();
        push_array(&array(&[1, 3], &[5.0, 6.0, 7.0]), 64, 2, &mut doubles).unwrap();
        push_array(&array(&[2, 0], &[]), 0, 2, &mut doubles).unwrap();
        assert_eq!(doubles.levels, [vec![(0, 2), (2, 1), (3, 0)], vec![(0, 2), (2, 2), (4, 3)]]);
        assert_eq!(doubles.values.len(), 7);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let mut doubles = NestedDoubles::default();
        doubles.reset(1);
        assert!(push_array(&array(&[i32::MAX], &[1.0]), 0, 1, &mut doubles).is_err());
        assert!(push_array(&array(&[-1], &[1.0]), 0, 1, &mut doubles).is_err());
        assert!(push_array(&[1, 0], 0, 1, &mut doubles).is_err());
    }
}
