//! Where functions are registered: the database that loads the extension, or one that the extension opened itself.

use duckdb_neo::connection::{Connection, FFILink};
use duckdb_neo::custom_option::{CustomOptionBuilder, CustomOptionCallbacks};
use duckdb_neo::extension::Extension;
use duckdb_neo::replacement_scan::{ReplacementScanBuilder, ReplacementScanCallbacks};
use duckdb_neo::table_function::{TableFunctionBuilder, TableFunctionCallbacks};
use duckdb_neo::Result;

/// The builders take both, but do not let a function be generic over them.
pub trait Host: FFILink {
    /// Registers a table function.
    fn table_function<T: TableFunctionCallbacks>(&self, builder: TableFunctionBuilder<T>) -> Result<()>;

    /// Registers a replacement scan.
    fn replacement_scan<T: ReplacementScanCallbacks>(
        &self,
        builder: ReplacementScanBuilder<'static, T>,
    ) -> Result<()>;

    /// Registers a setting.
    fn option<T: CustomOptionCallbacks>(&self, builder: CustomOptionBuilder<T>) -> Result<()>;
}

macro_rules! impl_host {
    ($host:ty) => {
        impl Host for $host {
            fn table_function<T: TableFunctionCallbacks>(
                &self,
                builder: TableFunctionBuilder<T>,
            ) -> Result<()> {
                builder.register(self)
            }

            fn replacement_scan<T: ReplacementScanCallbacks>(
                &self,
                builder: ReplacementScanBuilder<'static, T>,
            ) -> Result<()> {
                builder.register(self)
            }

            fn option<T: CustomOptionCallbacks>(&self, builder: CustomOptionBuilder<T>) -> Result<()> {
                builder.register(self)
            }
        }
    };
}

impl_host!(Extension);
impl_host!(Connection);
