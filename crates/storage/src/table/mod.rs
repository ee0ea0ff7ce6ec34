//! One committed state of a table: [`Database`] → [`Table`] → [`Snapshot`] → partitions and columns.

mod column;
mod database;
mod layout;
mod partition;
mod remains;
mod snapshot;
mod structure;
#[allow(clippy::module_inception)]
mod table;
mod watch;

pub use column::{Column, SymbolFiles};
pub use database::{closest, Database, Listed, Listing};
pub(crate) use partition::{missing as missing_file, PARQUET_FILE};
pub use partition::{ColumnRows, DetachedPartition, Partition};
pub use remains::Remains;
pub use snapshot::{Snapshot, SnapshotMode};
pub use table::Table;
pub use watch::Watch;
