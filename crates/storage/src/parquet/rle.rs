//! Parquet's hybrid of run lengths and packed bits, which dictionary ids and definition levels are stored in.
//!
//! ```text
//! run ┌ varint n·2      │ value, as many whole bytes as a value has bits        n times the value
//!     └ varint n·2 + 1  │ n · width bytes, lowest bits first                    n · 8 values
//! ```

use crate::error::{Error, Result};

/// Decodes `count` values of `width` bits from the start of `bytes` to the end of `values`.
pub(super) fn decode(bytes: &[u8], width: u32, count: usize, values: &mut Vec<u32>) -> Result<()> {
    if width > 32 {
        return Err(Error::corrupt("Parquet values have an impossible width", "0 to 32 bits", width));
    }
    let end = values.len() + count;
    let mut rest = bytes;
    while values.len() < end {
        let header = varint(&mut rest)?;
        let left = end - values.len();
        if header & 1 == 0 {
            let value = take(&mut rest, (width as usize).div_ceil(8))?;
            let value = value.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
            if value.checked_shr(width).is_some_and(|beyond| beyond != 0) {
                return Err(malformed("a value of more bits than it may have"));
            }
            let run = usize::try_from(header >> 1).unwrap_or(usize::MAX).min(left);
            // A run without values would never end.
            if run == 0 {
                return Err(malformed("a run of no values"));
            }
            values.resize(values.len() + run, value);
        } else {
            let groups = usize::try_from(header >> 1).unwrap_or(usize::MAX);
            let wanted = left.min(groups.saturating_mul(8));
            // The last run may be cut off behind the last value.
            let needed = (wanted * width as usize).div_ceil(8);
            let len = groups.saturating_mul(width as usize).min(rest.len().max(needed));
            let packed = take(&mut rest, len)?;
            if wanted == 0 {
                return Err(malformed("a run of no values"));
            }
            unpack(packed, width, wanted, values);
        }
    }
    Ok(())
}

/// Whether the first of `count` values of one bit are all 1, in one run: the usual form of "no NULL".
pub(super) fn is_all_ones(bytes: &[u8], count: usize) -> bool {
    let mut rest = bytes;
    let Ok(header) = varint(&mut rest) else { return false };
    header & 1 == 0 && header >> 1 >= count as u64 && rest.first() == Some(&1)
}

/// Appends `count` values from packed bits; `packed` holds them all.
fn unpack(packed: &[u8], width: u32, count: usize, values: &mut Vec<u32>) {
    // One copy of the loop per width, so that all shifts are constants.
    macro_rules! of_width {
        ($($width:literal)*) => {
            match width {
                $($width => groups::<$width>(packed, count, values),)*
                _ => values.resize(values.len() + count, 0),
            }
        };
    }
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

/// Bytes that the values of any group are read from, word by word: eight values of 32 bits, and a word behind the last.
const WINDOW: usize = 40;

/// Eight values take `WIDTH` bytes. The last group may be cut off behind its last value.
fn groups<const WIDTH: usize>(packed: &[u8], count: usize, values: &mut Vec<u32>) {
    let start = values.len();
    values.resize(start + count, 0);
    let (whole, tail) = values.get_mut(start..).unwrap_or_default().as_chunks_mut::<8>();
    let mut rest = packed;
    for slots in whole {
        match rest.first_chunk::<WINDOW>() {
            Some(window) => *slots = eight::<WIDTH>(window),
            None => *slots = eight::<WIDTH>(&padded(rest)),
        }
        rest = rest.get(WIDTH..).unwrap_or_default();
    }
    if !tail.is_empty() {
        tail.iter_mut().zip(eight::<WIDTH>(&padded(rest))).for_each(|(slot, value)| *slot = value);
    }
}

/// The start of `bytes`, with zeros behind the last one.
fn padded(bytes: &[u8]) -> [u8; WINDOW] {
    let mut padded = [0; WINDOW];
    padded.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    padded
}

#[inline]
fn eight<const WIDTH: usize>(window: &[u8; WINDOW]) -> [u32; 8] {
    let mask = u64::from(u32::MAX) >> (32 - WIDTH);
    std::array::from_fn(|i| {
        let bit = i * WIDTH;
        let word = window.get(bit / 8..).and_then(|bytes| bytes.first_chunk::<8>());
        (word.map_or(0, |word| u64::from_le_bytes(*word)) >> (bit % 8) & mask) as u32
    })
}

fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let byte = take(rest, 1)?.first().copied().unwrap_or_default();
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(malformed("a number without end"))
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (taken, left) =
        rest.split_at_checked(len).ok_or_else(|| malformed("the end of the page in the middle of a run"))?;
    *rest = left;
    Ok(taken)
}

fn malformed(found: &str) -> Error {
    Error::corrupt("Parquet runs are malformed", "runs up to the last value", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bytes: &[u8], width: u32, count: usize) -> Result<Vec<u32>> {
        let mut values = Vec::new();
        decode(bytes, width, count, &mut values).map(|()| values)
    }

    /// `values` as packed runs of eight.
    fn packed(values: &[u32], width: u32) -> Vec<u8> {
        let groups = values.len().div_ceil(8);
        let mut bytes = vec![0; groups * width as usize];
        for (i, value) in values.iter().enumerate() {
            for bit in 0..width as usize {
                let at = i * width as usize + bit;
                bytes[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
            }
        }
        [vec![(groups * 2 + 1) as u8], bytes].concat()
    }

    #[test]
    fn runs_and_packed_values_of_every_width() {
        for width in 1..=32 {
            let mask = if width == 32 { u32::MAX } else { (1 << width) - 1 };
            let expected: Vec<u32> = (0..40u32).map(|i| i.wrapping_mul(2_654_435_761) & mask).collect();
            assert_eq!(values(&packed(&expected, width), width, 40).unwrap(), expected, "{width}");
            assert_eq!(values(&packed(&expected, width), width, 37).unwrap(), expected[..37], "{width}");
        }
        let both = [&[6u8, 5][..], &packed(&[1, 2, 3, 4, 5, 6, 7, 0], 3), &[200, 1, 2]].concat();
        let expected = [&[5; 3][..], &[1, 2, 3, 4, 5, 6, 7, 0], &[2; 89]].concat();
        assert_eq!(values(&both, 3, 100).unwrap(), expected);
        assert!(values(&[], 0, 0).unwrap().is_empty());
        assert_eq!(values(&[8], 0, 4).unwrap(), [0; 4], "no bits, no bytes");
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [&[][..], &[0, 1], &[1], &[6], &[0xff; 12], &[3, 1]] {
            assert!(values(bytes, 9, 16).is_err(), "{bytes:?}");
        }
        assert!(values(&[6, 1, 1, 1, 1, 1], 33, 3).is_err());
        assert!(values(&[6, 3], 1, 3).is_err(), "a definition level of 3 is neither NULL nor a value");
        assert!(values(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1], 1, 3).is_ok(), "longer than needed");
    }

    #[test]
    fn all_ones_is_told_from_one_run_only() {
        assert!(is_all_ones(&[200, 1, 1], 100));
        assert!(!is_all_ones(&[200, 1, 1], 101));
        assert!(!is_all_ones(&[200, 1, 0], 100));
        assert!(!is_all_ones(&[3, 0xff], 8));
        assert!(!is_all_ones(&[], 0));
    }
}
