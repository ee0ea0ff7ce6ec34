//! Where files go. One implementation writes local directories; object stores fit the same trait.

mod local;
mod staging;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use local::{LocalSink, PathOf};

use crate::error::Result;

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
