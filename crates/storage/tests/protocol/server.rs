//! A model of the server: a table, and what its changes write, in the server's order (docs/format.md §11.1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use questdb_storage::format::meta::PartitionBy;
use questdb_storage::format::partition_name;
use questdb_storage::types::TimeUnit;

use super::disk::{Action, Step, Tree};
use super::reader::{Change, State};

pub const DAY: i64 = 86_400_000_000;
pub const SECOND: i64 = 1_000_000;

/// Where the two areas of `_txn` and `_cv` are.
const TXN_AREAS: [usize; 2] = [64, 4096];
const CV_AREAS: [usize; 2] = [40, 4096];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Timestamp,
    Long,
    Symbol,
    Text,
}

impl Kind {
    fn code(self) -> i32 {
        match self {
            Self::Timestamp => 8,
            Self::Long => 6,
            Self::Symbol => 12,
            Self::Text => 11,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub live: bool,
    /// Name txn, and the partition from which on the column exists.
    default: Option<(u64, i64)>,
    symbols: Vec<String>,
    symbol_txn: Option<u64>,
    indexed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Long(i64),
    Text(String),
    Null,
}

/// By writer index; what is missing at the end is NULL.
pub type Row = Vec<Value>;

#[derive(Debug, Clone)]
pub struct Part {
    pub timestamp: i64,
    pub rows: Vec<Row>,
    pub name_txn: Option<u64>,
    squash: u16,
    pub parquet: Option<usize>,
    /// Column name txn and top, by writer index, where they are not the default.
    files: BTreeMap<usize, (Option<u64>, usize)>,
}

/// The table, its files, and what was written since [`Server::start`].
#[derive(Debug, Clone)]
pub struct Server {
    pub dir: PathBuf,
    by: PartitionBy,
    pub columns: Vec<Column>,
    pub parts: Vec<Part>,
    pub txn: u64,
    meta_version: i64,
    cv_version: i64,
    truncate_version: i64,
    tree: Tree,
    before: Option<Tree>,
    steps: Vec<Step>,
    states: Vec<State>,
}

fn row(time: i64, id: i64) -> Row {
    let symbol = match id % 1000 {
        // Few enough for the index to be used.
        50 => Value::Text("rare".to_owned()),
        id if id % 5 == 4 => Value::Null,
        id => Value::Text(format!("s{}", id % 3)),
    };
    let text = if id % 7 == 6 { Value::Null } else { Value::Text(format!("text {id}")) };
    vec![Value::Long(time), Value::Long(id), symbol, text]
}

/// `count` rows from `time` on; `id` tells them apart from all others.
pub fn rows(time: i64, count: i64, id: i64) -> Vec<Row> {
    (0..count).map(|i| row(time + i * 10 * SECOND, id + i)).collect()
}

impl Server {
    /// An empty table at `/db/t`: ts, v LONG, s SYMBOL with an index, t STRING.
    pub fn new(by: PartitionBy) -> Self {
        let mut server = Self {
            dir: "/db/t".into(),
            by,
            columns: Vec::new(),
            parts: Vec::new(),
            txn: 1,
            meta_version: 0,
            cv_version: 0,
            truncate_version: 0,
            tree: Tree::default(),
            before: None,
            steps: Vec::new(),
            states: Vec::new(),
        };
        server.create(["ts", "v", "s", "t"].map(|name| {
            let kind = [Kind::Timestamp, Kind::Long, Kind::Symbol, Kind::Text]
                ["ts v s t".split(' ').position(|n| n == name).unwrap()];
            (name, kind)
        }));
        server
    }

    /// Three days of rows, more than a chunk in each of the first two.
    pub fn days() -> Self {
        let mut server = Self::new(PartitionBy::Day);
        for day in 1..=3 {
            server.add_part(day * DAY, rows(day * DAY, if day == 3 { 20 } else { 90 }, day * 1000));
        }
        server
    }

    /// CREATE TABLE: all files anew.
    pub fn create<const N: usize>(&mut self, columns: [(&str, Kind); N]) {
        let column = |(name, kind): (&str, Kind)| Column {
            name: name.to_owned(),
            kind,
            live: true,
            default: None,
            symbols: Vec::new(),
            symbol_txn: None,
            indexed: name == "s",
        };
        self.columns = columns.into_iter().map(column).collect();
        self.parts.clear();
        (self.txn, self.meta_version, self.cv_version, self.truncate_version) = (1, 0, 0, 0);
        self.write_symbols(2);
        self.put(self.dir.join("_meta"), self.meta());
        self.put(self.dir.join("_cv"), vec![0; 40]);
        self.put(self.dir.join("_txn"), vec![0; 64]);
        if self.by == PartitionBy::None {
            self.parts.push(Part::new(0, Vec::new(), None));
            self.write_part(0);
        }
        self.publish();
    }

    /// From here on, writes are noted.
    pub fn start(&mut self) -> &mut Self {
        self.before = Some(self.tree.clone());
        self.steps.clear();
        self.states = vec![self.state()];
        self
    }

    /// What was written, as a change to be explored.
    pub fn change(&mut self, name: &'static str) -> Change {
        Change {
            name,
            dir: "/db/t".into(),
            before: self.before.take().unwrap(),
            steps: std::mem::take(&mut self.steps),
            states: std::mem::take(&mut self.states),
            may_be_gone: false,
        }
    }

    /// The rows as a reader has to see them.
    pub fn state(&self) -> State {
        let live: Vec<usize> = (0..self.columns.len()).filter(|w| self.columns[*w].live).collect();
        let text = |row: &Row, w: usize| match row.get(w) {
            Some(Value::Long(value)) => value.to_string(),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Null) | None => "NULL".to_owned(),
        };
        let rows = self.parts.iter().flat_map(|part| &part.rows);
        State {
            columns: live.iter().map(|w| self.columns[*w].name.clone()).collect(),
            rows: rows.map(|row| live.iter().map(|w| text(row, *w)).collect()).collect(),
        }
    }

    // ---- single writes

    pub fn step(&mut self, action: Action, commits: bool) {
        self.tree.apply(&action);
        self.steps.push(Step { action, commits });
    }

    pub fn put(&mut self, path: PathBuf, bytes: Vec<u8>) {
        self.step(Action::Put { path, bytes }, false);
    }

    fn patch(&mut self, path: &Path, at: usize, bytes: Vec<u8>) {
        self.step(Action::Patch { path: path.to_owned(), at, bytes }, false);
    }

    pub fn has(&self, path: &Path) -> bool {
        self.tree.has(path)
    }

    pub fn bytes(&self, path: &Path) -> Vec<u8> {
        self.tree.read(path).to_vec()
    }

    /// Removes a directory, file by file.
    pub fn delete_dir(&mut self, dir: &Path) {
        for path in self.tree.below(dir) {
            self.step(Action::Delete { path }, false);
        }
    }

    pub fn part_dir(&self, index: usize) -> PathBuf {
        let part = &self.parts[index];
        let name = partition_name::name(part.timestamp, self.by, TimeUnit::Micros).unwrap();
        self.dir.join(partition_name::directory(&name, part.name_txn))
    }

    /// Writes what is new in all column files of a partition: files that are there change in place.
    pub fn write_part(&mut self, index: usize) {
        for w in (0..self.columns.len()).filter(|w| self.columns[*w].live).collect::<Vec<_>>() {
            self.write_column(index, w);
        }
    }

    pub fn write_column(&mut self, index: usize, w: usize) {
        if self.columns[w].kind == Kind::Symbol {
            self.intern(index, w);
        }
        let dir = self.part_dir(index);
        for (extension, bytes) in self.encode(index, w) {
            let suffix = self.file_txn(index, w).map(|txn| format!(".{txn}")).unwrap_or_default();
            let path = dir.join(format!("{}.{extension}{suffix}", self.columns[w].name));
            if !self.has(&path) {
                self.put(path, bytes);
                continue;
            }
            let old = self.bytes(&path);
            let same = old.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
            if same < bytes.len() {
                self.patch(&path, same, bytes[same..].to_vec());
            }
        }
    }

    fn file_txn(&self, index: usize, w: usize) -> Option<u64> {
        match self.parts[index].files.get(&w) {
            Some((txn, _)) => *txn,
            None => self.columns[w].default.map(|(txn, _)| txn),
        }
    }

    /// Adds the symbols of a partition to the symbol files.
    fn intern(&mut self, index: usize, w: usize) {
        let column = &mut self.columns[w];
        let known = column.symbols.len();
        for row in &self.parts[index].rows {
            if let Some(Value::Text(text)) = row.get(w) {
                if !column.symbols.contains(text) {
                    column.symbols.push(text.clone());
                }
            }
        }
        if column.symbols.len() > known {
            self.write_symbols(w);
        }
    }

    /// The symbol files of column `w`: new ones, or what is new in them.
    pub fn write_symbols(&mut self, w: usize) {
        let column = &self.columns[w];
        let (mut offsets, mut chars) = (vec![0; 64], Vec::new());
        for symbol in &column.symbols {
            offsets.extend((chars.len() as i64).to_le_bytes());
            chars.extend(utf16(symbol));
        }
        offsets.extend((chars.len() as i64).to_le_bytes());
        let suffix = column.symbol_txn.map(|txn| format!(".{txn}")).unwrap_or_default();
        let path = |kind: &str| self.dir.join(format!("{}.{kind}{suffix}", column.name));
        for (path, bytes) in [(path("c"), chars), (path("o"), offsets)] {
            match self.has(&path) {
                true => self.patch(&path, 0, bytes),
                false => self.put(path, bytes),
            }
        }
    }

    /// The bytes of a column's files, and their kinds.
    fn encode(&self, index: usize, w: usize) -> Vec<(&'static str, Vec<u8>)> {
        let part = &self.parts[index];
        let column = &self.columns[w];
        let top = part.files.get(&w).map_or(0, |(_, top)| *top);
        let values =
            part.rows[top.min(part.rows.len())..].iter().map(|row| row.get(w).unwrap_or(&Value::Null));
        match column.kind {
            Kind::Timestamp | Kind::Long => {
                let long = |value: &Value| if let Value::Long(long) = value { *long } else { i64::MIN };
                vec![("d", values.flat_map(|value| long(value).to_le_bytes()).collect())]
            }
            Kind::Symbol => {
                let key = |value: &Value| match value {
                    Value::Text(text) => column.symbols.iter().position(|s| s == text).unwrap() as i32,
                    _ => i32::MIN,
                };
                let keys: Vec<i32> = values.map(key).collect();
                let (k, v) = index_files(&keys, column.symbols.len(), top);
                let mut files = vec![("d", keys.iter().flat_map(|key| key.to_le_bytes()).collect())];
                if column.indexed {
                    files.extend([("v", v), ("k", k)]);
                }
                files
            }
            Kind::Text => {
                let (mut offsets, mut data) = (vec![0; 8], Vec::new());
                for value in values {
                    match value {
                        Value::Text(text) => data.extend(utf16(text)),
                        _ => data.extend((-1i32).to_le_bytes()),
                    }
                    offsets.extend((data.len() as i64).to_le_bytes());
                }
                vec![("d", data), ("i", offsets)]
            }
        }
    }

    // ---- records

    fn meta(&self) -> Vec<u8> {
        let mut bytes = vec![0u8; 128];
        let by = if self.by == PartitionBy::None { 3 } else { 0 };
        let timestamp = self.columns.iter().position(|c| c.kind == Kind::Timestamp).unwrap() as i32;
        for (at, value) in [(0, self.columns.len() as i32), (4, by), (8, timestamp), (12, 426)] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes[32..40].copy_from_slice(&self.meta_version.to_le_bytes());
        for column in &self.columns {
            let mut record = [0u8; 32];
            let code = if column.live { column.kind.code() } else { -column.kind.code() };
            record[0..4].copy_from_slice(&code.to_le_bytes());
            record[4] = u8::from(column.indexed);
            bytes.extend(record);
        }
        self.columns.iter().for_each(|column| bytes.extend(utf16(&column.name)));
        bytes
    }

    /// Replaces `_meta`: for a moment there is none.
    fn publish_meta(&mut self) {
        self.meta_version += 1;
        let path = |name: &str| self.dir.join(name);
        let (meta, swap, old) = (path("_meta"), path("_meta.swp"), path("_meta.prev"));
        self.put(swap.clone(), self.meta());
        self.step(Action::Move { from: meta.clone(), to: old }, false);
        self.step(Action::Move { from: swap, to: meta }, false);
    }

    /// `_cv`: the area that is not current, its place, the version.
    fn publish_versions(&mut self) {
        let mut records: Vec<[i64; 4]> = Vec::new();
        for (w, column) in self.columns.iter().enumerate() {
            if let Some((txn, from)) = column.default {
                records.push([i64::MIN, w as i64, txn as i64, from]);
            }
            if let Some(txn) = column.symbol_txn {
                records.push([i64::MIN + 1, w as i64, txn as i64, 0]);
            }
        }
        for part in &self.parts {
            let of_part = |(w, (txn, top)): (&usize, &(Option<u64>, usize))| {
                [part.timestamp, *w as i64, txn.map_or(-1, |txn| txn as i64), *top as i64]
            };
            records.extend(part.files.iter().map(of_part));
        }
        records.sort_unstable();
        self.cv_version += 1;
        let area = (self.cv_version % 2) as usize;
        let path = self.dir.join("_cv");
        let bytes: Vec<u8> = records.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        let place = [CV_AREAS[area] as i64, bytes.len() as i64];
        self.patch(&path, CV_AREAS[area], bytes);
        self.patch(&path, 8 + 16 * area, place.iter().flat_map(|word| word.to_le_bytes()).collect());
        self.patch(&path, 0, self.cv_version.to_le_bytes().to_vec());
    }

    fn txn_record(&self) -> (Vec<u8>, usize, usize) {
        let last = self.parts.last().map_or(0, |part| part.rows.len()) as i64;
        let all = self.parts.iter().map(|part| part.rows.len() as i64).sum::<i64>();
        let times = self.parts.iter().flat_map(|part| &part.rows).filter_map(|row| {
            let w = self.columns.iter().position(|c| c.kind == Kind::Timestamp).unwrap();
            if let Value::Long(time) = row[w] {
                Some(time)
            } else {
                None
            }
        });
        let (min, max) = (times.clone().min().unwrap_or(i64::MAX), times.max().unwrap_or(i64::MIN));
        let mut record = vec![0u8; 132];
        let words = [
            (0, self.txn as i64),
            (8, last),
            (16, all - last),
            (24, min),
            (32, max),
            (40, self.meta_version),
            (64, self.cv_version),
            (72, self.truncate_version),
        ];
        for (at, word) in words {
            record[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let symbols: Vec<i32> = self
            .columns
            .iter()
            .filter(|c| c.live && c.kind == Kind::Symbol)
            .map(|c| c.symbols.len() as i32)
            .collect();
        record[128..132].copy_from_slice(&(symbols.len() as i32).to_le_bytes());
        for count in &symbols {
            record.extend([*count, *count].iter().flat_map(|v| v.to_le_bytes()));
        }
        let entries: Vec<i64> = self.parts.iter().flat_map(Part::entry).collect();
        let entries = if self.by == PartitionBy::None { Vec::new() } else { entries };
        record.extend((8 * entries.len() as i32).to_le_bytes());
        record.extend(entries.iter().flat_map(|v| v.to_le_bytes()));
        (record, 8 * symbols.len(), 8 * entries.len())
    }

    /// `_txn`: the record in two writes, its place, the version.
    fn publish(&mut self) {
        let area = (self.txn % 2) as usize;
        let path = self.dir.join("_txn");
        let (record, symbols, entries) = self.txn_record();
        let middle = record.len() / 2;
        self.patch(&path, TXN_AREAS[area], record[..middle].to_vec());
        self.patch(&path, TXN_AREAS[area] + middle, record[middle..].to_vec());
        let place = [TXN_AREAS[area] as i32, symbols as i32, entries as i32];
        self.patch(&path, 8 + 24 * area, place.iter().flat_map(|v| v.to_le_bytes()).collect());
        let bytes = self.txn.to_le_bytes().to_vec();
        self.step(Action::Patch { path, at: 0, bytes }, true);
        self.states.push(self.state());
    }

    /// The next transaction shows.
    pub fn commit(&mut self) {
        self.txn += 1;
        self.publish();
    }

    // ---- changes

    /// A partition that is written and committed.
    pub fn add_part(&mut self, timestamp: i64, rows: Vec<Row>) {
        self.parts.push(Part::new(timestamp, rows, None));
        self.write_part(self.parts.len() - 1);
        self.commit();
    }

    /// Rows behind all others of the last partition.
    pub fn append(&mut self, rows: Vec<Row>) {
        let last = self.parts.len() - 1;
        self.parts[last].rows.extend(rows);
        self.write_part(last);
        self.commit();
    }

    /// Rows that a transaction has written and not committed, or that wait as lag.
    pub fn write_ahead(&mut self, rows: Vec<Row>) {
        let last = self.parts.len() - 1;
        let committed = self.parts[last].rows.len();
        self.parts[last].rows.extend(rows);
        self.write_part(last);
        self.parts[last].rows.truncate(committed);
    }

    /// Out-of-order rows: the partition is written anew. The old directory is what is returned.
    pub fn merge(&mut self, index: usize, rows: Vec<Row>) -> PathBuf {
        let old = self.part_dir(index);
        let part = &mut self.parts[index];
        part.rows.extend(rows);
        part.rows.sort_by_key(|row| if let Value::Long(time) = row[0] { time } else { 0 });
        part.name_txn = Some(self.txn + 1);
        let had_files = !std::mem::take(&mut part.files).is_empty();
        self.write_part(index);
        if had_files {
            self.publish_versions();
        }
        self.commit();
        old
    }

    /// The rows from `at` on, with more, go to a partition of their own; those before stay where they are.
    pub fn split(&mut self, index: usize, at: usize, rows: Vec<Row>) {
        let mut tail = self.parts[index].rows.split_off(at);
        tail.extend(rows);
        tail.sort_by_key(|row| if let Value::Long(time) = row[0] { time } else { 0 });
        let Value::Long(timestamp) = tail[0][0] else { panic!() };
        self.parts.insert(index + 1, Part::new(timestamp, tail, Some(self.txn + 1)));
        self.write_part(index + 1);
        self.commit();
    }

    /// The piece behind partition `index` comes back into it, in place.
    pub fn squash(&mut self, index: usize) {
        self.squash_with(index, Vec::new());
    }

    /// The same in one transaction with late rows of the piece.
    pub fn squash_with(&mut self, index: usize, rows: Vec<Row>) {
        let old = self.part_dir(index + 1);
        let mut tail = self.parts.remove(index + 1).rows;
        tail.extend(rows);
        tail.sort_by_key(|row| if let Value::Long(time) = row[0] { time } else { 0 });
        self.parts[index].rows.extend(tail);
        self.parts[index].squash += 1;
        self.write_part(index);
        self.commit();
        self.delete_dir(&old);
    }

    /// New files of column `w` in each partition; the old ones go.
    pub fn update(&mut self, w: usize, value: impl Fn(&Row) -> Value) {
        let mut old = Vec::new();
        for index in 0..self.parts.len() {
            old.extend(self.column_files(index, w));
            self.parts[index].rows.iter_mut().for_each(|row| row[w] = value(row));
            let txn = self.txn + 1;
            self.parts[index].files.insert(w, (Some(txn), 0));
            self.write_column(index, w);
        }
        self.publish_versions();
        self.commit();
        old.into_iter().for_each(|path| self.step(Action::Delete { path }, false));
    }

    fn column_files(&self, index: usize, w: usize) -> Vec<PathBuf> {
        let prefix = format!("{}.", self.columns[w].name);
        let of_column = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&prefix);
        self.tree.below(&self.part_dir(index)).into_iter().filter(of_column).collect()
    }

    /// A new column, which the rows before do not have.
    pub fn add_column(&mut self, name: &str, kind: Kind) {
        let last = self.parts.last().map_or(0, |part| part.timestamp);
        self.columns.push(Column {
            name: name.to_owned(),
            kind,
            live: true,
            default: Some((self.txn, last)),
            symbols: Vec::new(),
            symbol_txn: None,
            indexed: false,
        });
        let (w, txn) = (self.columns.len() - 1, self.txn);
        if let Some(part) = self.parts.last_mut() {
            part.files.insert(w, (Some(txn), part.rows.len()));
        }
        if kind == Kind::Symbol {
            self.columns[w].symbol_txn = Some(txn);
            self.write_symbols(w);
        }
        self.publish_meta();
        self.publish_versions();
        self.commit();
    }

    /// Another name: the files get it, too.
    pub fn rename_column(&mut self, w: usize, name: &str) {
        let mut moved = Vec::new();
        for index in 0..self.parts.len() {
            for path in self.column_files(index, w) {
                let kind = path.file_name().unwrap().to_string_lossy().split('.').nth(1).unwrap().to_owned();
                moved.push((path.clone(), path.with_file_name(format!("{name}.{kind}.{}", self.txn))));
            }
            let txn = self.txn;
            let top = self.parts[index].files.get(&w).map_or(0, |(_, top)| *top);
            self.parts[index].files.insert(w, (Some(txn), top));
        }
        for (from, to) in &moved {
            self.put(to.clone(), self.bytes(from));
        }
        self.columns[w].name = name.to_owned();
        self.publish_meta();
        self.publish_versions();
        self.commit();
        moved.into_iter().for_each(|(path, _)| self.step(Action::Delete { path }, false));
    }

    pub fn drop_column(&mut self, w: usize) {
        self.columns[w].live = false;
        self.publish_meta();
        self.publish_versions();
        self.commit();
        for index in 0..self.parts.len() {
            self.column_files(index, w)
                .into_iter()
                .for_each(|path| self.step(Action::Delete { path }, false));
        }
    }

    /// More room for symbols: new files with the old symbols.
    pub fn grow_symbols(&mut self, w: usize) {
        let name = self.columns[w].name.clone();
        let old = self.columns[w].symbol_txn;
        self.columns[w].symbol_txn = Some(self.txn);
        self.write_symbols(w);
        self.publish_meta();
        self.publish_versions();
        self.commit();
        for kind in ["o", "c"] {
            let suffix = old.map(|txn| format!(".{txn}")).unwrap_or_default();
            self.step(Action::Delete { path: self.dir.join(format!("{name}.{kind}{suffix}")) }, false);
        }
    }

    /// DROP PARTITION: the transaction, then the files.
    pub fn drop_part(&mut self, index: usize) {
        let dir = self.part_dir(index);
        self.parts.remove(index);
        self.truncate_version += 1;
        self.commit();
        self.delete_dir(&dir);
    }

    /// DETACH PARTITION: the transaction, then the directory's new name.
    pub fn detach(&mut self, index: usize) {
        let from = self.part_dir(index);
        let to = from.with_file_name(format!("{}.detached", from.file_name().unwrap().to_string_lossy()));
        self.parts.remove(index);
        self.truncate_version += 1;
        self.commit();
        self.step(Action::Move { from, to }, false);
    }

    /// TRUNCATE: symbols are reset in place before it shows.
    pub fn truncate(&mut self) {
        let dirs: Vec<PathBuf> = (0..self.parts.len()).map(|index| self.part_dir(index)).collect();
        for w in 0..self.columns.len() {
            if self.columns[w].kind == Kind::Symbol {
                self.columns[w].symbols.clear();
                for kind in ["o", "c"] {
                    let path = self.dir.join(format!("{}.{kind}", self.columns[w].name));
                    self.step(Action::Cut { path, len: 0 }, false);
                }
                self.write_symbols(w);
            }
        }
        self.truncate_version += 1;
        if self.by == PartitionBy::None {
            // Files become shorter before the commit; the index is reset when new rows come.
            self.parts[0].rows.clear();
            for path in self.tree.below(&dirs[0]) {
                if path.extension().is_some_and(|kind| kind == "d") {
                    self.step(Action::Cut { path, len: 64 }, false);
                }
            }
            return self.commit();
        }
        // The order is not known: some directories go before the commit, the others after it.
        self.parts.clear();
        let (early, late) = dirs.split_at(1);
        early.iter().for_each(|dir| self.delete_dir(dir));
        self.commit();
        late.iter().for_each(|dir| self.delete_dir(dir));
    }

    /// DROP TABLE, file by file.
    pub fn drop_table(&mut self) {
        self.delete_dir(&self.dir.clone());
    }

    /// The table's directory gets another name.
    pub fn rename_table(&mut self, to: &str) {
        let from = std::mem::replace(&mut self.dir, to.into());
        self.step(Action::Move { from, to: to.into() }, false);
    }
}

impl Part {
    pub fn new(timestamp: i64, rows: Vec<Row>, name_txn: Option<u64>) -> Self {
        Self { timestamp, rows, name_txn, squash: 0, parquet: None, files: BTreeMap::new() }
    }

    fn entry(&self) -> [i64; 4] {
        let rows = self.rows.len() as i64 | i64::from(self.squash) << 44;
        let parquet = if self.parquet.is_some() { 1 << 61 } else { 0 };
        let name_txn = self.name_txn.map_or(-1, |txn| txn as i64);
        [self.timestamp, rows | parquet, name_txn, self.parquet.map_or(-1, |size| size as i64)]
    }
}

fn utf16(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut bytes = (units.len() as i32).to_le_bytes().to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes
}

/// `.k` and `.v` of a bitmap index with one block per key, large enough for all rows.
fn index_files(keys: &[i32], symbols: usize, top: usize) -> (Vec<u8>, Vec<u8>) {
    const BLOCK: usize = 256;
    let size = 8 * BLOCK + 16;
    let (mut k, mut v) = (vec![0u8; 64], Vec::new());
    k[0] = 0xfa;
    let sequence = keys.len() as i64 + 1;
    for at in [1, 29] {
        k[at..at + 8].copy_from_slice(&sequence.to_le_bytes());
    }
    k[17..21].copy_from_slice(&(BLOCK as i32).to_le_bytes());
    k[21..25].copy_from_slice(&(symbols as i32 + 1).to_le_bytes());
    for key in 0..=symbols as i32 {
        let wanted = if key == 0 { i32::MIN } else { key - 1 };
        let rows: Vec<i64> =
            keys.iter().enumerate().filter(|(_, k)| **k == wanted).map(|(i, _)| (i + top) as i64).collect();
        let block = v.len() as i64;
        let entry = [rows.len() as i64, block, block, rows.len() as i64];
        k.extend(entry.iter().flat_map(|word| word.to_le_bytes()));
        v.extend(rows.iter().flat_map(|row| row.to_le_bytes()));
        v.resize(block as usize + size, 0);
    }
    k[9..17].copy_from_slice(&(v.len() as i64).to_le_bytes());
    (k, v)
}
