//! DATE (ms), TIMESTAMP (µs) and TIMESTAMP_NS (ns): `i64` since 1970, UTC; the minimum is NULL
//! (docs/format.md §7). The unit is part of the value type, so all three decode alike.

use crate::error::{Error, Result};

use super::{ColumnSink, ColumnSource, Rows};

pub(super) fn decode<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    let fill = |values: &mut [i64]| {
        source.read(rows, values)?;
        if source.ascending {
            check_order(source, rows, values)
        } else {
            Ok(())
        }
    };
    sink.fixed::<i64>(rows.len(), fill, |v| *v == i64::MIN)
}

/// The designated timestamp ascends, or partitions could not be searched. One vectorised pass when it does.
fn check_order(source: &ColumnSource, rows: Rows<'_>, values: &[i64]) -> Result<()> {
    let pairs = || values.iter().zip(values.iter().skip(1));
    if !pairs().fold(false, |any, (a, b)| any | (a > b)) {
        return Ok(());
    }
    let row = pairs().position(|(a, b)| a > b).unwrap_or_default();
    let (before, here) = (values.get(row).copied(), values.get(row + 1).copied());
    Err(Error::corrupt(
        "timestamps must ascend",
        format_args!("{} or more", before.unwrap_or_default()),
        here.unwrap_or_default(),
    )
    .at(rows.position(row + 1).saturating_mul(8))
    .in_file(source.data.path()))
}
