//! Values of options, checked against the table.

use std::collections::HashMap;

use super::table::{Kind, Spec};
use super::*;
use crate::error::{any_of, did_you_mean, Error, Result};

/// A value after the checks its kind prescribes.
#[derive(Debug, Clone)]
pub(super) enum Checked {
    Bool(bool),
    Int(i64),
    Float(f64),
    Size(u64),
    Word(&'static str),
    Text(String),
    Names(Vec<String>),
    Pairs(Vec<(String, OptionValue)>),
    Storage(Storage),
}

/// The options that were given, by canonical name.
pub(super) struct Given(pub(super) HashMap<&'static str, Checked>);

macro_rules! getter {
    ($name:ident, $variant:ident, $type:ty) => {
        pub(super) fn $name(&self, option: &str) -> Option<$type> {
            match self.0.get(option) {
                Some(Checked::$variant(value)) => Some(value.clone()),
                _ => None,
            }
        }
    };
}

impl Given {
    getter!(bool, Bool, bool);
    getter!(int, Int, i64);
    getter!(float, Float, f64);
    getter!(size, Size, u64);
    getter!(word, Word, &'static str);
    getter!(text, Text, String);
    getter!(names, Names, Vec<String>);
    getter!(storage, Storage, Storage);
    getter!(pairs, Pairs, Vec<(String, OptionValue)>);
}

pub(super) fn check(spec: &'static Spec, value: &OptionValue) -> Result<Checked> {
    Ok(match spec.kind {
        Kind::Bool => Checked::Bool(value.as_bool(spec.name)?),
        Kind::Int(min, max) => Checked::Int(value.as_int(spec.name, min, max)?),
        Kind::Float(min, max) => {
            let number = value.as_float(spec.name)?;
            if !(number > min && number < max) {
                return Err(Error::option(spec.name, format!("must be between {min} and {max} (exclusive)"))
                    .found(number));
            }
            Checked::Float(number)
        }
        Kind::Size => Checked::Size(value.as_size(spec.name)?),
        Kind::Choice(words) => Checked::Word(choose(spec.name, &value.as_text(spec.name)?, words)?),
        Kind::Text => Checked::Text(value.as_text(spec.name)?),
        Kind::Names => Checked::Names(value.as_names(spec.name)?),
        Kind::Pairs if spec.name == "field_ids" && matches!(value, OptionValue::Text(_)) => {
            Checked::Text(value.as_text(spec.name)?)
        }
        Kind::Storage => Checked::Storage(Storage::parse(value)?),
        Kind::Pairs => Checked::Pairs(value.as_pairs(spec.name)?),
        Kind::Obsolete(_) => return Err(Error::internal("an obsolete option has no value")),
    })
}

pub(super) fn choose(name: &str, given: &str, words: &'static [&'static str]) -> Result<&'static str> {
    let lower = given.trim().to_ascii_lowercase();
    let word = match (name, lower.as_str()) {
        ("parquet_version", "1.0" | "v1" | "parquet_v1") => "1",
        ("parquet_version", "2.4" | "2.6" | "2_latest" | "2.latest" | "2.0" | "v2" | "parquet_v2") => "2",
        ("compression_codec" | "column_compression", "none") => "uncompressed",
        (_, other) => other,
    };
    words.iter().find(|candidate| **candidate == word).copied().ok_or_else(|| {
        let error = Error::option(name, "unknown value")
            .expected(any_of(words.iter().copied()))
            .found(format_args!("\"{given}\""));
        match did_you_mean(word, words.iter().copied()) {
            Some(candidate) => error.hint(format!("Did you mean: \"{candidate}\"?")),
            None => error,
        }
    })
}
