//! Time as a thread has it: what it waits for a processor does not count.
//!
//! On a machine with more work than processors, tens of milliseconds can pass between two steps of one statement. Linux
//! says how long a thread was ready to run and did not; elsewhere, time is what the clock says.

use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// When a thread was somewhere.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: Instant,
    thread: ThreadId,
    /// How long the thread had waited for a processor by then.
    waited: Duration,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { at: Instant::now(), thread: std::thread::current().id(), waited: waited() }
    }

    /// The time by the clock since then.
    pub fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }

    /// The time from this moment to `later`, without what the thread waited for a processor if it is the same one.
    pub fn until(&self, later: &Self) -> Duration {
        let elapsed = later.at.saturating_duration_since(self.at);
        match self.thread == later.thread {
            true => elapsed.saturating_sub(later.waited.saturating_sub(self.waited)),
            false => elapsed,
        }
    }
}

/// The second number of the file: nanoseconds in the queue of a processor.
fn waited() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_thread_waits_for_nothing() {
        let thread = std::thread::current().id();
        let start = Instant::now();
        let moment = |millis: u64, waited: u64| Moment {
            at: start + Duration::from_millis(millis),
            thread,
            waited: Duration::from_millis(waited),
        };
        assert_eq!(moment(0, 5).until(&moment(300, 285)), Duration::from_millis(20));
        let other = std::thread::spawn(|| std::thread::current().id()).join().unwrap();
        let elsewhere = Moment { thread: other, ..moment(300, 285) };
        assert_eq!(moment(0, 5).until(&elsewhere), Duration::from_millis(300));
    }
}
