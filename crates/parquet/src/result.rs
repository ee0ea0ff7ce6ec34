//! What an export wrote.

use std::path::PathBuf;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileResult {
    /// Its final path.
    pub path: PathBuf,
    /// Its partition, when there are partitions.
    pub partition: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Row groups.
    pub row_groups: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Encoded bytes of its row groups before compression.
    pub uncompressed: u64,
}

/// One row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowGroupResult {
    /// Index of its file in [`ExportResult::files`].
    pub file: usize,
    /// Its partition, when there are partitions.
    pub partition: Option<String>,
    /// Path of its file, relative to the destination.
    pub relative: PathBuf,
    /// Its number in the file, from 0.
    pub index: u64,
    /// Rows.
    pub rows: u64,
    /// Encoded bytes before compression, with page headers.
    pub uncompressed: u64,
    /// Bytes in the file.
    pub bytes: u64,
}

/// A finished export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportResult {
    /// The files, in the order they were begun.
    pub files: Vec<FileResult>,
    /// The row groups, in the order they were written.
    pub row_groups: Vec<RowGroupResult>,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes on disk of all files.
    pub bytes: u64,
    /// Encoded bytes of all row groups before compression.
    pub uncompressed: u64,
}

impl ExportResult {
    pub(crate) fn new(files: Vec<FileResult>, row_groups: Vec<RowGroupResult>) -> Self {
        let sum = |value: fn(&FileResult) -> u64| files.iter().map(value).sum();
        Self {
            rows: sum(|file| file.rows),
            bytes: sum(|file| file.bytes),
            uncompressed: sum(|file| file.uncompressed),
            files,
            row_groups,
        }
    }

    /// Mean encoded bytes of a row group before compression; 0 without row groups.
    pub fn average_row_group_bytes(&self) -> u64 {
        self.uncompressed.checked_div(self.row_groups.len() as u64).unwrap_or(0)
    }
}
