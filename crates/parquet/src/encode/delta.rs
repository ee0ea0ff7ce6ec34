//! DELTA_BINARY_PACKED.
//!
//! ```text
//! header      varint(128 values in a block) varint(4 parts) varint(number of values) zigzag(first value)
//! block       zigzag(smallest difference) | bit width of each part, one byte | parts
//! part        32 differences less the smallest one, of its bit width, lowest bit first; a last block leaves out parts it does not need
//! ```

use super::rle::varint;

/// Values of a block.
const BLOCK: usize = 128;
/// Values of a part ("miniblock").
const PART: usize = 32;

/// An integer whose differences are packed.
pub trait Integer: Copy + Ord + Default {
    /// `self − other`, modulo the type's size.
    fn difference(self, other: Self) -> Self;
    /// The bits, as an unsigned number.
    fn bits(self) -> u64;
    /// Small numbers of either sign → small unsigned numbers.
    fn zigzag(self) -> u64;
}

impl Integer for i32 {
    fn difference(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn bits(self) -> u64 {
        u64::from(self as u32)
    }

    fn zigzag(self) -> u64 {
        u64::from(((self << 1) ^ (self >> 31)) as u32)
    }
}

impl Integer for i64 {
    fn difference(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn bits(self) -> u64 {
        self as u64
    }

    fn zigzag(self) -> u64 {
        ((self << 1) ^ (self >> 63)) as u64
    }
}

/// Encodes values; differences wrap around as the format says.
pub fn encode<T: Integer>(values: &[T], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / PART) as u64, out);
    varint(values.len() as u64, out);
    let (mut previous, rest) = match values.split_first() {
        Some((first, rest)) => (*first, rest),
        None => (T::default(), values),
    };
    varint(previous.zigzag(), out);
    let mut differences = [T::default(); BLOCK];
    for block in rest.chunks(BLOCK) {
        for (difference, value) in differences.iter_mut().zip(block) {
            *difference = value.difference(previous);
            previous = *value;
        }
        let differences = differences.get(..block.len()).unwrap_or_default();
        let smallest = differences.iter().copied().min().unwrap_or_default();
        varint(smallest.zigzag(), out);
        let widths_at = out.len();
        out.extend_from_slice(&[0; BLOCK / PART]);
        for (index, part) in differences.chunks(PART).enumerate() {
            let mut offsets = [0; PART];
            let mut all = 0;
            for (offset, difference) in offsets.iter_mut().zip(part) {
                *offset = difference.difference(smallest).bits();
                all |= *offset;
            }
            let width = u64::BITS - all.leading_zeros();
            if let Some(byte) = out.get_mut(widths_at + index) {
                *byte = width as u8;
            }
            if width <= 32 {
                pack_narrow(&offsets, width, out);
            } else {
                pack_wide(&offsets, width, out);
            }
        }
    }
}

/// Widths up to 32.
fn pack_narrow(values: &[u64; PART], width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0u64, 0);
    for value in values {
        bits |= *value << count;
        count += width;
        if count >= 32 {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= 32;
            count -= 32;
        }
    }
}

/// Widths up to 64.
fn pack_wide(values: &[u64; PART], width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0u128, 0);
    for value in values {
        bits |= u128::from(*value) << count;
        count += width;
        if count >= 64 {
            out.extend_from_slice(&(bits as u64).to_le_bytes());
            bits >>= 64;
            count -= 64;
        }
    }
    // 32 values of an odd width end in the middle of 64 bits.
    out.extend_from_slice((bits as u64).to_le_bytes().get(..count as usize / 8).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format's text, word for word; `bits` is the size of the type.
    fn decode(bytes: &[u8], bits: u32) -> Vec<i64> {
        let wrap = |value: i64| if bits == 32 { i64::from(value as i32) } else { value };
        let mut at = 0;
        let varint = |at: &mut usize| {
            let (mut value, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[*at];
                *at += 1;
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        };
        let signed = |value: u64| ((value >> 1) as i64) ^ -((value & 1) as i64);
        let (block, parts, count) = (varint(&mut at), varint(&mut at), varint(&mut at) as usize);
        let mut value = signed(varint(&mut at));
        let mut out = if count > 0 { vec![value] } else { vec![] };
        let part_values = (block / parts) as usize;
        while out.len() < count {
            let smallest = signed(varint(&mut at));
            let widths = bytes[at..at + parts as usize].to_vec();
            at += parts as usize;
            for width in widths {
                if out.len() >= count {
                    break;
                }
                let width = usize::from(width);
                for i in 0..part_values {
                    let bit =
                        |b: usize| u64::from(bytes[at + (i * width + b) / 8] >> ((i * width + b) % 8) & 1);
                    let offset = (0..width).fold(0u64, |offset, b| offset | bit(b) << b);
                    if out.len() < count {
                        value = wrap(value.wrapping_add(smallest).wrapping_add(offset as i64));
                        out.push(value);
                    }
                }
                at += part_values * width / 8;
            }
        }
        assert_eq!(at, bytes.len(), "nothing is left over");
        out
    }

    fn random(state: &mut u64, width: u32) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = *state ^ (*state >> 33);
        value & 1u64.checked_shl(width).map_or(u64::MAX, |limit| limit - 1)
    }

    #[test]
    fn all_lengths_and_widths_decode() {
        let mut state = 7;
        for width in 0..=64 {
            for count in [0usize, 1, 2, 32, 33, 34, 128, 129, 130, 257, 1000] {
                let values: Vec<i64> = (0..count).map(|_| random(&mut state, width) as i64).collect();
                let mut out = Vec::new();
                encode(&values, &mut out);
                assert_eq!(decode(&out, 64), values, "width {width}, {count} values");
                let values: Vec<i32> = values.iter().map(|value| *value as i32).collect();
                out.clear();
                encode(&values, &mut out);
                let wide: Vec<i64> = values.iter().map(|value| i64::from(*value)).collect();
                assert_eq!(decode(&out, 32), wide, "width {width}, {count} values of 32 bits");
            }
        }
    }

    #[test]
    fn extremes_wrap_around() {
        let values = [i32::MIN, i32::MAX, i32::MIN, 0, -1, i32::MAX, i32::MAX];
        let mut out = Vec::new();
        encode(&values, &mut out);
        assert_eq!(decode(&out, 32), values.map(i64::from));
        let values = [i64::MIN, i64::MAX, i64::MIN, 0, -1, i64::MAX, i64::MAX];
        out.clear();
        encode(&values, &mut out);
        assert_eq!(decode(&out, 64), values);
    }
}
