//! Where files will be when they are published: row groups are described before that.

use std::sync::Arc;

use questdb_parquet::options::{Layout, Mode};
use questdb_parquet::sink::{LocalSink, PathOf, Shape};
use questdb_parquet::{Plan, RowGroupResult};

use crate::duckdb::listing::Cell;

/// The final paths of an export.
pub struct Paths {
    shape: Shape,
    path_of: PathOf,
}

impl Paths {
    /// The paths of `plan` in `sink`, and the plan when it is settled that there can be `several` files: then the
    /// destination is a directory even if there is only one in the end.
    pub fn of(mut plan: Plan, sink: &LocalSink, several: bool) -> (Plan, Self) {
        if several && plan.options.mode.is_none() {
            let mut options = (*plan.options).clone();
            options.mode = Some(Mode::MultiFile);
            plan.options = Arc::new(options);
        }
        let shape = match (plan.options.mode, plan.options.layout.unwrap_or_default()) {
            (Some(Mode::MultiFile), _) => Shape::Directory,
            (Some(Mode::SingleFile), _) | (None, Layout::Questdb) => Shape::File,
            (None, _) => Shape::Directory,
        };
        (plan, Self { shape, path_of: sink.paths() })
    }

    /// The result row of a row group.
    pub fn cells(&self, row: RowGroupResult) -> Vec<Cell> {
        let path = (self.path_of)(&row.relative, self.shape);
        vec![
            Cell::Text(path.to_string_lossy().into_owned()),
            row.partition.into(),
            row.index.into(),
            row.rows.into(),
            row.uncompressed.into(),
            row.bytes.into(),
        ]
    }
}
