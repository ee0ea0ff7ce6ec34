//! The one error type: what went wrong with which option, column or file, what was expected and found.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The family an error belongs to; callers map it to their own error classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option that does not exist, a value that it does not take, or options that contradict each other.
    InvalidOption,
    /// The rows cannot be written as asked: a missing column, a NULL where none is allowed.
    InvalidInput,
    /// Valid, but not something that this version writes.
    Unsupported,
    /// The destination holds files already and nothing was said about them.
    Exists,
    /// The operating system refused.
    Io,
    /// The caller cancelled the export.
    Cancelled,
    /// A defect of this crate or of a library below it.
    Internal,
}

#[derive(Debug, Clone)]
struct Body {
    kind: ErrorKind,
    problem: String,
    option: Option<String>,
    column: Option<String>,
    file: Option<PathBuf>,
    expected: Option<String>,
    found: Option<String>,
    hint: Option<String>,
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
            option: None,
            column: None,
            file: None,
            expected: None,
            found: None,
            hint: None,
        }))
    }

    /// An option or a value that is not accepted.
    pub fn option(name: &str, problem: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::InvalidOption, problem);
        error.0.option = Some(name.to_owned());
        error
    }

    /// Rows or columns that cannot be written as asked.
    pub fn invalid_input(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, problem)
    }

    /// Something valid that this version does not write.
    pub fn unsupported(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, problem)
    }

    /// The caller's cancel token was set.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the export was cancelled")
    }

    /// A defect: something that the code above rules out.
    pub fn internal(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, problem)
    }

    /// An operating-system error while doing `action` (a verb phrase) on `path`.
    pub fn io(error: &io::Error, action: &str, path: &Path) -> Self {
        if let Some(inner) = Self::inside(error) {
            return inner;
        }
        Self::new(ErrorKind::Io, format!("cannot {action}: {error}")).in_file(path)
    }

    /// The error of this crate that a destination passed through [`io::Write`].
    pub(crate) fn inside(error: &io::Error) -> Option<Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).cloned()
    }

    /// States what is accepted.
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.0.expected = Some(expected.to_string());
        self
    }

    /// States what was given instead.
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.0.found = Some(found.to_string());
        self
    }

    /// Says what the user can do; a whole sentence.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Adds the column, unless an inner layer gave one.
    pub fn in_column(mut self, name: &str) -> Self {
        self.0.column.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Adds the file, unless an inner layer gave one.
    pub fn in_file(mut self, path: &Path) -> Self {
        self.0.file.get_or_insert_with(|| path.to_owned());
        self
    }

    /// The family of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The option's canonical name, when an option is to blame.
    pub fn option_name(&self) -> Option<&str> {
        self.0.option.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.0;
        if let Some(option) = &body.option {
            write!(f, "Option \"{option}\": ")?;
        }
        f.write_str(&body.problem)?;
        if let Some(column) = &body.column {
            write!(f, ", column \"{column}\"")?;
        }
        if let Some(file) = &body.file {
            write!(f, ", file \"{}\"", file.display())?;
        }
        if let Some(expected) = &body.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(found) = &body.found {
            write!(f, "{} found {found}", if body.expected.is_some() { "," } else { ";" })?;
        }
        if let Some(hint) = &body.hint {
            write!(f, "\n{hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        match &error {
            ParquetError::External(inner) => match inner.downcast_ref::<io::Error>() {
                Some(io) => Self::inside(io)
                    .unwrap_or_else(|| Self::new(ErrorKind::Io, format!("cannot write: {io}"))),
                None => Self::new(ErrorKind::Io, format!("cannot write: {inner}")),
            },
            ParquetError::NYI(text) => Self::unsupported(text.clone()),
            _ => Self::internal(format!("Parquet encoding failed: {error}")),
        }
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::internal(format!("Arrow data cannot be converted: {error}"))
    }
}

/// `", "`-joined list of accepted values in square brackets, as DuckDB words it.
pub(crate) fn any_of<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    format!("any of [{}]", values.into_iter().collect::<Vec<_>>().join(", "))
}

/// The candidate closest to `given`, when it is close enough to be a typing mistake.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    let limit = (given.len() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(&given, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit
                || (given.len() >= 4 && (candidate.contains(&given) || given.contains(candidate)))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let up = *cell;
            let best = (diagonal + usize::from(x != y)).min(up + 1).min(left + 1);
            diagonal = up;
            left = best;
            *cell = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_option_expected_found() {
        let error = Error::option("mode", "unknown value")
            .expected(any_of(["a", "b"]))
            .found("\"c\"")
            .hint("Do this.");
        assert_eq!(
            error.to_string(),
            "Option \"mode\": unknown value; expected any of [a, b], found \"c\"\nDo this."
        );
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(
            did_you_mean("compresion_codec", ["layout", "compression_codec"]),
            Some("compression_codec")
        );
        assert_eq!(did_you_mean("zzz", ["layout"]), None);
    }
}
