//! Pages of a chunk in memory, and beyond a limit in a scratch file: a row group of very wide rows does not fit in memory, but
//! its chunks must be contiguous in the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

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
            pages: PageBuffer::new(self.scratch.clone(), self.columns),
            flushed: Arc::clone(&self.flushed),
        }))
    }
}

/// Buffers in the order they came, in memory or in the scratch file.
#[derive(Debug)]
pub struct PageBuffer {
    blobs: Vec<Blob>,
    resident: usize,
    limit: usize,
    scratch: Option<PathBuf>,
    file: Option<Scratch>,
}

#[derive(Debug)]
enum Blob {
    Memory(Bytes),
    File { offset: u64, length: usize },
    Taken,
}

impl PageBuffer {
    /// An empty buffer of one of `columns` columns; without `scratch` all stays in memory.
    pub fn new(scratch: Option<PathBuf>, columns: usize) -> Self {
        let limit = (GROUP_IN_MEMORY / columns.max(1)).max(LEAST_IN_MEMORY);
        Self { blobs: Vec::new(), resident: 0, limit, scratch, file: None }
    }

    /// Number of buffers.
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Adds a buffer.
    pub fn put(&mut self, value: Bytes) -> io::Result<()> {
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
        Ok(())
    }

    /// Takes a buffer out; `None` when there is none, or it was taken.
    pub fn take(&mut self, index: usize) -> io::Result<Option<Bytes>> {
        let blob = self.blobs.get_mut(index).map(|blob| std::mem::replace(blob, Blob::Taken));
        match (blob, &mut self.file) {
            (Some(Blob::Memory(bytes)), _) => {
                self.resident -= bytes.len();
                Ok(Some(bytes))
            }
            (Some(Blob::File { offset, length }), Some(file)) => file.get(offset, length).map(Some),
            _ => Ok(None),
        }
    }
}

/// A finished chunk: its bytes in file order, read once.
#[derive(Debug)]
pub struct ChunkBytes {
    dictionary: Option<Bytes>,
    pages: Mutex<Option<PageBuffer>>,
    length: u64,
}

impl ChunkBytes {
    /// `dictionary` before `pages`; `length` bytes in all.
    pub fn new(dictionary: Option<Bytes>, pages: PageBuffer, length: u64) -> Self {
        Self { dictionary, pages: Mutex::new(Some(pages)), length }
    }
}

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for ChunkBytes {
    type T = ChunkRead;

    fn get_read(&self, start: u64) -> Result<ChunkRead> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (start, pages) {
            (0, Some(pages)) => {
                let current = self.dictionary.clone().unwrap_or_default();
                Ok(ChunkRead { current, next: 0, pages })
            }
            _ => Err(ParquetError::General("a chunk is read once, from its first byte".to_owned())),
        }
    }

    fn get_bytes(&self, _: u64, _: usize) -> Result<Bytes> {
        Err(ParquetError::General("a chunk is read as a whole".to_owned()))
    }
}

/// Reads a [`ChunkBytes`] and gives its memory back on the way.
#[derive(Debug)]
pub struct ChunkRead {
    current: Bytes,
    next: usize,
    pages: PageBuffer,
}

impl Read for ChunkRead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pages.take(self.next)? {
                Some(bytes) => self.current = bytes,
                None => return Ok(0),
            }
            self.next += 1;
        }
        let count = self.current.len().min(out.len());
        let head = self.current.split_to(count);
        if let Some(out) = out.get_mut(..count) {
            out.copy_from_slice(&head);
        }
        Ok(count)
    }
}

/// The library's writer stores each page as two buffers: header, data.
struct CountingStore {
    pages: PageBuffer,
    flushed: Arc<Flushed>,
}

/// A file without a name where the system allows it; removed with the staging directory elsewhere.
#[derive(Debug)]
struct Scratch {
    file: File,
    end: u64,
}

impl Scratch {
    fn create(directory: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let path = directory.join(format!("spill.{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(&path)?;
        if cfg!(unix) {
            fs::remove_file(&path)?;
        }
        Ok(Self { file, end: 0 })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<Blob> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        let blob = Blob::File { offset: self.end, length: bytes.len() };
        self.end += bytes.len() as u64;
        Ok(blob)
    }

    fn get(&mut self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl PageStore for CountingStore {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        self.flushed.compressed.fetch_add(value.len() as u64, Ordering::Relaxed);
        if self.pages.len().is_multiple_of(2) {
            let data = uncompressed_page_size(&value).ok_or_else(|| {
                ParquetError::General("a page header does not begin with its sizes".to_owned())
            })?;
            self.flushed.uncompressed.fetch_add(value.len() as u64 + data, Ordering::Relaxed);
        }
        let key = PageKey::new(self.pages.len() as u64);
        self.pages.put(value)?;
        Ok(key)
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let index = usize::try_from(key.get()).unwrap_or(usize::MAX);
        self.pages.take(index)?.ok_or_else(|| ParquetError::General("a page was taken twice".to_owned()))
    }

    fn memory_size(&self) -> usize {
        self.pages.resident
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
