//! The scan: filter pushdown, global and local state, chunks.

use std::sync::Arc;

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::connection::Context;
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::table_function::{
    BindFunctionHandle, ExecColumnInfo, InitColumnData, PartitionData, PushdownData,
    TableFilterPushdownCallbacks, TableFunctionCallbacks, TablePartitioningCallbacks,
};
use duckdb_neo::Result;
use questdb_storage::scan::{Chunk, Reader, RowSet, Run, Segment};
use questdb_storage::types::{ColumnSink, ValueType};

use super::bind::{bind, Bound};
use super::columns::{undeclared, Content, OutputColumn};
use super::files::{FilesGlobal, FilesLocal};
use super::run::{GlobalState, Scan};
use super::{snapshots, ReadPartitions};
use crate::duckdb::errors::{guard, test_panic, to_duckdb};
use crate::duckdb::expressions::Translator;
use crate::duckdb::listing::projection;
use crate::duckdb::log;
use crate::duckdb::symbols::SymbolForm;
use crate::duckdb::vectors::{ColumnState, Output, CHUNK_ROWS};

/// What one thread keeps from chunk to chunk.
pub struct LocalState {
    run: Arc<Run<Scan>>,
    reader: Reader,
    columns: Vec<ColumnState>,
    /// Morsel of the last chunk: its position in the order of rows.
    batch: u64,
}

impl LocalState {
    fn new(run: Arc<Run<Scan>>) -> Self {
        let state = |column: &OutputColumn| match &column.content {
            Content::Data { value_type: Some(ValueType::Symbol), symbols, .. } => {
                ColumnState::for_symbols(symbols.clone())
            }
            _ => ColumnState::default(),
        };
        let columns = run.scan.projection.iter().map(state).collect();
        Self { reader: Reader::new(&run.scan.scanner), run, columns, batch: 0 }
    }

    /// Fills the next chunk; `false` at the end of the scan.
    fn fill(&mut self, context: &Context, output: &DataChunkRef<'_>) -> Result<bool> {
        let Some(chunk) = self.reader.next_chunk(CHUNK_ROWS).map_err(to_duckdb)? else {
            return Ok(false);
        };
        self.batch = chunk.morsel();
        let output = Output::new(output, chunk.len())?;
        let run = Arc::clone(&self.run);
        for (index, column) in run.scan.projection.iter().enumerate() {
            write_column(context, &output, index, column, &chunk, self)?;
        }
        self.reader.check(&chunk).map_err(to_duckdb)?;
        Ok(true)
    }
}

/// What all threads of a scan share.
pub enum Global {
    Tables(GlobalState),
    Files(FilesGlobal),
}

/// What one thread keeps from chunk to chunk, boxed for its size.
pub enum Local {
    Tables(Box<LocalState>),
    Files(Box<FilesLocal>),
}

impl TableFunctionCallbacks for ReadPartitions {
    type BindData = Bound;
    type LocalState = Local;
    type GlobalState = Global;

    fn bind(
        &self,
        context: &Context,
        arguments: Vec<BindArgument>,
        handle: BindFunctionHandle<'_>,
    ) -> Result<Self::BindData> {
        guard(|| bind(context, arguments, &handle))
    }

    fn init_global_state(
        &self,
        bound: &Self::BindData,
        context: &Context,
        columns: InitColumnData<'_>,
    ) -> Result<(Option<Self::GlobalState>, Option<usize>)> {
        guard(|| {
            test_panic("init");
            snapshots::executed(context)?;
            let columns = projection(&columns)?;
            let (global, threads) = match bound {
                Bound::Tables(bound) => {
                    let global = GlobalState::new(bound, context, columns)?;
                    log::warn(context, &global.damage.take())?;
                    let threads = global.run().scan.scanner.parallelism();
                    (Global::Tables(global), threads)
                }
                Bound::Files(bound) => {
                    let global = FilesGlobal::new(bound, columns)?;
                    let threads = global.parallelism();
                    (Global::Files(global), threads)
                }
            };
            Ok((Some(global), Some(threads)))
        })
    }

    fn init_local_state(
        &self,
        bound: &Self::BindData,
        global: Option<&Self::GlobalState>,
        _context: &Context,
        _columns: InitColumnData<'_>,
    ) -> Result<Option<Self::LocalState>> {
        guard(|| {
            Ok(match (bound, global) {
                (Bound::Tables(_), Some(Global::Tables(global))) => {
                    Some(Local::Tables(Box::new(LocalState::new(global.run()))))
                }
                (Bound::Files(bound), Some(Global::Files(global))) => {
                    Some(Local::Files(Box::new(FilesLocal::new(bound, global))))
                }
                _ => None,
            })
        })
    }

