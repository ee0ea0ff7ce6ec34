//! One Parquet partition (docs/format.md §9).

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use ::parquet::basic::ConvertedType;
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use arrow_schema::{DataType, Field, Schema};

use super::chunk::guarded;
use super::column::wanted_type;
use super::flat::Decoded;
use super::footer;
use super::open::OpenChunk;
use super::pool::Pool;
use super::stored::Stored;
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::source::{Access, Source};
use crate::table::{missing_file, Column, Partition, Snapshot, PARQUET_FILE};
use crate::types::ColumnType;

/// An open Parquet partition: its footer, and where the live columns are in it.
#[derive(Debug)]
pub struct ParquetFile {
    pub(super) source: Arc<dyn Source>,
    pub(super) metadata: ArrowReaderMetadata,
    groups: Vec<RowGroup>,
    /// Fewer rows than `_txn` says, where the server leaves that.
    shortfall: Option<Error>,
    /// By position in the snapshot.
    columns: Vec<Option<FileColumn>>,
    snapshot: Snapshot,
}

/// A row group. Rows are in the order of the footer, not in that of offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowGroup {
    /// First row, counted from the start of the partition.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
    /// Position in the footer.
    pub(super) index: usize,
}

/// A live column in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileColumn {
    /// Position below the schema's root.
    pub(super) root: usize,
    /// Position among the primitive columns.
    pub(super) leaf: usize,
    pub(super) column_type: ColumnType,
    pub(super) designated: bool,
}

impl ParquetFile {
    /// Opens the file of `partition` and reads its footer.
    ///
    /// # Errors
    /// A file that is missing, short, no Parquet, of another table, or has another number of rows than `_txn` says.
    pub fn open(snapshot: &Snapshot, partition: &Partition) -> Result<Self> {
        let place = |e: Error| e.in_partition(&partition.directory()).in_table(snapshot.name());
        Self::try_open(snapshot, partition).map_err(place)
    }

    fn try_open(snapshot: &Snapshot, partition: &Partition) -> Result<Self> {
        let dir = partition.path(snapshot);
        let path = dir.join(PARQUET_FILE);
        let size = partition.entry.parquet_size.ok_or_else(|| {
            Error::corrupt("Parquet partition has no size in _txn", "the size of its file", "none")
                .in_file(&path)
        })?;
        let source = snapshot
            .files()
            .open(&path, Access::Column { needed: size })
            .map_err(|e| missing_file(e, snapshot.files(), &dir))?;
        snapshot.note_opened();
        let metadata = Arc::new(footer::read(source.as_ref(), "the size in _txn")?);
        let place = |e: Error| e.in_file(&path);
        let (groups, shortfall) = row_groups(&metadata, snapshot, partition).map_err(place)?;
        let shortfall =
            shortfall.map(|e| place(e).in_partition(&partition.directory()).in_table(snapshot.name()));
        let columns = match_columns(&metadata, snapshot).map_err(place)?;
        let metadata = arrow_metadata(metadata, &columns).map_err(place)?;
        Ok(Self { source, metadata, groups, shortfall, columns, snapshot: snapshot.clone() })
    }

    /// The row groups, in the order of rows.
    pub fn groups(&self) -> &[RowGroup] {
        &self.groups
    }

    /// What to warn of: rows that the server has lost, though `_txn` counts them.
    pub fn shortfall(&self) -> Option<&Error> {
        self.shortfall.as_ref()
    }

    /// Whether the file holds column `index` of the snapshot; one that was added later it does not.
    pub fn has_column(&self, index: usize) -> bool {
        self.column(index).is_some()
    }

    /// The row group of row `row`.
    pub(crate) fn group_of(&self, row: u64) -> Result<(usize, RowGroup)> {
        let behind = self.groups.partition_point(|group| group.first_row <= row);
        let index = behind.saturating_sub(1);
        match self.groups.get(index) {
            Some(group) if row < group.first_row.saturating_add(group.rows) => Ok((index, *group)),
            _ => Err(Error::invalid_input(format!("partition has no row {row}")).in_file(self.source.path())),
        }
    }

