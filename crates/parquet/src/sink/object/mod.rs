//! Objects in an S3 bucket.
//!
//! ```text
//! create    key of the object; nothing is sent
//! write     parts of 8 MiB leave in the background (upload)
//! publish   uploads are completed one after the other; an error deletes those that were new
//! drop      uploads that were not completed are aborted
//! ```
//!
//! An object is never seen in part: it appears when its upload is completed. Objects cannot be renamed, so their keys are
//! settled when they are begun: an export that may have several files is a directory even if it has one in the end.

mod location;
mod remote;
mod upload;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::StreamExt;
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};

pub use location::Location;

use self::remote::Remote;
use self::upload::{Begun, Board, Shared, Upload};
use super::{PathOf, Shape, Sink, SinkFile};
use crate::cancel::Control;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Existing, Options, Storage};
use crate::sink::staging::Staging;

/// Objects that are open at once: each holds a part in memory.
const MAX_OPEN: usize = 16;
/// Time to clean up after a failure.
const CLEANUP: Duration = Duration::from_secs(10);

/// What lies in the bucket under a key.
struct Found {
    size: u64,
    e_tag: Option<String>,
}

/// A destination in a bucket.
pub struct ObjectSink {
    shared: Arc<Shared>,
    location: Location,
    existing: Existing,
    /// Keys that were there at the beginning, for `append`.
    taken: HashMap<String, Found>,
    /// Number of the upload of each file.
    numbers: HashMap<PathBuf, usize>,
    scratch: Option<Staging>,
}

impl ObjectSink {
    /// Asks the bucket what lies at the destination already. Nothing is written.
    pub fn create(
        destination: &Path,
        storage: &Storage,
        options: &Options,
        control: &Control,
    ) -> Result<Self> {
        let mut location = Location::of(destination, storage, options)?;
        let remote = Remote::connect(storage, &location.bucket)?;
        let shared = Arc::new(Shared { remote, control: control.clone(), board: Arc::new(Board::default()) });
        let mut sink = Self {
            shared,
            location: location.clone(),
            existing: options.existing,
            taken: HashMap::new(),
            numbers: HashMap::new(),
            scratch: Staging::create(&std::env::temp_dir().join("questdb_upload")).ok(),
        };
        let found = sink.found(options.existing == Existing::Refuse)?;
        match options.existing {
            Existing::Refuse => sink.refuse(&found)?,
            Existing::Append => location.free_single(|key| Ok(sink.head(key)?.is_none()))?,
            _ => {}
        }
        sink.location = location;
        sink.taken = found;
        Ok(sink)
    }

    fn refuse(&self, found: &HashMap<String, Found>) -> Result<()> {
        let Some(key) = found.keys().min() else { return Ok(()) };
        Err(Error::new(ErrorKind::Exists, "the destination is not empty").in_file(&self.location.url(key)).hint(
            "Use overwrite to replace it, overwrite_or_ignore to replace objects of the same name, or append to add to it.",
        ))
    }

    /// The objects at the destination: below it, and the single one; only the `first` if that is enough.
    fn found(&self, first: bool) -> Result<HashMap<String, Found>> {
        let store = self.shared.remote.store.clone();
        let prefix = parsed(&self.location.prefix)?;
        let answer = self.shared.remote.wait(&self.shared.control, async move {
            let mut found: Vec<ObjectMeta> = Vec::new();
            let mut listing = store.list(Some(&prefix));
            while let Some(object) = listing.next().await {
                found.push(object?);
                if first {
                    return Ok(found);
                }
            }
            Ok(found)
        })?;
        let found =
            answer.map_err(|error| self.shared.remote.failed("look at", &self.location.prefix, &error))?;
        let of = |object: ObjectMeta| {
            (object.location.to_string(), Found { size: object.size, e_tag: object.e_tag })
        };
        let mut found: HashMap<String, Found> = found.into_iter().map(of).collect();
        if let Some(single) = self.head(&self.location.single)? {
            found.insert(self.location.single.clone(), single);
        }
        Ok(found)
    }

    /// What lies under `key`.
    fn head(&self, key: &str) -> Result<Option<Found>> {
        let (store, parsed) = (self.shared.remote.store.clone(), parsed(key)?);
        let answer =
            self.shared.remote.wait(&self.shared.control, async move { store.head(&parsed).await })?;
        match answer {
            Ok(object) => Ok(Some(Found { size: object.size, e_tag: object.e_tag })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.shared.remote.failed("look at", key, &error)),
        }
    }

