//! `questdb_symbols(path, column)`: the symbol table of a column.

use duckdb_neo::connection::Context;
use duckdb_neo::signature::{FunctionDocumentationBuilder, FunctionParameter, SignatureBuilder};
use duckdb_neo::Result;
use questdb_storage::table::closest;
use questdb_storage::types::ValueType;
use questdb_storage::{Error, Snapshot, Table};

use super::resolve;
use crate::duckdb::arguments::Arguments;
use crate::duckdb::errors::{binder, to_duckdb};
use crate::duckdb::host::Host;
use crate::duckdb::listing::{self, Cell, Listing};

/// The function.
struct QuestdbSymbols;

/// Whose symbols.
struct Request {
    table: Table,
    column: String,
}

/// Registers the function.
pub fn register(host: &impl Host) -> Result<()> {
    listing::register(host, QuestdbSymbols)
}

impl Listing for QuestdbSymbols {
    type Request = Request;

    const NAME: &'static str = "questdb_symbols";

    const COLUMNS: &'static [(&'static str, ValueType)] =
        &[("key", ValueType::Int32), ("value", ValueType::Text)];

    fn signature() -> SignatureBuilder {
        SignatureBuilder::new()
            .param(resolve::path_parameter())
            .param(FunctionParameter::new::<String>("column"))
            .param(resolve::table_name_parameter())
            .documentation(
                FunctionDocumentationBuilder::new()
                    .description(format!(
                        "Lists the symbol table of a SYMBOL column of a QuestDB table: each distinct value that was \
                         ever stored, with its key, in order of keys. {} column: a SYMBOL column of the table, \
                         whatever its case.",
                        resolve::PATH_HELP
                    ))
                    .add_example("A table", "FROM questdb_symbols('db/trades~12', 'symbol')")
                    .add_example("By name", "FROM questdb_symbols('db', 'symbol', table_name := 'trades')")
                    .add_category("questdb"),
            )
    }

    fn bind(&self, context: &Context, mut arguments: Arguments) -> Result<Request> {
        let path: String = arguments.required("path")?;
        let column: String = arguments.required("column")?;
        let table_name = resolve::table_name(&mut arguments)?;
        let table = resolve::table(context, &path, table_name.as_deref())?;
        let snapshot = table.snapshot().map_err(to_duckdb)?;
        symbol_column(&snapshot, &column).map_err(|e| binder(e.to_string()))?;
        Ok(Request { table, column })
    }

    fn rows(&self, request: &Request) -> questdb_storage::Result<Vec<Vec<Cell>>> {
        resolve::current(&request.table, |snapshot| {
            let symbols = snapshot.symbols(symbol_column(snapshot, &request.column)?)?;
            let values = symbols.iter().flat_map(|symbols| symbols.iter());
            Ok(values.enumerate().map(|(key, value)| vec![key.into(), value.into()]).collect())
        })
    }
}

/// Position of the SYMBOL column called `name`.
fn symbol_column(snapshot: &Snapshot, name: &str) -> questdb_storage::Result<usize> {
    let found = snapshot.column_index(name).and_then(|index| Some((index, snapshot.columns().get(index)?)));
    let error = match found {
        Some((index, column)) if column.symbols.is_some() => return Ok(index),
        Some((_, column)) => {
            Error::invalid_input(format!("column \"{name}\" is of type {}, not SYMBOL", column.column_type))
        }
        None => {
            let error = Error::invalid_input(format!("column \"{name}\" does not exist"));
            match closest(name, snapshot.columns().iter().map(|c| c.name.as_str())) {
                Some(close) => error.hint(format!("Did you mean \"{close}\"?")),
                None => error,
            }
        }
    };
    let symbols = snapshot.columns().iter().filter(|c| c.symbols.is_some());
    let symbols: Vec<String> = symbols.map(|c| format!("\"{}\"", c.name)).collect();
    let hint = match symbols.as_slice() {
        [] => "The table has no SYMBOL columns.".to_owned(),
        symbols => format!("The table's SYMBOL columns: {}.", symbols.join(", ")),
    };
    Err(error.in_table(snapshot.name()).in_file(snapshot.dir()).hint(hint))
}
