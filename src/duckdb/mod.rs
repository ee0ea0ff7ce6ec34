//! The thin layer over DuckDB's extension API: a new DuckDB release is a change in here.

pub mod arguments;
pub mod arrays;
#[allow(unsafe_code)]
pub mod arrow;
#[allow(unsafe_code)]
mod dictionary;
pub mod errors;
pub mod expressions;
pub mod host;
pub mod listing;
pub mod log;
pub mod options;
pub mod paths;
pub mod private;
pub mod session;
pub mod symbols;
pub mod values;
#[allow(unsafe_code)]
pub mod vectors;
