//! A column chunk: from bytes to an Arrow array.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use ::parquet::arrow::ProjectionMask;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use arrow_array::ArrayRef;
use bytes::{Buf, Bytes};

use super::text;
use crate::error::{Error, Result};
use crate::source::Source;

/// Runs the Parquet decoder on data that may be damaged: its errors and panics become errors of ours. `what` is
/// being read.
pub(crate) fn guarded<T>(
    what: &str,
    decode: impl FnOnce() -> std::result::Result<T, ParquetError>,
) -> Result<T> {
    let failed =
        |found: String| Error::corrupt(format!("cannot decode the Parquet {what}"), "valid Parquet", found);
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ParquetError::NYI(what))) => {
            Err(Error::unsupported(format!("Parquet feature is not supported: {what}")))
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(failed(text.unwrap_or_else(|| "bytes that its decoder fails on".to_owned())))
        }
    }
}

/// A stretch of a file, read; the decoder sees the offsets of the file.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) start: u64,
    pub(crate) bytes: Bytes,
}

impl Stretch {
    /// Reads `len` bytes from `start` on into `buffer`, whose memory is used again.
    pub(crate) fn read(source: &dyn Source, start: u64, len: u64, mut buffer: Vec<u8>) -> Result<Self> {
        buffer.resize(Self::check(source, start, len)?, 0);
        source.read_into(start, &mut buffer)?;
        Ok(Self { start, bytes: buffer.into() })
    }

    /// Checks that `len` bytes from `start` on are in the file.
    pub(super) fn check(source: &dyn Source, start: u64, len: u64) -> Result<usize> {
        let inside = start.checked_add(len).is_some_and(|end| end <= source.len());
        usize::try_from(len).ok().filter(|_| inside).ok_or_else(|| {
            let expected = format!("bytes within the first {}, which is the size in _txn", source.len());
            Error::corrupt(
                "Parquet data lies outside its file",
                expected,
                format_args!("{len} bytes at {start}"),
            )
            .at(start)
            .in_file(source.path())
        })
    }

    fn part(&self, start: u64, len: Option<usize>) -> std::result::Result<Bytes, ParquetError> {
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let from = from.filter(|from| *from <= self.bytes.len());
        let to = from.and_then(|from| from.checked_add(len.unwrap_or(self.bytes.len() - from)));
        match (from, to.filter(|to| *to <= self.bytes.len())) {
            (Some(from), Some(to)) => Ok(self.bytes.slice(from..to)),
            _ => Err(ParquetError::EOF(format!("read of {len:?} bytes at {start} leaves the column chunk"))),
        }
    }
}

impl Length for Stretch {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Stretch {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> std::result::Result<Self::T, ParquetError> {
        Ok(self.part(start, None)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> std::result::Result<Bytes, ParquetError> {
        self.part(start, Some(length))
    }
}

/// Decodes column `root` of row group `group`, which has `rows` rows and whose chunk is `stretch`.
pub(super) fn decode(
    stretch: Stretch,
    metadata: &ArrowReaderMetadata,
    root: usize,
    group: usize,
    rows: usize,
) -> Result<ArrayRef> {
    let read = || {
        let mask = ProjectionMask::roots(metadata.parquet_schema(), [root]);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(stretch, metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(rows.max(1))
            .build()?;
        let mut arrays = Vec::new();
        for batch in reader {
            arrays.extend(batch?.columns().first().map(Arc::clone));
        }
        Ok(arrays)
    };
    let arrays = guarded("column chunk", read)?;
    arrays.iter().try_for_each(|array| text::check(array.as_ref()))?;
    match arrays.as_slice() {
        [array] if array.len() == rows => Ok(Arc::clone(array)),
        arrays => {
            let found = arrays.iter().map(|a| a.len()).sum::<usize>();
            Err(Error::corrupt(
                "column chunk has another number of rows than its row group",
                format_args!("{rows} rows"),
                format_args!("{found} rows in {} parts", arrays.len()),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::Memory;

    #[test]
    fn panics_of_the_decoder_are_errors() {
        let error = guarded::<()>("page", || panic!("index out of bounds")).unwrap_err();
        assert!(error.to_string().contains("index out of bounds"), "{error}");
    }

    #[test]
    fn stretches_stay_in_their_bounds() {
        let file = Memory::new((0..100).collect());
        assert!(Stretch::read(&file, 90, 11, Vec::new()).is_err());
        assert!(Stretch::read(&file, u64::MAX, 2, Vec::new()).is_err());
        let stretch = Stretch::read(&file, 10, 20, vec![9; 50]).unwrap();
        assert_eq!(stretch.get_bytes(12, 3).unwrap().as_ref(), [12, 13, 14]);
        assert!(stretch.get_bytes(9, 1).is_err());
        assert!(stretch.get_bytes(29, 2).is_err());
        assert!(stretch.get_bytes(29, usize::MAX).is_err());
        assert!(stretch.get_read(31).is_err());
    }
}
