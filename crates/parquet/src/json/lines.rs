//! A block of rows as JSON lines, compressed by itself: a gzip member or a zstd frame. Files are blocks one after the other,
//! which any reader of these formats takes as one stream.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use flate2::write::GzEncoder;
use parquet::basic::Compression;

use super::cells::{cells, Cells};
use super::text;
use crate::encode::spill::PageBuffer;
use crate::encode::{ColumnEncoder, EncodedChunk};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::ExportSchema;
use crate::Plan;

/// Text that is collected before it is compressed.
const BUFFER: usize = 256 << 10;

/// The bytes of a block, the later ones in a scratch file when they are many.
#[derive(Debug)]
pub struct Store {
    pages: PageBuffer,
    pending: Vec<u8>,
    length: u64,
}

impl Store {
    fn new(scratch: Option<PathBuf>) -> Self {
        Self { pages: PageBuffer::new(scratch, 1), pending: Vec::new(), length: 0 }
    }

    fn put(&mut self) -> io::Result<()> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => self.pages.put(std::mem::take(&mut self.pending).into()),
        }
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Copies all bytes to `target`; `step` is asked between parts.
    pub fn write_to(mut self, target: &mut dyn Write, step: &dyn Fn() -> Result<()>) -> Result<()> {
        let failed = |error: io::Error| {
            Error::inside(&error)
                .unwrap_or_else(|| Error::new(ErrorKind::Io, format!("cannot write: {error}")))
        };
        for index in 0..self.pages.len() {
            step()?;
            let part = self.pages.take(index).map_err(failed)?;
            let part = part.ok_or_else(|| Error::internal("a part of a block is gone"))?;
            target.write_all(&part).map_err(failed)?;
        }
        Ok(())
    }
}

impl Write for Store {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        if self.pending.len() >= BUFFER {
            self.put()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Compressor {
    None(Store),
    Gzip(Box<GzEncoder<Store>>),
    Zstd(Box<zstd::Encoder<'static, Store>>),
}

impl Compressor {
    fn new(compression: Compression, store: Store) -> Result<Self> {
        Ok(match compression {
            Compression::GZIP(level) => {
                let level = flate2::Compression::new(level.compression_level());
                Self::Gzip(Box::new(GzEncoder::new(store, level)))
            }
            Compression::ZSTD(level) => {
                let encoder = zstd::Encoder::new(store, level.compression_level());
                Self::Zstd(Box::new(encoder.map_err(|error| Error::internal(format!("zstd: {error}")))?))
            }
            _ => Self::None(store),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::None(store) => store.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Store> {
        let mut store = match self {
            Self::None(store) => store,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        store.put()?;
        Ok(store)
    }
}

/// Renders a block of rows, which come as structs.
pub struct LinesEncoder {
    schema: Arc<ExportSchema>,
    /// What stands before each value: `{"a":`, `,"b":`.
    names: Arc<[Vec<u8>]>,
    compressor: Compressor,
    text: Vec<u8>,
    uncompressed: u64,
}

impl LinesEncoder {
    /// An empty block.
    pub fn new(plan: &Plan) -> Result<Self> {
        let names = plan.schema.columns.iter().enumerate().map(|(index, column)| {
            let mut name = vec![if index == 0 { b'{' } else { b',' }];
            text::string(&column.name, &mut name);
            name.push(b':');
            name
        });
        Ok(Self {
            schema: Arc::clone(&plan.schema),
            names: names.collect(),
            compressor: Compressor::new(plan.options.compression, Store::new(plan.scratch.clone()))?,
            text: Vec::with_capacity(BUFFER),
            uncompressed: 0,
        })
    }

    fn compress(&mut self) -> Result<()> {
        self.uncompressed += self.text.len() as u64;
        self.compressor.write(&self.text).map_err(spilled)?;
        self.text.clear();
        Ok(())
    }
}

/// Only a scratch file can fail.
fn spilled(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot put rows that do not fit in memory on disk: {error}"))
}

impl ColumnEncoder for LinesEncoder {
    fn write(&mut self, rows: &ArrayRef) -> Result<()> {
        let rows = rows.as_struct_opt().ok_or_else(|| Error::internal("rows that are not structs"))?;
        let schema = Arc::clone(&self.schema);
        let names = Arc::clone(&self.names);
        let mut columns: Vec<(&[u8], &str, Box<dyn Cells + '_>)> = Vec::new();
        for ((column, name), array) in schema.columns.iter().zip(names.iter()).zip(rows.columns()) {
            let cells = cells(&column.field, array.as_ref()).map_err(|e| e.in_column(&column.name))?;
            columns.push((name, &column.name, cells));
        }
        for row in 0..rows.len() {
            for (name, column, cells) in &columns {
                self.text.extend_from_slice(name);
                cells.write(row, &mut self.text).map_err(|error| error.in_column(column))?;
            }
            self.text.extend_from_slice(b"}\n");
            if self.text.len() >= BUFFER {
                self.compress()?;
            }
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.uncompressed + self.text.len() as u64
    }

    fn close(mut self: Box<Self>) -> Result<Vec<EncodedChunk>> {
        self.compress()?;
        let store = self.compressor.finish().map_err(spilled)?;
        Ok(vec![EncodedChunk::Lines { store: Box::new(store), uncompressed: self.uncompressed }])
    }
}

/// What an empty file of this compression holds.
pub fn empty(compression: Compression) -> Result<Vec<u8>> {
    let store = Compressor::new(compression, Store::new(None))?.finish().map_err(spilled)?;
    let mut bytes = Vec::new();
    store.write_to(&mut bytes, &|| Ok(()))?;
    Ok(bytes)
}
