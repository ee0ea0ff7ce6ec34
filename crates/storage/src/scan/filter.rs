//! What a query says about the rows it needs, in terms of a table's columns.

use std::cmp::Ordering;
use std::fmt;

use super::interval::IntervalSet;

/// A constant, in the physical form of its column's value type: timestamps and decimals are the
/// integers that columns store.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Integers, booleans (0, 1), timestamps, unscaled decimals.
    Int(i128),
    /// UUID, UHUGEINT.
    UInt(u128),
    /// FLOAT, DOUBLE.
    Float(f64),
    /// Symbols.
    Text(String),
}

/// A comparison; the column is on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl CompareOp {
    /// Whether `left op right` holds, given how the two compare.
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Ne => ordering.is_ne(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
        }
    }

    /// Whether `value op constant` may hold for a value between two bounds that compare so with the constant.
    pub(crate) fn may_hold(self, low: Ordering, high: Ordering) -> bool {
        match self {
            Self::Eq => low.is_le() && high.is_ge(),
            Self::Ne => !(low.is_eq() && high.is_eq()),
            Self::Lt | Self::Le => self.holds(low),
            Self::Gt | Self::Ge => self.holds(high),
        }
    }
}

/// A condition on rows. A row is needed when the condition is true (not false, not NULL). There is no
/// negation, so replacing any part by [`Filter::Unknown`] only lets more rows through.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Nothing is known: rows pass.
    Unknown,
    /// All must hold.
    And(Vec<Filter>),
    /// One must hold.
    Or(Vec<Filter>),
    /// Column (by position in the snapshot) against a constant.
    Compare {
        /// Column.
        column: usize,
        /// Comparison.
        op: CompareOp,
        /// Constant.
        value: Literal,
    },
    /// Column equals one of the constants, or none of them when negated.
    In {
        /// Column.
        column: usize,
        /// Constants, without NULL.
        values: Vec<Literal>,
        /// `NOT IN`.
        negated: bool,
    },
    /// Column is NULL, or is not NULL when negated.
    IsNull {
        /// Column.
        column: usize,
        /// `IS NOT NULL`.
        negated: bool,
    },
    /// Text of the column starts with the prefix.
    StartsWith {
        /// Column.
        column: usize,
        /// Prefix.
        prefix: String,
    },
}

impl Filter {
    /// The filter that lets every row through.
    pub fn all() -> Self {
        Self::Unknown
    }

    /// The instants of column `timestamp` that can satisfy the filter.
    pub fn intervals(&self, timestamp: usize) -> IntervalSet {
        match self {
            Self::And(parts) => {
                parts.iter().fold(IntervalSet::all(), |set, part| set.intersect(&part.intervals(timestamp)))
            }
            Self::Or(parts) => IntervalSet::union(parts.iter().map(|part| part.intervals(timestamp))),
            Self::Compare { column, op, value: Literal::Int(value) } if *column == timestamp => {
                compare_intervals(*op, *value)
            }
            Self::In { column, values, negated: false } if *column == timestamp => {
                IntervalSet::union(values.iter().map(|value| match value {
                    Literal::Int(value) => compare_intervals(CompareOp::Eq, *value),
                    _ => IntervalSet::all(),
                }))
            }
            // The designated timestamp is never NULL.
            Self::IsNull { column, negated: false } if *column == timestamp => IntervalSet::none(),
            _ => IntervalSet::all(),
        }
    }

    /// Whether [`Self::intervals`] says all that the filter says.
    pub fn is_only_about_time(&self, timestamp: usize) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().all(|part| part.is_only_about_time(timestamp)),
            Self::Compare { column, op, value: Literal::Int(_) } => {
                *column == timestamp && *op != CompareOp::Ne
            }
            Self::In { column, negated: false, values } => {
                *column == timestamp && values.iter().all(|v| matches!(v, Literal::Int(_)))
            }
            Self::Unknown => true,
            _ => false,
        }
    }

    /// The filter for a table in which column `timestamp` can be NULL all the same, because of damage.
    pub fn with_lost_times(&self, timestamp: usize) -> Self {
        let both = |parts: &[Self]| parts.iter().map(|part| part.with_lost_times(timestamp)).collect();
        match self {
            Self::And(parts) => Self::And(both(parts)),
            Self::Or(parts) => Self::Or(both(parts)),
            Self::IsNull { column, negated: false } if *column == timestamp => Self::Unknown,
            other => other.clone(),
        }
    }

    /// The filter with its column numbers replaced; a column that has no number becomes unknown.
    pub fn map_columns(&self, map: &impl Fn(usize) -> Option<usize>) -> Self {
        let both = |parts: &[Self]| parts.iter().map(|part| part.map_columns(map)).collect();
        match self {
            Self::Unknown => Self::Unknown,
            Self::And(parts) => Self::And(both(parts)),
            Self::Or(parts) => Self::Or(both(parts)),
            Self::Compare { column, op, value } => map(*column)
                .map_or(Self::Unknown, |column| Self::Compare { column, op: *op, value: value.clone() }),
            Self::In { column, values, negated } => map(*column).map_or(Self::Unknown, |column| Self::In {
                column,
                values: values.clone(),
                negated: *negated,
            }),
            Self::IsNull { column, negated } => {
                map(*column).map_or(Self::Unknown, |column| Self::IsNull { column, negated: *negated })
            }
            Self::StartsWith { column, prefix } => map(*column)
                .map_or(Self::Unknown, |column| Self::StartsWith { column, prefix: prefix.clone() }),
        }
    }
}

