//! Which session a callback belongs to. The API hands a fresh context to each callback, so a session is
//! recognised by a setting that only it has.

use std::sync::atomic::{AtomicI64, Ordering};

use duckdb_neo::connection::{Context, SettingScope};
use duckdb_neo::custom_option::{CustomOptionBuilder, CustomOptionCallbacks};
use duckdb_neo::value::Value;
use duckdb_neo::{extension::Extension, DuckDBType, Error, Result, ToValue};

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
pub fn register(extension: &Extension) -> Result<()> {
    let description =
        "Number of the session, set by the questdb extension itself: all scans of a query share \
                       one state of a table. Changing it has no use.";
    CustomOptionBuilder::new(NAME, description, i64::logical_type(extension)?, SessionNumber)
        .default_value(0i64.value(extension)?)
        .default_scope(SettingScope::Session)
        .register(extension)
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
