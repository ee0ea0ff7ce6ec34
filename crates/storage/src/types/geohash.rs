//! GEOHASH: the low `bits` bits of 1, 2, 4 or 8 bytes; −1 is NULL. The text is base 32 when the bits
//! divide by five, binary digits otherwise (docs/format.md §7.6).

use crate::error::Result;

use super::text::render;
use super::{ColumnSink, ColumnSource, ColumnType, Rows, Scratch};

const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// Longest text: 59 binary digits.
const LONGEST: usize = 60;

/// The type with tag 14 to 17 and so many bits, when they fit together.
pub(super) fn from_parts(tag: i32, bits: u8) -> Option<ColumnType> {
    let width = 1usize << (tag - 14);
    ((1..=60).contains(&bits) && self::width(bits) == width).then_some(ColumnType::Geohash { bits })
}

/// Bytes of a value.
pub(super) fn width(bits: u8) -> usize {
    match bits {
        0..=7 => 1,
        8..=15 => 2,
        16..=31 => 4,
        _ => 8,
    }
}

pub(super) fn decode<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    bits: u8,
    raw: bool,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    let words = &mut scratch.words;
    let values: Vec<i64> = match width(bits) {
        1 => Scratch::fixed::<i8>(words, source, rows)?.iter().map(|v| i64::from(*v)).collect(),
        2 => Scratch::fixed::<i16>(words, source, rows)?.iter().map(|v| i64::from(*v)).collect(),
        4 => Scratch::fixed::<i32>(words, source, rows)?.iter().map(|v| i64::from(*v)).collect(),
        _ => Scratch::fixed::<i64>(words, source, rows)?.to_vec(),
    };
    if raw {
        let fill = |slots: &mut [i64]| {
            slots.copy_from_slice(&values);
            Ok(())
        };
        return sink.fixed::<i64>(values.len(), fill, |v| *v == -1);
    }
    render(&values, LONGEST, sink, |value, text| {
        text_form(*value as u64, bits, text);
        *value != -1
    })
}

fn text_form(value: u64, bits: u8, text: &mut Vec<u8>) {
    if bits.is_multiple_of(5) {
        let digits = (0..bits / 5).rev().map(|i| value >> (5 * u32::from(i)) & 31);
        text.extend(digits.filter_map(|digit| ALPHABET.get(digit as usize)));
    } else {
        text.extend((0..bits).rev().map(|i| b'0' + (value >> i & 1) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_base_32_or_binary() {
        for (value, bits, expected) in
            [(0, 5, "0"), (31, 5, "z"), (0b10_1101, 6, "101101"), (0x3ff, 10, "zz"), (5, 3, "101")]
        {
            let mut text = Vec::new();
            text_form(value, bits, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
        assert_eq!(from_parts(14, 8), None);
        assert_eq!(from_parts(15, 8), Some(ColumnType::Geohash { bits: 8 }));
    }
}
