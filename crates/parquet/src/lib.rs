//! Arrow batches as Parquet files, with exact row groups, or as JSON lines.
//!
//! ```text
//! options   text → types, one table          schema   Arrow + hints → Parquet        policy   encoding of each column
//!
//! Export::write(batch)                                     RowGroupEncoder (any thread of the caller)
//!   layout    rows → partitions                              encode    columns → chunks on that thread
//!   limits    rows → row groups                              │
//!   lane, pool, encode   columns → chunks, in parallel       │
//!   └──────────────► ordered   row groups by number ◄────────┘
//!                      dataset   rotation, open files, names
//!                        file      one Parquet file, metadata    json      one file of JSON lines
//!                          sink      temporary files, published together
//! ```
//!
//! Rows in order, on a pool of threads:
//!
//! ```
//! use std::sync::{atomic::AtomicBool, Arc};
//! use arrow_array::{Int64Array, RecordBatch};
//! use questdb_parquet::{options::Context, Export, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = std::env::temp_dir().join(format!("questdb-parquet-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory)?;
//! let batch = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from_iter_values(0..250)) as _)])?;
//! let options = Options::parse([("row_group_size".to_owned(), 100.into())], Context::Function)?;
//! let cancel = Arc::new(AtomicBool::new(false));
//! let mut export = Export::create(directory.join("numbers"), batch.schema(), &[], options, 2, cancel)?;
//! export.write(&batch)?;
//! let result = export.finish()?;
//! assert_eq!(result.row_groups.iter().map(|group| group.rows).collect::<Vec<_>>(), [100, 100, 50]);
//! assert!(result.files[0].path.ends_with("numbers.parquet"));
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok(())
//! # }
//! ```
//!
//! Row groups encoded by the caller's own threads, each numbered by its place in the output:
//!
//! ```
//! use std::sync::{atomic::AtomicBool, Arc};
//! use arrow_array::{Int64Array, RecordBatch};
//! use questdb_parquet::{sink::LocalSink, layout::Partition, Options, OrderedWriter, Plan, RowGroupEncoder};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = std::env::temp_dir().join(format!("questdb-parquet-doc2-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory)?;
//! let batch = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from_iter_values(0..100)) as _)])?;
//! let plan = Plan::new(batch.schema(), &[], Options::default(), Arc::new(AtomicBool::new(false)))?;
//! let sink = LocalSink::create(&directory.join("numbers"), &plan.options)?;
//! let plan = plan.with_scratch(&sink);
//! let writer = OrderedWriter::new(&plan, Box::new(sink), plan.unit(), 4);
//! std::thread::scope(|scope| {
//!     for number in 0..3 {
//!         let (plan, writer, batch) = (&plan, &writer, &batch);
//!         scope.spawn(move || {
//!             let mut encoder = RowGroupEncoder::new(plan, Partition::Whole);
//!             encoder.append(batch)?;
//!             match encoder.finish()? {
//!                 Some(group) => writer.push(number, group),
//!                 None => writer.skip(number),
//!             }
//!         });
//!     }
//! });
//! assert_eq!(writer.finish()?.rows, 300);
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok(())
//! # }
//! ```
//!
//! The crate knows nothing of DuckDB or of QuestDB's files; what QuestDB's columns are, [`ColumnHint`]s say. Chunks that were
//! encoded elsewhere enter a row group as [`encode::EncodedChunk::Ready`].

#![forbid(unsafe_code)]

pub mod adapt;
pub mod annotation;
mod cancel;
mod dataset;
pub mod encode;
pub mod error;
mod file;
mod json;
mod lane;
pub mod layout;
pub mod limits;
pub mod metadata;
pub mod options;
mod ordered;
mod parquet_type;
mod plan;
pub mod policy;
mod pool;
pub mod raw_size;
mod result;
mod row_group;
pub mod schema;
pub mod sink;
mod statistics;
mod unit;
mod writer;

pub use cancel::{Control, Progress};
pub use dataset::MAX_OPEN_FILES;
pub use error::{Error, ErrorKind, Result};
pub use options::{OptionValue, Options};
pub use ordered::OrderedWriter;
pub use plan::Plan;
pub use result::{ExportResult, FileResult, RowGroupResult};
pub use row_group::{EncodedRowGroup, RowGroupEncoder};
pub use schema::{ColumnHint, ExportSchema};
pub use writer::Export;
