//! One export: what it is, how far it is, and the one place where its state changes.
//!
//! ```text
//! Queued ──► Running ──► Publishing ──► Over
//!    └──────────┴── cancel, error ───────┘
//! ```
//!
//! A cancelled job writes nothing under a final name: publishing begins only if nobody has cancelled, and who cancels later
//! waits for the outcome.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::Result;
use questdb_parquet::{ExportResult, RowGroupResult};

use super::counters::Counters;
use super::file;
use super::id::JobId;
use super::log::{self, LogRow};
use super::metrics::resident_bytes;
use super::outcome::{Outcome, Summary};
use super::phase::{Phase, Status};
use super::settings::Settings;

/// What the server writes when a user cancels.
pub const BY_USER: &str = "cancelled by user";

/// How often an export is started, because a server gets in the way.
pub const MOST_STARTS: u32 = 5;

/// How long a cancellation waits for files that are being published.
const MOST_PUBLISHING: Duration = Duration::from_secs(10);

/// What is exported, and where to.
#[derive(Debug, Clone)]
pub struct Description {
    /// The table; none for a query.
    pub table_name: Option<String>,
    /// The destination as it is shown. Never with credentials.
    pub destination: String,
    /// The destination as it is compared with those of other exports.
    pub key: String,
    /// In an object store.
    pub is_remote: bool,
    /// `single_file` or `multi_file`, when it was said.
    pub mode: Option<&'static str>,
    /// Whether time and memory are shown.
    pub include_metrics: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Running,
    Publishing,
    Over,
}

struct State {
    stage: Stage,
    phase: Phase,
    begun: Option<(i64, Instant)>,
    ended: Option<(i64, Duration)>,
    outcome: Option<Outcome>,
    /// Why it was cancelled.
    reason: &'static str,
    /// Why it began again, each time.
    restarts: Vec<String>,
}

impl State {
    /// That it began again, and why.
    fn restarts(&self) -> Option<String> {
        let last = self.restarts.last()?;
        Some(format!("began again, {} of {} possible times: {last}", self.restarts.len(), MOST_STARTS - 1))
    }
}

/// A job as it is at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// `queued`, `running`, `finished`, `failed` or `cancelled`.
    pub status: &'static str,
    /// The step at work, or the last one.
    pub phase: &'static str,
    /// When it began.
    pub begun: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// How long it ran, or has run.
    pub elapsed: Option<Duration>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// That it began again, and why.
    pub restarts: Option<String>,
}

