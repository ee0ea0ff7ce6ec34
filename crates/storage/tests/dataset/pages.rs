//! Indexes of pages: rows that they exclude are not read, and lies of theirs that can be told change nothing.

use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type as Longs};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use questdb_storage::arrow::ArrowSink;
use questdb_storage::dataset::{
    DataColumn, ExportFile, FileReader, FileScan, FoundFile, ReadOptions, ScanColumn, Values,
};
use questdb_storage::scan::{CompareOp, Filter, Literal};
use questdb_storage::source::LocalFiles;
use questdb_storage::types::ValueType;
use questdb_storage::Result;

use crate::files::{options, Temporary};

const ROWS: i64 = 200;

/// A file of one row group: `a` counts from 0 in pages of 20 rows, `b` is ten times as much in pages of 30.
fn file(name: &str, version: WriterVersion) -> Temporary {
    let path = std::env::temp_dir().join(format!("questdb-pages-{}-{name}.parquet", std::process::id()));
    let schema = Arc::new(parse_message_type("message m { required int64 a; required int64 b; }").unwrap());
    let mut parts = Vec::new();
    for (column, step, page) in [("a", 1, 20), ("b", 10, 30)] {
        // A writer has one page size, so each column comes from a file of its own.
        let one = Arc::new(parse_message_type(&format!("message m {{ required int64 {column}; }}")).unwrap());
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_dictionary_enabled(false)
            .set_data_page_row_count_limit(page)
            .set_write_batch_size(10);
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, one, Arc::new(properties.build())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<i64> = (0..ROWS).map(|row| row * step).collect();
        column.typed::<Longs>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        parts.push(bytes);
    }
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for bytes in parts {
        let bytes = bytes::Bytes::from(bytes);
        let metadata = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
        let metadata = metadata.parse_and_finish(&bytes).unwrap();
        let chunk = metadata.row_group(0).column(0).clone();
        let index = metadata.page_index().unwrap();
        let close = parquet::column::writer::ColumnCloseResult {
            bytes_written: chunk.compressed_size() as u64,
            rows_written: ROWS as u64,
            metadata: chunk,
            bloom_filter: None,
            column_index: index.column_index(0, 0).cloned(),
            offset_index: index.offset_index(0, 0).cloned(),
        };
        group.append_column(&bytes, close).unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    Temporary(path)
}

fn column(file: &Temporary, open: &ExportFile, index: usize) -> ScanColumn {
    let column = &open.columns()[index];
    let (name, kind) = (column.name.clone(), column.kind.clone());
    ScanColumn::Data(DataColumn { name, kind, origin: file.0.clone() })
}

/// Rows of `a` and `b` that a scan with `filter` returns, with their positions in the file.
fn scan(file: &Temporary, filter: Filter) -> Result<Vec<(u64, i64, i64)>> {
    scan_often(file, 1, filter)
}

/// As [`scan`], for a file that is read so many times.
fn scan_often(file: &Temporary, times: usize, filter: Filter) -> Result<Vec<(u64, i64, i64)>> {
    let open = Arc::new(ExportFile::open(&file.0, &LocalFiles, false)?);
    let files = Arc::new(FoundFile::describe(vec![file.0.clone(); times]));
    let columns = Arc::new(vec![column(file, &open, 0), column(file, &open, 1)]);
    let opened = vec![Some(Arc::clone(&open)); times];
    let scan = FileScan::new(Arc::new(LocalFiles), files, columns, vec![0, 1], filter, options(), opened);
    let mut reader = FileReader::new(&scan);
    let mut rows = Vec::new();
    while let Some(chunk) = reader.next_chunk(2048)? {
        let values = |column: usize| match reader.values(&chunk, column).unwrap() {
            Values::Array(array) => array.as_primitive::<Int64Type>().values().to_vec(),
            _ => panic!("no array"),
        };
        let both = values(0).into_iter().zip(values(1));
        rows.extend((chunk.first_row()..).zip(both).map(|(row, (a, b))| (row, a, b)));
    }
    Ok(rows)
}

fn expected(rows: impl IntoIterator<Item = i64>) -> Vec<(u64, i64, i64)> {
    rows.into_iter().map(|row| (row as u64, row, row * 10)).collect()
}

fn compare(column: usize, op: CompareOp, value: i128) -> Filter {
    Filter::Compare { column, op, value: Literal::Int(value) }
}

#[test]
fn only_pages_that_may_match_are_read() {
    for (name, version) in [("v1", WriterVersion::PARQUET_1_0), ("v2", WriterVersion::PARQUET_2_0)] {
        let file = file(name, version);
        let rows = |filter| scan(&file, filter).unwrap();
        use CompareOp::{Eq, Ge, Lt};
        assert_eq!(rows(Filter::all()), expected(0..ROWS));
        assert_eq!(rows(compare(0, Eq, 45)), expected(40..60));
        assert_eq!(rows(compare(1, Eq, 450)), expected(30..60), "pages of another size");
        let both = Filter::And(vec![compare(0, Ge, 45), compare(1, Lt, 500)]);
        assert_eq!(rows(both), expected(40..60));
        let any = Filter::Or(vec![compare(0, Lt, 3), compare(1, Ge, 1990)]);
        assert_eq!(rows(any), expected((0..20).chain(180..200)));
        assert_eq!(rows(Filter::And(vec![compare(0, Eq, 5), compare(1, Eq, 1900)])), []);
    }
}

/// The caller looks for an interrupt when it gets rows, and does not mind those that the filter excludes.
#[test]
fn many_files_in_vain_give_a_row_now_and_then() {
    let file = file("vain", WriterVersion::PARQUET_1_0);
    let rows = scan_often(&file, 1000, compare(0, CompareOp::Eq, -5)).unwrap();
    assert_eq!(rows, [expected([0]), expected([0]), expected([0])].concat());
    // Row groups that let the filter pass, and pages that do not.
    let nowhere = || Filter::And(vec![compare(0, CompareOp::Eq, 5), compare(1, CompareOp::Eq, 1900)]);
    let rows = scan_often(&file, 1000, nowhere()).unwrap();
    assert_eq!(rows, [expected([0]), expected([0]), expected([0])].concat());
    // Such a row is no reason for an error.
    let mut bad = fs::read(&file.0).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(&file.0).unwrap()).unwrap();
    for column in metadata.row_group(0).columns() {
        let start = column.data_page_offset() as usize;
        bad[start..start + 60].fill(0xff);
    }
    fs::write(&file.0, bad).unwrap();
    assert!(scan(&file, Filter::all()).is_err());
    assert_eq!(scan_often(&file, 1000, compare(0, CompareOp::Eq, -5)).unwrap(), []);
    assert_eq!(scan_often(&file, 1000, nowhere()).unwrap(), []);
}

