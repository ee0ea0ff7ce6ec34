//! The writer from outside: files are read back with the library's reader and compared with what went in.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cloned_ref_to_slice_refs
)]

mod failure;
mod files;
mod layouts;
mod random;
mod row_groups;
mod statistics;
mod support;
mod truthful;
