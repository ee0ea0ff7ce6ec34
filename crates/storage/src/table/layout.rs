//! Where the parts of a table are. Mostly all in one directory; two kinds of directories hold the record files of a
//! table whose data is elsewhere.
//!
//! ```text
//! db/t~1/2024-02-28.detached      own _meta, _txn, _cv of the moment; one partition's files; symbols in db/t~1
//! .checkpoint/db/t~1              _meta, _txn, _cv of the checkpoint; partitions and symbols in db/t~1  (docs/format.md §11.6)
//! ```

use std::path::{Path, PathBuf};

use crate::source::{FileKind, Files};

const CHECKPOINT_DIR: &str = ".checkpoint";
const DATABASE_DIR: &str = "db";

/// Ends of the names of directories that hold a partition which is not part of its table.
const LOOSE_SUFFIXES: [&str; 2] = [".detached", ".attachable"];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// `_meta`, `_txn`, `_cv`.
    pub(super) records: PathBuf,
    /// Partitions and symbol tables.
    pub(super) data: PathBuf,
    /// The only partition, by the name of its directory; its files are beside the records.
    pub(super) only: Option<String>,
}

impl Layout {
    /// The layout of the table that `dir` stands for.
    pub(super) fn of(dir: &Path, files: &dyn Files) -> Self {
        let plain = || Self { records: dir.to_owned(), data: dir.to_owned(), only: None };
        let (Some(name), Some(parent)) = (dir.file_name().and_then(|name| name.to_str()), dir.parent())
        else {
            return plain();
        };
        if let Some(partition) = LOOSE_SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) {
            return Self {
                records: dir.to_owned(),
                data: parent.to_owned(),
                only: Some(partition.to_owned()),
            };
        }
        let named = |dir: &Path, name: &str| dir.file_name().is_some_and(|found| found == name);
        let checkpoint =
            parent.parent().filter(|up| named(parent, DATABASE_DIR) && named(up, CHECKPOINT_DIR));
        let data = checkpoint.and_then(Path::parent).map(|root| root.join(DATABASE_DIR).join(name));
        match data.filter(|data| matches!(files.kind(data), Ok(Some(FileKind::Directory)))) {
            Some(data) => Self { records: dir.to_owned(), data, only: None },
            None => plain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::LocalFiles;

    #[test]
    fn records_and_data_can_be_apart() {
        let layout = |dir: &str| Layout::of(Path::new(dir), &LocalFiles);
        let plain = layout("/db/trades~1");
        assert_eq!((plain.records.as_path(), plain.only), (plain.data.as_path(), None));
        let detached = layout("/db/trades~1/2024-02-28T10.3.detached");
        assert_eq!(detached.data, Path::new("/db/trades~1"));
        assert_eq!(detached.only.as_deref(), Some("2024-02-28T10.3"));
        let root = std::env::temp_dir().join(format!("questdb-layout-{}", std::process::id()));
        std::fs::create_dir_all(root.join("db/t~1")).unwrap();
        let checkpoint = Layout::of(&root.join(".checkpoint/db/t~1"), &LocalFiles);
        assert_eq!((checkpoint.data, checkpoint.only), (root.join("db/t~1"), None));
        let gone = Layout::of(&root.join(".checkpoint/db/dropped~2"), &LocalFiles);
        assert_eq!(gone.data, gone.records);
        std::fs::remove_dir_all(root).unwrap();
    }
}
