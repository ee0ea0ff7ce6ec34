//! One file of JSON lines.

use std::io::Write;
use std::path::PathBuf;

use super::lines;
use crate::encode::EncodedChunk;
use crate::error::{Error, Result};
use crate::file::FileTotals;
use crate::row_group::EncodedRowGroup;
use crate::sink::SinkFile;
use crate::Plan;

/// A file being written.
pub struct LinesFile {
    file: Box<dyn SinkFile>,
    plan: Plan,
    path: PathBuf,
    totals: FileTotals,
}

impl LinesFile {
    /// Begins a file.
    pub fn new(plan: &Plan, file: Box<dyn SinkFile>, path: PathBuf) -> Self {
        let totals = FileTotals { rows: 0, row_groups: 0, bytes: 0, uncompressed: 0 };
        Self { file, plan: plan.clone(), path, totals }
    }

    /// Appends a block.
    pub fn append(&mut self, group: EncodedRowGroup) -> Result<()> {
        self.totals.rows += group.rows;
        self.totals.uncompressed += group.uncompressed();
        self.totals.bytes += group.compressed();
        self.totals.row_groups += 1;
        for chunk in group.chunks {
            let EncodedChunk::Lines { store, .. } = chunk else {
                return Err(Error::internal("a block that is not JSON lines").in_file(&self.path));
            };
            let check = || self.plan.control.check();
            store.write_to(&mut self.file, &check).map_err(|error| error.in_file(&self.path))?;
        }
        Ok(())
    }

    /// What it holds so far.
    pub fn totals(&self) -> FileTotals {
        self.totals
    }

    /// Makes the file durable.
    pub fn finish(mut self) -> Result<FileTotals> {
        if self.totals.bytes == 0 {
            let empty = lines::empty(self.plan.options.compression)?;
            self.file.write_all(&empty).map_err(|error| Error::io(&error, "write", &self.path))?;
            self.totals.bytes = empty.len() as u64;
        }
        self.file.finish()?;
        Ok(self.totals)
    }
}
