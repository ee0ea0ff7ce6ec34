//! The option `storage`: an object store, and what is needed to write to it.

use std::fmt;

use super::OptionValue;
use crate::error::{any_of, did_you_mean, Error, Result};

const NAME: &str = "storage";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for requests only.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An S3 bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// `bucket`; the destination can name it instead.
    pub bucket: Option<String>,
    /// `credentials.access_key`.
    pub access_key: Secret,
    /// `credentials.secret_key`.
    pub secret_key: Secret,
    /// `credentials.session_token`.
    pub session_token: Option<Secret>,
    /// `options.endpoint`, without a slash at its end; AWS when there is none.
    pub endpoint: Option<String>,
    /// `options.region`.
    pub region: String,
    /// `options.virtual_hosted_style`.
    pub virtual_hosted_style: bool,
    /// `options.max_retries`.
    pub max_retries: usize,
}

/// Attempts after the first one when nothing is said.
const DEFAULT_MAX_RETRIES: i64 = 8;

/// The members of a struct, each taken once. Values are never shown: they may be secrets.
struct Members {
    place: &'static str,
    given: Vec<(String, OptionValue)>,
}

impl Members {
    fn new(place: &'static str, value: &OptionValue, known: &[&str]) -> Result<Self> {
        let OptionValue::Struct(given) = value else {
            return Err(Error::option(NAME, format!("{place} is not a struct"))
                .expected(format_args!("a struct with {}", any_of(known.iter().copied()))));
        };
        for (index, (name, _)) in given.iter().enumerate() {
            let lower = name.to_ascii_lowercase();
            if !known.contains(&lower.as_str()) {
                let error = Error::option(NAME, format!("unknown field \"{name}\" in {place}"))
                    .expected(any_of(known.iter().copied()));
                return Err(match did_you_mean(&lower, known.iter().copied()) {
                    Some(candidate) => error.hint(format!("Did you mean: \"{candidate}\"?")),
                    None => error,
                });
            }
            if given.iter().skip(index + 1).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(Error::option(NAME, format!("\"{name}\" is given twice in {place}")));
            }
        }
        Ok(Self { place, given: given.clone() })
    }

    fn value(&self, name: &str) -> Option<&OptionValue> {
        self.given.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        match self.value(name) {
            None => Ok(None),
            Some(OptionValue::Text(text)) => Ok(Some(text.trim().to_owned())),
            Some(_) => Err(Error::option(NAME, format!("\"{name}\" in {} is not a text", self.place))),
        }
    }

    fn required(&self, name: &str) -> Result<String> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Error::option(NAME, format!("\"{name}\" is missing in {}", self.place)))
    }

    fn bool(&self, name: &str) -> Result<bool> {
        self.value(name).map_or(Ok(false), |value| value.as_bool(NAME))
    }
}

impl Storage {
    /// The endpoint, also when it is AWS's.
    pub fn endpoint(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://s3.{}.amazonaws.com", self.region),
        }
    }

    /// Parses the struct.
    pub(super) fn parse(value: &OptionValue) -> Result<Self> {
        let storage = Members::new(NAME, value, &["type", "bucket", "credentials", "options"])?;
        let kind = storage.required("type")?;
        if !kind.eq_ignore_ascii_case("s3") {
            return Err(Error::option(NAME, "unknown type")
                .expected("S3, which every compatible store speaks")
                .found(format_args!("\"{kind}\"")));
        }
        let credentials = storage
            .value("credentials")
            .ok_or_else(|| Error::option(NAME, "\"credentials\" is missing in storage"))?;
        let credentials =
            Members::new("storage.credentials", credentials, &["access_key", "secret_key", "session_token"])?;
        let empty = OptionValue::Struct(Vec::new());
        let options = Members::new(
            "storage.options",
            storage.value("options").unwrap_or(&empty),
            &["endpoint", "region", "allow_http", "virtual_hosted_style", "max_retries"],
        )?;
        let endpoint = match options.text("endpoint")? {
            Some(endpoint) => Some(checked_endpoint(&endpoint, options.bool("allow_http")?)?),
            None => None,
        };
        let max_retries = match options.value("max_retries") {
            Some(value) => value.as_int(NAME, 0, 100)?,
            None => DEFAULT_MAX_RETRIES,
        };
        Ok(Self {
            bucket: storage.text("bucket")?.filter(|bucket| !bucket.is_empty()),
            access_key: Secret(credentials.required("access_key")?),
            secret_key: Secret(credentials.required("secret_key")?),
            session_token: credentials.text("session_token")?.map(Secret),
            endpoint,
            region: options.text("region")?.unwrap_or_else(|| "us-east-1".to_owned()),
            virtual_hosted_style: options.bool("virtual_hosted_style")?,
            max_retries: usize::try_from(max_retries).unwrap_or(0),
        })
    }
}

