//! Numbers and times without a dictionary, PLAIN or DELTA_BINARY_PACKED.

use std::marker::PhantomData;

use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Int8Type, UInt16Type,
    UInt32Type, UInt64Type, UInt8Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::{ArrowNativeType, ToByteSlice};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{Encoding, Type as Physical};
use parquet::file::properties::EnabledStatistics;
use parquet::file::statistics::Statistics;

use super::bounds::order;
use super::chunk::{Body, Bounds, ChunkBuilder, Summary};
use super::levels::Levels;
use super::{delta, ColumnEncoder, EncodedChunk};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::policy::{self, PageSizes, Sample, PAGE_ROWS};
use crate::schema::Column;
use crate::Plan;

/// What a page holds.
pub trait Stored: ArrowNativeType + ToByteSlice + Send {
    /// Its Parquet type.
    const PHYSICAL: Physical;
    /// DELTA_BINARY_PACKED; `None` for floating-point numbers.
    fn delta(values: &[Self], out: &mut Vec<u8>) -> Option<()>;
    /// Statistics of a chunk.
    fn statistics(bounds: Option<(Self, Self)>, nulls: u64) -> Statistics;
}

macro_rules! stored {
    ($type:ty, $physical:ident, $variant:ident, $delta:expr) => {
        impl Stored for $type {
            const PHYSICAL: Physical = Physical::$physical;

            fn delta(values: &[Self], out: &mut Vec<u8>) -> Option<()> {
                let encode: Option<fn(&[Self], &mut Vec<u8>)> = $delta;
                encode.map(|encode| encode(values, out))
            }

            fn statistics(bounds: Option<(Self, Self)>, nulls: u64) -> Statistics {
                let (min, max) = bounds.unzip();
                Statistics::$variant(min, max, None, Some(nulls), false)
            }
        }
    };
}

stored!(i32, INT32, int32, Some(delta::encode));
stored!(i64, INT64, int64, Some(delta::encode));
stored!(f32, FLOAT, float, None);
stored!(f64, DOUBLE, double, None);

/// A value as Arrow has it.
pub trait Value: ArrowNativeType + PartialOrd + Send {
    /// What becomes of it.
    type Stored: Stored;
    /// Converts it.
    fn stored(self) -> Self::Stored;
    /// Whether it can be a bound; NaN cannot.
    fn is_ordered(self) -> bool {
        true
    }
    /// As a lower bound: a zero counts for both zeros, since they are equal in SQL and differ in their bits.
    fn lower(self) -> Self {
        self
    }
    /// As an upper bound.
    fn upper(self) -> Self {
        self
    }
}

macro_rules! integer {
    ($type:ty, $stored:ty) => {
        impl Value for $type {
            type Stored = $stored;
            fn stored(self) -> $stored {
                self as $stored
            }
        }
    };
}

macro_rules! float {
    ($type:ty) => {
        impl Value for $type {
            type Stored = Self;
            fn stored(self) -> Self {
                self
            }
            fn is_ordered(self) -> bool {
                !self.is_nan()
            }
            fn lower(self) -> Self {
                if self == 0.0 {
                    -0.0
                } else {
                    self
                }
            }
            fn upper(self) -> Self {
                if self == 0.0 {
                    0.0
                } else {
                    self
                }
            }
        }
    };
}

integer!(i8, i32);
integer!(i16, i32);
integer!(i32, i32);
integer!(i64, i64);
integer!(u8, i32);
integer!(u16, i32);
integer!(u32, i32);
integer!(u64, i64);
float!(f32);
float!(f64);

