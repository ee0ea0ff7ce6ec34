//! Paths as users give them, and DuckDB's permission to touch them.

use std::path::{Path, PathBuf};

use duckdb_neo::connection::Context;
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::file::FileSystem;
use duckdb_neo::Result;

use super::errors::without_class;

/// `path` with `~` replaced, trailing slashes removed, and made absolute.
pub fn expand(context: &Context, path: &str) -> Result<PathBuf> {
    let fs = FileSystem::new(context)?;
    if fs.is_remote(path)? {
        return Err(Error {
            code: DuckDBError::QueryNotImplemented,
            message: format!(
                "\"{path}\" is remote: QuestDB tables are read from local directories only. read_parquet reads \
                 remote Parquet files"
            ),
        });
    }
    let expanded = fs.expand(path)?;
    let trimmed = expanded.trim_end_matches('/');
    let path = if trimmed.is_empty() && !expanded.is_empty() { "/" } else { trimmed };
    std::path::absolute(path)
        .map_err(|e| Error::invalid_input(format!("Path \"{path}\" cannot be used: {e}")))
}

/// Asks DuckDB whether files below `dir` may be read: `enable_external_access`, `allowed_directories`
/// and `allowed_paths` guard only DuckDB's own file system, so each directory is shown to it first.
pub fn check_access(context: &Context, dir: &Path) -> Result<()> {
    ask(context, &dir.join("_meta"))
}

/// Asks DuckDB whether `path` may be touched.
pub fn ask(context: &Context, path: &Path) -> Result<()> {
    let asked = FileSystem::new(context)?.exists(&path.to_string_lossy());
    asked.map(drop).map_err(without_class)
}

/// Asks DuckDB whether requests may leave: `storage` names a store by itself, so that no permission of a single directory
/// covers it.
pub fn ask_network(context: &Context, destination: &str) -> Result<()> {
    let (allowed, _) = context.config()?.get_value("enable_external_access")?;
    match allowed.get::<bool>()? {
        Some(false) => Err(Error {
            code: DuckDBError::ConfigurationPermission,
            message: format!(
                "Cannot write to \"{destination}\" in an object store - enable_external_access is set to false"
            ),
        }),
        _ => Ok(()),
    }
}

/// Refuses a destination that is an address and for which no store was named.
pub fn refuse_remote(context: &Context, destination: &str) -> Result<()> {
    if !FileSystem::new(context)?.is_remote(destination)? {
        return Ok(());
    }
    Err(Error {
        code: DuckDBError::QueryNotImplemented,
        message: format!(
            "The destination \"{destination}\" is remote, and DuckDB's secrets are not known to the writer\nName the store and \
             its keys with the option storage, or write to a local directory."
        ),
    })
}

/// The part of a glob pattern before its first special character, cut at a directory: where a search starts.
pub fn pattern_root(pattern: &Path) -> PathBuf {
    let plain =
        |part: &std::path::Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    pattern.components().take_while(plain).collect()
}
