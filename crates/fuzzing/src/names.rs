//! Names of files and directories.

use std::path::PathBuf;

use questdb_storage::dataset::{files_of, is_dataset, is_parquet_name, sorted, FoundFile};
use questdb_storage::format::meta::PartitionBy;
use questdb_storage::format::partition_name;
use questdb_storage::types::TimeUnit;

use crate::memory::Memory;

/// A time (8 bytes), then paths, one a line.
pub fn run(bytes: &[u8]) {
    let Some((time, text)) = bytes.split_first_chunk::<8>() else { return };
    names_of_time(i64::from_le_bytes(*time));
    let text = String::from_utf8_lossy(text);
    let paths: Vec<PathBuf> =
        text.split('\n').take(64).map(|line| PathBuf::from(format!("/x/{line}"))).collect();

    let found = FoundFile::describe(paths.clone());
    assert_eq!(found.iter().map(|file| &file.path).collect::<Vec<_>>(), paths.iter().collect::<Vec<_>>());
    let _ = is_parquet_name(&text);

    // Sorting neither loses nor invents, and depends on nothing but the names.
    let named: Vec<PathBuf> = paths.into_iter().filter(|path| path.file_name().is_some()).collect();
    let named: Vec<PathBuf> = named.into_iter().filter(|path| !path.ends_with("..")).collect();
    let once = sorted(named.clone());
    assert_eq!(once.len(), named.len());
    assert_eq!(sorted(named.iter().rev().cloned().collect()), once);

    let mut files = Memory::default();
    named.into_iter().for_each(|path| files.put(path, Vec::new()));
    let root = PathBuf::from("/x");
    let listed = files_of(&root, &files);
    assert_eq!(is_dataset(&root, &files), listed.is_ok());
}

/// A partition of a table and the file that it is exported to have one name, which tells its time.
fn names_of_time(time: i64) {
    for unit in [TimeUnit::Micros, TimeUnit::Nanos] {
        for by in
            [PartitionBy::Hour, PartitionBy::Day, PartitionBy::Week, PartitionBy::Month, PartitionBy::Year]
        {
            let Some(name) = partition_name::name(time, by, unit) else { continue };
            // Years have four digits in names.
            let seconds = time.div_euclid(unit.per_second());
            if !(0..253_402_300_800).contains(&seconds) {
                continue;
            }
            let found = FoundFile::describe(vec![PathBuf::from(format!("/x/{name}.parquet"))]);
            assert_eq!(found[0].partition.as_deref(), Some(name.as_str()), "{time} {unit:?}");
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |time: i64, text: &str| [&time.to_le_bytes(), text.as_bytes()].concat();
    vec![
        seed(
            0,
            "2024-01-01.parquet\n2024-01-01T05.parquet\n2024-01-01T053007-000123.parquet\n2024-W03.parquet",
        ),
        seed(
            1_709_164_800_000_000,
            "2024-W03-2T18.1.parquet\n2024.parquet\n2024-02.7.parquet\n2024-02.10.parquet",
        ),
        seed(
            1_709_164_800_000_001,
            "year=2024/month=1/day=09/hour=3/a.parquet\nyear=2024/week=07/sym=a%20b/x.parquet",
        ),
        seed(
            1_709_229_607_123_456_789,
            "part-00001.parquet\npart-1.parquet\nnote=__HIVE_DEFAULT_PARTITION__/p.PARQUET\n.x.parquet",
        ),
        seed(i64::MAX, "a01.parquet\na1.parquet\na001b/x.parquet\na1b/x.parquet\n%ff=%zz/q.parquet"),
    ]
}
