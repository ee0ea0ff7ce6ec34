//! The library's column writers, measured: they report compressed sizes only, so the page store that they fill reads the
//! uncompressed size from each page header.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_writer::{
    compute_leaves, ArrowColumnWriter, ArrowRowGroupWriterFactory, PageKey, PageStore, PageStoreArgs, PageStoreFactory,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use super::{ColumnEncoder, EncodedChunk};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::policy::{self, PageSizes, Sample};
use crate::schema::Column;
use crate::statistics;

/// Encodes any type.
pub struct ArrowEncoder {
    field: Arc<Field>,
    writers: Vec<ArrowColumnWriter>,
    flushed: Arc<Flushed>,
}

impl ArrowEncoder {
    /// Creates the encoder; `first` is looked at to choose encodings.
    pub fn new(column: &Column, options: &Options, pages: PageSizes, first: &ArrayRef) -> Result<Self> {
        let properties = policy::properties(column, options, pages, Sample::of(first));
        let flushed = Arc::new(Flushed::default());
        let writer = SerializedFileWriter::new(io::sink(), column.descr.root_schema_ptr(), properties)?;
        let schema = Arc::new(Schema::new(vec![Arc::clone(&column.field)]));
        let writers = ArrowRowGroupWriterFactory::new(&writer, schema)
            .with_page_store_factory(Arc::new(CountingFactory(Arc::clone(&flushed))))
            .create_column_writers(0)?;
        Ok(Self { field: Arc::clone(&column.field), writers, flushed })
    }
}

impl ColumnEncoder for ArrowEncoder {
    fn write(&mut self, array: &ArrayRef) -> Result<()> {
        if !self.field.is_nullable() && array.null_count() > 0 {
            return Err(Error::invalid_input("NULL in a column that must not have any").in_column(self.field.name()));
        }
        let leaves = compute_leaves(&self.field, array)?;
        if leaves.len() != self.writers.len() {
            return Err(Error::internal(format!("{} leaves for {} writers", leaves.len(), self.writers.len())));
        }
        for (writer, leaf) in self.writers.iter_mut().zip(&leaves) {
            writer.write(leaf)?;
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        let total: u64 = self.writers.iter().map(|writer| writer.get_estimated_total_bytes() as u64).sum();
        let compressed = self.flushed.compressed.load(Ordering::Relaxed);
        self.flushed.uncompressed.load(Ordering::Relaxed) + total.saturating_sub(compressed)
    }

    fn close(self: Box<Self>) -> Result<Vec<EncodedChunk>> {
        self.writers
            .into_iter()
            .map(|writer| {
                let mut chunk = writer.close()?;
                statistics::correct(chunk.close_mut())?;
                Ok(EncodedChunk::Arrow(Box::new(chunk)))
            })
            .collect()
    }
}

/// Bytes of finished pages, with headers.
#[derive(Debug, Default)]
struct Flushed {
    compressed: AtomicU64,
    uncompressed: AtomicU64,
}

#[derive(Debug)]
struct CountingFactory(Arc<Flushed>);

impl PageStoreFactory for CountingFactory {
    fn create(&self, _: &PageStoreArgs<'_>) -> parquet::errors::Result<Box<dyn PageStore>> {
        Ok(Box::new(CountingStore { blobs: Vec::new(), resident: 0, flushed: Arc::clone(&self.0) }))
    }
}

/// Keeps pages in memory. The writer stores each page as two blobs: header, data.
struct CountingStore {
    blobs: Vec<Option<Bytes>>,
    resident: usize,
    flushed: Arc<Flushed>,
}

impl PageStore for CountingStore {
    fn put(&mut self, value: Bytes) -> parquet::errors::Result<PageKey> {
        self.flushed.compressed.fetch_add(value.len() as u64, Ordering::Relaxed);
        if self.blobs.len() % 2 == 0 {
            let data = uncompressed_page_size(&value)
                .ok_or_else(|| ParquetError::General("a page header does not begin with its sizes".to_owned()))?;
            self.flushed.uncompressed.fetch_add(value.len() as u64 + data, Ordering::Relaxed);
        }
        self.resident += value.len();
        let key = PageKey::new(self.blobs.len() as u64);
        self.blobs.push(Some(value));
        Ok(key)
    }

    fn take(&mut self, key: PageKey) -> parquet::errors::Result<Bytes> {
        let blob = usize::try_from(key.get()).ok().and_then(|index| self.blobs.get_mut(index)).and_then(Option::take);
        let blob = blob.ok_or_else(|| ParquetError::General("a page was taken twice".to_owned()))?;
        self.resident -= blob.len();
        Ok(blob)
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
