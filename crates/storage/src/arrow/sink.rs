//! Collects decoded rows into one Arrow array.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    make_array, Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, ListArray, StringArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field};

use super::data_type;
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::types::{ColumnSink, Fixed, HeapAddress, NestedDoubles, NullMask, StringSlots, ValueType, View};

/// The [`ColumnSink`] that makes Arrow arrays.
#[derive(Debug)]
pub struct ArrowSink {
    value_type: ValueType,
    rows: usize,
    nulls: NullMask,
    /// Fixed-width values, views or symbol keys.
    values: MutableBuffer,
    /// Heaps that the views name, by number.
    heaps: Vec<Buffer>,
    symbols: Option<Arc<SymbolTable>>,
    symbol_values: Option<ArrayRef>,
    doubles: NestedDoubles,
}

/// The dictionary of a SYMBOL column's arrays.
pub fn symbol_values(table: &SymbolTable) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(table.iter()))
}

impl ArrowSink {
    /// An empty sink for values of `value_type`.
    pub fn new(value_type: ValueType) -> Self {
        let mut doubles = NestedDoubles::default();
        if let ValueType::Doubles { dims } = value_type {
            doubles.reset(usize::from(dims));
        }
        Self {
            value_type,
            rows: 0,
            nulls: NullMask::default(),
            values: MutableBuffer::new(0),
            heaps: Vec::new(),
            symbols: None,
            symbol_values: None,
            doubles,
        }
    }

    /// Uses `values`, made by [`symbol_values`] from the column's table, instead of making them again.
    pub fn with_symbol_values(mut self, values: ArrayRef) -> Self {
        self.symbol_values = Some(values);
        self
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The array of all rows.
    pub fn finish(self) -> Result<ArrayRef> {
        let nulls = self.null_buffer();
        let rows = self.rows;
        let built: std::result::Result<ArrayRef, ArrowError> = match self.value_type {
            ValueType::Symbol => self.finish_symbols(nulls),
            ValueType::Doubles { .. } => self.finish_doubles(nulls),
            ValueType::Text | ValueType::Blob => {
                let builder = arrow_data_builder(data_type(self.value_type), rows, nulls)
                    .add_buffer(self.values.into())
                    .add_buffers(self.heaps);
                builder.build().map(make_array)
            }
            value_type => {
                let values = canonical(value_type, self.values);
                arrow_data_builder(data_type(value_type), rows, nulls)
                    .add_buffer(values)
                    .build()
                    .map(make_array)
            }
        };
        built.map_err(|e| Error::invalid_input(format!("cannot build an Arrow array: {e}")))
    }

    fn null_buffer(&self) -> Option<NullBuffer> {
        self.nulls.any().then(|| {
            let mut valid = BooleanBufferBuilder::new(self.rows);
            valid.append_n(self.rows, true);
            self.nulls.iter().for_each(|row| valid.set_bit(row, false));
            NullBuffer::new(valid.finish())
        })
    }

    fn finish_symbols(self, nulls: Option<NullBuffer>) -> std::result::Result<ArrayRef, ArrowError> {
        let keys = ScalarBuffer::<i32>::new(self.values.into(), 0, self.rows);
        let values = match (self.symbol_values, &self.symbols) {
            (Some(values), _) => values,
            (None, Some(table)) => symbol_values(table),
            (None, None) => Arc::new(StringArray::from_iter_values([""; 0])),
        };
        let keys = Int32Array::try_new(keys, nulls)?;
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
    }

    fn finish_doubles(self, nulls: Option<NullBuffer>) -> std::result::Result<ArrayRef, ArrowError> {
        let elements = self.doubles.values.iter().map(|v| (!v.is_nan()).then_some(*v));
        let mut array: ArrayRef = Arc::new(elements.collect::<Float64Array>());
        for (level, lists) in self.doubles.levels.iter().enumerate().rev() {
            let field = Arc::new(Field::new("element", array.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|(_, len)| *len as usize));
            let nulls = if level == 0 { nulls.clone() } else { None };
            array = Arc::new(ListArray::try_new(field, offsets, array, nulls)?);
        }
        Ok(array)
    }

    /// Appends `n` zeroed values of `T` and lends them.
    fn extend<T: Fixed>(&mut self, n: usize) -> &mut [T] {
        let start = self.values.len();
        self.values.extend_zeros(n * size_of::<T>());
        bytemuck::cast_slice_mut(self.values.as_slice_mut().get_mut(start..).unwrap_or_default())
    }

    fn mark(&mut self, local: &NullMask) {
        local.iter().for_each(|row| self.nulls.set(self.rows + row));
    }
}

impl ColumnSink for ArrowSink {
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
        self.mark(&local);
        self.rows += n;
        Ok(())
    }

