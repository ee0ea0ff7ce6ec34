//! Integrity check: every file of a table or of a database, one finding per damage.
//!
//! ```text
//! database   registry ↔ directories
//!   table      _meta, _txn, _cv, symbol tables
//!     partition  directory, column files or Parquet file
//!       values     (deep) every value: offsets, UTF-8, symbol keys, order and range of timestamps, index ↔ column
//! ```
//!
//! The check uses the code that queries use, so it finds what a query would meet, and goes on where a query would stop.
//! It reads one state of the table; beside a server at work a finding can be the trace of a change, which a second
//! check tells.

mod partition;
mod table;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{FileKind, Files, LocalFiles};
use crate::table::{Database, Table};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Some query fails or returns wrong values.
    Error,
    /// Queries are right, but something is not as a server leaves it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What and where.
    pub error: Error,
}

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct Check {
    /// Read every value.
    pub deep: bool,
    /// Only this table of a database.
    pub table_name: Option<String>,
}

impl Check {
    /// Checks the table directory or database root `path` on the local file system.
    ///
    /// # Errors
    /// Only when `path` does not exist or the wanted table is not there: damage is a finding.
    pub fn run(&self, path: &Path) -> Result<Vec<Finding>> {
        self.run_with(path, Arc::new(LocalFiles))
    }

    /// As [`Self::run`], on any file system.
    pub fn run_with(&self, path: &Path, files: Arc<dyn Files>) -> Result<Vec<Finding>> {
        let mut report = Report::default();
        if let Some(name) = &self.table_name {
            let table = Database::open_with(path, files)?.table(name)?;
            table::check(&table, self.deep, &mut report);
            return Ok(report.findings);
        }
        if looks_like_table(path, files.as_ref()) {
            match Table::open_with(path, files) {
                Ok(table) => table::check(&table, self.deep, &mut report),
                Err(error) => report.error(error),
            }
            return Ok(report.findings);
        }
        let database = Database::open_with(path, Arc::clone(&files))?;
        match database.list() {
            // A server makes the registry before the first table.
            Ok(listing) if listing.is_empty() && !database.has_registry()? => {
                let error = Error::new(ErrorKind::NotATable, "neither a table nor a database root");
                let expected = "files _meta and _txn, or directories of tables";
                report.error(error.expected(expected).found("neither").in_file(path));
            }
            Ok(listing) if listing.is_empty() => {
                let error = Error::new(ErrorKind::NotFound, "database has no tables");
                report.warning(error.expected("a table").found("none").in_file(database.dir()));
            }
            Ok(listing) => {
                for listed in listing.iter().filter(|listed| !listed.is_view()) {
                    table::check(&database.open_listed(listed), self.deep, &mut report);
                }
            }
            Err(error) => report.error(error),
        }
        Ok(report.findings)
    }
}

/// Whether `dir` has any of the files that only tables have.
fn looks_like_table(dir: &Path, files: &dyn Files) -> bool {
    let has = |name: &str| matches!(files.kind(&dir.join(name)), Ok(Some(FileKind::File(_))));
    ["_meta", "_txn", "_cv", "_name"].into_iter().any(has)
}

/// Findings so far. The same damage is often met more than once.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn error(&mut self, error: Error) {
        self.add(Severity::Error, error);
    }

    fn warning(&mut self, error: Error) {
        self.add(Severity::Warning, error);
    }

    fn add(&mut self, severity: Severity, error: Error) {
        let same = |known: &Finding| {
            known.error.place() == error.place() && known.error.problem() == error.problem()
        };
        if !self.findings.iter().any(same) {
            self.findings.push(Finding { severity, error });
        }
    }
}

impl Finding {
    /// Path of the damaged file.
    pub fn file(&self) -> Option<PathBuf> {
        self.error.place().file.clone()
    }
}
