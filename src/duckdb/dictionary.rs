//! Dictionary vectors, which DuckDB groups and counts without looking at the strings.
//!
//! The API has no call that makes one, but its Arrow importer does, at a cost that only pays once. So each
//! thread imports one dictionary chunk per column, keeps it, and for every chunk of output rewrites the
//! selection (which row is which entry) and lets the output vector refer to it. DuckDB's own scan
//! reuses its vectors in the same way: operators that keep rows copy them.

use std::ptr;
use std::sync::Arc;

use arrow_array::ffi::to_ffi;
use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, Int32Array, StringArray, StructArray};
use duckdb_neo::arrow::{ArrowArray, ArrowImporter, ArrowSchema};
use duckdb_neo::connection::Context;
use duckdb_neo::{ffi, AsRaw, Error, Result};
use questdb_storage::format::symbol_table::SymbolTable;

use super::vectors::{call, CHUNK_ROWS};

/// DuckDB uses a dictionary for grouping only when it has less than half as many entries as the chunk
/// has rows; beyond, strings are as good.
const MOST_SYMBOLS: usize = 1000;

/// A kept chunk of [`CHUNK_ROWS`] rows with one dictionary vector: all symbols, and NULL behind them.
#[derive(Debug)]
pub struct Dictionary {
    chunk: ffi::duckdb_v2_data_chunk_handle,
    vector: ffi::duckdb_v2_vector_handle,
    selection: *mut u32,
    /// Number of symbols, and so the entry of NULL.
    null_entry: u32,
}

// SAFETY: the chunk is owned by this value, which belongs to one thread's state at a time.
unsafe impl Send for Dictionary {}

impl Dictionary {
    /// Whether `rows` keys of `table` are better off as a dictionary vector. A kept chunk has a fixed size.
    pub fn suits(table: &SymbolTable, rows: usize) -> bool {
        rows == CHUNK_ROWS && table.len() <= MOST_SYMBOLS
    }

    /// Imports the symbols of `table`.
    pub fn new(context: &Context, table: &SymbolTable) -> Result<Self> {
        let symbols = StringArray::from_iter(table.iter().map(Some).chain([None]));
        let null_entry = table.len() as u32;
        let keys = Int32Array::from(vec![null_entry as i32; CHUNK_ROWS]);
        let column = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(symbols)).map_err(arrow_error)?;
        let field = arrow_schema::Field::new("symbol", column.data_type().clone(), true);
        let row = StructArray::from(vec![(Arc::new(field), Arc::new(column) as _)]);
        let (array, schema) = to_ffi(&row.to_data()).map_err(arrow_error)?;
        // SAFETY: both sides are the C structs of the Arrow C data interface; ownership moves over.
        let (array, schema) = unsafe {
            (
                ArrowArray::from_raw(
                    std::mem::transmute::<arrow_array::ffi::FFI_ArrowArray, ffi::ArrowArray>(array),
                ),
                ArrowSchema::from_raw(std::mem::transmute::<
                    arrow_array::ffi::FFI_ArrowSchema,
                    ffi::ArrowSchema,
                >(schema)),
            )
        };
        let mut importer = ArrowImporter::new(context, schema, Some(CHUNK_ROWS))?;
        importer.append_consumed(array, true)?;
        let chunk =
            importer.next_chunk()?.ok_or_else(|| Error::internal("Arrow importer returned no chunk"))?;
        // SAFETY: the chunk is forgotten below, so the handle's only owner is the new value.
        let handle = unsafe { chunk.get_raw() };
        std::mem::forget(chunk);
        let mut kept =
            Self { chunk: handle, vector: ptr::null_mut(), selection: ptr::null_mut(), null_entry };
        call!(ffi::duckdb_v2_data_chunk_get_vector, handle, 0, &mut kept.vector)?;
        kept.selection = kept.find_selection()?;
        Ok(kept)
    }

    /// The selection of the imported vector, after checking that the import is what this module relies on.
    fn find_selection(&self) -> Result<*mut u32> {
        let mut kind = ffi::DUCKDB_V2_VECTOR_TYPE::DUCKDB_V2_VECTOR_TYPE_FLAT;
        call!(ffi::duckdb_v2_vector_get_vector_type, self.vector, &mut kind)?;
        // SAFETY: a plain struct of pointers and a count, for which zero is valid.
        let mut view: ffi::duckdb_v2_vector_view = unsafe { std::mem::zeroed() };
        call!(ffi::duckdb_v2_vector_get_view, self.vector, &mut view)?;
        let is_dictionary = kind == ffi::DUCKDB_V2_VECTOR_TYPE::DUCKDB_V2_VECTOR_TYPE_DICTIONARY;
        let selection = view.sel.cast_mut().cast::<u32>();
        // SAFETY: the selection has an entry for each of the vector's rows.
        let points_at_null = || unsafe { *selection == self.null_entry };
        if !is_dictionary || selection.is_null() || view.count != CHUNK_ROWS as u64 || !points_at_null() {
            return Err(Error::internal("Arrow importer did not keep the dictionary"));
        }
        Ok(selection)
    }

    /// Makes `vector` the strings of `keys`, which are [`CHUNK_ROWS`] many; negative ones are NULL.
    pub fn refer(&mut self, vector: ffi::duckdb_v2_vector_handle, keys: &[i32]) -> Result<()> {
        let null_entry = self.null_entry;
        for (row, key) in keys.iter().take(CHUNK_ROWS).enumerate() {
            // SAFETY: the selection has CHUNK_ROWS entries of its own memory; the chunk that last referred
            // to it has been consumed, because DuckDB asks for the next chunk only then. Keys were checked
            // against the table, so entries are at most `null_entry`.
            unsafe { *self.selection.add(row) = (*key as u32).min(null_entry) };
        }
        call!(ffi::duckdb_v2_vector_reference, vector, self.vector)
    }
}

impl Drop for Dictionary {
    fn drop(&mut self) {
        // SAFETY: the handle is owned and destroyed once. A vector that still refers to its data keeps
        // that data alive itself.
        unsafe { ffi::duckdb_v2_data_chunk_destroy(&mut self.chunk) };
    }
}

fn arrow_error(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("cannot make a dictionary: {error}"))
}
