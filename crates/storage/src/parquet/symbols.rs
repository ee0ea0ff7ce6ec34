//! Keys of a table's symbols in place of the ids of a Parquet dictionary (docs/format.md §9.3).

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;

use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::types::{self, NULL_KEY};

/// Keys of `table` for the dictionary ids of a chunk.
pub(super) fn symbol_keys(array: &ArrayRef, table: &SymbolTable) -> Result<Buffer> {
    let mismatch =
        || Error::corrupt("column has an unexpected Parquet type", "that of SYMBOL", array.data_type());
    let dictionary = array.as_dictionary_opt::<Int32Type>().ok_or_else(mismatch)?;
    let texts = dictionary.values().as_string_opt::<i32>().ok_or_else(mismatch)?;
    let texts: Vec<&str> = (0..texts.len()).map(|id| texts.value(id)).collect();
    let ids = dictionary.keys();
    let nulls = ids.nulls().filter(|nulls| nulls.null_count() > 0);
    let map = SymbolKeys::new(&texts, table);
    let mut keys: Vec<u32> = Vec::with_capacity(ids.len());
    for (row, id) in ids.values().iter().enumerate() {
        let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
        keys.push(if valid { *id as u32 } else { NULL_KEY as u32 });
    }
    types::check_keys(bytemuck::cast_slice(&keys), texts.len()).map_err(|(_, e)| e)?;
    map.apply(&mut keys)?;
    Ok(Buffer::from_vec(keys))
}

/// The keys that a dictionary's ids stand for. The server's dictionaries list the symbols in order of their keys
/// (`"format":1`); in others, and after the symbols were made anew, a text is looked up.
#[derive(Debug)]
pub(super) struct SymbolKeys {
    /// Entries of the dictionary.
    len: usize,
    /// By id, where ids are no keys; a symbol that the table does not have is no error until a row holds it.
    keys: Option<Vec<std::result::Result<u32, String>>>,
    /// Symbols of the table.
    known: usize,
}

impl SymbolKeys {
    pub(super) fn new(texts: &[&str], table: &SymbolTable) -> Self {
        let (len, known) = (texts.len(), table.len());
        if len <= known && texts.iter().enumerate().all(|(id, text)| table.get(id) == Some(text)) {
            return Self { len, keys: None, known };
        }
        let by_text: HashMap<&str, u32> = table.iter().zip(0..).collect();
        let key = |text: &&str| by_text.get(text).copied().ok_or_else(|| (*text).to_owned());
        Self { len, keys: Some(texts.iter().map(key).collect()), known }
    }

    /// Number of ids.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Turns ids into keys; NULL stays NULL.
    pub(super) fn apply(&self, ids: &mut [u32]) -> Result<()> {
        let Some(keys) = &self.keys else { return Ok(()) };
        for id in ids.iter_mut().filter(|id| **id != NULL_KEY as u32) {
            *id = match keys.get(*id as usize) {
                Some(Ok(key)) => *key,
                Some(Err(text)) => {
                    let known = format!("one of the {} symbols of the table", self.known);
                    return Err(Error::corrupt(
                        "symbol is not in the symbol table",
                        known,
                        format_args!("{text:?}"),
                    ));
                }
                None => {
                    let expected = format!("less than {}", self.len);
                    return Err(Error::corrupt("dictionary id is out of range", expected, *id));
                }
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(texts: &[&str]) -> SymbolTable {
        SymbolTable::from_values(texts.iter().copied())
    }

    fn keys(texts: &[&str], table: &SymbolTable, ids: &[i32]) -> Result<Vec<i32>> {
        let mut ids: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
        SymbolKeys::new(texts, table).apply(&mut ids)?;
        Ok(ids.into_iter().map(|id| id as i32).collect())
    }

    #[test]
    fn ids_are_keys_where_the_dictionary_begins_as_the_table() {
        let table = table(&["a", "b", "c"]);
        assert!(SymbolKeys::new(&["a", "b"], &table).keys.is_none());
        assert_eq!(keys(&["a", "b"], &table, &[1, NULL_KEY, 0]).unwrap(), [1, NULL_KEY, 0]);
    }

    #[test]
    fn other_dictionaries_are_looked_up_and_only_symbols_in_use_must_be_known() {
        let table = table(&["a", "b", "c"]);
        let texts = ["c", "new", "a"];
        assert_eq!(keys(&texts, &table, &[0, 2, NULL_KEY]).unwrap(), [2, 0, NULL_KEY]);
        let error = keys(&texts, &table, &[0, 1]).unwrap_err().to_string();
        assert!(error.contains("\"new\"") && error.contains("3 symbols"), "{error}");
        assert!(keys(&texts, &table, &[3]).is_err());
    }
}
