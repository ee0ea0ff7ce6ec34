//! Exports as jobs: each has an id, steps that are logged, and an end that can be asked for.
//!
//! ```text
//! function   settings, description ──► Job ──► registry    one for the process: questdb_exports(), questdb_export_cancel()
//!   on DuckDB's threads: begin … end       │
//!   in the background:   Queue ──► thread ─┤               one queue for each database
//!                                          ▼
//!                                  phases ──► log          one for the process: questdb_export_log()
//! ```
//!
//! Nothing in here calls DuckDB once a job was made, so that a database can be closed while jobs run.

mod attended;
mod counters;
mod destination;
mod file;
mod id;
mod job;
pub mod log;
mod metrics;
mod outcome;
mod phase;
mod queue;
pub mod registry;
pub mod settings;
mod sink;

pub use attended::{Attended, EARLY};
pub use destination::{key, resolved, shown};
pub use id::JobId;
pub use job::{Description, Job, View, BY_USER, MOST_STARTS};
pub use outcome::{Outcome, Summary};
pub use queue::{Queue, Task};
pub use settings::Settings;
pub use sink::JobSink;

use duckdb_neo::{extension::Extension, Result};

/// Registers the settings.
pub fn register(extension: &Extension) -> Result<()> {
    settings::register(extension)
}
