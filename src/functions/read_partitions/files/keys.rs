//! Columns of the keys of directories, typed as DuckDB's hive partitioning types them.

use duckdb_neo::connection::Context;
use duckdb_neo::logical_type::LogicalType;
use duckdb_neo::types::{DateValue, FromValue, TimestampValue};
use duckdb_neo::{Result, ToValue};
use questdb_storage::dataset::FoundFile;
use questdb_storage::scan::Literal;
use questdb_storage::types::ValueType;

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    Integer,
    Date,
    Timestamp,
    Text,
}

/// The values of a key, one for each file; `None` for NULL.
#[derive(Debug, Clone)]
pub struct KeyColumn {
    pub key_type: KeyType,
    pub values: Vec<Option<Literal>>,
}

impl KeyType {
    pub fn sql(self) -> &'static str {
        match self {
            Self::Integer => "BIGINT",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::Text => "VARCHAR",
        }
    }

    /// The type of constants that it is compared with.
    pub fn comparable(self) -> ValueType {
        match self {
            Self::Integer => ValueType::Int64,
            // Days.
            Self::Date => ValueType::Int32,
            Self::Timestamp => ValueType::TimestampUs,
            Self::Text => ValueType::Symbol,
        }
    }

    /// The type of `text`: the first one that it can be cast to.
    fn of(context: &Context, text: &str) -> Self {
        let types = [Self::Integer, Self::Date, Self::Timestamp];
        types.into_iter().find(|t| t.value(context, text).is_some()).unwrap_or(Self::Text)
    }

    fn value(self, context: &Context, text: &str) -> Option<Literal> {
        match self {
            Self::Integer => {
                // Zeros in front are a name's, not a number's; and a number has no point.
                let integer = text.len() == 1 || !text.starts_with('0');
                let digits = text.trim_start().trim_start_matches('-');
                let integer = integer && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                text.trim().parse::<i64>().ok().filter(|_| integer).map(|v| Literal::Int(v.into()))
            }
            // A cast to DATE would drop the time.
            Self::Date if text.contains([' ', ':', 'T']) => None,
            Self::Date => cast::<DateValue>(context, text, "DATE").map(|date| Literal::Int(date.0.into())),
            Self::Timestamp => {
                cast::<TimestampValue>(context, text, "TIMESTAMP").map(|time| Literal::Int(time.0.into()))
            }
            Self::Text => Some(Literal::Text(text.to_owned())),
        }
    }
}

fn cast<T: FromValue>(context: &Context, text: &str, sql: &str) -> Option<T> {
    let value = text.value(context).ok()?;
    value.cast(context, &LogicalType::from_text(context, sql).ok()?).ok()?.get::<T>().ok()?
}

impl KeyColumn {
    /// The key `name` of `files`; NULL where a file's path does not have it.
    pub fn new(context: &Context, files: &[FoundFile], name: &str) -> Result<Self> {
        let texts = || {
            files.iter().map(|file| {
                let found = file.keys.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.and_then(|(_, value)| value.as_deref())
            })
        };
        let mut key_type = None;
        for text in texts().flatten() {
            let found = KeyType::of(context, text);
            if key_type.is_some_and(|known| known != found) {
                key_type = Some(KeyType::Text);
                break;
            }
            key_type = Some(found);
        }
        let key_type = key_type.unwrap_or(KeyType::Text);
        let values = texts().map(|text| text.and_then(|text| key_type.value(context, text))).collect();
        Ok(Self { key_type, values })
    }
}
