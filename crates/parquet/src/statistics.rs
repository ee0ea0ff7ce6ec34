//! Statistics of the library's chunks, corrected. Floating-point bounds in the form that every reader understands: no NaN, and a
//! zero bound counts for both zeros, because −0.0 = 0.0 in SQL but not in bytes. No column index that calls a page of values a
//! page of NULLs.

use arrow_buffer::ToByteSlice;
use parquet::basic::Type as Physical;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::ColumnIndexBuilder;
use parquet::file::page_index::column_index::{ColumnIndexMetaData, PrimitiveColumnIndex};
use parquet::file::statistics::Statistics;

use crate::encode::Value;

/// Minimum and maximum as they may be written; `None` when there are only NaNs.
fn bounds<T: Value>(min: T, max: T) -> Option<(T, T)> {
    (min.is_ordered() && max.is_ordered()).then(|| (min.lower(), max.upper()))
}

/// Corrects the statistics and the column index of a chunk.
pub fn correct(close: &mut ColumnCloseResult) -> Result<()> {
    if close.column_index.as_ref().is_some_and(|index| may_hide_values(close, index)) {
        close.column_index = None;
    }
    match close.metadata.column_type() {
        Physical::FLOAT | Physical::DOUBLE => {}
        _ => return Ok(()),
    }
    let corrected = match close.metadata.statistics() {
        Some(Statistics::Float(values)) => {
            let both = values.min_opt().zip(values.max_opt()).and_then(|(min, max)| bounds(*min, *max));
            let (min, max) = (both.map(|both| both.0), both.map(|both| both.1));
            Some(Statistics::float(min, max, values.distinct_count(), values.null_count_opt(), false))
        }
        Some(Statistics::Double(values)) => {
            let both = values.min_opt().zip(values.max_opt()).and_then(|(min, max)| bounds(*min, *max));
            let (min, max) = (both.map(|both| both.0), both.map(|both| both.1));
            Some(Statistics::double(min, max, values.distinct_count(), values.null_count_opt(), false))
        }
        _ => None,
    };
    if let Some(statistics) = corrected {
        close.metadata = close.metadata.clone().into_builder().set_statistics(statistics).build()?;
    }
    if let Some(index) = close.column_index.take() {
        close.column_index = match &index {
            ColumnIndexMetaData::FLOAT(pages) => rebuilt(Physical::FLOAT, pages, &index)?,
            ColumnIndexMetaData::DOUBLE(pages) => rebuilt(Physical::DOUBLE, pages, &index)?,
            _ => Some(index),
        };
    }
    Ok(())
}

/// Whether a page of a repeated column is called one of NULLs and may hold a value: the library compares the number of NULLs, of
/// which a row can have several, with that of rows.
fn may_hide_values(close: &ColumnCloseResult, index: &ColumnIndexMetaData) -> bool {
    let descr = close.metadata.column_descr();
    if descr.max_rep_level() == 0 {
        return false;
    }
    let deepest = usize::try_from(descr.max_def_level()).unwrap_or_default();
    let pages = usize::try_from(index.num_pages()).unwrap_or_default();
    (0..pages).filter(|page| index.is_null_page(*page)).any(|page| {
        let levels = index.definition_level_histogram(page);
        levels.and_then(|counts| counts.get(deepest)).is_none_or(|values| *values > 0)
    })
}

/// The same index with corrected bounds; none when a page has values but no bounds, which the format cannot say.
fn rebuilt<T: Value + ToByteSlice>(
    physical: Physical,
    pages: &PrimitiveColumnIndex<T>,
    index: &ColumnIndexMetaData,
) -> Result<Option<ColumnIndexMetaData>> {
    let mut builder = ColumnIndexBuilder::new(physical);
    for page in 0..pages.num_pages() as usize {
        let nulls = pages.null_count(page).unwrap_or(0);
        if pages.is_null_page(page) {
            builder.append(true, Vec::new(), Vec::new(), nulls, None);
            continue;
        }
        let both = pages.min_value(page).zip(pages.max_value(page)).and_then(|(min, max)| bounds(*min, *max));
        match both {
            Some((min, max)) => builder.append(
                false,
                [min].to_byte_slice().to_vec(),
                [max].to_byte_slice().to_vec(),
                nulls,
                None,
            ),
            None => return Ok(None),
        }
    }
    if let Some(order) = index.get_boundary_order() {
        builder.set_boundary_order(order);
    }
    Ok(Some(builder.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_count_for_both_signs_and_nan_for_nothing() {
        let (min, max) = bounds(0.0f64, -0.0).unwrap();
        assert!(min.is_sign_negative() && max.is_sign_positive());
        assert_eq!(bounds(f64::NAN, f64::NAN), None);
        assert_eq!(bounds(-1.5f32, 2.0), Some((-1.5, 2.0)));
    }
}
