//! Files of the local file system.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, SyncSender};
use std::thread::{Builder, JoinHandle};

use super::staging::{parent_of, Staging};
use super::{PathOf, Shape, Sink, SinkFile};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Existing, Layout, Mode, Options};

/// A local destination.
#[derive(Debug)]
pub struct LocalSink {
    destination: PathBuf,
    single: PathBuf,
    suffix: &'static str,
    existing: Existing,
    staging: Staging,
}

impl LocalSink {
    /// Checks the destination and makes the staging directory.
    pub fn create(destination: &Path, options: &Options) -> Result<Self> {
        let destination = without_trailing_separator(destination);
        let single = single_path(&destination, options);
        if options.existing == Existing::Refuse {
            refuse_existing(&destination, &single)?;
        }
        let staging = Staging::create(&destination)?;
        Ok(Self { destination, single, suffix: options.suffix(), existing: options.existing, staging })
    }

    /// Whether files can go to `destination`, as far as that can be said without touching it.
    pub fn check(destination: &Path, options: &Options) -> Result<()> {
        let destination = without_trailing_separator(destination);
        match options.existing {
            Existing::Refuse => refuse_existing(&destination, &single_path(&destination, options)),
            _ => Ok(()),
        }
    }

    /// Moves what is at `path` out of the way, to be removed with the staging directory.
    fn put_aside(&self, path: &Path) -> Result<()> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io(&error, "look at", path)),
            Ok(_) => {
                let name = path.file_name().unwrap_or_default();
                rename(path, &self.staging.old().join(name))
            }
        }
    }

    /// Undoes [`Self::put_aside`].
    fn put_back(&self, path: &Path) {
        // The error that the caller reports is the one that counts.
        let _ = fs::rename(self.staging.old().join(path.file_name().unwrap_or_default()), path);
    }

    fn publish_file(&self, relative: &Path) -> Result<PathBuf> {
        let mut target = self.single.clone();
        match self.existing {
            Existing::Refuse => refuse_existing(&self.destination, &self.single)?,
            Existing::Append if target.exists() => target = free_name(&target, self.suffix),
            Existing::Overwrite | Existing::OverwriteOrIgnore if target.is_dir() => {
                if self.existing == Existing::OverwriteOrIgnore {
                    return Err(Error::new(ErrorKind::Exists, "the destination is a directory")
                        .in_file(&target)
                        .hint("Use overwrite to replace it."));
                }
                self.put_aside(&target)?;
            }
            _ => {}
        }
        rename(&self.staging.files().join(relative), &target)?;
        if self.existing == Existing::Overwrite && self.destination != target {
            self.put_aside(&self.destination)?;
        }
        sync_directory(&parent_of(&target));
        Ok(target)
    }

    fn publish_directory(&self, files: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let target = &self.destination;
        if self.existing == Existing::Refuse {
            refuse_existing(target, &self.single)?;
        }
        if self.existing == Existing::Overwrite || !target.exists() {
            self.put_aside(target)?;
            rename(&self.staging.files(), target).inspect_err(|_| self.put_back(target))?;
            if self.existing == Existing::Overwrite && &self.single != target {
                self.put_aside(&self.single)?;
            }
        } else if self.existing == Existing::Refuse {
            // It exists and is empty.
            fs::remove_dir(target).map_err(|error| Error::io(&error, "replace", target))?;
            rename(&self.staging.files(), target)?;
        } else {
            for file in files {
                let path = target.join(file);
                let parent = parent_of(&path);
                fs::create_dir_all(&parent)
                    .map_err(|error| Error::io(&error, "create the directory", &parent))?;
                rename(&self.staging.files().join(file), &path)?;
            }
        }
        sync_directory(target);
        sync_directory(&parent_of(target));
        Ok(files.iter().map(|file| target.join(file)).collect())
    }
}

impl Sink for LocalSink {
    fn create(&mut self, relative: &Path) -> Result<Box<dyn SinkFile>> {
        let path = self.staging.files().join(relative);
        let parent = parent_of(&path);
        fs::create_dir_all(&parent).map_err(|error| Error::io(&error, "create the directory", &parent))?;
        let file = File::create_new(&path).map_err(|error| Error::io(&error, "create", &path))?;
        Ok(Box::new(LocalFile { file, path, unsynced: 0, syncer: None }))
    }

    fn location(&self, relative: &Path) -> PathBuf {
        self.staging.files().join(relative)
    }

    fn is_free(&self, relative: &Path) -> bool {
        !self.destination.join(relative).exists()
    }

