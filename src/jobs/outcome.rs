//! How an export ended.

use std::sync::Arc;

use questdb_parquet::{ExportResult, FileResult};

use super::destination;
use super::phase::Status;

/// What a successful export left.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Paths of the files, below the prefix.
    pub files: Vec<String>,
    /// The directory that holds them.
    pub prefix: String,
    /// Where they are: the one file, or their directory with a slash behind it; empty when there are none.
    pub path: String,
    /// Row groups of all files.
    pub row_groups: u64,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Encoded bytes of all row groups before compression.
    pub uncompressed: u64,
    /// Mean of the same of a row group.
    pub average_row_group_bytes: u64,
}

impl Summary {
    /// What the files are, when nobody has asked for a mode.
    pub fn mode(&self) -> &'static str {
        if self.path.is_empty() || self.path.ends_with('/') {
            "multi_file"
        } else {
            "single_file"
        }
    }

    /// What `result` is for an export to `destination`.
    pub fn new(result: &ExportResult, destination: &str) -> Self {
        let shown = |file: &FileResult| destination::shown(&file.path.to_string_lossy());
        let paths: Vec<String> = result.files.iter().map(shown).collect();
        let directory = format!("{}/", destination.trim_end_matches('/'));
        let (prefix, path) = match paths.as_slice() {
            [] => (directory, String::new()),
            // One file is the destination itself, or has its name with a suffix.
            [only] if !only.starts_with(&directory) => (
                only.rsplit_once('/').map(|(parent, _)| format!("{parent}/")).unwrap_or_default(),
                only.clone(),
            ),
            _ => (directory.clone(), directory),
        };
        let below = |path: &String| path.strip_prefix(&prefix).unwrap_or(path).to_owned();
        Self {
            files: paths.iter().map(below).collect(),
            prefix: prefix.strip_suffix('/').unwrap_or(&prefix).to_owned(),
            path,
            row_groups: result.row_groups.len() as u64,
            rows: result.rows,
            bytes: result.bytes,
            uncompressed: result.uncompressed,
            average_row_group_bytes: result.average_row_group_bytes(),
        }
    }
}

/// How an export ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// With files.
    Finished(Arc<Summary>),
    /// With an error.
    Failed(String),
    /// By somebody; why.
    Cancelled(String),
}

impl Outcome {
    /// In the server's words.
    pub fn status(&self) -> Status {
        match self {
            Self::Finished(_) => Status::Finished,
            Self::Failed(_) => Status::Failed,
            Self::Cancelled(_) => Status::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(destination: &str, files: &[&str]) -> Summary {
        let file = |path: &&str| FileResult {
            path: path.into(),
            partition: None,
            rows: 1,
            row_groups: 1,
            bytes: 1,
            uncompressed: 1,
        };
        let result = ExportResult { files: files.iter().map(file).collect(), ..ExportResult::default() };
        Summary::new(&result, destination)
    }

    #[test]
    fn paths_are_split_at_the_directory_of_the_files() {
        for (destination, files, prefix, names, path, mode) in [
            (
                "/d/x",
                vec!["/d/x/a.parquet", "/d/x/b/c.parquet"],
                "/d/x",
                vec!["a.parquet", "b/c.parquet"],
                "/d/x/",
                "multi_file",
            ),
            ("/d/x", vec!["/d/x.parquet"], "/d", vec!["x.parquet"], "/d/x.parquet", "single_file"),
            ("/d/x.parquet", vec!["/d/x.parquet"], "/d", vec!["x.parquet"], "/d/x.parquet", "single_file"),
            ("/d/x", vec!["/d/x/a.parquet"], "/d/x", vec!["a.parquet"], "/d/x/", "multi_file"),
            ("/d/x", vec![], "/d/x", vec![], "", "multi_file"),
            (
                "s3://b/p",
                vec!["s3://b/p/a.parquet"],
                "s3://b/p",
                vec!["a.parquet"],
                "s3://b/p/",
                "multi_file",
            ),
        ] {
            let found = summary(destination, &files);
            assert_eq!(
                (found.prefix.as_str(), found.path.as_str(), found.mode()),
                (prefix, path, mode),
                "{files:?}"
            );
            assert_eq!(found.files, names);
        }
    }
}
