//! `COPY t FROM 'db/trades~12' (FORMAT questdb)`: a table directory into a DuckDB table.
//!
//! Columns are matched by name, and their types must be those that `read_partitions` gives. One thread reads, so that
//! rows keep their order: this part of DuckDB's API has no batch index.

use std::num::NonZeroUsize;
use std::sync::Arc;

use duckdb_neo::connection::Context;
use duckdb_neo::copy_function::{
    CopyFromBindInfo, CopyFromCardinality, CopyFromFunctionCallbacks, CopyFunctionBuilder,
};
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::{extension::Extension, Result};
use questdb_storage::scan::{Filter, Reader, ScanPlan, Scanner};
use questdb_storage::table::closest;
use questdb_storage::types::ValueType;
use questdb_storage::Snapshot;

use super::resolve;
use crate::duckdb::errors::{binder, guard, to_duckdb};
use crate::duckdb::symbols::SymbolForm;
use crate::duckdb::vectors::{ColumnState, Output, CHUNK_ROWS};

/// Name of the format.
const FORMAT: &str = "questdb";

/// The format.
struct CopyFromQuestdb;

/// What to read.
pub struct BindData {
    snapshot: Snapshot,
    /// Column of the table for each of the target's, with its type.
    columns: Vec<(usize, ValueType)>,
}

/// The reading thread's state.
pub struct LocalState {
    reader: Reader,
    columns: Vec<ColumnState>,
}

/// Registers the format.
pub fn register(extension: &Extension) -> Result<()> {
    CopyFunctionBuilder::new(FORMAT, CopyFromQuestdb).with_progress().register_from(extension)
}

impl CopyFromFunctionCallbacks for CopyFromQuestdb {
    type BindData = BindData;
    type LocalState = LocalState;
    type GlobalState = Arc<Scanner>;

    fn bind(
        &self,
        context: &Context,
        file_path: &str,
        target: &CopyFromBindInfo,
    ) -> Result<(Self::BindData, Option<CopyFromCardinality>)> {
        guard(|| {
            let table_name = options(target)?;
            let table = resolve::table(context, file_path, table_name.as_deref())?;
            let snapshot = table.snapshot().map_err(to_duckdb)?;
            let columns =
                (0..target.column_count()?).map(|i| column(target, i, &snapshot)).collect::<Result<_>>()?;
            let rows = usize::try_from(snapshot.rows()).unwrap_or(usize::MAX);
            let cardinality = CopyFromCardinality { cardinality: rows, is_exact: true };
            Ok((BindData { snapshot, columns }, Some(cardinality)))
        })
    }

    fn init_global_state(
        &self,
        bound: &Self::BindData,
        _context: &Context,
    ) -> Result<(Option<Self::GlobalState>, Option<NonZeroUsize>)> {
        guard(|| {
            let projection: Vec<usize> = bound.columns.iter().map(|(index, _)| *index).collect();
            let plan = ScanPlan::new(&bound.snapshot, &projection, &Filter::all());
            Ok((Some(Scanner::new(vec![plan]).map_err(to_duckdb)?), Some(NonZeroUsize::MIN)))
        })
    }

    fn init_local_state(
        &self,
        bound: &Self::BindData,
        _context: &Context,
        global: Option<&Self::GlobalState>,
    ) -> Result<Option<Self::LocalState>> {
        let state = |(_, value_type): &(usize, ValueType)| match value_type {
            ValueType::Symbol => ColumnState::for_symbols(SymbolForm::Strings),
            _ => ColumnState::default(),
        };
        let columns = bound.columns.iter().map(state).collect();
        Ok(global.map(|scanner| LocalState { reader: Reader::new(scanner), columns }))
    }

    fn exec(
        &self,
        bound: &Self::BindData,
        _global: Option<&Self::GlobalState>,
        local: Option<&mut Self::LocalState>,
        context: &Context,
        output: DataChunkRef<'_>,
    ) -> Result<()> {
        guard(|| {
            let Some(LocalState { reader, columns }) = local else { return Ok(()) };
            let Some(chunk) = reader.next_chunk(CHUNK_ROWS).map_err(to_duckdb)? else {
                return Output::new(&output, 0)?.end();
            };
            let output = Output::new(&output, chunk.len())?;
            for (index, ((_, value_type), state)) in bound.columns.iter().zip(columns).enumerate() {
                let mut sink = output.column(index, *value_type, state)?;
                reader.read(&chunk, index, &mut sink).map_err(to_duckdb)?;
                sink.finish(context)?;
            }
            Ok(())
        })
    }

    fn progress(
        &self,
        _bound: &Self::BindData,
        global: Option<&Self::GlobalState>,
        _context: &Context,
    ) -> Result<Option<f64>> {
        Ok(global.map(|scanner| scanner.progress()))
    }
}

/// The only option: the table of a database root.
fn options(target: &CopyFromBindInfo) -> Result<Option<String>> {
    let mut table_name = None;
    for index in 0..target.option_count()? {
        let (name, value) = target.get_option(index)?;
        if !name.eq_ignore_ascii_case("table_name") {
            return Err(binder(format!(
                "Unknown option \"{name}\" for COPY … FROM … (FORMAT {FORMAT}): the only one is \"table_name\""
            )));
        }
        table_name = value.get::<String>()?;
    }
    Ok(table_name)
}

/// The column of the table for column `index` of the target.
fn column(target: &CopyFromBindInfo, index: usize, snapshot: &Snapshot) -> Result<(usize, ValueType)> {
    let (name, logical_type) = target.get_column(index)?;
    let found = snapshot.column_index(name).and_then(|i| Some((i, snapshot.columns().get(i)?)));
    let Some((position, column)) = found else {
        let hint = match closest(name, snapshot.columns().iter().map(|c| c.name.as_str())) {
            Some(close) => format!("Did you mean \"{close}\"?"),
            None => "List the columns to fill: COPY t (a, b) FROM …".to_owned(),
        };
        let table = snapshot.name();
        return Err(binder(format!(
            "QuestDB table \"{table}\" has no column \"{name}\" for the target. {hint}"
        )));
    };
    let (expected, found) = (logical_type.to_text()?, column.column_type.value_type(false));
    match found {
        Some(value_type) if value_type.sql() == expected => Ok((position, value_type)),
        _ => {
            let found = found.map_or_else(|| "of an unknown type".to_owned(), ValueType::sql);
            Err(binder(format!(
                "Column \"{name}\" is {expected} in the target and {found} in QuestDB table \"{}\". Use INSERT INTO … \
                 SELECT … FROM read_partitions(…) with a cast",
                snapshot.name()
            )))
        }
    }
}
