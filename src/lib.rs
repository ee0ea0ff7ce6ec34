//! `questdb`: a DuckDB extension that reads QuestDB's table directories.
//!
//! This file registers the functions, nothing more. `functions` holds one module per SQL function, written
//! against the thin layer of `duckdb`, the only place that talks to DuckDB's API; everything about
//! QuestDB's files is in the crate `questdb-storage`.

#![deny(unsafe_code)]

mod copy;
mod duckdb;
mod functions;
mod jobs;

use duckdb_neo::{duckdb_entrypoint_c_api_v2, extension::Extension};

#[allow(unsafe_code, missing_docs)]
mod entry {
    use super::*;

    #[duckdb_entrypoint_c_api_v2(extension_name = "questdb", api_version = "v2.0.0")]
    fn entrypoint(extension: &Extension) -> duckdb_neo::Result<()> {
        functions::register(extension)?;
        copy::register(extension)
    }
}
