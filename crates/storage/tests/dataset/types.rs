//! What each Parquet type becomes.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float32Type, Int32Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};

use crate::files::{read, write, Column, Leaf};

fn flat(leaf: Leaf) -> Column {
    Column(leaf, None, None)
}

/// The SQL types of columns of a schema without rows.
fn types(schema: &str) -> Vec<String> {
    let leaves = schema.matches(';').count();
    let empty = |kind: &str| match kind {
        "boolean" => Leaf::Bools(Vec::new()),
        "int32" => Leaf::Ints(Vec::new()),
        "int64" => Leaf::Longs(Vec::new()),
        "int96" => Leaf::Int96(Vec::new()),
        "binary" => Leaf::Bytes(Vec::new()),
        _ => Leaf::Fixed(Vec::new()),
    };
    let columns = schema.split(';').take(leaves).map(|field| {
        let words: Vec<&str> = field.split_whitespace().collect();
        let at = words.iter().position(|word| matches!(*word, "required" | "optional")).unwrap();
        let kind = words[at + 1].split('(').next().unwrap();
        let levels = (words[at] == "optional").then(Vec::new);
        Column(empty(kind), levels, None)
    });
    let file = write(schema, columns.collect());
    read(&file).unwrap().into_iter().map(|(sql, _)| sql).collect()
}

#[test]
fn every_logical_type_has_its_sql_type() {
    let schema = "message m {
        optional int32 a (INTEGER(8,true)); optional int32 b (INTEGER(16,true)); optional int32 c (INTEGER(32,true));
        optional int64 d (INTEGER(64,true)); optional int32 e (INTEGER(8,false)); optional int32 f (INTEGER(16,false));
        optional int32 g (INTEGER(32,false)); optional int64 h (INTEGER(64,false)); optional int32 i (DATE);
        optional int32 j (TIME(MILLIS,false)); optional int64 k (TIME(MICROS,false)); optional int64 l (TIME(NANOS,false));
        optional int32 m (TIME(MILLIS,true)); optional int64 n (TIME(MICROS,true));
        optional int64 o (TIMESTAMP(MILLIS,false)); optional int64 p (TIMESTAMP(MICROS,true)); optional int64 q (TIMESTAMP(NANOS,true));
        optional binary r (STRING); optional binary s (ENUM); optional binary t (JSON); optional binary u (BSON);
        optional fixed_len_byte_array(16) v (UUID); optional fixed_len_byte_array(2) w (FLOAT16);
        optional int32 x (DECIMAL(9,2)); optional int64 y (DECIMAL(18,2)); optional binary z (DECIMAL(30,4));
        optional fixed_len_byte_array(20) aa (DECIMAL(38,4)); optional fixed_len_byte_array(30) ab (DECIMAL(60,4));
        optional int96 ac; optional boolean ad; optional binary ae; optional fixed_len_byte_array(7) af; }";
    let expected = [
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "DATE",
        "TIME",
        "TIME",
        "TIME_NS",
        "TIME WITH TIME ZONE",
        "TIME WITH TIME ZONE",
        "TIMESTAMP",
        "TIMESTAMP WITH TIME ZONE",
        "TIMESTAMPTZ_NS",
        "VARCHAR",
        "VARCHAR",
        "JSON",
        "BLOB",
        "UUID",
        "FLOAT",
        "DECIMAL(9,2)",
        "DECIMAL(18,2)",
        "DECIMAL(30,4)",
        "DECIMAL(38,4)",
        "VARCHAR",
        "TIMESTAMP",
        "BOOLEAN",
        "BLOB",
        "BLOB",
    ];
    assert_eq!(types(schema), expected);
}

