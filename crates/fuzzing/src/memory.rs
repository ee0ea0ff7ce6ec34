//! Files in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use questdb_storage::source::{Access, DirEntry, FileKind, Files, Source};
use questdb_storage::{Error, Result};

/// Files by path. A directory is there when a file is below it.
#[derive(Debug, Default, Clone)]
pub struct Memory(BTreeMap<PathBuf, Arc<Vec<u8>>>);

impl Memory {
    /// A new file, in place of an old one if there is one.
    pub fn put(&mut self, path: impl Into<PathBuf>, bytes: Vec<u8>) {
        self.0.insert(path.into(), Arc::new(bytes));
    }

    pub fn get(&self, path: &Path) -> Option<&[u8]> {
        self.0.get(path).map(|bytes| bytes.as_slice())
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// Copies the files below `from` on disk to `to`, but for those below directories that `wanted` does not want.
    pub fn load(&mut self, from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) {
        for entry in entries(from) {
            let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
            if !entry.is_dir() {
                self.put(to.join(name), std::fs::read(&entry).unwrap());
            } else if wanted(&name) {
                self.load(&entry, &to.join(name), wanted);
            }
        }
    }

    fn below<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = (&'a Path, &'a Vec<u8>)> {
        let all = self.0.range(dir.to_owned()..).take_while(move |(path, _)| path.starts_with(dir));
        all.filter_map(move |(path, bytes)| Some((path.strip_prefix(dir).ok()?, bytes.as_ref())))
    }
}

impl Files for Memory {
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn Source>> {
        let bytes = self.0.get(path).ok_or_else(|| Error::io(&std::io::ErrorKind::NotFound.into(), path))?;
        let len = bytes.len() as u64;
        let len = match access {
            Access::Column { needed } if needed > len => return Err(Error::too_short(path, needed, len)),
            Access::Column { needed } => needed,
            _ => len,
        };
        Ok(Arc::new(Bytes { bytes: Arc::clone(bytes), len, path: path.to_owned() }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        let mut entries: Vec<DirEntry> = Vec::new();
        for (path, bytes) in self.below(dir) {
            let mut parts = path.iter();
            let Some(name) = parts.next().and_then(|name| name.to_str()) else { continue };
            if entries.last().is_none_or(|last| last.name != name) {
                let deeper = parts.next().is_some();
                let kind = if deeper { FileKind::Directory } else { FileKind::File(bytes.len() as u64) };
                entries.push(DirEntry { name: name.to_owned(), kind: Some(kind), is_link: false });
            }
        }
        Ok(entries)
    }

    fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        Ok(match self.0.get(path) {
            Some(bytes) => Some(FileKind::File(bytes.len() as u64)),
            None => self.below(path).next().map(|_| FileKind::Directory),
        })
    }
}

/// An open file, or its first bytes.
#[derive(Debug)]
pub struct Bytes {
    bytes: Arc<Vec<u8>>,
    len: u64,
    path: PathBuf,
}

impl Bytes {
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: Arc::new(bytes.to_vec()), len: bytes.len() as u64, path: "memory".into() }
    }
}

impl Source for Bytes {
    fn len(&self) -> u64 {
        self.len
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(dst.len() as u64).filter(|end| *end <= self.len);
        let end =
            end.ok_or_else(|| Error::corrupt("read outside the file", self.len, offset).in_file(&self.path))?;
        dst.copy_from_slice(&self.bytes[offset as usize..end as usize]);
        Ok(())
    }
}

/// What is in a directory on disk, sorted; nothing when it cannot be read.
pub fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// `whole` with parts replaced: position (3 bytes), length (1 byte), the bytes, and again.
pub fn patched(whole: &[u8], mut patches: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    while let Some(([a, b, c, len], rest)) = patches.split_first_chunk::<4>() {
        let at = u32::from_le_bytes([*a, *b, *c, 0]) as usize % (bytes.len() + 1);
        let (patch, rest) = rest.split_at((*len as usize).min(rest.len()));
        let end = (at + patch.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&patch[..end - at]);
        patches = rest;
    }
    bytes
}
