//! What all parts of one export need: schema, options, control.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use arrow_schema::{DataType, SchemaRef};

use crate::cancel::Control;
use crate::error::{Error, Result};
use crate::layout::Partitioner;
use crate::options::{Format, Options, PartitionUnit};
use crate::policy::{self, PageSizes};
use crate::schema::{ColumnHint, ExportSchema};
use crate::sink::Sink;

/// A checked request. Cheap to clone; clones share the control.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The schema of the files.
    pub schema: Arc<ExportSchema>,
    /// The options.
    pub options: Arc<Options>,
    /// Cancel token, failure, progress.
    pub control: Control,
    /// A directory for pages of row groups that are too large for memory; see [`Self::with_scratch`].
    pub scratch: Option<PathBuf>,
}

impl Plan {
    /// Checks schema and options against each other.
    pub fn new(
        schema: SchemaRef,
        hints: &[ColumnHint],
        options: Options,
        cancel: Arc<AtomicBool>,
    ) -> Result<Self> {
        let schema = Arc::new(ExportSchema::new(schema, hints, &options)?);
        if options.format == Format::Parquet {
            policy::check(&schema, &options)?;
        }
        let plan = Self { schema, options: Arc::new(options), control: Control::new(cancel), scratch: None };
        plan.partitioner()?;
        Ok(plan)
    }

    /// Lets row groups that are too large for memory spill to where `sink` says.
    pub fn with_scratch(mut self, sink: &dyn Sink) -> Self {
        self.scratch = sink.scratch();
        self
    }

    /// The unit of partitions; none when nothing was said.
    pub fn unit(&self) -> PartitionUnit {
        self.options.partition_unit.unwrap_or_default()
    }

    /// How rows are split into partitions: by the named column, the designated timestamp, or the only timestamp column.
    pub fn partitioner(&self) -> Result<Option<Partitioner>> {
        let unit = self.unit();
        if unit == PartitionUnit::None {
            return Ok(None);
        }
        let fields = self.schema.input.fields();
        let timestamps = || -> Vec<usize> {
            let is_timestamp = |index: &usize| {
                fields.get(*index).is_some_and(|field| matches!(field.data_type(), DataType::Timestamp(..)))
            };
            (0..fields.len()).filter(is_timestamp).collect()
        };
        let designated = || self.schema.columns.iter().position(|column| column.hint.designated);
        let column = match &self.options.timestamp {
            Some(name) => self.schema.index_of(name),
            None => designated().or_else(|| match timestamps().as_slice() {
                [only] => Some(*only),
                _ => None,
            }),
        };
        let Some((index, field)) = column.and_then(|index| fields.get(index).map(|field| (index, field)))
        else {
            let names: Vec<&str> = timestamps()
                .iter()
                .filter_map(|index| fields.get(*index))
                .map(|field| field.name().as_str())
                .collect();
            let error =
                Error::option("partition_unit", "partitioning is possible only with a timestamp column");
            return Err(match names.as_slice() {
                [] => error.hint("The rows have no column of type TIMESTAMP."),
                _ => error.hint(format!("Choose one with the option timestamp: {}", names.join(", "))),
            });
        };
        Ok(Some(Partitioner::new(index, field.name(), field.data_type(), unit)?))
    }

    /// Sizes of data pages.
    pub fn pages(&self) -> PageSizes {
        PageSizes::new(&self.options, self.schema.parquet.num_columns())
    }
}
