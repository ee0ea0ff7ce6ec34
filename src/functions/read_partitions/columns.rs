//! The columns that a scan declares, and where each table has them.

use std::sync::Arc;

use duckdb_neo::connection::Context;
use duckdb_neo::error::Error;
use duckdb_neo::logical_type::LogicalType;
use duckdb_neo::{Parameters, QueryParameter, Result};
use questdb_storage::scan::Projected;
use questdb_storage::types::ValueType;
use questdb_storage::Snapshot;

use crate::duckdb::errors::{binder, to_duckdb};
use crate::duckdb::symbols::{EnumPositions, SymbolForm};

/// What a declared column holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// Values of the tables.
    Data {
        /// Their type; `None` when this version cannot read it, which is an error only when it is read.
        value_type: Option<ValueType>,
        /// Position in each table.
        positions: Vec<Projected>,
        /// How symbols are written.
        symbols: SymbolForm,
    },
    /// The table's directory.
    Filename,
    /// The row's position in its table.
    RowNumber,
    /// The partition's name.
    PartitionName,
    /// The partition's format.
    PartitionFormat,
}

/// A declared column.
#[derive(Debug, Clone)]
pub struct OutputColumn {
    /// Name.
    pub name: String,
    /// Content.
    pub content: Content,
}

/// Which columns are wanted.
#[derive(Debug, Clone, Copy)]
pub struct ColumnOptions {
    /// SYMBOL as ENUM.
    pub enums: bool,
    /// Numbers and bytes instead of text forms.
    pub raw_types: bool,
    /// Columns of all tables instead of the first one's.
    pub union_by_name: bool,
    /// Add the directory.
    pub filename: bool,
    /// Add the row's position.
    pub file_row_number: bool,
    /// Add the partition's name and format.
    pub partition: bool,
}

/// The columns of a scan of `tables`.
pub fn declare(tables: &[Snapshot], options: ColumnOptions) -> Result<Vec<OutputColumn>> {
    let mut columns: Vec<OutputColumn> = Vec::new();
    let named = if options.union_by_name { tables } else { tables.get(..1).unwrap_or_default() };
    for snapshot in named {
        for column in snapshot.columns() {
            if !columns.iter().any(|c| same_name(&c.name, &column.name)) {
                columns.push(data_column(tables, &column.name, options)?);
            }
        }
    }
    if options.enums {
        make_enums(tables, &mut columns)?;
    }
    let extra = [
        (options.filename, "filename", Content::Filename),
        (options.file_row_number, "file_row_number", Content::RowNumber),
        (options.partition, "partition", Content::PartitionName),
        (options.partition, "partition_format", Content::PartitionFormat),
    ];
    for (wanted, name, content) in extra {
        if !wanted {
            continue;
        }
        if columns.iter().any(|c| same_name(&c.name, name)) {
            return Err(binder(format!(
                "The table has a column \"{name}\" of its own: the column of that name cannot be added"
            )));
        }
        columns.push(OutputColumn { name: name.to_owned(), content });
    }
    Ok(columns)
}

fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

/// The column `name` of all tables, which must agree on its type.
fn data_column(tables: &[Snapshot], name: &str, options: ColumnOptions) -> Result<OutputColumn> {
    let mut positions = Vec::with_capacity(tables.len());
    let mut first: Option<(&Snapshot, Option<ValueType>)> = None;
    for snapshot in tables {
        let found = snapshot.column_index(name).and_then(|i| Some((i, snapshot.columns().get(i)?)));
        let Some((index, column)) = found else {
            if !options.union_by_name {
                let list = snapshot.columns().iter().map(|c| format!("\"{}\"", c.name)).collect::<Vec<_>>();
                return Err(binder(format!(
                    "Table \"{}\" ({}) has no column \"{name}\", which the first table has; it has {}. Set \
                     union_by_name := true to read NULL there",
                    snapshot.name(),
                    snapshot.dir().display(),
                    list.join(", ")
                )));
            }
            positions.push(Projected::Missing);
            continue;
        };
        let value_type = column.column_type.value_type(options.raw_types);
        match first {
            None => first = Some((snapshot, value_type)),
            Some((other, expected)) if alike(expected, value_type) => {
                let _ = other;
            }
            Some((other, expected)) => {
                let sql =
                    |t: Option<ValueType>| t.map_or_else(|| "an unknown type".to_owned(), ValueType::sql);
                return Err(binder(format!(
                    "Column \"{name}\" is {} in table \"{}\" and {} in table \"{}\": cast one of them and unite the \
                     tables with UNION ALL BY NAME",
                    sql(expected),
                    other.name(),
                    sql(value_type),
                    snapshot.name()
                )));
            }
        }
        positions.push(Projected::Column(index));
    }
    let value_type = first.and_then(|(_, value_type)| value_type);
    let content = Content::Data { value_type, positions, symbols: SymbolForm::Strings };
    Ok(OutputColumn { name: name.to_owned(), content })
}

