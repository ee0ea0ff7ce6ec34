//! A file system in which one file has other bytes, and the bytes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use questdb_storage::source::{Access, DirEntry, FileKind, Files, LocalFiles, Source};
use questdb_storage::{Error, Result, Table};

/// The local files, save for one.
#[derive(Debug)]
pub struct Changed {
    path: PathBuf,
    bytes: Arc<Vec<u8>>,
}

impl Changed {
    pub fn new(path: &Path, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), bytes: Arc::new(bytes) }
    }
}

impl Files for Changed {
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn Source>> {
        if path != self.path {
            return LocalFiles.open(path, access);
        }
        let len = match access {
            Access::Column { needed } if needed > self.bytes.len() as u64 => {
                return Err(Error::too_short(path, needed, self.bytes.len() as u64))
            }
            Access::Column { needed } => needed,
            _ => self.bytes.len() as u64,
        };
        Ok(Arc::new(Bytes { bytes: Arc::clone(&self.bytes), len, path: path.to_owned() }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        LocalFiles.list(dir)
    }

    fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        if path == self.path {
            return Ok(Some(FileKind::File(self.bytes.len() as u64)));
        }
        LocalFiles.kind(path)
    }
}

#[derive(Debug)]
struct Bytes {
    bytes: Arc<Vec<u8>>,
    len: u64,
    path: PathBuf,
}

impl Source for Bytes {
    fn len(&self) -> u64 {
        self.len
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(dst.len() as u64).filter(|end| *end <= self.len);
        let end =
            end.ok_or_else(|| Error::corrupt("read outside the file", self.len, offset).in_file(&self.path))?;
        dst.copy_from_slice(&self.bytes[offset as usize..end as usize]);
        Ok(())
    }
}

/// Bytes of `file` that belong to the table's state.
pub fn size_in_txn(table: &Path, file: &Path) -> u64 {
    let snapshot = Table::open(table).unwrap().snapshot().unwrap();
    let directory = file.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let partition = snapshot.partitions().iter().find(|partition| partition.directory() == directory);
    partition.and_then(|partition| partition.entry.parquet_size).unwrap_or(0)
}

/// Numbers that look random and are the same each time.
pub struct Random(u64);

impl Random {
    pub fn new(seed: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        Self(hasher.finish())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Other bytes than `whole`, and what was done.
    pub fn change(&mut self, whole: &[u8]) -> (Vec<u8>, String) {
        let mut bytes = whole.to_vec();
        // Half of the changes hit the footer, where all the lengths are.
        let footer = whole.len().saturating_sub(8 + whole.len() / 3);
        let at = if self.next().is_multiple_of(2) {
            footer + self.below(whole.len() - footer)
        } else {
            self.below(whole.len())
        };
        match self.below(8) {
            0..=2 => {
                let bit = self.below(8);
                bytes[at] ^= 1 << bit;
                (bytes, format!("bit {bit} of byte {at} flipped"))
            }
            3 => {
                let end = (at + 8).min(bytes.len());
                bytes[at..end].iter_mut().for_each(|byte| *byte = self.next() as u8);
                (bytes, format!("random bytes at {at}"))
            }
            4 => {
                // The largest numbers that varints and words can hold.
                let end = (at + 9).min(bytes.len());
                bytes[at..end].fill(0xff);
                (bytes, format!("ones at {at}"))
            }
            5 => {
                let end = (at + 64).min(bytes.len());
                bytes[at..end].fill(0);
                (bytes, format!("zeros at {at}"))
            }
            6 => {
                let from = self.below(whole.len());
                let len = 1 + self.below(200);
                let part: Vec<u8> = whole[from..].iter().copied().take(len).collect();
                let end = (at + part.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&part[..end - at]);
                (bytes, format!("{len} bytes copied from {from} to {at}"))
            }
            _ => {
                let more = 1 + self.below(5000);
                bytes.extend((0..more).map(|_| self.next() as u8));
                (bytes, format!("{more} bytes added"))
            }
        }
    }
}
