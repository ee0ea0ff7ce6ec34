//! Reads QuestDB's table directories without a server.
//!
//! Data flows one way through the crate:
//!
//! ```text
//! source   bytes of files (mapping, positional reads, test doubles)
//!   format   one module per on-disk record, each checked as it is parsed (docs/format.md §1–§5, §8, §10)
//!     table    Database → Table → Snapshot: one committed state, every count and name validated
//!       parquet  row groups of Parquet partitions → native layout (docs/format.md §9)
//!       scan     filter → prune → ScanPlan (pure) → morsels → rows
//!         types    one module per column type: bytes → a [`types::ColumnSink`]
//!           arrow    the sink that makes Arrow arrays (DuckDB's vectors are the other one, in the extension)
//! ```
//!
//! ```no_run
//! use questdb_storage::{Database, arrow, scan::{Filter, ScanPlan, Scanner}};
//!
//! # fn main() -> questdb_storage::Result<()> {
//! let table = Database::open("/var/lib/questdb/db")?.table("trades")?;
//! let snapshot = table.snapshot()?;
//! let plan = ScanPlan::new(&snapshot, &[0, 1], &Filter::all());
//! for batch in arrow::batches(&Scanner::new(vec![plan])?, 65_536)? {
//!     println!("{} rows", batch?.num_rows());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`check`] goes through all of it and reports damage instead of stopping.
//!
//! Nothing on disk can make this crate panic, allocate by an unchecked number, or read outside a
//! file: every error is an [`Error`] that says in which table, partition, column, file and offset.

#![deny(unsafe_code)]

pub mod arrow;
pub mod check;
pub mod dataset;
pub mod error;
pub mod format;
pub mod parquet;
pub mod scan;
pub mod source;
pub mod table;
pub mod types;

pub use error::{Error, ErrorKind, Result};
pub use table::{Database, Snapshot, Table};
