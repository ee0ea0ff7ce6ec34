//! CHAR: one UTF-16 unit; 0 is NULL, a lone surrogate becomes U+FFFD (docs/format.md §7).

use crate::error::Result;

use super::text::render;
use super::{ColumnSink, ColumnSource, Rows, Scratch};

pub(super) fn decode<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    let units: &[u16] = Scratch::fixed(&mut scratch.words, source, rows)?;
    render(units, 4, sink, |unit, text| {
        let letter = char::from_u32(u32::from(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
        *unit != 0
    })
}
