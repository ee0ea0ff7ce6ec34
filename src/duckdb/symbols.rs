//! How a SYMBOL column's keys become a vector.

use std::sync::Arc;

use duckdb_neo::connection::Context;
use duckdb_neo::{ffi, Result};
use questdb_storage::format::symbol_table::SymbolTable;
use questdb_storage::types::{HeapAddress, NullMask, StringSlots, View};

use super::dictionary::Dictionary;
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
    _table: Arc<SymbolTable>,
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
        Self { _table: Arc::clone(table), views }
    }
}

/// Writes the keys of one output column, chunk after chunk.
#[derive(Debug)]
pub struct SymbolVector {
    form: SymbolForm,
    /// The table that keys belong to.
    table: Option<Arc<SymbolTable>>,
    views: Option<SymbolViews>,
    dictionary: Option<Dictionary>,
}

impl SymbolVector {
    /// A writer of `form`.
    pub fn new(form: SymbolForm) -> Self {
        Self { form, table: None, views: None, dictionary: None }
    }

    /// Says which table the next keys belong to.
    pub fn use_table(&mut self, table: &Arc<SymbolTable>) {
        if !self.table.as_ref().is_some_and(|known| Arc::ptr_eq(known, table)) {
            self.table = Some(Arc::clone(table));
            self.views = None;
            self.dictionary = None;
        }
    }

    /// Makes `vector` a dictionary vector, when keys and table suit one; `false` when they do not.
    pub fn refer(
        &mut self,
        context: &Context,
        vector: ffi::duckdb_v2_vector_handle,
        keys: &[i32],
    ) -> Result<bool> {
        let Some(table) = &self.table else { return Ok(false) };
        if !matches!(self.form, SymbolForm::Strings) || !Dictionary::suits(table, keys.len()) {
            return Ok(false);
        }
        let dictionary = match &mut self.dictionary {
            Some(dictionary) => dictionary,
            none => none.insert(Dictionary::new(context, table)?),
        };
        dictionary.refer(vector, keys)?;
        Ok(true)
    }

    /// Writes `keys` to the slots at `data` and marks NULLs.
    ///
    /// # Safety
    /// There must be a slot of the form's physical type for each key.
    #[allow(unsafe_code)]
    pub unsafe fn write(&mut self, data: *mut u8, keys: &[i32], nulls: &mut NullMask) {
        match &self.form {
            SymbolForm::Strings => {
                if let (None, Some(table)) = (&self.views, &self.table) {
                    self.views = Some(SymbolViews::new(table));
                }
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
    }
}
