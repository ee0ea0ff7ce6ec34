//! Decoding around damage.

use crate::error::{Error, Result};
use crate::types::{ColumnSink, Discard, Rows};

/// Values that may be damaged.
pub(crate) trait Damaged {
    /// Decodes `rows` into `sink`.
    fn decode<S: ColumnSink>(&mut self, rows: Rows<'_>, sink: &mut S) -> Result<()>;

    /// Says in an error where it is.
    fn place(&self, error: Error) -> Error;

    /// Keeps an error, unless the scan cannot go on after it.
    fn tolerate(&self, error: Error) -> Result<()>;
}

/// Decodes what can be decoded of `rows`, which is tried first: a sink takes nothing back. Where that fails, the
/// halves are tried, down to single rows, which are NULL then.
pub(crate) fn salvage<S: ColumnSink>(
    values: &mut impl Damaged,
    rows: Rows<'_>,
    probe: &mut Discard,
    sink: &mut S,
) -> Result<()> {
    match values.decode(rows, probe) {
        Ok(()) => values.decode(rows, sink).map_err(|e| values.place(e)),
        Err(error) => {
            values.tolerate(error)?;
            if rows.len() <= 1 {
                return sink.nulls(rows.len());
            }
            let (first, second) = halves(rows);
            salvage(values, first, probe, sink)?;
            salvage(values, second, probe, sink)
        }
    }
}

fn halves(rows: Rows<'_>) -> (Rows<'_>, Rows<'_>) {
    let middle = rows.len() / 2;
    match rows {
        Rows::Range { start, len } => (
            Rows::Range { start, len: middle },
            Rows::Range { start: start.saturating_add(middle as u64), len: len - middle },
        ),
        Rows::List { rows, base } => {
            let (first, second) = rows.split_at_checked(middle).unwrap_or((rows, &[]));
            (Rows::List { rows: first, base }, Rows::List { rows: second, base })
        }
    }
}
