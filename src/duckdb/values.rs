//! Rows with nested columns, value by value: for results of a few rows. Everything larger goes through `vectors`.

use duckdb_neo::connection::{Context, FFILink};
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::types::{List, TimestampValue};
use duckdb_neo::value::{Value, ValueInput};
use duckdb_neo::vector::Unknown;
use duckdb_neo::{Result, ToValue};

/// A value that may be NULL.
#[derive(Debug, Clone)]
pub enum Field {
    /// VARCHAR.
    Text(Option<String>),
    /// BIGINT.
    Int(Option<i64>),
    /// DOUBLE.
    Float(Option<f64>),
    /// TIMESTAMP.
    Time(Option<i64>),
    /// VARCHAR[].
    Texts(Vec<String>),
    /// STRUCT.
    Struct(Option<Vec<(&'static str, Field)>>),
}

impl Field {
    fn is_null(&self) -> bool {
        matches!(
            self,
            Self::Text(None) | Self::Int(None) | Self::Float(None) | Self::Time(None) | Self::Struct(None)
        )
    }

    fn value(&self, context: &Context) -> Result<Value> {
        match self {
            Self::Text(value) => value.value(context),
            Self::Int(value) => value.value(context),
            Self::Float(value) => value.value(context),
            Self::Time(value) => value.map(TimestampValue).value(context),
            Self::Texts(values) => List(values.iter().cloned().map(Some).collect::<Vec<_>>()).value(context),
            Self::Struct(fields) => {
                let fields = fields.as_deref().unwrap_or_default();
                let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
                let values =
                    fields.iter().map(|(_, field)| field.value(context)).collect::<Result<Vec<_>>>()?;
                context.create_value(ValueInput::Struct { names: &names, children: &values })
            }
        }
    }
}

/// Fills `chunk` with `rows`, of which it holds the columns `projection`; no rows end the scan.
pub fn write_fields(
    context: &Context,
    chunk: &mut DataChunkRef<'_>,
    projection: &[usize],
    rows: &[Vec<Field>],
) -> Result<()> {
    for (i, column) in projection.iter().enumerate() {
        let mut vector = chunk.get_vector_at_mut::<Unknown>(i)?;
        vector.set_size(rows.len())?;
        for (row, fields) in rows.iter().enumerate() {
            match fields.get(*column).filter(|field| !field.is_null()) {
                Some(field) => vector.write_value_slow(row, field.value(context)?)?,
                None => vector.set_null_slow(row)?,
            }
        }
    }
    Ok(())
}
