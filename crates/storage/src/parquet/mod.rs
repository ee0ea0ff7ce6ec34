//! Parquet partitions as column sources (docs/format.md §9).
//!
//! ```text
//! footer   the bytes before the size in `_txn` → metadata, QuestDB's own key-value entry
//!   file     one partition: row groups with their first rows, live columns by field id
//!     pages    headers of a column chunk's pages, checked before anything is decoded
//!     open     a column chunk (`stored`: its bytes)
//!       flat     of the usual kind: span by span of its pages → native layout, or views of text
//!         page, values, delta, rle    a page → levels and values, in memory of a pool that is used again
//!       chunk    any other: the chunk's bytes → an Arrow array (panics of the decoder become errors), its `text` checked
//!       column   an Arrow array → native layout, or views of text → a `ColumnSink`
//!     cache    what one thread has open: one chunk per column, and one span of it
//!     raw      column chunks as they are, for exports that copy them
//!     pruning, page_index  statistics and bloom filters of a row group, bounds of its pages
//! ```
//!
//! A decoded column chunk takes the layout of a native column file where there is one, and goes through the native
//! decoder: a value, its NULL and its text form cannot differ between the two kinds of partitions.

mod arrays;
mod cache;
mod chunk;
mod column;
mod delta;
mod file;
mod flat;
mod footer;
mod native;
mod nesting;
mod open;
mod page;
mod page_index;
mod pages;
mod pool;
mod pruning;
mod raw;
mod rle;
mod stored;
mod symbols;
mod text;
mod thrift;
mod values;
mod views;

pub(crate) use cache::GroupCache;
pub(crate) use chunk::{guarded, Stretch};
pub(crate) use column::{fits, wanted_type, GroupColumn};
pub use file::{ParquetFile, RowGroup};
pub(crate) use flat::{Decoded, FlatChunk};
pub(crate) use footer::{noted_columns, read as read_footer};
pub(crate) use page_index::{agree, chunk_bytes, GroupPages, PageIndex};
pub(crate) use pages::{check as check_pages, Header as PageHeader, Pages};
pub(crate) use pool::Pool;
pub(crate) use pruning::{bloom_filter, range as quest_range, Known, KnownPages, Range};
pub use raw::{RawChunk, RawGroup};
pub(crate) use stored::Stored;
pub(crate) use text::check as check_text;
