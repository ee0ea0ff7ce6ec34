//! Which files a directory holds, in the order of rows, and what their names say.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::name::NamedTime;
use super::{hive, name};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{DirEntry, FileKind, Files};

const SUFFIX: &str = ".parquet";

/// Directories of keys are nested at most so deep; a link may lead back.
const DEEPEST: usize = 32;

/// A Parquet file and what its path says about its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Path.
    pub path: PathBuf,
    /// Name of the partition: the file's own, or that of the keys `year`, `month`, …; `None` when there is none.
    pub partition: Option<String>,
    /// Hive keys and values; `None` for NULL.
    pub keys: Vec<(String, Option<String>)>,
    /// The rows' time as the name tells it: first second, and the first one behind, if that is known.
    pub(super) time: Option<(i64, Option<i64>)>,
}

/// Whether a file's name says Parquet.
pub fn is_parquet_name(name: &str) -> bool {
    let stem = name.len().checked_sub(SUFFIX.len()).filter(|len| *len > 0);
    stem.and_then(|len| name.get(len..)).is_some_and(|suffix| suffix.eq_ignore_ascii_case(SUFFIX))
}

/// Whether a directory holds Parquet files, itself or in directories of keys.
pub fn is_dataset(dir: &Path, files: &dyn Files) -> bool {
    let mut found = Vec::new();
    walk(dir, files, DEEPEST, true, &mut found).is_ok() && !found.is_empty()
}

/// The Parquet files of a directory and its directories of keys, in the order of rows: by time where all names of a
/// directory are times, otherwise by name, numbers by their value.
///
/// # Errors
/// A directory without any, or one that cannot be read.
pub fn files_of(dir: &Path, files: &dyn Files) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(dir, files, DEEPEST, false, &mut found)?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NotATable, "directory holds no Parquet files")
            .expected("files *.parquet, or directories key=value with such files")
            .found("neither")
            .in_file(dir));
    }
    Ok(found)
}

fn walk(dir: &Path, files: &dyn Files, depth: usize, first: bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<DirEntry> = files.list(dir)?;
    // Hidden files and those of a writer at work begin so.
    entries.retain(|entry| !entry.name.starts_with(['.', '_']));
    let mut here: Vec<&str> = entries
        .iter()
        .filter(|entry| matches!(entry.kind, Some(FileKind::File(_))) && is_parquet_name(&entry.name))
        .map(|entry| entry.name.as_str())
        .collect();
    in_order(&mut here);
    found.extend(here.into_iter().map(|name| dir.join(name)));
    let mut keyed: Vec<&str> = entries
        .iter()
        .filter(|entry| matches!(entry.kind, Some(FileKind::Directory)) && hive::is_pair(&entry.name))
        .map(|entry| entry.name.as_str())
        .collect();
    keyed.sort_by(|a, b| natural(a, b));
    for name in keyed {
        if first && !found.is_empty() {
            break;
        }
        let deeper = depth.checked_sub(1).ok_or_else(|| {
            Error::invalid_input(format!("directories of keys are nested more than {DEEPEST} deep"))
                .in_file(dir)
        })?;
        walk(&dir.join(name), files, deeper, first, found)?;
    }
    Ok(())
}

/// Sorts the names of one directory.
fn in_order(names: &mut [&str]) {
    let start = |file: &str| name::parse(split(file).0).map(|time| time.start);
    if names.iter().all(|file| start(file).is_some()) {
        // Parts of one second are told apart by their names.
        names.sort_by(|a, b| {
            start(a)
                .cmp(&start(b))
                .then_with(|| natural(split(a).0, split(b).0))
                .then_with(|| split(a).1.cmp(&split(b).1))
                .then_with(|| a.cmp(b))
        });
    } else {
        names.sort_by(|a, b| natural(a, b));
    }
}

/// Files in the order of rows: by directory, and in each as [`files_of`] says.
pub fn sorted(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut dirs: Vec<(PathBuf, Vec<PathBuf>)> = Vec::new();
    let mut known: HashMap<PathBuf, usize> = HashMap::new();
    for path in paths {
        let dir = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let index = *known.entry(dir.clone()).or_insert_with(|| {
            dirs.push((dir, Vec::new()));
            dirs.len() - 1
        });
        if let Some((_, files)) = dirs.get_mut(index) {
            files.push(path);
        }
    }
    dirs.sort_by(|(a, _), (b, _)| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    let mut all = Vec::new();
    for (dir, files) in dirs {
        let mut names: Vec<&str> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
        in_order(&mut names);
        all.extend(names.into_iter().map(|name| dir.join(name)));
    }
    all
}

/// A file's name without suffix, and its number among the files of that name: `2024-01-01.3.parquet`.
fn split(file: &str) -> (&str, u64) {
    let len = file.len().saturating_sub(SUFFIX.len());
    let stem = file.get(..len).filter(|_| is_parquet_name(file)).unwrap_or(file);
    let numbered = stem.rsplit_once('.').and_then(|(name, number)| Some((name, number.parse().ok()?)));
    numbered.unwrap_or((stem, 0))
}

/// Compares texts, with runs of digits by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    let digits = |s: &[u8]| s.iter().take_while(|byte| byte.is_ascii_digit()).count();
    loop {
        let (n, m) = (digits(x), digits(y));
        if n > 0 && m > 0 {
            let number = |s: &[u8], len: usize| -> Vec<u8> {
                let all = s.get(..len).unwrap_or_default();
                all.iter().copied().skip_while(|digit| *digit == b'0').collect()
            };
            let (p, q) = (number(x, n), number(y, m));
            let order = p.len().cmp(&q.len()).then_with(|| p.cmp(&q));
            if order.is_ne() {
                return order;
            }
            (x, y) = (x.get(n..).unwrap_or_default(), y.get(m..).unwrap_or_default());
            continue;
        }
        match (x.split_first(), y.split_first()) {
            (None, None) => return a.cmp(b),
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some((p, _)), Some((q, _))) if p != q => return p.cmp(q),
            (Some((_, p)), Some((_, q))) => (x, y) = (p, q),
        }
    }
}

