//! Filling DuckDB's vectors: the second sink of the storage crate's decoders. One of the extension's files
//! with `unsafe` code; the others are its neighbours `dictionary` and `symbols`.
//!
//! The safe wrappers of `duckdb-neo` would cost a validity mask per vector and a check per value, so this
//! module writes vectors through the raw API. What it relies on: an output vector is flat and holds
//! [`CHUNK_ROWS`] rows; a string is 16 bytes, `{len, 12 bytes}` or `{len, prefix, pointer}`; a list is
//! `{offset, length}` into a child vector that must be sized before it is written.

use std::ffi::c_void;
use std::ptr;
use std::slice;
use std::sync::Arc;

use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::{ffi, AsRaw, Result};
use questdb_storage::format::symbol_table::SymbolTable;
use questdb_storage::types::{
    ColumnSink, Fixed, HeapAddress, NestedDoubles, NullMask, StringSlots, ValueType, View,
};

use super::symbols::{SymbolForm, SymbolVector};
use duckdb_neo::connection::Context;

/// Rows of a chunk, at most: DuckDB's STANDARD_VECTOR_SIZE.
pub const CHUNK_ROWS: usize = 2048;

/// Highest bit of a UUID: DuckDB stores UUIDs as signed numbers that sort as the text does.
const UUID_FLIP: u128 = 1 << 127;

/// Calls an API function whose last argument receives the error.
macro_rules! call_api {
    ($function:path $(, $argument:expr)* $(,)?) => {{
        let mut error: ffi::duckdb_v2_error_info_handle = ptr::null_mut();
        // SAFETY: handles and pointers come from DuckDB and are live for this callback; each use says more.
        let code = unsafe { $function($($argument,)* &mut error) };
        $crate::duckdb::vectors::check(code, &mut error)
    }};
}

pub(super) use call_api as call;

pub(super) fn check(code: ffi::DUCKDB_V2_ERROR, handle: &mut ffi::duckdb_v2_error_info_handle) -> Result<()> {
    if code == ffi::DUCKDB_V2_ERROR::DUCKDB_V2_ERROR_NONE {
        return Ok(());
    }
    let mut message = String::from("DuckDB refused to fill a vector");
    if !handle.is_null() {
        let mut text = ffi::duckdb_v2_str::default();
        // SAFETY: the handle is live; the text is copied before the handle is destroyed.
        unsafe {
            let found = ffi::duckdb_v2_error_info_get_text(*handle, &mut text);
            if found == ffi::DUCKDB_V2_ERROR::DUCKDB_V2_ERROR_NONE && !text.ptr.is_null() {
                let bytes = slice::from_raw_parts(text.ptr.cast::<u8>(), text.len as usize);
                message = String::from_utf8_lossy(bytes).into_owned();
            }
            ffi::duckdb_v2_error_info_destroy(handle);
        }
    }
    Err(Error { code: code.try_into().unwrap_or(DuckDBError::RuntimeInternal), message })
}

/// A storage error for a DuckDB one, to pass through a decoder.
fn inside(error: Error) -> questdb_storage::Error {
    questdb_storage::Error::invalid_input(error.message)
}

/// The output chunk of a callback, which will hold so many rows.
pub struct Output {
    chunk: ffi::duckdb_v2_data_chunk_handle,
    rows: usize,
}

impl Output {
    /// Prepares to write `rows` rows.
    pub fn new(chunk: &DataChunkRef<'_>, rows: usize) -> Result<Self> {
        if rows > CHUNK_ROWS {
            return Err(Error::internal(format!("{rows} rows for a chunk of {CHUNK_ROWS}")));
        }
        // SAFETY: the chunk outlives this value, which lives within one callback.
        Ok(Self { chunk: unsafe { chunk.get_raw() }, rows })
    }

    /// Empties a chunk that was written in vain.
    pub fn clear(chunk: &DataChunkRef<'_>) -> Result<()> {
        // SAFETY: the chunk is live for the callback.
        let handle = unsafe { chunk.get_raw() };
        call!(ffi::duckdb_v2_data_chunk_clear, handle)
    }

    /// Says that there are no more rows.
    pub fn end(&self) -> Result<()> {
        let vector = self.vector(0)?;
        call!(ffi::duckdb_v2_vector_set_size, vector, 0)
    }

