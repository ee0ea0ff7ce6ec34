//! DATE (ms), TIMESTAMP (µs) and TIMESTAMP_NS (ns): `i64` since 1970, UTC; the minimum is NULL
//! (docs/format.md §7). The unit is part of the value type, so all three decode alike.

use crate::error::Result;

use super::{ColumnSink, ColumnSource, Rows};

pub(super) fn decode<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    sink.fixed::<i64>(rows.len(), |values| source.read(rows, values), |v| *v == i64::MIN)
}
