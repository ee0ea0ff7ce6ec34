//! Random schemas, NULLs, nesting, batch sizes and options; every file reads back equal.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field};
use questdb_parquet::{ColumnHint, OptionValue};

use crate::files::assert_same;
use crate::support::*;
use crate::truthful;

/// Doubles that order and equality disagree about, and others.
fn special(rng: &mut Rng) -> f64 {
    let known = [f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 1.5];
    if rng.chance(60) {
        known[rng.below(8) as usize]
    } else {
        f64::from_bits(rng.next())
    }
}

/// Text that begins alike, is longer than a bound, and is cut between the bytes of a letter.
fn wide_text(rng: &mut Rng) -> String {
    let letters = ['z', 'é', '日', '\u{10ffff}', '\u{d7ff}', '\0'];
    let length = [3, 20, 70][rng.below(3) as usize];
    (0..rng.below(length)).map(|_| letters[rng.below(6) as usize]).collect()
}

/// Zero to four values in each row that is not NULL.
fn lengths(rng: &mut Rng, rows: usize, nulls: u64) -> (OffsetBuffer<i32>, NullBuffer) {
    let valid: Vec<bool> = (0..rows).map(|_| !rng.chance(nulls)).collect();
    let lengths: Vec<usize> =
        valid.iter().map(|valid| if *valid { rng.below(5) as usize } else { 0 }).collect();
    (OffsetBuffer::from_lengths(lengths), NullBuffer::from(valid))
}

/// A column of lists, structs or maps, of anything down to `depth`.
fn nested(rng: &mut Rng, rows: usize, depth: u32) -> ArrayRef {
    let nulls = [0, 5, 50, 100][rng.below(4) as usize];
    let field = |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
    match rng.below(3) {
        0 => {
            let (offsets, valid) = lengths(rng, rows, nulls);
            let values = any(rng, offsets.last() as usize, depth - 1);
            Arc::new(ListArray::new(field("element", &values), offsets, values, Some(valid)))
        }
        1 => {
            let members: Vec<ArrayRef> = (0..1 + rng.below(3)).map(|_| any(rng, rows, depth - 1)).collect();
            let fields: Vec<_> =
                members.iter().enumerate().map(|(i, array)| field(&format!("m{i}"), array)).collect();
            let valid = NullBuffer::from_iter((0..rows).map(|_| !rng.chance(nulls)));
            Arc::new(StructArray::new(fields.into(), members, Some(valid)))
        }
        _ => {
            let (offsets, valid) = lengths(rng, rows, nulls);
            let count = offsets.last() as usize;
            let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|i| format!("k{i}"))));
            let values = any(rng, count, depth - 1);
            let key = Arc::new(Field::new("key", DataType::Utf8, false));
            let fields = vec![key, field("value", &values)];
            let entries = StructArray::new(fields.into(), vec![keys, values], None);
            let field = Arc::new(Field::new("key_value", entries.data_type().clone(), false));
            Arc::new(MapArray::new(field, offsets, entries, Some(valid), false))
        }
    }
}

fn any(rng: &mut Rng, rows: usize, depth: u32) -> ArrayRef {
    if depth > 0 && rng.chance(30) {
        return nested(rng, rows, depth);
    }
    match column(rng, rows) {
        // Inside of others a dictionary is text.
        array if matches!(array.data_type(), DataType::Dictionary(..)) => {
            arrow_cast::cast(&array, &DataType::Utf8).unwrap()
        }
        array => array,
    }
}

fn column(rng: &mut Rng, rows: usize) -> ArrayRef {
    let nulls = [0, 5, 50, 100][rng.below(4) as usize];
    let distinct = [3, 100, u64::MAX][rng.below(3) as usize];
    match rng.below(20) {
        12 => {
            Arc::new(Float64Array::from_iter((0..rows).map(|_| (!rng.chance(nulls)).then(|| special(rng)))))
        }
        13 => Arc::new(Float32Array::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| special(rng) as f32)),
        )),
        14 => {
            let value = |rng: &mut Rng| i128::from(rng.below(distinct.min(1 << 50)) as i64 - (1 << 20));
            let values = (0..rows).map(|_| (!rng.chance(nulls)).then(|| value(rng)));
            let decimals = Decimal128Array::from_iter(values);
            Arc::new(decimals.with_precision_and_scale([16, 30][rng.below(2) as usize], 3).unwrap())
        }
        15 => {
            let values = (0..rows).map(|_| (!rng.chance(nulls)).then(|| wide_text(rng)));
            Arc::new(StringArray::from_iter(values))
        }
        16 => Arc::new(UInt64Array::from_iter((0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.next())))),
        17 => {
            let values = (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.next().to_be_bytes()));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 8).unwrap())
        }
        18 => Arc::new(TimestampMicrosecondArray::from_iter(
            (0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.next() as i64)),
        )),
        19 => {
            Arc::new(UInt8Array::from_iter((0..rows).map(|_| (!rng.chance(nulls)).then(|| rng.next() as u8))))
        }
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

/// A column of a table.
fn top(rng: &mut Rng, rows: usize) -> ArrayRef {
    if rng.chance(25) {
        nested(rng, rows, 3)
    } else {
        column(rng, rows)
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
    if rng.chance(40) {
        pairs.push(("bloom_filter_columns", "c0".into()));
    }
    pairs
}

#[test]
fn random_exports_read_back() {
    let cases = std::env::var("CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut checked = truthful::Checked::default();
    for seed in 0..cases {
        let mut rng = Rng::new(seed);
        let rows = 1 + rng.below(4000) as usize;
        let columns: Vec<(String, ArrayRef)> =
            (0..1 + rng.below(8)).map(|index| (format!("c{index}"), top(&mut rng, rows))).collect();
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
        let one = truthful::check(&temp.join("a.parquet"), &format!("seed {seed}, {pairs:?}"));
        checked.bounds += one.bounds;
        checked.pages += one.pages;
        checked.looked_up += one.looked_up;
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
    assert!(checked.bounds > 0 && checked.pages > 0 && checked.looked_up > 0, "{checked:?}");
}
