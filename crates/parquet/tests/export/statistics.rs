//! Statistics and indexes never lie, and the metadata is what QuestDB expects.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use parquet::basic::{ColumnOrder, Encoding};
use parquet::column::page::Page;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;
use questdb_parquet::ColumnHint;

use crate::support::*;
use crate::truthful;

fn double_bounds(values: Vec<Option<f64>>) -> Option<(f64, f64)> {
    let temp = Temp::new();
    let rows = batch(vec![("x", Arc::new(Float64Array::from(values)) as ArrayRef)]);
    export(&temp.join("a"), &[rows], &[], options(&[])).unwrap();
    let metadata = metadata(&temp.join("a.parquet"));
    assert!(matches!(metadata.file_metadata().column_order(0), ColumnOrder::TYPE_DEFINED_ORDER(_)));
    match metadata.row_group(0).column(0).statistics().unwrap() {
        Statistics::Double(values) => values.min_opt().copied().zip(values.max_opt().copied()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn doubles_ignore_nan_and_widen_zeros() {
    assert_eq!(double_bounds(vec![Some(1.5), Some(f64::NAN), None, Some(-2.0)]), Some((-2.0, 1.5)));
    assert_eq!(double_bounds(vec![Some(f64::NAN), Some(f64::NAN)]), None);
    assert_eq!(double_bounds(vec![None, None]), None);
    let (min, max) = double_bounds(vec![Some(0.0), Some(0.0)]).unwrap();
    assert!(min.is_sign_negative() && max.is_sign_positive());
    let (min, max) = double_bounds(vec![Some(-0.0)]).unwrap();
    assert!(min.is_sign_negative() && max.is_sign_positive());
    assert_eq!(
        double_bounds(vec![Some(f64::INFINITY), Some(f64::NEG_INFINITY)]),
        Some((f64::NEG_INFINITY, f64::INFINITY))
    );
}

#[test]
fn unsigned_and_long_text_bounds_hold() {
    let temp = Temp::new();
    let long = "\u{10ffff}".repeat(100);
    let rows = batch(vec![
        ("ip", Arc::new(UInt32Array::from(vec![1, 0x7fff_ffff, 0xffff_0000])) as ArrayRef),
        ("text", Arc::new(StringArray::from(vec!["b", long.as_str(), "c"]))),
    ]);
    export(&temp.join("a"), &[rows], &[], options(&[])).unwrap();
    let metadata = metadata(&temp.join("a.parquet"));
    let bytes = |column: usize| {
        let statistics = metadata.row_group(0).column(column).statistics().unwrap().clone();
        (statistics.min_bytes_opt().map(<[u8]>::to_vec), statistics.max_bytes_opt().map(<[u8]>::to_vec))
    };
    assert_eq!(bytes(0), (Some(1u32.to_le_bytes().to_vec()), Some(0xffff_0000u32.to_le_bytes().to_vec())));
    let (min, max) = bytes(1);
    assert_eq!(min.unwrap(), b"b");
    assert!(max.is_none_or(|max| max >= long.into_bytes()));
}

#[test]
fn a_page_with_as_many_nulls_as_rows_is_no_page_of_nulls() {
    let temp = Temp::new();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([None, Some(vec![None, Some(7)]), None]);
    export(&temp.join("a"), &[batch(vec![("x", Arc::new(lists) as ArrayRef)])], &[], options(&[])).unwrap();
    assert_eq!(truthful::check(&temp.join("a.parquet"), "lists").bounds, 1);
}

#[test]
fn decimals_compare_as_numbers() {
    for precision in [5, 16, 38] {
        let temp = Temp::new();
        let values = Decimal128Array::from(vec![Some(-7), None, Some(2), Some(-30_000)]);
        let values = values.with_precision_and_scale(precision, 2).unwrap();
        let hint = ColumnHint { questdb_type: Some(30), ..ColumnHint::default() };
        let hints = if precision == 5 { vec![hint] } else { Vec::new() };
        let rows = batch(vec![("x", Arc::new(values) as ArrayRef)]);
        export(&temp.join("a"), &[rows], &hints, options(&[])).unwrap();
        let checked = truthful::check(&temp.join("a.parquet"), &format!("precision {precision}"));
        assert_eq!((checked.bounds, checked.pages), (1, 1));
    }
}

#[test]
fn questdb_metadata_sorting_and_encodings() {
    let temp = Temp::new();
    let symbols: StringArray = ["aa", "bb"].into_iter().map(Some).collect();
    let rows = batch(vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(0..1000)) as ArrayRef),
        (
            "sym",
            Arc::new(DictionaryArray::<Int32Type>::new(
                Int32Array::from_iter_values((0..1000).map(|i| i % 2)),
                Arc::new(symbols),
            )),
        ),
        ("v", Arc::new(StringArray::from_iter_values((0..1000).map(|i| i.to_string())))),
        ("s", Arc::new(StringArray::from_iter_values((0..1000).map(|_| "same")))),
        ("d", Arc::new(Float64Array::from_iter_values((0..1000).map(|_| 1.0)))),
        ("n", Arc::new(Int64Array::from_iter_values(0..1000))),
    ]);
    let hint = |code: i32, id: i32| ColumnHint {
        questdb_type: Some(code),
        field_id: Some(id),
        ..ColumnHint::default()
    };
    let hints = [
        ColumnHint { designated: true, ..hint(8, 0) },
        hint(12, 1),
        ColumnHint { ascii: Some(true), ..hint(26, 2) },
        hint(11, 3),
        hint(10, 4),
        hint(6, 7),
    ];
    let pairs = [("kv_metadata", "who=me".into()), ("bloom_filter_columns", "n,sym".into())];
    export(&temp.join("a"), &[rows.clone()], &hints, options(&pairs)).unwrap();
    let metadata = metadata(&temp.join("a.parquet"));
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    assert_eq!(pairs[0].key, "questdb");
    assert_eq!(
        pairs[0].value.as_deref().unwrap(),
        "{\"version\":1,\"schema\":[{\"column_type\":131080,\"column_top\":0},{\"column_type\":12,\"column_top\":0,\"format\":1},\
         {\"column_type\":26,\"column_top\":0,\"ascii\":true},{\"column_type\":11,\"column_top\":0},{\"column_type\":10,\"column_top\":0},\
         {\"column_type\":6,\"column_top\":0}]}"
    );
    assert_eq!(pairs[1].key, "who");
    let group = metadata.row_group(0);
    let sorting = group.sorting_columns().unwrap();
    assert_eq!(
        (sorting.len(), sorting[0].column_idx, sorting[0].descending, sorting[0].nulls_first),
        (1, 0, false, false)
    );
    let encodings = |column: usize| group.column(column).encodings().collect::<Vec<_>>();
    assert!(encodings(0).contains(&Encoding::DELTA_BINARY_PACKED));
    assert!(encodings(1).contains(&Encoding::RLE_DICTIONARY));
    assert!(
        encodings(2).contains(&Encoding::DELTA_LENGTH_BYTE_ARRAY)
            && !encodings(2).contains(&Encoding::RLE_DICTIONARY)
    );
    assert!(
        encodings(3).contains(&Encoding::DELTA_LENGTH_BYTE_ARRAY)
            && !encodings(3).contains(&Encoding::RLE_DICTIONARY)
    );
    assert!(!encodings(4).contains(&Encoding::RLE_DICTIONARY));
    assert!(
        group.column(5).bloom_filter_offset().is_some() && group.column(1).bloom_filter_offset().is_some()
    );
    assert!(group.column(0).bloom_filter_offset().is_none());
    assert!(metadata.row_group(0).column(0).column_index_offset().is_some());
    let schema = metadata.file_metadata().schema_descr().root_schema().get_fields();
    assert_eq!(schema[5].get_basic_info().id(), 7);
    let dense = read_all(&temp.join("a.parquet"));
    assert_eq!(dense.num_rows(), 1000);
}

