//! How a SYMBOL column's keys become a vector.

use std::sync::Arc;

use duckdb_neo::{ffi, Result};
use questdb_storage::format::symbol_table::SymbolTable;
use questdb_storage::types::{HeapAddress, NullMask, StringSlots, View};

use super::vectors::{write_enum, write_views};

/// The DuckDB type of a SYMBOL column, and what it needs.
#[derive(Debug, Clone)]
pub enum SymbolForm {
    /// VARCHAR.
    Strings,
    /// ENUM: position of each key in it, and how many there are.
    Enum(Arc<EnumPositions>),
}

/// An ENUM's values and which of them each symbol key is.
#[derive(Debug)]
pub struct EnumPositions {
    /// Distinct texts in order of their first key.
    pub values: Vec<String>,
    positions: Vec<u32>,
}

impl EnumPositions {
    /// The distinct texts of `table`. Two symbols can have one text, when both hold lone surrogates.
    pub fn new(table: &SymbolTable) -> Self {
        let mut seen = std::collections::HashMap::new();
        let mut values = Vec::new();
        let positions = table.iter().map(|text| {
            *seen.entry(text.to_owned()).or_insert_with(|| {
                values.push(text.to_owned());
                (values.len() - 1) as u32
            })
        });
        let positions = positions.collect();
        Self { values, positions }
    }

    fn get(&self, key: u32) -> u32 {
        self.positions.get(key as usize).copied().unwrap_or_default()
    }
}

/// Strings of a symbol table in DuckDB's form. Long ones point into the table, which this keeps alive.
#[derive(Debug)]
struct SymbolViews {
    table: Arc<SymbolTable>,
    views: Vec<View>,
}

impl SymbolViews {
    fn new(table: &Arc<SymbolTable>) -> Self {
        let (text, ends) = table.parts();
        let address = HeapAddress { base: text.as_ptr() as u64, shift: 0 };
        let mut views = vec![[0, 0]; ends.len()];
        // The slots only read their heap to build views, but want it mutable: give them a copy.
        let mut heap = text.as_bytes().to_vec();
        let mut nulls = NullMask::default();
        let mut slots = StringSlots::new(&mut views, &mut heap, address, &mut nulls);
        let mut start = 0;
        for (key, end) in ends.iter().enumerate() {
            slots.set_range(key, start, end - start);
            start = *end;
        }
        Self { table: Arc::clone(table), views }
    }
}

/// Writes the keys of one output column, chunk after chunk.
#[derive(Debug)]
pub struct SymbolVector {
    form: SymbolForm,
    views: Option<SymbolViews>,
}

impl SymbolVector {
    /// A writer of `form`.
    pub fn new(form: SymbolForm) -> Self {
        Self { form, views: None }
    }

    /// Whether vectors become dictionaries, whose own data is not written.
    pub fn is_dictionary(&self) -> bool {
        false
    }

    /// Says which table the next keys belong to.
    pub fn use_table(&mut self, table: &Arc<SymbolTable>) {
        let known = self.views.as_ref().is_some_and(|views| Arc::ptr_eq(&views.table, table));
        if !known && matches!(self.form, SymbolForm::Strings) {
            self.views = Some(SymbolViews::new(table));
        }
    }

    /// Writes `keys` to `vector`, whose data is at `data`, and marks NULLs.
    ///
    /// # Safety
    /// The vector must be of the form's type and have a slot for each key.
    #[allow(unsafe_code)]
    pub unsafe fn write(
        &mut self,
        _vector: ffi::duckdb_v2_vector_handle,
        data: *mut u8,
        keys: &[i32],
        nulls: &mut NullMask,
    ) -> Result<()> {
        match &self.form {
            SymbolForm::Strings => {
                let views = self.views.as_ref().map_or(&[][..], |views| &views.views);
                // SAFETY: promised by the caller; `self.views` lives as long as the scan's thread.
                unsafe { write_views(data, keys, views, nulls) };
            }
            SymbolForm::Enum(positions) => {
                // DuckDB stores ENUMs in the smallest integer that holds all positions.
                match positions.values.len() {
                    // SAFETY: promised by the caller.
                    0..=255 => unsafe { write_enum(data, keys, |key| positions.get(key) as u8, nulls) },
                    // SAFETY: as above.
                    256..=65535 => unsafe { write_enum(data, keys, |key| positions.get(key) as u16, nulls) },
                    // SAFETY: as above.
                    _ => unsafe { write_enum(data, keys, |key| positions.get(key), nulls) },
                }
            }
        }
        Ok(())
    }
}
