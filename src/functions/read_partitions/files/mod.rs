//! `read_partitions` of Parquet files without a table around them.

mod bind;
mod columns;
mod keys;
mod options;
mod scan;

pub use bind::{bind, BoundFiles};
pub use options::FileArguments;
pub use scan::{FilesGlobal, FilesLocal};
