//! BYTE, SHORT, INT, LONG: two's complement; INT and LONG have their minimum as NULL, BYTE and SHORT
//! have no NULL (docs/format.md §7).

use crate::error::Result;

use super::{ColumnSink, ColumnSource, Rows};

pub(super) fn decode_byte<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    sink.fixed::<i8>(rows.len(), |values| source.read(rows, values), |_| false)
}

pub(super) fn decode_short<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    sink.fixed::<i16>(rows.len(), |values| source.read(rows, values), |_| false)
}

pub(super) fn decode_int<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    sink.fixed::<i32>(rows.len(), |values| source.read(rows, values), |v| *v == i32::MIN)
}

pub(super) fn decode_long<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    sink.fixed::<i64>(rows.len(), |values| source.read(rows, values), |v| *v == i64::MIN)
}
