//! The settings of exports.

use std::path::PathBuf;

use duckdb_neo::connection::{Context, SettingScope};
use duckdb_neo::custom_option::{CustomOptionBuilder, CustomOptionCallbacks};
use duckdb_neo::file::FileSystem;
use duckdb_neo::value::Value;
use duckdb_neo::{extension::Extension, DuckDBType, Error, Result, ToValue};

use super::destination::shown;
use super::log::DAY;
use crate::duckdb::{paths, session};

const THREADS: &str = "questdb_export_threads";
const MAX_JOBS: &str = "questdb_export_max_jobs";
const LOG_PATH: &str = "questdb_export_log_path";
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
    /// The log file.
    pub log_path: Option<PathBuf>,
}

impl Settings {
    /// The settings as `context` sees them.
    pub fn of(context: &Context) -> Result<Self> {
        let count = |name| Ok::<_, Error>(usize::try_from(integer(context, name)?).unwrap_or(usize::MAX));
        let threads = match count(THREADS)? {
            0 => session::threads(context)?,
            threads => threads,
        };
        let max_jobs = count(MAX_JOBS)?.max(1);
        Ok(Self { threads, max_jobs, retention: retention(context)?, log_path: log_path(context)? })
    }
}

/// Microseconds that log rows are kept; `None` is for ever.
pub fn retention(context: &Context) -> Result<Option<i64>> {
    let days = integer(context, RETENTION)?;
    Ok((days > 0).then(|| days.saturating_mul(DAY)))
}

/// The log file, which the session must be allowed to touch.
pub fn log_path(context: &Context) -> Result<Option<PathBuf>> {
    let (value, _) = context.config()?.get_value(LOG_PATH)?;
    match value.get::<String>()?.filter(|path| !path.is_empty()) {
        Some(path) => allowed(context, &path).map(Some),
        None => Ok(None),
    }
}

fn allowed(context: &Context, path: &str) -> Result<PathBuf> {
    if FileSystem::new(context)?.is_remote(path)? {
        return Err(Error::invalid_input(format!(
            "{LOG_PATH} must be a local file, found \"{}\"",
            shown(path)
        )));
    }
    let path = paths::expand(context, path)?;
    paths::ask(context, &path)?;
    Ok(path)
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

/// The log file. It is made absolute, so that it stays the same when the working directory changes.
struct LogPath;

impl CustomOptionCallbacks for LogPath {
    fn update(&self, context: &Context, value: Value, _: SettingScope, is_reset: bool) -> Result<Value> {
        match value.get::<String>()?.filter(|path| !path.is_empty() && !is_reset) {
            Some(path) => allowed(context, &path)?.to_string_lossy().into_owned().value(context),
            None => String::new().value(context),
        }
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
    let description =
        "File with the log of exports, one JSON object per line, for several processes to share; empty: \
                       the log is in memory only.";
    CustomOptionBuilder::new(LOG_PATH, description, String::logical_type(extension)?, LogPath)
        .default_value(String::new().value(extension)?)
        .default_scope(SettingScope::Global)
        .register(extension)
}
