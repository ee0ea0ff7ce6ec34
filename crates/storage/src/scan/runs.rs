//! A scan that starts again when a server got in the way before its first row.
//!
//! ```text
//! begin ──► run 0 ──conflict──► pause, new snapshot ──► run 1 ──► …       20 times at most
//!             │                                           │
//!             └── first row leaves: from now on a conflict ends the scan with its error
//! ```

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// New starts that conflicts may cause, with pauses that grow from 1 to 64 ms.
pub const MOST_RESTARTS: u32 = 20;

/// What a scan needs to start.
pub trait Start {
    /// The scan, over one set of snapshots.
    type Scan;
    /// Why it cannot start.
    type Error;

    /// Whether `error` says that the table changed under the reader: a new snapshot would help.
    fn is_conflict(&self, error: &Self::Error) -> bool;

    /// Whether new snapshots can be taken: nothing else depends on the present ones.
    fn may_renew(&self) -> bool;

    /// Starts over the present snapshots.
    fn start(&mut self) -> Result<Self::Scan, Self::Error>;

    /// Takes new snapshots because of `conflict` and starts over them, as start number `number`.
    fn start_again(&mut self, number: u32, conflict: &Self::Error) -> Result<Self::Scan, Self::Error>;
}

/// One start of a scan.
#[derive(Debug)]
pub struct Run<S> {
    /// How many starts there were before.
    pub number: u32,
    /// The scan, over one set of snapshots.
    pub scan: S,
}

/// All starts of a scan; any number of threads share it.
#[derive(Debug)]
pub struct Runs<S>(RwLock<Current<S>>);

#[derive(Debug)]
struct Current<S> {
    run: Arc<Run<S>>,
    /// Whether a row left the scan: then it cannot start again.
    emitted: bool,
}

impl<S> Runs<S> {
    /// Starts the scan.
    pub fn begin<E>(start: &mut impl Start<Scan = S, Error = E>) -> Result<Self, E> {
        let run = match start.start() {
            Ok(scan) => Run { number: 0, scan },
            Err(error) => again(start, 0, error)?,
        };
        Ok(Self(RwLock::new(Current { run: Arc::new(run), emitted: false })))
    }

    /// The present run.
    pub fn current(&self) -> Arc<Run<S>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).run)
    }

    /// Says that rows of run `number` are about to leave the scan; `false` when that run is over, and its rows
    /// must be dropped.
    pub fn emit(&self, number: u32) -> bool {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if current.run.number != number || current.emitted {
            return current.run.number == number;
        }
        drop(current);
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_current = current.run.number == number;
        current.emitted |= is_current;
        is_current
    }

    /// After `error` in run `number`: starts a new run, unless another thread has done so.
    ///
    /// # Errors
    /// `error` when it is no conflict, or when it is too late.
    pub fn restart<E>(
        &self,
        number: u32,
        error: E,
        start: &mut impl Start<Scan = S, Error = E>,
    ) -> Result<(), E> {
        if !start.is_conflict(&error) {
            return Err(error);
        }
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if current.run.number != number {
            return Ok(());
        }
        if current.emitted {
            return Err(error);
        }
        current.run = Arc::new(again(start, number, error)?);
        Ok(())
    }
}

/// Starts until it succeeds, as often as is allowed after run `number`, which ended with `error`.
fn again<S, E>(
    start: &mut impl Start<Scan = S, Error = E>,
    mut number: u32,
    mut error: E,
) -> Result<Run<S>, E> {
    while start.is_conflict(&error) && number < MOST_RESTARTS && start.may_renew() {
        std::thread::sleep(Duration::from_millis(1 << number.min(6)));
        number = number.saturating_add(1);
        match start.start_again(number, &error) {
            Ok(scan) => return Ok(Run { number, scan }),
            Err(next) => error = next,
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    /// Fails with these errors, the last one first; the scan is the number of starts.
    struct Script {
        failures: Vec<Error>,
        starts: u32,
        shared: bool,
    }

    impl Start for Script {
        type Scan = u32;
        type Error = Error;

        fn is_conflict(&self, error: &Error) -> bool {
            error.kind() == ErrorKind::Conflict
        }

        fn may_renew(&self) -> bool {
            !self.shared
        }

        fn start(&mut self) -> Result<u32, Error> {
            self.starts += 1;
            self.failures.pop().map_or(Ok(self.starts), Err)
        }

        fn start_again(&mut self, number: u32, conflict: &Error) -> Result<u32, Error> {
            assert!(number >= self.starts && self.is_conflict(conflict));
            self.start()
        }
    }

    fn script(failures: Vec<Error>) -> Script {
        Script { failures, starts: 0, shared: false }
    }

    fn conflict() -> Error {
        Error::new(ErrorKind::Conflict, "changed")
    }

    #[test]
    fn conflicts_start_it_again_and_other_errors_end_it() {
        let run = Runs::begin(&mut script(vec![conflict(), conflict()])).unwrap().current();
        assert_eq!((run.number, run.scan), (2, 3));
        let error = Runs::begin(&mut script(vec![Error::unsupported("x"), conflict()])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn constant_conflict_ends_it_after_the_last_allowed_start() {
        let mut start = script(vec![conflict(); 9]);
        assert!(again(&mut start, MOST_RESTARTS - 2, conflict()).is_err());
        assert_eq!(start.starts, 2);
    }

    #[test]
    fn nothing_starts_again_once_a_row_has_left_or_snapshots_are_shared() {
        let mut start = script(Vec::new());
        let runs = Runs::begin(&mut start).unwrap();
        start.shared = true;
        assert!(runs.restart(0, conflict(), &mut start).is_err(), "snapshots are shared");
        start.shared = false;
        runs.restart(0, conflict(), &mut start).unwrap();
        assert!(!runs.emit(0), "rows of the run before are dropped");
        assert!(runs.emit(1));
        assert!(runs.restart(1, conflict(), &mut start).is_err());
        assert!(runs.restart(0, conflict(), &mut start).is_ok(), "a thread of the run before goes on");
        assert_eq!((runs.current().number, start.starts), (1, 2));
    }
}
