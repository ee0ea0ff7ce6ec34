//! Compression of pages that we encode ourselves, byte for byte as the library does it.

use std::io::Write;

use parquet::basic::Compression;

use crate::error::{Error, Result};

/// LZ4 as Hadoop frames it: two big-endian lengths before the block.
const HADOOP_PREFIX: usize = 8;

/// A compressor; keeps its working memory between pages.
pub enum Codec {
    /// As they are.
    Uncompressed,
    /// Snappy.
    Snappy(Box<snap::raw::Encoder>),
    /// LZ4 blocks.
    Lz4Raw,
    /// LZ4 blocks with Hadoop's lengths.
    Lz4Hadoop,
    /// gzip of a level.
    Gzip(u32),
    /// brotli of a level.
    Brotli(u32),
    /// zstd with its context.
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Codec {
    /// The compressor for a codec and level.
    pub fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::UNCOMPRESSED => Self::Uncompressed,
            Compression::SNAPPY => Self::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::LZ4_RAW => Self::Lz4Raw,
            Compression::LZ4 => Self::Lz4Hadoop,
            Compression::GZIP(level) => Self::Gzip(level.compression_level()),
            Compression::BROTLI(level) => Self::Brotli(level.compression_level()),
            Compression::ZSTD(level) => {
                let context = zstd::bulk::Compressor::new(level.compression_level());
                Self::Zstd(Box::new(context.map_err(|error| Error::internal(format!("zstd: {error}")))?))
            }
            other => return Err(Error::unsupported(format!("codec {other} is not written"))),
        })
    }

    /// Whether pages stay as they are.
    pub fn is_uncompressed(&self) -> bool {
        matches!(self, Self::Uncompressed)
    }

    /// Compresses a page.
    pub fn compress(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::internal(format!("compression failed: {error}"));
        match self {
            Self::Uncompressed => Ok(bytes.to_vec()),
            Self::Snappy(encoder) => encoder.compress_vec(bytes).map_err(|error| failed(&error)),
            Self::Lz4Raw => Ok(lz4_flex::block::compress(bytes)),
            // Readers differ in what an empty block is; no block at all is nothing to all of them.
            Self::Lz4Hadoop if bytes.is_empty() => Ok(Vec::new()),
            Self::Lz4Hadoop => {
                let block = lz4_flex::block::compress(bytes);
                let mut out = Vec::with_capacity(block.len() + HADOOP_PREFIX);
                for length in [bytes.len(), block.len()] {
                    let length = u32::try_from(length).map_err(|error| failed(&error))?;
                    out.extend(length.to_le_bytes().iter().rev());
                }
                out.extend_from_slice(&block);
                Ok(out)
            }
            Self::Gzip(level) => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(*level));
                encoder.write_all(bytes).map_err(|error| failed(&error))?;
                encoder.finish().map_err(|error| failed(&error))
            }
            Self::Brotli(level) => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, *level, 22);
                encoder.write_all(bytes).map_err(|error| failed(&error))?;
                encoder.flush().map_err(|error| failed(&error))?;
                Ok(encoder.into_inner())
            }
            Self::Zstd(context) => context.compress(bytes).map_err(|error| failed(&error)),
        }
    }
}