#[test]
fn statistics_can_be_left_out_but_not_of_the_designated_timestamp() {
    let temp = Temp::new();
    let rows = batch(vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(0..10)) as ArrayRef),
        ("n", Arc::new(Int64Array::from_iter_values(0..10))),
    ]);
    let hints = [ColumnHint { designated: true, ..ColumnHint::default() }, ColumnHint::default()];
    export(&temp.join("a"), &[rows], &hints, options(&[("statistics_enabled", false.into())])).unwrap();
    let metadata = metadata(&temp.join("a.parquet"));
    assert!(metadata.row_group(0).column(0).statistics().is_some());
    assert!(metadata.row_group(0).column(1).statistics().is_none());
    assert!(metadata.row_group(0).column(1).offset_index_offset().is_some());
    assert!(
        metadata.file_metadata().key_value_metadata().is_none(),
        "without type codes the file is not QuestDB's"
    );
}

#[test]
fn symbol_chunks_keep_the_tables_keys() {
    for version in ["1", "2"] {
        for null_every in [0, 3, 1] {
            let temp = Temp::new();
            let table: StringArray = ["aa", "bb", "cc", "zz", "yy", "unused"].into_iter().map(Some).collect();
            let keys = Int32Array::from_iter((0..50_000).map(|i| {
                (null_every == 0 || i % null_every != 0).then_some([0, 1, 2, 4][i as usize / 7 % 4])
            }));
            let column = DictionaryArray::<Int32Type>::new(keys, Arc::new(table));
            let rows = batch(vec![("s", Arc::new(column) as ArrayRef)]);
            let hints = [ColumnHint { questdb_type: Some(12), ..ColumnHint::default() }];
            let pairs = [("parquet_version", version.into()), ("row_group_size", 30_000.into())];
            export(&temp.join("a"), &[rows.clone()], &hints, options(&pairs)).unwrap();
            let path = temp.join("a.parquet");
            crate::files::assert_same(
                &rows,
                &read_all(&path),
                &format!("version {version}, NULL every {null_every}"),
            );
            let file = Arc::new(std::fs::File::open(&path).unwrap());
            let metadata = metadata(&path);
            for group in metadata.row_groups() {
                let chunk = group.column(0);
                let pages: Vec<Page> =
                    SerializedPageReader::new(Arc::clone(&file), chunk, group.num_rows() as usize, None)
                        .unwrap()
                        .map(Result::unwrap)
                        .collect();
                let dictionaries = pages.iter().filter(|page| page.is_dictionary_page()).count();
                assert_eq!(dictionaries, 1, "exactly one dictionary page");
                let Page::DictionaryPage { buf, num_values, .. } = &pages[0] else {
                    panic!("the dictionary page is first")
                };
                let expected = if null_every == 1 { (0, 0) } else { (5, 5 * 4 + 8) };
                assert_eq!(
                    (*num_values, buf.len()),
                    expected,
                    "keys up to the largest used, unused ones empty"
                );
                let Statistics::ByteArray(values) = chunk.statistics().unwrap() else { panic!() };
                let bounds = values
                    .min_opt()
                    .zip(values.max_opt())
                    .map(|(min, max)| (min.data().to_vec(), max.data().to_vec()));
                assert_eq!(bounds, (null_every != 1).then(|| (b"aa".to_vec(), b"yy".to_vec())));
                let nulls = match null_every {
                    0 => 0,
                    1 => group.num_rows(),
                    _ => group.num_rows() / 3,
                };
                assert!(values.null_count_opt().unwrap().abs_diff(nulls as u64) <= 1);
                assert!(chunk.column_index_offset().is_some() && chunk.offset_index_offset().is_some());
            }
        }
    }
}

