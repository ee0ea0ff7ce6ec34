//! x
#![forbid(unsafe_code)]
pub mod adapt;
pub mod error;
pub mod options;
pub mod schema;
pub mod metadata {
    /// k
    pub const QUESTDB_KEY: &str = "questdb";
}
pub use error::{Error, ErrorKind, Result};
