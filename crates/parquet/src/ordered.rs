//! Finished row groups in any order → files in the right one.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::cancel::lock;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::options::PartitionUnit;
use crate::result::{ExportResult, RowGroupResult};
use crate::row_group::EncodedRowGroup;
use crate::sink::Sink;
use crate::Plan;

/// How long a wait lasts before the cancel token is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// Takes numbered row groups from any thread and appends them to files by number.
///
/// Every number from 0 on must be given exactly once, by [`Self::push`] or [`Self::skip`]. The thread that brings the next
/// number writes, and whatever waits behind it.
pub struct OrderedWriter {
    plan: Plan,
    state: Mutex<State>,
    written: Condvar,
    ahead: u64,
}

struct State {
    next: u64,
    pending: BTreeMap<u64, Option<EncodedRowGroup>>,
    /// Taken out by the thread that writes.
    dataset: Option<Dataset>,
    results: Vec<RowGroupResult>,
}

impl OrderedWriter {
    /// A writer into `sink`. A number more than `ahead` before its turn makes its thread wait.
    pub fn new(plan: &Plan, sink: Box<dyn Sink>, unit: PartitionUnit, ahead: usize) -> Self {
        let dataset = Some(Dataset::new(plan.clone(), sink, unit));
        Self {
            plan: plan.clone(),
            state: Mutex::new(State { next: 0, pending: BTreeMap::new(), dataset, results: Vec::new() }),
            written: Condvar::new(),
            ahead: ahead.max(1) as u64,
        }
    }

    /// Gives row group `number`; returns when it is written, or waits for its turn without occupying the thread.
    pub fn push(&self, number: u64, group: EncodedRowGroup) -> Result<()> {
        self.put(number, Some(group))
    }

    /// Says that there is no row group `number`.
    pub fn skip(&self, number: u64) -> Result<()> {
        self.put(number, None)
    }

    fn put(&self, number: u64, group: Option<EncodedRowGroup>) -> Result<()> {
        let mut state = lock(&self.state);
        if number < state.next || state.pending.insert(number, group).is_some() {
            return Err(Error::internal(format!("row group {number} was given twice")));
        }
        loop {
            self.plan.control.check()?;
            if state.dataset.is_some() && state.pending.contains_key(&state.next) {
                break;
            }
            if number < state.next + self.ahead {
                return Ok(());
            }
            state = match self.written.wait_timeout(state, POLL) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        let Some(mut dataset) = state.dataset.take() else { return Ok(()) };
        loop {
            let next = state.next;
            let Some(group) = state.pending.remove(&next) else { break };
            drop(state);
            let outcome = group.map(|group| dataset.append(group)).transpose();
            state = lock(&self.state);
            match outcome {
                Ok(result) => state.results.extend(result),
                Err(error) => {
                    // The dataset is dropped, and with it every file.
                    self.plan.control.fail(error.clone());
                    self.written.notify_all();
                    return Err(error);
                }
            }
            state.next += 1;
            self.written.notify_all();
        }
        state.dataset = Some(dataset);
        Ok(())
    }

    /// The row groups written since the last call.
    pub fn take_results(&self) -> Vec<RowGroupResult> {
        std::mem::take(&mut lock(&self.state).results)
    }

    /// Row groups that wait for an earlier one.
    pub fn pending(&self) -> usize {
        lock(&self.state).pending.len()
    }

    /// Finishes and publishes the files. All row groups must have been given.
    pub fn finish(&self) -> Result<ExportResult> {
        self.plan.control.check()?;
        let mut state = lock(&self.state);
        if !state.pending.is_empty() {
            let error = Error::internal(format!("row group {} is missing", state.next));
            self.plan.control.fail(error.clone());
            return Err(error);
        }
        let dataset = state
            .dataset
            .take()
            .ok_or_else(|| Error::internal("the export is finished already, or still writes"))?;
        drop(state);
        dataset.finish().inspect_err(|error| self.plan.control.fail(error.clone()))
    }

    /// Drops all files and what was not written yet.
    pub fn abort(&self) {
        let mut state = lock(&self.state);
        state.pending.clear();
        state.dataset = None;
    }
}
