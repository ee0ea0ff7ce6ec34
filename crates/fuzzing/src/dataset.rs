//! Bytes as a Parquet file, read as one without a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use questdb_storage::arrow::ArrowSink;
use questdb_storage::dataset::{
    ColumnKind, DataColumn, ExportFile, FileReader, FileScan, FoundFile, ReadOptions, ScanColumn, Values,
};
use questdb_storage::scan::Filter;
use questdb_storage::Result;

use crate::memory::{entries, Memory};
use crate::{arrays, fixtures, scans, table_directory};

/// Columns that are read of a file, and chunks after which a scan is left.
const MOST_COLUMNS: usize = 64;
const MOST_CHUNKS: usize = 500;

/// Files of the fixtures larger than this are no seeds.
const LARGEST_SEED: usize = 12_000;

pub fn run(bytes: &[u8]) {
    let path = Path::new("/x/2024-01-01.parquet");
    let mut files = Memory::default();
    files.put(path, bytes.to_vec());
    let files = Arc::new(files);
    let Ok(file) = ExportFile::open(path, files.as_ref(), bytes.len().is_multiple_of(2)) else { return };
    let file = Arc::new(file);
    let _ = (file.rows(), file.group_count(), file.designated());
    let count = file.columns().len().min(MOST_COLUMNS);
    for index in 0..count {
        let _ = column(path, &files, &file, index, Filter::all());
        let comparable = file.columns()[index].kind.comparable(false);
        for filter in scans::some(scans::of_type(0, comparable, "a"), bytes) {
            let _ = column(path, &files, &file, index, filter);
        }
    }
    let all: Vec<usize> = (0..count).collect();
    let _ = read(path, &files, &file, &all, Filter::all());
    // Where one column excludes pages, those of the others are left out as well.
    for index in 0..count.min(3) {
        let comparable = file.columns()[index].kind.comparable(false);
        for filter in scans::some(scans::of_type(index, comparable, "symbol"), bytes) {
            let _ = read(path, &files, &file, &all, filter);
        }
    }
}

/// The values of column `index`, in chunks.
pub fn column(
    path: &Path,
    files: &Arc<Memory>,
    file: &Arc<ExportFile>,
    index: usize,
    filter: Filter,
) -> Result<Option<Vec<ArrayRef>>> {
    let chunks = read(path, files, file, &[index], filter)?;
    Ok(chunks.map(|chunks| chunks.into_iter().flatten().collect()))
}

/// The values of some columns, checked; `None` when the file says that it has very many rows.
fn read(
    path: &Path,
    files: &Arc<Memory>,
    file: &Arc<ExportFile>,
    indexes: &[usize],
    filter: Filter,
) -> Result<Option<Vec<Vec<ArrayRef>>>> {
    let declared = |index: &usize| {
        let column = &file.columns()[*index];
        let (name, kind) = (column.name.clone(), column.kind.clone());
        ScanColumn::Data(DataColumn { name, kind, origin: path.to_owned() })
    };
    let readable = |declared: &ScanColumn| match declared {
        ScanColumn::Data(column) => !matches!(column.kind, ColumnKind::Refused(_)),
        _ => false,
    };
    let columns: Vec<ScanColumn> = indexes.iter().map(declared).filter(readable).collect();
    let needed: Vec<usize> = (0..columns.len()).collect();
    let options = ReadOptions {
        case_insensitive: false,
        allow_missing: false,
        filter_pushdown: true,
        bloom_filters: true,
        local_time_as_utc: false,
        block_rows: 4096,
        raw_types: false,
        lenient: false,
    };
    let found = Arc::new(FoundFile::describe(vec![path.to_owned()]));
    let opened = vec![Some(Arc::clone(file))];
    let scan = FileScan::new(
        Arc::clone(files) as _,
        found,
        Arc::new(columns.clone()),
        needed,
        filter,
        options,
        opened,
    );
    let mut reader = FileReader::new(&scan);
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next_chunk(2048)? {
        let mut values = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            let array = match reader.values(&chunk, index)? {
                Values::Array(array) => array,
                Values::Missing => continue,
                Values::Sink(value_type) => {
                    let mut sink = ArrowSink::new(value_type);
                    reader.read(&chunk, index, &mut sink)?;
                    // Values that were found good make an array.
                    sink.finish().unwrap()
                }
            };
            arrays::check(&array, chunk.len());
            if let ScanColumn::Data(DataColumn { kind: ColumnKind::Plain(plain), .. }) = column {
                // Text can come as keys of its dictionary.
                let declared = plain.field.data_type();
                let is_keys = matches!(array.data_type(), DataType::Dictionary(..)) && plain.sql == "VARCHAR";
                assert!(is_keys || array.data_type() == declared, "{declared} became {}", array.data_type());
            }
            values.push(array);
        }
        chunks.push(values);
        if chunks.len() > MOST_CHUNKS {
            return Ok(None);
        }
    }
    Ok(Some(chunks))
}

