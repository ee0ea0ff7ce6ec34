//! Row groups and pages of Parquet partitions that no row of the filter is in, by statistics and bloom filters.

use std::collections::HashMap;

use ::parquet::bloom_filter::Sbbf;
use ::parquet::data_type::AsBytes;

use super::compiled::{CompiledFilter, KeySet, Node, Number, Test};
use super::filter::CompareOp;
use super::interval::IntervalSet;
use crate::error::Result;
use crate::parquet::{Known, KnownPages, ParquetFile, Range};
use crate::table::Snapshot;
use crate::types::ValueType;

/// Sets of more keys than this are not looked up one by one.
const FEW_KEYS: usize = 16;

/// One column of one row group, or of one page of it.
struct Chunk<'a> {
    file: &'a ParquetFile,
    snapshot: &'a Snapshot,
    column: usize,
    value_type: ValueType,
    group: usize,
    known: Known<'a>,
    /// Whether to look into the bloom filter, which is one of the row group.
    bloom: bool,
}

impl CompiledFilter {
    /// Whether a row of the row group can pass; `true` when nothing is known.
    pub(super) fn may_match(&self, file: &ParquetFile, snapshot: &Snapshot, group: usize) -> Result<bool> {
        self.node_may_match(self.root(), &|slot, test| {
            let Some((column, value_type)) = self.column(slot) else { return Ok(true) };
            let Some(known) = file.known(column, group) else { return Ok(true) };
            Chunk { file, snapshot, column, value_type, group, known, bloom: true }.may_match(test)
        })
    }

    /// The rows of the row group that can pass by the bounds of their pages, of `rows` rows; `None` for all.
    pub(super) fn matching_rows(
        &self,
        file: &ParquetFile,
        snapshot: &Snapshot,
        group: usize,
        rows: u64,
    ) -> Result<Option<IntervalSet>> {
        let Some(last) = rows.checked_sub(1).and_then(|last| i64::try_from(last).ok()) else {
            return Ok(None);
        };
        let all = IntervalSet::between(0, last);
        let mut pages: HashMap<usize, Option<KnownPages>> = HashMap::new();
        let matching = self.node_rows(self.root(), &all, &mut |slot, test| {
            let Some((column, value_type)) = self.column(slot) else { return Ok(all.clone()) };
            let pages = pages.entry(column).or_insert_with(|| file.known_pages(column, group));
            let Some(pages) = pages else { return Ok(all.clone()) };
            let mut matching = Vec::new();
            for (rows, known) in pages.iter() {
                let page = Chunk { file, snapshot, column, value_type, group, known, bloom: false };
                if page.may_match(test)? {
                    let end = i64::try_from(rows.end).unwrap_or(i64::MAX);
                    matching.push(IntervalSet::between(i64::try_from(rows.start).unwrap_or(0), end - 1));
                }
            }
            Ok(IntervalSet::union(matching))
        })?;
        Ok(Some(matching).filter(|matching| *matching != all))
    }

    fn node_rows(
        &self,
        node: &Node,
        all: &IntervalSet,
        of: &mut dyn FnMut(usize, &Test) -> Result<IntervalSet>,
    ) -> Result<IntervalSet> {
        match node {
            Node::Pass => Ok(all.clone()),
            Node::And(parts) => parts.iter().try_fold(all.clone(), |rows, part| match rows.is_empty() {
                true => Ok(rows),
                false => Ok(rows.intersect(&self.node_rows(part, all, of)?)),
            }),
            Node::Or(parts) => {
                let rows = parts.iter().map(|part| self.node_rows(part, all, of));
                rows.collect::<Result<Vec<_>>>().map(IntervalSet::union)
            }
            Node::Test { slot, test } => of(*slot, test),
        }
    }

