//! A database root: which tables there are (docs/format.md §1).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::table::{name_of, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::format::meta::{self, Meta};
use crate::format::registry::{self, Registry, TableKind};
use crate::source::{DirEntry, FileKind, Files, LocalFiles};

/// Advice to who gave something else as a root.
const ROOT_HINT: &str = "Give the root directory of a QuestDB server, or the db directory in it.";

/// How often a registry that does not parse is read again.
const REGISTRY_RETRIES: u32 = 5;

/// A `db` directory.
#[derive(Debug, Clone)]
pub struct Database {
    dir: PathBuf,
    files: Arc<dyn Files>,
}

/// A table, view or materialized view of a database.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Current name.
    pub name: String,
    /// Directory below the root.
    pub directory: String,
    /// Kind.
    pub kind: TableKind,
    /// Id, when the registry has it.
    pub id: Option<i32>,
    /// Whether the directory is a symbolic link (a table IN VOLUME).
    pub is_link: bool,
}

/// All that a database holds, sorted by name.
pub type Listing = Vec<Listed>;

impl Listed {
    /// Whether this is a view: it has a query but no data.
    pub fn is_view(&self) -> bool {
        self.kind == TableKind::View
    }

    /// Whether this is one of the server's own tables, hidden by default.
    pub fn is_system(&self) -> bool {
        self.name.starts_with("sys.") || self.name.starts_with("telemetry") || self.name == "_query_trace"
    }
}