    fn exec(
        &self,
        bound: &Self::BindData,
        global: Option<&Self::GlobalState>,
        local: Option<&mut Self::LocalState>,
        context: &Context,
        output: DataChunkRef<'_>,
        _columns: ExecColumnInfo<'_>,
    ) -> Result<()> {
        guard(|| {
            test_panic("exec");
            let (bound, global, local) = match (bound, global, local) {
                (Bound::Tables(bound), Some(Global::Tables(global)), Some(Local::Tables(local))) => {
                    (bound, global, local)
                }
                (Bound::Files(_), Some(Global::Files(global)), Some(Local::Files(local))) => {
                    let filled = local.fill(context, &output);
                    log::warn(context, &global.damage())?;
                    return filled;
                }
                _ => return Ok(()),
            };
            loop {
                let run = global.run();
                if local.run.number != run.number {
                    **local = LocalState::new(run);
                }
                let number = local.run.number;
                let filled = local.fill(context, &output);
                log::warn(context, &global.damage.take())?;
                match filled {
                    Ok(true) if global.emit(number) => return Ok(()),
                    Ok(true) => {}
                    Ok(false) => return Output::new(&output, 0)?.end(),
                    Err(error) => global.restart(bound, context, number, error)?,
                }
                Output::clear(&output)?;
            }
        })
    }

    fn progress(
        &self,
        _bound: &Self::BindData,
        global: Option<&Self::GlobalState>,
        _context: &Context,
    ) -> Result<Option<f64>> {
        Ok(global.map(|global| match global {
            Global::Tables(global) => global.run().scan.scanner.progress(),
            Global::Files(global) => global.progress(),
        }))
    }
}

impl TableFilterPushdownCallbacks for ReadPartitions {
    /// Takes all filters as hints and accepts none: DuckDB applies them itself as well.
    fn pushdown_filter(
        &self,
        bound: &Self::BindData,
        context: &Context,
        pushdown: PushdownData<'_>,
    ) -> Result<()> {
        guard(|| {
            let translate = |types: &dyn Fn(usize) -> Option<ValueType>| {
                Translator { context, pushdown: &pushdown, types }.translate()
            };
            match bound {
                Bound::Tables(bound) => {
                    let state = bound.state();
                    let types = |column: usize| state.columns.get(column).and_then(OutputColumn::filter_type);
                    bound.set_filter(translate(&types)?);
                }
                Bound::Files(bound) => bound.set_filter(translate(&|column| bound.filter_type(column))?),
            }
            Ok(())
        })
    }
}

impl TablePartitioningCallbacks for ReadPartitions {
    fn partition_data(
        &self,
        _bound: &Self::BindData,
        _global: Option<&Self::GlobalState>,
        local: Option<&mut Self::LocalState>,
        _context: &Context,
        _request: PartitionData<'_>,
    ) -> Result<usize> {
        let batch = local.map_or(0, |local| match local {
            Local::Tables(local) => local.batch,
            Local::Files(local) => local.batch,
        });
        Ok(batch as usize)
    }
}

fn write_column(
    context: &Context,
    output: &Output,
    index: usize,
    column: &OutputColumn,
    chunk: &Chunk,
    local: &mut LocalState,
) -> Result<()> {
    let Some(state) = local.columns.get_mut(index) else { return Err(undeclared(index)) };
    let value_type = match &column.content {
        Content::Data { value_type: Some(ValueType::Symbol), symbols: SymbolForm::Strings, .. } => {
            ValueType::Symbol
        }
        // An unknown type's error comes from reading it.
        Content::Data { value_type, .. } => value_type.unwrap_or(ValueType::Blob),
        Content::RowNumber => ValueType::Int64,
        _ => ValueType::Text,
    };
    let mut sink = output.column(index, value_type, state)?;
    match &column.content {
        Content::Data { .. } => local.reader.read(chunk, index, &mut sink),
        Content::RowNumber => chunk.segments().iter().try_for_each(|segment| row_numbers(segment, &mut sink)),
        Content::Filename => chunk.segments().iter().try_for_each(|segment| {
            repeat(&segment.snapshot().dir().to_string_lossy(), segment.rows().len(), &mut sink)
        }),
        Content::PartitionName => chunk
            .segments()
            .iter()
            .try_for_each(|segment| repeat(&segment.partition().name, segment.rows().len(), &mut sink)),
        Content::PartitionFormat => chunk.segments().iter().try_for_each(|segment| {
            let format = if segment.partition().entry.parquet { "parquet" } else { "native" };
            repeat(format, segment.rows().len(), &mut sink)
        }),
    }
    .map_err(to_duckdb)?;
    sink.finish(context)
}

/// Positions of a segment's rows in their table.
fn row_numbers<S: ColumnSink>(segment: &Segment, sink: &mut S) -> questdb_storage::Result<()> {
    let first = segment.partition().first_row;
    let fill = |slots: &mut [i64]| {
        match segment.rows() {
            RowSet::Range(range) => {
                slots.iter_mut().zip(range.clone()).for_each(|(slot, row)| *slot = (first + row) as i64);
            }
            RowSet::List(rows) => {
                slots.iter_mut().zip(rows).for_each(|(slot, row)| *slot = (first + u64::from(*row)) as i64);
            }
        }
        Ok(())
    };
    sink.fixed::<i64>(segment.rows().len(), fill, |_| false)
}

/// The same text in `n` rows, stored once.
pub fn repeat<S: ColumnSink>(text: &str, n: usize, sink: &mut S) -> questdb_storage::Result<()> {
    sink.strings(n, text.len(), |slots| {
        slots.heap().copy_from_slice(text.as_bytes());
        (0..n).for_each(|row| slots.set_range(row, 0, text.len()));
        Ok(())
    })
}
