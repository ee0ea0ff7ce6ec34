//! Objects being written: full parts leave in the background while rows are encoded, a few at a time.
//!
//! An upload that was begun shows nothing under the object's name until it is completed, which is what publishing does. Small objects wait in
//! memory for that moment instead.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::PutPayload;
use tokio::task::AbortHandle;

use super::remote::Remote;
use crate::cancel::{lock, Control};
use crate::error::{Error, Result};
use crate::ordered::POLL;
use crate::sink::SinkFile;

/// Bytes of a part; stores take no smaller ones than 5 MiB, but for the last.
const PART: usize = 8 << 20;
/// Parts after which they double: 10 000 of them, the most that stores take, hold any object then.
const DOUBLE_AFTER: usize = 1000;
/// Parts under way at once, of all objects.
const PARALLEL: usize = 4;
/// Bytes of small objects that wait in memory.
const HELD: usize = 16 << 20;

/// Shared by all objects of an export.
pub struct Shared {
    /// The bucket.
    pub remote: Remote,
    /// Cancel token of the export.
    pub control: Control,
    /// What requests report to. They have no other part of this: it must not end on their thread.
    pub board: Arc<Board>,
}

/// What is known of the uploads.
#[derive(Default)]
pub struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

/// State of all uploads.
#[derive(Default)]
pub struct State {
    /// By number.
    pub uploads: Vec<Upload>,
    /// Parts under way.
    under_way: usize,
    /// Bytes of small objects.
    held: usize,
    /// The first failure, and the action, key of it.
    failure: Option<(String, String, Arc<object_store::Error>)>,
}

/// One object.
pub struct Upload {
    /// Its key.
    pub key: Key,
    /// The multipart upload, once it is begun.
    pub id: Begun,
    /// The parts that arrived.
    pub parts: Vec<Option<PartId>>,
    /// The whole object, when it is small.
    pub small: Option<Bytes>,
    /// Bytes.
    pub length: u64,
    tasks: Vec<AbortHandle>,
}

/// A multipart upload's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Not yet.
    No,
    /// The store was asked.
    Asked,
    /// Its id.
    Yes(String),
    /// It is completed, or aborted.
    Over,
}

