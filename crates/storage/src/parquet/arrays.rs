//! Arrays of a decoded chunk: the server's blobs, or nested lists (docs/format.md §9.5).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::views::Views;
use crate::error::{Error, Result};
use crate::types::{self, ColumnSink, NestedDoubles, Rows, Scratch, INLINE};

/// Arrays: the server's blobs, or nested lists.
#[derive(Debug)]
pub(crate) enum Doubles {
    /// Shape and elements, as in a native file.
    Raw(Views),
    /// LIST of … DOUBLE.
    Lists(ArrayRef),
}

impl Doubles {
    /// Appends `rows` to `sink`.
    pub(super) fn read<S: ColumnSink>(
        &self,
        dims: usize,
        rows: Rows<'_>,
        scratch: &mut Scratch,
        sink: &mut S,
    ) -> Result<()> {
        let doubles = &mut scratch.doubles;
        doubles.reset(dims);
        let mut result = Ok(());
        each(rows, |_, row| {
            if result.is_ok() {
                result = self.push(dims, row, doubles);
            }
        });
        result?;
        sink.doubles(doubles)
    }

    fn push(&self, dims: usize, row: usize, doubles: &mut NestedDoubles) -> Result<()> {
        let null = |doubles: &mut NestedDoubles| {
            doubles.nulls.set(doubles.len());
            types::push_list(doubles, 0, 0);
        };
        match self {
            Self::Raw(views) => match views.get(row) {
                Some(view) if view as u32 as usize > INLINE => {
                    types::push_array(views.stored(view), 0, dims, doubles)
                }
                Some(view) if view as u32 != 0 => {
                    let bytes = view.to_le_bytes();
                    let value = bytes.get(4..4 + view as u32 as usize).unwrap_or_default();
                    types::push_array(value, 0, dims, doubles)
                }
                _ => {
                    null(doubles);
                    Ok(())
                }
            },
            Self::Lists(array) if array.is_null(row) => {
                null(doubles);
                Ok(())
            }
            Self::Lists(array) => push_lists(array, row, dims, doubles),
        }
    }
}

/// Appends the list at `row`, level by level. An array without elements is an empty list, as in native files.
fn push_lists(array: &ArrayRef, row: usize, dims: usize, doubles: &mut NestedDoubles) -> Result<()> {
    let mut levels = Vec::with_capacity(dims);
    let (mut current, mut range) = (Arc::clone(array), row..row + 1);
    for _ in 0..dims {
        let lists =
            current.as_list_opt::<i32>().ok_or_else(|| Error::invalid_input("array is not a list"))?;
        let offsets = lists.value_offsets();
        let bounds = offsets.get(range.start..range.end + 1).unwrap_or_default();
        levels.push(
            bounds
                .windows(2)
                .filter_map(|pair| Some((pair.last()? - pair.first()?) as u64))
                .collect::<Vec<_>>(),
        );
        let (start, end) = (bounds.first().copied().unwrap_or(0), bounds.last().copied().unwrap_or(0));
        range = start as usize..end as usize;
        current = Arc::clone(lists.values());
    }
    if range.is_empty() {
        types::push_list(doubles, 0, 0);
        return Ok(());
    }
    for (level, lengths) in levels.iter().enumerate() {
        lengths.iter().for_each(|length| types::push_list(doubles, level, *length));
    }
    let values = current.as_primitive_opt::<arrow_array::types::Float64Type>();
    let values = values.ok_or_else(|| Error::invalid_input("array has no doubles"))?;
    doubles.values.extend(range.map(|i| if values.is_null(i) { f64::NAN } else { values.value(i) }));
    Ok(())
}

/// How deep lists of doubles are nested.
pub(super) fn list_depth(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::List(field) if field.data_type() == &DataType::Float64 => Some(1),
        DataType::List(field) => list_depth(field.data_type())?.checked_add(1),
        _ => None,
    }
}

/// Calls `visit` with position and row of each of `rows`.
#[inline]
fn each(rows: Rows<'_>, mut visit: impl FnMut(usize, usize)) {
    match rows {
        Rows::Range { start, len } => (0..len).for_each(|i| visit(i, start as usize + i)),
        Rows::List { rows, base } => {
            rows.iter().enumerate().for_each(|(i, row)| visit(i, row.saturating_sub(base) as usize));
        }
    }
}
