//! Destinations: how they are opened, and where files will be when they are published; row groups are described before that.

use std::path::Path;
use std::sync::Arc;

use duckdb_neo::connection::Context;
use duckdb_neo::Result;
use questdb_parquet::options::{Layout, Mode};
use questdb_parquet::sink::{self, Address, PathOf, Shape, Sink};
use questdb_parquet::{Options, Plan, RowGroupResult};

use crate::duckdb::errors::export_error;
use crate::duckdb::listing::Cell;
use crate::duckdb::paths;
use crate::jobs;

/// The final paths of an export.
pub struct Paths {
    shape: Shape,
    path_of: PathOf,
}

/// Opens `destination` for `plan`. When there can be `several` files it is a directory, even if there is only one in the
/// end; the plan that is returned says so.
pub fn open(destination: &Path, mut plan: Plan, several: bool) -> Result<(Plan, Box<dyn Sink>, Paths)> {
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
    let sink = sink::open(destination, &plan).map_err(export_error)?;
    let paths = Paths { shape, path_of: sink.paths() };
    Ok((plan, sink, paths))
}

/// The destination of an export: a place in a bucket, or an absolute local path.
pub fn address_of(context: &Context, destination: &str, options: &Options) -> Result<Address> {
    if options.storage.is_some() {
        paths::ask_network(context, destination)?;
        return sink::address(Path::new(destination), options).map_err(export_error);
    }
    paths::refuse_remote(context, destination)?;
    let path = paths::expand(context, destination)?;
    paths::ask(context, &path)?;
    Ok(Address { path, endpoint: None })
}

/// What two destinations share when they are the same place.
pub fn key(address: &Address) -> String {
    match &address.endpoint {
        Some(endpoint) => format!("{endpoint} {}", address.path.display()),
        None => jobs::key(&address.path),
    }
}

impl Paths {
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
