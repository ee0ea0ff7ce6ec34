//! `questdb_check(path, …)`: damage to a table or a whole database.

use std::path::PathBuf;

use duckdb_neo::connection::Context;
use duckdb_neo::signature::{FunctionDocumentationBuilder, SignatureBuilder};
use duckdb_neo::Result;
use questdb_storage::check::{Check, Finding};
use questdb_storage::types::ValueType;

use super::resolve;
use crate::duckdb::arguments::{named, Arguments};
use crate::duckdb::errors::to_duckdb;
use crate::duckdb::host::Host;
use crate::duckdb::listing::{self, Cell, Listing};
use crate::duckdb::paths;

/// The function.
struct QuestdbCheck;

/// What to check.
struct Request {
    path: PathBuf,
    check: Check,
}

/// Registers the function.
pub fn register(host: &impl Host) -> Result<()> {
    listing::register(host, QuestdbCheck)
}

impl Listing for QuestdbCheck {
    type Request = Request;

    const NAME: &'static str = "questdb_check";

    const COLUMNS: &'static [(&'static str, ValueType)] = &[
        ("severity", ValueType::Text),
        ("table_name", ValueType::Text),
        ("partition", ValueType::Text),
        ("column_name", ValueType::Text),
        ("file", ValueType::Text),
        ("offset", ValueType::Int64),
        ("problem", ValueType::Text),
        ("expected", ValueType::Text),
        ("found", ValueType::Text),
    ];

    fn signature() -> SignatureBuilder {
        SignatureBuilder::new()
            .param(resolve::path_parameter())
            .param(resolve::table_name_parameter())
            .param(named("deep", false))
            .documentation(
                FunctionDocumentationBuilder::new()
                    .description(
                        "Checks a QuestDB table, or all tables of a database root, and returns one row per damage: \
                         its severity ('error': some query fails or would be wrong, 'warning'), table, partition, \
                         column, file and offset, the problem, what the format expects and what was found. No row \
                         means that nothing is wrong. path: a table directory or a database root. table_name: only \
                         this table of a database root. deep: reads every value (offsets, UTF-8, symbol keys, \
                         order of timestamps, indexes against their columns, pages of Parquet partitions) instead \
                         of the record files, symbol tables, lengths of column files and first values.",
                    )
                    .add_example("A database", "FROM questdb_check('/var/lib/questdb/db')")
                    .add_example("Every value", "FROM questdb_check('db/trades~12', deep := true)")
                    .add_category("questdb"),
            )
    }

    fn bind(&self, context: &Context, mut arguments: Arguments) -> Result<Request> {
        let path: String = arguments.required("path")?;
        let table_name = resolve::table_name(&mut arguments)?;
        let deep = arguments.switch("deep")?;
        let path = paths::expand(context, &path)?;
        paths::check_access(context, &path)?;
        if !path.exists() {
            let missing =
                questdb_storage::Error::new(questdb_storage::ErrorKind::NotFound, "directory does not exist");
            return Err(to_duckdb(missing.in_file(&path)));
        }
        Ok(Request { path, check: Check { deep, table_name } })
    }

    fn rows(&self, request: &Request) -> questdb_storage::Result<Vec<Vec<Cell>>> {
        Ok(request.check.run(&request.path)?.iter().map(row).collect())
    }
}

fn row(finding: &Finding) -> Vec<Cell> {
    let place = finding.error.place();
    let (expected, found) = finding.error.expected_and_found();
    let text = |value: Option<&str>| value.map_or(Cell::Null, Cell::from);
    vec![
        finding.severity.to_string().into(),
        text(place.table.as_deref()),
        text(place.partition.as_deref()),
        text(place.column.as_deref()),
        place.file.as_ref().map_or(Cell::Null, |file| file.to_string_lossy().into_owned().into()),
        place.offset.into(),
        finding.error.problem().into(),
        text(expected),
        text(found),
    ]
}
