//! Columns of a row group as queues that the pool empties: one column is encoded by one thread at a time, in order; different
//! columns, and columns of different row groups, at the same time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};

use arrow_array::ArrayRef;

use crate::cancel::lock;
use crate::encode::{ColumnEncoder, EncodedChunk};
use crate::error::{Error, Result};
use crate::layout::Partition;
use crate::ordered::{OrderedWriter, POLL};
use crate::policy::PageSizes;
use crate::pool::{Pool, Task};
use crate::row_group::EncodedRowGroup;
use crate::{unit, Plan};

/// Something limited that threads wait for: bytes in queues, row groups being finished.
pub struct Budget {
    used: Mutex<u64>,
    freed: Condvar,
    limit: u64,
}

impl Budget {
    /// A budget of `limit`; a request larger than that is granted when nothing else is used.
    pub fn new(limit: u64) -> Self {
        Self { used: Mutex::new(0), freed: Condvar::new(), limit }
    }

    /// Waits for `amount`.
    pub fn take(&self, amount: u64, plan: &Plan) -> Result<()> {
        let mut used = lock(&self.used);
        while *used > 0 && used.saturating_add(amount) > self.limit {
            plan.control.check()?;
            used = match self.freed.wait_timeout(used, POLL) {
                Ok((used, _)) => used,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        *used += amount;
        Ok(())
    }

    /// Waits until nothing is used.
    pub fn drain(&self, plan: &Plan) -> Result<()> {
        self.take(self.limit, plan)?;
        self.give(self.limit);
        Ok(())
    }

    /// Gives `amount` back.
    pub fn give(&self, amount: u64) {
        let mut used = lock(&self.used);
        *used = used.saturating_sub(amount);
        self.freed.notify_all();
    }
}

/// What lanes share.
pub struct Shared {
    /// The plan.
    pub plan: Plan,
    /// Raw bytes in queues.
    pub queued: Budget,
    /// Row groups closed and not yet written.
    pub closing: Budget,
    /// Where finished row groups go.
    pub output: OrderedWriter,
    /// All row groups that were begun, to break their cycles when the export ends early.
    pub groups: Mutex<Vec<Weak<Group>>>,
}

impl Shared {
    /// Lets go of all row groups; the threads must have ended.
    pub fn abandon(&self) {
        for group in lock(&self.groups).drain(..).filter_map(|group| group.upgrade()) {
            lock(&group.lanes).clear();
        }
    }
}

/// A row group being encoded by the pool.
pub struct Group {
    shared: Arc<Shared>,
    partition: Partition,
    lanes: Mutex<Vec<Arc<Lane>>>,
    /// Rows and number, set when it is closed.
    closed: Mutex<Option<(u64, u64)>>,
    unfinished: AtomicUsize,
}

struct Lane {
    group: Arc<Group>,
    column: usize,
    pages: PageSizes,
    state: Mutex<LaneState>,
    idle: Condvar,
    size: AtomicU64,
}

#[derive(Default)]
struct LaneState {
    queue: VecDeque<(ArrayRef, u64)>,
    encoder: Option<Box<dyn ColumnEncoder>>,
    running: bool,
    closing: bool,
    chunks: Vec<EncodedChunk>,
}

impl Group {
    /// An empty row group.
    pub fn new(shared: &Arc<Shared>, partition: Partition) -> Arc<Self> {
        let columns = unit::count(&shared.plan);
        let group = Arc::new(Self {
            shared: Arc::clone(shared),
            partition,
            lanes: Mutex::new(Vec::new()),
            closed: Mutex::new(None),
            unfinished: AtomicUsize::new(columns),
        });
        let pages = shared.plan.pages();
        *lock(&group.lanes) = (0..columns)
            .map(|column| {
                Arc::new(Lane {
                    group: Arc::clone(&group),
                    column,
                    pages,
                    state: Mutex::default(),
                    idle: Condvar::new(),
                    size: AtomicU64::new(0),
                })
            })
            .collect();
        let mut groups = lock(&shared.groups);
        groups.retain(|group| group.strong_count() > 0);
        groups.push(Arc::downgrade(&group));
        drop(groups);
        group
    }

    /// Queues an array of a column; `bytes` were taken from the budget.
    pub fn push(&self, pool: &Pool, column: usize, array: ArrayRef, bytes: u64) -> Result<()> {
        let lane = lock(&self.lanes)
            .get(column)
            .cloned()
            .ok_or_else(|| Error::internal("a column without a queue"))?;
        lane.schedule(pool, |state| state.queue.push_back((array, bytes)));
        Ok(())
    }

    /// Ends the row group; it is written as number `number` when its columns are done.
    pub fn close(&self, pool: &Pool, rows: u64, number: u64) {
        *lock(&self.closed) = Some((rows, number));
        for lane in lock(&self.lanes).clone() {
            lane.schedule(pool, |state| state.closing = true);
        }
    }

    /// Waits until the queues are empty and returns the encoded, uncompressed bytes so far.
    pub fn measure(&self) -> Result<u64> {
        let mut total = 0;
        for lane in lock(&self.lanes).clone() {
            let mut state = lock(&lane.state);
            while state.running {
                self.shared.plan.control.check()?;
                state = match lane.idle.wait_timeout(state, POLL) {
                    Ok((state, _)) => state,
                    Err(poisoned) => poisoned.into_inner().0,
                };
            }
            total += lane.size.load(Ordering::Relaxed);
        }
        self.shared.plan.control.check()?;
        Ok(total)
    }

    fn lane_done(&self) -> Result<()> {
        if self.unfinished.fetch_sub(1, Ordering::AcqRel) != 1 {
            return Ok(());
        }
        // The lanes point to the group: taking them out lets both be freed.
        let lanes = std::mem::take(&mut *lock(&self.lanes));
        let (rows, number) =
            lock(&self.closed).ok_or_else(|| Error::internal("a row group ended before it was closed"))?;
        let chunks = lanes.iter().flat_map(|lane| std::mem::take(&mut lock(&lane.state).chunks)).collect();
        let outcome =
            self.shared.output.push(number, EncodedRowGroup { rows, partition: self.partition, chunks });
        self.shared.closing.give(1);
        outcome
    }
}

impl Lane {
    fn schedule(self: &Arc<Self>, pool: &Pool, change: impl FnOnce(&mut LaneState)) {
        let mut state = lock(&self.state);
        change(&mut state);
        if !state.running {
            state.running = true;
            drop(state);
            pool.submit(Arc::clone(self) as Arc<dyn Task>);
        }
    }

    fn stop(&self) {
        let mut state = lock(&self.state);
        let freed: u64 = state.queue.drain(..).map(|(_, bytes)| bytes).sum();
        state.running = false;
        state.encoder = None;
        drop(state);
        self.group.shared.queued.give(freed);
        self.idle.notify_all();
    }

    fn encode(&self, encoder_slot: &mut Option<Box<dyn ColumnEncoder>>, array: &ArrayRef) -> Result<()> {
        unit::write(&self.group.shared.plan, self.column, self.pages, encoder_slot, array)?;
        self.size.store(encoder_slot.as_ref().map_or(0, |encoder| encoder.size()), Ordering::Relaxed);
        Ok(())
    }

    /// Empties the queue. Returns whether the column is finished.
    fn drain(&self) -> Result<bool> {
        let shared = &self.group.shared;
        let mut encoder = lock(&self.state).encoder.take();
        loop {
            shared.plan.control.check()?;
            let mut state = lock(&self.state);
            if let Some((array, bytes)) = state.queue.pop_front() {
                drop(state);
                let outcome = self.encode(&mut encoder, &array);
                drop(array);
                shared.queued.give(bytes);
                outcome?;
                continue;
            }
            if !state.closing {
                state.encoder = encoder;
                state.running = false;
                drop(state);
                self.idle.notify_all();
                return Ok(false);
            }
            drop(state);
            let chunks = unit::close(&shared.plan, self.column, encoder)?;
            lock(&self.state).chunks = chunks;
            return Ok(true);
        }
    }
}

impl Task for Lane {
    fn run(self: Arc<Self>) -> Result<()> {
        match self.drain() {
            Ok(true) => self.group.lane_done(),
            Ok(false) => Ok(()),
            Err(error) => {
                self.stop();
                Err(error)
            }
        }
    }
}
