//! Row groups in order → files: one open file for each partition in progress, rotation, names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::file::OutputFile;
use crate::layout::{stem, Partition};
use crate::options::{Existing, Layout, Mode, PartitionUnit, Rotation};
use crate::result::{ExportResult, FileResult, RowGroupResult};
use crate::row_group::EncodedRowGroup;
use crate::sink::{Shape, Sink};
use crate::Plan;

/// Files that are open at once, unless the destination wants fewer. Partitions beyond that, in unordered input, continue in a further file.
pub const MAX_OPEN_FILES: usize = 64;

struct Open {
    partition: Partition,
    file: usize,
    writer: OutputFile,
    used: u64,
}

/// The files of one export.
pub struct Dataset {
    plan: Plan,
    sink: Box<dyn Sink>,
    unit: PartitionUnit,
    open: Vec<Open>,
    clock: u64,
    ordinals: HashMap<PathBuf, u64>,
    relative: Vec<PathBuf>,
    files: Vec<FileResult>,
    row_groups: Vec<RowGroupResult>,
}

impl Dataset {
    /// An export without files yet.
    pub fn new(plan: Plan, sink: Box<dyn Sink>, unit: PartitionUnit) -> Self {
        Self {
            plan,
            sink,
            unit,
            open: Vec::new(),
            clock: 0,
            ordinals: HashMap::new(),
            relative: Vec::new(),
            files: Vec::new(),
            row_groups: Vec::new(),
        }
    }

    /// Appends a row group to the file of its partition and returns its description.
    pub fn append(&mut self, group: EncodedRowGroup) -> Result<RowGroupResult> {
        let position = self.file_for(&group)?;
        let (rows, uncompressed, bytes) = (group.rows, group.uncompressed(), group.compressed());
        let partition = group.partition.name(self.unit);
        self.clock += 1;
        let open =
            self.open.get_mut(position).ok_or_else(|| crate::Error::internal("an open file is gone"))?;
        open.used = self.clock;
        let index = open.writer.row_groups();
        open.writer.append(group)?;
        let relative = self.relative.get(open.file).cloned().unwrap_or_default();
        let result =
            RowGroupResult { file: open.file, partition, relative, index, rows, uncompressed, bytes };
        self.plan.control.progress().add_row_group(bytes);
        self.row_groups.push(result.clone());
        Ok(result)
    }

    fn file_for(&mut self, group: &EncodedRowGroup) -> Result<usize> {
        if let Some(position) = self.open.iter().position(|open| open.partition == group.partition) {
            let full = self
                .open
                .get(position)
                .is_some_and(|open| ends(self.plan.options.rotation, &open.writer, group));
            if !full {
                return Ok(position);
            }
            let open = self.open.swap_remove(position);
            self.finish_file(open)?;
        }
        if self.open.len() >= self.sink.max_open() {
            let oldest =
                self.open.iter().enumerate().min_by_key(|(_, open)| open.used).map(|(position, _)| position);
            if let Some(oldest) = oldest {
                let open = self.open.swap_remove(oldest);
                self.finish_file(open)?;
            }
        }
        self.begin_file(group.partition)?;
        Ok(self.open.len() - 1)
    }

    fn begin_file(&mut self, partition: Partition) -> Result<()> {
        let relative = self.name(&partition);
        let file = self.sink.create(&relative)?;
        let writer = OutputFile::new(&self.plan, file, self.sink.location(&relative))?;
        self.files.push(FileResult {
            path: PathBuf::new(),
            partition: partition.name(self.unit),
            rows: 0,
            row_groups: 0,
            bytes: 0,
            uncompressed: 0,
        });
        self.relative.push(relative);
        self.open.push(Open { partition, file: self.files.len() - 1, writer, used: self.clock });
        Ok(())
    }

    /// `2024-01-01.parquet`, then `2024-01-01.1.parquet`; `part-00000.parquet` where there is no partition.
    fn name(&mut self, partition: &Partition) -> PathBuf {
        let layout = self.plan.options.layout.unwrap_or_default();
        let suffix = self.plan.options.suffix();
        let stem = stem(layout, self.unit, partition);
        let ordinal = self.ordinals.entry(stem.clone().unwrap_or_default()).or_insert(0);
        loop {
            let number = *ordinal;
            *ordinal += 1;
            let path = match &stem {
                None => PathBuf::from(format!("part-{number:05}{suffix}")),
                Some(stem) if number == 0 => with_suffix(stem, suffix),
                Some(stem) => with_suffix(stem, &format!(".{number}{suffix}")),
            };
            if self.plan.options.existing != Existing::Append || self.sink.is_free(&path) {
                return path;
            }
        }
    }

    fn finish_file(&mut self, open: Open) -> Result<()> {
        let totals = open.writer.finish()?;
        if let Some(file) = self.files.get_mut(open.file) {
            file.rows = totals.rows;
            file.row_groups = totals.row_groups;
            file.bytes = totals.bytes;
            file.uncompressed = totals.uncompressed;
        }
        self.plan.control.progress().add_file();
        Ok(())
    }

    /// Finishes all files and publishes them.
    pub fn finish(mut self) -> Result<ExportResult> {
        if self.files.is_empty() && self.unit == PartitionUnit::None {
            self.begin_file(Partition::Whole)?;
        }
        for open in std::mem::take(&mut self.open) {
            self.finish_file(open)?;
        }
        self.plan.control.check()?;
        let paths = self.sink.publish(&self.relative, self.shape())?;
        for (file, path) in self.files.iter_mut().zip(paths) {
            file.path = path;
        }
        Ok(ExportResult::new(self.files, self.row_groups))
    }

    fn shape(&self) -> Shape {
        let options = &self.plan.options;
        let one_file_is_the_destination = match options.mode {
            Some(Mode::SingleFile) => true,
            Some(Mode::MultiFile) => false,
            None => match options.layout.unwrap_or_default() {
                Layout::Questdb => true,
                Layout::Parts => options.exact_path && options.layout.is_none(),
                Layout::Hive => false,
            },
        };
        match self.files.len() {
            0 => Shape::Nothing,
            1 if one_file_is_the_destination => Shape::File,
            _ => Shape::Directory,
        }
    }
}

fn with_suffix(stem: &Path, suffix: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether a file ends before `next`: by count, or because it is nearer to its size without it.
fn ends(rotation: Rotation, writer: &OutputFile, next: &EncodedRowGroup) -> bool {
    if rotation.row_groups.is_some_and(|most| writer.row_groups() >= most) {
        return true;
    }
    let Some(target) = rotation.bytes else { return false };
    let without = writer.bytes();
    without.abs_diff(target) <= (without + next.compressed()).abs_diff(target)
}
