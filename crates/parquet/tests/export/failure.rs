//! What is left when an export ends early, and what happens to files that were there before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use questdb_parquet::{ColumnHint, ErrorKind, Export};

use crate::support::*;

fn numbers(rows: i64) -> RecordBatch {
    batch(vec![("x", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef)])
}

#[test]
fn dropped_exports_leave_nothing() {
    let temp = Temp::new();
    let mut export =
        begin(&temp.join("a"), numbers(1).schema(), &[], options(&[("row_group_size", 10.into())])).unwrap();
    export.write(&numbers(1000)).unwrap();
    assert!(!temp.listing().is_empty());
    drop(export);
    assert_eq!(temp.listing(), Vec::<String>::new());
}

#[test]
fn cancelled_exports_stop_and_leave_nothing() {
    let temp = Temp::new();
    let cancel = Arc::new(AtomicBool::new(false));
    let mut export =
        Export::create(temp.join("a"), numbers(1).schema(), &[], options(&[]), 2, Arc::clone(&cancel))
            .unwrap();
    export.write(&numbers(1000)).unwrap();
    cancel.store(true, Ordering::Relaxed);
    assert_eq!(export.write(&numbers(1000)).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(export.finish().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(temp.listing(), Vec::<String>::new());
}

#[test]
fn null_in_a_required_column_names_it() {
    let temp = Temp::new();
    let rows = batch(vec![("x", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef)]);
    let hints = [ColumnHint { required: true, ..ColumnHint::default() }];
    let error = export(&temp.join("a"), &[rows], &hints, options(&[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "NULL in a column that must not have any, column \"x\"");
    assert_eq!(temp.listing(), Vec::<String>::new());
}

#[test]
fn leftovers_of_the_dead_are_removed_and_the_living_kept() {
    let temp = Temp::new();
    let dead = temp.join(".a.questdb_export.1.0");
    std::fs::create_dir_all(dead.join("files")).unwrap();
    std::fs::write(dead.join("lock"), "").unwrap();
    std::fs::write(dead.join("files/part-00000.parquet"), "partial").unwrap();
    let other = temp.join(".b.questdb_export.1.0");
    std::fs::create_dir_all(&other).unwrap();
    let mut living = begin(&temp.join("a"), numbers(1).schema(), &[], options(&[])).unwrap();
    assert!(!dead.exists());
    export(&temp.join("a"), &[numbers(5)], &[], options(&[])).unwrap();
    living.write(&numbers(7)).unwrap();
    let error = living.finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    assert_eq!(temp.listing(), [".b.questdb_export.1.0", "a.parquet"]);
}

#[test]
fn directories_without_a_lock_are_leftovers_too() {
    let temp = Temp::new();
    // Killed right after the directory was made, and while it was removed.
    std::fs::create_dir(temp.join(".a.questdb_export.1.0")).unwrap();
    std::fs::create_dir_all(temp.join(".a.questdb_export.1.1/old")).unwrap();
    export(&temp.join("a"), &[numbers(5)], &[], options(&[])).unwrap();
    assert_eq!(temp.listing(), ["a.parquet"]);
}

#[test]
fn what_an_overwrite_put_aside_comes_back_after_a_kill() {
    let temp = Temp::new();
    let dead = temp.join(".a.questdb_export.1.0");
    std::fs::create_dir_all(dead.join("old/a")).unwrap();
    std::fs::write(dead.join("lock"), "").unwrap();
    std::fs::write(dead.join("old/a/precious"), "x").unwrap();
    let error = export(&temp.join("a"), &[numbers(5)], &[], options(&[("overwrite_or_ignore", true.into())]));
    error.unwrap();
    assert_eq!(temp.listing(), ["a", "a.parquet", "a/precious"]);
}

#[test]
fn existing_targets_are_refused_unless_told_otherwise() {
    let temp = Temp::new();
    let multi = |more: &str| {
        let mut pairs = vec![("mode", "multi_file".into())];
        if !more.is_empty() {
            pairs.push((more, true.into()));
        }
        options(&pairs)
    };
    std::fs::create_dir(temp.join("t")).unwrap();
    export(&temp.join("t"), &[numbers(1)], &[], multi("")).unwrap();
    std::fs::write(temp.join("t/other"), "").unwrap();
    let error = export(&temp.join("t"), &[numbers(2)], &[], multi("")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().starts_with("the destination directory is not empty, file "), "{error}");
    export(&temp.join("t"), &[numbers(2)], &[], multi("append")).unwrap();
    assert_eq!(temp.listing(), ["t", "t/other", "t/part-00000.parquet", "t/part-00001.parquet"]);
    export(&temp.join("t"), &[numbers(3)], &[], multi("overwrite_or_ignore")).unwrap();
    assert_eq!(read_all(&temp.join("t/part-00000.parquet")).num_rows(), 3);
    assert_eq!(read_all(&temp.join("t/part-00001.parquet")).num_rows(), 2);
    export(&temp.join("t"), &[numbers(4)], &[], multi("overwrite")).unwrap();
    assert_eq!(temp.listing(), ["t", "t/part-00000.parquet"]);
}

#[test]
fn existing_files_are_refused_unless_told_otherwise() {
    let temp = Temp::new();
    export(&temp.join("f"), &[numbers(1)], &[], options(&[])).unwrap();
    let error = export(&temp.join("f"), &[numbers(2)], &[], options(&[])).unwrap_err();
    assert!(error.to_string().contains("the destination exists"), "{error}");
    export(&temp.join("f"), &[numbers(2)], &[], options(&[("append", true.into())])).unwrap();
    assert_eq!(temp.listing(), ["f.1.parquet", "f.parquet"]);
    export(&temp.join("f"), &[numbers(3)], &[], options(&[("overwrite", true.into())])).unwrap();
    assert_eq!(read_all(&temp.join("f.parquet")).num_rows(), 3);
}

#[test]
fn unwritable_destinations_name_the_path() {
    let temp = Temp::new();
    std::fs::write(temp.join("file"), "").unwrap();
    let error = export(&temp.join("file/below/t"), &[numbers(1)], &[], options(&[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.to_string().contains("cannot create the directory") && error.to_string().contains("file/below"),
        "{error}"
    );
}

#[test]
fn encodings_that_a_type_cannot_have_are_refused_at_once() {
    let temp = Temp::new();
    let rows = batch(vec![("s", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]);
    let pairs = [("column_encoding", "s=byte_stream_split".into())];
    let error = export(&temp.join("a"), &[rows], &[], options(&pairs)).unwrap_err().to_string();
    assert!(error.contains("type BYTE_ARRAY cannot have this encoding, column \"s\""), "{error}");
}
