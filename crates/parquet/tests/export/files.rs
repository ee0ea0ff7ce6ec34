//! Codecs, versions, types, and the checked-in page of options.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::*;
use arrow_schema::{DataType, Field};

use crate::support::*;

#[test]
fn docs_options_md_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/options.md");
    let expected = questdb_parquet::options::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected, "run the test with UPDATE_DOCS=1");
}

fn mixed(rows: usize) -> RecordBatch {
    let mut rng = Rng::new(42);
    let n = rows as i64;
    batch(vec![
        (
            "b",
            Arc::new(BooleanArray::from_iter((0..rows).map(|_| rng.chance(80).then(|| rng.chance(50)))))
                as ArrayRef,
        ),
        ("i", Arc::new(Int64Array::from_iter((0..n).map(|i| (i % 7 != 0).then_some(i * 3))))),
        ("d", Arc::new(Float64Array::from_iter((0..n).map(|i| (i % 5 != 0).then_some(i as f64 / 3.0))))),
        (
            "s",
            Arc::new(StringViewArray::from_iter(
                (0..n).map(|i| (i % 3 != 0).then(|| format!("value number {}", i % 50))),
            )),
        ),
        (
            "u",
            Arc::new(FixedSizeBinaryArray::try_from_iter((0..n).map(|i| (i as u128).to_le_bytes())).unwrap()),
        ),
    ])
}

#[test]
fn every_codec_and_version_reads_back() {
    let rows = mixed(5_000);
    for codec in ["uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4_raw", "lz4"] {
        for version in ["1", "2"] {
            let temp = Temp::new();
            let pairs = [
                ("compression", codec.into()),
                ("parquet_version", version.into()),
                ("row_group_size", 2_000.into()),
            ];
            export(&temp.join("a"), &[rows.clone()], &[], options(&pairs)).unwrap();
            let back = read_all(&temp.join("a.parquet"));
            assert_same(&rows, &back, codec);
        }
    }
}

/// Equal after casting text to one form.
pub fn assert_same(expected: &RecordBatch, found: &RecordBatch, name: &str) {
    assert_eq!(expected.num_rows(), found.num_rows(), "{name}");
    for (index, field) in expected.schema().fields().iter().enumerate() {
        let want = expected.column(index);
        let got = arrow_cast::cast(found.column(index), want.data_type())
            .unwrap_or_else(|error| panic!("{name}, {}: {error}", field.name()));
        assert_eq!(want.as_ref(), got.as_ref(), "{name}, column {}", field.name());
    }
}

#[test]
fn nested_types_read_back() {
    let temp = Temp::new();
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    for row in 0..1000 {
        for key in 0..row % 4 {
            maps.keys().append_value(format!("k{key}"));
            maps.values().append_option((key % 2 == 0).then(|| format!("v{row}")));
            lists.values().values().append_value("x");
            lists.values().append(key % 3 != 0);
        }
        maps.append(row % 5 != 0).unwrap();
        lists.append(row % 6 != 0);
    }
    let inner: ArrayRef = Arc::new(Int32Array::from_iter((0..1000).map(|i| (i % 2 == 0).then_some(i))));
    let field = Arc::new(Field::new("x", DataType::Int32, true));
    let rows = batch(vec![
        ("m", Arc::new(maps.finish()) as ArrayRef),
        ("l", Arc::new(lists.finish())),
        ("st", Arc::new(StructArray::try_new(vec![field].into(), vec![inner], None).unwrap())),
    ]);
    export(&temp.join("a"), &[rows.clone()], &[], options(&[("row_group_size", 300.into())])).unwrap();
    let back = read_all(&temp.join("a.parquet"));
    for index in 0..3 {
        assert_eq!(
            format!("{:?}", rows.column(index).to_data().len()),
            format!("{:?}", back.column(index).to_data().len())
        );
    }
    assert_eq!(rows.column(2).as_ref(), back.column(2).as_ref());
}