    fn node_may_match(&self, node: &Node, test: &dyn Fn(usize, &Test) -> Result<bool>) -> Result<bool> {
        match node {
            Node::Pass => Ok(true),
            Node::And(parts) => {
                for part in parts {
                    if !self.node_may_match(part, test)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(parts) => {
                for part in parts {
                    if self.node_may_match(part, test)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Test { slot, test: what } => test(*slot, what),
        }
    }
}

impl Chunk<'_> {
    fn may_match(&self, test: &Test) -> Result<bool> {
        if matches!(test, Test::Null { negated: false }) {
            return Ok(!self.known.has_no_null());
        }
        if self.known.is_all_null() {
            return Ok(false);
        }
        let range = self.known.range();
        Ok(match test {
            Test::Null { .. } => true,
            Test::Compare { op, value } => {
                let inside = range.is_none_or(|range| compare(&range, *op, *value));
                inside && (*op != CompareOp::Eq || self.bloom_may_hold(std::slice::from_ref(value)))
            }
            Test::In { values, negated: false } => {
                let inside =
                    range.is_none_or(|range| values.iter().any(|v| compare(&range, CompareOp::Eq, *v)));
                inside && (values.len() > FEW_KEYS || self.bloom_may_hold(values))
            }
            Test::In { .. } => true,
            Test::Keys(keys) => self.keys_may_match(keys, range)?,
        })
    }

    fn keys_may_match(&self, keys: &KeySet, range: Option<Range>) -> Result<bool> {
        if keys.len() > FEW_KEYS {
            return Ok(true);
        }
        let Some(table) = self.snapshot.symbols(self.column)? else { return Ok(true) };
        let texts: Vec<&str> = keys.keys().filter_map(|key| table.get(key as usize)).collect();
        let inside = |text: &str| match &range {
            Some(Range::Texts(min, max)) => (min.as_slice()..=max.as_slice()).contains(&text.as_bytes()),
            _ => true,
        };
        let texts: Vec<&str> = texts.into_iter().filter(|text| inside(text)).collect();
        if texts.is_empty() {
            return Ok(false);
        }
        let filter = self.bloom_filter();
        Ok(filter.is_none_or(|filter| texts.iter().any(|text| filter.check(*text))))
    }

    fn bloom_filter(&self) -> Option<Sbbf> {
        self.bloom.then(|| self.file.bloom_filter(self.column, self.group))?
    }

    /// Whether the bloom filter, if there is one, lets any of `values` pass.
    fn bloom_may_hold(&self, values: &[Number]) -> bool {
        // Asks for the filter only when all constants have a form in it.
        let forms: Option<Vec<Vec<u8>>> = values.iter().map(|value| self.plain(*value)).collect();
        let Some(forms) = forms else { return true };
        let filter = self.bloom_filter();
        filter.is_none_or(|filter| forms.iter().any(|bytes| filter.check(bytes.as_slice())))
    }

    /// The bytes of a constant in the column's PLAIN encoding. Floats are left out: 0 and −0 are equal.
    fn plain(&self, value: Number) -> Option<Vec<u8>> {
        match (self.value_type, value) {
            (ValueType::Int32, Number::Int(v)) => Some(i32::try_from(v).ok()?.as_bytes().to_vec()),
            (ValueType::Int64 | ValueType::TimestampMs, Number::Int(v)) => {
                Some(i64::try_from(v).ok()?.as_bytes().to_vec())
            }
            (ValueType::TimestampUs | ValueType::TimestampNs, Number::Int(v)) => {
                Some(i64::try_from(v).ok()?.as_bytes().to_vec())
            }
            (ValueType::Uuid, Number::UInt(v)) => Some(v.to_be_bytes().to_vec()),
            (ValueType::UInt128, Number::UInt(v)) => Some(v.to_le_bytes().to_vec()),
            _ => None,
        }
    }
}

/// Whether a value within `range` can compare so with `constant`.
fn compare(range: &Range, op: CompareOp, constant: Number) -> bool {
    let (low, high) = match (range, constant) {
        (Range::Ints(min, max), Number::Int(c)) => (i128::from(*min).cmp(&c), i128::from(*max).cmp(&c)),
        (Range::Floats(min, max), Number::Float(c)) => match (min.partial_cmp(&c), max.partial_cmp(&c)) {
            (Some(low), Some(high)) => (low, high),
            _ => return true,
        },
        _ => return true,
    };
    op.may_hold(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_exclude_only_what_no_value_satisfies() {
        let range = Range::Ints(10, 20);
        for (op, constant, expected) in [
            (CompareOp::Eq, 10, true),
            (CompareOp::Eq, 21, false),
            (CompareOp::Ne, 10, true),
            (CompareOp::Lt, 10, false),
            (CompareOp::Le, 10, true),
            (CompareOp::Gt, 20, false),
            (CompareOp::Ge, 20, true),
            (CompareOp::Ge, i128::MAX, false),
        ] {
            assert_eq!(compare(&range, op, Number::Int(constant)), expected, "{op} {constant}");
        }
        assert!(!compare(&Range::Ints(5, 5), CompareOp::Ne, Number::Int(5)));
        assert!(
            compare(&Range::Floats(f64::NAN, 1.0), CompareOp::Eq, Number::Float(9.0)),
            "NaN says nothing"
        );
        assert!(compare(&range, CompareOp::Eq, Number::Float(99.0)), "of another kind");
    }
}
