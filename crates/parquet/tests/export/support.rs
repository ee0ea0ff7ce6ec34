//! Temporary directories, generators and readers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use questdb_parquet::options::Context;
use questdb_parquet::{ColumnHint, Export, ExportResult, OptionValue, Options, Result};

/// A directory that is removed at the end of the test.
pub struct Temp(PathBuf);

impl Temp {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("questdb-parquet-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// All files and directories below, relative, sorted.
    pub fn listing(&self) -> Vec<String> {
        fn walk(root: &Path, directory: &Path, out: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap().flatten() {
                let path = entry.path();
                out.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
                if path.is_dir() {
                    walk(root, &path, out);
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.0, &self.0, &mut out);
        out.sort();
        out
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn options(pairs: &[(&str, OptionValue)]) -> Options {
    parse(pairs).unwrap()
}

pub fn parse(pairs: &[(&str, OptionValue)]) -> Result<Options> {
    Options::parse(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())), Context::Function)
}

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

pub fn begin(
    destination: &Path,
    schema: SchemaRef,
    hints: &[ColumnHint],
    options: Options,
) -> Result<Export> {
    Export::create(destination, schema, hints, options, 2, Arc::new(AtomicBool::new(false)))
}

/// Writes all batches.
pub fn export(
    destination: &Path,
    batches: &[RecordBatch],
    hints: &[ColumnHint],
    options: Options,
) -> Result<ExportResult> {
    let mut export = begin(destination, batches[0].schema(), hints, options)?;
    for batch in batches {
        export.write(batch)?;
    }
    export.finish()
}

pub fn read(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().with_batch_size(1 << 20).build().unwrap();
    reader.map(|batch| batch.unwrap()).collect()
}

/// One batch of everything in a file.
pub fn read_all(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap();
    let schema = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().clone();
    arrow_select::concat::concat_batches(&schema, &read(path)).unwrap()
}

pub fn metadata(path: &Path) -> ParquetMetaData {
    let file = std::fs::File::open(path).unwrap();
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(&file)
        .unwrap()
}

/// Rows of each row group of a file.
pub fn group_rows(path: &Path) -> Vec<i64> {
    metadata(path).row_groups().iter().map(|group| group.num_rows()).collect()
}

/// A small deterministic generator (SplitMix64).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn text(&mut self, longest: u64) -> String {
        let length = self.below(longest + 1);
        (0..length).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }
}
