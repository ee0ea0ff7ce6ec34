//! Scans of a table in memory, in every way that queries use.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use questdb_storage::scan::{CompareOp, Damage, Filter, Literal, ScanPlan, Scanner};
use questdb_storage::source::Files;
use questdb_storage::table::SnapshotMode;
use questdb_storage::types::ValueType;
use questdb_storage::{arrow, Error, Result, Snapshot, Table};

use crate::arrays;

/// Rows of a batch, and batches after which a scan is left: a table may say that it has any number of rows.
const BATCH: usize = 2048;
const MOST_BATCHES: usize = 500;

/// The state of the table in `dir`.
pub fn snapshot(dir: &Path, files: Arc<dyn Files>) -> Result<Snapshot> {
    Table::open_with(dir, files)?.snapshot_in(SnapshotMode::Unchecked)
}

/// The batches of the columns at positions `columns`, checked; `None` when it is too many.
pub fn batches(
    snapshot: &Snapshot,
    columns: &[usize],
    filter: &Filter,
    lenient: bool,
) -> Result<Option<Vec<Vec<ArrayRef>>>> {
    let plan = ScanPlan::new(snapshot, columns, filter);
    let damage = if lenient { Damage::lenient() } else { Damage::default() };
    let scanner = Scanner::with_damage(vec![plan], Arc::new(damage))?;
    let mut found = Vec::new();
    for batch in arrow::batches(&scanner, BATCH)? {
        let batch = batch.map_err(decoded)?;
        batch.columns().iter().for_each(|array| arrays::check(array, batch.num_rows()));
        found.push(batch.columns().to_vec());
        if found.len() > MOST_BATCHES {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// Panics when values were found good that make no array: what DuckDB would be given, too.
fn decoded(error: Error) -> Error {
    assert!(!error.to_string().contains("cannot build an Arrow array"), "{error}");
    error
}

fn rows(batches: &[Vec<ArrayRef>]) -> u64 {
    batches.iter().filter_map(|columns| columns.first()).map(|array| array.len() as u64).sum()
}

/// Scans the columns, strictly and leniently, and with some filters, which `bytes` choose. All rows come or none, and never
/// more with a filter. `part`: only those rows, of which there are `all`.
pub fn all_ways(snapshot: &Snapshot, columns: &[usize], (part, all): (&Filter, u64), bytes: &[u8]) {
    if columns.is_empty() {
        return;
    }
    let strict = batches(snapshot, columns, part, false);
    let lenient = batches(snapshot, columns, part, true);
    if let Ok(Some(strict)) = &strict {
        // A Parquet file may hold fewer rows than `_txn` says (docs/format.md §9.1).
        let found = rows(strict);
        assert!(found == all || has_parquet(snapshot) && found < all, "{found} of {all} rows");
        if let Ok(Some(lenient)) = &lenient {
            assert_eq!(rows(lenient), found, "lenient, though nothing is damaged");
        }
    }
    if let Ok(Some(lenient)) = &lenient {
        assert!(rows(lenient) <= all);
    }
    for filter in some(filters(snapshot, columns[0]), bytes) {
        let both = Filter::And(vec![part.clone(), filter.clone()]);
        if let (Ok(Some(strict)), Ok(Some(some))) = (&strict, &batches(snapshot, columns, &both, false)) {
            assert!(rows(some) <= rows(strict), "{filter:?}");
        }
    }
}

/// The rows of the partition at position `index`.
pub fn of_partition(snapshot: &Snapshot, index: usize) -> (Filter, u64) {
    let partition = &snapshot.partitions()[index];
    let end = |op, value: i64| {
        snapshot.timestamp().map(|column| Filter::Compare { column, op, value: Literal::Int(value.into()) })
    };
    let ends = [end(CompareOp::Ge, partition.lower), end(CompareOp::Le, partition.upper)];
    (Filter::And(ends.into_iter().flatten().collect()), partition.rows())
}

/// Every third one of `all`, to begin where `bytes` say.
pub fn some<T>(all: Vec<T>, bytes: &[u8]) -> impl Iterator<Item = T> {
    all.into_iter().skip(bytes.len() % 3).step_by(3)
}

fn has_parquet(snapshot: &Snapshot) -> bool {
    snapshot.partitions().iter().any(|partition| partition.entry.parquet)
}

/// Conditions on the column at position `index`.
fn filters(snapshot: &Snapshot, index: usize) -> Vec<Filter> {
    let value_type = snapshot.columns().get(index).and_then(|column| column.column_type.value_type(false));
    let first = snapshot.symbols(index).ok().flatten().and_then(|table| Some(table.get(0)?.to_owned()));
    let time = snapshot.txn().max_timestamp.unwrap_or_default();
    let mut filters = of_type(index, value_type, first.as_deref().unwrap_or("a"));
    if let Some(column) = snapshot.timestamp() {
        filters.push(Filter::Compare { column, op: CompareOp::Ge, value: Literal::Int(time.into()) });
    }
    filters
}

/// Conditions on a column that is compared as `value_type`; some rows of the seeds satisfy them.
pub fn of_type(column: usize, value_type: Option<ValueType>, text: &str) -> Vec<Filter> {
    let values = match value_type {
        None | Some(ValueType::Doubles { .. } | ValueType::Text | ValueType::Blob) => return Vec::new(),
        Some(ValueType::Float32 | ValueType::Float64) => vec![Literal::Float(8.0)],
        Some(ValueType::Uuid | ValueType::UInt128) => vec![Literal::UInt(7)],
        Some(ValueType::Symbol) => vec![Literal::Text(text.to_owned())],
        Some(_) => [8, 1_704_067_200_010_989, 1_709_164_800_000_000].map(Literal::Int).to_vec(),
    };
    let of_value = |value: &Literal| {
        let compare = |op| Filter::Compare { column, op, value: value.clone() };
        [
            compare(CompareOp::Eq),
            Filter::And(vec![compare(CompareOp::Gt), Filter::IsNull { column, negated: true }]),
        ]
    };
    let mut filters: Vec<Filter> = values.iter().flat_map(of_value).collect();
    filters.push(Filter::In { column, values, negated: false });
    filters
}
