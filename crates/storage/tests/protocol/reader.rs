//! A scan as the extension runs it, and all moments at which a server's writes can happen in it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use questdb_storage::arrow::ArrowSink;
use questdb_storage::scan::{CompareOp, Filter, Literal, Reader, Runs, ScanPlan, Scanner, Start};
use questdb_storage::table::SnapshotMode;
use questdb_storage::{Error, ErrorKind, Result, Snapshot, Table};

use super::disk::{Columns, Disk, Step, Tree};

/// A committed state: names of the columns, and the rows as text. `None`: there is no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    All,
    /// Rows from this time on: binary search.
    From(i64),
    /// Rows with this symbol in column `s`: keys, and the index.
    Symbol(&'static str),
}

impl Query {
    fn filter(self, snapshot: &Snapshot) -> Filter {
        match self {
            Self::All => Filter::all(),
            Self::From(time) => {
                let value = Literal::Int(time.into());
                Filter::Compare { column: snapshot.timestamp().unwrap(), op: CompareOp::Ge, value }
            }
            Self::Symbol(text) => Filter::Compare {
                column: snapshot.column_index("s").unwrap(),
                op: CompareOp::Eq,
                value: Literal::Text(text.to_owned()),
            },
        }
    }

    /// What the caller does itself: filters are hints.
    pub fn rows(self, columns: &[String], rows: &[Vec<String>]) -> Vec<Vec<String>> {
        let position = |name: &str| columns.iter().position(|column| column == name);
        let passes = |row: &&Vec<String>| match self {
            Self::All => true,
            Self::From(time) => row[position("ts").unwrap()].parse::<i64>().unwrap() >= time,
            Self::Symbol(text) => row[position("s").unwrap()] == text,
        };
        rows.iter().filter(passes).cloned().collect()
    }
}

/// How a scan ended. `emitted`: how many commits there had been when the first rows left it; `None` if none did (the
/// filter may have kept none of them).
#[derive(Debug)]
pub enum Outcome {
    Rows {
        state: State,
        emitted: Option<usize>,
        restarts: u32,
    },
    /// With the rows that had left before.
    Failed {
        state: State,
        emitted: Option<usize>,
        error: Error,
    },
}

struct Scan {
    snapshot: Snapshot,
    scanner: Arc<Scanner>,
}

struct Starter<'a> {
    table: &'a Table,
    bound: Snapshot,
    mode: SnapshotMode,
    query: Query,
}

impl Starter<'_> {
    fn scan(&self, snapshot: Snapshot) -> Result<Scan> {
        let all: Vec<usize> = (0..snapshot.columns().len()).collect();
        let plan = ScanPlan::new(&snapshot, &all, &self.query.filter(&self.bound));
        Ok(Scan { scanner: Scanner::new(vec![plan])?, snapshot })
    }
}

impl Start for Starter<'_> {
    type Scan = Scan;
    type Error = Error;

    fn is_conflict(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Conflict
    }

    fn may_renew(&self) -> bool {
        true
    }

    fn start(&mut self) -> Result<Scan> {
        self.scan(self.bound.clone())
    }

    fn start_again(&mut self, _number: u32, _conflict: &Error) -> Result<Scan> {
        let fresh = self.table.snapshot_in(self.mode)?;
        if names(&fresh) != names(&self.bound) {
            return Err(Error::invalid_input("the columns of the table have changed"));
        }
        self.scan(fresh)
    }
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot.columns().iter().map(|column| column.name.clone()).collect()
}

/// Opens the table, binds, scans.
pub fn read(disk: Arc<Disk>, dir: &Path, mode: SnapshotMode, query: Query) -> Outcome {
    let mut state = State { columns: Vec::new(), rows: Vec::new() };
    let mut emitted = None;
    match try_read(&disk, dir, mode, query, &mut state, &mut emitted) {
        Ok(restarts) => Outcome::Rows { state, emitted, restarts },
        Err(error) => Outcome::Failed { state, emitted, error },
    }
}

