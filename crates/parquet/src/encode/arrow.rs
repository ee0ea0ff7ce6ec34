//! The library's column writers, measured: they report compressed sizes only, so the page store that they fill reads the
//! uncompressed size from each page header.

use std::io;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{Field, Schema};
use parquet::arrow::arrow_writer::{compute_leaves, ArrowColumnWriter, ArrowRowGroupWriterFactory};
use parquet::file::writer::SerializedFileWriter;

use super::spill::{Flushed, Pages};
use super::{ColumnEncoder, EncodedChunk};
use crate::error::{Error, Result};
use crate::policy::{self, PageSizes, Sample};
use crate::schema::Column;
use crate::statistics;
use crate::Plan;

/// Encodes any type.
pub struct ArrowEncoder {
    field: Arc<Field>,
    writers: Vec<ArrowColumnWriter>,
    flushed: Arc<Flushed>,
}

impl ArrowEncoder {
    /// Creates the encoder; `sample` chooses encodings.
    pub fn new(column: &Column, plan: &Plan, pages: PageSizes, sample: Sample) -> Result<Self> {
        let properties = policy::properties(column, &plan.options, pages, sample);
        let flushed = Arc::new(Flushed::default());
        let writer = SerializedFileWriter::new(io::sink(), column.descr.root_schema_ptr(), properties)?;
        let schema = Arc::new(Schema::new(vec![Arc::clone(&column.field)]));
        let writers = ArrowRowGroupWriterFactory::new(&writer, schema)
            .with_page_store_factory(Arc::new(Pages {
                flushed: Arc::clone(&flushed),
                scratch: plan.scratch.clone(),
                columns: plan.schema.parquet.num_columns(),
            }))
            .create_column_writers(0)?;
        Ok(Self { field: Arc::clone(&column.field), writers, flushed })
    }
}

impl ColumnEncoder for ArrowEncoder {
    fn write(&mut self, array: &ArrayRef) -> Result<()> {
        if !self.field.is_nullable() && array.null_count() > 0 {
            return Err(
                Error::invalid_input("NULL in a column that must not have any").in_column(self.field.name())
            );
        }
        let leaves = compute_leaves(&self.field, array)?;
        if leaves.len() != self.writers.len() {
            return Err(Error::internal(format!(
                "{} leaves for {} writers",
                leaves.len(),
                self.writers.len()
            )));
        }
        for (writer, leaf) in self.writers.iter_mut().zip(&leaves) {
            writer.write(leaf)?;
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        let total: u64 = self.writers.iter().map(|writer| writer.get_estimated_total_bytes() as u64).sum();
        self.flushed.uncompressed() + total.saturating_sub(self.flushed.compressed())
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
