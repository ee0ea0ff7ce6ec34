//! Random schemas, NULLs, nesting, batch sizes and options; every file reads back equal.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::*;
use arrow_schema::DataType;
use questdb_parquet::{ColumnHint, OptionValue};

use crate::files::assert_same;
use crate::support::*;

fn column(rng: &mut Rng, rows: usize) -> ArrayRef {
    let nulls = [0, 5, 50, 100][rng.below(4) as usize];
    let distinct = [3, 100, u64::MAX][rng.below(3) as usize];
    match rng.below(12) {
        0 => {
            Arc::new(BooleanArray::from_iter((0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.chance(50)))))
        }
        1 => {
            Arc::new(Int8Array::from_iter((0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.next() as i8))))
        }
        2 => Arc::new(Int32Array::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.below(distinct) as i32)),
        )),
        3 => Arc::new(Int64Array::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.below(distinct) as i64)),
        )),
        4 => Arc::new(UInt32Array::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.next() as u32)),
        )),
        5 => Arc::new(Float64Array::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.below(distinct) as f64)),
        )),
        6 => Arc::new(Float32Array::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.next() as f32)),
        )),
        7 => Arc::new(StringViewArray::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.text(40))),
        )),
        8 => {
            let words: Vec<String> = (0..20).map(|_| rng.text(30)).collect();
            let pick = (0..rows).map(|_| (!rng.chance(nulls)).then(|| words[rng.below(20) as usize].clone()));
            Arc::new(StringArray::from_iter(pick))
        }
        9 => Arc::new(BinaryArray::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.next().to_le_bytes())),
        )),
        10 => {
            let words: StringArray = (0..300).map(|i| Some(format!("symbol {i}"))).collect();
            let keys =
                Int32Array::from_iter((0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.below(300) as i32)));
            Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(words)))
        }
        _ => Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>((0..rows).map(|_| {
            (!rng.chance(nulls)).then(|| {
                (0..rng.below(5)).map(|_| (!rng.chance(nulls)).then(|| rng.next() as i64)).collect::<Vec<_>>()
            })
        }))),
    }
}

fn random_options(rng: &mut Rng) -> Vec<(&'static str, OptionValue)> {
    let mut pairs: Vec<(&'static str, OptionValue)> = Vec::new();
    let codecs = ["uncompressed", "snappy", "lz4_raw", "zstd", "gzip"];
    pairs.push(("compression", codecs[rng.below(5) as usize].into()));
    if rng.chance(60) {
        pairs.push(("row_group_size", (1 + rng.below(2000) as i64).into()));
    }
    if rng.chance(30) {
        pairs.push(("row_group_size_bytes", (1 + rng.below(100_000) as i64).into()));
    }
    if rng.chance(30) {
        pairs.push(("data_page_size", (1 + rng.below(10_000) as i64).into()));
    }
    if rng.chance(30) {
        pairs.push(("encoding", ["smallest", "plain", "questdb"][rng.below(3) as usize].into()));
    }
    if rng.chance(20) {
        pairs.push(("statistics_enabled", false.into()));
    }
    if rng.chance(20) {
        pairs.push(("write_page_index", false.into()));
    }
    if rng.chance(30) {
        pairs.push(("parquet_version", "2".into()));
    }
    if rng.chance(20) {
        pairs.push(("dictionary_page_size", 200.into()));
    }
    pairs
}

#[test]
fn random_exports_read_back() {
    let cases = std::env::var("CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for seed in 0..cases {
        let mut rng = Rng::new(seed);
        let rows = 1 + rng.below(4000) as usize;
        let columns: Vec<(String, ArrayRef)> =
            (0..1 + rng.below(8)).map(|index| (format!("c{index}"), column(&mut rng, rows))).collect();
        let whole = batch(columns.iter().map(|(name, array)| (name.as_str(), Arc::clone(array))).collect());
        let mut batches = Vec::new();
        let mut done = 0;
        while done < rows {
            let take = (1 + rng.below(1500) as usize).min(rows - done);
            batches.push(whole.slice(done, take));
            done += take;
        }
        let pairs = random_options(&mut rng);
        let hints: Vec<ColumnHint> = columns
            .iter()
            .map(|(_, array)| {
                let symbol = matches!(array.data_type(), DataType::Dictionary(..)) && rng.chance(70);
                ColumnHint { symbol, ..ColumnHint::default() }
            })
            .collect();
        let temp = Temp::new();
        let result = export(&temp.join("a"), &batches, &hints, options(&pairs))
            .unwrap_or_else(|error| panic!("seed {seed}, {pairs:?}: {error}"));
        assert_eq!(result.rows, rows as u64, "seed {seed}");
        assert_same(&whole, &read_all(&temp.join("a.parquet")), &format!("seed {seed}, {pairs:?}"));
        // For a look with other readers: KEEP=directory.
        if let Some(keep) = std::env::var_os("KEEP") {
            std::fs::copy(
                temp.join("a.parquet"),
                std::path::Path::new(&keep).join(format!("{seed}.parquet")),
            )
            .unwrap();
        }
    }
}
