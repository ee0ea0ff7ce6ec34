//! Threads that run small tasks in the order they come.

use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::cancel::{lock, Control};
use crate::error::{Error, ErrorKind, Result};

/// Work for the pool.
pub trait Task: Send + Sync {
    /// Does it. An error fails the export.
    fn run(self: Arc<Self>) -> Result<()>;
}

struct Queue {
    tasks: VecDeque<Arc<dyn Task>>,
    stop: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    control: Control,
}

/// A fixed number of threads; dropped, they end after the task they are at.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts the threads.
    pub fn new(threads: usize, control: Control) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { tasks: VecDeque::new(), stop: false }),
            wake: Condvar::new(),
            control,
        });
        let mut pool = Self { shared, threads: Vec::new() };
        for _ in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = Builder::new()
                .name("questdb-parquet".to_owned())
                .spawn(move || work(&shared))
                .map_err(|error| Error::new(ErrorKind::Io, format!("cannot start a thread: {error}")))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Queues a task.
    pub fn submit(&self, task: Arc<dyn Task>) {
        lock(&self.shared.queue).tasks.push_back(task);
        self.shared.wake.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.queue).stop = true;
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A panic inside a task was caught; the thread itself has nothing to report.
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared) {
    loop {
        let task = {
            let mut queue = lock(&shared.queue);
            loop {
                if queue.stop {
                    return;
                }
                match queue.tasks.pop_front() {
                    Some(task) => break task,
                    None => queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
                }
            }
        };
        match catch_unwind(AssertUnwindSafe(|| task.run())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.control.fail(error),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                shared.control.fail(Error::internal(format!("a panic while encoding: {text}")));
            }
        }
    }
}
