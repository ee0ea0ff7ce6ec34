//! One file, of either format; Parquet files in particular.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::error::{Error, Result};
use crate::json::LinesFile;
use crate::metadata;
use crate::options::Format;
use crate::policy;
use crate::row_group::EncodedRowGroup;
use crate::sink::SinkFile;
use crate::Plan;

/// Bytes of footer and indexes for a chunk, roughly.
const FOOTER_PER_CHUNK: u64 = 160;

/// A file being written.
pub enum OutputFile {
    /// Parquet.
    Parquet(Box<FileWriter>),
    /// JSON lines.
    Lines(LinesFile),
}

impl OutputFile {
    /// Begins a file.
    pub fn new(plan: &Plan, file: Box<dyn SinkFile>, path: PathBuf) -> Result<Self> {
        Ok(match plan.options.format {
            Format::Parquet => Self::Parquet(Box::new(FileWriter::new(plan, file, path)?)),
            Format::Jsonl => Self::Lines(LinesFile::new(plan, file, path)),
        })
    }

    /// Appends a row group.
    pub fn append(&mut self, group: EncodedRowGroup) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.append(group),
            Self::Lines(writer) => writer.append(group),
        }
    }

    /// Row groups so far.
    pub fn row_groups(&self) -> u64 {
        match self {
            Self::Parquet(writer) => writer.row_groups(),
            Self::Lines(writer) => writer.totals().row_groups,
        }
    }

    /// Bytes that the file would have if it ended now.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(writer) => writer.bytes(),
            Self::Lines(writer) => writer.totals().bytes,
        }
    }

    /// Ends the file and makes it durable.
    pub fn finish(self) -> Result<FileTotals> {
        match self {
            Self::Parquet(writer) => writer.finish(),
            Self::Lines(writer) => writer.finish(),
        }
    }
}

/// A Parquet file being written.
pub struct FileWriter {
    writer: SerializedFileWriter<Tail>,
    plan: Plan,
    path: PathBuf,
    rows: u64,
    row_groups: u64,
    uncompressed: u64,
}

/// What a finished file holds.
#[derive(Debug, Clone, Copy)]
pub struct FileTotals {
    /// Rows.
    pub rows: u64,
    /// Row groups.
    pub row_groups: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Encoded bytes of its row groups before compression.
    pub uncompressed: u64,
}

impl FileWriter {
    /// Begins a file.
    pub fn new(plan: &Plan, file: Box<dyn SinkFile>, path: PathBuf) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_writer_version(policy::writer_version(&plan.options))
            .set_created_by(metadata::CREATED_BY.to_owned())
            .set_key_value_metadata(metadata::key_values(&plan.schema, &plan.options))
            .set_sorting_columns(metadata::sorting_columns(&plan.schema, &plan.options)?)
            .set_offset_index_disabled(!plan.options.page_index)
            .build();
        let root = plan.schema.parquet.root_schema_ptr();
        let writer =
            SerializedFileWriter::new(Tail { file: Some(file), held: None }, root, Arc::new(properties))?;
        Ok(Self { writer, plan: plan.clone(), path, rows: 0, row_groups: 0, uncompressed: 0 })
    }

    /// Appends a row group.
    pub fn append(&mut self, group: EncodedRowGroup) -> Result<()> {
        self.rows += group.rows;
        self.uncompressed += group.uncompressed();
        self.row_groups += 1;
        let place = |error: parquet::errors::ParquetError, path: &PathBuf| Error::from(error).in_file(path);
        let mut writer = self.writer.next_row_group().map_err(|error| place(error, &self.path))?;
        for chunk in group.chunks {
            self.plan.control.check()?;
            chunk.append(&mut writer).map_err(|error| error.in_file(&self.path))?;
        }
        writer.close().map_err(|error| place(error, &self.path))?;
        Ok(())
    }

    /// Row groups so far.
    pub fn row_groups(&self) -> u64 {
        self.row_groups
    }

    /// Bytes that the file would have if it ended now.
    pub fn bytes(&self) -> u64 {
        let chunks = self.row_groups * self.plan.schema.parquet.num_columns() as u64;
        self.writer.bytes_written() as u64 + chunks * FOOTER_PER_CHUNK
    }

    /// Writes indexes and footer and makes the file durable.
    pub fn finish(mut self) -> Result<FileTotals> {
        let place = |error: Error| error.in_file(&self.path);
        self.writer.flush().map_err(|error| Error::io(&error, "write", &self.path))?;
        self.writer.inner_mut().held = Some(Vec::new());
        self.writer.finish().map_err(|error| place(error.into()))?;
        let bytes = self.writer.bytes_written() as u64;
        let tail = self.writer.inner_mut();
        let mut held = tail.held.take().unwrap_or_default();
        let mut file =
            tail.file.take().ok_or_else(|| place(Error::internal("the file is closed already")))?;
        metadata::type_defined_orders(&mut held, &self.plan.schema.parquet).map_err(place)?;
        file.write_all(&held).map_err(|error| Error::io(&error, "write", &self.path))?;
        file.finish()?;
        Ok(FileTotals {
            rows: self.rows,
            row_groups: self.row_groups,
            bytes,
            uncompressed: self.uncompressed,
        })
    }
}

/// Passes bytes on, or holds the last ones back to be corrected.
struct Tail {
    file: Option<Box<dyn SinkFile>>,
    held: Option<Vec<u8>>,
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (&mut self.held, &mut self.file) {
            (Some(held), _) => {
                held.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            (None, Some(file)) => file.write(bytes),
            (None, None) => Err(io::Error::other("the file is closed already")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}
