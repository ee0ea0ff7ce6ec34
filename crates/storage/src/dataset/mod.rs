//! Parquet files without a table around them: exports of QuestDB, of this extension, of anything else.
//!
//! ```text
//! discover  directories → files in the order of rows, with what their names say
//!   name      2024-01-01, 2024-W03, 2024-01-01T05: the time a name stands for
//!   hive      year=2024/month=1/sym=A: keys and values of directories
//! file      footer → columns: QuestDB's types by its own key-value entry, others by their Parquet type
//!   schema    annotations that the decoder does not know, made plain or named
//!   leaf      a Parquet type → the Arrow type that is handed on, its name in SQL, and how to get there
//!   convert   Arrow arrays of the decoder → Arrow arrays that are handed on
//! declared  the columns of a scan, and where a file has them
//! scan      files and row groups in order, to any number of threads
//!   pruning     names, statistics, bloom filters: what cannot hold a row of the filter
//!   selection   the rows of a row group that the pages' bounds leave
//!   reader      one thread: a row group in blocks, a block in chunks
//!   group       a row group at work
//!   column      one column of it: decoded in blocks
//!   fetch       its column chunks, or the pages of them that are needed, checked
//! ```
//!
//! A column of QuestDB's takes the way of Parquet partitions ([`crate::parquet`]): the native layout and its decoders.
//! Every other column is an Arrow array, which the caller takes as it is.

mod column;
mod convert;
mod declared;
mod discover;
mod fetch;
mod file;
mod group;
mod hive;
mod leaf;
mod name;
mod pruning;
mod reader;
mod scan;
mod schema;
mod selection;

pub use declared::{DataColumn, ScanColumn};
pub use discover::{files_of, is_dataset, is_parquet_name, sorted, FoundFile};
pub use file::{ColumnKind, ExportFile, FileColumn};
pub use leaf::Plain;
pub use reader::{FileChunk, FileReader, Values};
pub use scan::{FileScan, ReadOptions};
