//! Parquet's RLE / bit-packed hybrid.
//!
//! ```text
//! run       varint(count << 1)        value in ceil(width / 8) bytes
//! literals  varint(groups << 1 | 1)   groups × 8 values of width bits, lowest bit first
//! ```

/// Equal values from which on a run is shorter than literals.
const SHORTEST_RUN: usize = 16;

/// Bits of the largest value, at least 1.
pub fn bit_width(largest: u32) -> u8 {
    (32 - largest.leading_zeros()).max(1) as u8
}

/// The body of a data page of dictionary keys: their bit width, then they; width 0 where there are none.
pub fn keys(keys: &[u32]) -> Vec<u8> {
    let width = keys.iter().copied().max().map_or(0, bit_width);
    let mut out = Vec::with_capacity(keys.len() * usize::from(width) / 8 + 16);
    out.push(width);
    encode(keys, width, &mut out);
    out
}

/// Encodes values below `2^width`. No values are a run of no literals: the server's reader does without none.
pub fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return varint(1, out);
    }
    let mut literals = 0;
    let mut at = 0;
    while let Some(rest) = values.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.first().copied().unwrap_or(0);
        let run = rest.iter().take_while(|value| **value == first).count();
        if run >= SHORTEST_RUN {
            pack(values.get(literals..at).unwrap_or_default(), width, out);
            varint((run as u64) << 1, out);
            let bytes = first.to_le_bytes();
            out.extend(bytes.iter().take(usize::from(width).div_ceil(8)));
            at += run;
            literals = at;
        } else {
            // Literals come in groups of 8.
            at += 8.min(rest.len());
        }
    }
    pack(values.get(literals..).unwrap_or_default(), width, out);
}

/// One literal run; the last group is filled up with zeros.
fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    varint(((values.len().div_ceil(8) as u64) << 1) | 1, out);
    let width = u32::from(width);
    let group_bytes = width as usize;
    out.reserve(values.len().div_ceil(8) * group_bytes);
    for group in values.chunks(8) {
        // Four values are at most 128 bits.
        let (low, high) = group.split_at(group.len().min(4));
        let gather =
            |part: &[u32]| part.iter().rev().fold(0u128, |bits, value| (bits << width) | u128::from(*value));
        let (low, high) = (gather(low), gather(high));
        let shift = 4 * width;
        let whole = low | high.checked_shl(shift).unwrap_or(0);
        let head = whole.to_le_bytes();
        out.extend(head.iter().take(group_bytes.min(16)));
        if group_bytes > 16 {
            let tail = (high >> (128 - shift)).to_le_bytes();
            out.extend(tail.iter().take(group_bytes - 16));
        }
    }
}

/// Encodes definition levels of width 1 from a bitmap that begins at its first bit.
pub fn encode_bits(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    /// Bytes of equal bits from which on a run is shorter.
    const SHORTEST: usize = 4;
    let whole = bits.get(..count / 8).unwrap_or_default();
    let mut literals = 0;
    let mut at = 0;
    let flush = |from: usize, to: usize, out: &mut Vec<u8>| {
        let bytes = whole.get(from..to).unwrap_or_default();
        if !bytes.is_empty() {
            varint(((bytes.len() as u64) << 1) | 1, out);
            out.extend_from_slice(bytes);
        }
    };
    while let Some(rest) = whole.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.first().copied().unwrap_or(0);
        let run = if first == 0 || first == 0xff {
            rest.iter().take_while(|byte| **byte == first).count()
        } else {
            1
        };
        if run >= SHORTEST {
            flush(literals, at, out);
            varint((run as u64 * 8) << 1, out);
            out.push(u8::from(first == 0xff));
            literals = at + run;
        }
        at += run;
    }
    flush(literals, whole.len(), out);
    if !count.is_multiple_of(8) {
        let mask = (1u16 << (count % 8)) as u8;
        varint(3, out);
        out.push(bits.get(count / 8).copied().unwrap_or(0) & mask.wrapping_sub(1));
    }
}

/// A run of one level.
pub fn encode_run(value: bool, count: usize, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.push(u8::from(value));
}

/// Unsigned LEB128.
pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decoder that the tests trust: the format's text, word for word.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut out = Vec::new();
        while out.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let size = usize::from(width).div_ceil(8);
                let value = (0..size).fold(0u32, |value, i| value | u32::from(bytes[i]) << (8 * i));
                bytes = &bytes[size..];
                out.extend(std::iter::repeat_n(value, (header >> 1) as usize));
            } else {
                let values = (header >> 1) as usize * 8;
                let bit = |i: usize| u32::from(bytes[i / 8] >> (i % 8) & 1);
                let w = usize::from(width);
                let decoded: Vec<u32> =
                    (0..values).map(|v| (0..w).fold(0, |x, b| x | bit(v * w + b) << b)).collect();
                out.extend(decoded);
                bytes = &bytes[values * w / 8..];
            }
        }
        out.truncate(count);
        out
    }

    #[test]
    fn all_widths_and_lengths_decode() {
        let mut state = 1u32;
        for width in 1..=32u8 {
            for count in [1usize, 7, 8, 9, 16, 17, 100, 1000] {
                let mut values = Vec::new();
                while values.len() < count {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let value = if width == 32 { state } else { state & ((1 << width) - 1) };
                    let times = if state.is_multiple_of(5) { (state >> 8) % 60 } else { 1 };
                    values.extend(std::iter::repeat_n(value, times as usize));
                }
                values.truncate(count);
                let mut out = Vec::new();
                encode(&values, width, &mut out);
                assert_eq!(decode(&out, width, count), values, "width {width}, {count} values");
            }
        }
    }

    #[test]
    fn bits_decode() {
        for count in [1usize, 8, 13, 64, 1000, 1003] {
            let bytes: Vec<u8> = (0..count.div_ceil(8)).map(|i| [0xff, 0xff, 0, 0x5a][i / 6 % 4]).collect();
            let mut out = Vec::new();
            encode_bits(&bytes, count, &mut out);
            let expected: Vec<u32> = (0..count).map(|i| u32::from(bytes[i / 8] >> (i % 8) & 1)).collect();
            assert_eq!(decode(&out, 1, count), expected, "{count}");
        }
    }

    #[test]
    fn widths_are_at_least_one() {
        assert_eq!([0, 1, 2, 255, 256, u32::MAX].map(bit_width), [1, 1, 2, 8, 9, 32]);
    }
}
