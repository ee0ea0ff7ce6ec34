//! Evaluates a filter on the raw values of a window of rows, before any other column is touched.

use std::cmp::Ordering;
use std::sync::Arc;

use super::filter::{CompareOp, Filter, Literal};
use super::morsel::{Buffers, OpenPartition, RowSet};
use super::window::{all, combine, FilterColumn, FilterWindow, Mask, WINDOW};
use crate::error::Result;
use crate::format::symbol_table::SymbolTable;
use crate::table::Snapshot;
use crate::types::ValueType;

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
    pub(super) fn contains(&self, key: i32) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_sets_list_what_they_hold() {
        let texts: Vec<String> = (0..200).map(|i| format!("s{i}")).collect();
        let table = SymbolTable::from_values(texts.iter().map(String::as_str));
        let set = KeySet::of(&table, |symbol| symbol.ends_with("99"));
        assert_eq!(set.keys().collect::<Vec<_>>(), [99, 199]);
        assert!(set.contains(199) && !set.contains(1) && !set.contains(i32::MIN));
    }
}
