//! A file system in memory on which a server's writes happen while it is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use questdb_storage::source::{Access, DirEntry, FileIdentity, FileKind, Files, Source};
use questdb_storage::{Error, ErrorKind, Result};

/// One write of the server.
#[derive(Debug, Clone)]
pub enum Action {
    /// A new file, in place of an old one if there is one.
    Put { path: PathBuf, bytes: Vec<u8> },
    /// Bytes of an existing file, which grows if need be.
    Patch { path: PathBuf, at: usize, bytes: Vec<u8> },
    /// A file becomes shorter.
    Cut { path: PathBuf, len: usize },
    /// A file or directory gets another name.
    Move { from: PathBuf, to: PathBuf },
    /// A file is removed. Who has it open keeps it.
    Delete { path: PathBuf },
    /// A file may not be opened any more.
    Forbid { path: PathBuf },
}

/// An action, and whether a transaction shows from then on.
#[derive(Debug, Clone)]
pub struct Step {
    pub action: Action,
    pub commits: bool,
}

/// Names and contents. A file keeps its number whatever its name, and numbers are not used again.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    names: BTreeMap<PathBuf, u64>,
    contents: BTreeMap<u64, Vec<u8>>,
    forbidden: Vec<PathBuf>,
}

impl Tree {
    pub fn apply(&mut self, action: &Action) {
        match action {
            Action::Put { path, bytes } => {
                let number = self.contents.len() as u64;
                self.contents.insert(number, bytes.clone());
                self.names.insert(path.clone(), number);
            }
            Action::Patch { path, at, bytes } => {
                let file = self.contents.get_mut(&self.names[path]).unwrap();
                let len = file.len().max(at + bytes.len());
                file.resize(len, 0);
                file[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Action::Cut { path, len } => {
                self.contents.get_mut(&self.names[path]).unwrap().truncate(*len);
            }
            Action::Move { from, to } => {
                let moved: Vec<PathBuf> =
                    self.names.keys().filter(|p| p.starts_with(from)).cloned().collect();
                for path in moved {
                    let number = self.names.remove(&path).unwrap();
                    let rest = path.strip_prefix(from).unwrap();
                    let path = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    self.names.insert(path, number);
                }
            }
            Action::Delete { path } => {
                self.names.remove(path).unwrap_or_else(|| panic!("{} is not there", path.display()));
            }
            Action::Forbid { path } => self.forbidden.push(path.clone()),
        }
    }

    pub fn has(&self, path: &Path) -> bool {
        self.names.contains_key(path)
    }

    pub fn read(&self, path: &Path) -> &[u8] {
        &self.contents[&self.names[path]]
    }

    pub fn below(&self, dir: &Path) -> Vec<PathBuf> {
        self.names.keys().filter(|path| path.starts_with(dir)).cloned().collect()
    }
}

/// Whether an open column file shows later writes. The product copies small ones when it opens them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    Mapped,
    Copied,
}

/// Writes that wait, each for an event of the reader: an opened file, half a read, a question about a path.
#[derive(Debug)]
struct State {
    tree: Tree,
    script: Vec<(usize, Step)>,
    events: usize,
    /// Events in a row that ask only whether something has changed.
    polls: usize,
    commits: usize,
}

#[derive(Debug)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    columns: Columns,
}

impl Disk {
    /// `script`: steps with the event before which each happens, ascending.
    pub fn new(tree: &Tree, script: Vec<(usize, Step)>, columns: Columns) -> Self {
        let state = State { tree: tree.clone(), script, events: 0, polls: 0, commits: 0 };
        Self { state: Arc::new(Mutex::new(state)), columns }
    }

    pub fn events(&self) -> usize {
        self.state.lock().unwrap().events
    }

    /// Commits that have happened.
    pub fn commits(&self) -> usize {
        self.state.lock().unwrap().commits
    }
}

/// Lets the server go on as far as the script says, then gives the files. A reader that only waits for a change
/// gets it: a server at work does not rest for long.
fn event(state: &Mutex<State>, is_poll: bool) -> MutexGuard<'_, State> {
    let mut state = state.lock().unwrap();
    state.polls = if is_poll { state.polls + 1 } else { 0 };
    let waiting = state.polls > 8;
    while state.script.first().is_some_and(|(when, _)| waiting || *when <= state.events) {
        let (_, step) = state.script.remove(0);
        state.tree.apply(&step.action);
        state.commits += usize::from(step.commits);
    }
    state.events += 1;
    state
}

