//! A DuckDB instance of our own: the API gives an extension no connection to the database it was loaded into, but lets it
//! open another one. It has the caller's settings, none of its tables, and only functions that read.

use duckdb_neo::connection::{Connection, Context, SettingScope};
use duckdb_neo::environment::{Environment, StorageLocation};
use duckdb_neo::error::Error;
use duckdb_neo::instance::{AttachBuilder, InstanceBuilder};
use duckdb_neo::types::FromValue;
use duckdb_neo::value::Value;
use duckdb_neo::{Parameters, Result};

/// Settings that count from the start of an instance.
const AT_START: [&str; 4] =
    ["memory_limit", "temp_directory", "max_temp_directory_size", "allow_unsigned_extensions"];

/// Settings that change what a query returns, or what it may do. The last one closes the door behind the others.
const AFTERWARDS: [&str; 20] = [
    "TimeZone",
    "Calendar",
    "default_collation",
    "default_null_order",
    "default_order",
    "ieee_floating_point_ops",
    "integer_division",
    "old_implicit_casting",
    "preserve_insertion_order",
    "scalar_subquery_error_on_multiple_rows",
    "extension_directory",
    "autoinstall_known_extensions",
    "autoload_known_extensions",
    "allow_community_extensions",
    "custom_extension_repository",
    "autoinstall_extension_repository",
    "disabled_filesystems",
    "allowed_directories",
    "allowed_paths",
    "enable_external_access",
];

/// What a private instance takes over from a session.
pub struct Inherited {
    start: Vec<(&'static str, String)>,
    later: Vec<(&'static str, Value, String)>,
}

impl Inherited {
    /// The settings of the session of `context`.
    pub fn of(context: &Context, threads: usize) -> Result<Self> {
        let config = context.config()?;
        let mut start = vec![("threads", threads.to_string())];
        for name in AT_START {
            if let Some((value, _)) = config.try_get_value(name)? {
                let text = text(&value)?;
                start.extend((!text.is_empty()).then_some((name, text)));
            }
        }
        let mut later = Vec::new();
        for name in AFTERWARDS {
            if let Some((value, _)) = config.try_get_value(name)? {
                let text = text(&value)?;
                later.push((name, value, text));
            }
        }
        Ok(Self { start, later })
    }

    /// A connection to a new instance with what `register` registers, in which `setup` was run. The instance ends with it.
    pub fn open(&self, register: impl Fn(&Connection) -> Result<()>, setup: &str) -> Result<Connection> {
        let builder =
            InstanceBuilder::new().options(self.start.iter().map(|(name, value)| (*name, value.as_str())));
        let instance = builder.build(Environment::new()?)?;
        instance.attach(AttachBuilder::from(StorageLocation::InMemory).alias("memory").make_default())?;
        let connection = instance.connect()?;
        register(&connection)?;
        let config = connection.config()?;
        for (name, value, wanted) in &self.later {
            // A setting of an extension that is not loaded there has nothing to act on.
            let Some((present, _)) = config.try_get_value(name)? else { continue };
            if &text(&present)? != wanted {
                config.set_value(name, value, SettingScope::Default).map_err(|error| Error {
                    message: format!("cannot take over the setting {name}: {}", error.message),
                    ..error
                })?;
            }
        }
        for statement in connection.parse(setup)? {
            connection.execute(statement?, Parameters::None)?;
        }
        Ok(connection)
    }
}

/// A setting as text; empty for NULL.
fn text(value: &Value) -> Result<String> {
    if value.is_null()? {
        return Ok(String::new());
    }
    match String::from_value(value) {
        Ok(Some(text)) => Ok(text),
        _ => value.dbg_string(),
    }
}
