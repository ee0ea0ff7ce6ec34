//! Which files, row groups and pages cannot hold a row of the filter: by keys of directories, statistics and bloom filters.
//!
//! A filter is looked at as a whole, with *maybe* for what is not known. Statistics are used in orders that Parquet
//! defines: signed and unsigned integers, times, decimals in integers, floats, bytes of text. NaN stands in no
//! statistics and is the largest value for DuckDB, so an upper end of floats says nothing.

use std::cmp::Ordering;

use ::parquet::basic::Type as Physical;
use ::parquet::data_type::AsBytes;
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::statistics::Statistics;
use arrow_schema::DataType;

use super::file::{ColumnKind, ExportFile, FileColumn};
use super::leaf::Convert;
use crate::parquet::{agree, bloom_filter, quest_range, Range};
use crate::scan::{CompareOp, Filter, Literal};
use crate::types::{ColumnType, ValueType};

/// Sets of more constants than this are not looked up one by one in a bloom filter.
const FEW_CONSTANTS: usize = 16;

/// Whether a row can satisfy `filter`, given what `may` says about its parts.
pub(super) fn may_match(filter: &Filter, may: &dyn Fn(usize, &Filter) -> bool) -> bool {
    match filter {
        Filter::Unknown => true,
        Filter::And(parts) => parts.iter().all(|part| may_match(part, may)),
        Filter::Or(parts) => parts.iter().any(|part| may_match(part, may)),
        Filter::Compare { column, .. }
        | Filter::In { column, .. }
        | Filter::IsNull { column, .. }
        | Filter::StartsWith { column, .. } => may(*column, filter),
    }
}

/// Whether a column whose rows all hold `value` (`None` for NULL) can satisfy a condition on it.
pub(super) fn constant_may(value: Option<&Literal>, condition: &Filter) -> bool {
    let Some(value) = value else {
        return matches!(condition, Filter::IsNull { negated: false, .. } | Filter::Unknown);
    };
    match condition {
        Filter::Compare { op, value: other, .. } => order(value, other).is_none_or(|order| op.holds(order)),
        Filter::In { values, negated, .. } => {
            let equal = |other: &Literal| order(value, other).map(Ordering::is_eq);
            match values.iter().map(equal).collect::<Option<Vec<bool>>>() {
                Some(equal) => equal.contains(&true) != *negated,
                None => true,
            }
        }
        Filter::IsNull { negated, .. } => *negated,
        Filter::StartsWith { prefix, .. } => match value {
            Literal::Text(text) => text.starts_with(prefix.as_str()),
            _ => true,
        },
        _ => true,
    }
}

