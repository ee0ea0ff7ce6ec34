//! Reading beside a server, as a script: the server's writes happen at every moment of a scan, and each answer is
//! compared with the states that were committed (docs/format.md §11).
//!
//! ```text
//! server   a model of the server: each change of a table as single writes, and the rows after each commit
//! disk     files that perform the next writes of a script when a reader has come far enough
//! reader   a scan as the extension runs it: snapshot, plan, rows, check, restart
//! changes  one test per kind of change: all moments, all outcomes
//! ```
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod changes;
mod crashes;
mod disk;
mod parquet;
mod reader;
mod server;
