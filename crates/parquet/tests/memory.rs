//! Memory stays bounded for rows of a megabyte, however many of them a row group has. Alone in its process: the peak is the
//! process's.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use questdb_parquet::options::Context;
use questdb_parquet::{Export, Options};

/// Peak resident bytes; `None` where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[test]
fn a_row_group_of_wide_rows_spills() {
    let directory = std::env::temp_dir().join(format!("questdb-parquet-memory-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let texts: Vec<String> = (0..4).map(|i| format!("{i}").repeat(1 << 20)).collect();
    let batch =
        RecordBatch::try_from_iter([("text", Arc::new(StringArray::from(texts)) as ArrayRef)]).unwrap();
    let options = Options::parse([("compression".to_owned(), "none".into())], Context::Function).unwrap();
    let cancel = Arc::new(AtomicBool::new(false));
    let mut export = Export::create(directory.join("wide"), batch.schema(), &[], options, 2, cancel).unwrap();
    for _ in 0..150 {
        export.write(&batch).unwrap();
    }
    let result = export.finish().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!((result.rows, result.row_groups.len()), (600, 1));
    assert!(result.bytes > 600 << 20);
    if let Some(peak) = peak() {
        assert!(peak < 400 << 20, "peak {} MiB for a row group of {} MiB", peak >> 20, result.bytes >> 20);
    }
}