/// An export.
pub struct Job {
    id: JobId,
    description: Description,
    settings: Settings,
    cancel: Arc<AtomicBool>,
    counters: Counters,
    /// Why the log file lacks rows.
    log_problem: Mutex<Option<String>>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Job {
    /// A job that has not begun.
    pub fn new(description: Description, settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            id: JobId::new(),
            description,
            settings: settings.clone(),
            cancel: Arc::default(),
            counters: Counters::default(),
            log_problem: Mutex::default(),
            state: Mutex::new(State {
                stage: Stage::Queued,
                phase: Phase::WaitToRun,
                begun: None,
                ended: None,
                outcome: None,
                reason: BY_USER,
                restarts: Vec::new(),
            }),
            changed: Condvar::new(),
        })
    }

    /// Its id.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// What it exports.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The table's name, as the server gives one to a query.
    pub fn table_name(&self) -> String {
        self.description.table_name.clone().unwrap_or_else(|| format!("copy.{}", self.id))
    }

    /// True when it must stop.
    pub fn cancel_token(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// Whether it must stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Acquire)
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.state().stage == Stage::Over
    }

    /// How far it is.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts row groups that were written; `part` of all rows, from 0 to 1, was read by now.
    pub fn record<'a>(&self, written: impl IntoIterator<Item = &'a RowGroupResult>, part: f64) {
        self.counters.add(written);
        self.counters.set_progress(part * 100.0);
        self.sample_memory();
    }

    /// Forgets what was written: the export begins again with a newer state of the table, because of `error`.
    pub fn begin_again(&self, error: &Error) {
        self.state().restarts.push(error.message.clone());
        self.counters.reset();
    }

    fn sample_memory(&self) {
        if self.description.include_metrics {
            self.counters.saw_memory(resident_bytes().unwrap_or(0));
        }
    }

    /// How it stands now.
    pub fn view(&self) -> View {
        let state = self.state();
        let status = match (&state.outcome, state.stage) {
            (Some(outcome), _) => outcome.status().name(),
            (None, Stage::Queued) => "queued",
            (None, _) => "running",
        };
        let elapsed = state.ended.map(|(_, elapsed)| elapsed);
        View {
            status,
            phase: state.phase.name(),
            begun: state.begun.map(|(at, _)| at),
            ended: state.ended.map(|(at, _)| at),
            elapsed: elapsed.or_else(|| state.begun.map(|(_, since)| since.elapsed())),
            outcome: state.outcome.clone(),
            restarts: state.restarts(),
        }
    }

    /// Logs that it waits for its turn.
    ///
    /// # Errors
    /// The log file cannot be written; then the job is over.
    pub fn queued(&self) -> Result<()> {
        if let Some(path) = &self.settings.log_path {
            file::check(path).inspect_err(|error| self.end(Err(error)))?;
        }
        let state = self.state();
        self.log(&state, Status::Started, Some("queued".to_owned()));
        Ok(())
    }

    /// Its turn has come; `false` when it was cancelled before.
    pub fn begin(&self) -> bool {
        let mut state = self.state();
        if state.stage != Stage::Queued {
            return false;
        }
        self.log(&state, Status::Finished, Some(String::new()));
        state.stage = Stage::Running;
        state.begun = Some((log::now(), Instant::now()));
        state.phase = match self.description.table_name {
            Some(_) => Phase::ConvertingPartitions,
            None => Phase::StreamSendingData,
        };
        self.log(&state, Status::Started, None);
        drop(state);
        self.sample_memory();
        true
    }

    /// All rows are encoded: the files get their names next.
    ///
    /// # Errors
    /// It was cancelled.
    pub fn begin_publishing(&self) -> questdb_parquet::Result<()> {
        let mut state = self.state();
        if self.is_cancelled() {
            return Err(questdb_parquet::Error::cancelled());
        }
        state.stage = Stage::Publishing;
        self.log(&state, Status::Finished, state.restarts());
        state.phase = if self.description.is_remote { Phase::SendingData } else { Phase::MoveFiles };
        self.log(&state, Status::Started, None);
        Ok(())
    }

    /// Logs that the step at work is done.
    pub fn finish_phase(&self) {
        let state = self.state();
        self.log(&state, Status::Finished, None);
    }

    /// It has ended: with files, or with an error, which is a consequence of the cancellation if there was one.
    pub fn end(&self, result: std::result::Result<&ExportResult, &Error>) {
        let mut state = self.state();
        if state.stage == Stage::Over {
            return;
        }
        let outcome = match result {
            Ok(result) => Outcome::Finished(Arc::new(Summary::new(result, &self.description.destination))),
            Err(error) if self.is_cancelled() || error.code == DuckDBError::RuntimeInterrupt => {
                Outcome::Cancelled(state.reason.to_owned())
            }
            Err(error) => Outcome::Failed(match state.restarts.len() {
                0 => error.message.clone(),
                times => format!("{}\nThe export began again {times} times before.", error.message),
            }),
        };
        self.sample_memory();
        self.over(&mut state, outcome);
    }

    /// It has ended without a result, as nobody wants one any more.
    pub fn abandon(&self, reason: &'static str) {
        let mut state = self.state();
        if state.stage != Stage::Over {
            let reason = if self.is_cancelled() { state.reason } else { reason };
            self.cancel.store(true, Ordering::Release);
            self.over(&mut state, Outcome::Cancelled(reason.to_owned()));
        }
    }

    /// Asks it to stop, and answers as the server does: `cancelled`, or how it had ended before.
    pub fn cancel(&self, reason: &'static str) -> &'static str {
        let mut state = self.state();
        match state.stage {
            Stage::Over => {}
            Stage::Queued => {
                self.cancel.store(true, Ordering::Release);
                self.over(&mut state, Outcome::Cancelled(reason.to_owned()));
            }
            Stage::Running => {
                if !self.cancel.swap(true, Ordering::AcqRel) {
                    state.reason = reason;
                }
                return Status::Cancelled.name();
            }
            Stage::Publishing => {
                let over = |state: &mut State| state.stage != Stage::Over;
                let waited = self.changed.wait_timeout_while(state, MOST_PUBLISHING, over);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        match &state.outcome {
            Some(outcome) => outcome.status().name(),
            None => "running",
        }
    }

    fn over(&self, state: &mut State, outcome: Outcome) {
        let elapsed = state.begun.map_or(Duration::ZERO, |(_, since)| since.elapsed());
        state.ended = Some((log::now(), elapsed));
        state.stage = Stage::Over;
        let message = match &outcome {
            Outcome::Finished(_) => {
                state.phase = Phase::Success;
                self.counters.set_progress(100.0);
                None
            }
            Outcome::Failed(message) | Outcome::Cancelled(message) => Some(message.clone()),
        };
        let status = outcome.status();
        state.outcome = Some(outcome);
        self.log(state, status, message);
        self.changed.notify_all();
    }

    fn log(&self, state: &State, status: Status, message: Option<String>) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut row = LogRow {
            ts: log::now(),
            id: self.id.to_string(),
            table_name: self.table_name(),
            export_path: None,
            num_exported_files: None,
            phase: Cow::Borrowed(state.phase.name()),
            status: Cow::Borrowed(status.name()),
            message,
            errors: if matches!(status, Status::Failed | Status::Cancelled) { -1 } else { 0 },
            rows: number(self.counters.rows()),
            bytes: number(self.counters.bytes()),
            progress: self.counters.progress(),
        };
        if let Some(Outcome::Finished(summary)) = &state.outcome {
            row.export_path = Some(summary.path.clone());
            row.num_exported_files = Some(number(summary.files.len() as u64));
            row.rows = number(summary.rows);
            row.bytes = number(summary.bytes);
        }
        let is_last = state.stage == Stage::Over;
        if let Some(problem) = self.log_problem().filter(|_| is_last) {
            row.message =
                Some(row.message.map_or(problem.clone(), |message| format!("{message}\n{problem}")));
        }
        if let Some(path) = &self.settings.log_path {
            // Once for each export, and before there is much to do.
            let is_first = state.stage == Stage::Queued;
            let retention = self.settings.retention.filter(|_| is_first);
            if let Err(error) = file::append(path, &row, retention) {
                // No reason to fail: the rows are in memory, and the last one there says it.
                if is_last && self.log_problem().is_none() {
                    row.message = Some(
                        row.message.map_or(error.message.clone(), |m| format!("{m}\n{}", error.message)),
                    );
                }
                self.log_problem.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.message);
            }
        }
        log::append(row, self.settings.retention);
    }

    fn log_problem(&self) -> Option<String> {
        self.log_problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
