//! LONG256: four words, least significant first; all at their minimum is NULL. The text is `0x` and the
//! hexadecimal digits without leading zero bytes (docs/format.md §7.1).

use std::io::Write;

use crate::error::Result;

use super::text::render;
use super::{ColumnSink, ColumnSource, Rows, Scratch};

const NULL: [u64; 4] = [1 << 63; 4];

/// `0x` and 64 digits.
const LONGEST: usize = 66;

pub(super) fn decode<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    raw: bool,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    let values: &[[u64; 4]] = Scratch::fixed(&mut scratch.words, source, rows)?;
    if raw {
        return render(values, 32, sink, |value, bytes| {
            bytes.extend_from_slice(bytemuck::bytes_of(value));
            *value != NULL
        });
    }
    render(values, LONGEST, sink, |value, text| {
        text_form(value, text);
        *value != NULL
    })
}

fn text_form(value: &[u64; 4], text: &mut Vec<u8>) {
    text.extend(b"0x");
    let bytes = value.iter().rev().flat_map(|word| word.to_be_bytes());
    let mut significant = bytes.skip_while(|byte| *byte == 0).peekable();
    if significant.peek().is_none() {
        text.extend(b"00");
    }
    for byte in significant {
        // Writing into a vector does not fail.
        let _ = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_no_leading_zero_bytes() {
        for (value, expected) in [
            ([0; 4], "0x00"),
            ([0xabc, 0, 0, 0], "0x0abc"),
            ([0, 1, 0, 0], "0x010000000000000000"),
            ([u64::MAX; 4], &format!("0x{}", "ff".repeat(32)) as &str),
        ] {
            let mut text = Vec::new();
            text_form(&value, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
