//! How many bytes rows are before encoding. The encoded, uncompressed form is rarely larger, which is what makes these
//! numbers a safe measure of how many rows may still go into a row group.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

/// Bytes for lengths, levels and dictionary indices of one value.
const VALUE_OVERHEAD: u64 = 4;

/// Bytes of all rows of an array.
pub fn array_bytes(array: &ArrayRef) -> u64 {
    let rows = array.len() as u64;
    if let Some(width) = array.data_type().primitive_width() {
        return rows * width as u64;
    }
    match array.data_type() {
        DataType::Boolean => rows.div_ceil(8),
        DataType::FixedSizeBinary(width) => rows * (*width).max(0) as u64,
        DataType::Dictionary(..) => rows * VALUE_OVERHEAD,
        DataType::Utf8 => text_bytes(array.as_string::<i32>().value_offsets()),
        DataType::Binary => text_bytes(array.as_binary::<i32>().value_offsets()),
        _ => {
            let mut sizes = vec![0; array.len()];
            add_row_bytes(array, &mut sizes);
            sizes.iter().sum()
        }
    }
}

/// Bytes of all values between these offsets.
fn text_bytes(offsets: &[i32]) -> u64 {
    let span = offsets.first().zip(offsets.last());
    let bytes = span.map_or(0, |(start, end)| offset(*end).saturating_sub(offset(*start)));
    bytes + offsets.len().saturating_sub(1) as u64 * VALUE_OVERHEAD
}

/// Bytes of each row of a batch.
pub fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let mut sizes = vec![0; batch.num_rows()];
    for array in batch.columns() {
        add_row_bytes(array, &mut sizes);
    }
    sizes
}

fn add_constant(sizes: &mut [u64], bytes: u64) {
    sizes.iter_mut().for_each(|size| *size += bytes);
}

fn add_row_bytes(array: &ArrayRef, sizes: &mut [u64]) {
    if let Some(width) = array.data_type().primitive_width() {
        return add_constant(sizes, width as u64);
    }
    match array.data_type() {
        DataType::Null | DataType::Boolean => add_constant(sizes, 1),
        DataType::FixedSizeBinary(width) => add_constant(sizes, (*width).max(0) as u64),
        DataType::Utf8 => add_offsets(array.as_string::<i32>().value_offsets(), sizes),
        DataType::Binary => add_offsets(array.as_binary::<i32>().value_offsets(), sizes),
        DataType::LargeUtf8 => add_offsets(array.as_string::<i64>().value_offsets(), sizes),
        DataType::LargeBinary => add_offsets(array.as_binary::<i64>().value_offsets(), sizes),
        DataType::Utf8View => add_views(array.as_string_view().views(), sizes),
        DataType::BinaryView => add_views(array.as_binary_view().views(), sizes),
        DataType::Dictionary(..) => add_constant(sizes, VALUE_OVERHEAD),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            add_children(list.values(), list.value_offsets(), sizes);
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            add_children(list.values(), list.value_offsets(), sizes);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            add_children(&entries, map.value_offsets(), sizes);
        }
        DataType::FixedSizeList(_, length) => {
            let per_row = (*length).max(0) as u64;
            let values = array.as_fixed_size_list().values();
            let bytes = array_bytes(values).checked_div(values.len() as u64).unwrap_or(0);
            add_constant(sizes, per_row * (bytes + 1));
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().for_each(|child| add_row_bytes(child, sizes))
        }
        _ => {
            let total = array.to_data().get_slice_memory_size().unwrap_or(array.len() * 8) as u64;
            add_constant(sizes, total.div_ceil(array.len().max(1) as u64));
        }
    }
}

fn add_offsets<T: Copy + TryInto<u64>>(offsets: &[T], sizes: &mut [u64]) {
    for (size, pair) in sizes.iter_mut().zip(offsets.windows(2)) {
        if let [start, end] = pair {
            *size += offset(*end).saturating_sub(offset(*start)) + VALUE_OVERHEAD;
        }
    }
}

fn offset<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or(0)
}

fn add_views(views: &[u128], sizes: &mut [u64]) {
    for (size, view) in sizes.iter_mut().zip(views) {
        *size += u64::from(*view as u32) + VALUE_OVERHEAD;
    }
}

/// Bytes of list items, and one byte of levels for each.
fn add_children<T: Copy + TryInto<u64>>(values: &ArrayRef, offsets: &[T], sizes: &mut [u64]) {
    let mut prefix = vec![1; values.len()];
    add_row_bytes(values, &mut prefix);
    let mut sum = 0;
    let mut sums = Vec::with_capacity(prefix.len() + 1);
    sums.push(0);
    sums.extend(prefix.iter().map(|bytes| {
        sum += bytes;
        sum
    }));
    let at = |position: u64| {
        usize::try_from(position).ok().and_then(|position| sums.get(position)).copied().unwrap_or(sum)
    };
    for (size, pair) in sizes.iter_mut().zip(offsets.windows(2)) {
        if let [start, end] = pair {
            *size += at(offset(*end)).saturating_sub(at(offset(*start))) + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::Float64Type;
    use arrow_array::{ListArray, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn slices_count_only_their_rows() {
        let text: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "a text longer than twelve", ""]));
        assert_eq!(array_bytes(&text.slice(1, 1)), 25 + 4);
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
            Some(vec![Some(1.0); 3]),
            None,
            Some(vec![None]),
        ]));
        assert_eq!(array_bytes(&list.slice(2, 1)), 9 + 1);
        assert_eq!(array_bytes(&list), 27 + 9 + 3);
    }
}