    /// Makes one object visible.
    fn complete(&self, number: usize, before: &HashMap<String, Found>) -> Result<()> {
        let (key, id, small, parts, length) = {
            let mut state = self.shared.board.lock();
            let upload = state.uploads.get_mut(number).ok_or_else(|| Error::internal("an upload is gone"))?;
            let parts: Option<Vec<_>> = upload.parts.iter().cloned().collect();
            (upload.key.clone(), upload.id.clone(), upload.small.take(), parts, upload.length)
        };
        let store = self.shared.remote.store.clone();
        let wait = &self.shared.control;
        let asked = key.clone();
        let answer = match (small, id, parts) {
            (Some(bytes), _, _) => self
                .shared
                .remote
                .wait(wait, async move { store.put(&asked, PutPayload::from(bytes)).await.map(drop) })?,
            (None, Begun::Yes(id), Some(parts)) => self
                .shared
                .remote
                .wait(wait, async move { store.complete_multipart(&asked, &id, parts).await.map(drop) })?,
            _ => return Err(Error::internal("an upload is not complete")),
        };
        if let Err(error) = answer {
            // The answer may have been lost on its way, after the object was completed.
            if !self.has_appeared(&key, length, before.get(key.as_ref())) {
                return Err(self.shared.remote.failed("complete the upload of", key.as_ref(), &error));
            }
        }
        if let Some(upload) = self.shared.board.lock().uploads.get_mut(number) {
            upload.id = Begun::Over;
        }
        Ok(())
    }

    fn has_appeared(&self, key: &Key, length: u64, before: Option<&Found>) -> bool {
        let (store, key) = (self.shared.remote.store.clone(), key.clone());
        let now = self.shared.remote.wait(&self.shared.control, async move { store.head(&key).await });
        let Ok(Ok(now)) = now else { return false };
        let is_new = before.is_none_or(|before| before.e_tag != now.e_tag || before.size != now.size);
        now.size == length && is_new
    }

    fn delete(&self, key: &str, deadline: Option<Instant>) -> Result<()> {
        let (store, parsed) = (self.shared.remote.store.clone(), parsed(key)?);
        let request = async move { store.delete(&parsed).await };
        let answer = match deadline {
            Some(deadline) => self.shared.remote.wait_until(deadline, request)?,
            None => self.shared.remote.wait(&self.shared.control, request)?,
        };
        match answer {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.shared.remote.failed("delete", key, &error)),
        }
    }
}

impl Sink for ObjectSink {
    fn create(&mut self, relative: &Path) -> Result<Box<dyn SinkFile>> {
        let file = self.shared.begin(parsed(&self.location.key(relative))?);
        self.numbers.insert(relative.to_owned(), file.number());
        Ok(Box::new(file))
    }

    fn is_free(&self, relative: &Path) -> bool {
        !self.taken.contains_key(&self.location.key(relative))
    }

    fn scratch(&self) -> Option<PathBuf> {
        self.scratch.as_ref().map(Staging::spill)
    }

    fn paths(&self) -> PathOf {
        let location = self.location.clone();
        Box::new(move |relative, _| location.url(&location.key(relative)))
    }

    fn max_open(&self) -> usize {
        MAX_OPEN
    }

    fn publish(&mut self, files: &[PathBuf], shape: Shape) -> Result<Vec<PathBuf>> {
        if shape == Shape::Nothing {
            return Ok(Vec::new());
        }
        self.shared.drain()?;
        let before = self.found(self.existing == Existing::Refuse)?;
        if self.existing == Existing::Refuse {
            self.refuse(&before)?;
        }
        let keys: Vec<String> = files.iter().map(|relative| self.location.key(relative)).collect();
        for (done, relative) in files.iter().enumerate() {
            let number = self.numbers.get(relative).copied();
            let number = number.ok_or_else(|| Error::internal("a file that was not begun"))?;
            if let Err(error) = self.complete(number, &before) {
                let deadline = Instant::now() + CLEANUP;
                for key in keys.iter().take(done).filter(|key| !before.contains_key(*key)) {
                    let _ = self.delete(key, Some(deadline));
                }
                return Err(error);
            }
        }
        if self.existing == Existing::Overwrite {
            for key in before.keys().filter(|key| !keys.contains(key)) {
                self.delete(key, None)?;
            }
        }
        Ok(keys.iter().map(|key| self.location.url(key)).collect())
    }
}

impl Drop for ObjectSink {
    fn drop(&mut self) {
        let deadline = Instant::now() + CLEANUP;
        let board = &self.shared.board;
        let mut state = board.lock();
        state.stop();
        while state.is_asking() && Instant::now() < deadline {
            state = board.wait(state);
        }
        let begun = |upload: &Upload| match &upload.id {
            Begun::Yes(id) => Some((upload.key.clone(), id.clone())),
            _ => None,
        };
        let begun: Vec<(Key, String)> = state.uploads.iter().filter_map(begun).collect();
        drop(state);
        if begun.is_empty() {
            return;
        }
        let store = self.shared.remote.store.clone();
        let aborts = begun.into_iter().map(move |(key, id)| {
            let store = store.clone();
            async move { store.abort_multipart(&key, &id).await }
        });
        // What cannot be aborted now, the bucket's rule for unfinished uploads removes.
        let _ = self.shared.remote.wait_until(deadline, join_all(aborts.collect::<Vec<_>>()));
    }
}

fn parsed(key: &str) -> Result<Key> {
    Key::parse(key)
        .map_err(|error| Error::invalid_input(format!("\"{key}\" cannot be the name of an object: {error}")))
}