fn checked_endpoint(endpoint: &str, allow_http: bool) -> Result<String> {
    let wrong = |problem: &str| Error::option(NAME, problem.to_owned());
    let form = "a URL such as https://s3.eu-central-1.amazonaws.com";
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return Err(wrong("\"endpoint\" is not a URL").expected(form));
    };
    if rest.contains('@') {
        return Err(wrong("\"endpoint\" holds a user or a password")
            .hint("Give access_key and secret_key in credentials."));
    }
    match scheme.to_ascii_lowercase().as_str() {
        "https" => {}
        "http" if allow_http => {}
        "http" => {
            return Err(wrong("\"endpoint\" is not encrypted").found(format_args!("\"{endpoint}\"")).hint(
                "Use https, or set allow_http to true: rows will be readable to everybody on the way.",
            ))
        }
        _ => {
            return Err(wrong("\"endpoint\" is not a URL")
                .expected(form)
                .found(format_args!("\"{endpoint}\"")))
        }
    }
    let trimmed = endpoint.trim_end_matches('/');
    match rest.trim_end_matches('/') {
        "" => Err(wrong("\"endpoint\" names no host").expected(form)),
        host if host.contains(['?', '#', ' ']) => Err(wrong("\"endpoint\" is not a URL").expected(form)),
        _ => Ok(trimmed.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(options: &[(&str, OptionValue)]) -> OptionValue {
        let fields = |pairs: &[(&str, OptionValue)]| {
            OptionValue::Struct(pairs.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect())
        };
        fields(&[
            ("type", "S3".into()),
            ("bucket", "b".into()),
            ("credentials", fields(&[("access_key", "AKEY".into()), ("secret_key", "SKEY".into())])),
            ("options", fields(options)),
        ])
    }

    #[test]
    fn secrets_are_never_shown() {
        let storage = Storage::parse(&value(&[])).unwrap();
        let shown = format!("{storage:?}");
        assert!(!shown.contains("AKEY") && !shown.contains("SKEY"), "{shown}");
        assert_eq!(storage.secret_key.reveal(), "SKEY");
        // Nor what stands where another type was expected.
        let wrong = OptionValue::Struct(vec![
            ("credentials".to_owned(), "SKEY".into()),
            ("type".to_owned(), "s3".into()),
        ]);
        let error = Storage::parse(&wrong).unwrap_err().to_string();
        assert!(!error.contains("SKEY") && error.contains("storage.credentials is not a struct"), "{error}");
    }

    #[test]
    fn fields_are_checked() {
        let error =
            |options: &[(&str, OptionValue)]| Storage::parse(&value(options)).unwrap_err().to_string();
        assert!(error(&[("endpoint", "http://h:1".into())]).contains("allow_http"));
        assert!(error(&[("endpoint", "h:1".into())]).contains("not a URL"));
        assert!(error(&[("endpoint", "https://".into())]).contains("names no host"));
        assert!(!error(&[("endpoint", "https://a:SKEY@h".into())]).contains("SKEY"));
        assert!(error(&[("regoin", "x".into())]).contains("Did you mean: \"region\"?"));
        assert!(error(&[("max_retries", 1000.into())]).contains("from 0 to 100"));
        let ok = Storage::parse(&value(&[("endpoint", "http://h:1/".into()), ("allow_http", true.into())]))
            .unwrap();
        assert_eq!(ok.endpoint.as_deref(), Some("http://h:1"));
    }
}
