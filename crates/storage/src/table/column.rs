//! A column of a snapshot.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Result;
use crate::format::meta::ColumnRecord;
use crate::format::symbol_table::{self, SymbolTable};
use crate::source::{Access, Files};
use crate::types::ColumnType;

/// A live column, as users see it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type.
    pub column_type: ColumnType,
    /// Permanent identity of the column in the table (docs/format.md §2).
    pub writer_index: usize,
    /// Whether this is the designated timestamp.
    pub designated: bool,
    /// The record in `_meta`.
    pub record: ColumnRecord,
    /// Where the symbols are; `None` for other types.
    pub symbols: Option<SymbolFiles>,
}

impl Column {
    /// File of this column in a partition or in the table's root: `<name>.<kind>[.<name txn>]`.
    pub fn file_name(&self, kind: &str, name_txn: Option<u64>) -> String {
        match name_txn {
            Some(txn) => format!("{}.{kind}.{txn}", self.name),
            None => format!("{}.{kind}", self.name),
        }
    }
}

/// The committed part of a symbol table's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolFiles {
    /// Committed symbols.
    pub count: u32,
    /// `.o`.
    pub offsets: PathBuf,
    /// `.c`.
    pub chars: PathBuf,
}

impl SymbolFiles {
    pub(super) fn new(column: &Column, dir: &Path, count: u32, name_txn: Option<u64>) -> Self {
        Self {
            count,
            offsets: dir.join(column.file_name("o", name_txn)),
            chars: dir.join(column.file_name("c", name_txn)),
        }
    }

    /// Reads the committed symbols.
    pub fn read(&self, files: &dyn Files) -> Result<Arc<SymbolTable>> {
        let needed = SymbolTable::offsets_size(self.count);
        let offsets = files.open(&self.offsets, Access::Column { needed })?;
        let chars = files.open(&self.chars, Access::ColumnOpenEnded)?;
        SymbolTable::read(offsets.as_ref(), chars.as_ref(), self.count).map(Arc::new)
    }

    /// Whether the server noted that some row holds NULL.
    pub fn null_flag(&self, files: &dyn Files) -> Result<bool> {
        symbol_table::null_flag(files.open(&self.offsets, Access::Record)?.as_ref())
    }
}