#[test]
fn old_annotations_mean_the_same() {
    let schema = "message m {
        optional int32 a (INT_8); optional int32 b (INT_16); optional int32 c (INT_32); optional int64 d (INT_64);
        optional int32 e (UINT_8); optional int32 f (UINT_16); optional int32 g (UINT_32); optional int64 h (UINT_64);
        optional int32 i (DATE); optional int32 j (TIME_MILLIS); optional int64 k (TIME_MICROS);
        optional int64 l (TIMESTAMP_MILLIS); optional int64 m (TIMESTAMP_MICROS); optional binary n (UTF8); optional binary o (ENUM);
        optional binary p (JSON); optional binary q (BSON); optional fixed_len_byte_array(12) r (INTERVAL);
        optional binary s (DECIMAL(5,1)); }";
    let expected = [
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "DATE",
        "TIME",
        "TIME",
        "TIMESTAMP WITH TIME ZONE",
        "TIMESTAMP WITH TIME ZONE",
        "VARCHAR",
        "VARCHAR",
        "JSON",
        "BLOB",
        "INTERVAL",
        "DECIMAL(5,1)",
    ];
    assert_eq!(types(schema), expected);
}

#[test]
fn values_keep_their_meaning() {
    let interval = [14u32, 3, 2500].map(u32::to_le_bytes).concat();
    let minus_five = |bytes: usize| {
        let mut value = vec![0xff; bytes];
        value[bytes - 1] = 0xfb;
        value
    };
    // 2000-01-02 00:00:01.000000001 as nanoseconds of a Julian day.
    let julian = [1_000_000_001u32, 0, 2_451_546];
    let file = write(
        "message m { required fixed_len_byte_array(12) iv (INTERVAL); required fixed_len_byte_array(20) wide (DECIMAL(38,2));
            required binary long (DECIMAL(45,3)); required int96 old; required fixed_len_byte_array(2) half (FLOAT16);
            required int32 t (TIME(MILLIS,false)); required int32 tz (TIME(MILLIS,true)); required binary e (ENUM); }",
        vec![
            flat(Leaf::Fixed(vec![interval; 3])),
            flat(Leaf::Fixed(vec![minus_five(20); 3])),
            flat(Leaf::Bytes(vec![b"\xfb"; 3])),
            flat(Leaf::Int96(vec![julian; 3])),
            flat(Leaf::Fixed(vec![vec![0x00, 0x3e]; 3])),
            flat(Leaf::Ints(vec![1000; 3])),
            flat(Leaf::Ints(vec![1000; 3])),
            flat(Leaf::Bytes(vec![b"red", b"green", b"blue"])),
        ],
    );
    let columns = read(&file).unwrap();
    let array = |index: usize| columns[index].1.clone().unwrap();
    let interval = array(0).as_primitive::<IntervalMonthDayNanoType>().value(2);
    assert_eq!((interval.months, interval.days, interval.nanoseconds), (14, 3, 2_500_000_000));
    assert_eq!(array(1).as_primitive::<Decimal128Type>().value(0), -5);
    assert_eq!(array(2).as_string_view().value(1), "-0.005");
    assert_eq!(array(3).as_primitive::<TimestampMicrosecondType>().value(0), 946_771_201_000_000);
    assert_eq!(array(4).as_primitive::<Float32Type>().value(0), 1.5);
    assert_eq!(array(5).as_primitive::<Time64MicrosecondType>().value(0), 1_000_000);
    let bits = u64::from_le_bytes(array(6).as_fixed_size_binary().value(0).try_into().unwrap());
    assert_eq!((bits >> 24, bits & 0xff_ffff), (1_000_000, 57_599), "one second past midnight, zone UTC");
    assert_eq!(array(7).as_string_view().iter().flatten().collect::<Vec<_>>(), ["red", "green", "blue"]);
}

