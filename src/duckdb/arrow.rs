//! DuckDB's chunks as Arrow arrays. The two sides have the same C structs under different names.

use std::mem::transmute;

use arrow_array::ffi::{from_ffi_and_data_type, FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::StructArray;
use arrow_schema::DataType;
use duckdb_neo::arrow::{ArrowArray, ArrowExporter};
use duckdb_neo::column_data_collection::ColumnDataCollection;
use duckdb_neo::connection::Context;
use duckdb_neo::query_result::ArrowQueryResult;
use duckdb_neo::{ffi, Error, Result};

/// The rows of `input`, whose columns have the names `names`, as arrays of about `rows` rows. Their types depend on the
/// session's settings.
pub fn export(
    context: &Context,
    names: &[&str],
    input: &ColumnDataCollection<'_>,
    rows: usize,
) -> Result<Vec<StructArray>> {
    let types = input.logical_types().iter().cloned();
    let columns: Vec<_> = names.iter().copied().zip(types).collect();
    let mut exporter = ArrowExporter::new(context, &columns, Some(rows))?;
    let schema = exporter.schema()?.into_raw();
    // SAFETY: both are the `ArrowSchema` of the Arrow C data interface, and ownership moves.
    let schema = unsafe { transmute::<ffi::ArrowSchema, FFI_ArrowSchema>(schema) };
    let data_type = DataType::try_from(&schema).map_err(arrow_error)?;
    let mut arrays = Vec::new();
    let mut scan = input.to_scan(context)?;
    while let Some(chunk) = scan.next_chunk()? {
        exporter.append(&chunk, false)?;
        drain(&mut exporter, &data_type, &mut arrays)?;
    }
    exporter.flush()?;
    drain(&mut exporter, &data_type, &mut arrays)?;
    Ok(arrays)
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

fn drain(
    exporter: &mut ArrowExporter<'_>,
    data_type: &DataType,
    arrays: &mut Vec<StructArray>,
) -> Result<()> {
    while let Some(array) = exporter.next_array()? {
        arrays.push(import(array, data_type)?);
    }
    Ok(())
}

fn import(array: ArrowArray, data_type: &DataType) -> Result<StructArray> {
    // SAFETY: both are the `ArrowArray` of the Arrow C data interface, and ownership moves.
    let array = unsafe { transmute::<ffi::ArrowArray, FFI_ArrowArray>(array.into_raw()) };
    // SAFETY: DuckDB made the array for the schema that the type was taken from.
    let mut data = unsafe { from_ffi_and_data_type(array, data_type.clone()) }.map_err(arrow_error)?;
    data.align_buffers();
    Ok(StructArray::from(data))
}

fn arrow_error(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("DuckDB's rows cannot be read as Arrow arrays: {error}"))
}
