//! The columns of a window of rows, as a sink for raw values, and the tests of them: one bit per row.

use std::sync::Arc;

use super::compiled::{Number, Test};
use super::filter::CompareOp;
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::types::{ColumnSink, Fixed, NestedDoubles, NullMask, StringSlots, ValueType};

/// Rows that are tested at once; a multiple of 64.
pub(super) const WINDOW: usize = 2048;

/// One bit per row of a window.
pub(super) type Mask = [u64; WINDOW / 64];

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

pub(super) fn combine(mut a: Mask, b: Mask, with: impl Fn(u64, u64) -> u64) -> Mask {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = with(*a, b));
    a
}

/// The columns of the current window, reused from window to window.
#[derive(Debug, Default)]
pub(super) struct FilterWindow {
    pub(super) columns: Vec<FilterColumn>,
}

/// The values of one column in a window: a sink for fixed-width values and symbol keys.
#[derive(Debug)]
pub(super) struct FilterColumn {
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
    /// Empties the column for values of `value_type`.
    pub(super) fn reset(&mut self, value_type: ValueType) {
        self.value_type = value_type;
        self.bytes = 0;
        self.rows = 0;
        self.nulls.clear();
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

    /// The rows of the window that pass `test`.
    pub(super) fn test(&self, test: &Test, rows: usize) -> Mask {
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
        let bytes = n * self.value_type.width();
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
    fn masks_cover_exactly_the_rows() {
        assert_eq!(all(65)[..3], [u64::MAX, 1, 0]);
        assert_eq!(all(WINDOW), [u64::MAX; WINDOW / 64]);
    }
}
