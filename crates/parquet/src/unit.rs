//! What of a row group is encoded by itself: a column of a Parquet file, or all of a block of JSON lines.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StructArray};

use crate::encode::{encoder, ColumnEncoder, EncodedChunk};
use crate::error::{Error, Result};
use crate::json::{line_bytes, LinesEncoder};
use crate::options::Format;
use crate::policy::PageSizes;
use crate::{raw_size, Plan};

/// How many there are.
pub fn count(plan: &Plan) -> usize {
    match plan.options.format {
        Format::Parquet => plan.schema.columns.len(),
        Format::Jsonl => 1,
    }
}

/// The arrays of a batch, one for each.
pub fn arrays(plan: &Plan, batch: &RecordBatch) -> Vec<ArrayRef> {
    match plan.options.format {
        Format::Parquet => batch.columns().to_vec(),
        Format::Jsonl => vec![Arc::new(StructArray::from(batch.clone()))],
    }
}

/// About how many bytes each row of a batch takes before compression, rather too many than too few.
pub fn row_bytes(plan: &Plan, batch: &RecordBatch) -> Result<Vec<u64>> {
    match plan.options.format {
        Format::Parquet => Ok(raw_size::row_bytes(batch)),
        Format::Jsonl => line_bytes(&plan.schema.columns, batch),
    }
}

/// Encodes an array; the encoder is made for the first one.
pub fn write(
    plan: &Plan,
    index: usize,
    pages: PageSizes,
    slot: &mut Option<Box<dyn ColumnEncoder>>,
    array: &ArrayRef,
) -> Result<()> {
    if plan.options.format == Format::Jsonl {
        return match slot {
            Some(lines) => lines.write(array),
            None => slot.insert(Box::new(LinesEncoder::new(plan)?)).write(array),
        };
    }
    let column = plan.schema.columns.get(index).ok_or_else(|| Error::internal("a column is gone"))?;
    let place = |error: Error| error.in_column(&column.name);
    let adapted = column.adapter.apply(array).map_err(place)?;
    let encoder = match slot {
        Some(encoder) => encoder,
        None => slot.insert(encoder(column, plan, pages, &adapted).map_err(place)?),
    };
    encoder.write(&adapted).map_err(place)
}

/// Finishes an encoder.
pub fn close(
    plan: &Plan,
    index: usize,
    encoder: Option<Box<dyn ColumnEncoder>>,
) -> Result<Vec<EncodedChunk>> {
    let encoder = encoder.ok_or_else(|| Error::internal("a row group without rows"))?;
    encoder.close().map_err(|error| match plan.schema.columns.get(index) {
        Some(column) if plan.options.format == Format::Parquet => error.in_column(&column.name),
        _ => error,
    })
}
