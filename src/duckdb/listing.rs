//! Table functions that compute their rows at once: everything but the scan itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::connection::Context;
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::logical_type::LogicalType;
use duckdb_neo::signature::SignatureBuilder;
use duckdb_neo::table_function::{
    BindFunctionHandle, ExecColumnInfo, InitColumnData, TableFunctionBuilder, TableFunctionCallbacks,
};
use duckdb_neo::Result;
use questdb_storage::types::{ColumnSink, ValueType};

use super::arguments::Arguments;
use super::errors::{guard, to_duckdb};
use super::host::Host;
use super::log;
use super::vectors::{ColumnState, Output, CHUNK_ROWS};

/// A value of a listing.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// INTEGER, BIGINT or a timestamp.
    Int(i64),
    /// DOUBLE.
    Float(f64),
    /// VARCHAR.
    Text(String),
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// A function whose rows are computed when the query runs.
pub trait Listing: Send + Sync + 'static {
    /// What bind keeps of the arguments.
    type Request: Send + Sync + 'static;

    /// SQL name.
    const NAME: &'static str;

    /// Result columns. The type is one of Boolean, Int32, Int64, Float64, timestamps and Text.
    const COLUMNS: &'static [(&'static str, ValueType)];

    /// Parameters and documentation.
    fn signature() -> SignatureBuilder;

    /// Checks the arguments.
    fn bind(&self, context: &Context, arguments: Arguments) -> Result<Self::Request>;

    /// The rows, each with one cell per column.
    fn rows(&self, request: &Self::Request) -> questdb_storage::Result<Vec<Vec<Cell>>>;

    /// The rows, and damage that leaves cells empty without ending the query; it goes to DuckDB's log.
    fn rows_and_damage(
        &self,
        request: &Self::Request,
    ) -> questdb_storage::Result<(Vec<Vec<Cell>>, Vec<questdb_storage::Error>)> {
        Ok((self.rows(request)?, Vec::new()))
    }
}

/// Registers a listing.
pub fn register<L: Listing>(host: &impl Host, listing: L) -> Result<()> {
    let builder = TableFunctionBuilder::new(L::NAME, L::signature(), ListingFunction(listing));
    host.table_function(builder.with_projection_pushdown(true))
}

struct ListingFunction<L>(L);

/// All rows, and how many of them were returned.
pub struct ListingState {
    rows: Vec<Vec<Cell>>,
    next: AtomicUsize,
    /// Declared column of each output column.
    projection: Vec<usize>,
}

impl<L: Listing> TableFunctionCallbacks for ListingFunction<L> {
    type BindData = L::Request;
    type LocalState = ();
    type GlobalState = ListingState;

    fn bind(
        &self,
        context: &Context,
        arguments: Vec<BindArgument>,
        handle: BindFunctionHandle<'_>,
    ) -> Result<Self::BindData> {
        guard(|| {
            let request = self.0.bind(context, Arguments::new(L::NAME, arguments))?;
            declare(context, &handle, L::COLUMNS)?;
            Ok(request)
        })
    }

    fn init_global_state(
        &self,
        request: &Self::BindData,
        context: &Context,
        columns: InitColumnData<'_>,
    ) -> Result<(Option<Self::GlobalState>, Option<usize>)> {
        guard(|| {
            let projection = projection(&columns)?;
            let (rows, damage) = self.0.rows_and_damage(request).map_err(to_duckdb)?;
            log::warn(context, &damage)?;
            Ok((Some(ListingState { rows, next: AtomicUsize::new(0), projection }), Some(1)))
        })
    }

    fn exec(
        &self,
        _request: &Self::BindData,
        state: Option<&Self::GlobalState>,
        _local: Option<&mut Self::LocalState>,
        context: &Context,
        chunk: DataChunkRef<'_>,
        _columns: ExecColumnInfo<'_>,
    ) -> Result<()> {
        guard(|| {
            let Some(state) = state else { return Ok(()) };
            let start = state.next.fetch_add(CHUNK_ROWS, Ordering::Relaxed).min(state.rows.len());
            let rows = state.rows.get(start..state.rows.len().min(start + CHUNK_ROWS)).unwrap_or_default();
            write_rows(context, &chunk, L::COLUMNS, &state.projection, rows)
        })
    }
}

