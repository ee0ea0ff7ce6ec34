//! BOOLEAN: one byte per row, 0 or 1; no NULL (docs/format.md §7).

use crate::error::Result;

use super::{ColumnSink, ColumnSource, Rows};

pub(super) fn decode<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    let fill = |values: &mut [u8]| {
        source.read(rows, values)?;
        // Any other byte would be an invalid boolean for whoever reads the vector.
        values.iter_mut().for_each(|v| *v = u8::from(*v != 0));
        Ok(())
    };
    sink.fixed::<u8>(rows.len(), fill, |_| false)
}
