//! One column of one row group → one finished chunk for each of its leaves.

mod arrow;
mod bounds;
mod chunk;
mod codec;
pub mod copied;
mod delta;
mod dictionary;
mod fixed;
mod levels;
mod rle;
pub(crate) mod spill;
mod symbol;
mod text;

use std::io::Write;

use arrow_array::ArrayRef;
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::writer::SerializedRowGroupWriter;

pub(crate) use fixed::Value;
pub use spill::ChunkBytes;

use crate::error::{Error, Result};
use crate::json::Store;
use crate::policy::{self, PageSizes, Sample};
use crate::schema::Column;
use crate::Plan;

/// Encodes one column of one row group.
pub trait ColumnEncoder: Send {
    /// Adds an adapted array.
    fn write(&mut self, array: &ArrayRef) -> Result<()>;
    /// Encoded, uncompressed bytes so far; exact for finished pages, estimated for the rest.
    fn size(&self) -> u64;
    /// Finishes the chunks.
    fn close(self: Box<Self>) -> Result<Vec<EncodedChunk>>;
}

/// Makes the encoder of a column.
pub fn encoder(
    column: &Column,
    plan: &Plan,
    pages: PageSizes,
    first: &ArrayRef,
) -> Result<Box<dyn ColumnEncoder>> {
    if symbol::SymbolEncoder::takes(column) {
        return Ok(Box::new(symbol::SymbolEncoder::new(column, plan, pages)?));
    }
    let sample =
        if policy::needs_sample(column, &plan.options) { Sample::of(first) } else { Sample::default() };
    if let Some(encoder) = text::TextEncoder::new(column, plan, pages, sample)? {
        return Ok(Box::new(encoder));
    }
    if let Some(encoder) = fixed::encoder(column, plan, pages, sample)? {
        return Ok(encoder);
    }
    Ok(Box::new(arrow::ArrowEncoder::new(column, plan, pages, sample)?))
}

/// A finished column chunk, wherever it was made.
#[derive(Debug)]
pub enum EncodedChunk {
    /// Made by the library.
    Arrow(Box<ArrowColumnChunk>),
    /// Ready-made: pages from the dictionary page on, in file order, and what the footer says of them. Offsets count from the
    /// first byte of the chunk.
    Ready {
        /// The pages.
        pages: ChunkBytes,
        /// Their metadata.
        close: Box<ColumnCloseResult>,
    },
    /// Rows as JSON lines.
    Lines {
        /// The lines, compressed.
        store: Box<Store>,
        /// Bytes before compression.
        uncompressed: u64,
    },
}

impl EncodedChunk {
    /// Bytes before and after compression.
    fn sizes(&self) -> (u64, u64) {
        let close = match self {
            Self::Arrow(chunk) => chunk.close(),
            Self::Ready { close, .. } => close,
            Self::Lines { store, uncompressed } => return (*uncompressed, store.len()),
        };
        let bytes = |size: i64| u64::try_from(size).unwrap_or(0);
        (bytes(close.metadata.uncompressed_size()), bytes(close.metadata.compressed_size()))
    }

    /// Encoded bytes before compression, with page headers.
    pub fn uncompressed(&self) -> u64 {
        self.sizes().0
    }

    /// Bytes in the file.
    pub fn compressed(&self) -> u64 {
        self.sizes().1
    }

    /// Appends the chunk to a row group.
    pub(crate) fn append<W: Write + Send>(self, writer: &mut SerializedRowGroupWriter<'_, W>) -> Result<()> {
        match self {
            Self::Arrow(chunk) => chunk.append_to_row_group(writer)?,
            Self::Ready { pages, close } => writer.append_column(&pages, *close)?,
            Self::Lines { .. } => return Err(Error::internal("JSON lines in a Parquet file")),
        }
        Ok(())
    }
}
