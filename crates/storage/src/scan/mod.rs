//! From a snapshot to rows: [`Filter`] and projection make a [`ScanPlan`] (pure, printable), a [`Scanner`]
//! hands out morsels of it to any number of threads, and each thread's [`Reader`] turns morsels into
//! chunks and decodes their columns.
//!
//! Filters are hints: every row that satisfies the filter is returned, and some that do not may be.

mod compiled;
mod damage;
mod decode;
mod filter;
mod interval;
mod morsel;
mod needed;
mod plan;
mod prune;
mod reader;
mod runs;
mod salvage;
mod scanner;
mod window;

pub use damage::Damage;
pub use filter::{CompareOp, Filter, Literal};
pub use interval::{Interval, IntervalSet};
pub use morsel::{Chunk, RowSet, Segment};
pub use plan::{Decision, PlannedPartition, Projected, ScanPlan, SkipReason};
pub use reader::Reader;
pub use runs::{Run, Runs, Start, MOST_RESTARTS};
pub(crate) use salvage::{salvage, Damaged};
pub use scanner::{Scanner, MORSEL_ROWS};
