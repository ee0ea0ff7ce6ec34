//! A table directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{sequencer, table_name};
use crate::source::{Access, FileKind, Files, LocalFiles};

/// A table directory that was found; its state is read by [`Table::snapshot`].
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    dir: PathBuf,
    files: Arc<dyn Files>,
}

impl Table {
    /// The table in `dir`, on the local file system.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such directory, [`ErrorKind::NotATable`] when it holds
    /// something else.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(dir.as_ref(), Arc::new(LocalFiles))
    }

    /// The table in `dir`, on any file system.
    pub fn open_with(dir: &Path, files: Arc<dyn Files>) -> Result<Self> {
        match files.kind(dir)? {
            Some(FileKind::Directory) => {}
            Some(_) => {
                return Err(Error::new(ErrorKind::NotATable, "not a table directory")
                    .expected("a directory with _meta and _txn")
                    .found("a file")
                    .in_file(dir))
            }
            None => return Err(Error::new(ErrorKind::NotFound, "directory does not exist").in_file(dir)),
        }
        let has = |name: &str| Ok::<_, Error>(files.kind(&dir.join(name))?.is_some());
        if has("_view")? {
            return Err(Error::new(ErrorKind::NotATable, "this is a view, not a table").in_file(dir).hint(
                "A view has a query but no data; read the tables that it selects from.",
            ));
        }
        if !has("_meta")? && !has("_txn")? && !has("_meta.swp")? {
            return Err(Error::new(ErrorKind::NotATable, "not a QuestDB table directory")
                .expected("files _meta and _txn")
                .found("neither")
                .in_file(dir)
                .hint("Give the directory of a table (\"db/trades~12\"), or a database root and table_name."));
        }
        Ok(Self { name: name_of(dir, files.as_ref()), dir: dir.to_owned(), files })
    }

    /// Whether `dir` looks like a table: it has `_meta` and `_txn`.
    pub fn is_table(dir: &Path, files: &dyn Files) -> bool {
        let has = |name: &str| matches!(files.kind(&dir.join(name)), Ok(Some(FileKind::File(_))));
        has("_meta") && has("_txn")
    }

    pub(super) fn named(name: String, dir: PathBuf, files: Arc<dyn Files>) -> Self {
        Self { name, dir, files }
    }

    /// Current name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The state of the table now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::read(self.name.clone(), self.dir.clone(), Arc::clone(&self.files))
    }

    /// Last transaction that the WAL sequencer gave out; `None` for tables without one.
    pub fn last_wal_txn(&self) -> Result<Option<i64>> {
        let path = self.dir.join("txn_seq").join("_txnlog");
        if self.files.kind(&path)?.is_none() {
            return Ok(None);
        }
        let source = self.files.open(&path, Access::Record)?;
        sequencer::last_txn(source.as_ref()).map(Some).map_err(|e| e.in_file(&path).in_table(&self.name))
    }

    /// Total length of all files of the table, links followed. Entries that vanish meanwhile do not count.
    pub fn disk_size(&self) -> u64 {
        directory_size(&self.dir, self.files.as_ref(), 0)
    }
}

/// Total length of the files below `dir`.
pub(crate) fn directory_size(dir: &Path, files: &dyn Files, depth: u32) -> u64 {
    // A link that points upwards would never end.
    const DEEPEST: u32 = 8;
    let entries = if depth < DEEPEST { files.list(dir).unwrap_or_default() } else { Vec::new() };
    entries.iter().fold(0u64, |sum, entry| {
        let size = match entry.kind {
            Some(FileKind::File(len)) => len,
            Some(FileKind::Directory) => directory_size(&dir.join(&entry.name), files, depth + 1),
            _ => 0,
        };
        sum.saturating_add(size)
    })
}

fn name_of(dir: &Path, files: &dyn Files) -> String {
    let stored = files.read_small(&dir.join("_name"), table_name::MAX_FILE_SIZE).ok();
    stored.and_then(|bytes| table_name::parse(&bytes).ok()).filter(|name| !name.is_empty()).unwrap_or_else(|| {
        let file_name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        table_name::from_directory(&file_name).to_owned()
    })
}