    pub(super) fn vector(&self, index: usize) -> Result<ffi::duckdb_v2_vector_handle> {
        let mut vector = ptr::null_mut();
        call!(ffi::duckdb_v2_data_chunk_get_vector, self.chunk, index as u64, &mut vector)?;
        Ok(vector)
    }

    /// A sink for column `index`.
    pub fn column<'s>(
        &self,
        index: usize,
        value_type: ValueType,
        state: &'s mut ColumnState,
    ) -> Result<VectorSink<'s>> {
        let vector = self.vector(index)?;
        state.reset(value_type);
        let data = sized(vector, self.rows)?;
        Ok(VectorSink { vector, data, capacity: self.rows, value_type, rows: 0, state })
    }
}

/// Sets the size of a flat vector and lends its data.
fn sized(vector: ffi::duckdb_v2_vector_handle, rows: usize) -> Result<*mut u8> {
    let mut data: *mut c_void = ptr::null_mut();
    call!(ffi::duckdb_v2_vector_set_size, vector, rows as u64)?;
    call!(ffi::duckdb_v2_vector_get_data_mutable, vector, &mut data)?;
    Ok(data.cast())
}

/// Marks the rows of `nulls` in a flat vector; a vector without NULL keeps no mask.
fn set_nulls(vector: ffi::duckdb_v2_vector_handle, nulls: &NullMask) -> Result<()> {
    if !nulls.any() {
        return Ok(());
    }
    let mut mask: *mut u64 = ptr::null_mut();
    call!(ffi::duckdb_v2_vector_flat_get_validity_mutable, vector, &mut mask)?;
    for row in nulls.iter() {
        // SAFETY: the mask has a bit per row of the vector's capacity, and rows are below its size.
        unsafe { *mask.add(row / 64) &= !(1 << (row % 64)) };
    }
    Ok(())
}

/// Buffers of one output column, reused from chunk to chunk.
#[derive(Debug, Default)]
pub struct ColumnState {
    nulls: NullMask,
    local: NullMask,
    keys: Vec<i32>,
    doubles: NestedDoubles,
    /// How a SYMBOL column is written.
    symbols: Option<SymbolVector>,
}

impl ColumnState {
    /// The state of a SYMBOL column that is written as `form` says.
    pub fn for_symbols(form: SymbolForm) -> Self {
        Self { symbols: Some(SymbolVector::new(form)), ..Self::default() }
    }

    fn reset(&mut self, value_type: ValueType) {
        self.nulls.clear();
        self.keys.clear();
        if let ValueType::Doubles { dims } = value_type {
            self.doubles.reset(usize::from(dims));
        }
    }
}

/// Fills one vector. Every row of the chunk must be appended before [`Self::finish`].
pub struct VectorSink<'s> {
    vector: ffi::duckdb_v2_vector_handle,
    data: *mut u8,
    capacity: usize,
    value_type: ValueType,
    rows: usize,
    state: &'s mut ColumnState,
}

impl VectorSink<'_> {
    /// The slots of the next `n` rows.
    fn slots<T: Fixed>(&mut self, n: usize) -> questdb_storage::Result<&mut [T]> {
        let fits = self.rows.checked_add(n).is_some_and(|end| end <= self.capacity);
        if !fits || self.data.is_null() || self.data.align_offset(align_of::<T>()) != 0 {
            return Err(questdb_storage::Error::invalid_input(format!(
                "{n} more rows do not fit a vector of {} that holds {}",
                self.capacity, self.rows
            )));
        }
        // SAFETY: the vector has room for `capacity` values of its physical type, which is `T` for the
        // value type that the column was declared with, and nobody else refers to it during the callback.
        Ok(unsafe { slice::from_raw_parts_mut(self.data.cast::<T>().add(self.rows), n) })
    }

    /// Says that `nulls` of the last `n` rows, counted from the first of these, are NULL.
    pub fn mark_nulls(&mut self, n: usize, nulls: impl Iterator<Item = usize>) {
        let first = self.rows.saturating_sub(n);
        nulls.for_each(|row| self.state.nulls.set(first + row));
    }

    fn take_local_nulls(&mut self) {
        let state = &mut *self.state;
        state.local.iter().for_each(|row| state.nulls.set(self.rows + row));
        state.local.clear();
    }

    /// Completes the vector.
    pub fn finish(self, context: &Context) -> Result<()> {
        if self.rows != self.capacity {
            return Err(Error::internal(format!("{} of {} rows were written", self.rows, self.capacity)));
        }
        match self.value_type {
            ValueType::Uuid => {
                // SAFETY: the vector holds `rows` values of 16 bytes, all written above.
                let values = unsafe { slice::from_raw_parts_mut(self.data.cast::<u128>(), self.rows) };
                values.iter_mut().for_each(|value| *value ^= UUID_FLIP);
            }
            ValueType::Doubles { .. } => write_lists(self.vector, &self.state.doubles)?,
            ValueType::Symbol => return self.finish_symbols(context),
            _ => {}
        }
        set_nulls(self.vector, &self.state.nulls)
    }

    fn finish_symbols(self, context: &Context) -> Result<()> {
        let state = self.state;
        let symbols = state.symbols.get_or_insert_with(|| SymbolVector::new(SymbolForm::Strings));
        if symbols.refer(context, self.vector, &state.keys)? {
            return Ok(());
        }
        // SAFETY: the vector's type is VARCHAR or the ENUM that the form was made for, and it has a slot
        // for each row.
        unsafe { symbols.write(self.data, &state.keys, &mut state.nulls) };
        set_nulls(self.vector, &state.nulls)
    }
}