/// The instants that compare so with `value`, which may lie outside the range of instants.
fn compare_intervals(op: CompareOp, value: i128) -> IntervalSet {
    // i64::MIN is NULL, so the smallest instant is the one behind it; including it does no harm.
    let clamp = |v: i128| i64::try_from(v).unwrap_or(if v < 0 { i64::MIN } else { i64::MAX });
    let in_range = i64::try_from(value).is_ok();
    match op {
        CompareOp::Eq if in_range => IntervalSet::between(clamp(value), clamp(value)),
        CompareOp::Eq => IntervalSet::none(),
        CompareOp::Ne => IntervalSet::all(),
        CompareOp::Lt if value <= i128::from(i64::MIN) => IntervalSet::none(),
        CompareOp::Lt => IntervalSet::between(i64::MIN, clamp(value - 1)),
        CompareOp::Le if value < i128::from(i64::MIN) => IntervalSet::none(),
        CompareOp::Le => IntervalSet::between(i64::MIN, clamp(value)),
        CompareOp::Gt if value >= i128::from(i64::MAX) => IntervalSet::none(),
        CompareOp::Gt => IntervalSet::between(clamp(value + 1), i64::MAX),
        CompareOp::Ge if value > i128::from(i64::MAX) => IntervalSet::none(),
        CompareOp::Ge => IntervalSet::between(clamp(value), i64::MAX),
    }
}

impl fmt::Display for CompareOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(op: CompareOp, value: i128) -> Filter {
        Filter::Compare { column: 0, op, value: Literal::Int(value) }
    }

    #[test]
    fn trees_become_intervals() {
        let filter = Filter::And(vec![
            ts(CompareOp::Ge, 10),
            Filter::Or(vec![ts(CompareOp::Lt, 20), ts(CompareOp::Eq, 50)]),
            Filter::Compare { column: 1, op: CompareOp::Eq, value: Literal::Int(3) },
        ]);
        let expected = IntervalSet::union([IntervalSet::between(10, 19), IntervalSet::between(50, 50)]);
        assert_eq!(filter.intervals(0), expected);
        assert!(!filter.is_only_about_time(0));
        assert!(filter.intervals(7).is_all());
    }

    #[test]
    fn an_unknown_branch_of_or_opens_the_range_and_of_and_does_not() {
        assert!(Filter::Or(vec![ts(CompareOp::Eq, 1), Filter::Unknown]).intervals(0).is_all());
        assert_eq!(
            Filter::And(vec![ts(CompareOp::Eq, 1), Filter::Unknown]).intervals(0),
            IntervalSet::between(1, 1)
        );
    }

    #[test]
    fn times_are_null_only_where_they_are_lost() {
        let is_null = Filter::Or(vec![ts(CompareOp::Eq, 1), Filter::IsNull { column: 0, negated: false }]);
        assert_eq!(is_null.intervals(0), IntervalSet::between(1, 1));
        assert!(is_null.with_lost_times(0).intervals(0).is_all());
        assert_eq!(is_null.with_lost_times(3).intervals(0), IntervalSet::between(1, 1));
    }

    #[test]
    fn constants_beyond_the_range_do_not_wrap() {
        let far = i128::from(i64::MAX) + 1;
        assert!(ts(CompareOp::Gt, far).intervals(0).is_empty());
        assert!(ts(CompareOp::Lt, far).intervals(0).is_all());
        assert!(ts(CompareOp::Gt, i128::from(i64::MAX)).intervals(0).is_empty());
        assert!(ts(CompareOp::Lt, -far - 5).intervals(0).is_empty());
        assert!(ts(CompareOp::Eq, far).intervals(0).is_empty());
        assert!(ts(CompareOp::Ge, -far - 5).intervals(0).is_all());
    }
}
