//! Evaluates a filter on the raw values of a window of rows, before any other column is touched.

use std::cmp::Ordering;
use std::sync::Arc;

use super::filter::{CompareOp, Filter, Literal};
use super::morsel::{Buffers, OpenPartition, RowSet};
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::table::Snapshot;
use crate::types::{ColumnSink, Fixed, NestedDoubles, NullMask, StringSlots, ValueType};

/// Rows that are tested at once; a multiple of 64.
pub(super) const WINDOW: usize = 2048;

/// One bit per row of a window.
pub(super) type Mask = [u64; WINDOW / 64];

/// A filter for one snapshot: symbols are sets of keys, only testable columns are left.
#[derive(Debug)]
pub(super) struct CompiledFilter {
    root: Node,
    /// Columns that the tests read: position in the snapshot and value type.
    columns: Vec<(usize, ValueType)>,
}

/// A part of a compiled filter.
#[derive(Debug)]
pub(super) enum Node {
    /// Every row passes.
    Pass,
    And(Vec<Node>),
    Or(Vec<Node>),
    /// A test of `columns[slot]`.
    Test {
        slot: usize,
        test: Test,
    },
}

/// A test of one column.
#[derive(Debug)]
pub(super) enum Test {
    Null {
        negated: bool,
    },
    Keys(KeySet),
    Compare {
        op: CompareOp,
        value: Number,
    },
    /// Sorted constants.
    In {
        values: Vec<Number>,
        negated: bool,
    },
}

/// Symbol keys, as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeySet {
    bits: Vec<u64>,
    len: usize,
}

/// A constant as it is compared.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Number {
    Int(i128),
    UInt(u128),
    Float(f64),
}

impl KeySet {
    fn of(table: &SymbolTable, matches: impl Fn(&str) -> bool) -> Self {
        let mut set = Self { bits: vec![0; table.len().div_ceil(64)], len: 0 };
        for (key, text) in table.iter().enumerate() {
            if matches(text) {
                if let Some(word) = set.bits.get_mut(key / 64) {
                    *word |= 1 << (key % 64);
                    set.len += 1;
                }
            }
        }
        set
    }

    #[inline]
    fn contains(&self, key: i32) -> bool {
        let key = key as u32 as usize;
        self.bits.get(key / 64).is_some_and(|word| word >> (key % 64) & 1 != 0)
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.bits).flat_map(|(i, word)| {
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| i * 64 + bit)
        })
    }
}

