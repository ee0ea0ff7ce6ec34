//! Statistics, indexes and bloom filters of a file against its values, chunk by chunk and page by page.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{BoundaryOrder, ConvertedType, LogicalType, Type as Physical};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::column::reader::{get_typed_column_reader, ColumnReader, ColumnReaderImpl};
use parquet::data_type::{AsBytes, DataType};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::{ColumnIndexMetaData, PrimitiveColumnIndex};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedPageReader};
use parquet::schema::types::ColumnDescriptor;

/// What was checked, so that a test can see that something was.
#[derive(Debug, Default)]
pub struct Checked {
    /// Chunks with bounds.
    pub bounds: usize,
    /// Pages with bounds in the column index.
    pub pages: usize,
    /// Values looked up in bloom filters.
    pub looked_up: usize,
}

/// The leaf values of a chunk: the row of each, and a key that sorts as the column does.
struct Values {
    rows: usize,
    /// Row and key; `None` for NULL, `Some(None)` for a value without order (NaN).
    entries: Vec<(usize, Option<Option<Vec<u8>>>)>,
    /// Bytes as a bloom filter hashes them.
    raw: Vec<Vec<u8>>,
}

impl Values {
    fn keys(&self, rows: std::ops::Range<usize>) -> impl Iterator<Item = &Vec<u8>> {
        self.entries
            .iter()
            .filter(move |(row, _)| rows.contains(row))
            .filter_map(|(_, value)| value.as_ref()?.as_ref())
    }

    fn nulls(&self, rows: std::ops::Range<usize>) -> usize {
        self.entries.iter().filter(|(row, value)| rows.contains(row) && value.is_none()).count()
    }

    /// Whether there is a value, with or without order.
    fn has_values(&self, rows: std::ops::Range<usize>) -> bool {
        self.entries.iter().any(|(row, value)| rows.contains(row) && value.is_some())
    }
}

/// Bytes of a value or a bound → a key whose bytes compare as the column's order has it; `None` for NaN.
fn key(descr: &ColumnDescriptor, bytes: &[u8]) -> Option<Vec<u8>> {
    let unsigned = matches!(descr.logical_type_ref(), Some(LogicalType::Integer(integer)) if !integer.is_signed)
        || matches!(
            descr.converted_type(),
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
        );
    let flipped = |mut bytes: Vec<u8>, flip: bool| {
        if let (Some(first), true) = (bytes.first_mut(), flip) {
            *first ^= 0x80;
        }
        Some(bytes)
    };
    let big_endian = || bytes.iter().rev().copied().collect::<Vec<u8>>();
    match descr.physical_type() {
        Physical::BOOLEAN => Some(bytes.to_vec()),
        Physical::INT32 | Physical::INT64 => flipped(big_endian(), !unsigned),
        Physical::FLOAT | Physical::DOUBLE => {
            let value = match bytes.len() {
                4 => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
                _ => f64::from_le_bytes(bytes.try_into().unwrap()),
            };
            // Both zeros are one value to SQL, so a bound of either sign must hold for both.
            let bits = (value + 0.0).to_bits();
            let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
            (!value.is_nan()).then(|| ordered.to_be_bytes().to_vec())
        }
        Physical::FIXED_LEN_BYTE_ARRAY | Physical::BYTE_ARRAY => {
            let decimal = matches!(descr.logical_type_ref(), Some(LogicalType::Decimal(_)));
            flipped(bytes.to_vec(), decimal)
        }
        other => panic!("{other} is not written"),
    }
}

fn read<T: DataType>(mut reader: ColumnReaderImpl<T>, descr: &ColumnDescriptor, rows: usize) -> Values {
    let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let (_, _, levels) =
        reader.read_records(rows, Some(&mut definitions), Some(&mut repetitions), &mut values).unwrap();
    let raw: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    let (mut entries, mut row, mut next) = (Vec::new(), 0, raw.iter());
    for level in 0..levels {
        if level > 0 && repetitions.get(level).is_none_or(|repetition| *repetition == 0) {
            row += 1;
        }
        let present = definitions.get(level).is_none_or(|definition| *definition == descr.max_def_level());
        entries.push((row, present.then(|| key(descr, next.next().unwrap()))));
    }
    assert_eq!(row + 1, rows, "rows by the levels");
    Values { rows, entries, raw }
}