    fn strings(
        &mut self,
        n: usize,
        heap: usize,
        fill: impl FnOnce(&mut StringSlots<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut local = NullMask::default();
        let mut bytes = vec![0u8; heap];
        let address = HeapAddress { base: self.heaps.len() as u64, shift: 32 };
        let views: &mut [View] = self.extend(n);
        fill(&mut StringSlots::new(views, &mut bytes, address, &mut local))?;
        if heap > 0 {
            self.heaps.push(Buffer::from_vec(bytes));
        }
        self.mark(&local);
        self.rows += n;
        Ok(())
    }

    fn symbols(
        &mut self,
        n: usize,
        table: &Arc<SymbolTable>,
        fill: impl FnOnce(&mut [i32]) -> Result<()>,
    ) -> Result<()> {
        self.symbols.get_or_insert_with(|| Arc::clone(table));
        self.fixed::<i32>(n, fill, |key| *key < 0)?;
        Ok(())
    }

    fn doubles(&mut self, rows: &NestedDoubles) -> Result<()> {
        for (mine, theirs) in self.doubles.levels.iter_mut().zip(&rows.levels) {
            mine.extend_from_slice(theirs);
        }
        self.doubles.values.extend_from_slice(&rows.values);
        self.mark(&rows.nulls);
        self.rows += rows.len();
        Ok(())
    }

    fn nulls(&mut self, n: usize) -> Result<()> {
        if let Some(lists) = self.doubles.levels.first_mut() {
            lists.extend(std::iter::repeat_n((0, 0), n));
        }
        self.values.extend_zeros(n * self.value_type.width());
        (self.rows..self.rows + n).for_each(|row| self.nulls.set(row));
        self.rows += n;
        Ok(())
    }
}

fn arrow_data_builder(
    data_type: DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> arrow_data::ArrayDataBuilder {
    arrow_data::ArrayData::builder(data_type).len(rows).nulls(nulls)
}

/// Turns the decoders' physical form into Arrow's where they differ.
fn canonical(value_type: ValueType, values: MutableBuffer) -> Buffer {
    let bytes = values.as_slice();
    match value_type {
        ValueType::Boolean => {
            let mut bits = BooleanBufferBuilder::new(bytes.len());
            bytes.iter().for_each(|byte| bits.append(*byte != 0));
            bits.finish().into_inner()
        }
        ValueType::Uuid => {
            let numbers: &[u128] = bytemuck::cast_slice(bytes);
            numbers
                .iter()
                .map(|n| n.swap_bytes())
                .collect::<Vec<_>>()
                .iter()
                .flat_map(|n| bytemuck::bytes_of(n).to_vec())
                .collect()
        }
        ValueType::Decimal { precision, .. } => match precision {
            0..=4 => widen::<i16>(bytes),
            5..=9 => widen::<i32>(bytes),
            10..=18 => widen::<i64>(bytes),
            _ => values.into(),
        },
        _ => values.into(),
    }
}

fn widen<T: Fixed + Into<i128>>(bytes: &[u8]) -> Buffer {
    let numbers: &[T] = bytemuck::cast_slice(bytes);
    Buffer::from_vec(numbers.iter().map(|n| (*n).into()).collect::<Vec<i128>>())
}