impl Board {
    /// The state.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits a little for a change.
    pub fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        match self.changed.wait_timeout(state, POLL) {
            Ok((state, _)) => state,
            Err(poisoned) => PoisonError::into_inner(poisoned).0,
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl State {
    fn fail(&mut self, action: &str, key: &Key, error: object_store::Error) {
        let failure = (action.to_owned(), key.to_string(), Arc::new(error));
        self.failure.get_or_insert(failure);
    }

    /// Ends all requests for parts.
    pub fn stop(&mut self) {
        self.uploads.iter_mut().flat_map(|upload| upload.tasks.drain(..)).for_each(|task| task.abort());
    }

    /// Whether the store was asked to begin an upload and has not answered.
    pub fn is_asking(&self) -> bool {
        self.uploads.iter().any(|upload| upload.id == Begun::Asked)
    }
}

impl Shared {
    /// An error when a request failed, or the export is stopped.
    pub fn check(&self, state: &State) -> Result<()> {
        if let Some((action, key, error)) = &state.failure {
            return Err(self.remote.failed(action, key, error));
        }
        self.control.check()
    }

    /// Waits until all parts have arrived.
    pub fn drain(&self) -> Result<()> {
        let mut state = self.board.lock();
        while state.under_way > 0 {
            self.check(&state)?;
            state = self.board.wait(state);
        }
        self.check(&state)
    }

    /// Begins an object.
    pub fn begin(self: &Arc<Self>, key: Key) -> ObjectFile {
        let mut state = self.board.lock();
        let upload =
            Upload { key, id: Begun::No, parts: Vec::new(), small: None, length: 0, tasks: Vec::new() };
        state.uploads.push(upload);
        let number = state.uploads.len() - 1;
        drop(state);
        ObjectFile { shared: Arc::clone(self), number, buffer: Vec::new(), next: 0 }
    }
}

/// The writing end of one object.
pub struct ObjectFile {
    shared: Arc<Shared>,
    number: usize,
    buffer: Vec<u8>,
    /// Number of the part that the buffer becomes.
    next: usize,
}

/// Bytes of a part.
const fn part_size(number: usize) -> usize {
    PART << (number / DOUBLE_AFTER)
}

fn gone() -> Error {
    Error::internal("an upload is gone")
}

impl ObjectFile {
    /// Its number among the uploads.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Key and id of the upload, which is begun if it was not.
    fn upload(&self) -> Result<(Key, String)> {
        let board = &self.shared.board;
        let mut state = board.lock();
        loop {
            self.shared.check(&state)?;
            let upload = state.uploads.get_mut(self.number).ok_or_else(gone)?;
            match &upload.id {
                Begun::Yes(id) => return Ok((upload.key.clone(), id.clone())),
                Begun::No => {
                    upload.id = Begun::Asked;
                    let key = upload.key.clone();
                    drop(state);
                    self.ask(key);
                    state = board.lock();
                }
                _ => state = board.wait(state),
            }
        }
    }

    /// Asks the store for an upload. Its answer is noted even when nobody waits for it, so that the upload can be aborted.
    fn ask(&self, key: Key) {
        let (store, board, number) =
            (self.shared.remote.store.clone(), Arc::clone(&self.shared.board), self.number);
        self.shared.remote.spawn(async move {
            let answer = store.create_multipart(&key).await;
            board.change(|state| {
                let Some(upload) = state.uploads.get_mut(number) else { return };
                match answer {
                    Ok(id) => upload.id = Begun::Yes(id),
                    Err(error) => {
                        upload.id = Begun::Over;
                        state.fail("begin the upload of", &key, error);
                    }
                }
            });
        });
    }

    /// Sends the buffer as the next part, once there is room.
    fn send(&mut self) -> Result<()> {
        let (key, id) = self.upload()?;
        let board = Arc::clone(&self.shared.board);
        let mut state = board.lock();
        while state.under_way >= PARALLEL {
            self.shared.check(&state)?;
            state = board.wait(state);
        }
        state.under_way += 1;
        let (number, index) = (self.number, self.next);
        self.next += 1;
        let payload = PutPayload::from(std::mem::take(&mut self.buffer));
        let upload = state.uploads.get_mut(number).ok_or_else(gone)?;
        upload.parts.push(None);
        let store = self.shared.remote.store.clone();
        let board = Arc::clone(&board);
        let task = self.shared.remote.spawn(async move {
            let answer = put(&store, &key, &id, index, payload).await;
            board.change(|state| {
                state.under_way = state.under_way.saturating_sub(1);
                match answer {
                    Ok(part) => {
                        let upload = state.uploads.get_mut(number);
                        if let Some(slot) = upload.and_then(|upload| upload.parts.get_mut(index)) {
                            *slot = Some(part);
                        }
                    }
                    Err(error) => state.fail(&format!("upload part {} of", index + 1), &key, error),
                }
            });
        });
        upload.tasks.retain(|task| !task.is_finished());
        upload.tasks.push(task);
        Ok(())
    }
}

async fn put(
    store: &AmazonS3,
    key: &Key,
    id: &String,
    index: usize,
    payload: PutPayload,
) -> object_store::Result<PartId> {
    store.put_part(key, id, index, payload).await
}

impl Write for ObjectFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = part_size(self.next).saturating_sub(self.buffer.len());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= part_size(self.next) {
            self.send().map_err(io::Error::other)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SinkFile for ObjectFile {
    fn finish(mut self: Box<Self>) -> Result<()> {
        {
            let mut state = self.shared.board.lock();
            self.shared.check(&state)?;
            let sent: u64 = (0..self.next).map(|number| part_size(number) as u64).sum();
            let length = self.buffer.len();
            let hold = self.next == 0 && state.held + length <= HELD;
            if hold {
                state.held += length;
            }
            let upload = state.uploads.get_mut(self.number).ok_or_else(gone)?;
            upload.length = sent + length as u64;
            if hold {
                upload.small = Some(std::mem::take(&mut self.buffer).into());
                return Ok(());
            }
        }
        match self.buffer.is_empty() && self.next > 0 {
            true => Ok(()),
            false => self.send(),
        }
    }
}
