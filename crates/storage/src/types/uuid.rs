//! UUID: low word, then high word; both at their minimum is NULL (docs/format.md §7). Read as one
//! little-endian number this is the text form's 16 bytes read as one big-endian number.

use crate::error::Result;

use super::{ColumnSink, ColumnSource, Rows};

/// NULL of UUID and LONG128.
pub(crate) const NULL: u128 = 0x8000_0000_0000_0000_8000_0000_0000_0000;

pub(super) fn decode<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    sink.fixed::<u128>(rows.len(), |values| source.read(rows, values), |v| *v == NULL)
}