impl CompiledFilter {
    /// Compiles `filter`; `None` when it cannot exclude any row beyond what the time range excludes.
    pub(super) fn new(filter: &Filter, snapshot: &Snapshot, raw: bool) -> Result<Option<Self>> {
        let mut compiled = Self { root: Node::Pass, columns: Vec::new() };
        compiled.root = compiled.compile(filter, snapshot, raw, true)?;
        Ok((!matches!(compiled.root, Node::Pass)).then_some(compiled))
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Position in the snapshot and value type of the column that a test names.
    pub(super) fn column(&self, slot: usize) -> Option<(usize, ValueType)> {
        self.columns.get(slot).copied()
    }

    fn compile(&mut self, filter: &Filter, snapshot: &Snapshot, raw: bool, top: bool) -> Result<Node> {
        // At the top level the time range has been applied to the partitions already.
        if top && snapshot.timestamp().is_some_and(|ts| filter.is_only_about_time(ts)) {
            return Ok(Node::Pass);
        }
        Ok(match filter {
            Filter::Unknown => Node::Pass,
            Filter::And(parts) => {
                let mut nodes = Vec::new();
                for part in parts {
                    match self.compile(part, snapshot, raw, top)? {
                        Node::Pass => {}
                        node => nodes.push(node),
                    }
                }
                if nodes.is_empty() {
                    Node::Pass
                } else {
                    Node::And(nodes)
                }
            }
            Filter::Or(parts) => {
                let mut nodes = Vec::new();
                for part in parts {
                    match self.compile(part, snapshot, raw, false)? {
                        Node::Pass => return Ok(Node::Pass),
                        node => nodes.push(node),
                    }
                }
                Node::Or(nodes)
            }
            Filter::Compare { column, op, value } => {
                self.test(*column, snapshot, raw, |kind| match (kind, value) {
                    (Kind::Symbols(table), Literal::Text(text)) => {
                        Some(Test::Keys(KeySet::of(table, |symbol| op.holds(symbol.cmp(text.as_str())))))
                    }
                    (Kind::Numbers(_), value) => Some(Test::Compare { op: *op, value: number(value)? }),
                    _ => None,
                })?
            }
            Filter::In { column, values, negated } => {
                self.test(*column, snapshot, raw, |kind| match kind {
                    Kind::Symbols(table) => {
                        let texts: Option<Vec<&str>> = values.iter().map(text).collect();
                        let texts = texts?;
                        Some(Test::Keys(KeySet::of(table, |symbol| texts.contains(&symbol) != *negated)))
                    }
                    Kind::Numbers(_) => {
                        let mut numbers: Vec<Number> = values.iter().map(number).collect::<Option<_>>()?;
                        numbers.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
                        Some(Test::In { values: numbers, negated: *negated })
                    }
                })?
            }
            Filter::IsNull { column, negated } => {
                self.test(*column, snapshot, raw, |_| Some(Test::Null { negated: *negated }))?
            }
            Filter::StartsWith { column, prefix } => {
                self.test(*column, snapshot, raw, |kind| match kind {
                    Kind::Symbols(table) => {
                        Some(Test::Keys(KeySet::of(table, |symbol| symbol.starts_with(prefix.as_str()))))
                    }
                    Kind::Numbers(_) => None,
                })?
            }
        })
    }

    /// A test of `column`, when its values can be tested cheaply and `make` has a test for them.
    fn test(
        &mut self,
        column: usize,
        snapshot: &Snapshot,
        raw: bool,
        make: impl FnOnce(Kind<'_>) -> Option<Test>,
    ) -> Result<Node> {
        let value_type = snapshot.columns().get(column).and_then(|c| c.column_type.value_type(raw));
        let Some(value_type) = value_type else { return Ok(Node::Pass) };
        let table;
        let kind = match value_type {
            ValueType::Text | ValueType::Blob | ValueType::Doubles { .. } => return Ok(Node::Pass),
            ValueType::Symbol => {
                table = snapshot.symbols(column)?;
                match table.as_ref() {
                    Some(table) => Kind::Symbols(table),
                    None => return Ok(Node::Pass),
                }
            }
            other => Kind::Numbers(other),
        };
        let Some(test) = make(kind) else { return Ok(Node::Pass) };
        let known = self.columns.iter().position(|(c, _)| *c == column);
        let slot = known.unwrap_or_else(|| {
            self.columns.push((column, value_type));
            self.columns.len() - 1
        });
        Ok(Node::Test { slot, test })
    }

    /// The most selective set of symbol keys that every row must be in, for an index lookup.
    pub(super) fn required_keys(&self) -> impl Iterator<Item = (usize, Vec<u32>)> + '_ {
        let parts = match &self.root {
            Node::And(parts) => parts.as_slice(),
            single => std::slice::from_ref(single),
        };
        parts.iter().filter_map(|node| match node {
            Node::Test { slot, test: Test::Keys(set) } if set.len <= 16 => {
                self.columns.get(*slot).map(|(column, _)| (*column, set.keys().collect()))
            }
            _ => None,
        })
    }

    /// Whether no row of the table can pass: a symbol that the table does not have.
    pub(super) fn is_impossible(&self) -> bool {
        fn never(node: &Node) -> bool {
            match node {
                Node::Pass => false,
                Node::And(parts) => parts.iter().any(never),
                Node::Or(parts) => parts.iter().all(never),
                Node::Test { test: Test::Keys(set), .. } => set.len == 0,
                Node::Test { .. } => false,
            }
        }
        never(&self.root)
    }

    /// Tests `rows` (at most [`WINDOW`]) of `partition`.
    pub(super) fn evaluate(
        &self,
        partition: &OpenPartition,
        raw: bool,
        rows: &RowSet,
        window: &mut FilterWindow,
        buffers: &mut Buffers,
    ) -> Result<Mask> {
        window.columns.resize_with(self.columns.len(), FilterColumn::default);
        for ((column, value_type), values) in self.columns.iter().zip(&mut window.columns) {
            values.reset(*value_type);
            partition.decode(*column, raw, rows, buffers, values)?;
        }
        Ok(evaluate(&self.root, &window.columns, rows.len()))
    }
}

/// What a test can be made for.
enum Kind<'a> {
    Symbols(&'a Arc<SymbolTable>),
    Numbers(#[allow(dead_code)] ValueType),
}

fn text(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::Text(text) => Some(text),
        _ => None,
    }
}

fn number(literal: &Literal) -> Option<Number> {
    match literal {
        Literal::Int(v) => Some(Number::Int(*v)),
        Literal::UInt(v) => Some(Number::UInt(*v)),
        Literal::Float(v) if !v.is_nan() => Some(Number::Float(*v)),
        _ => None,
    }
}

fn evaluate(node: &Node, columns: &[FilterColumn], rows: usize) -> Mask {
    match node {
        Node::Pass => all(rows),
        Node::And(parts) => parts
            .iter()
            .fold(all(rows), |mask, part| combine(mask, evaluate(part, columns, rows), |a, b| a & b)),
        Node::Or(parts) => parts
            .iter()
            .fold([0; WINDOW / 64], |mask, part| combine(mask, evaluate(part, columns, rows), |a, b| a | b)),
        Node::Test { slot, test } => {
            columns.get(*slot).map_or_else(|| all(rows), |column| column.test(test, rows))
        }
    }
}

/// The mask of `rows` set bits.
pub(super) fn all(rows: usize) -> Mask {
    let mut mask = [0u64; WINDOW / 64];
    for (i, word) in mask.iter_mut().enumerate() {
        *word = match rows.saturating_sub(i * 64) {
            0 => 0,
            left if left >= 64 => u64::MAX,
            left => (1 << left) - 1,
        };
    }
    mask
}

fn combine(mut a: Mask, b: Mask, with: impl Fn(u64, u64) -> u64) -> Mask {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = with(*a, b));
    a
}

