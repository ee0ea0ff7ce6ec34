//! A table of a real server in which one column chunk of a Parquet partition is another. The table's reader decodes the usual
//! kinds by itself, the reader of files leaves all to the crate `parquet`: what both take has the same values.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};
use arrow_select::concat::concat;
use parquet::basic::{
    BrotliLevel, Compression, ConvertedType, GzipLevel, LogicalType, Type as PhysicalType, ZstdLevel,
};
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::schema::types::{SchemaDescriptor, Type};
use questdb_storage::dataset::ExportFile;
use questdb_storage::scan::Filter;
use questdb_storage::source::Files;
use questdb_storage::types::ColumnType;

use crate::memory::{patched, Memory};
use crate::{dataset, scans, table_directory};

const CASES: [&str; 4] = ["pq_tops", "pq_codecs", "pq_symbols", "pq_all"];
const TABLE: &str = "/t~1";

/// A table, and its Parquet files.
struct Fixture {
    files: Memory,
    parquet: Vec<Partition>,
}

/// A Parquet file of a partition that ends where `_txn` says.
struct Partition {
    path: PathBuf,
    bytes: Vec<u8>,
    metadata: ParquetMetaData,
}

fn fixtures() -> &'static [Fixture] {
    static FIXTURES: OnceLock<Vec<Fixture>> = OnceLock::new();
    FIXTURES.get_or_init(|| CASES.iter().map(|case| load(case)).collect())
}

fn load(case: &str) -> Fixture {
    let (from, table) = (table_directory(case), Path::new(TABLE));
    let mut files = Memory::default();
    files.load(&from, table, &|name| !name.starts_with("wal") && name != "seq" && name != "txn_seq");
    let snapshot = scans::snapshot(table, Arc::new(files.clone())).unwrap();
    let parquet = snapshot.partitions().iter().filter_map(|partition| {
        let size = partition.entry.parquet_size? as usize;
        let path = table.join(partition.directory()).join("data.parquet");
        let bytes = files.get(&path)?.get(..size)?.to_vec();
        let length = u32::from_le_bytes(bytes[size - 8..size - 4].try_into().unwrap()) as usize;
        let metadata = ParquetMetaDataReader::decode_metadata(&bytes[size - 8 - length..size - 8]).unwrap();
        Some(Partition { path, bytes, metadata })
    });
    let parquet: Vec<Partition> = parquet.collect();
    assert!(!parquet.is_empty(), "{case} has no Parquet partition");
    Fixture { files, parquet }
}

/// Table, partition, row group, column, codec (128 more: what follows is the bloom filter, too; 64 more: text is called JSON),
/// and whether what follows are patches or the whole chunk: a byte each.
pub fn run(bytes: &[u8]) {
    let Some(([table, partition, group, column, codec, whole], rest)) = bytes.split_first_chunk::<6>() else {
        return;
    };
    let pick = |number: &u8, limit: usize| usize::from(*number) % limit;
    let fixture = &fixtures()[pick(table, CASES.len())];
    let partition = &fixture.parquet[pick(partition, fixture.parquet.len())];
    let group = pick(group, partition.metadata.num_row_groups());
    let leaf = pick(column, partition.metadata.row_group(group).num_columns());
    let (start, len) = partition.metadata.row_group(group).column(leaf).byte_range();
    let old = &partition.bytes[start as usize..(start + len) as usize];
    let chunk = if whole % 4 == 3 { rest.to_vec() } else { patched(old, rest) };
    let file = with_chunk(partition, group, leaf, &chunk, *codec);

    let mut files = fixture.files.clone();
    let txn = Path::new(TABLE).join("_txn");
    let sizes = with_size(files.get(&txn).unwrap(), partition.bytes.len() as u64, file.len() as u64);
    files.put(&txn, sizes);
    files.put(&partition.path, file);
    let files = Arc::new(files);
    let snapshot = scans::snapshot(Path::new(TABLE), Arc::clone(&files) as Arc<dyn Files>).unwrap();
    let id = partition.metadata.file_metadata().schema_descr().get_column_root(leaf).get_basic_info().id();
    // A column that was dropped or replaced is in the file, but not in the table.
    let index = snapshot.columns().iter().position(|column| column.writer_index as i32 == id);
    let Some(index) = index else { return };
    let dir = partition.path.parent().unwrap();
    let at = snapshot.partitions().iter().position(|partition| dir.ends_with(partition.directory())).unwrap();
    let (part, rows) = scans::of_partition(&snapshot, at);
    scans::all_ways(&snapshot, &[index], (&part, rows), rest);

    let native = scans::batches(&snapshot, &[index], &part, false);
    let file = ExportFile::open(&partition.path, files.as_ref(), false).map(Arc::new);
    let column = partition.metadata.file_metadata().schema_descr().get_column_root_idx(leaf);
    let other = file.and_then(|file| dataset::column(&partition.path, &files, &file, column, Filter::all()));
    // Symbols are text in a file, and may be others than those of the table.
    let comparable = snapshot.columns()[index].column_type != ColumnType::Symbol;
    if let (Ok(Some(native)), Ok(Some(other)), true) = (native, other, comparable) {
        same(&native.into_iter().flatten().collect::<Vec<_>>(), &other);
    }
}

