//! A table directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::Layout;
use super::snapshot::{Snapshot, SnapshotMode};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{sequencer, table_name};
use crate::source::{Access, FileKind, Files, LocalFiles};

/// A table directory that was found; its state is read by [`Table::snapshot`].
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    dir: PathBuf,
    layout: Layout,
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
            return Err(Error::new(ErrorKind::NotATable, "this is a view, not a table")
                .in_file(dir)
                .hint("A view has a query but no data; read the tables that it selects from."));
        }
        if !has("_meta")? && !has("_txn")? && !has("_meta.swp")? {
            return Err(Error::new(ErrorKind::NotATable, "not a QuestDB table directory")
                .expected("files _meta and _txn")
                .found("neither")
                .in_file(dir)
                .hint(
                    "Give the directory of a table (\"db/trades~12\"), or a database root and table_name.",
                ));
        }
        let layout = Layout::of(dir, files.as_ref());
        let named = if layout.only.is_some() { &layout.data } else { dir };
        Ok(Self { name: name_of(named, files.as_ref()), dir: dir.to_owned(), layout, files })
    }

    /// Whether `dir` looks like a table: it has `_meta` and `_txn`.
    pub fn is_table(dir: &Path, files: &dyn Files) -> bool {
        let has = |name: &str| matches!(files.kind(&dir.join(name)), Ok(Some(FileKind::File(_))));
        has("_meta") && has("_txn")
    }

    pub(super) fn named(name: String, dir: PathBuf, files: Arc<dyn Files>) -> Self {
        let layout = Layout::of(&dir, files.as_ref());
        Self { name, dir, layout, files }
    }

    /// Current name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How its files are opened.
    pub(crate) fn files(&self) -> &dyn Files {
        self.files.as_ref()
    }

    /// The state of the table now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.snapshot_in(SnapshotMode::Automatic)
    }

    /// The state of the table now, kept true in the given way.
    pub fn snapshot_in(&self, mode: SnapshotMode) -> Result<Snapshot> {
        Snapshot::read(self.name.clone(), self.layout.clone(), Arc::clone(&self.files), mode)
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

/// The name in `_name`, or else what the directory's name says.
pub(super) fn name_of(dir: &Path, files: &dyn Files) -> String {
    let stored = files.read_small(&dir.join("_name"), table_name::MAX_FILE_SIZE).ok();
    stored.and_then(|bytes| table_name::parse(&bytes).ok()).filter(|name| !name.is_empty()).unwrap_or_else(
        || {
            let file_name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            table_name::from_directory(&file_name).to_owned()
        },
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::source::tests::Memory;
    use crate::source::{DirEntry, Source};

    /// Files in memory; a directory is there when a file is below it.
    #[derive(Debug, Default)]
    pub(crate) struct MemoryFiles {
        files: BTreeMap<PathBuf, Vec<u8>>,
        dangling: Vec<PathBuf>,
    }

    impl MemoryFiles {
        pub(crate) fn add(&mut self, path: &str, bytes: Vec<u8>) {
            self.files.insert(path.into(), bytes);
        }

        /// A link to nothing.
        pub(crate) fn add_link(&mut self, path: &str) {
            self.dangling.push(path.into());
        }
    }

    impl Files for MemoryFiles {
        fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn Source>> {
            let not_found = || Error::io(&std::io::ErrorKind::NotFound.into(), path);
            let bytes = self.files.get(path).ok_or_else(not_found)?;
            match access {
                Access::Column { needed } if needed > bytes.len() as u64 => {
                    Err(Error::too_short(path, needed, bytes.len() as u64))
                }
                _ => Ok(Arc::new(Memory::new(bytes.clone()))),
            }
        }

        fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
            let name = |path: &Path| Some(path.strip_prefix(dir).ok()?.iter().next()?.to_str()?.to_owned());
            let mut names: Vec<String> =
                self.files.keys().chain(&self.dangling).filter_map(|p| name(p)).collect();
            names.sort();
            names.dedup();
            let entry = |name: String| {
                let path = dir.join(&name);
                Ok(DirEntry { kind: self.kind(&path)?, is_link: self.dangling.contains(&path), name })
            };
            names.into_iter().map(entry).collect()
        }

        fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
            let file = self.files.get(path).map(|bytes| FileKind::File(bytes.len() as u64));
            let below = || self.files.keys().any(|p| p.starts_with(path)).then_some(FileKind::Directory);
            Ok(file.or_else(below))
        }
    }

    /// A `_meta` of columns `sym` SYMBOL and `ts` TIMESTAMP, which is designated, partitioned by day.
    pub(crate) fn meta(wal: bool) -> Vec<u8> {
        let mut bytes = vec![0u8; 128 + 2 * 32];
        for (at, value) in [(0, 2i32), (8, 1), (12, 426), (128, 12), (160, 8)] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes[40] = u8::from(wal);
        for name in ["sym", "ts"] {
            bytes.extend((name.len() as i32).to_le_bytes());
            bytes.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
        }
        bytes
    }

    #[test]
    fn sizes_add_up_below_a_directory() {
        let mut files = MemoryFiles::default();
        files.add("/db/t/_meta", vec![0; 10]);
        files.add("/db/t/2024-01-01/ts.d", vec![0; 80]);
        files.add("/db/t/wal1/0/ts.d", vec![0; 7]);
        files.add("/db/other/_meta", vec![0; 1000]);
        files.add_link("/db/t/2024-01-02");
        assert_eq!(directory_size(Path::new("/db/t"), &files, 0), 97);
        assert_eq!(directory_size(Path::new("/nowhere"), &files, 0), 0);
    }

    #[test]
    fn name_comes_from_its_file_or_from_the_directory() {
        let mut files = MemoryFiles::default();
        files.add("/db/old~1/_name", [&3i32.to_le_bytes()[..], b"n\0e\0w\0", b"\0"].concat());
        files.add("/db/damaged~2/_name", vec![0xff; 3]);
        assert_eq!(name_of(Path::new("/db/old~1"), &files), "new");
        assert_eq!(name_of(Path::new("/db/damaged~2"), &files), "damaged");
        assert_eq!(name_of(Path::new("/db/plain"), &files), "plain");
    }
}
