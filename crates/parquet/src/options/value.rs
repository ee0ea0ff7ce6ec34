//! What a caller hands over for an option, and the conversions every kind of option needs.

use crate::error::{Error, Result};

/// A value as SQL gave it. Lists of one element count as that element where a scalar is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    /// `true`, `false`.
    Bool(bool),
    /// Any integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, or a bare word.
    Text(String),
    /// `(a, b)` or `['a', 'b']`. The empty list is what COPY passes for an option without a value.
    List(Vec<OptionValue>),
    /// `{'a': 1}`.
    Struct(Vec<(String, OptionValue)>),
}

impl std::fmt::Display for OptionValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "\"{value}\""),
            Self::List(values) if values.is_empty() => f.write_str("nothing"),
            Self::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Struct(fields) => {
                f.write_str("{")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<bool> for OptionValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for OptionValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for OptionValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for OptionValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl OptionValue {
    /// The only element of a list of one, otherwise the value itself.
    fn scalar(&self) -> &Self {
        match self {
            Self::List(values) if values.len() == 1 => values.first().map_or(self, Self::scalar),
            _ => self,
        }
    }

    pub(super) fn as_bool(&self, name: &str) -> Result<bool> {
        let wrong = || Error::option(name, "not a boolean").expected("true or false").found(self);
        match self.scalar() {
            Self::Bool(value) => Ok(*value),
            Self::Int(0) => Ok(false),
            Self::Int(1) => Ok(true),
            Self::List(values) if values.is_empty() => Ok(true),
            Self::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "on" | "1" => Ok(true),
                "false" | "f" | "no" | "off" | "0" => Ok(false),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    pub(super) fn as_int(&self, name: &str, min: i64, max: i64) -> Result<i64> {
        let expected = || {
            if max == i64::MAX {
                format!("an integer ≥ {min}")
            } else {
                format!("an integer from {min} to {max}")
            }
        };
        let value = match self.scalar() {
            Self::Int(value) => Some(*value),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
            Self::Text(text) => text.replace('_', "").parse().ok(),
            _ => None,
        };
        match value {
            None => Err(Error::option(name, "not an integer").expected(expected()).found(self)),
            Some(value) if value < min || value > max => {
                Err(Error::option(name, "out of range").expected(expected()).found(value))
            }
            Some(value) => Ok(value),
        }
    }

    pub(super) fn as_float(&self, name: &str) -> Result<f64> {
        let value = match self.scalar() {
            Self::Float(value) => Some(*value),
            Self::Int(value) => Some(*value as f64),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        value.ok_or_else(|| Error::option(name, "not a number").expected("a number").found(self))
    }

    /// Bytes: an integer, or text such as `'40MB'` (powers of 1000) and `'64KiB'` (powers of 1024).
    pub(super) fn as_size(&self, name: &str) -> Result<u64> {
        let value = match self.scalar() {
            Self::Int(value) => u64::try_from(*value).ok(),
            Self::Float(value) if *value >= 0.0 && *value < 9e18 => Some(*value as u64),
            Self::Text(text) => parse_size(text),
            _ => None,
        };
        value.filter(|bytes| *bytes > 0).ok_or_else(|| {
            Error::option(name, "not a size")
                .expected("bytes > 0, such as 40000000, '40MB' or '64KiB'")
                .found(self)
        })
    }

    pub(super) fn as_text(&self, name: &str) -> Result<String> {
        match self.scalar() {
            Self::Text(text) => Ok(text.clone()),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(value) => Ok(value.to_string()),
            _ => Err(Error::option(name, "not a text").expected("a text").found(self)),
        }
    }

    /// A list of names; one text may hold several, separated by commas (QuestDB's form).
    pub(super) fn as_names(&self, name: &str) -> Result<Vec<String>> {
        match self {
            Self::List(values) if values.len() != 1 => {
                values.iter().map(|value| value.as_text(name)).collect()
            }
            _ => Ok(self
                .as_text(name)?
                .split(',')
                .map(|part| part.trim().to_owned())
                .filter(|part| !part.is_empty())
                .collect()),
        }
    }

    /// Name → value pairs: a struct, or one text `a=x, b=y`.
    pub(super) fn as_pairs(&self, name: &str) -> Result<Vec<(String, OptionValue)>> {
        let wrong = || {
            Error::option(name, "not a struct").expected("a struct such as {'column': 'value'}").found(self)
        };
        match self.scalar() {
            Self::Struct(fields) => Ok(fields.clone()),
            Self::Text(text) => text
                .split(',')
                .filter(|part| !part.trim().is_empty())
                .map(|part| {
                    let (key, value) = part.split_once('=').ok_or_else(wrong)?;
                    Ok((key.trim().to_owned(), Self::Text(value.trim().to_owned())))
                })
                .collect(),
            _ => Err(wrong()),
        }
    }
}

/// `'40MB'` → 40 000 000, `'40MiB'` → 41 943 040. Blanks and case do not matter.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim().replace('_', "");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let value = number.parse::<f64>().ok()? * factor as f64;
    (value.is_finite() && (0.0..9e18).contains(&value)).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_units() {
        for (text, bytes) in
            [("40MB", 40_000_000), ("1.5 KiB", 1536), ("100_000", 100_000), ("2g", 2_000_000_000)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "1XB", "1e3", "99999999999TB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn booleans_take_copy_forms() {
        for value in [
            OptionValue::Bool(true),
            OptionValue::List(vec![]),
            "ON".into(),
            OptionValue::List(vec![1.into()]),
        ] {
            assert!(value.as_bool("x").unwrap(), "{value}");
        }
        let error = OptionValue::from("maybe").as_bool("overwrite").unwrap_err().to_string();
        assert_eq!(error, "Option \"overwrite\": not a boolean; expected true or false, found \"maybe\"");
    }
}