impl ColumnSink for VectorSink<'_> {
    fn fixed<T: Fixed>(
        &mut self,
        n: usize,
        fill: impl FnOnce(&mut [T]) -> questdb_storage::Result<()>,
        is_null: impl Fn(&T) -> bool,
    ) -> questdb_storage::Result<()> {
        let slots: &mut [T] = self.slots(n)?;
        // SAFETY: DuckDB's buffer may be uninitialised memory, but it is allocated memory for which every
        // bit pattern is a `T`; decoders only write it.
        fill(slots)?;
        let slots: &[T] = slots;
        if slots.iter().fold(false, |any, value| any | is_null(value)) {
            let slots = slots.as_ptr();
            for row in 0..n {
                // SAFETY: `row` is below `n`, the length of the slice above.
                if is_null(unsafe { &*slots.add(row) }) {
                    self.state.nulls.set(self.rows + row);
                }
            }
        }
        self.rows += n;
        Ok(())
    }

    fn strings(
        &mut self,
        n: usize,
        heap: usize,
        fill: impl FnOnce(&mut StringSlots<'_>) -> questdb_storage::Result<()>,
    ) -> questdb_storage::Result<()> {
        let bytes = if heap == 0 { ptr::null_mut() } else { arena(self.vector, heap).map_err(inside)? };
        let views = self.slots::<View>(n)?;
        let views = (views.as_mut_ptr(), views.len());
        let address = HeapAddress { base: bytes as u64, shift: 0 };
        let heap_slice: &mut [u8] = if heap == 0 {
            &mut []
        } else {
            // SAFETY: the arena just gave these bytes to us, and keeps them as long as the vector lives.
            unsafe {
                ptr::write_bytes(bytes, 0, heap);
                slice::from_raw_parts_mut(bytes, heap)
            }
        };
        // SAFETY: the slots of `self.slots`, detached from the borrow of `self` for the null mask's sake.
        let views = unsafe { slice::from_raw_parts_mut(views.0, views.1) };
        fill(&mut StringSlots::new(views, heap_slice, address, &mut self.state.local))?;
        self.take_local_nulls();
        self.rows += n;
        Ok(())
    }

    fn symbols(
        &mut self,
        n: usize,
        table: &Arc<SymbolTable>,
        fill: impl FnOnce(&mut [i32]) -> questdb_storage::Result<()>,
    ) -> questdb_storage::Result<()> {
        let start = self.state.keys.len();
        self.state.keys.resize(start + n, 0);
        fill(self.state.keys.get_mut(start..).unwrap_or_default())?;
        let symbols = self.state.symbols.get_or_insert_with(|| SymbolVector::new(SymbolForm::Strings));
        symbols.use_table(table);
        self.rows += n;
        Ok(())
    }

    fn doubles(&mut self, rows: &NestedDoubles) -> questdb_storage::Result<()> {
        let mine = &mut self.state.doubles;
        for (level, lists) in mine.levels.iter_mut().zip(&rows.levels) {
            level.extend_from_slice(lists);
        }
        mine.values.extend_from_slice(&rows.values);
        rows.nulls.iter().for_each(|row| self.state.nulls.set(self.rows + row));
        self.rows += rows.len();
        Ok(())
    }

    fn nulls(&mut self, n: usize) -> questdb_storage::Result<()> {
        match self.value_type {
            ValueType::Symbol => self.state.keys.extend(std::iter::repeat_n(i32::MIN, n)),
            ValueType::Doubles { .. } => {
                if let Some(lists) = self.state.doubles.levels.first_mut() {
                    lists.extend(std::iter::repeat_n((0, 0), n));
                }
            }
            // Readers may look at a NULL string's bytes, so they must make sense.
            ValueType::Text | ValueType::Blob => self.slots::<View>(n)?.fill([0, 0]),
            _ => {}
        }
        (self.rows..self.rows + n).for_each(|row| self.state.nulls.set(row));
        self.rows += n;
        Ok(())
    }
}

