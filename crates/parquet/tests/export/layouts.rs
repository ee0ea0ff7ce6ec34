//! Files and directories have the names of the layout.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use questdb_parquet::{ColumnHint, MAX_OPEN_FILES};

use crate::support::*;

const HOUR: i64 = 3_600_000_000;
/// 2024-01-01.
const START: i64 = 1_704_067_200_000_000;

fn series(hours: impl Iterator<Item = Option<i64>>) -> RecordBatch {
    let ts: TimestampMicrosecondArray = hours.map(|hour| hour.map(|hour| START + hour * HOUR)).collect();
    let n = Int64Array::from_iter_values(0..ts.len() as i64);
    batch(vec![("ts", Arc::new(ts) as ArrayRef), ("n", Arc::new(n))])
}

#[test]
fn questdb_layout_names_partitions() {
    let temp = Temp::new();
    let result = export(
        &temp.join("t"),
        &[series((0..72).map(Some))],
        &[],
        options(&[("partition_by", "day".into())]),
    )
    .unwrap();
    assert_eq!(temp.listing(), ["t", "t/2024-01-01.parquet", "t/2024-01-02.parquet", "t/2024-01-03.parquet"]);
    assert_eq!(result.files.iter().map(|file| file.rows).collect::<Vec<_>>(), [24, 24, 24]);
    assert_eq!(result.files[1].partition.as_deref(), Some("2024-01-02"));
    assert_eq!(result.files[1].path, temp.join("t/2024-01-02.parquet"));
    assert_eq!(result.files[1].bytes, std::fs::metadata(&result.files[1].path).unwrap().len());
}

#[test]
fn one_file_is_the_destination() {
    let temp = Temp::new();
    export(&temp.join("a"), &[series((0..10).map(Some))], &[], options(&[("partition_by", "year".into())]))
        .unwrap();
    export(&temp.join("b.parquet"), &[series((0..10).map(Some))], &[], options(&[])).unwrap();
    export(&temp.join("sub/dir/c"), &[series((0..10).map(Some))], &[], options(&[])).unwrap();
    export(&temp.join("d"), &[series((0..10).map(Some))], &[], options(&[("mode", "single_file".into())]))
        .unwrap();
    assert_eq!(temp.listing(), ["a.parquet", "b.parquet", "d", "sub", "sub/dir", "sub/dir/c.parquet"]);
}

#[test]
fn hive_layout_and_null_timestamps() {
    let temp = Temp::new();
    let rows = series([Some(0), None, Some(24 * 31), None].into_iter());
    let both = [("partition_by", "month".into()), ("layout", "hive".into())];
    export(&temp.join("t"), &[rows.clone()], &[], options(&both)).unwrap();
    let files: Vec<String> = temp.listing().into_iter().filter(|name| name.ends_with(".parquet")).collect();
    assert_eq!(
        files,
        [
            "t/year=2024/month=1/data.parquet",
            "t/year=2024/month=2/data.parquet",
            "t/year=__HIVE_DEFAULT_PARTITION__/month=__HIVE_DEFAULT_PARTITION__/data.parquet",
        ]
    );
    export(&temp.join("q"), &[rows], &[], options(&[("partition_by", "month".into())])).unwrap();
    assert_eq!(read_all(&temp.join("q/null.parquet")).num_rows(), 2);
}

#[test]
fn rotation_by_row_groups_comes_first() {
    let temp = Temp::new();
    let pairs = [
        ("row_group_size", 10.into()),
        ("max_row_groups_per_file", 2.into()),
        ("target_file_size_bytes", "1GB".into()),
        ("layout", "parts".into()),
    ];
    let result = export(&temp.join("t"), &[series((0..55).map(Some))], &[], options(&pairs)).unwrap();
    assert_eq!(temp.listing(), ["t", "t/part-00000.parquet", "t/part-00001.parquet", "t/part-00002.parquet"]);
    assert_eq!(result.files.iter().map(|file| file.row_groups).collect::<Vec<_>>(), [2, 2, 2]);
    let pairs = [
        ("row_group_size", 10.into()),
        ("max_row_groups_per_file", 1.into()),
        ("partition_by", "day".into()),
    ];
    export(&temp.join("p"), &[series((0..30).map(Some))], &[], options(&pairs)).unwrap();
    let files: Vec<String> = temp.listing().into_iter().filter(|name| name.starts_with("p/")).collect();
    assert_eq!(
        files,
        ["p/2024-01-01.1.parquet", "p/2024-01-01.2.parquet", "p/2024-01-01.parquet", "p/2024-01-02.parquet"]
    );
}

