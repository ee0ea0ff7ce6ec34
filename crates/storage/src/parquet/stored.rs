//! The bytes of a column chunk, read when they are asked for.

use std::path::Path;
use std::sync::Arc;

use super::chunk::Stretch;
use crate::error::{Error, Result};
use crate::source::{out_of_bounds, Source};

/// Chunks of at most so many bytes are read at once.
const SMALL: u64 = 32 << 10;

/// A stretch of a file; small ones are in memory, and those that were read before.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    source: Arc<dyn Source>,
    start: u64,
    len: usize,
    read: Option<Stretch>,
}

impl Stored {
    /// The `len` bytes from `start` on.
    pub(super) fn new(source: &Arc<dyn Source>, start: u64, len: u64) -> Result<Self> {
        let size = Stretch::check(source.as_ref(), start, len)?;
        let read = (len <= SMALL).then(|| Stretch::read(source.as_ref(), start, len, Vec::new()));
        Ok(Self { source: Arc::clone(source), start, len: size, read: read.transpose()? })
    }

    /// Bytes that were read.
    pub(crate) fn of(source: &Arc<dyn Source>, stretch: Stretch) -> Self {
        let (start, len) = (stretch.start, stretch.bytes.len());
        Self { source: Arc::clone(source), start, len, read: Some(stretch) }
    }

    /// First byte in the file.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether they were read.
    pub(super) fn is_in_memory(&self) -> bool {
        self.read.is_some()
    }

    /// Copies the bytes from `at` on to `dst`.
    pub(super) fn copy(&self, at: usize, dst: &mut [u8]) -> Result<()> {
        match &self.read {
            Some(stretch) => {
                let bytes = stretch.bytes.get(at..at.saturating_add(dst.len()));
                dst.copy_from_slice(bytes.ok_or_else(|| self.outside(at, dst.len()))?);
                Ok(())
            }
            None if at.checked_add(dst.len()).is_some_and(|end| end <= self.len) => {
                self.source.read_into(self.start.saturating_add(at as u64), dst)
            }
            None => Err(self.outside(at, dst.len())),
        }
    }

    /// All bytes.
    pub(super) fn read(&self) -> Result<Stretch> {
        match &self.read {
            Some(stretch) => Ok(stretch.clone()),
            None => Stretch::read(self.source.as_ref(), self.start, self.len as u64, Vec::new()),
        }
    }

    /// The `len` bytes from `at` on as a file of their own, of which nothing is read yet.
    pub(super) fn part(&self, at: usize, len: usize) -> Result<Arc<dyn Source>> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(self.outside(at, len));
        }
        let start = self.start.saturating_add(at as u64);
        Ok(Arc::new(Part { source: Arc::clone(&self.source), start, len: len as u64 }))
    }

    fn outside(&self, at: usize, len: usize) -> Error {
        let offset = self.start.saturating_add(at as u64);
        out_of_bounds(self.source.path(), offset, len, self.start.saturating_add(self.len as u64))
    }
}

/// A part of a file.
#[derive(Debug)]
struct Part {
    source: Arc<dyn Source>,
    start: u64,
    len: u64,
}

impl Part {
    /// Checks that `len` bytes at `offset` are in the part, and gives their place in the file.
    fn place(&self, offset: u64, len: u64) -> Result<u64> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        let outside = || out_of_bounds(self.source.path(), offset, len as usize, self.len);
        self.start.checked_add(offset).filter(|_| inside).ok_or_else(outside)
    }
}

impl Source for Part {
    fn len(&self) -> u64 {
        self.len
    }

    fn path(&self) -> &Path {
        self.source.path()
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        self.source.read_into(self.place(offset, dst.len() as u64)?, dst)
    }

    fn gather(&self, base: u64, width: usize, rows: &[u32], dst: &mut [u8]) -> Result<()> {
        // Rows ascend.
        let Some(last) = rows.last() else { return Ok(()) };
        let end = u64::from(*last).saturating_add(1).saturating_mul(width as u64);
        self.place(base, end)?;
        self.source.gather(self.place(base, 0)?, width, rows, dst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::Memory;

    fn file() -> Arc<dyn Source> {
        Arc::new(Memory::new((0..=255).collect::<Vec<u8>>().repeat(512)))
    }

    #[test]
    fn large_and_small_stretches_give_the_same_bytes() {
        let file = file();
        for len in [1000, 100_000] {
            let stored = Stored::new(&file, 300, len).unwrap();
            assert_eq!(stored.read.is_some(), len == 1000);
            let mut bytes = [0; 4];
            stored.copy(996, &mut bytes).unwrap();
            assert_eq!(bytes, [16, 17, 18, 19]);
            assert_eq!(stored.read().unwrap().bytes.len() as u64, len);
            assert!(stored.copy(len as usize - 3, &mut bytes).is_err());
            assert!(stored.copy(usize::MAX, &mut bytes).is_err());
        }
        assert!(Stored::new(&file, 1, file.len()).is_err());
    }

    #[test]
    fn parts_stay_in_their_bounds() {
        let part = Stored::new(&file(), 256, 100_000).unwrap().part(10, 20).unwrap();
        let mut bytes = [0; 4];
        part.read_into(16, &mut bytes).unwrap();
        assert_eq!(bytes, [26, 27, 28, 29]);
        assert!(part.read_into(17, &mut bytes).is_err());
        part.gather(0, 2, &[0, 9], &mut bytes).unwrap();
        assert_eq!(bytes, [10, 11, 28, 29]);
        assert!(part.gather(0, 2, &[0, 10], &mut bytes).is_err());
        assert!(part.gather(18, 2, &[0, 1], &mut bytes).is_err());
        assert!(Stored::new(&file(), 0, 100).unwrap().part(90, 11).is_err());
    }
}
