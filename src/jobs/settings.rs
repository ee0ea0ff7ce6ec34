//! The settings of exports.

use duckdb_neo::connection::{Context, SettingScope};
use duckdb_neo::custom_option::{CustomOptionBuilder, CustomOptionCallbacks};
use duckdb_neo::value::Value;
use duckdb_neo::{extension::Extension, DuckDBType, Error, Result, ToValue};

use super::log::DAY;
use crate::duckdb::session;

const THREADS: &str = "questdb_export_threads";
const MAX_JOBS: &str = "questdb_export_max_jobs";
const RETENTION: &str = "questdb_export_log_retention_days";

/// Threads of an export when nothing is said: those of DuckDB.
const SAME_AS_DUCKDB: i64 = 0;
/// Exports in the background that run at once.
const DEFAULT_MAX_JOBS: i64 = 1;
/// Days that the log is kept, as the server keeps its own.
const DEFAULT_RETENTION: i64 = 3;

/// What an export takes from the settings of the session that starts it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads of an export on threads of our own.
    pub threads: usize,
    /// Exports in the background that run at once.
    pub max_jobs: usize,
    /// Microseconds that log rows are kept; `None` is for ever.
    pub retention: Option<i64>,
}

impl Settings {
    /// The settings as `context` sees them.
    pub fn of(context: &Context) -> Result<Self> {
        let count = |name| Ok::<_, Error>(usize::try_from(integer(context, name)?).unwrap_or(usize::MAX));
        let threads = match count(THREADS)? {
            0 => session::threads(context)?,
            threads => threads,
        };
        Ok(Self { threads, max_jobs: count(MAX_JOBS)?.max(1), retention: retention(context)? })
    }
}

/// Microseconds that log rows are kept; `None` is for ever.
pub fn retention(context: &Context) -> Result<Option<i64>> {
    let days = integer(context, RETENTION)?;
    Ok((days > 0).then(|| days.saturating_mul(DAY)))
}

fn integer(context: &Context, name: &str) -> Result<i64> {
    let (value, _) = context.config()?.get_value(name)?;
    Ok(value.get::<i64>()?.unwrap_or_default())
}

/// An integer with a range.
struct Count {
    name: &'static str,
    least: i64,
    most: i64,
}

impl CustomOptionCallbacks for Count {
    fn update(&self, _: &Context, value: Value, _: SettingScope, is_reset: bool) -> Result<Value> {
        let accepted = value.get::<i64>()?.is_some_and(|number| (self.least..=self.most).contains(&number));
        if !accepted && !is_reset {
            return Err(Error::invalid_input(format!(
                "{} must be an integer from {} to {}",
                self.name, self.least, self.most
            )));
        }
        Ok(value)
    }
}

/// Registers the settings.
pub fn register(extension: &Extension) -> Result<()> {
    let counts = [
        (
            Count { name: THREADS, least: 0, most: 1024 },
            SAME_AS_DUCKDB,
            "Threads of an export in the background; 0: as many as the setting threads says.",
        ),
        (
            Count { name: MAX_JOBS, least: 1, most: 1024 },
            DEFAULT_MAX_JOBS,
            "Exports in the background that run at once; further ones wait in the order they came.",
        ),
        (
            Count { name: RETENTION, least: 0, most: 36_500 },
            DEFAULT_RETENTION,
            "Days that questdb_export_log() and questdb_exports() remember an export; 0: for ever.",
        ),
    ];
    for (count, default, description) in counts {
        let name = count.name;
        CustomOptionBuilder::new(name, description, i64::logical_type(extension)?, count)
            .default_value(default.value(extension)?)
            .default_scope(SettingScope::Global)
            .register(extension)?;
    }
    Ok(())
}