/// Panics unless the values of the one are those of the other.
fn same(native: &[ArrayRef], other: &[ArrayRef]) {
    if native.is_empty() && other.is_empty() {
        return;
    }
    let whole = |arrays: &[ArrayRef]| concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap();
    let (native, other) = (whole(native), whole(other));
    let same = match (texts(&native), texts(&other)) {
        (Some(native), Some(other)) => native == other,
        _ => native.to_data() == other.to_data(),
    };
    assert!(same, "{native:?} in the table, {other:?} in the file");
}

/// Texts, which may be keys of a dictionary; `None` for other types.
fn texts(array: &ArrayRef) -> Option<Vec<Option<&str>>> {
    match array.as_dictionary_opt::<Int32Type>() {
        Some(dictionary) => {
            let texts = dictionary.values().as_string_opt::<i32>()?;
            let text = |key: usize| texts.is_valid(key).then(|| texts.value(key));
            Some((0..dictionary.len()).map(|row| dictionary.key(row).and_then(text)).collect())
        }
        None => array.as_string_view_opt().map(|texts| texts.iter().collect()),
    }
}

fn compression(number: u8) -> Option<Compression> {
    Some(match number % 16 {
        1 => Compression::UNCOMPRESSED,
        2 => Compression::SNAPPY,
        3 => Compression::GZIP(GzipLevel::default()),
        4 => Compression::BROTLI(BrotliLevel::default()),
        5 => Compression::ZSTD(ZstdLevel::default()),
        6 => Compression::LZ4,
        7 => Compression::LZ4_RAW,
        _ => return None,
    })
}

/// The file with another chunk, which stands behind the others.
fn with_chunk(partition: &Partition, group: usize, leaf: usize, chunk: &[u8], codec: u8) -> Vec<u8> {
    let size = partition.bytes.len();
    let length = u32::from_le_bytes(partition.bytes[size - 8..size - 4].try_into().unwrap()) as usize;
    let mut bytes = partition.bytes[..size - 8 - length].to_vec();
    let mut groups = partition.metadata.row_groups().to_vec();
    let mut columns = groups[group].columns().to_vec();
    let old = columns[leaf].clone();
    let compression = compression(codec).unwrap_or(old.compression());
    let (at, len) = (bytes.len() as i64, chunk.len() as i32);
    let filter = codec >= 128;
    columns[leaf] = old
        .into_builder()
        .set_compression(compression)
        .set_total_compressed_size(chunk.len() as i64)
        .set_data_page_offset(at)
        .set_dictionary_page_offset(None)
        .set_bloom_filter_offset(filter.then_some(at))
        .set_bloom_filter_length(filter.then_some(len))
        .build()
        .unwrap();
    groups[group] = groups[group].clone().into_builder().set_column_metadata(columns).build().unwrap();
    let file = partition.metadata.file_metadata().clone();
    let file = if codec & 64 == 0 { file } else { with_json(file, leaf) };
    let metadata = ParquetMetaData::new(file, groups);
    bytes.extend(chunk);
    ParquetMetaDataWriter::new(&mut bytes, &metadata).finish().unwrap();
    bytes
}

/// The same with JSON for the text at position `leaf`.
fn with_json(file: FileMetaData, leaf: usize) -> FileMetaData {
    let schema = file.schema_descr();
    let root = schema.get_column_root_idx(leaf);
    let mut fields = schema.root_schema().get_fields().to_vec();
    let info = fields[root].get_basic_info();
    if info.converted_type() != ConvertedType::UTF8 {
        return file;
    }
    let json = Type::primitive_type_builder(info.name(), PhysicalType::BYTE_ARRAY)
        .with_repetition(info.repetition())
        .with_id(info.has_id().then(|| info.id()))
        .with_logical_type(Some(LogicalType::Json));
    fields[root] = Arc::new(json.build().unwrap());
    let schema = Type::group_type_builder(schema.name()).with_fields(fields).build().unwrap();
    FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        Arc::new(SchemaDescriptor::new(Arc::new(schema))),
        file.column_orders().cloned(),
    )
}

/// A `_txn` that says another size of a file: the word's low seven bytes.
fn with_size(txn: &[u8], old: u64, new: u64) -> Vec<u8> {
    let mut bytes = txn.to_vec();
    for at in (0..bytes.len() - 8).step_by(4) {
        if bytes[at..at + 7] == old.to_le_bytes()[..7] {
            bytes[at..at + 7].copy_from_slice(&new.to_le_bytes()[..7]);
        }
    }
    bytes
}

/// One for each column chunk, with a change in its first page's header; small ones as a whole.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (table, fixture) in fixtures().iter().enumerate() {
        for (number, partition) in fixture.parquet.iter().enumerate() {
            for (group, row_group) in partition.metadata.row_groups().iter().enumerate() {
                for leaf in 0..row_group.num_columns() {
                    let (start, len) = row_group.column(leaf).byte_range();
                    let head = [table, number, group, leaf].map(|n| n as u8);
                    seeds.push([&head[..], &[0, 0, 40, 0, 0, 1, 3]].concat());
                    let chunk = &partition.bytes[start as usize..(start + len) as usize];
                    if chunk.len() < 2000 {
                        seeds.push([&head[..], &[0, 3], chunk].concat());
                    }
                }
            }
        }
    }
    seeds
}