    /// Opens the chunk of column `index` of the snapshot in the row group at position `group`.
    pub(super) fn open_chunk(&self, index: usize, group: usize) -> Result<OpenChunk> {
        let open = || {
            let rows = self.groups.get(group).copied();
            let rows = rows.ok_or_else(|| Error::invalid_input(format!("file has no row group {group}")))?;
            let (_, chunk) = self.column_chunk(index, rows)?;
            OpenChunk::new(self, index, rows, self.stored(chunk)?)
        };
        open().map_err(|e| self.place(e, index))
    }

    /// Decodes a span of a chunk of this file.
    pub(super) fn decode_span(&self, chunk: &OpenChunk, position: usize, pool: &mut Pool) -> Result<Decoded> {
        chunk.decode(self, position, pool).map_err(|e| self.place(e, chunk.index()))
    }

    fn place(&self, error: Error, index: usize) -> Error {
        let error = error.in_file(self.source.path());
        match self.snapshot.columns().get(index) {
            Some(column) => error.in_column(&column.name),
            None => error,
        }
    }

    /// The column at `index` of the snapshot, and its chunk in a row group.
    pub(super) fn column_chunk(
        &self,
        index: usize,
        group: RowGroup,
    ) -> Result<(FileColumn, &ColumnChunkMetaData)> {
        let found = self.column(index).and_then(|column| Some((column, self.chunk(column, group.index)?)));
        found.ok_or_else(|| Error::invalid_input(format!("row group {} has no column {index}", group.index)))
    }

    /// What Arrow would make of a column.
    pub(super) fn data_type(&self, column: FileColumn) -> Option<&DataType> {
        self.metadata.schema().fields().get(column.root).map(|field| field.data_type())
    }

    /// The symbol table of column `index` of the snapshot.
    pub(super) fn symbols(&self, index: usize) -> Result<Option<Arc<SymbolTable>>> {
        self.snapshot.symbols(index)
    }

    pub(super) fn column(&self, index: usize) -> Option<FileColumn> {
        self.columns.get(index).copied().flatten()
    }

    pub(super) fn chunk(&self, column: FileColumn, group: usize) -> Option<&ColumnChunkMetaData> {
        self.metadata.metadata().row_groups().get(group)?.columns().get(column.leaf)
    }

    /// The bytes of a column chunk. The footer gives no dictionary page offset: the data pages' offset is then that of
    /// the dictionary page (docs/format.md §9.2).
    pub(super) fn stored(&self, chunk: &ColumnChunkMetaData) -> Result<Stored> {
        let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
        let (start, len) = (
            u64::try_from(start).unwrap_or(u64::MAX),
            u64::try_from(chunk.compressed_size()).unwrap_or(u64::MAX),
        );
        Stored::new(&self.source, start, len)
    }

    /// The path, for errors.
    pub(crate) fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }
}

/// The row groups, whose rows must be those of `_txn`. Server 9.3.4 loses rows that are appended to a table without WAL
/// whose last partition is Parquet; there the footer's smaller number counts (docs/format.md §9.1), with a warning.
fn row_groups(
    metadata: &ParquetMetaData,
    snapshot: &Snapshot,
    partition: &Partition,
) -> Result<(Vec<RowGroup>, Option<Error>)> {
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    let mut first_row = 0u64;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let rows = group.num_rows();
        let rows = u64::try_from(rows)
            .map_err(|_| Error::corrupt("row group has an impossible number of rows", "0 or more", rows))?;
        groups.push(RowGroup { first_row, rows, index });
        first_row = first_row.saturating_add(rows);
    }
    if first_row == partition.rows() {
        return Ok((groups, None));
    }
    let disagreement = Error::corrupt(
        "Parquet file has another number of rows than the table says",
        format_args!("{} rows", partition.rows()),
        format_args!("{first_row} rows"),
    );
    let may_be_short = !snapshot.meta().wal && partition.index + 1 == snapshot.partitions().len();
    if may_be_short && first_row < partition.rows() {
        let hint = "Servers lose rows that are appended to a Parquet partition of a table without WAL.";
        return Ok((groups, Some(disagreement.hint(hint))));
    }
    Err(disagreement)
}

