//! DuckDB's chunks as Arrow arrays, and Arrow arrays as DuckDB's vectors. The two sides have the same C structs under different names.

use std::mem::transmute;
use std::ops::ControlFlow;
use std::ptr;

use arrow_array::ffi::{from_ffi_and_data_type, FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, FieldRef};
use duckdb_neo::arrow::{ArrowArray, ArrowExporter, ArrowImporter, ArrowSchema};
use duckdb_neo::column_data_collection::ColumnDataCollection;
use duckdb_neo::connection::Context;
use duckdb_neo::query_result::ArrowQueryResult;
use duckdb_neo::{ffi, AsRaw, Error, Result};

use super::vectors::{call, Output, CHUNK_ROWS};

/// Bytes of an array, if that is no fewer than [`CHUNK_ROWS`] rows.
const ARRAY_BYTES: usize = 64 << 20;

/// Hands the rows of `input`, whose columns have the names `names`, to `each` as arrays of at most `rows` rows, fewer when they
/// are wide, until it breaks. Their types depend on the session's settings.
pub fn export(
    context: &Context,
    names: &[&str],
    input: &ColumnDataCollection<'_>,
    rows: usize,
    mut each: impl FnMut(StructArray) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let types = input.logical_types().iter().cloned();
    let columns: Vec<_> = names.iter().copied().zip(types).collect();
    let mut exporter = ArrowExporter::new(context, &columns, Some(rows))?;
    let schema = exporter.schema()?.into_raw();
    // SAFETY: both are the `ArrowSchema` of the Arrow C data interface, and ownership moves.
    let schema = unsafe { transmute::<ffi::ArrowSchema, FFI_ArrowSchema>(schema) };
    let data_type = DataType::try_from(&schema).map_err(arrow_error)?;
    let mut scan = input.to_scan(context)?;
    // How wide rows are, the first chunk shows.
    let (mut pending, mut chunks) = (0, 1);
    loop {
        let chunk = scan.next_chunk()?;
        if let Some(chunk) = &chunk {
            exporter.append(chunk, false)?;
            pending += 1;
        }
        if pending >= chunks || chunk.is_none() {
            exporter.flush()?;
            while let Some(array) = exporter.next_array()? {
                let array = import(array, &data_type)?;
                let chunk_bytes = array.get_array_memory_size() / pending.max(1);
                chunks = (ARRAY_BYTES / chunk_bytes.max(1)).clamp(1, (rows / CHUNK_ROWS).max(1));
                if each(array)?.is_break() {
                    return Ok(());
                }
            }
            pending = 0;
        }
        if chunk.is_none() {
            return Ok(());
        }
    }
}

/// The schema of a query's arrays.
pub fn query_type(result: &ArrowQueryResult<'_>) -> Result<DataType> {
    let schema = result.schema()?.into_raw();
    // SAFETY: both are the `ArrowSchema` of the Arrow C data interface, and ownership moves.
    let schema = unsafe { transmute::<ffi::ArrowSchema, FFI_ArrowSchema>(schema) };
    DataType::try_from(&schema).map_err(arrow_error)
}

/// The next rows of a query, whose type is `data_type`.
pub fn next_of_query(result: &mut ArrowQueryResult<'_>, data_type: &DataType) -> Result<Option<StructArray>> {
    let Some(array) = result.next_array()? else { return Ok(None) };
    import(array, data_type).map(Some)
}

fn import(array: ArrowArray, data_type: &DataType) -> Result<StructArray> {
    // SAFETY: both are the `ArrowArray` of the Arrow C data interface, and ownership moves.
    let array = unsafe { transmute::<ffi::ArrowArray, FFI_ArrowArray>(array.into_raw()) };
    // SAFETY: DuckDB made the array for the schema that the type was taken from.
    let mut data = unsafe { from_ffi_and_data_type(array, data_type.clone()) }.map_err(arrow_error)?;
    data.align_buffers();
    Ok(StructArray::from(data))
}

/// Writes arrays of `rows` rows to columns of `output`, without copying what DuckDB can use as it is. Each has the
/// position of its column, and a field whose type is the declared one.
pub fn write(
    context: &Context,
    output: &Output,
    columns: Vec<(usize, FieldRef, ArrayRef)>,
    rows: usize,
) -> Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let positions: Vec<usize> = columns.iter().map(|(position, ..)| *position).collect();
    let pairs: (Vec<FieldRef>, Vec<ArrayRef>) =
        columns.into_iter().map(|(_, field, array)| (field, array)).unzip();
    let (fields, arrays) = pairs;
    let table = StructArray::try_new(fields.into(), arrays, None).map_err(import_error)?;
    let schema = FFI_ArrowSchema::try_from(table.data_type()).map_err(import_error)?;
    let array = FFI_ArrowArray::new(&table.to_data());
    // SAFETY: both sides are the C structs of the Arrow C data interface, and ownership moves.
    let (array, schema) = unsafe {
        (
            ArrowArray::from_raw(transmute::<FFI_ArrowArray, ffi::ArrowArray>(array)),
            ArrowSchema::from_raw(transmute::<FFI_ArrowSchema, ffi::ArrowSchema>(schema)),
        )
    };
    let mut importer = ArrowImporter::new(context, schema, Some(CHUNK_ROWS))?;
    importer.append_consumed(array, true)?;
    let chunk = importer.next_chunk()?.ok_or_else(|| import_error("no chunk came out"))?;
    if chunk.row_count()? != rows {
        return Err(import_error(format!("{} of {rows} rows came out", chunk.row_count()?)));
    }
    // SAFETY: the chunk is live until the end of this function.
    let handle = unsafe { chunk.get_raw() };
    for (index, position) in positions.into_iter().enumerate() {
        let mut vector = ptr::null_mut();
        call!(ffi::duckdb_v2_data_chunk_get_vector, handle, index as u64, &mut vector)?;
        // The output shares the imported vector's memory, which outlives the chunk for that.
        call!(ffi::duckdb_v2_vector_reference, output.vector(position)?, vector)?;
    }
    Ok(())
}

fn import_error(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("Arrow arrays cannot be handed to DuckDB: {error}"))
}

fn arrow_error(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("DuckDB's rows cannot be read as Arrow arrays: {error}"))
}
