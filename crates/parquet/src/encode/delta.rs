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

/// Encodes 32-bit values; differences wrap around as the format says.
pub fn encode_i32(values: &[i32], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / PART) as u64, out);
    varint(values.len() as u64, out);
    let (mut previous, rest) = match values.split_first() {
        Some((first, rest)) => (*first, rest),
        None => (0, values),
    };
    varint(zigzag(previous), out);
    let mut differences = [0i32; BLOCK];
    for block in rest.chunks(BLOCK) {
        for (difference, value) in differences.iter_mut().zip(block) {
            *difference = value.wrapping_sub(previous);
            previous = *value;
        }
        let differences = differences.get(..block.len()).unwrap_or_default();
        let smallest = differences.iter().copied().min().unwrap_or(0);
        varint(zigzag(smallest), out);
        let widths_at = out.len();
        out.extend_from_slice(&[0; BLOCK / PART]);
        for (index, part) in differences.chunks(PART).enumerate() {
            let mut offsets = [0u32; PART];
            let mut all = 0;
            for (offset, difference) in offsets.iter_mut().zip(part) {
                *offset = difference.wrapping_sub(smallest) as u32;
                all |= *offset;
            }
            let width = 32 - all.leading_zeros();
            if let Some(byte) = out.get_mut(widths_at + index) {
                *byte = width as u8;
            }
            pack(&offsets, width, out);
        }
    }
}

fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

fn pack(values: &[u32; PART], width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0u64, 0);
    for value in values {
        bits |= u64::from(*value) << count;
        count += width;
        if count >= 32 {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= 32;
            count -= 32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format's text, word for word.
    fn decode(bytes: &[u8]) -> Vec<i32> {
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
        let signed = |value: u64| ((value >> 1) as i32) ^ -((value & 1) as i32);
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
                        |b: usize| u32::from(bytes[at + (i * width + b) / 8] >> ((i * width + b) % 8) & 1);
                    let offset = (0..width).fold(0u32, |offset, b| offset | bit(b) << b);
                    if out.len() < count {
                        value = value.wrapping_add(smallest).wrapping_add(offset as i32);
                        out.push(value);
                    }
                }
                at += part_values * width / 8;
            }
        }
        assert_eq!(at, bytes.len(), "nothing is left over");
        out
    }

    #[test]
    fn all_lengths_and_widths_decode() {
        let mut state = 7u32;
        for width in 0..=32 {
            for count in [0usize, 1, 2, 32, 33, 34, 128, 129, 130, 257, 1000] {
                let values: Vec<i32> = (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (u64::from(state) & ((1u64 << width) - 1)) as u32 as i32
                    })
                    .collect();
                let mut out = Vec::new();
                encode_i32(&values, &mut out);
                assert_eq!(decode(&out), values, "width {width}, {count} values");
            }
        }
    }

    #[test]
    fn extremes_wrap_around() {
        let values = [i32::MIN, i32::MAX, i32::MIN, 0, -1, i32::MAX, i32::MAX];
        let mut out = Vec::new();
        encode_i32(&values, &mut out);
        assert_eq!(decode(&out), values);
    }
}
