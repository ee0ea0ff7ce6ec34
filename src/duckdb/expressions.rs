//! DuckDB's filter expressions as the storage crate's [`Filter`]. What is not understood is unknown,
//! never wrong: DuckDB applies every filter itself as well.

use duckdb_neo::connection::Context;
use duckdb_neo::expression::{Expression, ExpressionType};
use duckdb_neo::logical_type::{LogicalType, LogicalTypeID};
use duckdb_neo::table_function::PushdownData;
use duckdb_neo::types::{
    DateValue, TimestampMsValue, TimestampNsValue, TimestampTzValue, TimestampValue, UuidValueRaw,
};
use duckdb_neo::value::Value;
use duckdb_neo::Result;
use questdb_storage::scan::{CompareOp, Filter, Literal};
use questdb_storage::types::ValueType;

/// Widest offset of a time zone, with room: a TIMESTAMPTZ constant is compared after a cast that depends on
/// the session's zone.
const WIDEST_ZONE_HOURS: i128 = 16;

/// Translates the filters of one pushdown.
pub struct Translator<'a> {
    /// For constants.
    pub context: &'a Context,
    /// Maps column references.
    pub pushdown: &'a PushdownData<'a>,
    /// Value type of each declared column; `None` for those that are not filtered.
    pub types: &'a dyn Fn(usize) -> Option<ValueType>,
}