/// Declares result columns.
pub fn declare(
    context: &Context,
    handle: &BindFunctionHandle<'_>,
    columns: &[(&str, ValueType)],
) -> Result<()> {
    for (name, value_type) in columns {
        handle.add_result_column(name, &LogicalType::from_text(context, &value_type.sql())?)?;
    }
    Ok(())
}

/// The declared columns that are wanted.
pub fn projection(columns: &InitColumnData<'_>) -> Result<Vec<usize>> {
    (0..columns.count()?).map(|i| columns.get_column_index(i)).collect()
}

/// Fills `chunk` with `rows`, of which it holds the columns `projection`; no rows end the scan.
pub fn write_rows(
    context: &Context,
    chunk: &DataChunkRef<'_>,
    columns: &[(&str, ValueType)],
    projection: &[usize],
    rows: &[Vec<Cell>],
) -> Result<()> {
    let output = Output::new(chunk, rows.len())?;
    if rows.is_empty() {
        return output.end();
    }
    let mut column_state = ColumnState::default();
    for (i, column) in projection.iter().enumerate() {
        let Some((_, value_type)) = columns.get(*column) else { continue };
        let cells: Vec<&Cell> = rows.iter().map(|row| row.get(*column).unwrap_or(&Cell::Null)).collect();
        let mut sink = output.column(i, *value_type, &mut column_state)?;
        write(&cells, *value_type, &mut sink).map_err(to_duckdb)?;
        sink.finish(context)?;
    }
    Ok(())
}

fn write<S: ColumnSink>(cells: &[&Cell], value_type: ValueType, sink: &mut S) -> questdb_storage::Result<()> {
    let number = |cell: &Cell| match cell {
        Cell::Int(value) => *value,
        Cell::Bool(value) => i64::from(*value),
        _ => 0,
    };
    match value_type {
        ValueType::Text => {
            let text = |cell: &Cell| match cell {
                Cell::Text(text) => text.len(),
                _ => 0,
            };
            let heap = cells.iter().map(|cell| text(cell)).sum();
            sink.strings(cells.len(), heap, |slots| {
                for (row, cell) in cells.iter().enumerate() {
                    match cell {
                        Cell::Text(text) => slots.push(row, text.as_bytes()),
                        _ => slots.set_null(row),
                    }
                }
                Ok(())
            })
        }
        _ => write_numbers(cells, value_type, number, sink),
    }
}

/// Numbers go run by run, because NULL is not one of their values.
fn write_numbers<S: ColumnSink>(
    cells: &[&Cell],
    value_type: ValueType,
    number: impl Fn(&Cell) -> i64,
    sink: &mut S,
) -> questdb_storage::Result<()> {
    for run in cells.chunk_by(|a, b| (**a == Cell::Null) == (**b == Cell::Null)) {
        let values = run.iter().map(|cell| number(cell));
        match (run.first(), value_type) {
            (Some(Cell::Null), _) => sink.nulls(run.len())?,
            (_, ValueType::Boolean) => {
                sink.fixed::<u8>(run.len(), |slots| fill(slots, values.map(|v| v as u8)), |_| false)?
            }
            (_, ValueType::Int32) => {
                sink.fixed::<i32>(run.len(), |slots| fill(slots, values.map(|v| v as i32)), |_| false)?
            }
            (_, ValueType::Float64) => {
                let values = run.iter().map(|cell| match cell {
                    Cell::Float(value) => *value,
                    _ => 0.0,
                });
                sink.fixed::<f64>(run.len(), |slots| fill(slots, values), |_| false)?
            }
            _ => sink.fixed::<i64>(run.len(), |slots| fill(slots, values), |_| false)?,
        }
    }
    Ok(())
}

fn fill<T>(slots: &mut [T], values: impl Iterator<Item = T>) -> questdb_storage::Result<()> {
    slots.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
    Ok(())
}
