//! The temporary directory beside the destination.
//!
//! ```text
//! <parent>/.<name>.questdb_export.<process>.<number>/
//!     lock      held by the process as long as it lives
//!     files/    the new files; renamed to the destination when complete
//!     spill/    pages of row groups that do not fit in memory
//!     old/      what was there before, until it is removed
//! ```
//!
//! An export that was killed leaves this directory. The next one of the same destination takes the lock of each such directory;
//! the lock that can be taken has no owner, so its directory is removed. So is one without a lock: it was killed while it made
//! or removed the directory, or it is just about to make the lock, and then begins again with another directory.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fs4::{FileExt, TryLockError};

use crate::error::{Error, Result};

const MARK: &str = ".questdb_export.";

/// A staging directory of this process; removed when dropped.
#[derive(Debug)]
pub struct Staging {
    root: PathBuf,
    _lock: File,
}

impl Staging {
    /// Removes what dead exports of `destination` left, and makes a new directory.
    pub fn create(destination: &Path) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let parent = parent_of(destination);
        fs::create_dir_all(&parent).map_err(|error| Error::io(&error, "create the directory", &parent))?;
        let prefix = prefix_of(destination)?;
        remove_leftovers(&parent, &prefix, destination);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let root = parent.join(format!("{prefix}{}.{number}", std::process::id()));
            match fs::create_dir(&root) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::io(&error, "create the directory", &root)),
            }
            match Self::furnish(root) {
                // Another export took it for a dead one's.
                Err((_, error)) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => return other.map_err(|(path, error)| Error::io(&error, "create or lock", &path)),
            }
        }
    }

    /// Makes what belongs into the new directory `root`.
    fn furnish(root: PathBuf) -> std::result::Result<Self, (PathBuf, std::io::Error)> {
        let path = root.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|error| (path.clone(), error))?;
        // Whoever holds it is about to remove it.
        FileExt::try_lock(&lock).map_err(|error| match error {
            TryLockError::WouldBlock => (path, std::io::ErrorKind::NotFound.into()),
            TryLockError::Error(error) => (path, error),
        })?;
        let staging = Self { root, _lock: lock };
        for directory in [staging.files(), staging.old(), staging.spill()] {
            fs::create_dir(&directory).map_err(|error| (directory, error))?;
        }
        Ok(staging)
    }

    /// The directory of the new files.
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// The directory of pages that do not fit in memory.
    pub fn spill(&self) -> PathBuf {
        self.root.join("spill")
    }

    /// The directory of what was replaced.
    pub fn old(&self) -> PathBuf {
        self.root.join("old")
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now, the next export of the destination removes.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The directory that holds `path`; `.` when it names none.
pub fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn prefix_of(destination: &Path) -> Result<String> {
    match destination.file_name() {
        Some(name) => Ok(format!(".{}{MARK}", name.to_string_lossy())),
        None => Err(Error::invalid_input("the destination has no name").in_file(destination)),
    }
}

fn remove_leftovers(parent: &Path, prefix: &str, destination: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let dead = match OpenOptions::new().write(true).open(entry.path().join("lock")) {
            Ok(lock) => FileExt::try_lock(&lock).is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if dead {
            restore(&entry.path(), destination);
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Killed between putting the destination aside and putting the new files there: what was there comes back.
fn restore(staging: &Path, destination: &Path) {
    if let (Some(name), false) = (destination.file_name(), destination.exists()) {
        let _ = fs::rename(staging.join("old").join(name), destination);
    }
}
