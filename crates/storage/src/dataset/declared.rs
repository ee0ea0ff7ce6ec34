//! Declared columns, and where a file has them.

use std::path::PathBuf;

use super::file::{ColumnKind, ExportFile};
use super::scan::ReadOptions;
use crate::error::{Error, Result};
use crate::scan::Literal;

/// A declared column of files.
#[derive(Debug, Clone)]
pub struct DataColumn {
    /// Name.
    pub name: String,
    /// How the file reads it that has it first.
    pub kind: ColumnKind,
    /// That file.
    pub origin: PathBuf,
}

/// A declared column.
#[derive(Debug, Clone)]
pub enum ScanColumn {
    /// A column of the files.
    Data(DataColumn),
    /// A key of the directories: its value for each file, `None` for NULL.
    Key(Vec<Option<Literal>>),
    /// Something that filters tell nothing about.
    Other,
}

/// Where `file` has the column `name`.
pub(super) fn find(file: &ExportFile, name: &str, case_insensitive: bool) -> Option<usize> {
    let exact = file.columns().iter().position(|column| column.name == name);
    exact.or_else(|| {
        let lower = case_insensitive.then(|| name.to_lowercase())?;
        file.columns().iter().position(|column| column.name.to_lowercase() == lower)
    })
}

impl DataColumn {
    /// Where `file` has the column; `None` where it may lack it.
    ///
    /// # Errors
    /// A column that is missing, or of another type; the error names both files.
    pub fn position(&self, file: &ExportFile, options: ReadOptions) -> Result<Option<usize>> {
        let Some(index) = find(file, &self.name, options.case_insensitive) else {
            if options.allow_missing {
                return Ok(None);
            }
            let lower = self.name.to_lowercase();
            let other_case = file.columns().iter().find(|c| c.name.to_lowercase() == lower);
            let hint = match other_case {
                Some(found) => format!(
                    "It has \"{}\": set case_insensitive_columns := true to take it for the same self.",
                    found.name
                ),
                None => "Set allow_missing_columns := true, or union_by_name := true, to read NULL there."
                    .to_owned(),
            };
            return Err(Error::invalid_input(format!(
                "file has no column \"{}\", which \"{}\" has",
                self.name,
                self.origin.display()
            ))
            .in_file(file.path())
            .hint(hint));
        };
        let found = file.columns().get(index).map(|found| &found.kind);
        let raw = options.raw_types;
        let (expected, found) = (self.kind.sql(raw), found.map(|kind| kind.sql(raw)).unwrap_or_default());
        if expected != found {
            return Err(Error::invalid_input("column has different types in two files")
                .expected(format_args!("{expected}, as in \"{}\"", self.origin.display()))
                .found(found)
                .in_column(&self.name)
                .in_file(file.path())
                .hint("Read the files apart, cast the column, and unite them with UNION ALL BY NAME."));
        }
        Ok(Some(index))
    }
}
