//! Where in which bucket the objects of an export go.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::options::{Layout, Mode, Options, PartitionUnit, Storage};

/// A destination in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// What keys of several objects begin with, without a slash at its end.
    pub prefix: String,
    /// Key of a single object.
    pub single: String,
    suffix: &'static str,
    several: bool,
}

impl Location {
    /// Reads `destination`: `s3://bucket/prefix`, or a prefix in the bucket that `storage` names.
    pub fn of(destination: &Path, storage: &Storage, options: &Options) -> Result<Self> {
        let text = destination.to_string_lossy();
        let wrong = |problem: &str| Error::invalid_input(problem.to_owned()).in_file(destination);
        let (named, prefix) = match text.split_once("://") {
            None => (None, text.as_ref()),
            Some((scheme, rest)) if ["s3", "s3a", "s3n"].iter().any(|s| s.eq_ignore_ascii_case(scheme)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                (Some(bucket.to_owned()), prefix)
            }
            Some(_) => {
                return Err(wrong("the destination is not in an S3 bucket")
                    .expected("s3://bucket/prefix, or a prefix in the bucket of the option storage"))
            }
        };
        let bucket = match (named, &storage.bucket) {
            (Some(named), Some(bucket)) if named != *bucket => {
                return Err(wrong("the destination names another bucket than the option storage")
                    .expected(format_args!("\"{bucket}\""))
                    .found(format_args!("\"{named}\"")))
            }
            (Some(named), _) if !named.is_empty() => named,
            (_, Some(bucket)) => bucket.clone(),
            _ => {
                return Err(Error::option("storage", "\"bucket\" is missing")
                    .hint("Name it in storage, or in the destination: s3://bucket/prefix."))
            }
        };
        let prefix = prefix.trim_matches('/').to_owned();
        if prefix.is_empty() {
            return Err(wrong("the destination is a whole bucket")
                .hint("Name a prefix in it: overwrite would delete everything else there."));
        }
        let suffix = options.suffix();
        let has_suffix = prefix.to_ascii_lowercase().ends_with(suffix);
        let exact = options.exact_path || options.mode == Some(Mode::SingleFile);
        let single = match exact || has_suffix || options.layout.unwrap_or_default() != Layout::Questdb {
            true => prefix.clone(),
            false => format!("{prefix}{suffix}"),
        };
        Ok(Self { bucket, prefix, single, suffix, several: may_be_several(options) })
    }

    /// The key of a file.
    pub fn key(&self, relative: &Path) -> String {
        match self.several {
            true => format!("{}/{}", self.prefix, relative.to_string_lossy()),
            false => self.single.clone(),
        }
    }

    /// The address of an object.
    pub fn url(&self, key: &str) -> PathBuf {
        PathBuf::from(format!("s3://{}/{key}", self.bucket))
    }

    /// Changes the key of a single object to one that is free: `x.1.parquet`.
    pub fn free_single(&mut self, is_free: impl Fn(&str) -> Result<bool>) -> Result<()> {
        let stem = self.single.strip_suffix(self.suffix).map(str::to_owned);
        let (stem, suffix) = match &stem {
            Some(stem) => (stem.as_str(), self.suffix),
            None => (self.single.as_str(), ""),
        };
        let mut name = self.single.clone();
        let mut number = 0u64;
        while !is_free(&name)? {
            number += 1;
            name = format!("{stem}.{number}{suffix}");
        }
        self.single = name;
        Ok(())
    }
}

/// Whether there can be more than one file; then they are below the destination, whatever their number.
fn may_be_several(options: &Options) -> bool {
    match (options.mode, options.layout.unwrap_or_default()) {
        (Some(Mode::SingleFile), _) => false,
        (Some(Mode::MultiFile), _) | (None, Layout::Hive) => true,
        (None, layout) => {
            (layout == Layout::Parts && options.layout.is_some())
                || options.rotation.row_groups.is_some()
                || options.rotation.bytes.is_some()
                || options.partition_unit.is_some_and(|unit| unit != PartitionUnit::None)
        }
    }
}