/// Finds the live columns by their field ids, which are writer indexes (docs/format.md §9.4).
fn match_columns(metadata: &ParquetMetaData, snapshot: &Snapshot) -> Result<Vec<Option<FileColumn>>> {
    let schema = metadata.file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields();
    let noted = footer::noted_columns(metadata)?;
    if let Some(noted) = noted.as_ref().filter(|noted| noted.len() != fields.len()) {
        let expected = format!("{} columns", fields.len());
        return Err(Error::corrupt("key-value entry \"questdb\" is of another file", expected, noted.len()));
    }
    let mut by_id: std::collections::HashMap<i32, usize> =
        std::collections::HashMap::with_capacity(fields.len());
    for (root, field) in fields.iter().enumerate() {
        let info = field.get_basic_info();
        if !info.has_id() {
            return Err(Error::corrupt(
                "Parquet column has no field id",
                "the column's writer index",
                "none",
            )
            .in_column(info.name()));
        }
        if by_id.insert(info.id(), root).is_some() {
            return Err(Error::corrupt("two Parquet columns share a field id", "unique ids", info.id())
                .in_column(info.name()));
        }
    }
    let mut leaves: Vec<Vec<usize>> = vec![Vec::new(); fields.len()];
    for leaf in 0..schema.num_columns() {
        if let Some(list) = leaves.get_mut(schema.get_column_root_idx(leaf)) {
            list.push(leaf);
        }
    }
    let find = |column: &Column| -> Result<Option<FileColumn>> {
        let id = i32::try_from(column.writer_index).unwrap_or(-1);
        let Some(root) = by_id.get(&id).copied() else { return Ok(None) };
        let found = noted.as_ref().and_then(|noted| noted.get(root)).map(|noted| noted.column_type);
        if found.is_some_and(|found| found != column.column_type) {
            let found = found.map(|found| found.to_string()).unwrap_or_default();
            return Err(Error::corrupt(
                "Parquet column has another type than the table",
                column.column_type,
                found,
            )
            .in_column(&column.name));
        }
        match leaves.get(root).map(Vec::as_slice) {
            // The decoder makes text of it, too, but checks UTF-8 only where the type is UTF-8.
            Some([leaf]) if schema.column(*leaf).converted_type() == ConvertedType::JSON => Err(
                Error::corrupt("Parquet column has another type than the table", column.column_type, "JSON")
                    .in_column(&column.name),
            ),
            Some([leaf]) => Ok(Some(FileColumn {
                root,
                leaf: *leaf,
                column_type: column.column_type,
                designated: column.designated,
            })),
            _ => Err(Error::corrupt("Parquet column is nested", column.column_type, "a group")
                .in_column(&column.name)),
        }
    };
    snapshot.columns().iter().map(find).collect()
}

/// Decides as what the decoder returns each column.
fn arrow_metadata(
    metadata: Arc<ParquetMetaData>,
    columns: &[Option<FileColumn>],
) -> Result<ArrowReaderMetadata> {
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    guarded("schema", || {
        let inferred = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options())?;
        let wanted = |(root, field): (usize, &Arc<Field>)| {
            let column = columns.iter().flatten().find(|column| column.root == root);
            let data_type = column.and_then(|column| wanted_type(column.column_type, field.data_type()));
            match data_type {
                Some(data_type) => Arc::new(field.as_ref().clone().with_data_type(data_type)),
                None => Arc::clone(field),
            }
        };
        let fields: Vec<_> = inferred.schema().fields().iter().enumerate().map(wanted).collect();
        ArrowReaderMetadata::try_new(metadata, options().with_schema(Arc::new(Schema::new(fields))))
    })
}
