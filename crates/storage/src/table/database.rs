//! A database root: which tables there are (docs/format.md §1).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::table::Table;
use crate::error::{Error, ErrorKind, Result};
use crate::format::registry::{self, Registry, TableKind};
use crate::format::table_name;
use crate::source::{FileKind, Files, LocalFiles};

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
    /// Whether this is one of the server's own tables, hidden by default.
    pub fn is_system(&self) -> bool {
        self.name.starts_with("sys.") || self.name.starts_with("telemetry") || self.name == "_query_trace"
    }
}

impl Database {
    /// The database in `root`, which is a `db` directory or holds one.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(root.as_ref(), Arc::new(LocalFiles))
    }

    /// As [`Self::open`], on any file system.
    pub fn open_with(root: &Path, files: Arc<dyn Files>) -> Result<Self> {
        match files.kind(root)? {
            Some(FileKind::Directory) => {}
            Some(_) => {
                return Err(Error::new(ErrorKind::NotATable, "database root is not a directory").in_file(root))
            }
            None => return Err(Error::new(ErrorKind::NotFound, "database root does not exist").in_file(root)),
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

    /// Lists tables, views and materialized views (docs/format.md §1.3).
    pub fn list(&self) -> Result<Listing> {
        let entries = self.files.list(&self.dir)?;
        let newest = entries.iter().filter_map(|e| Some((registry::file_version(&e.name)?, &e.name))).max();
        let registry = match newest {
            Some((_, name)) => self.read_registry(name)?,
            None => Registry::default(),
        };
        let mut listing: Listing = Vec::new();
        for entry in entries.iter().filter(|e| e.kind == Some(FileKind::Directory)) {
            let dir = self.dir.join(&entry.name);
            let registered = registry.tables.iter().find(|t| t.directory == entry.name);
            let listed = match registered {
                Some(t) => Listed {
                    name: t.name.clone(),
                    directory: entry.name.clone(),
                    kind: t.kind,
                    id: Some(t.id),
                    is_link: entry.is_link,
                },
                None if registry.dropped.contains(&entry.name) || !self.is_plain_table(&dir) => continue,
                None => Listed {
                    name: self.name_of(&entry.name),
                    directory: entry.name.clone(),
                    kind: self.kind_of(&dir),
                    id: None,
                    is_link: entry.is_link,
                },
            };
            listing.push(listed);
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
        let error = Error::new(ErrorKind::NotFound, format!("database has no table \"{name}\"")).in_file(&self.dir);
        let names = listing.iter().filter(|l| !l.is_system()).map(|l| l.name.as_str());
        match closest(name, names) {
            Some(close) => error.hint(format!("Did you mean \"{close}\"?")),
            None => error.hint("questdb_tables lists what is there."),
        }
    }

    fn read_registry(&self, file: &str) -> Result<Registry> {
        let path = self.dir.join(file);
        let bytes = self.files.read_small(&path, registry::MAX_FILE_SIZE)?;
        Registry::parse(&bytes).map_err(|e| e.in_file(&path))
    }

    /// A directory outside the registry is a table when it has a `_txn` and is not a WAL table:
    /// a WAL table outside the registry is dropped, or not yet made.
    fn is_plain_table(&self, dir: &Path) -> bool {
        if !Table::is_table(dir, self.files.as_ref()) {
            return false;
        }
        let path = dir.join("_meta");
        let meta = self.files.read_small(&path, crate::format::meta::MAX_FILE_SIZE);
        match meta.and_then(|bytes| crate::format::meta::Meta::parse(&bytes)) {
            Ok(meta) => !meta.wal || !self.has_registry(),
            // A damaged table is listed, so that its error shows.
            Err(_) => true,
        }
    }

    /// Whether there is a registry; a copied part of a database may lack it, then every directory counts.
    fn has_registry(&self) -> bool {
        self.files
            .list(&self.dir)
            .is_ok_and(|entries| entries.iter().any(|e| registry::file_version(&e.name).is_some()))
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

    fn name_of(&self, directory: &str) -> String {
        let path = self.dir.join(directory).join("_name");
        let stored = self.files.read_small(&path, table_name::MAX_FILE_SIZE).ok();
        stored
            .and_then(|bytes| table_name::parse(&bytes).ok())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| table_name::from_directory(directory).to_owned())
    }
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

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let names = ["trades", "quotes", "orders"];
        assert_eq!(closest("trdes", names.into_iter()), Some("trades"));
        assert_eq!(closest("QUOTE", names.into_iter()), Some("quotes"));
        assert_eq!(closest("weather_stations", names.into_iter()), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