#[test]
fn a_symbol_table_may_grow_but_not_change() {
    let temp = Temp::new();
    let part = |table: &[&str], keys: &[i32]| {
        let table: StringArray = table.iter().map(Some).collect();
        let column = DictionaryArray::<Int32Type>::new(Int32Array::from(keys.to_vec()), Arc::new(table));
        batch(vec![("s", Arc::new(column) as ArrayRef)])
    };
    let hints = [ColumnHint { symbol: true, ..ColumnHint::default() }];
    let grown = [part(&["a", "b"], &[0, 1]), part(&["a", "b", "c"], &[2, 0]), part(&["a"], &[0])];
    export(&temp.join("grown"), &grown, &hints, options(&[])).unwrap();
    let back =
        arrow_cast::cast(read_all(&temp.join("grown.parquet")).column(0), &arrow_schema::DataType::Utf8)
            .unwrap();
    assert_eq!(back.as_ref(), &StringArray::from(vec!["a", "b", "c", "a", "a"]));
    let changed = [part(&["a", "b"], &[0, 1]), part(&["x", "b"], &[0, 1])];
    let error = export(&temp.join("changed"), &changed, &hints, options(&[])).unwrap_err().to_string();
    assert!(error.starts_with("the symbol table changed between two batches, column \"s\""), "{error}");
}
