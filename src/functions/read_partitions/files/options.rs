//! The parameters that are about Parquet files. Each has a counterpart among ClickHouse's settings (docs/functions.md).

use duckdb_neo::signature::SignatureBuilder;
use duckdb_neo::Result;

use crate::duckdb::arguments::{named, Arguments};
use crate::duckdb::errors::binder;

/// Rows that are decoded at once, unless said otherwise.
const BLOCK_ROWS: i64 = 16_384;

/// Arguments about files, as given.
#[derive(Debug, Clone, Copy)]
pub struct FileArguments {
    pub case_insensitive_columns: bool,
    pub allow_missing_columns: bool,
    pub skip_unsupported_columns: bool,
    pub filter_pushdown: bool,
    pub bloom_filter_pushdown: bool,
    pub local_time_as_utc: bool,
    pub max_block_size: usize,
}

impl FileArguments {
    /// Adds the parameters, in the order in which [`Self::take`] takes them.
    pub fn declare(signature: SignatureBuilder) -> SignatureBuilder {
        signature
            .param(named("case_insensitive_columns", false))
            .param(named("allow_missing_columns", false))
            .param(named("skip_unsupported_columns", false))
            .param(named("filter_pushdown", true))
            .param(named("bloom_filter_pushdown", true))
            .param(named("local_time_as_utc", false))
            .param(named("max_block_size", BLOCK_ROWS))
    }

    /// Takes the arguments.
    pub fn take(arguments: &mut Arguments) -> Result<Self> {
        Ok(Self {
            case_insensitive_columns: arguments.switch("case_insensitive_columns")?,
            allow_missing_columns: arguments.switch("allow_missing_columns")?,
            skip_unsupported_columns: arguments.switch("skip_unsupported_columns")?,
            filter_pushdown: arguments.switch("filter_pushdown")?,
            bloom_filter_pushdown: arguments.switch("bloom_filter_pushdown")?,
            local_time_as_utc: arguments.switch("local_time_as_utc")?,
            max_block_size: {
                let rows = arguments.required::<i64>("max_block_size")?;
                usize::try_from(rows).ok().filter(|rows| *rows > 0).ok_or_else(|| {
                    binder(format!(
                        "Argument \"max_block_size\" must be a number of rows above 0, found {rows}"
                    ))
                })?
            },
        })
    }

    /// Refuses what has no meaning for a table.
    ///
    /// # Errors
    /// An argument that differs from its default.
    pub fn refuse_for_tables(&self) -> Result<()> {
        let given = [
            ("case_insensitive_columns", self.case_insensitive_columns),
            ("allow_missing_columns", self.allow_missing_columns),
            ("skip_unsupported_columns", self.skip_unsupported_columns),
            ("filter_pushdown", !self.filter_pushdown),
            ("bloom_filter_pushdown", !self.bloom_filter_pushdown),
            ("local_time_as_utc", self.local_time_as_utc),
            ("max_block_size", self.max_block_size != BLOCK_ROWS as usize),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((name, _)) => Err(binder(format!(
                "Argument \"{name}\" is about Parquet files without a table around them, and the path names a table: \
                 leave it out"
            ))),
        }
    }
}