impl Translator<'_> {
    /// All filters of the pushdown, which must all hold.
    pub fn translate(&self) -> Result<Filter> {
        let count = self.pushdown.filter_count()?;
        let parts = (0..count).map(|i| Ok(self.filter(&self.pushdown.filter(i)?))).collect::<Result<_>>()?;
        Ok(Filter::And(parts))
    }

    fn filter(&self, expression: &Expression<'_>) -> Filter {
        self.try_filter(expression).ok().flatten().unwrap_or(Filter::Unknown)
    }

    fn try_filter(&self, expression: &Expression<'_>) -> Result<Option<Filter>> {
        use ExpressionType as E;
        let children = expression.children()?;
        let kind = expression.expression_type()?;
        Ok(match (kind, children.as_slice()) {
            (E::ConjunctionAnd, parts) => {
                Some(Filter::And(parts.iter().map(|part| self.filter(part)).collect()))
            }
            (E::ConjunctionOr, parts) => {
                Some(Filter::Or(parts.iter().map(|part| self.filter(part)).collect()))
            }
            (E::CompareBetween, [column, low, high]) => {
                // Whether the bounds are inclusive is not told, so they are taken to be.
                let low = self.compare(column, low, CompareOp::Ge)?;
                let high = self.compare(column, high, CompareOp::Le)?;
                Some(Filter::And([low, high].into_iter().flatten().collect()))
            }
            (E::CompareIn | E::CompareNotIn, [column, constants @ ..]) => {
                self.membership(column, constants, kind == E::CompareNotIn)?
            }
            (E::OperatorNot, [inner]) if inner.expression_type()? == E::CompareIn => {
                match inner.children()?.as_slice() {
                    [column, constants @ ..] => self.membership(column, constants, true)?,
                    [] => None,
                }
            }
            (E::OperatorIsNull | E::OperatorIsNotNull, [operand]) => self
                .column(operand)
                .map(|(column, _)| Filter::IsNull { column, negated: kind == E::OperatorIsNotNull }),
            (E::CompareDistinctFrom, [column, constant]) => {
                match self.compare(column, constant, CompareOp::Ne)? {
                    Some(different) => self.column(column).map(|(column, _)| {
                        Filter::Or(vec![different, Filter::IsNull { column, negated: false }])
                    }),
                    None => None,
                }
            }
            (E::CompareNotDistinctFrom, [column, constant]) => {
                self.compare(column, constant, CompareOp::Eq)?
            }
            (E::BoundFunction, [column, constant])
                if matches!(expression.function_name()?.as_ref(), "prefix" | "starts_with" | "^@") =>
            {
                self.prefix(column, constant)?
            }
            (kind, [column, constant]) => match comparison(kind) {
                Some(op) => self.compare(column, constant, op)?,
                None => None,
            },
            _ => None,
        })
    }

    /// The declared column and its type, when `expression` is a bare column that can be filtered.
    fn column(&self, expression: &Expression<'_>) -> Option<(usize, ValueType)> {
        if expression.expression_type().ok()? != ExpressionType::BoundColumnRef {
            return None;
        }
        let column = self.pushdown.get_column_index(expression.reference_index().ok()?).ok()?;
        (self.types)(column).map(|value_type| (column, value_type))
    }

    fn compare(
        &self,
        column: &Expression<'_>,
        constant: &Expression<'_>,
        op: CompareOp,
    ) -> Result<Option<Filter>> {
        if constant.expression_type()? != ExpressionType::ValueConstant {
            return Ok(None);
        }
        let value = constant.get_constant_value()?;
        if value.is_null()? {
            return Ok(None);
        }
        if let Some((column, value_type)) = self.column(column) {
            // An ENUM's values are ordered by position, its symbols by text.
            let by_position = value.logical_type()?.id()? == LogicalTypeID::Enum;
            if by_position && !matches!(op, CompareOp::Eq | CompareOp::Ne) {
                return Ok(None);
            }
            let literal = self.literal(&value, value_type)?;
            return Ok(literal.map(|value| Filter::Compare { column, op, value }));
        }
        self.compare_zoned(column, &value, op)
    }

    /// `CAST(ts AS TIMESTAMPTZ) op constant`: how it comes out depends on the session's zone, so the range is
    /// widened by the widest offset.
    fn compare_zoned(&self, cast: &Expression<'_>, value: &Value, op: CompareOp) -> Result<Option<Filter>> {
        if cast.expression_type()? != ExpressionType::OperatorCast {
            return Ok(None);
        }
        let (operand, to) = (cast.child(0)?, cast.return_type()?.id()?);
        if to != LogicalTypeID::TimestampTz || value.logical_type()?.id()? != LogicalTypeID::TimestampTz {
            return Ok(None);
        }
        let Some((column, value_type)) = self.column(&operand) else { return Ok(None) };
        let Some(TimestampTzValue(micros)) = value.get::<TimestampTzValue>()? else { return Ok(None) };
        // Per microsecond; a cast to microseconds drops the rest, hence one more tick on each side.
        let (multiply, divide) = match value_type {
            ValueType::TimestampUs => (1, 1),
            ValueType::TimestampNs => (1000, 1),
            ValueType::TimestampMs => (1, 1000),
            _ => return Ok(None),
        };
        if micros == i64::MAX || micros == -i64::MAX {
            return Ok(None);
        }
        let slack = WIDEST_ZONE_HOURS * 3600 * 1_000_000 + 1;
        let at = |micros: i128| Literal::Int((micros * multiply).div_euclid(divide));
        let (low, high) = (at(i128::from(micros) - slack), at(i128::from(micros) + slack));
        let from = Filter::Compare { column, op: CompareOp::Ge, value: low };
        let until = Filter::Compare { column, op: CompareOp::Le, value: high };
        Ok(match op {
            CompareOp::Eq => Some(Filter::And(vec![from, until])),
            CompareOp::Gt | CompareOp::Ge => Some(from),
            CompareOp::Lt | CompareOp::Le => Some(until),
            CompareOp::Ne => None,
        })
    }

    fn membership(
        &self,
        column: &Expression<'_>,
        constants: &[Expression<'_>],
        negated: bool,
    ) -> Result<Option<Filter>> {
        let Some((column, value_type)) = self.column(column) else { return Ok(None) };
        let mut values = Vec::with_capacity(constants.len());
        for constant in constants {
            if constant.expression_type()? != ExpressionType::ValueConstant {
                return Ok(None);
            }
            let value = constant.get_constant_value()?;
            if value.is_null()? {
                // `NOT IN` with a NULL is never true, and a NULL in `IN` matches nothing.
                continue;
            }
            match self.literal(&value, value_type)? {
                Some(literal) => values.push(literal),
                None => return Ok(None),
            }
        }
        Ok(Some(Filter::In { column, values, negated }))
    }

    fn prefix(&self, column: &Expression<'_>, constant: &Expression<'_>) -> Result<Option<Filter>> {
        if constant.expression_type()? != ExpressionType::ValueConstant {
            return Ok(None);
        }
        match (self.column(column), constant.get_constant_value()?.get::<String>()?) {
            (Some((column, ValueType::Symbol)), Some(prefix)) => {
                Ok(Some(Filter::StartsWith { column, prefix }))
            }
            _ => Ok(None),
        }
    }

    /// A constant in the physical form of the column. Only constants of the column's own type are
    /// taken: a cast here could round where DuckDB compares exactly.
    fn literal(&self, value: &Value, value_type: ValueType) -> Result<Option<Literal>> {
        let id = value.logical_type()?.id()?;
        let int = |v: Option<i64>| Ok(v.map(|v| Literal::Int(v.into())));
        match (value_type, id) {
            (ValueType::Boolean, LogicalTypeID::Boolean) => int(value.get::<bool>()?.map(i64::from)),
            (ValueType::Int8, LogicalTypeID::TinyInt) => int(value.get::<i8>()?.map(i64::from)),
            (ValueType::Int16, LogicalTypeID::SmallInt) => int(value.get::<i16>()?.map(i64::from)),
            (ValueType::Int32, LogicalTypeID::Integer) => int(value.get::<i32>()?.map(i64::from)),
            (ValueType::UInt32, LogicalTypeID::UInteger) => int(value.get::<u32>()?.map(i64::from)),
            (ValueType::Int64, LogicalTypeID::BigInt) => int(value.get::<i64>()?),
            // Types that only Parquet files have; their columns are compared as the numbers that they are.
            (ValueType::Int32, LogicalTypeID::Date) => int(value.get::<DateValue>()?.map(|d| d.0.into())),
            (ValueType::Int64, LogicalTypeID::UTinyInt) => int(value.get::<u8>()?.map(i64::from)),
            (ValueType::Int64, LogicalTypeID::USmallInt) => int(value.get::<u16>()?.map(i64::from)),
            (ValueType::Int64, LogicalTypeID::UBigInt) => {
                Ok(value.get::<u64>()?.map(|v| Literal::Int(v.into())))
            }
            (ValueType::TimestampUs, LogicalTypeID::TimestampTz) => {
                int(value.get::<TimestampTzValue>()?.map(|t| t.0))
            }
            (ValueType::TimestampMs, LogicalTypeID::TimestampMs) => {
                int(value.get::<TimestampMsValue>()?.map(|t| t.0))
            }
            (ValueType::TimestampUs, LogicalTypeID::Timestamp) => {
                int(value.get::<TimestampValue>()?.map(|t| t.0))
            }
            (ValueType::TimestampNs, LogicalTypeID::TimestampNs) => {
                int(value.get::<TimestampNsValue>()?.map(|t| t.0))
            }
            (ValueType::Float32, LogicalTypeID::Float) => {
                Ok(value.get::<f32>()?.filter(|v| !v.is_nan()).map(|v| Literal::Float(v.into())))
            }
            (ValueType::Float64, LogicalTypeID::Double) => {
                Ok(value.get::<f64>()?.filter(|v| !v.is_nan()).map(Literal::Float))
            }
            (ValueType::Uuid, LogicalTypeID::Uuid) => {
                Ok(value.get::<UuidValueRaw>()?.map(|v| Literal::UInt(v.0 as u128 ^ 1 << 127)))
            }
            (ValueType::UInt128, LogicalTypeID::UHugeInt) => Ok(value.get::<u128>()?.map(Literal::UInt)),
            (ValueType::Symbol, LogicalTypeID::Varchar) => Ok(value.get::<String>()?.map(Literal::Text)),
            (ValueType::Symbol, LogicalTypeID::Enum) => Ok(self.text(value)?.map(Literal::Text)),
            (ValueType::Decimal { precision, scale }, LogicalTypeID::Decimal) => {
                let wanted = format!("DECIMAL({precision},{scale})");
                if value.logical_type()?.to_text()? != wanted {
                    return Ok(None);
                }
                Ok(self.text(value)?.and_then(|text| unscaled(&text, scale)).map(Literal::Int))
            }
            _ => Ok(None),
        }
    }

    fn text(&self, value: &Value) -> Result<Option<String>> {
        value.cast(self.context, &LogicalType::from_text(self.context, "VARCHAR")?)?.get::<String>()
    }
}

fn comparison(kind: ExpressionType) -> Option<CompareOp> {
    Some(match kind {
        ExpressionType::CompareEqual => CompareOp::Eq,
        ExpressionType::CompareNotEqual => CompareOp::Ne,
        ExpressionType::CompareLessThan => CompareOp::Lt,
        ExpressionType::CompareLessThanOrEqualTo => CompareOp::Le,
        ExpressionType::CompareGreaterThan => CompareOp::Gt,
        ExpressionType::CompareGreaterThanOrEqualTo => CompareOp::Ge,
        _ => return None,
    })
}

/// The unscaled integer of a decimal's text, which has exactly `scale` digits behind the point.
fn unscaled(text: &str, scale: u8) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() != usize::from(scale) {
        return None;
    }
    format!("{whole}{fraction}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::unscaled;

    #[test]
    fn decimal_texts_become_integers() {
        assert_eq!(unscaled("-12.34", 2), Some(-1234));
        assert_eq!(unscaled("0.05", 2), Some(5));
        assert_eq!(unscaled("-.05", 2), Some(-5));
        assert_eq!(unscaled("7", 0), Some(7));
        assert_eq!(unscaled("7", 1), None);
    }
}