/// The encoder of a column; `None` when another one must take it.
pub fn encoder(
    column: &Column,
    plan: &Plan,
    pages: PageSizes,
    sample: Sample,
) -> Result<Option<Box<dyn ColumnEncoder>>> {
    let Some(encoding) = encoding(column, &plan.options, sample) else { return Ok(None) };
    Ok(match column.field.data_type() {
        DataType::Int8 => boxed::<Int8Type>(column, plan, pages, encoding)?,
        DataType::Int16 => boxed::<Int16Type>(column, plan, pages, encoding)?,
        DataType::Int32 | DataType::Date32 | DataType::Time32(TimeUnit::Millisecond) => {
            boxed::<Int32Type>(column, plan, pages, encoding)?
        }
        DataType::Int64 | DataType::Timestamp(..) | DataType::Time64(_) => {
            boxed::<Int64Type>(column, plan, pages, encoding)?
        }
        DataType::UInt8 => boxed::<UInt8Type>(column, plan, pages, encoding)?,
        DataType::UInt16 => boxed::<UInt16Type>(column, plan, pages, encoding)?,
        DataType::UInt32 => boxed::<UInt32Type>(column, plan, pages, encoding)?,
        DataType::UInt64 => boxed::<UInt64Type>(column, plan, pages, encoding)?,
        DataType::Float32 => boxed::<Float32Type>(column, plan, pages, encoding)?,
        DataType::Float64 => boxed::<Float64Type>(column, plan, pages, encoding)?,
        _ => None,
    })
}

/// The encoding, if it is one that is written here.
fn encoding(column: &Column, options: &Options, sample: Sample) -> Option<Encoding> {
    let [leaf] = column.descr.columns() else { return None };
    let bloom = policy::has_bloom_filter(column, options);
    let choice = policy::choose(column, leaf, options, sample);
    let written = match choice.encoding {
        Encoding::PLAIN => true,
        Encoding::DELTA_BINARY_PACKED => matches!(leaf.physical_type(), Physical::INT32 | Physical::INT64),
        _ => false,
    };
    (written && leaf.max_rep_level() == 0 && !choice.dictionary && !bloom).then_some(choice.encoding)
}

fn boxed<A>(
    column: &Column,
    plan: &Plan,
    pages: PageSizes,
    encoding: Encoding,
) -> Result<Option<Box<dyn ColumnEncoder>>>
where
    A: ArrowPrimitiveType,
    A::Native: Value,
{
    let leaf = column.descr.columns().first().ok_or_else(|| Error::internal("a column without a leaf"))?;
    if leaf.physical_type() != <A::Native as Value>::Stored::PHYSICAL {
        return Ok(None);
    }
    let width = size_of::<<A::Native as Value>::Stored>();
    Ok(Some(Box::new(FixedEncoder::<A> {
        chunk: ChunkBuilder::new(column, plan)?,
        encoding,
        statistics: policy::statistics(column, &plan.options),
        page_rows: (pages.bytes / width).clamp(1, PAGE_ROWS),
        levels: Levels::new(column.field.is_nullable()),
        values: Vec::new(),
        range: None,
        nulls: 0,
        pages: Vec::new(),
        unordered_page: false,
        arrow: PhantomData,
    })))
}

/// Encodes arrays whose values are those of `A`.
struct FixedEncoder<A: ArrowPrimitiveType>
where
    A::Native: Value,
{
    chunk: ChunkBuilder,
    encoding: Encoding,
    statistics: EnabledStatistics,
    page_rows: usize,
    levels: Levels,
    /// Values of the page in progress, NULLs left out.
    values: Vec<<A::Native as Value>::Stored>,
    /// Their bounds.
    range: Option<(A::Native, A::Native)>,
    nulls: u64,
    /// Bounds of the finished pages.
    pages: Vec<Option<(A::Native, A::Native)>>,
    /// A page has values and no bounds, which a column index cannot say.
    unordered_page: bool,
    arrow: PhantomData<fn() -> A>,
}