/// Small files of the fixtures, and one for each codec and encoding.
pub fn seeds() -> Vec<Vec<u8>> {
    let small = |path: PathBuf| std::fs::read(path).ok().filter(|bytes| bytes.len() < LARGEST_SEED);
    let cases = ["pq_bypass", "pq_dedup", "pq_ns_hour", "pq_tops", "pq_o3_merge", "pq_add_cols_after"];
    let mut seeds: Vec<Vec<u8>> = cases
        .iter()
        .filter_map(|case| {
            entries(&table_directory(case)).into_iter().find_map(|dir| small(dir.join("data.parquet")))
        })
        .collect();
    seeds.extend(
        ["all_null", "odd_text"]
            .iter()
            .filter_map(|case| small(fixtures().join(case).join("expected.parquet"))),
    );
    let gzip = Compression::GZIP(GzipLevel::default());
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let brotli = Compression::BROTLI(BrotliLevel::default());
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        gzip,
        brotli,
        zstd,
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    for (number, codec) in codecs.into_iter().enumerate() {
        seeds.push(written(codec, number % 2 == 1, number));
    }
    seeds
}

/// A file with 40 rows of many types.
fn written(codec: Compression, version_2: bool, number: usize) -> Vec<u8> {
    let schema = "message schema {
        REQUIRED INT64 ts (TIMESTAMP(MICROS,true)) = 0;
        OPTIONAL BYTE_ARRAY sym (STRING) = 1;
        OPTIONAL INT32 number = 2;
        REQUIRED DOUBLE price;
        OPTIONAL FIXED_LEN_BYTE_ARRAY(16) id (UUID);
        OPTIONAL group list (LIST) { REPEATED group list { OPTIONAL INT32 element; } }
        OPTIONAL group map (MAP) { REPEATED group key_value { REQUIRED BYTE_ARRAY key (STRING); OPTIONAL INT64 value; } }
        OPTIONAL INT64 amount (DECIMAL(18,3));
        OPTIONAL BYTE_ARRAY json (JSON);
    }";
    let encodings = [Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT];
    let texts = [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY];
    let note =
        r#"{"version":1,"schema":[{"column_type":131080,"column_top":0},{"column_type":12,"column_top":0}]}"#;
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_writer_version(if version_2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 })
        .set_data_page_row_count_limit(16)
        .set_bloom_filter_enabled(number == 3)
        .set_dictionary_enabled(number.is_multiple_of(3))
        .set_column_dictionary_enabled(ColumnPath::from("sym"), number % 3 != 2)
        .set_key_value_metadata(Some(vec![KeyValue::new("questdb".to_owned(), note.to_owned())]))
        .set_column_encoding(ColumnPath::from("json"), texts[number % 3]);
    let properties = ["ts", "number"].iter().fold(properties, |properties, name| {
        properties.set_column_encoding(ColumnPath::from(*name), encodings[number % 3])
    });
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build())).unwrap();
    let text =
        |row: usize| ByteArray::from(["", "a", "symbol", "text that is longer than twelve bytes"][row % 4]);
    for _ in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        // Every third row is NULL where that can be.
        let levels: Vec<i16> = (0..20).map(|row| i16::from(row % 3 != 0)).collect();
        let present = levels.iter().filter(|level| **level == 1).count();
        let mut leaf = 0;
        while let Some(mut column) = group.next_column().unwrap() {
            let deep: Vec<i16> = levels.iter().map(|level| level * 3).collect();
            let keys: Vec<i16> = levels.iter().map(|level| level * 2).collect();
            let flat: Vec<i16> = vec![0; 20];
            let fixed = |row: usize| FixedLenByteArray::from(vec![row as u8; 16]);
            let longs: Vec<i64> = (0..20).map(|row| 1_704_067_200_000_000 + row * 999).collect();
            let ints: Vec<i32> = (0..20).map(|row| row * 77 - 300).collect();
            match leaf {
                0 => column.typed::<Int64Type>().write_batch(&longs, None, None),
                1 | 9 => {
                    let texts: Vec<ByteArray> = (0..present).map(text).collect();
                    column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)
                }
                2 => column.typed::<Int32Type>().write_batch(&ints[..present], Some(&levels), None),
                3 => column.typed::<DoubleType>().write_batch(
                    &ints.iter().map(|i| f64::from(*i)).collect::<Vec<_>>(),
                    None,
                    None,
                ),
                4 => {
                    let ids: Vec<FixedLenByteArray> = (0..present).map(fixed).collect();
                    column.typed::<FixedLenByteArrayType>().write_batch(&ids, Some(&levels), None)
                }
                5 => column.typed::<Int32Type>().write_batch(&ints[..present], Some(&deep), Some(&flat)),
                6 => {
                    let texts: Vec<ByteArray> = (0..present).map(text).collect();
                    column.typed::<ByteArrayType>().write_batch(&texts, Some(&keys), Some(&flat))
                }
                7 => column.typed::<Int64Type>().write_batch(&longs[..present], Some(&deep), Some(&flat)),
                _ => column.typed::<Int64Type>().write_batch(&longs[..present], Some(&levels), None),
            }
            .unwrap();
            column.close().unwrap();
            leaf += 1;
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}