/// Bytes that live as long as the vector's contents.
fn arena(vector: ffi::duckdb_v2_vector_handle, bytes: usize) -> Result<*mut u8> {
    let mut arena = ptr::null_mut();
    call!(ffi::duckdb_v2_vector_get_arena, vector, &mut arena)?;
    let mut data: *mut u8 = ptr::null_mut();
    call!(ffi::duckdb_v2_arena_allocate, arena, bytes as u64, &mut data)?;
    Ok(data)
}

/// Writes nested lists: the entries of each level, then the elements.
fn write_lists(vector: ffi::duckdb_v2_vector_handle, doubles: &NestedDoubles) -> Result<()> {
    let mut current = vector;
    for (level, lists) in doubles.levels.iter().enumerate() {
        let entries: *mut ffi::duckdb_v2_list_entry = if level == 0 {
            let mut data: *mut c_void = ptr::null_mut();
            call!(ffi::duckdb_v2_vector_get_data_mutable, current, &mut data)?;
            data.cast()
        } else {
            sized(current, lists.len())?.cast()
        };
        let mut offset = 0;
        for (row, (_, length)) in lists.iter().enumerate() {
            // SAFETY: the vector was sized for one entry per list.
            unsafe { *entries.add(row) = ffi::duckdb_v2_list_entry { offset, length: *length } };
            offset += length;
        }
        let mut child = ptr::null_mut();
        call!(ffi::duckdb_v2_vector_get_child, current, 0, &mut child)?;
        current = child;
    }
    let elements: *mut f64 = sized(current, doubles.values.len())?.cast();
    // SAFETY: the child was sized for all elements.
    unsafe { ptr::copy_nonoverlapping(doubles.values.as_ptr(), elements, doubles.values.len()) };
    let mut nulls = NullMask::default();
    nulls.mark(&doubles.values, |value| value.is_nan());
    set_nulls(current, &nulls)
}

/// Copies `views` to the slots at `data`, by key; marks NULL keys.
///
/// # Safety
/// `data` must have a slot of 16 bytes for each key, and the bytes that views point at must outlive the chunk.
pub(super) unsafe fn write_views(data: *mut u8, keys: &[i32], views: &[View], nulls: &mut NullMask) {
    let slots = data.cast::<View>();
    let mut any_null = false;
    for (row, key) in keys.iter().enumerate() {
        let view = views.get(*key as u32 as usize);
        any_null |= view.is_none();
        // SAFETY: one slot per key.
        unsafe { *slots.add(row) = view.copied().unwrap_or([0, 0]) };
    }
    if any_null {
        keys.iter().enumerate().filter(|(_, key)| **key < 0).for_each(|(row, _)| nulls.set(row));
    }
}

/// Writes ENUM positions; marks NULL keys.
///
/// # Safety
/// `data` must have a slot of `T` for each key.
pub(super) unsafe fn write_enum<T: Copy + Default>(
    data: *mut u8,
    keys: &[i32],
    position: impl Fn(u32) -> T,
    nulls: &mut NullMask,
) {
    for (row, key) in keys.iter().enumerate() {
        let value = if *key < 0 {
            nulls.set(row);
            T::default()
        } else {
            position(*key as u32)
        };
        // SAFETY: one slot per key.
        unsafe { *data.cast::<T>().add(row) = value };
    }
}
