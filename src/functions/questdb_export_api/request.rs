//! The body of an export request: JSON → a destination and options.
//!
//! ```json
//! {"export_paths": {"paths": ["out/trades"], "storage_config": {"storage_type": "S3", "bucket": …, "credentials": …, "options": …}},
//!  "format": "Parquet", "include_metrics": false, "max_row_groups_per_file": null, "mode": "multi_file",
//!  "row_group_size": 40000000, "target_file_size_bytes": null}
//! ```

use duckdb_neo::error::Error;
use duckdb_neo::Result;
use questdb_parquet::OptionValue;
use serde_json::{Map, Value};

const FIELDS: &[&str] = &[
    "export_paths",
    "format",
    "include_metrics",
    "max_row_groups_per_file",
    "mode",
    "row_group_size",
    "target_file_size_bytes",
];

/// Name of the only file of mode `single_file`, without its suffix.
const SINGLE: &str = "part-00000";

/// Encoded bytes of a row group when nothing is said.
const ROW_GROUP_BYTES: i64 = 40_000_000;

/// A request that makes sense.
#[derive(Debug)]
pub struct Request {
    /// Where the files go.
    pub destination: String,
    /// Options of the writer.
    pub options: Vec<(String, OptionValue)>,
}

impl Request {
    /// Reads the body. Its values can be secrets, so no error shows one of an object store.
    pub fn parse(text: &str) -> Result<Self> {
        let body: Value =
            serde_json::from_str(text).map_err(|e| wrong(format!("the request is no JSON: {e}")))?;
        let body = object("the request", &body, FIELDS)?;
        let paths =
            body.get("export_paths").ok_or_else(|| wrong("\"export_paths\" is missing".to_owned()))?;
        let paths = object("\"export_paths\"", paths, &["paths", "storage_config"])?;
        let directory = match paths.get("paths").and_then(Value::as_array).map(Vec::as_slice) {
            Some([Value::String(path)]) if !path.trim().is_empty() => path.trim_end_matches('/'),
            _ => {
                return Err(wrong(
                    "\"export_paths.paths\" must be a list of exactly one directory".to_owned(),
                ))
            }
        };
        let mut options: Vec<(String, OptionValue)> = Vec::new();
        if let Some(storage) = paths.get("storage_config").filter(|value| !value.is_null()) {
            options.push(("storage".to_owned(), storage_option(storage)?));
        }
        let format = word(body, "format", "Parquet")?.to_ascii_lowercase();
        let mode = word(body, "mode", "multi_file")?;
        let metrics = match body.get("include_metrics") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => return Err(wrong("\"include_metrics\" must be true or false".to_owned())),
        };
        let row_groups = number(body, "max_row_groups_per_file")?;
        let rotation = match (row_groups, number(body, "target_file_size_bytes")?) {
            (Some(count), _) => Some(("max_row_groups_per_file", count)),
            (None, Some(bytes)) => Some(("target_file_size_bytes", bytes)),
            (None, None) => None,
        };
        let size = number(body, "row_group_size")?.unwrap_or(ROW_GROUP_BYTES);
        let destination = match mode.as_str() {
            "single_file" => {
                let suffix = if format == "jsonl" { "jsonl" } else { "parquet" };
                format!("{directory}/{SINGLE}.{suffix}")
            }
            _ => directory.to_owned(),
        };
        options.push(("format".to_owned(), OptionValue::Text(format)));
        options.push(("include_metrics".to_owned(), metrics.into()));
        options.push(("mode".to_owned(), OptionValue::Text(mode)));
        options.push(("row_group_size_bytes".to_owned(), size.into()));
        options.extend(rotation.map(|(name, value)| (name.to_owned(), value.into())));
        // Files are parts; the API knows no partitions.
        options.push(("layout".to_owned(), "parts".into()));
        options.push(("partition_unit".to_owned(), "none".into()));
        Ok(Self { destination, options })
    }
}

fn wrong(problem: String) -> Error {
    Error::invalid_input(format!("Export request: {problem}"))
}

/// An object without fields that nobody knows.
fn object<'v>(what: &str, value: &'v Value, known: &[&str]) -> Result<&'v Map<String, Value>> {
    let object = value.as_object().ok_or_else(|| wrong(format!("{what} must be an object")))?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(wrong(format!(
            "{what} has an unknown field \"{key}\"; expected any of [{}]",
            known.join(", ")
        ))),
        None => Ok(object),
    }
}

fn word(body: &Map<String, Value>, name: &str, default: &str) -> Result<String> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(default.to_owned()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong(format!("\"{name}\" must be text"))),
    }
}