/// The columns of the current window, reused from window to window.
#[derive(Debug, Default)]
pub(super) struct FilterWindow {
    columns: Vec<FilterColumn>,
}

/// The values of one column in a window: a sink for fixed-width values and symbol keys.
#[derive(Debug)]
struct FilterColumn {
    value_type: ValueType,
    /// Aligned for every fixed-width type.
    values: Vec<u128>,
    bytes: usize,
    rows: usize,
    nulls: NullMask,
}

impl Default for FilterColumn {
    fn default() -> Self {
        Self {
            value_type: ValueType::Boolean,
            values: Vec::new(),
            bytes: 0,
            rows: 0,
            nulls: NullMask::default(),
        }
    }
}

impl FilterColumn {
    fn reset(&mut self, value_type: ValueType) {
        self.value_type = value_type;
        self.bytes = 0;
        self.rows = 0;
        self.nulls.clear();
    }

    fn width(&self) -> usize {
        match self.value_type {
            ValueType::Boolean | ValueType::Int8 => 1,
            ValueType::Int16 => 2,
            ValueType::Int32 | ValueType::UInt32 | ValueType::Float32 | ValueType::Symbol => 4,
            ValueType::Decimal { precision: 0..=4, .. } => 2,
            ValueType::Decimal { precision: 5..=9, .. } => 4,
            ValueType::Decimal { precision: 19.., .. } | ValueType::Uuid | ValueType::UInt128 => 16,
            _ => 8,
        }
    }

    fn extend<T: Fixed>(&mut self, n: usize) -> &mut [T] {
        let (start, end) = (self.bytes, self.bytes + n * size_of::<T>());
        if end > self.values.len() * 16 {
            self.values.resize(end.div_ceil(16), 0);
        }
        self.bytes = end;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(self.values.as_mut_slice());
        bytemuck::cast_slice_mut(bytes.get_mut(start..end).unwrap_or_default())
    }

    fn typed<T: Fixed>(&self) -> &[T] {
        let bytes: &[u8] = bytemuck::cast_slice(self.values.as_slice());
        bytemuck::cast_slice(bytes.get(..self.bytes).unwrap_or_default())
    }

