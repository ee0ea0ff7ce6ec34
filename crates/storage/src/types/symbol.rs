//! SYMBOL: `i32` keys of the column's symbol table; the minimum is NULL (docs/format.md §8).

use crate::error::{Error, Result};

use super::{ColumnSink, ColumnSource, Rows};

/// The key of NULL.
pub const NULL_KEY: i32 = i32::MIN;

pub(super) fn decode<S: ColumnSink>(source: &ColumnSource, rows: Rows<'_>, sink: &mut S) -> Result<()> {
    let table = source
        .symbols
        .as_ref()
        .ok_or_else(|| Error::invalid_input("symbol column was opened without its table"))?;
    sink.symbols(rows.len(), table, |keys| {
        source.read(rows, keys)?;
        check(keys, table.len())
            .map_err(|(i, e)| e.at(rows.position(i).saturating_mul(4)).in_file(source.data.path()))
    })
}

/// Keys must be below `count` or NULL. One vectorised pass when they are.
pub(crate) fn check(keys: &[i32], count: usize) -> std::result::Result<(), (usize, Error)> {
    let limit = u32::try_from(count).unwrap_or(u32::MAX);
    let bad = |key: &i32| *key as u32 >= limit && *key != NULL_KEY;
    if !keys.iter().fold(false, |any, key| any | bad(key)) {
        return Ok(());
    }
    let row = keys.iter().position(bad).unwrap_or_default();
    let key = keys.get(row).copied().unwrap_or_default();
    Err((
        row,
        Error::corrupt(
            "symbol key is out of range",
            format_args!("0 to {} or NULL", i64::from(limit) - 1),
            key,
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_outside_the_table_are_refused() {
        assert!(check(&[0, 1, NULL_KEY], 2).is_ok());
        assert_eq!(check(&[0, 2], 2).unwrap_err().0, 1);
        assert_eq!(check(&[-2, 0], 2).unwrap_err().0, 0);
        assert!(check(&[0], 0).is_err());
    }
}
