//! Which session a callback belongs to. The API hands a fresh context to each callback, so a session is
//! recognised by a setting that only it has.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use duckdb_neo::connection::{Context, SettingScope};
use duckdb_neo::custom_option::{CustomOptionBuilder, CustomOptionCallbacks};
use duckdb_neo::error::DuckDBError;
use duckdb_neo::file::FileSystem;
use duckdb_neo::value::Value;
use duckdb_neo::{DuckDBType, Error, Result, ToValue};

use super::errors::without_class;
use super::host::Host;

const NAME: &str = "questdb_session";

/// Numbers given out in this process.
static NEXT: AtomicI64 = AtomicI64::new(1);

struct SessionNumber;

impl CustomOptionCallbacks for SessionNumber {
    fn update(&self, _: &Context, value: Value, scope: SettingScope, is_reset: bool) -> Result<Value> {
        if scope == SettingScope::Global && !is_reset {
            return Err(Error::invalid_input(format!("{NAME} is set by the extension, for each session")));
        }
        Ok(value)
    }
}

/// Registers the setting.
pub fn register(host: &impl Host) -> Result<()> {
    let description =
        "Number of the session, set by the questdb extension itself: all scans of a query share \
                       one state of a table. Changing it has no use.";
    let builder = CustomOptionBuilder::new(NAME, description, i64::logical_type(host)?, SessionNumber)
        .default_value(0i64.value(host)?)
        .default_scope(SettingScope::Session);
    host.option(builder)
}

/// The number of the session of `context`, given to it on first use.
pub fn number(context: &Context) -> Result<i64> {
    let config = context.config()?;
    let (value, scope) = config.get_value(NAME)?;
    match value.get::<i64>()? {
        Some(number) if number != 0 && scope == SettingScope::Session => Ok(number),
        _ => {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            config.set_value(NAME, &number.value(context)?, SettingScope::Session)?;
            Ok(number)
        }
    }
}

/// The setting `threads`.
pub fn threads(context: &Context) -> Result<usize> {
    let (value, _) = context.config()?.get_value("threads")?;
    Ok(value.get::<i64>()?.and_then(|threads| usize::try_from(threads).ok()).unwrap_or(1).max(1))
}

/// An error when the query of `context` was interrupted. The API has no call for this; DuckDB looks at it when it expands a
/// pattern of local files, and `dir` is a directory that may be touched, if it is local.
pub fn check_interrupt(context: &Context, dir: &Path) -> Result<()> {
    let files = FileSystem::new(context)?;
    let dir = if files.is_remote(&dir.to_string_lossy())? { Path::new("") } else { dir };
    let pattern = dir.join(".questdb-no-such-file*");
    match files.glob(&pattern.to_string_lossy()) {
        Err(error) if error.code == DuckDBError::RuntimeInterrupt => Err(without_class(error)),
        _ => Ok(()),
    }
}