    fn test(&self, test: &Test, rows: usize) -> Mask {
        let valid = self.valid(rows);
        let mask = match test {
            Test::Null { negated: true } => return valid,
            Test::Null { negated: false } => return combine(all(rows), valid, |all, valid| all & !valid),
            Test::Keys(set) => pack(self.typed::<i32>(), |key| set.contains(*key)),
            test => match self.value_type {
                ValueType::Boolean => ints::<u8>(self.typed(), test),
                ValueType::Int8 => ints::<i8>(self.typed(), test),
                ValueType::Int16 => ints::<i16>(self.typed(), test),
                ValueType::Int32 => ints::<i32>(self.typed(), test),
                ValueType::UInt32 => ints::<u32>(self.typed(), test),
                ValueType::Decimal { precision: 0..=4, .. } => ints::<i16>(self.typed(), test),
                ValueType::Decimal { precision: 5..=9, .. } => ints::<i32>(self.typed(), test),
                ValueType::Decimal { precision: 19.., .. } => ints::<i128>(self.typed(), test),
                ValueType::Decimal { .. } | ValueType::Int64 => ints::<i64>(self.typed(), test),
                ValueType::TimestampMs | ValueType::TimestampUs | ValueType::TimestampNs => {
                    ints::<i64>(self.typed(), test)
                }
                ValueType::Uuid | ValueType::UInt128 => uints(self.typed::<u128>(), test),
                ValueType::Float32 => floats(self.typed::<f32>(), test, |v| f64::from(*v)),
                ValueType::Float64 => floats(self.typed::<f64>(), test, |v| *v),
                _ => all(rows),
            },
        };
        combine(mask, valid, |a, b| a & b)
    }

    fn valid(&self, rows: usize) -> Mask {
        let mut mask = all(rows);
        if self.nulls.any() {
            for row in self.nulls.iter() {
                if let Some(word) = mask.get_mut(row / 64) {
                    *word &= !(1 << (row % 64));
                }
            }
        }
        mask
    }
}

/// One bit per value.
#[inline]
fn pack<T>(values: &[T], test: impl Fn(&T) -> bool) -> Mask {
    let mut mask = [0u64; WINDOW / 64];
    for (word, chunk) in mask.iter_mut().zip(values.chunks(64)) {
        *word = chunk.iter().enumerate().fold(0, |bits, (i, value)| bits | u64::from(test(value)) << i);
    }
    mask
}

/// Compares with the constant in the column's own type, where the loop vectorises.
#[inline]
fn compare<T: PartialOrd>(values: &[T], op: CompareOp, constant: &T) -> Mask {
    match op {
        CompareOp::Eq => pack(values, |v| v == constant),
        CompareOp::Ne => pack(values, |v| v != constant),
        CompareOp::Lt => pack(values, |v| v < constant),
        CompareOp::Le => pack(values, |v| v <= constant),
        CompareOp::Gt => pack(values, |v| v > constant),
        CompareOp::Ge => pack(values, |v| v >= constant),
    }
}

fn ints<T: Fixed + Ord + TryFrom<i128> + Into<i128>>(values: &[T], test: &Test) -> Mask {
    match test {
        Test::Compare { op, value: Number::Int(constant) } => match T::try_from(*constant) {
            Ok(constant) => compare(values, *op, &constant),
            // Beyond the type's range every value compares alike.
            Err(_) if op.holds(0i128.cmp(constant)) => all(values.len()),
            Err(_) => [0; WINDOW / 64],
        },
        Test::In { values: constants, negated } => {
            let constants: Vec<T> = constants
                .iter()
                .filter_map(|c| match c {
                    Number::Int(c) => T::try_from(*c).ok(),
                    _ => None,
                })
                .collect();
            pack(values, |v| constants.binary_search(v).is_ok() != *negated)
        }
        _ => all(values.len()),
    }
}

fn uints(values: &[u128], test: &Test) -> Mask {
    match test {
        Test::Compare { op, value: Number::UInt(constant) } => compare(values, *op, constant),
        Test::In { values: constants, negated } => {
            pack(values, |v| constants.contains(&Number::UInt(*v)) != *negated)
        }
        _ => all(values.len()),
    }
}