#[test]
fn rotation_by_size_is_within_ten_percent() {
    let temp = Temp::new();
    let mut rng = Rng::new(3);
    let rows = batch(vec![(
        "x",
        Arc::new(Float64Array::from_iter_values((0..500_000).map(|_| rng.next() as f64))) as ArrayRef,
    )]);
    let pairs = [
        ("row_group_size", 5_000.into()),
        ("target_file_size_bytes", 400_000.into()),
        ("mode", "multi_file".into()),
    ];
    let result = export(&temp.join("t"), &[rows], &[], options(&pairs)).unwrap();
    assert!(result.files.len() > 5);
    for file in &result.files[..result.files.len() - 1] {
        assert!(file.bytes.abs_diff(400_000) <= 40_000, "{}", file.bytes);
    }
}

#[test]
fn unordered_partitions_are_gathered() {
    let temp = Temp::new();
    let batches: Vec<RecordBatch> =
        (0..5).map(|_| series((0..24 * 20).map(|i| Some(i * 7919 % (24 * 20))))).collect();
    let result = export(&temp.join("t"), &batches, &[], options(&[("partition_by", "day".into())])).unwrap();
    assert_eq!(result.files.len(), 20);
    assert!(
        result.files.iter().all(|file| file.rows == 24 * 5 && file.row_groups == 1),
        "{:?}",
        result.files
    );
}

#[test]
fn more_open_partitions_than_files_continue_in_further_files() {
    let temp = Temp::new();
    let hours = MAX_OPEN_FILES as i64 + 20;
    let batches: Vec<RecordBatch> = (0..2).map(|_| series((0..hours).map(Some))).collect();
    let result = export(&temp.join("t"), &batches, &[], options(&[("partition_by", "hour".into())])).unwrap();
    assert_eq!(result.rows, 2 * hours as u64);
    assert!(temp.join("t/2024-01-01T00.parquet").exists() && temp.join("t/2024-01-01T00.1.parquet").exists());
}

#[test]
fn zero_rows() {
    let temp = Temp::new();
    let empty = series(std::iter::empty());
    let one = export(&temp.join("one"), &[empty.clone()], &[], options(&[])).unwrap();
    assert_eq!((one.files.len(), one.rows, one.row_groups.len()), (1, 0, 0));
    assert_eq!(metadata(&temp.join("one.parquet")).file_metadata().schema_descr().num_columns(), 2);
    let none = export(&temp.join("none"), &[empty], &[], options(&[("partition_by", "day".into())])).unwrap();
    assert_eq!(none.files, []);
    assert_eq!(temp.listing(), ["one.parquet"]);
}

#[test]
fn the_partition_column_must_be_clear() {
    let temp = Temp::new();
    let two = batch(vec![
        ("a", Arc::new(TimestampMicrosecondArray::from(vec![1])) as ArrayRef),
        ("b", Arc::new(TimestampMicrosecondArray::from(vec![1]))),
    ]);
    let day = [("partition_by", "day".into())];
    let error = export(&temp.join("t"), &[two.clone()], &[], options(&day)).unwrap_err().to_string();
    assert!(error.contains("Choose one with the option timestamp: a, b"), "{error}");
    let hints = [ColumnHint::default(), ColumnHint { designated: true, ..ColumnHint::default() }];
    export(&temp.join("designated"), &[two.clone()], &hints, options(&day)).unwrap();
    export(
        &temp.join("named"),
        &[two],
        &[],
        options(&[("partition_by", "day".into()), ("timestamp", "A".into())]),
    )
    .unwrap();
    let number = batch(vec![("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    let error = export(&temp.join("n"), &[number.clone()], &[], options(&day)).unwrap_err().to_string();
    assert!(error.contains("no column of type TIMESTAMP"), "{error}");
    let named = [("partition_by", "day".into()), ("timestamp", "n".into())];
    let error = export(&temp.join("n"), &[number], &[], options(&named)).unwrap_err().to_string();
    assert!(error.contains("only by a TIMESTAMP or DATE column"), "{error}");
}