impl FoundFile {
    /// What the paths say, in the order given.
    pub fn describe(paths: Vec<PathBuf>) -> Vec<Self> {
        let named = |path: &Path| {
            let file = path.file_name()?.to_str().filter(|file| is_parquet_name(file))?;
            let (stem, _) = split(file);
            Some((stem.to_owned(), name::parse(stem)?))
        };
        // The rows of a partition end before the next one's begin, whatever its name looks like.
        let mut starts: HashMap<PathBuf, Vec<i64>> = HashMap::new();
        for path in &paths {
            if let (Some((_, time)), Some(dir)) = (named(path), path.parent()) {
                starts.entry(dir.to_owned()).or_default().push(time.start);
            }
        }
        starts.values_mut().for_each(|starts| starts.sort_unstable());
        let found = |path: PathBuf| {
            let keys = hive::keys(&path);
            if let Some((partition, NamedTime { start, end })) = named(&path) {
                let beside = path.parent().and_then(|dir| starts.get(dir));
                let next =
                    beside.and_then(|all| all.get(all.partition_point(|other| *other <= start)).copied());
                let end = next.map(|next| next.max(end));
                return Self { path, partition: Some(partition), keys, time: Some((start, end)) };
            }
            let value =
                |key: &str| keys.iter().find(|(known, _)| known == key).and_then(|(_, v)| v.as_deref());
            let (partition, time) = match name::of_keys(value) {
                Some((name, time)) => (Some(name), Some((time.start, Some(time.end)))),
                None if keys.is_empty() => (None, None),
                None => {
                    let text = |(key, value): &(String, Option<String>)| {
                        format!("{key}={}", value.as_deref().unwrap_or("NULL"))
                    };
                    (Some(keys.iter().map(text).collect::<Vec<_>>().join("/")), None)
                }
            };
            Self { path, partition, keys, time }
        };
        paths.into_iter().map(found).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_numbers_and_times() {
        let mut parts = ["part-100000.parquet", "part-00002.parquet", "part-99999.parquet", "a.parquet"];
        in_order(&mut parts);
        assert_eq!(parts, ["a.parquet", "part-00002.parquet", "part-99999.parquet", "part-100000.parquet"]);
        let mut times = [
            "2024-02-28T18.parquet",
            "2024-02-28T175959.parquet",
            "2024-02-28.10.parquet",
            "2024-02-28.9.parquet",
            "2024-02-28.parquet",
            "2024-02.parquet",
        ];
        in_order(&mut times);
        let expected = [
            "2024-02.parquet",
            "2024-02-28.parquet",
            "2024-02-28.9.parquet",
            "2024-02-28.10.parquet",
            "2024-02-28T175959.parquet",
            "2024-02-28T18.parquet",
        ];
        assert_eq!(times, expected);
        // Other suffixes are not cut off, and equal times do not leave the order to chance.
        let mut others = ["2024-01-28.data", "2024-01-03.data", "2024-01-09.data"];
        in_order(&mut others);
        assert_eq!(others, ["2024-01-03.data", "2024-01-09.data", "2024-01-28.data"]);
        for mut same in [["2024.parquet", "2024"], ["2024", "2024.parquet"]] {
            in_order(&mut same);
            assert_eq!(same, ["2024", "2024.parquet"]);
        }
        assert_eq!(natural("month=2", "month=10"), Ordering::Less);
        assert_eq!(natural("a01", "a1"), Ordering::Less, "equal numbers fall back to the text");
    }

    #[test]
    fn a_name_ends_where_the_next_one_begins() {
        let paths =
            ["/x/2024-01.parquet", "/x/2024-01-28.parquet", "/x/2024-02.parquet", "/y/2024-01-05.parquet"];
        let found = FoundFile::describe(paths.map(PathBuf::from).to_vec());
        let day = |text: &str| name::parse(text).unwrap().start;
        let times: Vec<_> = found.iter().map(|file| file.time.unwrap()).collect();
        // The file of a whole month would overlap, if the second name were a day.
        assert_eq!(times[0], (day("2024-01-01"), Some(day("2024-02-01"))));
        assert_eq!(times[1], (day("2024-01-28"), Some(day("2024-02-01"))), "the split end of a month");
        assert_eq!(times[2], (day("2024-02-01"), None), "nothing follows");
        assert_eq!(times[3], (day("2024-01-05"), None), "of another directory");
    }

    #[test]
    fn only_parquet_names_count() {
        for (name, expected) in
            [("a.parquet", true), ("A.PARQUET", true), (".parquet", false), ("a.parquet.tmp", false)]
        {
            assert_eq!(is_parquet_name(name), expected, "{name}");
        }
    }
}
