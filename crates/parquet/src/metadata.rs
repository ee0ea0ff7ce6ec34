//! Key-value metadata, sorting columns and column orders of a file.

use std::fmt::Write as _;

use parquet::basic::Type as Physical;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::schema::types::SchemaDescriptor;

use crate::error::{Error, Result};
use crate::options::Options;
use crate::schema::{code, ExportSchema};

/// The key under which QuestDB keeps its column types.
pub const QUESTDB_KEY: &str = "questdb";

/// `created_by` of every file.
pub const CREATED_BY: &str = concat!("questdb-parquet version ", env!("CARGO_PKG_VERSION"));

/// QuestDB's JSON: one entry for each column, in file order. `None` unless every column has a type code: the server takes a
/// file with the key for its own.
pub fn questdb_json(schema: &ExportSchema) -> Option<String> {
    let mut json = String::from("{\"version\":1,\"schema\":[");
    for (index, column) in schema.columns.iter().enumerate() {
        let mut code = column.hint.questdb_type?;
        if column.hint.designated {
            code |= code::DESIGNATED;
        }
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(json, "{comma}{{\"column_type\":{code},\"column_top\":0");
        if column.hint.is_symbol() {
            json.push_str(",\"format\":1");
        }
        if let Some(ascii) = column.hint.ascii.filter(|_| column.hint.tag() == Some(code::VARCHAR)) {
            let _ = write!(json, ",\"ascii\":{ascii}");
        }
        json.push('}');
    }
    json.push_str("]}");
    Some(json)
}

/// All key-value pairs of a file.
pub fn key_values(schema: &ExportSchema, options: &Options) -> Option<Vec<KeyValue>> {
    let own = questdb_json(schema).map(|json| KeyValue::new(QUESTDB_KEY.to_owned(), json));
    let given = options.kv_metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let all: Vec<KeyValue> = own.into_iter().chain(given).collect();
    (!all.is_empty()).then_some(all)
}

/// What the rows are sorted by: as said, else by the designated timestamp.
pub fn sorting_columns(schema: &ExportSchema, options: &Options) -> Result<Option<Vec<SortingColumn>>> {
    let leaf = |index: usize| -> Result<i32> {
        let before: usize = schema.columns.iter().take(index).map(|column| column.descr.num_columns()).sum();
        i32::try_from(before).map_err(|_| Error::internal("too many columns"))
    };
    let sorted: Vec<SortingColumn> = match &options.sorted {
        Some(named) => named
            .iter()
            .map(|by| {
                let index =
                    schema.index_of(&by.column).ok_or_else(|| Error::internal("a sorting column is gone"))?;
                Ok(SortingColumn { column_idx: leaf(index)?, descending: by.descending, nulls_first: false })
            })
            .collect::<Result<_>>()?,
        None => match schema.columns.iter().position(|column| column.hint.designated) {
            Some(index) => {
                vec![SortingColumn { column_idx: leaf(index)?, descending: false, nulls_first: false }]
            }
            None => Vec::new(),
        },
    };
    Ok((!sorted.is_empty()).then_some(sorted))
}

/// Turns the column orders of floating-point columns into the type-defined one.
///
/// The library writes the new IEEE 754 total order for them, a union member that readers of 2025 and before reject or do not
/// trust. The statistics are right under the old order too (no NaN, zeros of both signs; `crate::statistics`). A footer ends so:
///
/// ```text
/// … 0x19 list header | 3 bytes per leaf: 0x1c 0x00 0x00 (type) or 0x2c 0x00 0x00 (IEEE 754) | 0x00 | length u32 | "PAR1"
/// ```
pub fn type_defined_orders(tail: &mut [u8], schema: &SchemaDescriptor) -> Result<()> {
    const AFTER: usize = 1 + 4 + 4;
    const ORDER: usize = 3;
    let wrong = || Error::internal("the footer does not end in column orders");
    let start = tail.len().checked_sub(AFTER + ORDER * schema.num_columns()).ok_or_else(wrong)?;
    let orders = tail.get_mut(start..).ok_or_else(wrong)?;
    for (leaf, order) in schema.columns().iter().zip(orders.chunks_exact_mut(ORDER)) {
        match (leaf.physical_type(), &*order) {
            (_, [0x1c, 0, 0]) | (Physical::INT96, [_, 0, 0]) => {}
            (_, [0x2c, 0, 0]) => order.copy_from_slice(&[0x1c, 0, 0]),
            _ => return Err(wrong()),
        }
    }
    Ok(())
}