impl<A: ArrowPrimitiveType> FixedEncoder<A>
where
    A::Native: Value,
{
    fn add(&mut self, values: &[A::Native]) {
        self.levels.values(values.len());
        self.values.extend(values.iter().map(|value| value.stored()));
        if self.statistics != EnabledStatistics::None {
            self.range = merge(self.range, bounds(values));
        }
    }

    fn flush(&mut self) -> Result<()> {
        let (rows, nulls, levels) = self.levels.take();
        if rows == 0 {
            return Ok(());
        }
        let values = match self.encoding {
            Encoding::DELTA_BINARY_PACKED => {
                let mut out = Vec::with_capacity(self.values.len() * 4 + 64);
                Stored::delta(&self.values, &mut out)
                    .ok_or_else(|| Error::internal("DELTA_BINARY_PACKED of a floating-point number"))?;
                out
            }
            _ => self.values.to_byte_slice().to_vec(),
        };
        self.chunk.push(Body { rows, nulls, levels, values, encoding: self.encoding })?;
        let range = self.range.take();
        self.unordered_page |= range.is_none() && !self.values.is_empty();
        self.pages.push(range);
        self.nulls += nulls as u64;
        self.values.clear();
        Ok(())
    }

    fn summary(&self) -> Summary {
        let range = self.pages.iter().fold(None, |range, page| merge(range, *page));
        let written = |(min, max): (A::Native, A::Native)| (min.lower().stored(), max.upper().stored());
        let page = |range: &Option<(A::Native, A::Native)>| -> Option<Bounds> {
            let bytes = |value: <A::Native as Value>::Stored| [value].to_byte_slice().to_vec();
            range.map(written).map(|(min, max)| (bytes(min), bytes(max)))
        };
        let with_index = self.statistics == EnabledStatistics::Page && !self.unordered_page;
        Summary {
            dictionary: None,
            statistics: (self.statistics != EnabledStatistics::None)
                .then(|| Stored::statistics(range.map(written), self.nulls)),
            page_bounds: with_index.then(|| self.pages.iter().map(page).collect()),
            order: order(&self.pages),
            bloom_filter: None,
        }
    }
}

impl<A: ArrowPrimitiveType> ColumnEncoder for FixedEncoder<A>
where
    A::Native: Value,
{
    fn write(&mut self, array: &ArrayRef) -> Result<()> {
        // A timestamp is its 64 bits, whatever its unit: the array is seen as one of numbers.
        let array =
            PrimitiveArray::<A>::from(array.to_data().into_builder().data_type(A::DATA_TYPE).build()?);
        let mut at = 0;
        while at < array.len() {
            let rows = (array.len() - at).min(self.page_rows - self.levels.rows());
            let part = array.slice(at, rows);
            let values = part.values();
            match part.nulls() {
                None => self.add(values),
                Some(nulls) => {
                    let mut done = 0;
                    for (start, end) in nulls.valid_slices() {
                        self.levels.nulls(start - done)?;
                        self.add(values.get(start..end).unwrap_or_default());
                        done = end;
                    }
                    self.levels.nulls(rows - done)?;
                }
            }
            at += rows;
            if self.levels.rows() == self.page_rows {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.chunk.size() + (size_of_val(self.values.as_slice()) + self.levels.size()) as u64
    }

    fn close(mut self: Box<Self>) -> Result<Vec<EncodedChunk>> {
        self.flush()?;
        let summary = self.summary();
        Ok(vec![self.chunk.finish(summary)?])
    }
}

/// Smallest and largest of the ordered values.
fn bounds<T: Value>(values: &[T]) -> Option<(T, T)> {
    let start = values.iter().position(|value| value.is_ordered())?;
    let rest = values.get(start..).unwrap_or_default();
    let first = rest.first().copied()?;
    // NaN is neither smaller nor larger.
    Some(rest.iter().fold((first, first), |(min, max), value| {
        (if *value < min { *value } else { min }, if *value > max { *value } else { max })
    }))
}

fn merge<T: Value>(a: Option<(T, T)>, b: Option<(T, T)>) -> Option<(T, T)> {
    match (a, b) {
        (Some((a_min, a_max)), Some((b_min, b_max))) => {
            Some((if b_min < a_min { b_min } else { a_min }, if b_max > a_max { b_max } else { a_max }))
        }
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_no_bound_and_zero_counts_for_both_signs() {
        assert_eq!(bounds(&[f64::NAN, 2.0, f64::NAN, 1.0]), Some((1.0, 2.0)));
        assert_eq!(bounds(&[f64::NAN]), None);
        assert!(0.0f64.lower().is_sign_negative() && (-0.0f64).upper().is_sign_positive());
    }

    #[test]
    fn unsigned_numbers_are_ordered_as_such() {
        let (min, max) = bounds(&[u32::MAX, 1, u32::MAX - 1]).unwrap();
        assert_eq!((min.stored(), max.stored()), (1, -1));
    }
}
