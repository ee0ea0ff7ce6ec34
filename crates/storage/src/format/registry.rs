//! `tables.d.N`: the registry of WAL tables, views and materialized views (docs/format.md §1.1).
//!
//! ```text
//! 0 ┌ end of the used part (i64) ┐
//! 8 │ operation i32 (0 add, −1 remove) │ name str │ directory str │ id i32 │ kind i32 │ 64 bytes if add │ …
//! ```

use std::collections::{HashMap, HashSet};

use super::bytes::Record;
use crate::error::{Error, Result};

/// Largest sensible file.
pub const MAX_FILE_SIZE: u64 = 256 << 20;

const PREFIX: &str = "tables.d.";
const MAX_NAME_UNITS: i32 = 4096;
const ADD_PADDING: usize = 64;

/// What a registered directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// An ordinary table.
    Table,
    /// A materialized view: readable as a table.
    MaterializedView,
    /// A view: a query without data.
    View,
}

impl TableKind {
    /// The word that users see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::MaterializedView => "materialized view",
            Self::View => "view",
        }
    }
}

/// A registered table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Current name.
    pub name: String,
    /// Directory below the database root.
    pub directory: String,
    /// Table id.
    pub id: i32,
    /// Kind.
    pub kind: TableKind,
}

/// The registry after all of its entries were applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// Live entries, in the order they were added.
    pub tables: Vec<Registered>,
    /// Directories that were removed and not added again: dropped tables waiting for their purge.
    pub dropped: HashSet<String>,
}

/// The version of a registry file name; the highest one counts.
pub fn file_version(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

impl Registry {
    /// Parses a whole registry file.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let file = Record::new(bytes, 0);
        // A server that never had such a table leaves the file empty.
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Self::default());
        }
        let end = file.i64(0)?;
        let used = usize::try_from(end).ok().filter(|e| (8..=bytes.len()).contains(e)).ok_or_else(|| {
            Error::corrupt("impossible registry size", format_args!("8 to {}", bytes.len()), end).at(0)
        })?;
        let file = file.part(0, used)?;
        let mut live: HashMap<String, (usize, Registered)> = HashMap::new();
        let mut dropped = HashSet::new();
        let mut offset = 8usize;
        let mut position = 0usize;
        while offset < used {
            let operation = file.i32(offset)?;
            let (name, next) = file.utf16(offset.saturating_add(4), MAX_NAME_UNITS)?;
            let (directory, next) = file.utf16(next, MAX_NAME_UNITS)?;
            let id = file.i32(next)?;
            let kind = match file.i32(next.saturating_add(4))? {
                2 => TableKind::MaterializedView,
                3 => TableKind::View,
                _ => TableKind::Table,
            };
            offset = next.saturating_add(8);
            match operation {
                0 => {
                    offset = offset.saturating_add(ADD_PADDING);
                    dropped.remove(&directory);
                    live.insert(directory.clone(), (position, Registered { name, directory, id, kind }));
                }
                -1 => {
                    live.remove(&directory);
                    dropped.insert(directory);
                }
                other => {
                    return Err(
                        Error::corrupt("unknown registry operation", "0 or -1", other).at(offset as u64)
                    )
                }
            }
            position = position.saturating_add(1);
        }
        let mut tables: Vec<_> = live.into_values().collect();
        tables.sort_by_key(|(position, _)| *position);
        Ok(Self { tables: tables.into_iter().map(|(_, t)| t).collect(), dropped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Vec<u8> {
        let mut bytes = (value.encode_utf16().count() as i32).to_le_bytes().to_vec();
        bytes.extend(value.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    }

    fn file(entries: &[(i32, &str, &str, i32, i32)]) -> Vec<u8> {
        let mut bytes = vec![0u8; 8];
        for (operation, name, directory, id, kind) in entries {
            bytes.extend(operation.to_le_bytes());
            bytes.extend(text(name));
            bytes.extend(text(directory));
            bytes.extend(id.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            if *operation == 0 {
                bytes.extend([0; ADD_PADDING]);
            }
        }
        let end = bytes.len() as i64;
        bytes[0..8].copy_from_slice(&end.to_le_bytes());
        bytes.extend([0; 32]);
        bytes
    }

    #[test]
    fn renames_keep_the_directory_and_drops_are_remembered() {
        let registry = Registry::parse(&file(&[
            (0, "a", "a~1", 1, 1),
            (0, "b", "b~2", 2, 2),
            (-1, "a", "a~1", 1, 1),
            (0, "renamed Ж", "a~1", 1, 1),
            (-1, "b", "b~2", 2, 2),
        ]))
        .unwrap();
        assert_eq!(registry.tables.len(), 1);
        assert_eq!(registry.tables[0].name, "renamed Ж");
        assert!(registry.dropped.contains("b~2"));
        assert_eq!(file_version("tables.d.12"), Some(12));
        assert_eq!(file_version("tables.d.lock"), None);
    }

    #[test]
    fn an_empty_file_is_an_empty_registry() {
        assert_eq!(Registry::parse(&[]).unwrap(), Registry::default());
        assert_eq!(Registry::parse(&[0; 4096]).unwrap(), Registry::default());
    }

    #[test]
    fn damage_is_refused() {
        let good = file(&[(0, "a", "a~1", 1, 1)]);
        assert!(Registry::parse(&good[..10]).is_err());
        let mut bad = good.clone();
        bad[8] = 7;
        assert!(Registry::parse(&bad).is_err());
        let mut long = good;
        long[12..16].copy_from_slice(&i32::MAX.to_le_bytes());
        assert!(Registry::parse(&long).is_err());
    }
}
