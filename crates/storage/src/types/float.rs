//! FLOAT and DOUBLE: every NaN is NULL, infinities are values (docs/format.md §7.1).

use crate::error::Result;

use super::{ColumnSink, ColumnSource, Rows};

pub(super) fn decode_float<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    sink.fixed::<f32>(rows.len(), |values| source.read(rows, values), |v| v.is_nan())
}

pub(super) fn decode_double<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    sink: &mut S,
) -> Result<()> {
    sink.fixed::<f64>(rows.len(), |values| source.read(rows, values), |v| v.is_nan())
}
