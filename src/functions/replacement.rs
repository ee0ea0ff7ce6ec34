//! `FROM 'db/trades~12'`: a table directory in place of a table's name.

use std::path::Path;

use duckdb_neo::connection::Context;
use duckdb_neo::error::DuckDBError;
use duckdb_neo::qualified_name::QualifiedName;
use duckdb_neo::replacement_scan::{
    ReplacementHandle, ReplacementScanBuilder, ReplacementScanCallbacks, ReplacementType,
};
use duckdb_neo::{Result, ToValue};
use questdb_storage::source::{FileKind, Files, LocalFiles};
use questdb_storage::Table;

use super::read_partitions;
use crate::duckdb::errors::guard;
use crate::duckdb::host::Host;
use crate::duckdb::paths;

/// The replacement scan.
struct TableDirectory;

/// Registers the replacement scan.
pub fn register(host: &impl Host) -> Result<()> {
    host.replacement_scan(ReplacementScanBuilder::new(TableDirectory))
}

impl ReplacementScanCallbacks for TableDirectory {
    fn scan(&self, context: &Context, name: &QualifiedName, handle: ReplacementHandle<'_>) -> Result<()> {
        guard(|| {
            if name.parts_count()? != 1 {
                return Ok(());
            }
            let path = name.part(0)?;
            let Some(table) = table(context, &path)? else { return Ok(()) };
            handle.set_reference(ReplacementType::Table(read_partitions::NAME.try_into()?))?;
            handle.add_parameter(path.value(context)?)?;
            handle.set_alias(table.name())
        })
    }
}

/// The table in directory `path`. DuckDB asks for every name that it does not know, so whatever is not
/// plainly a table's directory is `None`: DuckDB then says what it would have said without us.
fn table(context: &Context, path: &str) -> Result<Option<Table>> {
    if path.is_empty() || path.contains('\0') {
        return Ok(None);
    }
    let Ok(dir) = paths::expand(context, path) else { return Ok(None) };
    if let Err(error) = paths::check_access(context, &dir) {
        // "Table does not exist" would hide the reason from who gave a path; a mistyped name is no path.
        let is_path = path.contains('/');
        return if is_path && error.code == DuckDBError::ConfigurationPermission {
            Err(error)
        } else {
            Ok(None)
        };
    }
    Ok(if looks_like_table(&dir) { Table::open(&dir).ok() } else { None })
}

fn looks_like_table(dir: &Path) -> bool {
    let has = |name: &str| matches!(LocalFiles.kind(&dir.join(name)), Ok(Some(FileKind::File(_))));
    // A server replaces `_meta` by renaming, so for a moment only its successor is there.
    has("_txn") && (has("_meta") || has("_meta.swp"))
}