/// Runs let a few bytes stand for any number of rows, which must not lie in memory at once.
#[test]
fn a_page_of_millions_of_rows_is_read_in_blocks() {
    let path = std::env::temp_dir().join(format!("questdb-pages-{}-runs.parquet", std::process::id()));
    let schema = "message m { optional binary a (STRING); required binary b (STRING); }";
    let properties = WriterProperties::builder()
        .set_data_page_row_count_limit(usize::MAX)
        .set_write_batch_size(1 << 20)
        .build();
    let rows = (1 << 22) + 1;
    let file = File::create(&path).unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let seven = ByteArray::from("seven");
    for (values, levels) in [(Vec::new(), Some(vec![0i16; rows])), (vec![seven; rows], None)] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, levels.as_deref(), None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let file = Temporary(path);
    assert!(fs::metadata(&file.0).unwrap().len() < 10_000);
    let open = Arc::new(ExportFile::open(&file.0, &LocalFiles, false).unwrap());
    let columns = Arc::new(vec![column(&file, &open, 0), column(&file, &open, 1)]);
    let files = Arc::new(FoundFile::describe(vec![file.0.clone()]));
    let (all, options) = (Filter::all(), ReadOptions { block_rows: 1 << 16, ..options() });
    let opened = vec![Some(Arc::clone(&open))];
    let scan = FileScan::new(Arc::new(LocalFiles), files, columns, vec![0, 1], all, options, opened);
    let mut reader = FileReader::new(&scan);
    let mut found = 0;
    while let Some(chunk) = reader.next_chunk(usize::MAX).unwrap() {
        assert!(chunk.len() <= 1 << 16, "{}", chunk.len());
        found += chunk.len();
        let mut sevens = ArrowSink::new(ValueType::Symbol);
        reader.read(&chunk, 1, &mut sevens).unwrap();
        let sevens = sevens.finish().unwrap();
        let sevens = sevens.as_dictionary::<Int32Type>();
        assert_eq!(sevens.values().as_string::<i32>().value(0), "seven");
        assert!(sevens.keys().values().iter().all(|key| *key == 0));
    }
    assert_eq!(found, rows);
}

#[test]
fn offset_indexes_that_lie_are_found_out() {
    let file = file("lies", WriterVersion::PARQUET_1_0);
    let good = fs::read(&file.0).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(&file.0).unwrap()).unwrap();
    let filter = || compare(0, CompareOp::Eq, 45);
    let mut ignored = 0;
    for column in metadata.row_group(0).columns() {
        for at in column.offset_index_range().unwrap() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at as usize] ^= 1 << bit;
                fs::write(&file.0, bad).unwrap();
                let rows = scan(&file, filter()).unwrap();
                ignored += usize::from(rows == expected(0..ROWS));
                let needed: Vec<_> = rows.iter().filter(|(_, a, _)| *a == 45).copied().collect();
                assert_eq!(needed, expected([45]), "byte {at}, bit {bit}");
                assert!(
                    rows.iter().all(|(row, a, b)| *a == *row as i64 && *b == a * 10),
                    "byte {at}, bit {bit}"
                );
            }
        }
    }
    assert!(ignored > 100, "{ignored}");
}

#[test]
fn bounds_that_are_not_those_of_the_chunk_are_not_used() {
    let file = file("bounds", WriterVersion::PARQUET_1_0);
    let good = fs::read(&file.0).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(&file.0).unwrap()).unwrap();
    let range = metadata.row_group(0).column(0).column_index_range().unwrap();
    let index = &good[range.start as usize..range.end as usize];
    // The largest value of the last page, 199, as if there were no value above 183.
    let at = range.start as usize + index.windows(8).rposition(|w| w == 199i64.to_le_bytes()).unwrap();
    let mut bad = good.clone();
    bad[at] = 183;
    fs::write(&file.0, bad).unwrap();
    assert_eq!(scan(&file, compare(0, CompareOp::Eq, 190)).unwrap(), expected(0..ROWS));
    fs::write(&file.0, &good).unwrap();
    assert_eq!(scan(&file, compare(0, CompareOp::Eq, 190)).unwrap(), expected(180..200));
    // Any other damage changes which rows are read, and nothing else.
    for at in range {
        let mut bad = good.clone();
        bad[at as usize] ^= 0x41;
        fs::write(&file.0, bad).unwrap();
        let rows = scan(&file, compare(0, CompareOp::Ge, 100)).unwrap();
        assert!(rows.iter().all(|(row, a, b)| *a == *row as i64 && *b == a * 10), "byte {at}");
    }
}
