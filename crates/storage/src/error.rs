//! The one error type: what went wrong, where, what was expected and found, and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The family an error belongs to; callers map it to their own error classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file, directory, table or column that should exist does not.
    NotFound,
    /// The path holds something other than a QuestDB table (a view, another format, nothing).
    NotATable,
    /// Bytes on disk contradict the format.
    Corrupt,
    /// The format is right, but this version cannot read it.
    Unsupported,
    /// The caller asked for something that makes no sense.
    InvalidInput,
    /// The operating system refused.
    Io,
    /// The table changed under the reader; a new snapshot will succeed.
    Conflict,
}

/// Where an error happened. Inner layers know the file and offset, outer ones add the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Table name.
    pub table: Option<String>,
    /// Partition directory name.
    pub partition: Option<String>,
    /// Column name.
    pub column: Option<String>,
    /// Path of the file.
    pub file: Option<PathBuf>,
    /// Byte offset in the file.
    pub offset: Option<u64>,
}

#[derive(Debug, Clone)]
struct Body {
    kind: ErrorKind,
    problem: String,
    expected: Option<String>,
    found: Option<String>,
    hint: Option<String>,
    place: Place,
}

/// An error with its place. Cheap to move (one pointer), rich to read.
#[derive(Debug, Clone)]
pub struct Error(Box<Body>);

impl Error {
    /// Creates an error of `kind`; `problem` is a short clause without a full stop.
    pub fn new(kind: ErrorKind, problem: impl Into<String>) -> Self {
        Self(Box::new(Body {
            kind,
            problem: problem.into(),
            expected: None,
            found: None,
            hint: None,
            place: Place::default(),
        }))
    }

    /// Bytes that contradict the format, with what was expected and what is there.
    pub fn corrupt(
        problem: impl Into<String>,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::Corrupt, problem).expected(expected).found(found)
    }

    /// A request that cannot be served.
    pub fn invalid_input(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, problem)
    }

    /// Something valid that this version does not read.
    pub fn unsupported(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, problem)
    }

    /// An operating-system error on `path`.
    pub fn io(error: &io::Error, path: &Path) -> Self {
        let (kind, problem) = match error.kind() {
            io::ErrorKind::NotFound => (ErrorKind::NotFound, "file does not exist".to_owned()),
            io::ErrorKind::PermissionDenied => (ErrorKind::Io, "permission denied".to_owned()),
            _ => (ErrorKind::Io, format!("cannot read: {error}")),
        };
        Self::new(kind, problem).in_file(path)
    }

    /// A file that ends before the bytes that a committed row needs.
    pub fn too_short(path: &Path, expected: u64, found: u64) -> Self {
        Self::corrupt(
            "file is too short",
            format_args!("at least {expected} bytes"),
            format_args!("{found} bytes"),
        )
        .in_file(path)
    }

    /// States what the format demands.
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.0.expected = Some(expected.to_string());
        self
    }

    /// States what is there instead.
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.0.found = Some(found.to_string());
        self
    }

    /// Says what the user can do; a whole sentence.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Adds the byte offset, unless an inner layer gave one.
    pub fn at(mut self, offset: u64) -> Self {
        self.0.place.offset.get_or_insert(offset);
        self
    }

    /// Adds `start` to the offset: it was counted from there.
    pub fn shift_offset(mut self, start: u64) -> Self {
        self.0.place.offset = self.0.place.offset.map(|offset| offset.saturating_add(start));
        self
    }

    /// Forgets the offset: it was not one in the file.
    pub fn without_offset(mut self) -> Self {
        self.0.place.offset = None;
        self
    }

    /// Adds the file, unless an inner layer gave one.
    pub fn in_file(mut self, path: &Path) -> Self {
        self.0.place.file.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Adds the column, unless an inner layer gave one.
    pub fn in_column(mut self, name: &str) -> Self {
        self.0.place.column.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Adds the partition, unless an inner layer gave one.
    pub fn in_partition(mut self, name: &str) -> Self {
        self.0.place.partition.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Adds the table, unless an inner layer gave one.
    pub fn in_table(mut self, name: &str) -> Self {
        self.0.place.table.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Turns the error into another family, keeping its text.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The family.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, without place and numbers.
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// What the format demands and what is there instead.
    pub fn expected_and_found(&self) -> (Option<&str>, Option<&str>) {
        (self.0.expected.as_deref(), self.0.found.as_deref())
    }

    /// The place.
    pub fn place(&self) -> &Place {
        &self.0.place
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.0;
        f.write_str(&body.problem)?;
        match (&body.expected, &body.found) {
            (Some(expected), Some(found)) => write!(f, ": expected {expected}, found {found}")?,
            (Some(expected), None) => write!(f, ": expected {expected}")?,
            (None, Some(found)) => write!(f, ": found {found}")?,
            (None, None) => {}
        }
        let place = &body.place;
        let mut parts = Vec::new();
        for (name, value) in
            [("table", &place.table), ("partition", &place.partition), ("column", &place.column)]
        {
            if let Some(value) = value {
                parts.push(format!("{name} \"{value}\""));
            }
        }
        if let Some(file) = &place.file {
            parts.push(format!("file \"{}\"", file.display()));
        }
        if let Some(offset) = place.offset {
            parts.push(format!("offset {offset}"));
        }
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        if let Some(hint) = &body.hint {
            write!(f, ". {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_problem_numbers_place_and_advice() {
        let error = Error::too_short(Path::new("/db/t/2024-01-01/price.d"), 96, 24)
            .at(24)
            .in_column("price")
            .in_partition("2024-01-01")
            .in_table("t")
            .hint("Run questdb_check to see what else is damaged.");
        assert_eq!(
            error.to_string(),
            "file is too short: expected at least 96 bytes, found 24 bytes (table \"t\", partition \
             \"2024-01-01\", column \"price\", file \"/db/t/2024-01-01/price.d\", offset 24). Run questdb_check \
             to see what else is damaged."
        );
    }

    #[test]
    fn inner_place_wins_over_outer() {
        let error = Error::invalid_input("x").in_column("inner").in_column("outer");
        assert_eq!(error.place().column.as_deref(), Some("inner"));
    }
}