fn floats<T>(values: &[T], test: &Test, widen: impl Fn(&T) -> f64) -> Mask {
    match test {
        Test::Compare { op, value: Number::Float(constant) } => match op {
            CompareOp::Eq => pack(values, |v| widen(v) == *constant),
            CompareOp::Ne => pack(values, |v| widen(v) != *constant),
            CompareOp::Lt => pack(values, |v| widen(v) < *constant),
            CompareOp::Le => pack(values, |v| widen(v) <= *constant),
            CompareOp::Gt => pack(values, |v| widen(v) > *constant),
            CompareOp::Ge => pack(values, |v| widen(v) >= *constant),
        },
        Test::In { values: constants, negated } => {
            pack(values, |v| constants.contains(&Number::Float(widen(v))) != *negated)
        }
        _ => all(values.len()),
    }
}

impl ColumnSink for FilterColumn {
    fn fixed<T: Fixed>(
        &mut self,
        n: usize,
        fill: impl FnOnce(&mut [T]) -> Result<()>,
        is_null: impl Fn(&T) -> bool,
    ) -> Result<()> {
        let mut local = NullMask::default();
        let values = self.extend::<T>(n);
        fill(values)?;
        local.mark(values, is_null);
        local.iter().for_each(|row| self.nulls.set(self.rows + row));
        self.rows += n;
        Ok(())
    }

    fn symbols(
        &mut self,
        n: usize,
        _table: &Arc<SymbolTable>,
        fill: impl FnOnce(&mut [i32]) -> Result<()>,
    ) -> Result<()> {
        self.fixed::<i32>(n, fill, |key| *key < 0)
    }

    fn nulls(&mut self, n: usize) -> Result<()> {
        let bytes = n * self.width();
        self.extend::<u8>(bytes).fill(0);
        (self.rows..self.rows + n).for_each(|row| self.nulls.set(row));
        self.rows += n;
        Ok(())
    }

    fn strings(
        &mut self,
        _: usize,
        _: usize,
        _: impl FnOnce(&mut StringSlots<'_>) -> Result<()>,
    ) -> Result<()> {
        Err(Error::invalid_input("strings are not filtered raw"))
    }

    fn doubles(&mut self, _: &NestedDoubles) -> Result<()> {
        Err(Error::invalid_input("arrays are not filtered raw"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(value_type: ValueType, values: &[i64], null: i64) -> FilterColumn {
        let mut column = FilterColumn::default();
        column.reset(value_type);
        let fill = |slots: &mut [i64]| {
            slots.copy_from_slice(values);
            Ok(())
        };
        column.fixed::<i64>(values.len(), fill, |v| *v == null).unwrap();
        column
    }

    #[test]
    fn comparisons_follow_sql_for_null_and_out_of_range_constants() {
        let column = column(ValueType::Int64, &[1, 5, i64::MIN, 9], i64::MIN);
        let test = |op, value| column.test(&Test::Compare { op, value: Number::Int(value) }, 4)[0];
        assert_eq!(test(CompareOp::Lt, 6), 0b0011);
        assert_eq!(test(CompareOp::Ne, 5), 0b1001);
        assert_eq!(test(CompareOp::Lt, 1 << 100), 0b1011);
        assert_eq!(test(CompareOp::Gt, 1 << 100), 0);
        assert_eq!(test(CompareOp::Gt, -(1 << 100)), 0b1011);
        assert_eq!(column.test(&Test::Null { negated: false }, 4)[0], 0b0100);
        let within = Test::In { values: vec![Number::Int(1), Number::Int(9)], negated: true };
        assert_eq!(column.test(&within, 4)[0], 0b0010);
    }

    #[test]
    fn key_sets_list_what_they_hold() {
        let texts: Vec<String> = (0..200).map(|i| format!("s{i}")).collect();
        let table = SymbolTable::from_values(texts.iter().map(String::as_str));
        let set = KeySet::of(&table, |symbol| symbol.ends_with("99"));
        assert_eq!(set.keys().collect::<Vec<_>>(), [99, 199]);
        assert!(set.contains(199) && !set.contains(1) && !set.contains(i32::MIN));
    }

    #[test]
    fn masks_cover_exactly_the_rows() {
        assert_eq!(all(65)[..3], [u64::MAX, 1, 0]);
        assert_eq!(all(WINDOW), [u64::MAX; WINDOW / 64]);
    }
}
