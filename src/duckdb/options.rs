//! Values of options, as COPY and functions hand them over, for the Parquet writer.

use duckdb_neo::connection::Context;
use duckdb_neo::logical_type::{LogicalType, LogicalTypeID};
use duckdb_neo::value::Value;
use duckdb_neo::Result;
use questdb_parquet::OptionValue;

use super::errors::binder;

/// The writer's form of `value`, the option `name`.
pub fn option_value(context: &Context, name: &str, value: &Value) -> Result<OptionValue> {
    use LogicalTypeID as T;
    if value.is_null()? {
        return Err(binder(format!("Option \"{name}\" cannot be NULL")));
    }
    let logical_type = value.logical_type()?;
    let cast = |sql: &str| value.cast(context, &LogicalType::from_text(context, sql)?);
    let list = || {
        let children = value.children()?;
        children.iter().map(|child| option_value(context, name, child)).collect::<Result<Vec<_>>>()
    };
    let text = || Ok(OptionValue::Text(cast("VARCHAR")?.get::<String>()?.unwrap_or_default()));
    match logical_type.id()? {
        T::Boolean => Ok(OptionValue::Bool(value.get::<bool>()?.unwrap_or_default())),
        T::TinyInt | T::SmallInt | T::Integer | T::BigInt | T::UTinyInt | T::USmallInt | T::UInteger => {
            Ok(OptionValue::Int(cast("BIGINT")?.get::<i64>()?.unwrap_or_default()))
        }
        // Larger than any limit when they do not fit: the option says so.
        T::UBigInt | T::HugeInt | T::UHugeInt | T::Float | T::Double | T::Decimal => {
            Ok(OptionValue::Float(cast("DOUBLE")?.get::<f64>()?.unwrap_or_default()))
        }
        T::List | T::Array | T::Tuple => Ok(OptionValue::List(list()?)),
        T::Struct => {
            let names = logical_type.get_params()?.into_iter().map(|(name, _)| name);
            let fields: Vec<(String, OptionValue)> = names.zip(list()?).collect();
            // `row(…)` has fields without names.
            if fields.iter().all(|(name, _)| name.is_empty()) {
                return Ok(OptionValue::List(fields.into_iter().map(|(_, value)| value).collect()));
            }
            Ok(OptionValue::Struct(fields))
        }
        T::Map => {
            let key = |value: &OptionValue| match value {
                OptionValue::Text(text) => text.clone(),
                other => other.to_string(),
            };
            let entries = list()?;
            let pairs = entries.chunks_exact(2).filter_map(|pair| match pair {
                [name, value] => Some((key(name), value.clone())),
                _ => None,
            });
            Ok(OptionValue::Struct(pairs.collect()))
        }
        _ => text(),
    }
}
