//! A scan as an iterator of record batches.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};

use super::{data_type, ArrowSink};
use crate::error::{Error, Result};
use crate::scan::{Projected, Reader, ScanPlan, Scanner};
use crate::types::ValueType;

/// The Arrow schema of a plan's rows.
///
/// # Errors
/// Columns of unknown types, and columns that the table does not have.
pub fn schema(plan: &ScanPlan) -> Result<SchemaRef> {
    let fields: Result<Vec<Field>> = columns(plan)?
        .into_iter()
        .map(|(name, value_type)| Ok(Field::new(name, data_type(value_type), true)))
        .collect();
    Ok(Arc::new(Schema::new(fields?)))
}

fn columns(plan: &ScanPlan) -> Result<Vec<(&str, ValueType)>> {
    plan.projection
        .iter()
        .map(|projected| {
            let column = match projected {
                Projected::Column(index) => plan.snapshot.columns().get(*index),
                Projected::Missing => None,
            };
            let column =
                column.ok_or_else(|| Error::invalid_input("projection names a column that is not there"))?;
            let value_type = column.column_type.value_type(plan.raw_types);
            let value_type = value_type.ok_or_else(|| {
                Error::unsupported(format!("type {} cannot be read", column.column_type))
                    .in_column(&column.name)
            })?;
            Ok((column.name.as_str(), value_type))
        })
        .collect()
}

/// The rows of a one-table scan as record batches of at most `max_rows` rows, in order.
pub fn batches(scanner: &Arc<Scanner>, max_rows: usize) -> Result<Batches> {
    let plan = scanner.plans().next().ok_or_else(|| Error::invalid_input("scan has no table"))?;
    let value_types = columns(plan)?.into_iter().map(|(_, value_type)| value_type).collect();
    Ok(Batches {
        schema: schema(plan)?,
        value_types,
        reader: Reader::new(scanner),
        max_rows: max_rows.max(64),
    })
}

/// See [`batches`].
#[derive(Debug)]
pub struct Batches {
    schema: SchemaRef,
    value_types: Vec<ValueType>,
    reader: Reader,
    max_rows: usize,
}

impl Batches {
    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(chunk) = self.reader.next_chunk(self.max_rows)? else { return Ok(None) };
        let mut arrays = Vec::with_capacity(self.value_types.len());
        for (index, value_type) in self.value_types.iter().enumerate() {
            let mut sink = ArrowSink::new(*value_type);
            self.reader.read(&chunk, index, &mut sink)?;
            arrays.push(sink.finish()?);
        }
        self.reader.check(&chunk)?;
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
        RecordBatch::try_new_with_options(self.schema(), arrays, &options)
            .map(Some)
            .map_err(|e| Error::invalid_input(format!("cannot build a record batch: {e}")))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