impl Files for Disk {
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn Source>> {
        let state = event(&self.state, false);
        let number = *state
            .tree
            .names
            .get(path)
            .ok_or_else(|| Error::io(&std::io::ErrorKind::NotFound.into(), path))?;
        if state.tree.forbidden.iter().any(|forbidden| forbidden == path) {
            return Err(Error::io(&std::io::ErrorKind::PermissionDenied.into(), path));
        }
        let bytes = &state.tree.contents[&number];
        let (len, fixed) = match access {
            Access::Column { needed } if needed > bytes.len() as u64 => {
                return Err(Error::too_short(path, needed, bytes.len() as u64))
            }
            Access::Column { needed } => (needed as usize, true),
            Access::ColumnOpenEnded | Access::Polled => (bytes.len(), true),
            Access::Record => (bytes.len(), false),
        };
        let is_column = matches!(access, Access::Column { .. } | Access::ColumnOpenEnded);
        let copy = (is_column && self.columns == Columns::Copied).then(|| bytes[..len].to_vec());
        Ok(Arc::new(Open { state: Arc::clone(&self.state), number, path: path.to_owned(), len, fixed, copy }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        let state = event(&self.state, false);
        let name = |path: &PathBuf| Some(path.strip_prefix(dir).ok()?.iter().next()?.to_str()?.to_owned());
        let mut names: Vec<String> = state.tree.names.keys().filter_map(name).collect();
        names.dedup();
        Ok(names
            .into_iter()
            .map(|name| DirEntry { kind: Some(FileKind::Other), is_link: false, name })
            .collect())
    }

    fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        let state = event(&self.state, false);
        if let Some(number) = state.tree.names.get(path) {
            return Ok(Some(FileKind::File(state.tree.contents[number].len() as u64)));
        }
        Ok(state.tree.names.keys().any(|p| p.starts_with(path)).then_some(FileKind::Directory))
    }

    fn identity(&self, path: &Path) -> Result<Option<FileIdentity>> {
        let state = event(&self.state, true);
        Ok(state.tree.names.get(path).map(|number| FileIdentity { device: 1, inode: *number }))
    }
}

/// An open file.
#[derive(Debug)]
struct Open {
    state: Arc<Mutex<State>>,
    number: u64,
    path: PathBuf,
    len: usize,
    /// A mapping: of the length that the file had when it was opened.
    fixed: bool,
    copy: Option<Vec<u8>>,
}

impl Open {
    /// Copies what the file holds at this moment.
    fn copy(&self, start: usize, dst: &mut [u8]) -> Result<()> {
        let state = event(&self.state, dst.len() == 8 && start == 0);
        let bytes = self.copy.as_ref().unwrap_or(&state.tree.contents[&self.number]);
        match bytes.get(start..start + dst.len()) {
            Some(bytes) => dst.copy_from_slice(bytes),
            // What SIGBUS tells about a mapping.
            None if self.fixed => {
                return Err(
                    Error::new(ErrorKind::Conflict, "file shrank while it was read").in_file(&self.path)
                )
            }
            None => return Err(Error::too_short(&self.path, (start + dst.len()) as u64, bytes.len() as u64)),
        }
        Ok(())
    }
}

impl Source for Open {
    fn len(&self) -> u64 {
        match self.fixed {
            true => self.len as u64,
            false => self.state.lock().unwrap().tree.contents[&self.number].len() as u64,
        }
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// In two parts, between which the server can write.
    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        if offset + dst.len() as u64 > Source::len(self) {
            return Err(Error::too_short(&self.path, offset + dst.len() as u64, Source::len(self)));
        }
        let start = offset as usize;
        let middle = if dst.len() > 8 { dst.len() / 2 } else { dst.len() };
        let (first, second) = dst.split_at_mut(middle);
        self.copy(start, first)?;
        if second.is_empty() {
            return Ok(());
        }
        self.copy(start + middle, second)
    }
}