#[test]
fn arrays_are_lists_or_raw() {
    use questdb_parquet::ColumnHint;
    let temp = Temp::new();
    let lists = ListArray::from_iter_primitive::<Float64Type, _, _>((0..100).map(|i| {
        (i % 7 != 0).then(|| (0..i % 5).map(|x| (x != 3).then_some(f64::from(x))).collect::<Vec<_>>())
    }));
    let rows = batch(vec![("a", Arc::new(lists) as ArrayRef)]);
    let hints = [ColumnHint { questdb_type: Some(27 | 1 << 14), ..ColumnHint::default() }];
    export(&temp.join("list"), &[rows.clone()], &hints, options(&[])).unwrap();
    let back = read_all(&temp.join("list.parquet"));
    let list = back.column(0).as_any().downcast_ref::<ListArray>().unwrap();
    assert_eq!(list.len(), 100);
    assert!(list.is_null(0) && list.value(4).len() == 4);
    export(&temp.join("raw"), &[rows], &hints, options(&[("raw_array_encoding", true.into())])).unwrap();
    let raw = read_all(&temp.join("raw.parquet"));
    assert_eq!(raw.column(0).data_type(), &DataType::Binary);
}

#[test]
fn decimals_and_seconds_are_converted() {
    use questdb_parquet::ColumnHint;
    let temp = Temp::new();
    let decimals =
        Decimal128Array::from(vec![Some(12345), None, Some(-1)]).with_precision_and_scale(9, 2).unwrap();
    let rows = batch(vec![
        ("d", Arc::new(decimals) as ArrayRef),
        ("s", Arc::new(TimestampSecondArray::from(vec![Some(1), None, Some(-5)]))),
    ]);
    let hints = [ColumnHint { questdb_type: Some(32), ..ColumnHint::default() }, ColumnHint::default()];
    export(&temp.join("a"), &[rows], &hints, options(&[])).unwrap();
    let back = read_all(&temp.join("a.parquet"));
    let decimals = back.column(0).as_any().downcast_ref::<Decimal128Array>().unwrap();
    assert_eq!(decimals.iter().collect::<Vec<_>>(), [Some(12345), None, Some(-1)]);
    let millis = back.column(1).as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
    assert_eq!(millis.iter().collect::<Vec<_>>(), [Some(1000), None, Some(-5000)]);
    let column = metadata(&temp.join("a.parquet")).row_group(0).column(0).column_descr().type_length();
    assert_eq!(column, 16);
}

#[test]
fn a_symbol_column_of_nulls_reads_back() {
    use questdb_parquet::ColumnHint;
    let temp = Temp::new();
    let values: StringArray = ["aa", "bb"].into_iter().map(Some).collect();
    let keys = Int32Array::from(vec![None::<i32>; 10]);
    let rows =
        batch(vec![("s", Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values))) as ArrayRef)]);
    let hints = [ColumnHint { symbol: true, ..ColumnHint::default() }];
    export(&temp.join("a"), &[rows], &hints, options(&[])).unwrap();
    assert_eq!(read_all(&temp.join("a.parquet")).column(0).null_count(), 10);
}

#[test]
fn text_leaves_a_dictionary_that_grows_too_large() {
    use parquet::basic::Encoding;
    let repeated = (0..30_000).map(|i| (i % 11 != 0).then(|| format!("value number {}", i % 50)));
    let unique = (0..30_000).map(|i| (i % 7 != 0).then(|| format!("only once {i}")));
    let text: StringArray = repeated.chain(unique).collect();
    let rows = batch(vec![("s", Arc::new(text) as ArrayRef)]);
    for version in ["1", "2"] {
        let temp = Temp::new();
        let pairs = [
            ("dictionary_page_size", 4096.into()),
            ("data_page_size", 5_000.into()),
            ("parquet_version", version.into()),
        ];
        export(&temp.join("a"), &[rows.clone()], &[], options(&pairs)).unwrap();
        assert_same(&rows, &read_all(&temp.join("a.parquet")), version);
        let metadata = metadata(&temp.join("a.parquet"));
        let chunk = metadata.row_group(0).column(0);
        let encodings: Vec<Encoding> = chunk.encodings().collect();
        assert!([Encoding::RLE_DICTIONARY, Encoding::DELTA_LENGTH_BYTE_ARRAY]
            .iter()
            .all(|e| encodings.contains(e)));
        let statistics = chunk.statistics().unwrap();
        assert_eq!(statistics.min_bytes_opt().unwrap(), b"only once 1");
        assert_eq!(statistics.max_bytes_opt().unwrap(), b"value number 9");
        assert_eq!(statistics.null_count_opt(), Some(2728 + 4286));
    }
}
