//! JSON lines: one object for each row, values as DuckDB's `COPY … (FORMAT json)` renders them.
//!
//! ```text
//! cells     Arrow arrays → values: number, text, time, document (text that is JSON already)
//! lines     rows → a block of lines, compressed, encoded by one thread; blocks are this format's row groups
//! file      blocks → a file
//! size      how long lines are at most, for blocks of limited bytes
//! ```

mod cells;
mod document;
mod file;
mod lines;
mod number;
mod size;
mod text;
mod time;

pub(crate) use cells::check;
pub(crate) use file::LinesFile;
pub(crate) use lines::{LinesEncoder, Store};
pub(crate) use size::line_bytes;
