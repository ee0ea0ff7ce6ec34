//! Row groups have exactly the rows, or nearly the bytes, that were asked for.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray,
};

use crate::support::*;

#[test]
fn rows_are_exact_whatever_the_batches() {
    let temp = Temp::new();
    let batches: Vec<RecordBatch> = [1, 999, 1000, 1001, 2500, 7]
        .iter()
        .map(|rows| batch(vec![("x", Arc::new(Int64Array::from_iter_values(0..*rows)) as ArrayRef)]))
        .collect();
    let result = export(&temp.join("a"), &batches, &[], options(&[("row_group_size", 1000.into())])).unwrap();
    assert_eq!(group_rows(&temp.join("a.parquet")), [1000, 1000, 1000, 1000, 1000, 508]);
    assert_eq!(result.rows, 5508);
    let all = read_all(&temp.join("a.parquet"));
    assert_eq!(all, arrow_select::concat::concat_batches(&all.schema(), &batches).unwrap());
}

#[test]
fn one_row_per_group_works() {
    let temp = Temp::new();
    let rows = batch(vec![("x", Arc::new(Int64Array::from_iter_values(0..30)) as ArrayRef)]);
    export(&temp.join("a"), &[rows], &[], options(&[("row_group_size", 1.into())])).unwrap();
    assert_eq!(group_rows(&temp.join("a.parquet")), [1; 30]);
}

/// Asserts that all row groups but the last are within 5 % of `target`.
fn assert_bytes(
    name: &str,
    batches: &[RecordBatch],
    target: u64,
    more: &[(&str, questdb_parquet::OptionValue)],
) {
    let temp = Temp::new();
    let mut pairs = vec![("row_group_size_bytes", (target as i64).into())];
    pairs.extend(more.iter().cloned());
    let result = export(&temp.join("a"), batches, &[], options(&pairs)).unwrap();
    let sizes: Vec<u64> = result.row_groups.iter().map(|group| group.uncompressed).collect();
    assert!(sizes.len() > 2, "{name}: {sizes:?}");
    for size in &sizes[..sizes.len() - 1] {
        let off = size.abs_diff(target) as f64 / target as f64;
        assert!(off <= 0.05, "{name}: {size} for {target} ({:+.1} %) in {sizes:?}", off * 100.0);
    }
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(result.rows, total as u64, "{name}");
    let footer: Vec<u64> = metadata(&temp.join("a.parquet"))
        .row_groups()
        .iter()
        .map(|group| group.total_byte_size() as u64)
        .collect();
    assert_eq!(footer, sizes, "{name}: the footer agrees");
}

fn trades(rows: usize, seed: u64) -> RecordBatch {
    let mut rng = Rng::new(seed);
    let symbols: StringArray = (0..1000).map(|i| Some(format!("SYM{i}"))).collect();
    let keys: Vec<Option<i32>> = (0..rows).map(|_| rng.chance(95).then(|| rng.below(1000) as i32)).collect();
    let mut time = 1_700_000_000_000_000i64;
    let ts: Vec<i64> = (0..rows)
        .map(|_| {
            time += rng.below(1000) as i64;
            time
        })
        .collect();
    batch(vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from(ts)) as ArrayRef),
        ("sym", Arc::new(DictionaryArray::<Int32Type>::new(keys.into(), Arc::new(symbols)))),
        (
            "price",
            Arc::new(Float64Array::from_iter((0..rows).map(|_| rng.chance(90).then(|| rng.next() as f64)))),
        ),
        ("id", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
    ])
}

#[test]
fn bytes_narrow_rows() {
    let batches: Vec<RecordBatch> = (0..10).map(|seed| trades(30_000, seed)).collect();
    assert_bytes("lz4", &batches, 1_000_000, &[]);
    assert_bytes("uncompressed", &batches, 300_000, &[("compression", "none".into())]);
    assert_bytes(
        "zstd",
        &batches,
        500_000,
        &[("compression", "zstd".into()), ("compression_level", 1.into())],
    );
    assert_bytes("smallest", &batches, 500_000, &[("encoding", "smallest".into())]);
}