fn values_of(reader: ColumnReader, descr: &ColumnDescriptor, rows: usize) -> Values {
    macro_rules! typed {
        ($($physical:ident => $data:ident),*) => {
            match descr.physical_type() {
                $(Physical::$physical => read(get_typed_column_reader::<parquet::data_type::$data>(reader), descr, rows),)*
                other => panic!("{other} is not written"),
            }
        };
    }
    typed!(BOOLEAN => BoolType, INT32 => Int32Type, INT64 => Int64Type, FLOAT => FloatType, DOUBLE => DoubleType,
        BYTE_ARRAY => ByteArrayType, FIXED_LEN_BYTE_ARRAY => FixedLenByteArrayType)
}

/// Minimum and maximum of each page as bytes, from any type's column index.
fn page_bounds(index: &ColumnIndexMetaData, page: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    fn primitive<T: AsBytes>(index: &PrimitiveColumnIndex<T>, page: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let (min, max) = index.min_value(page).zip(index.max_value(page))?;
        Some((min.as_bytes().to_vec(), max.as_bytes().to_vec()))
    }
    match index {
        ColumnIndexMetaData::BOOLEAN(index) => primitive(index, page),
        ColumnIndexMetaData::INT32(index) => primitive(index, page),
        ColumnIndexMetaData::INT64(index) => primitive(index, page),
        ColumnIndexMetaData::FLOAT(index) => primitive(index, page),
        ColumnIndexMetaData::DOUBLE(index) => primitive(index, page),
        ColumnIndexMetaData::BYTE_ARRAY(index) | ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(index) => {
            let (min, max) = index.min_value(page).zip(index.max_value(page))?;
            Some((min.to_vec(), max.to_vec()))
        }
        _ => None,
    }
}

/// Checks everything that a file says of its values; `what` names the case in messages.
pub fn check(path: &Path, what: &str) -> Checked {
    let file = File::open(path).unwrap();
    let options = ReadOptionsBuilder::new()
        .with_reader_properties(ReaderProperties::builder().set_read_bloom_filter(true).build())
        .build();
    let reader = SerializedFileReader::new_with_options(file, options).unwrap();
    let metadata = crate::support::metadata(path);
    let handle = Arc::new(File::open(path).unwrap());
    let mut checked = Checked::default();
    for number in 0..metadata.num_row_groups() {
        let group = reader.get_row_group(number).unwrap();
        for column in 0..metadata.row_group(number).num_columns() {
            let descr = metadata.file_metadata().schema_descr().column(column);
            let what = format!("{what}: row group {number}, column {}", descr.path());
            let rows = metadata.row_group(number).num_rows() as usize;
            let values = values_of(group.get_column_reader(column).unwrap(), &descr, rows);
            check_chunk(&metadata, (number, column), &descr, &values, &what, &mut checked);
            check_pages(&metadata, (number, column), &descr, &values, &handle, &what, &mut checked);
            if let Some(filter) = group.get_column_bloom_filter(column) {
                check_bloom_filter(filter, &values, &what, &mut checked);
            }
        }
    }
    checked
}

