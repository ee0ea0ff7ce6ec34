//! LONG128: low word, then high word; both at their minimum is NULL (docs/format.md §7).

use crate::error::Result;

use super::{uuid, ColumnSink, ColumnSource, Rows};

pub(super) fn decode<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    sink.fixed::<u128>(rows.len(), |values| source.read(rows, values), |v| *v == uuid::NULL)
}
