//! Texts whose lengths stand before them, as differences: DELTA_LENGTH_BYTE_ARRAY.
//!
//! ```text
//! lengths (DELTA_BINARY_PACKED) │ bytes of all texts
//! lengths   values of a block │ miniblocks of a block │ values │ first value │ blocks      numbers of variable length
//! block     least difference │ width of each miniblock, one byte │ miniblocks: what is above the least, packed
//! ```

use crate::error::{Error, Result};
use crate::types::INLINE;

/// Reads numbers of variable length.
struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    fn next(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or_else(|| malformed("an end"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("a number of more than 64 bits"))
    }

    fn zigzag(&mut self) -> Result<i64> {
        self.next().map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(|| malformed("an end"))?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Appends views of the texts in `bytes`, which will be buffer `number`: one for each level of 1, and 0 for each other; without
/// levels there are `count` of them.
pub(super) fn delta_length_views(
    bytes: &[u8],
    (count, levels): (usize, Option<&[u32]>),
    number: u32,
    lengths: &mut Vec<u32>,
    views: &mut Vec<u128>,
) -> Result<()> {
    let mut rest = Numbers(bytes);
    packed_lengths(&mut rest, count, lengths)?;
    let texts = rest.0;
    let first = bytes.len() - texts.len();
    let total: u64 = lengths.iter().map(|len| u64::from(*len)).sum();
    if total > texts.len() as u64 {
        return Err(malformed(format_args!("texts of {total} bytes in {}", texts.len())));
    }
    let all = texts.get(..total as usize).unwrap_or_default();
    // All at once; what remains to be seen is that no letter lies in two texts.
    let ascii = all.is_ascii();
    if !ascii && simdutf8::basic::from_utf8(all).is_err() {
        return Err(not_utf8());
    }
    let (mut at, mut torn) = (0usize, false);
    let number = u128::from(number) << 64;
    let view = |len: &u32| {
        let len = *len as usize;
        let behind = texts.get(at..).unwrap_or_default();
        // Sixteen bytes from its start on, whatever is behind the text.
        let word = match behind.first_chunk::<16>() {
            Some(word) => u128::from_le_bytes(*word),
            None => behind.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte)),
        };
        torn |= !ascii && len > 0 && word & 0xc0 == 0x80;
        let start = (first + at) as u32;
        at += len;
        // Short and long texts alternate, so nothing is jumped over.
        let kept = (1u128 << (8 * if len > INLINE { 4 } else { len })) - 1;
        let place = (number | u128::from(start) << 96) & 0u128.wrapping_sub(u128::from(len > INLINE));
        len as u128 | (word & kept) << 32 | place
    };
    match levels {
        None => views.extend(lengths.iter().map(view)),
        Some(levels) => {
            let mut stored = lengths.iter().map(view);
            let row = |level: &u32| if *level == 1 { stored.next().unwrap_or_default() } else { 0 };
            views.extend(levels.iter().map(row));
        }
    }
    if torn {
        return Err(not_utf8());
    }
    Ok(())
}

/// The lengths of `count` texts.
fn packed_lengths(rest: &mut Numbers<'_>, count: usize, lengths: &mut Vec<u32>) -> Result<()> {
    lengths.clear();
    if count == 0 {
        return Ok(());
    }
    let (block, miniblocks) = (rest.next()?, rest.next()?);
    let (total, mut last) = (rest.next()?, rest.zigzag()?);
    if total != count as u64 {
        return Err(malformed(format_args!("{total} lengths of {count} texts")));
    }
    let of_miniblock = block.checked_div(miniblocks).unwrap_or_default();
    if of_miniblock == 0 || of_miniblock % 32 != 0 || of_miniblock * miniblocks != block || block > 1 << 20 {
        return Err(malformed(format_args!("blocks of {block} values in {miniblocks} parts")));
    }
    let of_miniblock = of_miniblock as usize;
    let mut largest = last;
    lengths.push(last as u32);
    while lengths.len() < count {
        let least = rest.zigzag()?;
        for width in rest.take(miniblocks as usize)? {
            let values = of_miniblock.min(count - lengths.len());
            if values == 0 {
                break;
            }
            let width = usize::from(*width);
            if width > 32 {
                return Err(malformed(format_args!("differences of {width} bits")));
            }
            // The last one may be cut behind its last value.
            let size = (of_miniblock * width / 8).min(rest.0.len());
            let packed = rest.take(size)?;
            if packed.len() * 8 < values * width {
                return Err(malformed("an end"));
            }
            let mask = (1u64 << width) - 1;
            lengths.extend((0..values).map(|i| {
                let bit = i * width;
                let word = packed.get(bit / 8..).unwrap_or_default();
                let word = match word.first_chunk::<8>() {
                    Some(word) => u64::from_le_bytes(*word),
                    None => word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
                };
                let above = (word >> (bit % 8) & mask) as i64;
                last = last.wrapping_add(least).wrapping_add(above);
                largest |= last;
                last as u32
            }));
        }
    }
    // Any bit above those of a length, and any sign, stays in the sum of all bits.
    if i32::try_from(largest).is_ok_and(|largest| largest >= 0) {
        return Ok(());
    }
    Err(malformed("a length below 0 or above 2 GiB"))
}

