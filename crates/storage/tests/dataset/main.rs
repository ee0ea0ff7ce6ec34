//! Parquet files without a table: every annotation, old and new, and shapes that writers of today no longer make.
//!
//! Files are written column by column from a schema in Parquet's own notation, because no Arrow type leads to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod files;
mod pages;
mod types;
