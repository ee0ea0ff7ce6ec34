//! Where files go: local directories, or S3 buckets.

mod local;
mod object;
mod staging;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use local::LocalSink;
pub use object::ObjectSink;

use crate::dataset::MAX_OPEN_FILES;
use crate::error::Result;
use crate::options::Options;
use crate::Plan;

/// From a file's name among the new files, and the shape of the result, to its final path.
pub type PathOf = Box<dyn Fn(&Path, Shape) -> PathBuf + Send + Sync>;

/// The destination that the options of `plan` say: a bucket with `storage`, a local path without.
pub fn open(destination: &Path, plan: &Plan) -> Result<Box<dyn Sink>> {
    Ok(match &plan.options.storage {
        Some(storage) => Box::new(ObjectSink::create(destination, storage, &plan.options, &plan.control)?),
        None => Box::new(LocalSink::create(destination, &plan.options)?),
    })
}

/// `destination` as it is shown and compared; without a secret.
pub fn address(destination: &Path, options: &Options) -> Result<Address> {
    let Some(storage) = &options.storage else {
        return Ok(Address { path: destination.to_owned(), endpoint: None });
    };
    let location = object::Location::of(destination, storage, options)?;
    Ok(Address { path: location.url(&location.prefix), endpoint: Some(storage.endpoint()) })
}

/// Where the files of an export go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A local path, or `s3://bucket/prefix`.
    pub path: PathBuf,
    /// The object store.
    pub endpoint: Option<String>,
}

/// Whether files can go to `destination`, as far as that can be said without a request and without touching it.
pub fn check(destination: &Path, options: &Options) -> Result<()> {
    match &options.storage {
        Some(storage) => object::Location::of(destination, storage, options).map(drop),
        None => LocalSink::check(destination, options),
    }
}

/// A file being written.
pub trait SinkFile: Write + Send {
    /// Makes the bytes durable and closes the file.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A destination. Nothing is visible there before [`Sink::publish`]; a dropped sink leaves nothing behind.
pub trait Sink: Send {
    /// Creates the file `relative` among the new files.
    fn create(&mut self, relative: &Path) -> Result<Box<dyn SinkFile>>;

    /// Where the file `relative` is while it is written; for messages.
    fn location(&self, relative: &Path) -> PathBuf {
        relative.to_owned()
    }

    /// Whether `relative` is free in the destination; asked only when files are appended.
    fn is_free(&self, relative: &Path) -> bool;

    /// Says where files will be when they are published.
    fn paths(&self) -> PathOf;

    /// Files that may be open at once.
    fn max_open(&self) -> usize {
        MAX_OPEN_FILES
    }

    /// A directory for temporary data that goes away with the sink.
    fn scratch(&self) -> Option<PathBuf>;

    /// Makes all files visible, as one file or as a directory, and returns their final paths in the order of `files`.
    fn publish(&mut self, files: &[PathBuf], shape: Shape) -> Result<Vec<PathBuf>>;
}

/// What the destination becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The only file is the destination.
    File,
    /// The destination is a directory of files, perhaps empty.
    Directory,
    /// Nothing at all: a partitioned export without rows.
    Nothing,
}
