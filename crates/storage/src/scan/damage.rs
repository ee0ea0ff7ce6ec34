//! Damage that a scan meets and goes on without.
//!
//! A strict scan ends with the first error. A lenient one puts NULL where a file is damaged and keeps the error, once
//! for each kind of damage to a file. Both note what is worth a warning.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};

/// What was found so far, by all threads of a scan.
#[derive(Debug, Default)]
pub struct Damage {
    lenient: bool,
    /// Whether there is something to take.
    pending: AtomicBool,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Not taken yet.
    new: Vec<Error>,
    known: HashSet<Key>,
}

/// The same problem in the same file is one damage, at however many offsets, and whatever partitions need the file.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    problem: String,
    table: Option<String>,
    column: Option<String>,
    file: Option<PathBuf>,
}

impl Key {
    fn of(error: &Error) -> Self {
        let place = error.place();
        Self {
            problem: error.problem().to_owned(),
            table: place.table.clone(),
            column: place.column.clone(),
            file: place.file.clone(),
        }
    }
}

impl Damage {
    /// For a scan that goes on where it can.
    pub fn lenient() -> Self {
        Self { lenient: true, ..Self::default() }
    }

    /// Whether the scan goes on where it can.
    pub fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// What was found since the last call.
    pub fn take(&self) -> Vec<Error> {
        if !self.pending.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut found.new)
    }

    /// Keeps something that is worth a warning.
    pub(crate) fn note(&self, error: &Error) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.known.insert(Key::of(error)) {
            found.new.push(error.clone());
            self.pending.store(true, Ordering::Release);
        }
    }

    /// Keeps `error` when the scan can go on after it. Returns it when not: in a strict scan, and when it is no damage.
    /// `explain`, which may take its time, says what is behind an error that is met for the first time.
    pub(crate) fn tolerate(&self, error: Error, explain: impl FnOnce(Error) -> Error) -> Result<()> {
        if !self.lenient {
            return Err(explain(error));
        }
        let known =
            self.found.lock().unwrap_or_else(PoisonError::into_inner).known.contains(&Key::of(&error));
        if known {
            return Ok(());
        }
        let error = explain(error);
        match error.kind() {
            ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Io => {
                self.note(&error);
                Ok(())
            }
            _ => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged(column: &str, offset: u64) -> Error {
        Error::corrupt("text is not UTF-8", "UTF-8", "ff").in_column(column).at(offset)
    }

    #[test]
    fn a_damage_is_kept_once_whatever_its_offsets() {
        let damage = Damage::lenient();
        for (column, offset) in [("a", 1), ("a", 9), ("b", 1)] {
            damage.tolerate(damaged(column, offset), |e| e).unwrap();
        }
        let taken = damage.take();
        assert_eq!(taken.iter().map(|e| e.place().offset).collect::<Vec<_>>(), [Some(1), Some(1)]);
        damage.tolerate(damaged("a", 17), |e| e).unwrap();
        assert!(damage.take().is_empty());
    }

    #[test]
    fn changes_by_a_server_are_no_damage() {
        let damage = Damage::lenient();
        let conflict = damage.tolerate(damaged("a", 1), |e| e.with_kind(ErrorKind::Conflict));
        assert_eq!(conflict.unwrap_err().kind(), ErrorKind::Conflict);
        assert!(Damage::default().tolerate(damaged("a", 1), |e| e).is_err(), "a strict scan ends");
    }
}
