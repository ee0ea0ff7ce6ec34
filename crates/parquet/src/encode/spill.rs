//! Pages of a chunk in memory, and beyond a limit in a scratch file: a row group of very wide rows does not fit in memory, but
//! its chunks must be contiguous in the file.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result};

/// Bytes of finished pages of a row group in memory before its columns spill.
const GROUP_IN_MEMORY: usize = 128 << 20;
/// Bytes that a column may always keep.
const LEAST_IN_MEMORY: usize = 256 << 10;

/// Bytes of finished pages, with headers.
#[derive(Debug, Default)]
pub struct Flushed {
    compressed: AtomicU64,
    uncompressed: AtomicU64,
}

impl Flushed {
    /// As they will be in the file.
    pub fn compressed(&self) -> u64 {
        self.compressed.load(Ordering::Relaxed)
    }

    /// Before compression.
    pub fn uncompressed(&self) -> u64 {
        self.uncompressed.load(Ordering::Relaxed)
    }
}

/// Makes the page stores of one column.
#[derive(Debug)]
pub struct Pages {
    /// Sums over all leaves of the column.
    pub flushed: Arc<Flushed>,
    /// Where to spill; in memory only without it.
    pub scratch: Option<PathBuf>,
    /// Columns that share the memory.
    pub columns: usize,
}

impl PageStoreFactory for Pages {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        Ok(Box::new(CountingStore {
            blobs: Vec::new(),
            resident: 0,
            limit: (GROUP_IN_MEMORY / self.columns.max(1)).max(LEAST_IN_MEMORY),
            scratch: self.scratch.clone(),
            file: None,
            flushed: Arc::clone(&self.flushed),
        }))
    }
}

enum Blob {
    Memory(Bytes),
    File { offset: u64, length: usize },
    Taken,
}

/// The writer stores each page as two blobs: header, data.
struct CountingStore {
    blobs: Vec<Blob>,
    resident: usize,
    limit: usize,
    scratch: Option<PathBuf>,
    file: Option<Scratch>,
    flushed: Arc<Flushed>,
}

/// A file without a name where the system allows it; removed with the staging directory elsewhere.
struct Scratch {
    file: File,
    end: u64,
}

impl Scratch {
    fn create(directory: &Path) -> std::io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let path = directory.join(format!("spill.{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(&path)?;
        if cfg!(unix) {
            fs::remove_file(&path)?;
        }
        Ok(Self { file, end: 0 })
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<Blob> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        let blob = Blob::File { offset: self.end, length: bytes.len() };
        self.end += bytes.len() as u64;
        Ok(blob)
    }

    fn get(&mut self, offset: u64, length: usize) -> std::io::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl PageStore for CountingStore {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        self.flushed.compressed.fetch_add(value.len() as u64, Ordering::Relaxed);
        if self.blobs.len().is_multiple_of(2) {
            let data = uncompressed_page_size(&value).ok_or_else(|| {
                ParquetError::General("a page header does not begin with its sizes".to_owned())
            })?;
            self.flushed.uncompressed.fetch_add(value.len() as u64 + data, Ordering::Relaxed);
        }
        let key = PageKey::new(self.blobs.len() as u64);
        let blob = match &self.scratch {
            Some(directory) if self.resident + value.len() > self.limit => {
                let file = match &mut self.file {
                    Some(file) => file,
                    None => self.file.insert(Scratch::create(directory)?),
                };
                file.put(&value)?
            }
            _ => {
                self.resident += value.len();
                Blob::Memory(value)
            }
        };
        self.blobs.push(blob);
        Ok(key)
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let blob = usize::try_from(key.get()).ok().and_then(|index| self.blobs.get_mut(index));
        match (blob.map(|blob| std::mem::replace(blob, Blob::Taken)), &mut self.file) {
            (Some(Blob::Memory(bytes)), _) => {
                self.resident -= bytes.len();
                Ok(bytes)
            }
            (Some(Blob::File { offset, length }), Some(file)) => Ok(file.get(offset, length)?),
            _ => Err(ParquetError::General("a page was taken twice".to_owned())),
        }
    }

    fn memory_size(&self) -> usize {
        self.resident
    }
}

/// `PageHeader { 1: i32 type, 2: i32 uncompressed_page_size, … }` in Thrift's compact form: each field is a byte 0x15 (field
/// number one more than the last, type i32) and a zigzag varint.
fn uncompressed_page_size(header: &[u8]) -> Option<u64> {
    let mut bytes = header.iter();
    let mut field = || -> Option<u64> {
        (*bytes.next()? == 0x15).then_some(())?;
        let (mut value, mut shift) = (0u64, 0u32);
        loop {
            let byte = *bytes.next()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value >> 1);
            }
            shift += 7;
        }
    };
    field()?;
    field()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_headers_tell_their_size() {
        assert_eq!(uncompressed_page_size(&[0x15, 0x00, 0x15, 0xd0, 0x0f, 0x15]), Some(1000));
        assert_eq!(uncompressed_page_size(&[0x15, 0x00, 0x25]), None);
    }
}
