//! Writing small files, and reading them back.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use arrow_array::ArrayRef;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use questdb_storage::arrow::ArrowSink;
use questdb_storage::dataset::{
    ColumnKind, DataColumn, ExportFile, FileReader, FileScan, FoundFile, ReadOptions, ScanColumn, Values,
};
use questdb_storage::scan::Filter;
use questdb_storage::source::LocalFiles;
use questdb_storage::Result;

/// Values of a leaf, with their levels: definition and repetition.
pub enum Leaf {
    Bools(Vec<bool>),
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Int96(Vec<[u32; 3]>),
    Bytes(Vec<&'static [u8]>),
    Fixed(Vec<Vec<u8>>),
}

/// A leaf and its levels.
pub struct Column(pub Leaf, pub Option<Vec<i16>>, pub Option<Vec<i16>>);

/// A file that is removed with the value.
pub struct Temporary(pub PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes a file of one row group.
pub fn write(schema: &str, columns: Vec<Column>) -> Temporary {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("questdb-dataset-{}-{number}.parquet", std::process::id()));
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for Column(leaf, definitions, repetitions) in columns {
        let mut column = group.next_column().unwrap().expect("a column more than the schema has");
        let levels = (definitions.as_deref(), repetitions.as_deref());
        match (column.untyped(), leaf) {
            (ColumnWriter::BoolColumnWriter(w), Leaf::Bools(v)) => w.write_batch(&v, levels.0, levels.1),
            (ColumnWriter::Int32ColumnWriter(w), Leaf::Ints(v)) => w.write_batch(&v, levels.0, levels.1),
            (ColumnWriter::Int64ColumnWriter(w), Leaf::Longs(v)) => w.write_batch(&v, levels.0, levels.1),
            (ColumnWriter::Int96ColumnWriter(w), Leaf::Int96(v)) => {
                let v: Vec<Int96> = v.into_iter().map(|words| Int96::from(words.to_vec())).collect();
                w.write_batch(&v, levels.0, levels.1)
            }
            (ColumnWriter::ByteArrayColumnWriter(w), Leaf::Bytes(v)) => {
                let v: Vec<ByteArray> = v.into_iter().map(|bytes| ByteArray::from(bytes.to_vec())).collect();
                w.write_batch(&v, levels.0, levels.1)
            }
            (ColumnWriter::FixedLenByteArrayColumnWriter(w), Leaf::Fixed(v)) => {
                let v: Vec<FixedLenByteArray> = v.into_iter().map(|b| ByteArray::from(b).into()).collect();
                w.write_batch(&v, levels.0, levels.1)
            }
            _ => panic!("leaf of another type"),
        }
        .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    Temporary(path)
}

/// Blocks of two rows, else as usual.
pub fn options() -> ReadOptions {
    ReadOptions {
        case_insensitive: false,
        allow_missing: false,
        filter_pushdown: true,
        bloom_filters: true,
        local_time_as_utc: false,
        block_rows: 2,
        raw_types: false,
        lenient: false,
    }
}

/// SQL type and values of each column, or the reason why it cannot be read.
pub fn read(file: &Temporary) -> Result<Vec<(String, std::result::Result<ArrayRef, String>)>> {
    let open = Arc::new(ExportFile::open(&file.0, &LocalFiles, false)?);
    let mut found = Vec::new();
    for column in open.columns() {
        let data =
            DataColumn { name: column.name.clone(), kind: column.kind.clone(), origin: file.0.clone() };
        let files = Arc::new(FoundFile::describe(vec![file.0.clone()]));
        let scan = FileScan::new(
            Arc::new(LocalFiles),
            files,
            Arc::new(vec![ScanColumn::Data(data)]),
            vec![0],
            Filter::all(),
            options(),
            vec![Some(Arc::clone(&open))],
        );
        let sql = column.kind.sql(false);
        found.push((sql, values(&scan, &column.kind)));
    }
    Ok(found)
}

/// All rows of the only column, from blocks of two rows.
fn values(scan: &Arc<FileScan>, kind: &ColumnKind) -> std::result::Result<ArrayRef, String> {
    let mut reader = FileReader::new(scan);
    let mut parts = Vec::new();
    while let Some(chunk) = reader.next_chunk(2048).map_err(|e| e.to_string())? {
        match reader.values(&chunk, 0).map_err(|e| e.to_string())? {
            Values::Array(array) => parts.push(array),
            Values::Sink(value_type) => {
                let mut sink = ArrowSink::new(value_type);
                reader.read(&chunk, 0, &mut sink).map_err(|e| e.to_string())?;
                parts.push(sink.finish().map_err(|e| e.to_string())?);
            }
            Values::Missing => panic!("no values"),
        }
    }
    if let ColumnKind::Plain(plain) = kind {
        for part in &parts {
            assert_eq!(part.data_type(), plain.field.data_type(), "the declared type is that of the values");
            part.to_data().validate_full().unwrap();
        }
    }
    let parts: Vec<&dyn arrow_array::Array> = parts.iter().map(|part| part.as_ref()).collect();
    arrow_select::concat::concat(&parts).map_err(|e| e.to_string())
}