#[test]
fn lists_of_every_age_are_lists() {
    let schema = "message m {
        optional group new (LIST) { repeated group list { optional int32 element; } }
        optional group two (LIST) { repeated int32 array; }
        repeated int32 bare;
        optional group map (MAP_KEY_VALUE) { repeated group key_value { required int32 key; optional int32 value; } }
        repeated group rows { optional int32 x; } }";
    // Rows: [1, 2], [], [3].
    let levels = |present: i16, empty: i16| (vec![present, present, empty, present], vec![0, 1, 0, 0]);
    let leaf = |present: i16, empty: i16| {
        let (definitions, repetitions) = levels(present, empty);
        Column(Leaf::Ints(vec![1, 2, 3]), Some(definitions), Some(repetitions))
    };
    let columns = vec![leaf(3, 1), leaf(2, 1), leaf(1, 0), leaf(2, 1), leaf(3, 1), leaf(2, 0)];
    let file = write(schema, columns);
    let columns = read(&file).unwrap();
    let types: Vec<&str> = columns.iter().map(|(sql, _)| sql.as_str()).collect();
    assert_eq!(
        types,
        ["INTEGER[]", "INTEGER[]", "INTEGER[]", "MAP(INTEGER, INTEGER)", "STRUCT(\"x\" INTEGER)[]"]
    );
    for (index, (sql, array)) in columns.iter().enumerate() {
        let array = array.clone().unwrap();
        let offsets: Vec<i32> = match index {
            3 => array.as_map().offsets().iter().copied().collect(),
            _ => array.as_list::<i32>().offsets().iter().copied().collect(),
        };
        assert_eq!(offsets, [0, 2, 2, 3], "{sql}");
        if index < 3 {
            assert_eq!(array.as_list::<i32>().values().as_primitive::<Int32Type>().values(), &[1, 2, 3]);
        }
    }
}

#[test]
fn what_cannot_be_read_says_so_and_leaves_the_others_alone() {
    let schema = "message m { required int32 a; optional group v (VARIANT) { required binary metadata; required binary value; }
        required int32 b; }";
    let nulls = || Column(Leaf::Bytes(Vec::new()), Some(vec![0]), None);
    let file = write(schema, vec![flat(Leaf::Ints(vec![1])), nulls(), nulls(), flat(Leaf::Ints(vec![2]))]);
    let columns = read(&file).unwrap();
    let problem = columns[1].1.as_ref().unwrap_err();
    assert!(problem.contains("VARIANT") && problem.contains("column \"v\""), "{problem}");
    assert_eq!(columns[0].1.as_ref().unwrap().as_primitive::<Int32Type>().value(0), 1);
    assert_eq!(columns[2].1.as_ref().unwrap().as_primitive::<Int32Type>().value(0), 2);
}

#[test]
fn times_and_decimals_that_cannot_be_are_errors() {
    let file = write(
        "message m { required int64 t (TIME(MICROS,false)); required int64 ok (TIME(MICROS,false)); required int32 d (DECIMAL(3,0));
            required int32 tz (TIME(MILLIS,true)); }",
        vec![
            flat(Leaf::Longs(vec![-1])),
            flat(Leaf::Longs(vec![86_400_000_000])),
            flat(Leaf::Ints(vec![1000])),
            flat(Leaf::Ints(vec![86_400_001])),
        ],
    );
    let columns = read(&file).unwrap();
    let problem = |index: usize| columns[index].1.as_ref().unwrap_err().clone();
    assert!(problem(0).contains("the time -1") && problem(0).contains("column \"t\""), "{}", problem(0));
    assert!(columns[1].1.is_ok(), "24:00 is a time in DuckDB");
    assert!(problem(2).contains("1000"), "{}", problem(2));
    assert!(problem(3).contains("the time"), "{}", problem(3));
}

#[test]
fn text_that_is_no_utf_8_is_an_error_whatever_its_annotation() {
    for kind in ["STRING", "UTF8", "JSON", "ENUM"] {
        let bad = |texts: &[&'static [u8]]| flat(Leaf::Bytes(texts.to_vec()));
        let schema = format!("message m {{ required binary a ({kind}); required binary b ({kind}); }}");
        let file = write(&schema, vec![bad(&[b"{}"]), bad(&[b"\x80"])]);
        let columns = read(&file).unwrap();
        assert!(columns[0].1.is_ok(), "{kind}");
        let problem = columns[1].1.as_ref().unwrap_err();
        assert!(problem.contains("column \"b\"") || problem.contains("utf-8"), "{kind}: {problem}");
    }
}
