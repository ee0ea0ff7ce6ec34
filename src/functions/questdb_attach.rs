//! `PRAGMA questdb_attach('root', …)`: a schema with one view per table of a database.
//!
//! DuckDB's API has no ATTACH for extensions and gives them no connection, so the pragma returns the statements that make
//! the schema; DuckDB runs them in the caller's transaction. A view holds the table's directory and columns, never rows:
//! each query reads the table as it is then.

use duckdb_neo::bind_arguments::BindArguments;
use duckdb_neo::connection::Context;
use duckdb_neo::pragma_function::{PragmaFunctionBuilder, PragmaQueryCallbacks};
use duckdb_neo::signature::{FunctionDocumentationBuilder, SignatureBuilder};
use duckdb_neo::types::FromValue;
use duckdb_neo::{extension::Extension, Result};
use questdb_storage::{Database, Table};

use super::{read_partitions, resolve};
use crate::duckdb::arguments::named;
use crate::duckdb::errors::{binder, guard, to_duckdb};
use crate::duckdb::paths;

/// SQL name.
const NAME: &str = "questdb_attach";

/// Where the views go unless `schema` says otherwise.
pub const DEFAULT_SCHEMA: &str = "questdb";

/// Schemas that DuckDB does not let go.
const PERMANENT_SCHEMAS: [&str; 3] = ["main", "information_schema", "pg_catalog"];

/// The pragma.
struct QuestdbAttach;

/// A table that gets a view, or the reason why it does not.
struct Attached {
    table: Table,
    error: Option<String>,
}

/// Registers the pragma.
pub fn register(extension: &Extension) -> Result<()> {
    let signature = SignatureBuilder::new()
        .param(resolve::path_parameter())
        .param(named("schema", DEFAULT_SCHEMA.to_owned()))
        .param(named("overwrite", false))
        .param(named("system", false))
        .documentation(
            FunctionDocumentationBuilder::new()
                .description(
                    "Makes a schema with one view for each table of a QuestDB database root, and returns a row per \
                     table: the view, the table's directory and, when there is no view because the table cannot be \
                     read, the error. The views read the tables as they are at each query. Run the pragma again \
                     after tables were created, renamed or altered: views are replaced, those of tables that are \
                     gone stay. path: a database root. schema: name of the schema. overwrite: drops the schema and \
                     all that is in it first. system: the server's own tables too.",
                )
                .add_example("A database", "PRAGMA questdb_attach('/var/lib/questdb/db')")
                .add_example("Another name", "PRAGMA questdb_attach('db', schema = 'market', overwrite = true)")
                .add_category("questdb"),
        );
    PragmaFunctionBuilder::query(NAME, signature, QuestdbAttach).register(extension)
}

impl PragmaQueryCallbacks for QuestdbAttach {
    fn query(&self, context: &Context, arguments: BindArguments<'_>) -> Result<String> {
        guard(|| {
            let path: String = argument(&arguments, "path")?;
            let schema: String = argument(&arguments, "schema")?;
            let overwrite: bool = argument(&arguments, "overwrite")?;
            let system: bool = argument(&arguments, "system")?;
            if schema.is_empty() {
                return Err(binder(format!("Argument \"schema\" of {NAME} cannot be empty")));
            }
            if overwrite && PERMANENT_SCHEMAS.contains(&schema.to_lowercase().as_str()) {
                return Err(binder(format!("{NAME} cannot overwrite schema \"{schema}\": DuckDB needs it")));
            }
            attach(context, &path, &schema, overwrite, system)
        })
    }
}

/// The statements that make `schema` with the tables of `path`.
pub fn attach(context: &Context, path: &str, schema: &str, overwrite: bool, system: bool) -> Result<String> {
    let root = paths::expand(context, path)?;
    paths::check_access(context, &root)?;
    let tables = tables(&root, system)?;
    Ok(statements(schema, overwrite, &tables))
}

/// A constant argument, by name.
fn argument<T: FromValue>(arguments: &BindArguments<'_>, name: &str) -> Result<T> {
    let missing = || binder(format!("Argument \"{name}\" of {NAME} must be a constant that is not NULL"));
    let index = arguments.index(name)?.ok_or_else(missing)?;
    let value = arguments.value(index)?.ok_or_else(missing)?;
    value.get::<T>()?.ok_or_else(missing)
}

/// The tables of the database that have data. Views have none.
fn tables(root: &std::path::Path, system: bool) -> Result<Vec<Attached>> {
    let database = Database::open(root).map_err(to_duckdb)?;
    let listing = database.list().map_err(to_duckdb)?;
    let wanted = listing.iter().filter(|listed| !listed.is_view() && (system || !listed.is_system()));
    let tables: Vec<Attached> = wanted
        .map(|listed| {
            let table = database.open_listed(listed);
            // A table that cannot be read must not keep the others away.
            let error = table.snapshot().err().map(|error| error.to_string());
            Attached { table, error }
        })
        .collect();
    if tables.is_empty() {
        let error =
            questdb_storage::Error::new(questdb_storage::ErrorKind::NotFound, "database has no tables");
        return Err(to_duckdb(error.in_file(database.dir()).hint("questdb_tables lists what is there.")));
    }
    Ok(tables)
}

fn statements(schema: &str, overwrite: bool, tables: &[Attached]) -> String {
    let schema_name = identifier(schema);
    let mut sql = String::new();
    if overwrite {
        sql += &format!("DROP SCHEMA IF EXISTS {schema_name} CASCADE;\n");
    }
    sql += &format!("CREATE SCHEMA IF NOT EXISTS {schema_name};\n");
    let mut rows = Vec::new();
    for Attached { table, error } in tables {
        let view = format!("{schema_name}.{}", identifier(table.name()));
        let directory = literal(&table.dir().to_string_lossy());
        if error.is_none() {
            let scan = read_partitions::NAME;
            sql += &format!("CREATE OR REPLACE VIEW {view} AS SELECT * FROM {scan}({directory});\n");
        }
        let error = error.as_deref().map_or_else(|| "NULL".to_owned(), literal);
        rows.push(format!("({}, {}, {directory}, {error}::VARCHAR)", literal(schema), literal(table.name())));
    }
    sql + &format!(
        "SELECT * FROM (VALUES {}) AS attached(schema_name, view_name, directory, error)",
        rows.join(", ")
    )
}

/// A quoted identifier.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(identifier("a \"b\" c"), "\"a \"\"b\"\" c\"");
        assert_eq!(literal("it's"), "'it''s'");
    }
}
