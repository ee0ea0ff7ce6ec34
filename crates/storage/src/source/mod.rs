//! Reading bytes. Everything above this module sees files only through [`Source`] and [`Files`], so
//! tests can count, shorten and fail reads, and no slice of a file that another process may change
//! ever leaves it: bytes are copied out, then checked.

mod local;
#[allow(unsafe_code)]
mod mapping;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use local::LocalFiles;

use crate::error::{Error, Result};

/// An open file of known length. Reads beyond [`Source::len`] are errors, never short.
pub trait Source: Send + Sync + fmt::Debug {
    /// Bytes that can be read.
    fn len(&self) -> u64;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file's path, for errors.
    fn path(&self) -> &Path;

    /// Copies `dst.len()` bytes at `offset` into `dst`.
    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()>;

    /// Copies the `width`-byte values at `base + row · width` for each of `rows` into `dst`, which is
    /// `rows.len() · width` bytes long.
    fn gather(&self, base: u64, width: usize, rows: &[u32], dst: &mut [u8]) -> Result<()> {
        for (row, slot) in rows.iter().zip(dst.chunks_exact_mut(width)) {
            let offset = u64::from(*row).saturating_mul(width as u64).saturating_add(base);
            self.read_into(offset, slot)?;
        }
        Ok(())
    }

    /// Loads the little-endian word at `offset` so that reads made before the call are not moved
    /// behind it: the version check of a seqlock.
    fn load_u64(&self, offset: u64) -> Result<u64> {
        std::sync::atomic::fence(std::sync::atomic::Ordering::AcqRel);
        let mut word = [0; 8];
        self.read_into(offset, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }
}

/// How a file will be used; chooses between mapping it and reading it positionally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A small record file that changes in place: always read with positional reads.
    Record,
    /// A version word that is polled: mapped, whatever its size.
    Polled,
    /// Column data of which the first `needed` bytes belong to the snapshot. Opening fails when the
    /// file is shorter.
    Column {
        /// Bytes that committed rows occupy.
        needed: u64,
    },
    /// Column data whose extent only its own entries tell.
    ColumnOpenEnded,
}

/// What a directory entry is, symbolic links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file of this length.
    File(u64),
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// Device and inode: what makes a file itself, whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
}

/// One entry of a directory listing.
#[derive(Debug, Clone)]
pub struct DirEntry {
    /// File name; entries whose name is not UTF-8 are never QuestDB's and are left out.
    pub name: String,
    /// What the entry (or what it links to) is; `None` for a dangling link.
    pub kind: Option<FileKind>,
    /// Whether the entry is a symbolic link.
    pub is_link: bool,
}

/// A file system.
pub trait Files: Send + Sync + fmt::Debug {
    /// Opens a regular file.
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn Source>>;

    /// Lists a directory, sorted by name.
    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>>;

    /// What `path` is, links followed; `None` when nothing is there.
    fn kind(&self, path: &Path) -> Result<Option<FileKind>>;

    /// Which file is at `path`, links followed; `None` when nothing is there or the question makes no sense.
    fn identity(&self, path: &Path) -> Result<Option<FileIdentity>> {
        let _ = path;
        Ok(None)
    }

    /// The canonical form of `path`, for a stable display of links.
    fn canonical(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    /// Reads a small file whole, refusing more than `limit` bytes.
    fn read_small(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        let source = self.open(path, Access::Record)?;
        if source.len() > limit {
            return Err(Error::corrupt(
                "file is too large",
                format_args!("at most {limit} bytes"),
                format_args!("{} bytes", source.len()),
            )
            .in_file(path));
        }
        let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or_default()];
        source.read_into(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// The error of a read that leaves the file.
pub(crate) fn out_of_bounds(path: &Path, offset: u64, bytes: usize, len: u64) -> Error {
    Error::corrupt(
        "read outside the file",
        format_args!("{bytes} bytes at offset {offset}"),
        format_args!("a file of {len} bytes"),
    )
    .in_file(path)
    .at(offset)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file in memory.
    #[derive(Debug)]
    pub(crate) struct Memory(Vec<u8>);

    impl Memory {
        pub(crate) fn new(bytes: Vec<u8>) -> Self {
            Self(bytes)
        }
    }

    impl Source for Memory {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn path(&self) -> &Path {
            Path::new("memory")
        }

        fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = self.0.get(start..start.saturating_add(dst.len()));
            dst.copy_from_slice(
                bytes.ok_or_else(|| out_of_bounds(self.path(), offset, dst.len(), self.len()))?,
            );
            Ok(())
        }
    }
}
