//! Errors and panics on their way to DuckDB.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};

use duckdb_neo::error::{DuckDBError, Error};
use questdb_storage::ErrorKind;

/// DuckDB's class of a storage error, with its whole text.
pub fn to_duckdb(error: questdb_storage::Error) -> Error {
    let code = match error.kind() {
        ErrorKind::NotATable | ErrorKind::InvalidInput => DuckDBError::InputInvalid,
        ErrorKind::Unsupported => DuckDBError::QueryNotImplemented,
        ErrorKind::Conflict => DuckDBError::DatabaseTransaction,
        _ => DuckDBError::IoGeneral,
    };
    Error { code, message: error.to_string() }
}

/// DuckDB's class of a writer's error, with its whole text.
pub fn export_error(error: questdb_parquet::Error) -> Error {
    use questdb_parquet::ErrorKind as Kind;
    let code = match error.kind() {
        Kind::InvalidOption => DuckDBError::QueryBinder,
        Kind::InvalidInput => DuckDBError::InputInvalid,
        Kind::Unsupported => DuckDBError::QueryNotImplemented,
        Kind::Cancelled => DuckDBError::RuntimeInterrupt,
        Kind::Internal => DuckDBError::QueryExecutor,
        _ => DuckDBError::IoGeneral,
    };
    Error { code, message: error.to_string() }
}

/// `error` without the class in front of its text, which DuckDB puts there again.
pub fn without_class(error: Error) -> Error {
    match error.message.split_once(" Error: ") {
        Some((class, rest))
            if !class.is_empty() && class.bytes().all(|c| c.is_ascii_alphabetic() || c == b' ') =>
        {
            Error { code: error.code, message: rest.to_owned() }
        }
        _ => error,
    }
}

/// A `Binder Error`.
pub fn binder(message: impl Into<String>) -> Error {
    Error { code: DuckDBError::QueryBinder, message: message.into() }
}

/// A `TransactionContext Error`: the same query can succeed when it is run again.
pub fn conflict(message: impl Into<String>) -> Error {
    Error { code: DuckDBError::DatabaseTransaction, message: message.into() }
}

/// Runs a callback's body. A panic, which must not reach DuckDB (it would invalidate the database
/// instance), becomes an ordinary error.
pub fn guard<T>(body: impl FnOnce() -> duckdb_neo::Result<T>) -> duckdb_neo::Result<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(Error {
            code: DuckDBError::QueryExecutor,
            message: format!(
                "questdb failed in a way it should not: {}. The database is still usable. Please report this \
                 with the query and the table's files.",
                panic_text(panic.as_ref())
            ),
        })
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "panic without a message",
    }
}

/// Panics when the debug build is asked to panic in `place`: a test needs a way to see that a panic in
/// a callback does no harm. Release builds hold nothing of it.
#[cfg_attr(debug_assertions, expect(clippy::panic, reason = "this is what it is for"))]
pub fn test_panic(place: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("QUESTDB_TEST_PANIC").is_ok_and(|wanted| wanted == place) {
        panic!("test panic in {place}");
    }
    let _ = place;
}