impl Database {
    /// The database in `root`, which is a `db` directory or holds one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such directory, [`ErrorKind::NotATable`] when `root` is not a
    /// directory, or is the directory of a table.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(root.as_ref(), Arc::new(LocalFiles))
    }

    /// As [`Self::open`], on any file system.
    pub fn open_with(root: &Path, files: Arc<dyn Files>) -> Result<Self> {
        match files.kind(root)? {
            Some(FileKind::Directory) => {}
            Some(_) => {
                return Err(Error::new(ErrorKind::NotATable, "database root is not a directory")
                    .in_file(root)
                    .hint(ROOT_HINT))
            }
            None => {
                return Err(Error::new(ErrorKind::NotFound, "database root does not exist")
                    .in_file(root)
                    .hint(ROOT_HINT))
            }
        }
        if Table::is_table(root, files.as_ref()) {
            return Err(Error::new(ErrorKind::NotATable, "this is the directory of a table, not a database root")
                .in_file(root)
                .hint(
                    "Give the directory above it; read_partitions, questdb_columns and questdb_partitions read one \
                     table by its directory, without table_name.",
                ));
        }
        // A server root has a `db` directory with tables in it; a database may have a table called db.
        let inner = root.join("db");
        let is_server_root = matches!(files.kind(&inner)?, Some(FileKind::Directory))
            && !Table::is_table(&inner, files.as_ref())
            && files.kind(&root.join("_tab_index.d"))?.is_none();
        Ok(Self { dir: if is_server_root { inner } else { root.to_owned() }, files })
    }

    /// The `db` directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a server's list of tables is there.
    pub(crate) fn has_registry(&self) -> Result<bool> {
        let entries = self.files.list(&self.dir)?;
        Ok(entries.iter().any(|entry| registry::file_version(&entry.name).is_some()))
    }

    /// Lists tables, views and materialized views (docs/format.md §1.3).
    pub fn list(&self) -> Result<Listing> {
        let entries = self.files.list(&self.dir)?;
        let newest = entries.iter().filter_map(|e| Some((registry::file_version(&e.name)?, &e.name))).max();
        let registry = match newest {
            Some((_, name)) => self.read_registry(name)?,
            None => Registry::default(),
        };
        let registered: HashMap<&str, _> =
            registry.tables.iter().map(|t| (t.directory.as_str(), t)).collect();
        let mut listing: Listing = Vec::new();
        for entry in &entries {
            let dir = self.dir.join(&entry.name);
            let (name, kind, id) = match registered.get(entry.name.as_str()) {
                Some(t) if is_directory(entry) || is_dangling(entry) => (t.name.clone(), t.kind, Some(t.id)),
                Some(_) => continue,
                None if !is_directory(entry) || registry.dropped.contains(&entry.name) => continue,
                None if !self.is_plain_table(&dir, newest.is_some()) => continue,
                None => (name_of(&dir, self.files.as_ref()), self.kind_of(&dir), None),
            };
            listing.push(Listed { name, directory: entry.name.clone(), kind, id, is_link: entry.is_link });
        }
        listing.sort_by(|a, b| (&a.name, &a.directory).cmp(&(&b.name, &b.directory)));
        Ok(listing)
    }

    /// The table called `name`, whatever its case; a directory name serves as well.
    pub fn table(&self, name: &str) -> Result<Table> {
        let listing = self.list()?;
        let wanted = name.to_lowercase();
        let matches = |l: &&Listed| l.name.to_lowercase() == wanted;
        let found = listing.iter().find(matches).or_else(|| listing.iter().find(|l| l.directory == name));
        match found {
            Some(listed) if listed.kind == TableKind::View => {
                Err(Error::new(ErrorKind::NotATable, format!("\"{name}\" is a view, not a table"))
                    .in_file(&self.dir.join(&listed.directory))
                    .hint("A view has a query but no data; read the tables that it selects from."))
            }
            Some(listed) => Ok(self.open_listed(listed)),
            None => Err(self.unknown_table(name, &listing)),
        }
    }

    /// The table of a listing's entry.
    pub fn open_listed(&self, listed: &Listed) -> Table {
        Table::named(listed.name.clone(), self.dir.join(&listed.directory), Arc::clone(&self.files))
    }

    fn unknown_table(&self, name: &str, listing: &[Listed]) -> Error {
        let error =
            Error::new(ErrorKind::NotFound, format!("database has no table \"{name}\"")).in_file(&self.dir);
        let names = listing.iter().filter(|l| !l.is_system()).map(|l| l.name.as_str());
        match closest(name, names) {
            Some(close) => error.hint(format!("Did you mean \"{close}\"?")),
            None => error.hint("questdb_tables lists what is there."),
        }
    }

    fn read_registry(&self, file: &str) -> Result<Registry> {
        let path = self.dir.join(file);
        let read = || {
            let bytes = self.files.read_small(&path, registry::MAX_FILE_SIZE)?;
            Registry::parse(&bytes).map_err(|e| e.in_file(&path))
        };
        // A server that is just appending an entry makes it look damaged for a moment.
        for _ in 0..REGISTRY_RETRIES {
            if let Ok(registry) = read() {
                return Ok(registry);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        read()
    }

    /// A directory outside the registry is a table when it is not a WAL table: a WAL table outside the
    /// registry is dropped, or not yet made. A copied part of a database may lack the registry; then every
    /// table counts. A damaged table is listed, so that its error shows.
    fn is_plain_table(&self, dir: &Path, has_registry: bool) -> bool {
        let has = |name: &str| matches!(self.files.kind(&dir.join(name)), Ok(Some(FileKind::File(_))));
        if !has("_txn") && !has("_meta") {
            return false;
        }
        if !has_registry {
            return true;
        }
        let bytes = self.files.read_small(&dir.join("_meta"), meta::MAX_FILE_SIZE);
        bytes.and_then(|bytes| Meta::parse(&bytes)).map_or(true, |meta| !meta.wal)
    }

    fn kind_of(&self, dir: &Path) -> TableKind {
        let has = |name: &str| matches!(self.files.kind(&dir.join(name)), Ok(Some(_)));
        if has("_view") {
            TableKind::View
        } else if has("_mv") {
            TableKind::MaterializedView
        } else {
            TableKind::Table
        }
    }
}

fn is_directory(entry: &DirEntry) -> bool {
    entry.kind == Some(FileKind::Directory)
}

/// Whether the volume that a table was made in is not there. It is listed, so that it is not thought dropped.
fn is_dangling(entry: &DirEntry) -> bool {
    entry.is_link && entry.kind.is_none()
}

/// The candidate that is nearest to `name` by edit distance, when near enough to be a slip.
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .map(|c| (edit_distance(&wanted, &c.to_lowercase()), c))
        .filter(|(distance, c)| *distance <= 1 + c.chars().count().max(wanted.chars().count()) / 3)
        .min()
        .map(|(_, c)| c)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(x != *y)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::table::tests::{meta, MemoryFiles};

    fn text(value: &str) -> Vec<u8> {
        let mut bytes = (value.encode_utf16().count() as i32).to_le_bytes().to_vec();
        bytes.extend(value.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    }

    /// A registry of (operation, name, directory, id, kind).
    fn registry(entries: &[(i32, &str, &str, i32, i32)]) -> Vec<u8> {
        let mut bytes = vec![0u8; 8];
        for (operation, name, directory, id, kind) in entries {
            bytes.extend(operation.to_le_bytes());
            bytes.extend([text(name), text(directory)].concat());
            bytes.extend([id.to_le_bytes(), kind.to_le_bytes()].concat());
            bytes.extend(vec![0; if *operation == 0 { 64 } else { 0 }]);
        }
        let end = bytes.len() as i64;
        bytes[0..8].copy_from_slice(&end.to_le_bytes());
        bytes
    }

    fn root() -> MemoryFiles {
        let mut files = MemoryFiles::default();
        for (directory, wal) in
            [("renamed~1", true), ("dropped~2", true), ("half_made~3", true), ("plain", false)]
        {
            files.add(&format!("/db/{directory}/_meta"), meta(wal));
            files.add(&format!("/db/{directory}/_txn"), Vec::new());
        }
        files.add("/db/plain/_name", text("Plain"));
        files.add("/db/damaged/_meta", Vec::new());
        files.add("/db/damaged/_txn", Vec::new());
        files.add("/db/no_meta/_txn", Vec::new());
        files.add("/db/sys.log/_meta", meta(false));
        files.add("/db/sys.log/_txn", Vec::new());
        files.add("/db/empty/readme", Vec::new());
        files.add_link("/db/cold~4");
        files.add_link("/db/stray");
        files
    }

    fn names(files: MemoryFiles) -> Vec<String> {
        let database = Database::open_with(Path::new("/db"), Arc::new(files)).unwrap();
        database.list().unwrap().into_iter().map(|l| format!("{} in {}", l.name, l.directory)).collect()
    }

    #[test]
    fn listing_follows_the_registry_then_the_directories() {
        let mut files = root();
        files.add("/db/tables.d.0", b"old".to_vec());
        files.add(
            "/db/tables.d.10",
            registry(&[
                (0, "first", "renamed~1", 1, 1),
                (0, "dropped", "dropped~2", 2, 1),
                (-1, "first", "renamed~1", 1, 1),
                (0, "Now", "renamed~1", 1, 1),
                (-1, "dropped", "dropped~2", 2, 1),
                (0, "cold", "cold~4", 4, 1),
                (0, "gone", "gone~5", 5, 1),
            ]),
        );
        let expected = [
            "Now in renamed~1",
            "Plain in plain",
            "cold in cold~4",
            "damaged in damaged",
            "no_meta in no_meta",
            "sys.log in sys.log",
        ];
        assert_eq!(names(files), expected);
    }

    #[test]
    fn without_a_registry_every_table_directory_counts() {
        let expected = [
            "Plain in plain",
            "damaged in damaged",
            "dropped in dropped~2",
            "half_made in half_made~3",
            "no_meta in no_meta",
            "renamed in renamed~1",
            "sys.log in sys.log",
        ];
        assert_eq!(names(root()), expected);
    }

    #[test]
    fn damaged_registry_is_an_error_with_its_file() {
        let mut files = root();
        files.add("/db/tables.d.3", vec![0xff; 16]);
        let database = Database::open_with(Path::new("/db"), Arc::new(files)).unwrap();
        let error = database.list().unwrap_err().to_string();
        assert!(error.contains("(file \"/db/tables.d.3\", offset 0)"), "{error}");
    }

    #[test]
    fn root_is_the_directory_or_the_one_above_and_never_a_table() {
        let files: Arc<dyn Files> = Arc::new(root());
        let open = |path: &str| Database::open_with(Path::new(path), Arc::clone(&files));
        assert_eq!(open("/").unwrap().dir(), Path::new("/db"));
        assert_eq!(open("/db").unwrap().dir(), Path::new("/db"));
        let error = open("/db/plain").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotATable);
        assert!(error.to_string().contains("(file \"/db/plain\"). Give the directory above it"), "{error}");
        assert_eq!(open("/nowhere").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(open("/db/plain/_meta").unwrap_err().kind(), ErrorKind::NotATable);
    }

    #[test]
    fn names_compare_without_case_and_slips_get_advice() {
        let database = Database::open_with(Path::new("/db"), Arc::new(root())).unwrap();
        assert_eq!(database.table("PLAIN").unwrap().dir(), Path::new("/db/plain"));
        assert_eq!(database.table("renamed~1").unwrap().name(), "renamed");
        let error = database.table("plane").unwrap_err().to_string();
        assert!(error.contains("Did you mean \"Plain\"?"), "{error}");
    }

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let names = ["trades", "quotes", "orders"];
        assert_eq!(closest("trdes", names.into_iter()), Some("trades"));
        assert_eq!(closest("QUOTE", names.into_iter()), Some("quotes"));
        assert_eq!(closest("weather_stations", names.into_iter()), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
