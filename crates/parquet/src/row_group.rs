//! A row group: encoded on the calling thread, or described when it is finished.

use arrow_array::RecordBatch;

use crate::encode::{ColumnEncoder, EncodedChunk};
use crate::error::{Error, Result};
use crate::layout::Partition;
use crate::limits::{next, Filled, Next};
use crate::policy::PageSizes;
use crate::{unit, Plan};

/// A finished row group, ready to be appended to a file.
#[derive(Debug)]
pub struct EncodedRowGroup {
    /// Rows.
    pub rows: u64,
    /// The partition that the rows belong to.
    pub partition: Partition,
    /// Chunks in the order of the schema's leaves.
    pub chunks: Vec<EncodedChunk>,
}

impl EncodedRowGroup {
    /// Encoded bytes before compression.
    pub fn uncompressed(&self) -> u64 {
        self.chunks.iter().map(EncodedChunk::uncompressed).sum()
    }

    /// Bytes in the file.
    pub fn compressed(&self) -> u64 {
        self.chunks.iter().map(EncodedChunk::compressed).sum()
    }
}

/// Encodes whole row groups on the calling thread; for callers that bring their own threads.
///
/// Every thread has its own encoder and hands the finished row groups, numbered, to one [`crate::OrderedWriter`].
pub struct RowGroupEncoder {
    plan: Plan,
    partition: Partition,
    pages: PageSizes,
    encoders: Vec<Option<Box<dyn ColumnEncoder>>>,
    rows: u64,
}

impl RowGroupEncoder {
    /// An empty row group of `partition`.
    pub fn new(plan: &Plan, partition: Partition) -> Self {
        Self { plan: plan.clone(), partition, pages: plan.pages(), encoders: Vec::new(), rows: 0 }
    }

    /// Adds rows and returns how many went in; fewer than the batch has when a limit of the row group was reached, then call
    /// [`Self::finish`] and go on with the rest.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<usize> {
        let limits = self.plan.options.row_group;
        let raw = if limits.bytes.is_some() { unit::row_bytes(&self.plan, batch)? } else { Vec::new() };
        let mut done = 0;
        while done < batch.num_rows() {
            let filled =
                Filled { rows: self.rows, bytes: if limits.bytes.is_some() { self.size() } else { 0 } };
            match next(limits, filled, batch.num_rows() - done, raw.get(done..).unwrap_or_default()) {
                Next::Close => break,
                Next::Take(rows) => {
                    self.append(&batch.slice(done, rows))?;
                    done += rows;
                }
            }
        }
        Ok(done)
    }

    /// Adds all rows, whatever the limits.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = &self.plan.schema.columns;
        if batch.num_columns() != columns.len() {
            return Err(Error::internal(format!(
                "{} columns for a schema of {}",
                batch.num_columns(),
                columns.len()
            )));
        }
        self.encoders.resize_with(unit::count(&self.plan), || None);
        for (index, (slot, array)) in
            self.encoders.iter_mut().zip(unit::arrays(&self.plan, batch)).enumerate()
        {
            self.plan.control.check()?;
            unit::write(&self.plan, index, self.pages, slot, &array)?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Encoded, uncompressed bytes so far.
    pub fn size(&self) -> u64 {
        self.encoders.iter().flatten().map(|encoder| encoder.size()).sum()
    }

    /// Finishes the row group; `None` when it has no rows.
    pub fn finish(self) -> Result<Option<EncodedRowGroup>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut chunks = Vec::with_capacity(self.encoders.len());
        for (index, encoder) in self.encoders.into_iter().enumerate() {
            chunks.extend(unit::close(&self.plan, index, encoder)?);
        }
        Ok(Some(EncodedRowGroup { rows: self.rows, partition: self.partition, chunks }))
    }
}
