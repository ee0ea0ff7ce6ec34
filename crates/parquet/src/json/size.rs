//! How long the lines of rows are at most, before they are rendered: so many rows may still go into a row group of limited bytes.

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};

use super::{cells, text};
use crate::error::Result;
use crate::schema::Column;

/// Bytes of the longest values of types that have a longest one.
fn longest(data_type: &DataType) -> Option<u64> {
    Some(match data_type {
        DataType::Null => 4,
        DataType::Boolean => 5,
        DataType::Int8 | DataType::UInt8 => 4,
        DataType::Int16 | DataType::UInt16 => 6,
        DataType::Int32 | DataType::UInt32 => 11,
        DataType::Int64 | DataType::UInt64 => 20,
        DataType::Float32 | DataType::Float64 => 26,
        DataType::Decimal128(..) => 42,
        DataType::Date32 => 18,
        DataType::Time32(_) | DataType::Time64(_) => 22,
        DataType::Timestamp(..) => 44,
        DataType::FixedSizeBinary(16) => 42,
        _ => return None,
    })
}

/// Bytes of the line of each row, at most.
pub fn line_bytes(columns: &[Column], batch: &RecordBatch) -> Result<Vec<u64>> {
    // Braces and the end of the line.
    let mut sizes = vec![3; batch.num_rows()];
    for (column, array) in columns.iter().zip(batch.columns()) {
        let name = text::string_len(&column.name) + 2;
        sizes.iter_mut().for_each(|size| *size += name);
        add(&column.field, array, &mut sizes)?;
    }
    Ok(sizes)
}

fn add(field: &Field, array: &ArrayRef, sizes: &mut [u64]) -> Result<()> {
    if let Some(bytes) = longest(field.data_type()) {
        sizes.iter_mut().for_each(|size| *size += bytes);
        return Ok(());
    }
    let len = |text: Option<&str>| text.map_or(4, text::string_len);
    match field.data_type() {
        DataType::Utf8 => {
            sizes.iter_mut().zip(array.as_string::<i32>()).for_each(|(size, text)| *size += len(text));
        }
        DataType::Utf8View => {
            sizes.iter_mut().zip(array.as_string_view()).for_each(|(size, text)| *size += len(text));
        }
        _ => {
            let cells = cells::cells(field, array.as_ref())?;
            let mut line = Vec::new();
            for (row, size) in sizes.iter_mut().enumerate() {
                line.clear();
                cells.write(row, &mut line)?;
                *size += line.len() as u64;
            }
        }
    }
    Ok(())
}
