//! BINARY: bytes with an `i64` length prefix, −1 for NULL (docs/format.md §7.2); offsets as in STRING.

use crate::error::{Error, Result};

use super::sink::ColumnSink;
use super::source::NULL_RANGE;
use super::string::{append, for_each, length_disagrees, range};
use super::{ColumnSource, Rows, Scratch};

/// Bytes of the length prefix.
const PREFIX: usize = 8;

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
        let Some((prefix, payload)) = value.split_first_chunk::<PREFIX>() else {
            return Err(Error::corrupt("value is shorter than its length", PREFIX, value.len()));
        };
        let length = i64::from_le_bytes(*prefix);
        if length == -1 && payload.is_empty() {
            ranges.push((0, NULL_RANGE));
            return Ok(());
        }
        if u64::try_from(length).ok() != Some(payload.len() as u64) {
            return Err(length_disagrees(payload.len(), "bytes", length));
        }
        ranges.push(range(text.len(), payload.len())?);
        text.extend_from_slice(payload);
        Ok(())
    })?;
    append(text, ranges, sink)
}