fn malformed(found: impl ToString) -> Error {
    Error::corrupt("Parquet page of texts is malformed", "lengths and texts", found.to_string())
}

fn not_utf8() -> Error {
    Error::corrupt("text in a Parquet page is not UTF-8", "UTF-8", "other bytes")
}

#[cfg(test)]
mod tests {
    use ::parquet::basic::{Encoding, Type};
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::data_type::ByteArray;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::types::Type as SchemaType;

    use super::*;
    use crate::parquet::pages;

    /// The values of a page as the crate `parquet` writes them.
    fn page(texts: &[&[u8]]) -> Vec<u8> {
        let column = SchemaType::primitive_type_builder("x", Type::BYTE_ARRAY)
            .with_repetition(::parquet::basic::Repetition::REQUIRED)
            .build()
            .unwrap();
        let schema = SchemaType::group_type_builder("m").with_fields(vec![column.into()]).build().unwrap();
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .build();
        let mut file = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut file, schema.into(), properties.into()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.to_vec())).collect();
        let ColumnWriter::ByteArrayColumnWriter(typed) = column.untyped() else { panic!("of another type") };
        typed.write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        let group = group.close().unwrap();
        let chunk = group.column(0);
        let (start, len) = (chunk.data_page_offset() as usize, chunk.compressed_size() as usize);
        writer.close().unwrap();
        let chunk = &file[start..start + len];
        let header = pages::walk(chunk, Some(texts.len() as u64)).unwrap().remove(0);
        chunk[header.body].to_vec()
    }

    fn read(bytes: &[u8], count: usize) -> Result<Vec<Vec<u8>>> {
        let (mut lengths, mut views) = (Vec::new(), Vec::new());
        delta_length_views(bytes, (count, None), 0, &mut lengths, &mut views)?;
        let levels: Vec<u32> = (0..count).flat_map(|_| [0, 1]).collect();
        let (mut lengths, mut spread) = (Vec::new(), Vec::new());
        delta_length_views(bytes, (count, Some(&levels)), 0, &mut lengths, &mut spread)?;
        assert!(spread.chunks(2).zip(&views).all(|(pair, view)| pair == [0, *view]));
        let text = |view: &u128| {
            let len = *view as u32 as usize;
            match len <= INLINE {
                true => view.to_le_bytes()[4..4 + len].to_vec(),
                false => bytes[(view >> 96) as usize..][..len].to_vec(),
            }
        };
        Ok(views.iter().map(text).collect())
    }

    #[test]
    fn texts_of_all_lengths_are_read() {
        for count in [1usize, 2, 31, 32, 33, 128, 129, 130, 1000] {
            let texts: Vec<String> =
                (0..count).map(|i| "é日x".repeat(i * 7 % 41) + &"y".repeat(i % 3 * (i % 97))).collect();
            let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            let bytes = page(&texts);
            assert_eq!(read(&bytes, count).unwrap(), texts, "{count}");
            assert!(read(&bytes, count + 1).is_err());
        }
    }

    #[test]
    fn damage_is_an_error_or_other_text() {
        let problem = |texts: &[&[u8]]| read(&page(texts), texts.len()).unwrap_err().to_string();
        assert!(problem(&[b"a", &[0xff], b"b"]).contains("UTF-8"));
        let e = "é".as_bytes();
        assert!(problem(&[b"a", &e[..1], &e[1..]]).contains("UTF-8"), "a letter in two texts");
        let texts: Vec<String> = (0..300).map(|i| "t".repeat(i % 50)).collect();
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let good = page(&texts);
        for len in 0..good.len() {
            let _ = read(&good[..len], 300);
        }
        for at in 0..good.len().min(400) {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let _ = read(&bad, 300);
            }
        }
        // Widths, blocks and numbers that cannot be.
        for bytes in
            [&[0x80, 1, 4, 0x80][..], &[0, 0, 5, 0], &[0x80, 1, 3, 5, 0], &[0x80, 1, 4, 5, 0, 0, 60, 0, 0, 0]]
        {
            assert!(read(bytes, 5).is_err(), "{bytes:?}");
        }
    }
}