fn check_chunk(
    metadata: &ParquetMetaData,
    (group, column): (usize, usize),
    descr: &ColumnDescriptor,
    values: &Values,
    what: &str,
    checked: &mut Checked,
) {
    let Some(statistics) = metadata.row_group(group).column(column).statistics() else { return };
    let all = 0..values.rows;
    let (min, max) = (values.keys(all.clone()).min(), values.keys(all.clone()).max());
    assert_eq!(statistics.null_count_opt(), Some(values.nulls(all) as u64), "NULLs, {what}");
    let bounds = statistics.min_bytes_opt().zip(statistics.max_bytes_opt());
    let Some((low, high)) = bounds else { return };
    let (low, high) = (key(descr, low).expect("NaN is no bound"), key(descr, high).expect("NaN is no bound"));
    let (min, max) = (min.expect("bounds without a value"), max.expect("bounds without a value"));
    assert!(
        low <= *min && *max <= high,
        "{what}: {low:?} to {high:?}, the values are from {min:?} to {max:?}"
    );
    assert!(!statistics.min_is_exact() || low == *min, "{what}: the minimum is not exact");
    assert!(!statistics.max_is_exact() || high == *max, "{what}: the maximum is not exact");
    checked.bounds += 1;
}

fn check_pages(
    metadata: &ParquetMetaData,
    (group, column): (usize, usize),
    descr: &ColumnDescriptor,
    values: &Values,
    file: &Arc<File>,
    what: &str,
    checked: &mut Checked,
) {
    let chunk = metadata.row_group(group).column(column);
    let indexes = metadata.page_index_for_row_group(group);
    let Some(locations) = indexes.page_locations(column) else { return };
    // The pages lie one behind the other, from the first data page to the end of the chunk.
    let (start, length) = chunk.byte_range();
    let mut offset = chunk.data_page_offset();
    for location in locations {
        assert_eq!(location.offset, offset, "a page's place, {what}");
        offset += i64::from(location.compressed_page_size);
    }
    assert_eq!(offset as u64, start + length, "the end of the pages, {what}");
    let mut pages =
        SerializedPageReader::new(Arc::clone(file), chunk, values.rows, Some(locations.clone())).unwrap();
    let mut starts: Vec<usize> = locations.iter().map(|location| location.first_row_index as usize).collect();
    assert_eq!(starts.first(), Some(&0), "the first row, {what}");
    starts.push(values.rows);
    let flat = descr.max_rep_level() == 0;
    let index = indexes.column_index(column);
    let mut bounds = Vec::new();
    for (number, pair) in starts.windows(2).enumerate() {
        let (rows, what) = (pair[0]..pair[1], format!("{what}, page {number}"));
        let mut page = pages.get_next_page().unwrap().expect("a page for each location");
        if page.is_dictionary_page() {
            page = pages.get_next_page().unwrap().expect("a page for each location");
        }
        assert!(!flat || page.num_values() as usize == rows.len(), "values, {what}");
        let Some(index) = index else { continue };
        assert_eq!(index.null_count(number), Some(values.nulls(rows.clone()) as i64), "NULLs, {what}");
        assert_eq!(index.is_null_page(number), !values.has_values(rows.clone()), "a page of NULLs, {what}");
        if index.is_null_page(number) {
            continue;
        }
        let (low, high) = page_bounds(index, number).expect("bounds of a page with values");
        let (low, high) = (key(descr, &low).expect("no NaN"), key(descr, &high).expect("no NaN"));
        assert!(values.keys(rows).all(|value| low <= *value && *value <= high), "bounds, {what}");
        checked.pages += 1;
        bounds.push((low, high));
    }
    assert!(pages.get_next_page().unwrap().is_none(), "more pages than locations, {what}");
    match index.and_then(ColumnIndexMetaData::get_boundary_order) {
        Some(BoundaryOrder::ASCENDING) => {
            assert!(bounds.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "ascending, {what}");
        }
        Some(BoundaryOrder::DESCENDING) => {
            assert!(bounds.is_sorted_by(|a, b| a.0 >= b.0 && a.1 >= b.1), "descending, {what}");
        }
        _ => {}
    }
}

fn check_bloom_filter(filter: &Sbbf, values: &Values, what: &str, checked: &mut Checked) {
    for value in &values.raw {
        assert!(filter.check(value.as_slice()), "{value:?} is not in the bloom filter, {what}");
        checked.looked_up += 1;
    }
}
