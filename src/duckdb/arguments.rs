//! Arguments of a bind callback: DuckDB hands them over by position, without names.

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::signature::{FunctionParameter, FunctionParameterKind};
use duckdb_neo::types::{DuckDBType, FromValue, ToValue};
use duckdb_neo::value::Value;
use duckdb_neo::Result;

use super::errors::binder;

/// The arguments of one call, taken in the order of the signature.
#[derive(Debug)]
pub struct Arguments {
    function: &'static str,
    values: std::vec::IntoIter<BindArgument>,
}

impl Arguments {
    /// The arguments of a call of `function`.
    pub fn new(function: &'static str, arguments: Vec<BindArgument>) -> Self {
        Self { function, values: arguments.into_iter() }
    }

    /// The next argument, which must be a constant; SQL NULL is `None`.
    pub fn next(&mut self, name: &str) -> Result<Option<Value>> {
        let value = self.values.next().and_then(|argument| argument.value);
        let value = value
            .ok_or_else(|| binder(format!("Argument \"{name}\" of {} must be a constant", self.function)))?;
        Ok(if value.is_null()? { None } else { Some(value) })
    }

    /// The next argument, which must not be NULL.
    pub fn required<T: FromValue>(&mut self, name: &str) -> Result<T> {
        let value = match self.next(name)? {
            Some(value) => value.get::<T>()?,
            None => None,
        };
        value.ok_or_else(|| self.null(name))
    }

    /// The next argument, a switch that must not be NULL.
    pub fn switch(&mut self, name: &str) -> Result<bool> {
        self.required(name)
    }

    /// The error of a NULL argument.
    pub fn null(&self, name: &str) -> duckdb_neo::Error {
        binder(format!("Argument \"{name}\" of {} cannot be NULL", self.function))
    }
}

/// A named parameter with its default.
pub fn named<T: DuckDBType + ToValue + 'static>(name: &str, default: T) -> FunctionParameter {
    FunctionParameter::with_default(name, default).kind(FunctionParameterKind::Named)
}