fn try_read(
    disk: &Arc<Disk>,
    dir: &Path,
    mode: SnapshotMode,
    query: Query,
    out: &mut State,
    emitted: &mut Option<usize>,
) -> Result<u32> {
    let table = Table::open_with(dir, Arc::clone(disk) as _)?;
    let bound = table.snapshot_in(mode)?;
    out.columns = names(&bound);
    let mut start = Starter { table: &table, bound, mode, query };
    let runs = Runs::begin(&mut start)?;
    let mut run = runs.current();
    let mut reader = Reader::new(&run.scan.scanner);
    loop {
        match chunk(&mut reader, &run.scan.snapshot) {
            Ok(None) => return Ok(run.number),
            Ok(Some(rows)) if runs.emit(run.number) => {
                emitted.get_or_insert_with(|| disk.commits());
                out.rows.extend(query.rows(&out.columns, &rows));
            }
            Ok(Some(_)) => {}
            Err(error) => {
                runs.restart(run.number, error, &mut start)?;
                run = runs.current();
                reader = Reader::new(&run.scan.scanner);
            }
        }
    }
}

fn chunk(reader: &mut Reader, snapshot: &Snapshot) -> Result<Option<Vec<Vec<String>>>> {
    let Some(chunk) = reader.next_chunk(64)? else { return Ok(None) };
    let mut rows = vec![Vec::new(); chunk.len()];
    for (index, column) in snapshot.columns().iter().enumerate() {
        let mut sink = ArrowSink::new(column.column_type.value_type(false).unwrap());
        reader.read(&chunk, index, &mut sink)?;
        let array = sink.finish()?;
        rows.iter_mut().enumerate().for_each(|(i, row)| row.push(text(&array, i)));
    }
    reader.check(&chunk)?;
    Ok(Some(rows))
}

fn text(array: &ArrayRef, i: usize) -> String {
    if array.is_null(i) {
        return "NULL".to_owned();
    }
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(i).to_string(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().value(i).to_string(),
        DataType::Utf8View => array.as_string_view().value(i).to_owned(),
        DataType::Dictionary(..) => {
            let symbols = array.as_dictionary::<Int32Type>();
            let key = usize::try_from(symbols.keys().value(i)).unwrap();
            symbols.values().as_string::<i32>().value(key).to_owned()
        }
        other => panic!("{other}"),
    }
}

/// A change of a table, as the server model wrote it down.
#[derive(Debug)]
pub struct Change {
    pub name: &'static str,
    pub dir: std::path::PathBuf,
    /// The files before.
    pub before: Tree,
    pub steps: Vec<Step>,
    /// The state before, and after each commit.
    pub states: Vec<State>,
    /// The path can lead to no table, or to another one with other columns.
    pub may_be_gone: bool,
}

/// What the runs of one exploration came to.
#[derive(Debug, Default)]
pub struct Counts {
    pub whole: usize,
    pub restarted: usize,
    pub conflicts: usize,
    /// Answers that no committed state explains.
    pub wrong: Vec<String>,
}

/// Which moments are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    All,
    Some,
}

/// The steps of `change` at all events of a scan: together, one after the other at several speeds, and with a pause
/// behind each of them.
fn schedules(change: &Change, events: usize, moments: Moments) -> Vec<Vec<usize>> {
    let steps = change.steps.len();
    let (strides, every): (&[usize], usize) = match moments {
        Moments::All => (&[0, 1, 5], 7),
        Moments::Some => (&[0], 19),
    };
    let mut all = Vec::new();
    for at in 0..=events {
        for stride in strides {
            all.push((0..steps).map(|step| at + step * stride).collect());
        }
        for pause in (1..steps).filter(|pause| (pause + at) % every == 0) {
            let length = if pause % 2 == 0 { 40 } else { 200 };
            all.push((0..steps).map(|step| if step < pause { at } else { at + length }).collect());
        }
    }
    all
}