#[test]
fn bytes_wide_rows() {
    let mut rng = Rng::new(7);
    let wide: Vec<String> = (0..200).map(|_| rng.text(10).repeat(2_000)).collect();
    let rows = batch(vec![
        ("text", Arc::new(StringViewArray::from_iter_values(&wide)) as ArrayRef),
        ("n", Arc::new(Int64Array::from_iter_values(0..200))),
    ]);
    assert_bytes("wide", &[rows], 500_000, &[("encoding", "questdb".into())]);
}

#[test]
fn bytes_skewed_rows() {
    let mut rng = Rng::new(8);
    let texts: Vec<String> =
        (0..100_000).map(|i| if i % 500 == 0 { rng.text(25).repeat(1_000) } else { rng.text(12) }).collect();
    let rows = batch(vec![("text", Arc::new(StringArray::from_iter_values(&texts)) as ArrayRef)]);
    assert_bytes("skewed", &[rows], 400_000, &[]);
}

#[test]
fn bytes_nested_rows() {
    let mut rng = Rng::new(9);
    let lists: Vec<Option<Vec<Option<i32>>>> = (0..60_000)
        .map(|_| {
            rng.chance(90)
                .then(|| (0..rng.below(6)).map(|_| rng.chance(80).then(|| rng.next() as i32)).collect())
        })
        .collect();
    let ints = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let mut texts = ListBuilder::new(StringBuilder::new());
    for _ in 0..60_000 {
        for _ in 0..rng.below(3) {
            texts.values().append_value(rng.text(8));
        }
        texts.append(true);
    }
    let flags = BooleanArray::from_iter((0..60_000).map(|_| rng.chance(70).then(|| rng.chance(50))));
    let rows = batch(vec![
        ("ints", Arc::new(ints) as ArrayRef),
        ("texts", Arc::new(texts.finish())),
        ("flags", Arc::new(flags)),
    ]);
    assert_bytes("nested", &[rows], 250_000, &[]);
}

#[test]
fn bytes_many_columns() {
    let mut rng = Rng::new(10);
    let columns: Vec<(String, ArrayRef)> = (0..60)
        .map(|i| {
            let values = (0..20_000).map(|_| rng.chance(50).then(|| rng.next() as f64));
            (format!("c{i}"), Arc::new(Float64Array::from_iter(values)) as ArrayRef)
        })
        .collect();
    let rows = batch(columns.iter().map(|(name, array)| (name.as_str(), Arc::clone(array))).collect());
    assert_bytes("many", &[rows], 1_000_000, &[]);
}

#[test]
fn a_row_larger_than_the_target_is_alone() {
    let temp = Temp::new();
    let mut rng = Rng::new(11);
    let texts: Vec<String> = (0..6).map(|_| (0..100_000).map(|_| rng.text(1)).collect()).collect();
    let rows = batch(vec![("text", Arc::new(StringArray::from_iter_values(&texts)) as ArrayRef)]);
    export(&temp.join("a"), &[rows], &[], options(&[("row_group_size_bytes", 1000.into())])).unwrap();
    assert_eq!(group_rows(&temp.join("a.parquet")), [1; 6]);
}

#[test]
fn of_both_limits_the_first_wins() {
    let temp = Temp::new();
    let rows = batch(vec![(
        "x",
        Arc::new(Float64Array::from_iter_values((0..10_000).map(|x| (x as f64).sqrt()))) as ArrayRef,
    )]);
    let both = |rows: i64, bytes: i64| {
        options(&[("row_group_size", rows.into()), ("row_group_size_bytes", bytes.into())])
    };
    export(&temp.join("rows"), &[rows.clone()], &[], both(1000, 1_000_000)).unwrap();
    assert_eq!(group_rows(&temp.join("rows.parquet")), [1000; 10]);
    let result = export(&temp.join("bytes"), &[rows], &[], both(9_000, 16_000)).unwrap();
    assert!(
        result.row_groups.iter().all(|group| group.rows < 2_100 && group.uncompressed < 16_800),
        "{result:?}"
    );
}
