#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| questdb_fuzzing::fuzz("table_file", bytes));