    fn paths(&self) -> PathOf {
        let destination = self.destination.clone();
        let single = match self.existing {
            Existing::Append if self.single.exists() => free_name(&self.single, self.suffix),
            _ => self.single.clone(),
        };
        Box::new(move |relative, shape| match shape {
            Shape::Directory => destination.join(relative),
            _ => single.clone(),
        })
    }

    fn scratch(&self) -> Option<PathBuf> {
        Some(self.staging.spill())
    }

    fn publish(&mut self, files: &[PathBuf], shape: Shape) -> Result<Vec<PathBuf>> {
        match (shape, files) {
            (Shape::Nothing, _) => Ok(Vec::new()),
            (Shape::File, [only]) => Ok(vec![self.publish_file(only)?]),
            (Shape::File, _) => Err(Error::internal(format!("{} files for one", files.len()))),
            (Shape::Directory, _) => self.publish_directory(files),
        }
    }
}

/// Bytes after which the disk is asked to begin, so that it works while we encode and little is left for the end.
const SYNC_EVERY: usize = 32 << 20;

struct LocalFile {
    file: File,
    path: PathBuf,
    unsynced: usize,
    syncer: Option<Syncer>,
}

/// A thread that makes a growing file durable; begun only for large files.
struct Syncer {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Syncer {
    /// `None` when the system refuses a second handle or a thread: then all is synced at the end.
    fn start(file: &File) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let (wake, woken) = sync_channel(1);
        let work = move || {
            // The system reports a failed write once, so the first error must not be lost.
            while woken.recv().is_ok() {
                file.sync_data()?;
            }
            Ok(())
        };
        let thread = Builder::new().name("questdb-parquet-sync".to_owned()).spawn(work).ok()?;
        Some(Self { wake, thread })
    }
}

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            if self.syncer.is_none() {
                self.syncer = Syncer::start(&self.file);
            }
            if let Some(syncer) = &self.syncer {
                // Busy, it will be woken by a later write; failed, the end reports it.
                let _ = syncer.wake.try_send(());
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SinkFile for LocalFile {
    fn finish(mut self: Box<Self>) -> Result<()> {
        let mut early = Ok(());
        if let Some(syncer) = self.syncer.take() {
            drop(syncer.wake);
            early =
                syncer.thread.join().unwrap_or_else(|_| Err(io::Error::other("the syncing thread failed")));
        }
        early.and_then(|()| self.file.sync_all()).map_err(|error| Error::io(&error, "write", &self.path))
    }
}

fn without_trailing_separator(path: &Path) -> PathBuf {
    path.components().collect()
}

/// The path of a result that is one file.
fn single_path(destination: &Path, options: &Options) -> PathBuf {
    let exact = options.exact_path || options.mode == Some(Mode::SingleFile);
    if exact
        || has_suffix(destination, options.suffix())
        || options.layout.unwrap_or_default() != Layout::Questdb
    {
        return destination.to_owned();
    }
    let mut name = destination.as_os_str().to_owned();
    name.push(options.suffix());
    PathBuf::from(name)
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.file_name().is_some_and(|name| {
        name.to_string_lossy().to_ascii_lowercase().strip_suffix(suffix).is_some_and(|stem| !stem.is_empty())
    })
}

/// An existing file, or a directory that is not empty, under either name that the result may get.
fn refuse_existing(destination: &Path, single: &Path) -> Result<()> {
    for path in [destination, single] {
        let what = match fs::metadata(path) {
            Err(_) => continue,
            Ok(metadata) if metadata.is_dir() => {
                let mut entries =
                    fs::read_dir(path).map_err(|error| Error::io(&error, "read the directory", path))?;
                if entries.next().is_none() {
                    continue;
                }
                "the destination directory is not empty"
            }
            Ok(_) => "the destination exists",
        };
        return Err(Error::new(ErrorKind::Exists, what)
            .in_file(path)
            .hint("Use overwrite to replace it, overwrite_or_ignore to replace files of the same name, or append to add to it."));
    }
    Ok(())
}

/// `x.parquet` → `x.1.parquet`, `x.2.parquet`, …: the first that does not exist.
fn free_name(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let length = match has_suffix(path, suffix) {
        true => suffix.len(),
        false => path.extension().map_or(0, |extension| extension.len() + 1),
    };
    let (stem, suffix) = name.split_at_checked(name.len() - length).unwrap_or((&name, ""));
    (1u64..)
        .map(|number| path.with_file_name(format!("{stem}.{number}{suffix}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| path.to_owned())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| Error::io(&error, "rename to its final name", to))
}

/// Makes renames durable where directories can be synced; elsewhere there is nothing to do.
fn sync_directory(path: &Path) {
    if let Ok(directory) = File::open(path) {
        let _ = directory.sync_all();
    }
}