/// An integer; 0 and null stand for "not said".
fn number(body: &Map<String, Value>, name: &str) -> Result<Option<i64>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(0) => Ok(None),
            Some(number) if number > 0 => Ok(Some(number)),
            _ => Err(wrong(format!("\"{name}\" must be an integer of at least 0"))),
        },
    }
}

/// `storage_config` as the option `storage`, which calls the type `type`.
fn storage_option(config: &Value) -> Result<OptionValue> {
    let config =
        config.as_object().ok_or_else(|| wrong("\"storage_config\" must be an object".to_owned()))?;
    let fields = config.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let name = if name == "storage_type" { "type" } else { name };
        Ok((name.to_owned(), option(value)?))
    });
    Ok(OptionValue::Struct(fields.collect::<Result<_>>()?))
}

fn option(value: &Value) -> Result<OptionValue> {
    let unfit = || {
        wrong(
            "\"storage_config\" has a value that is neither text, number, true, false nor an object"
                .to_owned(),
        )
    };
    Ok(match value {
        Value::Bool(value) => OptionValue::Bool(*value),
        Value::String(text) => OptionValue::Text(text.clone()),
        Value::Number(number) => number.as_i64().map(OptionValue::Int).ok_or_else(unfit)?,
        Value::Object(object) => {
            let fields = object.iter().filter(|(_, value)| !value.is_null());
            let fields = fields.map(|(name, value)| Ok((name.clone(), option(value)?)));
            OptionValue::Struct(fields.collect::<Result<_>>()?)
        }
        Value::Null | Value::Array(_) => return Err(unfit()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<String> {
        let request = Request::parse(text).unwrap();
        let options = request.options.iter().map(|(name, value)| format!("{name}={value}"));
        std::iter::once(request.destination).chain(options).collect()
    }

    #[test]
    fn defaults_are_those_of_the_api() {
        assert_eq!(
            options(r#"{"export_paths": {"paths": ["/out/dir/"]}}"#),
            [
                "/out/dir",
                "format=\"parquet\"",
                "include_metrics=false",
                "mode=\"multi_file\"",
                "row_group_size_bytes=40000000",
                "layout=\"parts\"",
                "partition_unit=\"none\""
            ]
        );
    }

    #[test]
    fn row_groups_per_file_win_over_bytes() {
        let found = options(
            r#"{"export_paths": {"paths": ["d"]}, "mode": "single_file", "format": "Jsonl", "row_group_size": 7,
                "max_row_groups_per_file": 2, "target_file_size_bytes": 5, "include_metrics": true}"#,
        );
        assert_eq!(found[0], "d/part-00000.jsonl");
        assert!(found.contains(&"max_row_groups_per_file=2".to_owned()), "{found:?}");
        assert!(!found.iter().any(|option| option.starts_with("target")), "{found:?}");
    }

    #[test]
    fn a_store_becomes_the_option() {
        let request = r#"{"export_paths": {"paths": ["d"], "storage_config": {"storage_type": "S3", "bucket": "b",
            "credentials": {"access_key": "a", "secret_key": "s"}, "options": {"allow_http": true, "region": null}}}}"#;
        let request = Request::parse(request).unwrap();
        let (name, value) = request.options.first().unwrap();
        assert_eq!(name, "storage");
        let OptionValue::Struct(fields) = value else { panic!("{value}") };
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["bucket", "credentials", "options", "type"]);
    }

    #[test]
    fn bad_requests_say_what_is_wrong() {
        for (text, expected) in [
            ("", "no JSON"),
            ("[]", "the request must be an object"),
            ("{}", "\"export_paths\" is missing"),
            (r#"{"export_paths": {"paths": []}}"#, "exactly one directory"),
            (r#"{"export_paths": {"paths": ["a", "b"]}}"#, "exactly one directory"),
            (r#"{"export_paths": {"paths": ["a"]}, "modes": 1}"#, "unknown field \"modes\""),
            (
                r#"{"export_paths": {"paths": ["a"]}, "row_group_size": -1}"#,
                "\"row_group_size\" must be an integer",
            ),
            (
                r#"{"export_paths": {"paths": ["a"]}, "row_group_size": "1"}"#,
                "\"row_group_size\" must be an integer",
            ),
            (r#"{"export_paths": {"paths": ["a"]}, "include_metrics": 1}"#, "true or false"),
            (r#"{"export_paths": {"paths": ["a"], "storage_config": 1}}"#, "must be an object"),
        ] {
            let error = Request::parse(text).unwrap_err();
            assert!(error.message.contains(expected), "{text}: {}", error.message);
        }
    }
}
