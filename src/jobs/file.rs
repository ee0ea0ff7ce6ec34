//! The log across processes: a file with one JSON object per line.
//!
//! Every access takes the file's lock and releases it at once, so any number of processes can share it. A line is written as a
//! whole; one that a killed process left unfinished is skipped. Old rows are removed when an export is queued: what
//! follows them is moved to the front, in an order in which no row is lost when the process dies meanwhile, though
//! some may stand there twice.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::Result;
use fs4::{FileExt, TryLockError};
use serde_json::{json, Value};

use super::log::{now, LogRow};

/// How long another process may hold the lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that are moved at once.
const BLOCK: usize = 64 << 10;

/// Makes sure that the log at `path` can be written.
///
/// # Errors
/// What keeps it from that, and how to do without.
pub fn check(path: &Path) -> Result<()> {
    open(path).map(drop).map_err(|error| failed("written", path, &error))
}

/// Adds `row`. With `retention`, rows that are older go.
pub fn append(path: &Path, row: &LogRow, retention: Option<i64>) -> Result<()> {
    write(path, row, retention).map_err(|error| failed("written", path, &error))
}

/// All rows, oldest first; none when there is no file yet.
pub fn read(path: &Path) -> Result<Vec<LogRow>> {
    let mut bytes = Vec::new();
    let read = || -> io::Result<()> {
        let mut file = File::open(path)?;
        regular(&file)?;
        lock(|| FileExt::try_lock_shared(&file))?;
        file.read_to_end(&mut bytes)?;
        Ok(())
    };
    match { read }() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome.map_err(|error| failed("read", path, &error))?,
    }
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error {
        code: DuckDBError::IoGeneral,
        message: format!(
            "The log of exports, file \"{}\", cannot be {what}: {error}\nSET questdb_export_log_path to a file that can, or \
             RESET it to keep the log in memory only.",
            path.display()
        ),
    }
}

fn open(path: &Path) -> io::Result<File> {
    if path.exists() && !path.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

fn regular(file: &File) -> io::Result<()> {
    match file.metadata()?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

fn lock(try_lock: impl Fn() -> std::result::Result<(), TryLockError>) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another process holds its lock for too long"))
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn write(path: &Path, row: &LogRow, retention: Option<i64>) -> io::Result<()> {
    let mut file = open(path)?;
    lock(|| FileExt::try_lock(&file))?;
    if let Some(retention) = retention {
        remove_before(&mut file, now().saturating_sub(retention))?;
    }
    let end = file.seek(SeekFrom::End(0))?;
    let mut line = Vec::new();
    if end > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)?;
        // Somebody died in the middle of a line.
        line.extend((last != [b'\n']).then_some(b'\n'));
    }
    line.extend_from_slice(format(row).to_string().as_bytes());
    line.push(b'\n');
    file.seek(SeekFrom::Start(end))?;
    file.write_all(&line)
}

/// Removes the rows at the front that are older than `first`.
fn remove_before(file: &mut File, first: i64) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut lines = io::BufReader::new(&mut *file);
    let mut keep = 0u64;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = io::BufRead::read_until(&mut lines, b'\n', &mut line)?;
        let is_old = parse(&line).is_some_and(|row| row.ts < first);
        if length == 0 || !is_old {
            break;
        }
        keep += length as u64;
    }
    drop(lines);
    if keep == 0 {
        return Ok(());
    }
    let mut block = vec![0; BLOCK];
    let (mut from, mut to) = (keep, 0);
    loop {
        file.seek(SeekFrom::Start(from))?;
        let count = file.read(&mut block)?;
        let Some(bytes) = block.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        file.seek(SeekFrom::Start(to))?;
        file.write_all(bytes)?;
        from += count as u64;
        to += count as u64;
    }
    file.set_len(to)
}

fn format(row: &LogRow) -> Value {
    json!({
        "ts": row.ts,
        "id": row.id,
        "table_name": row.table_name,
        "export_path": row.export_path,
        "num_exported_files": row.num_exported_files,
        "phase": row.phase,
        "status": row.status,
        "message": row.message,
        "errors": row.errors,
        "rows": row.rows,
        "bytes": row.bytes,
        "progress": row.progress,
    })
}

/// `None` for a line that is no row.
fn parse(line: &[u8]) -> Option<LogRow> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let number = |name: &str| value.get(name)?.as_i64();
    Some(LogRow {
        ts: number("ts")?,
        id: text("id")?,
        table_name: text("table_name")?,
        export_path: text("export_path"),
        num_exported_files: number("num_exported_files"),
        phase: Cow::Owned(text("phase")?),
        status: Cow::Owned(text("status")?),
        message: text("message"),
        errors: number("errors")?,
        rows: number("rows")?,
        bytes: number("bytes")?,
        progress: value.get("progress")?.as_f64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ts: i64, id: &str) -> LogRow {
        LogRow {
            ts,
            id: id.to_owned(),
            table_name: "t \"1\"\n".to_owned(),
            export_path: None,
            num_exported_files: Some(2),
            phase: Cow::Borrowed("move_files"),
            status: Cow::Borrowed("started"),
            message: Some("it's".to_owned()),
            errors: -1,
            rows: 1,
            bytes: 2,
            progress: 12.5,
        }
    }

    fn temporary(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("questdb-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn rows_come_back_and_broken_lines_do_not_matter() {
        let path = temporary("rows");
        assert!(read(&path).unwrap().is_empty());
        append(&path, &row(1, "a"), None).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"ts\":5,\"id\":\"b").unwrap();
        append(&path, &row(2, "c"), None).unwrap();
        assert_eq!(read(&path).unwrap(), [row(1, "a"), row(2, "c")]);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn old_rows_go_and_all_others_stay() {
        let path = temporary("old");
        let recent = now() - 1_000_000;
        for (ts, id) in [(1, "a"), (2, "b"), (recent, "c"), (3, "d"), (recent + 1, "e")] {
            append(&path, &row(ts, id), None).unwrap();
        }
        append(&path, &row(recent + 2, "f"), Some(3_600_000_000)).unwrap();
        let ids: Vec<String> = read(&path).unwrap().into_iter().map(|row| row.id).collect();
        assert_eq!(ids, ["c", "d", "e", "f"]);
        // More than one block.
        for _ in 0..1000 {
            append(&path, &row(recent, "g"), None).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let old = format!("{}\n", format(&row(1, "old"))).into_bytes();
        bytes.splice(0..0, old.repeat(500));
        std::fs::write(&path, bytes).unwrap();
        append(&path, &row(recent, "h"), Some(3_600_000_000)).unwrap();
        let rows = read(&path).unwrap();
        assert_eq!((rows.len(), rows.first().unwrap().id.as_str()), (1005, "c"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn threads_do_not_mix_their_lines() {
        let path = temporary("threads");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    (0..50).for_each(|i| {
                        append(path, &row(now(), &format!("{thread}-{i}")), Some(1 << 40)).unwrap()
                    })
                });
            }
        });
        assert_eq!(read(&path).unwrap().len(), 200);
        std::fs::remove_file(&path).unwrap();
    }
}