/// Runs `query` while `change` happens, at all moments.
pub fn explore(
    change: &Change,
    query: Query,
    mode: SnapshotMode,
    columns: Columns,
    moments: Moments,
) -> Counts {
    let quiet = Arc::new(Disk::new(&change.before, Vec::new(), columns));
    let outcome = read(Arc::clone(&quiet), &change.dir, mode, query);
    judge(change, query, &outcome, 0, 0)
        .unwrap_or_else(|what| panic!("{}: nothing happens: {what}", change.name));
    let schedules = schedules(change, quiet.events(), moments);
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(Counts::default()));
    // Most of the time of a run is pauses.
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(schedule) = schedules.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let script = schedule.iter().copied().zip(change.steps.iter().cloned()).collect();
                    let before =
                        schedule.iter().zip(&change.steps).filter(|(at, step)| **at == 0 && step.commits);
                    let before = before.count();
                    let disk = Arc::new(Disk::new(&change.before, script, columns));
                    let outcome = read(Arc::clone(&disk), &change.dir, mode, query);
                    let verdict = judge(change, query, &outcome, before, disk.commits());
                    let mut counts = counts.lock().unwrap();
                    match (verdict, &outcome) {
                        (Err(what), _) => counts.wrong.push(format!("{schedule:?}: {what}")),
                        (Ok(()), Outcome::Rows { restarts, .. }) => {
                            counts.whole += 1;
                            counts.restarted += usize::from(*restarts > 0);
                        }
                        (Ok(()), Outcome::Failed { .. }) => counts.conflicts += 1,
                    }
                }
            });
        }
    });
    counts.into_inner().unwrap()
}

/// Whether an outcome is right when the commits `first` to `last` can be seen.
fn judge(
    change: &Change,
    query: Query,
    outcome: &Outcome,
    first: usize,
    last: usize,
) -> std::result::Result<(), String> {
    let (Outcome::Rows { emitted, .. } | Outcome::Failed { emitted, .. }) = outcome;
    // What had not been committed when the first rows left cannot be in them.
    let last = emitted.unwrap_or(last);
    let states = || change.states[first..=last].iter();
    match outcome {
        Outcome::Rows { state, .. } => {
            let same =
                |s: &State| s.columns == state.columns && query.rows(&s.columns, &s.rows) == state.rows;
            match states().any(same) {
                true => Ok(()),
                false => Err(format!("rows of no state: {:?}", difference(change, query, state))),
            }
        }
        Outcome::Failed { state, error, .. } => {
            let begins = |s: &State| {
                s.columns == state.columns && query.rows(&s.columns, &s.rows).starts_with(&state.rows)
            };
            if !state.rows.is_empty() && !states().any(begins) {
                return Err(format!("rows of no state before the error {error}"));
            }
            let place = error.place();
            let named = place.partition.is_some() || place.table.is_some();
            match error.kind() {
                ErrorKind::Conflict if named && emitted.is_some() => Ok(()),
                ErrorKind::Conflict => Err(format!("not started again, or without a place: {error}")),
                ErrorKind::InvalidInput
                    if error.to_string().contains("columns of the table have changed") =>
                {
                    Ok(())
                }
                ErrorKind::NotFound | ErrorKind::NotATable if change.may_be_gone => Ok(()),
                // A table that is being created.
                ErrorKind::Corrupt if change.may_be_gone && is_record(place.file.as_deref()) => Ok(()),
                _ => Err(format!("another error: {error}")),
            }
        }
    }
}

fn is_record(path: Option<&Path>) -> bool {
    path.and_then(Path::file_name).is_some_and(|name| name == "_meta" || name == "_txn" || name == "_cv")
}

/// The first row that is unlike the first state's, for the report.
fn difference(change: &Change, query: Query, state: &State) -> Option<(usize, Vec<String>)> {
    let expected = query.rows(&change.states[0].columns, &change.states[0].rows);
    let position = state.rows.iter().zip(&expected).position(|(a, b)| a != b);
    let position = position.unwrap_or(state.rows.len().min(expected.len()));
    Some((position, state.rows.get(position).cloned().unwrap_or_default()))
}