/// Whether values of two tables can stand in one column.
fn alike(a: Option<ValueType>, b: Option<ValueType>) -> bool {
    let text = |t| matches!(t, Some(ValueType::Text | ValueType::Symbol));
    a == b || (text(a) && text(b))
}

/// Turns SYMBOL columns into ENUMs of their table's symbols.
fn make_enums(tables: &[Snapshot], columns: &mut [OutputColumn]) -> Result<()> {
    for column in columns {
        let Content::Data { value_type: Some(ValueType::Symbol), positions, symbols } = &mut column.content
        else {
            continue;
        };
        let (Some(snapshot), [Projected::Column(index)]) = (tables.first(), positions.as_slice()) else {
            return Err(binder(
                "symbols := 'enum' needs a single table: the ENUMs of two tables are different types",
            ));
        };
        let table = snapshot.symbols(*index).map_err(to_duckdb)?;
        // An ENUM needs at least one value.
        if let Some(table) = table.filter(|table| !table.is_empty()) {
            *symbols = SymbolForm::Enum(Arc::new(EnumPositions::new(&table)));
        }
    }
    Ok(())
}

impl OutputColumn {
    /// The DuckDB type.
    pub fn logical_type(&self, context: &Context) -> Result<LogicalType> {
        match &self.content {
            Content::Data { symbols: SymbolForm::Enum(positions), .. } => {
                let values: Vec<&dyn QueryParameter> =
                    positions.values.iter().map(|v| v as &dyn QueryParameter).collect();
                LogicalType::create(context, "ENUM", Parameters::positional(&values))
            }
            // A column of an unknown type is declared, so that the others can be read.
            Content::Data { value_type, .. } => {
                LogicalType::from_text(context, &value_type.map_or_else(|| "BLOB".to_owned(), ValueType::sql))
            }
            Content::RowNumber => LogicalType::from_text(context, "BIGINT"),
            _ => LogicalType::from_text(context, "VARCHAR"),
        }
    }

    /// Whether two columns were declared with the same name and type.
    pub fn is_declared_like(&self, other: &Self) -> bool {
        self.name == other.name
            && match (&self.content, &other.content) {
                (
                    Content::Data { value_type: a, symbols: x, .. },
                    Content::Data { value_type: b, symbols: y, .. },
                ) => {
                    a == b
                        && match (x, y) {
                            (SymbolForm::Strings, SymbolForm::Strings) => true,
                            (SymbolForm::Enum(x), SymbolForm::Enum(y)) => x.values == y.values,
                            _ => false,
                        }
                }
                (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
            }
    }

    /// Type of the values, as far as filters are concerned.
    pub fn filter_type(&self) -> Option<ValueType> {
        match &self.content {
            Content::Data { value_type, .. } => *value_type,
            _ => None,
        }
    }

    /// Position in table `table`; `None` for columns that tables do not have.
    pub fn position(&self, table: usize) -> Option<Projected> {
        match &self.content {
            Content::Data { positions, .. } => positions.get(table).copied(),
            _ => None,
        }
    }
}

/// The error of a column number that was never declared.
pub fn undeclared(index: usize) -> Error {
    Error::internal(format!("scan was asked for column {index}, which it did not declare"))
}