fn order(a: &Literal, b: &Literal) -> Option<Ordering> {
    match (a, b) {
        (Literal::Int(a), Literal::Int(b)) => Some(a.cmp(b)),
        (Literal::UInt(a), Literal::UInt(b)) => Some(a.cmp(b)),
        (Literal::Float(a), Literal::Float(b)) => a.partial_cmp(b),
        (Literal::Text(a), Literal::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// One column of one row group, or of one page of it.
pub(super) struct GroupColumn<'a> {
    pub(super) file: &'a ExportFile,
    pub(super) column: &'a FileColumn,
    pub(super) chunk: &'a ColumnChunkMetaData,
    /// Of the group or the page.
    pub(super) statistics: Option<&'a Statistics>,
    pub(super) rows: u64,
    pub(super) bloom_filters: bool,
}

/// Smallest and largest value, each with the order that they are in.
#[derive(Debug, Clone, PartialEq)]
enum Bounds {
    Ints(i128, i128),
    /// The largest value is not known: there may be NaN.
    Floats(f64, f64),
    /// No NaN.
    Doubles(f64, f64),
    Texts(Vec<u8>, Vec<u8>),
}

impl GroupColumn<'_> {
    /// Whether a row can satisfy `condition`, which is on this column alone.
    pub(super) fn may(&self, condition: &Filter) -> bool {
        let nulls = self.statistics.and_then(Statistics::null_count_opt);
        // Types without NULL read NULLs as zero, and NaN is NULL in QuestDB's floats.
        let quest = match self.column.kind {
            ColumnKind::Quest(column_type) => Some(column_type),
            _ => None,
        };
        if let Filter::IsNull { negated, .. } = condition {
            return match (negated, nulls, quest) {
                (false, Some(0), None) => false,
                (true, Some(nulls), None) => nulls < self.rows,
                _ => true,
            };
        }
        if nulls == Some(self.rows) && !quest.is_some_and(ColumnType::missing_is_zero) {
            return false;
        }
        let bounds = self.statistics.and_then(|statistics| bounds(self.column, statistics));
        match condition {
            Filter::Compare { op, value, .. } => {
                bounds.as_ref().is_none_or(|bounds| bounds.may(*op, value))
                    && (*op != CompareOp::Eq || self.bloom_may(std::slice::from_ref(value)))
            }
            Filter::In { values, negated: false, .. } => {
                let inside = |value: &&Literal| bounds.as_ref().is_none_or(|b| b.may(CompareOp::Eq, value));
                let inside: Vec<Literal> = values.iter().filter(inside).cloned().collect();
                !inside.is_empty() && (inside.len() > FEW_CONSTANTS || self.bloom_may(&inside))
            }
            Filter::StartsWith { prefix, .. } => match bounds {
                Some(Bounds::Texts(min, max)) => {
                    let prefix = prefix.as_bytes();
                    let cut = |text: &[u8]| text.get(..prefix.len()).unwrap_or(text).to_vec();
                    cut(&min).as_slice() <= prefix && max.as_slice() >= prefix
                }
                _ => true,
            },
            _ => true,
        }
    }

    /// Whether the bloom filter, if there is one, lets any of `values` pass.
    fn bloom_may(&self, values: &[Literal]) -> bool {
        if !self.bloom_filters || self.chunk.bloom_filter_offset().is_none() {
            return true;
        }
        let forms: Option<Vec<Vec<u8>>> = values.iter().map(|value| self.plain_form(value)).collect();
        let Some(forms) = forms else { return true };
        let filter = bloom_filter(self.file.source.as_ref(), self.chunk);
        filter.is_none_or(|filter| forms.iter().any(|bytes| filter.check(bytes.as_slice())))
    }

    /// A constant in the column's PLAIN encoding. Floats are left out: 0 and −0 are equal.
    fn plain_form(&self, value: &Literal) -> Option<Vec<u8>> {
        let as_stored = match &self.column.kind {
            ColumnKind::Plain(plain) => matches!(plain.convert, Convert::Same | Convert::Utc),
            ColumnKind::Quest(column_type) => matches!(
                column_type.value_type(true),
                Some(
                    ValueType::Int32
                        | ValueType::Int64
                        | ValueType::TimestampMs
                        | ValueType::TimestampUs
                        | ValueType::TimestampNs
                        | ValueType::Uuid
                        | ValueType::Text
                        | ValueType::Symbol
                )
            ),
            ColumnKind::Refused(_) => false,
        };
        match (self.chunk.column_type(), value) {
            _ if !as_stored => None,
            (Physical::INT32, Literal::Int(v)) => {
                let bits = i32::try_from(*v).ok().or_else(|| u32::try_from(*v).ok().map(|v| v as i32))?;
                Some(bits.as_bytes().to_vec())
            }
            (Physical::INT64, Literal::Int(v)) => {
                let bits = i64::try_from(*v).ok().or_else(|| u64::try_from(*v).ok().map(|v| v as i64))?;
                Some(bits.as_bytes().to_vec())
            }
            (Physical::BYTE_ARRAY, Literal::Text(text)) => Some(text.as_bytes().to_vec()),
            (Physical::FIXED_LEN_BYTE_ARRAY, Literal::UInt(v)) => Some(v.to_be_bytes().to_vec()),
            _ => None,
        }
    }
}

/// Smallest and largest value; `None` where they are not known, or the wrong way round.
fn bounds(column: &FileColumn, statistics: &Statistics) -> Option<Bounds> {
    let bounds = match &column.kind {
        ColumnKind::Quest(ColumnType::Varchar | ColumnType::String) => texts(statistics),
        ColumnKind::Quest(column_type) => match quest_range(statistics, *column_type)? {
            Range::Ints(min, max) => Some(Bounds::Ints(min.into(), max.into())),
            Range::Floats(min, max) => Some(Bounds::Doubles(min, max)),
            Range::Texts(min, max) => Some(Bounds::Texts(min, max)),
        },
        ColumnKind::Plain(plain) => {
            let factor = match plain.convert {
                Convert::Same | Convert::Utc | Convert::Decimal => 1,
                Convert::Millis { .. } => 1000,
                _ => return None,
            };
            plain_bounds(statistics, plain.field.data_type(), factor)
        }
        ColumnKind::Refused(_) => None,
    };
    bounds.filter(Bounds::is_ordered)
}

/// Whether the bounds of the pages are together those of their column chunk, where that is known for certain. Pages of
/// which it is not true are described by an index of something else.
pub(super) fn agrees(
    column: &FileColumn,
    chunk: Option<&Statistics>,
    pages: &[(std::ops::Range<u64>, Statistics)],
) -> bool {
    let ints = |statistics: &Statistics| match bounds(column, statistics) {
        Some(Bounds::Ints(min, max)) => Some((min, max)),
        _ => None,
    };
    let Some(chunk) = chunk.and_then(ints) else { return true };
    let pages = pages.iter().map(|(_, page)| page).filter(|page| page.min_bytes_opt().is_some());
    agree(chunk, pages.map(ints))
}

/// First and last instant of QuestDB's designated timestamp in a file, by its statistics.
pub(super) fn time_range(file: &ExportFile) -> Option<(i64, i64)> {
    let (index, _) = file.designated()?;
    let column = file.columns().get(index)?;
    let ColumnKind::Quest(column_type) = column.kind else { return None };
    let mut whole: Option<(i64, i64)> = None;
    for group in file.reader.metadata().row_groups().iter().filter(|group| group.num_rows() > 0) {
        let statistics = group.columns().get(column.leaves.start)?.statistics()?;
        let Range::Ints(min, max) = quest_range(statistics, column_type)? else { return None };
        whole = Some(whole.map_or((min, max), |(low, high)| (low.min(min), high.max(max))));
    }
    whole
}

fn texts(statistics: &Statistics) -> Option<Bounds> {
    match statistics {
        // The old fields were written in orders of all kinds.
        Statistics::ByteArray(s) if !statistics.is_min_max_deprecated() => {
            Some(Bounds::Texts(s.min_opt()?.data().to_vec(), s.max_opt()?.data().to_vec()))
        }
        _ => None,
    }
}

fn plain_bounds(statistics: &Statistics, data_type: &DataType, factor: i128) -> Option<Bounds> {
    use DataType as D;
    let ints = |min: i128, max: i128| Some(Bounds::Ints(min * factor, max * factor));
    match (statistics, data_type) {
        (Statistics::Int32(s), D::UInt8 | D::UInt16 | D::UInt32) if !statistics.is_min_max_deprecated() => {
            let unsigned = |v: i32| i128::from(v as u32);
            ints(unsigned(*s.min_opt()?), unsigned(*s.max_opt()?))
        }
        (Statistics::Int64(s), D::UInt64) if !statistics.is_min_max_deprecated() => {
            let unsigned = |v: i64| i128::from(v as u64);
            ints(unsigned(*s.min_opt()?), unsigned(*s.max_opt()?))
        }
        (_, D::UInt8 | D::UInt16 | D::UInt32 | D::UInt64) => None,
        (Statistics::Int32(s), D::Int8 | D::Int16 | D::Int32 | D::Date32 | D::Decimal128(..)) => {
            ints((*s.min_opt()?).into(), (*s.max_opt()?).into())
        }
        (Statistics::Int64(s), D::Int64 | D::Timestamp(..) | D::Decimal128(..)) => {
            ints((*s.min_opt()?).into(), (*s.max_opt()?).into())
        }
        (Statistics::Float(s), D::Float32) => {
            Some(Bounds::Floats((*s.min_opt()?).into(), (*s.max_opt()?).into()))
        }
        (Statistics::Double(s), D::Float64) => Some(Bounds::Floats(*s.min_opt()?, *s.max_opt()?)),
        (_, D::Utf8View) => texts(statistics),
        _ => None,
    }
}

impl Bounds {
    fn is_ordered(&self) -> bool {
        match self {
            Self::Ints(min, max) => min <= max,
            Self::Floats(min, max) | Self::Doubles(min, max) => min <= max,
            Self::Texts(min, max) => min <= max,
        }
    }

    /// Whether a value within the bounds can compare so with `constant`.
    fn may(&self, op: CompareOp, constant: &Literal) -> bool {
        let (low, high) = match (self, constant) {
            (Self::Ints(min, max), Literal::Int(c)) => (min.cmp(c), max.cmp(c)),
            (Self::Floats(min, max), Literal::Float(c)) => match (min.partial_cmp(c), max.partial_cmp(c)) {
                (Some(_), Some(_)) if matches!(op, CompareOp::Gt | CompareOp::Ge | CompareOp::Ne) => {
                    return true
                }
                (Some(low), Some(high)) => (low, high),
                _ => return true,
            },
            (Self::Doubles(min, max), Literal::Float(c)) => match (min.partial_cmp(c), max.partial_cmp(c)) {
                (Some(low), Some(high)) => (low, high),
                _ => return true,
            },
            (Self::Texts(min, max), Literal::Text(c)) => {
                (min.as_slice().cmp(c.as_bytes()), max.as_slice().cmp(c.as_bytes()))
            }
            _ => return true,
        };
        // Ends of text may be cut, so equal ends say nothing.
        (op == CompareOp::Ne && matches!(self, Self::Texts(..))) || op.may_hold(low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_exclude_only_what_no_value_satisfies() {
        let ints = Bounds::Ints(10, 20);
        for (op, constant, expected) in [
            (CompareOp::Eq, 10, true),
            (CompareOp::Eq, 21, false),
            (CompareOp::Ne, 10, true),
            (CompareOp::Lt, 10, false),
            (CompareOp::Le, 10, true),
            (CompareOp::Gt, 20, false),
            (CompareOp::Ge, 20, true),
        ] {
            assert_eq!(ints.may(op, &Literal::Int(constant)), expected, "{op} {constant}");
        }
        let floats = Bounds::Floats(1.0, 2.0);
        assert!(floats.may(CompareOp::Gt, &Literal::Float(5.0)), "NaN is larger");
        assert!(!floats.may(CompareOp::Lt, &Literal::Float(1.0)));
        assert!(!floats.may(CompareOp::Eq, &Literal::Float(5.0)));
        assert!(!Bounds::Doubles(1.0, 2.0).may(CompareOp::Gt, &Literal::Float(5.0)));
        let texts = Bounds::Texts(b"b".to_vec(), b"d".to_vec());
        assert!(!texts.may(CompareOp::Eq, &Literal::Text("a".to_owned())));
        assert!(texts.may(CompareOp::Ne, &Literal::Text("b".to_owned())));
    }

    #[test]
    fn bounds_the_wrong_way_round_say_nothing() {
        assert!(Bounds::Texts(b"a".to_vec(), b"a".to_vec()).is_ordered());
        assert!(!Bounds::Texts(b"b".to_vec(), b"a".to_vec()).is_ordered());
        assert!(!Bounds::Ints(3, 2).is_ordered());
        assert!(!Bounds::Doubles(f64::NAN, 2.0).is_ordered());
    }

    #[test]
    fn keys_of_directories_are_exact() {
        let compare = |op, value| Filter::Compare { column: 0, op, value: Literal::Int(value) };
        let five = Literal::Int(5);
        assert!(constant_may(Some(&five), &compare(CompareOp::Ge, 5)));
        assert!(!constant_may(Some(&five), &compare(CompareOp::Ne, 5)));
        assert!(!constant_may(None, &compare(CompareOp::Ne, 5)), "NULL satisfies no comparison");
        assert!(constant_may(None, &Filter::IsNull { column: 0, negated: false }));
        assert!(!constant_may(Some(&five), &Filter::IsNull { column: 0, negated: false }));
        let not_in = Filter::In { column: 0, values: vec![Literal::Int(4), Literal::Int(5)], negated: true };
        assert!(!constant_may(Some(&five), &not_in));
        assert!(constant_may(Some(&five), &compare(CompareOp::Eq, 5)));
        assert!(
            constant_may(
                Some(&five),
                &Filter::Compare { column: 0, op: CompareOp::Eq, value: Literal::Text("5".into()) }
            ),
            "of another kind"
        );
    }

    #[test]
    fn one_part_of_or_that_may_hold_is_enough() {
        let compare = |column| Filter::Compare { column, op: CompareOp::Eq, value: Literal::Int(1) };
        let may = |column: usize, _: &Filter| column == 1;
        assert!(may_match(&Filter::Or(vec![compare(0), compare(1)]), &may));
        assert!(!may_match(&Filter::And(vec![compare(0), compare(1)]), &may));
        assert!(may_match(&Filter::And(vec![Filter::Unknown, compare(1)]), &may));
    }
}
