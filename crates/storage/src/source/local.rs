//! The local file system.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{mapping::Mapping, out_of_bounds, Access, DirEntry, FileIdentity, FileKind, Files, Source};
use crate::error::{Error, ErrorKind, Result};

/// Column files up to this size are copied at opening: one read is cheaper than mapping, faulting
/// and unmapping, and tables with thousands of small partitions consist of such files.
const COPY_LIMIT: u64 = 64 * 1024;

/// Files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalFiles;

impl Files for LocalFiles {
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn Source>> {
        let file = File::open(path).map_err(|e| Error::io(&e, path))?;
        let metadata = file.metadata().map_err(|e| Error::io(&e, path))?;
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Corrupt, "not a regular file")
                .expected("a regular file")
                .found(if metadata.is_dir() { "a directory" } else { "something else" })
                .in_file(path));
        }
        let len = metadata.len();
        let used = match access {
            Access::Record => {
                return Ok(Arc::new(PositionalFile { file, len, path: path.to_owned() }));
            }
            Access::Polled => return Ok(Arc::new(Mapping::new(&file, len, path)?)),
            Access::Column { needed } if needed > len => return Err(Error::too_short(path, needed, len)),
            Access::Column { needed } => needed,
            Access::ColumnOpenEnded => len,
        };
        if used > COPY_LIMIT {
            return Ok(Arc::new(Mapping::new(&file, used, path)?));
        }
        let mut bytes = vec![0; usize::try_from(used).unwrap_or_default()];
        file.read_exact_at(&mut bytes, 0).map_err(|e| short_read(&e, path))?;
        Ok(Arc::new(Copied { bytes, path: path.to_owned() }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir).map_err(|e| Error::io(&e, dir))? {
            let entry = entry.map_err(|e| Error::io(&e, dir))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_link = entry.file_type().is_ok_and(|t| t.is_symlink());
            // An entry may vanish while we list (a server at work): then it has no kind.
            let kind = fs::metadata(entry.path()).ok().map(|m| kind_of(&m));
            entries.push(DirEntry { name, kind, is_link });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(kind_of(&metadata))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(Error::io(&e, path)),
        }
    }

    fn identity(&self, path: &Path) -> Result<Option<FileIdentity>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(FileIdentity { device: metadata.dev(), inode: metadata.ino() })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&e, path)),
        }
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
    }
}

fn kind_of(metadata: &fs::Metadata) -> FileKind {
    if metadata.is_dir() {
        FileKind::Directory
    } else if metadata.is_file() {
        FileKind::File(metadata.len())
    } else {
        FileKind::Other
    }
}

/// A read that met the end of a file that was long enough when it was opened.
fn short_read(error: &io::Error, path: &Path) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        Error::new(ErrorKind::Conflict, "file shrank while it was read").in_file(path)
    } else {
        Error::io(error, path)
    }
}

/// A file read with `pread`: each read sees what the file holds at that moment.
#[derive(Debug)]
struct PositionalFile {
    file: File,
    len: u64,
    path: PathBuf,
}

impl Source for PositionalFile {
    fn len(&self) -> u64 {
        // Record files grow in place while a server runs.
        self.file.metadata().map_or(self.len, |m| m.len())
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        match self.file.read_exact_at(dst, offset) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(out_of_bounds(&self.path, offset, dst.len(), self.len()))
            }
            Err(e) => Err(Error::io(&e, &self.path)),
        }
    }
}

/// A small file's bytes as they were at opening.
#[derive(Debug)]
struct Copied {
    bytes: Vec<u8>,
    path: PathBuf,
}

impl Source for Copied {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match self.bytes.get(start..start.saturating_add(dst.len())) {
            Some(bytes) => dst.copy_from_slice(bytes),
            None => return Err(out_of_bounds(&self.path, offset, dst.len(), self.len())),
        }
        Ok(())
    }
}
