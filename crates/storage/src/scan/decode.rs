//! From rows of a partition to a sink: which file or row group each row comes from, and what stands in its place when
//! it cannot be read.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::morsel::{Buffers, OpenPartition, RowSet};
use super::salvage::{salvage, Damaged};
use crate::error::{Error, Result};
use crate::parquet::{GroupColumn, ParquetFile};
use crate::table::{Column, ColumnRows, Remains};
use crate::types::{self, ColumnSink, ColumnSource, ColumnType, Discard, Rows, Scratch};

/// Decodes one column of one partition.
pub(super) struct Decoder<'a> {
    pub(super) open: &'a OpenPartition,
    pub(super) column: &'a Column,
    /// Position of the column in the snapshot.
    pub(super) index: usize,
    pub(super) raw: bool,
}

/// Where values are.
#[derive(Clone, Copy)]
enum Values<'a> {
    Files(&'a ColumnSource),
    /// And the file that they are from, which errors about decoded values do not know.
    Group(&'a GroupColumn, &'a Path),
}

impl Decoder<'_> {
    /// Decodes `rows` into `sink`.
    pub(super) fn decode<S: ColumnSink>(
        &self,
        rows: &RowSet,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<()> {
        if let ColumnType::Unknown(code) = self.column.column_type {
            self.tolerate(types::unknown(code))?;
            return sink.nulls(rows.len());
        }
        let file = match self.open.parquet() {
            Ok(file) => file,
            Err(error) => return Err(self.explain(error)),
        };
        if let Some(file) = file {
            return self.groups(file, rows, buffers, sink);
        }
        match self.open.column(self.index) {
            Ok(ColumnRows::Absent) => types::missing(self.column.column_type, rows.len(), sink),
            Ok(ColumnRows::Stored { top, source }) => {
                self.stored(*top, u64::MAX, source, rows, buffers, sink)
            }
            Err(error) => {
                self.tolerate(error)?;
                match self.open.remains(self.index) {
                    Some(Remains { top, readable, source }) => {
                        self.stored(*top, *readable, source, rows, buffers, sink)
                    }
                    None => sink.nulls(rows.len()),
                }
            }
        }
    }

    /// Splits `rows` at the column top: what lies above it is missing, then come `readable` rows, and the rest is lost.
    fn stored<S: ColumnSink>(
        &self,
        top: u64,
        readable: u64,
        source: &ColumnSource,
        rows: &RowSet,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<()> {
        let end = top.saturating_add(readable);
        let (above, stored, lost) = match rows {
            RowSet::Range(range) => {
                let (first, last) = (top.clamp(range.start, range.end), end.clamp(range.start, range.end));
                let stored = Rows::Range { start: first - top.min(first), len: (last - first) as usize };
                (first - range.start, stored, range.end - last)
            }
            RowSet::List(list) => {
                let (above, rest) = list.split_at(list.partition_point(|row| u64::from(*row) < top));
                let (stored, lost) = rest.split_at(rest.partition_point(|row| u64::from(*row) < end));
                let base = u32::try_from(top).unwrap_or(u32::MAX);
                (above.len() as u64, Rows::List { rows: stored, base }, lost.len() as u64)
            }
        };
        if above > 0 {
            types::missing(self.column.column_type, above as usize, sink)?;
        }
        if !stored.is_empty() {
            let Buffers { scratch, probe, .. } = buffers;
            self.read(Values::Files(source), stored, (scratch, probe), sink)?;
        }
        if lost > 0 {
            sink.nulls(lost as usize)?;
        }
        Ok(())
    }

    /// Decodes `rows` of a Parquet partition, row group by row group.
    fn groups<S: ColumnSink>(
        &self,
        file: &Arc<ParquetFile>,
        rows: &RowSet,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<()> {
        if !file.has_column(self.index) {
            return types::missing(self.column.column_type, rows.len(), sink);
        }
        match rows {
            RowSet::Range(range) => {
                let mut start = range.start;
                while start < range.end {
                    let (position, group) = file.group_of(start)?;
                    let end = range.end.min(group.first_row.saturating_add(group.rows));
                    let rows = Rows::Range { start: start - group.first_row, len: (end - start) as usize };
                    self.group(file, position, rows, buffers, sink)?;
                    start = end;
                }
            }
            RowSet::List(list) => {
                let mut left = list.as_slice();
                while let Some(first) = left.first() {
                    let (position, group) = file.group_of(u64::from(*first))?;
                    let end = group.first_row.saturating_add(group.rows);
                    let (now, later) = left.split_at(left.partition_point(|row| u64::from(*row) < end));
                    let base = u32::try_from(group.first_row).unwrap_or(u32::MAX);
                    self.group(file, position, Rows::List { rows: now, base }, buffers, sink)?;
                    left = later;
                }
            }
        }
        Ok(())
    }

    /// Decodes `rows` of a row group, span by span.
    fn group<S: ColumnSink>(
        &self,
        file: &Arc<ParquetFile>,
        position: usize,
        mut rows: Rows<'_>,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<()> {
        let Buffers { scratch, groups, probe } = buffers;
        while !rows.is_empty() {
            match groups.values(file, self.index, position, rows.position(0)) {
                Ok((column, span)) => {
                    let (now, later) = split(rows, &span);
                    let values = Values::Group(column, file.source().path());
                    self.read(values, now, (scratch, probe), sink)?;
                    rows = later;
                }
                Err(error) => {
                    self.tolerate(error)?;
                    // Pages around the damaged ones may be good.
                    let span = groups.rows_around(self.index, rows.position(0)).unwrap_or(0..u64::MAX);
                    let (lost, later) = split(rows, &span);
                    sink.nulls(lost.len())?;
                    rows = later;
                }
            }
        }
        Ok(())
    }

    fn read<S: ColumnSink>(
        &self,
        values: Values<'_>,
        rows: Rows<'_>,
        (scratch, probe): (&mut Scratch, &mut Discard),
        sink: &mut S,
    ) -> Result<()> {
        let mut values = DecoderValues { decoder: self, values, scratch };
        if self.open.damage.is_lenient() {
            return salvage(&mut values, rows, probe, sink);
        }
        values.decode(rows, sink).map_err(|e| self.explain(e))
    }

    fn tolerate(&self, error: Error) -> Result<()> {
        let error = self.open.place(error.in_column(&self.column.name));
        self.open.damage.tolerate(error, |e| self.open.snapshot.explain(e, Some(&self.open.partition)))
    }

    fn explain(&self, error: Error) -> Error {
        let error = self.open.place(error.in_column(&self.column.name));
        self.open.snapshot.explain(error, Some(&self.open.partition))
    }
}

/// Values of a decoder's column.
struct DecoderValues<'a> {
    decoder: &'a Decoder<'a>,
    values: Values<'a>,
    scratch: &'a mut Scratch,
}

impl Damaged for DecoderValues<'_> {
    fn decode<S: ColumnSink>(&mut self, rows: Rows<'_>, sink: &mut S) -> Result<()> {
        let (column_type, raw) = (self.decoder.column.column_type, self.decoder.raw);
        match self.values {
            Values::Files(source) => types::decode(column_type, raw, source, rows, self.scratch, sink),
            Values::Group(column, path) => {
                let read = column.read(column_type, raw, rows, self.scratch, sink);
                read.map_err(|e| e.without_offset().in_file(path))
            }
        }
    }

    fn place(&self, error: Error) -> Error {
        self.decoder.explain(error)
    }

    fn tolerate(&self, error: Error) -> Result<()> {
        self.decoder.tolerate(error)
    }
}

/// Those of `rows` that are in `span`, counted from its start, and those behind it. The first row is in it.
fn split<'r>(rows: Rows<'r>, span: &Range<u64>) -> (Rows<'r>, Rows<'r>) {
    match rows {
        Rows::Range { start, len } => {
            let now =
                usize::try_from(span.end.saturating_sub(start)).unwrap_or(usize::MAX).clamp(1, len.max(1));
            let now = now.min(len);
            (
                Rows::Range { start: start.saturating_sub(span.start), len: now },
                Rows::Range { start: start.saturating_add(now as u64), len: len - now },
            )
        }
        Rows::List { rows, base } => {
            let inside = rows.partition_point(|row| u64::from(row.saturating_sub(base)) < span.end).max(1);
            let (now, later) = rows.split_at_checked(inside).unwrap_or((rows, &[]));
            let first = u32::try_from(span.start).unwrap_or(u32::MAX);
            (Rows::List { rows: now, base: base.saturating_add(first) }, Rows::List { rows: later, base })
        }
    }
}
