//! One Parquet file: its footer, its columns by name.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use ::parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataBuilder};
use ::parquet::schema::types::ColumnDescPtr;
use arrow_schema::{DataType, Field, FieldRef, Schema};

use super::leaf::{self, Convert, Leaves, Plain};
use super::schema::{self, Readable};
use crate::error::{Error, Result};
use crate::parquet::{fits, guarded, noted_columns, read_footer, wanted_type, GroupPages};
use crate::source::{Access, Files, Source};
use crate::types::{ColumnType, TimeUnit, ValueType};

/// An open Parquet file.
#[derive(Debug)]
pub struct ExportFile {
    pub(super) source: Arc<dyn Source>,
    pub(super) reader: ArrowReaderMetadata,
    columns: Vec<FileColumn>,
    groups: Vec<FileGroup>,
}

/// A row group.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileGroup {
    /// First row in the file.
    pub(super) first_row: u64,
    pub(super) rows: u64,
}

/// A column of the file.
#[derive(Debug, Clone)]
pub struct FileColumn {
    /// Name; of two that differ in case only, the second one has a number behind it.
    pub name: String,
    /// How it is read.
    pub kind: ColumnKind,
    /// Whether this is QuestDB's designated timestamp.
    pub designated: bool,
    /// Position below the schema's root.
    pub(super) root: usize,
    /// Positions among the primitive columns.
    pub(super) leaves: Range<usize>,
}

/// How a column is read.
#[derive(Debug, Clone)]
pub enum ColumnKind {
    /// As a column of a QuestDB table.
    Quest(ColumnType),
    /// By its Parquet type.
    Plain(Arc<Plain>),
    /// Not at all; the reason.
    Refused(String),
}

impl ColumnKind {
    /// The type in DuckDB's SQL. One that cannot be read is declared as BLOB, so that the others can.
    pub fn sql(&self, raw: bool) -> String {
        match self {
            Self::Quest(column_type) => {
                column_type.value_type(raw).map_or_else(|| "BLOB".to_owned(), ValueType::sql)
            }
            Self::Plain(plain) => plain.sql.clone(),
            Self::Refused(_) => "BLOB".to_owned(),
        }
    }

    /// Whether its values are text as it is stored.
    pub(super) fn is_text(&self) -> bool {
        match self {
            Self::Quest(column_type) => {
                matches!(column_type, ColumnType::Symbol | ColumnType::Varchar | ColumnType::String)
            }
            Self::Plain(plain) => {
                plain.convert == Convert::Same
                    && plain.field.data_type() == &DataType::Utf8View
                    && plain.sql == "VARCHAR"
            }
            Self::Refused(_) => false,
        }
    }

    /// The type of constants that it is compared with; `None` when a filter on it tells nothing.
    pub fn comparable(&self, raw: bool) -> Option<ValueType> {
        match self {
            // Text compares by its bytes, as symbols do.
            Self::Quest(ColumnType::String | ColumnType::Varchar) => Some(ValueType::Symbol),
            Self::Quest(column_type) => column_type.value_type(raw),
            Self::Plain(plain) => plain.comparable,
            Self::Refused(_) => None,
        }
    }
}

impl ExportFile {
    /// Opens a file and reads its footer. `local_time_as_utc`: timestamps without a time zone are of UTC.
    ///
    /// # Errors
    /// A file that cannot be read, is no Parquet, or whose schema makes no sense.
    pub fn open(path: &Path, files: &dyn Files, local_time_as_utc: bool) -> Result<Self> {
        // Column chunks, or the needed pages of them, are read once: a mapping would cost a page fault for every few of their pages.
        let source = files.open(path, Access::Record)?;
        Self::new(source, local_time_as_utc).map_err(|e| e.in_file(path))
    }

    /// The file in `source`.
    pub fn new(source: Arc<dyn Source>, local_time_as_utc: bool) -> Result<Self> {
        let metadata = read_footer(source.as_ref(), "the end of the file")?;
        let groups = row_groups(&metadata)?;
        let (reader, columns) = columns(metadata, local_time_as_utc)?;
        Ok(Self { source, reader, columns, groups })
    }

    /// The decoder's instructions with the text columns `roots` as dictionaries.
    pub(super) fn with_dictionaries(&self, roots: &[usize]) -> Result<ArrowReaderMetadata> {
        if roots.is_empty() {
            return Ok(self.reader.clone());
        }
        self.instructions(Arc::clone(self.reader.metadata()), roots)
    }

    /// The same for row group `group` alone, some of whose columns have an index of their `pages`.
    pub(super) fn with_pages(
        &self,
        group: usize,
        pages: GroupPages,
        roots: &[usize],
    ) -> Result<ArrowReaderMetadata> {
        let whole = self.reader.metadata();
        let mut builder = ParquetMetaDataBuilder::new(whole.file_metadata().clone());
        if let Some(group) = whole.row_groups().get(group) {
            builder = builder.add_row_group(group.clone());
        }
        self.instructions(Arc::new(builder.set_page_index(Some(Arc::new(pages))).build()), roots)
    }

    fn instructions(&self, metadata: Arc<ParquetMetaData>, roots: &[usize]) -> Result<ArrowReaderMetadata> {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let changed = |(root, field): (usize, &FieldRef)| match roots.contains(&root) {
            true => Arc::new(field.as_ref().clone().with_data_type(dictionary.clone())),
            false => Arc::clone(field),
        };
        let fields: Vec<FieldRef> = self.reader.schema().fields().iter().enumerate().map(changed).collect();
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let options = options.with_schema(Arc::new(Schema::new(fields)));
        guarded("schema", || ArrowReaderMetadata::try_new(metadata, options))
    }

    /// The columns, in the file's order.
    pub fn columns(&self) -> &[FileColumn] {
        &self.columns
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.groups.iter().fold(0u64, |sum, group| sum.saturating_add(group.rows))
    }

    /// Number of row groups.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The path.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Position of QuestDB's designated timestamp, and its unit.
    pub fn designated(&self) -> Option<(usize, TimeUnit)> {
        self.columns.iter().enumerate().find_map(|(index, column)| match column.kind {
            ColumnKind::Quest(ColumnType::Timestamp(unit)) if column.designated => Some((index, unit)),
            _ => None,
        })
    }

    pub(super) fn groups(&self) -> &[FileGroup] {
        &self.groups
    }
}

fn row_groups(metadata: &ParquetMetaData) -> Result<Vec<FileGroup>> {
    let mut first_row = 0u64;
    let group = |group: &::parquet::file::metadata::RowGroupMetaData| {
        let rows = group.num_rows();
        let rows = u64::try_from(rows)
            .map_err(|_| Error::corrupt("row group has an impossible number of rows", "0 or more", rows))?;
        let first = first_row;
        first_row = first_row.saturating_add(rows);
        Ok(FileGroup { first_row: first, rows })
    };
    metadata.row_groups().iter().map(group).collect()
}

/// The columns of a file, and what the decoder is told about them.
fn columns(
    metadata: ParquetMetaData,
    local_time_as_utc: bool,
) -> Result<(ArrowReaderMetadata, Vec<FileColumn>)> {
    // An entry that another program left behind when it changed the columns says nothing.
    let noted = noted_columns(&metadata).ok().flatten();
    let original = metadata.file_metadata().schema_descr_ptr();
    let Readable { schema, refused } = guarded("schema", || schema::readable(&original))?;
    if refused.is_empty() {
        return Err(Error::unsupported("Parquet file has no columns"));
    }
    let noted = noted.filter(|noted| noted.len() == refused.len()).unwrap_or_default();
    let file = metadata.file_metadata();
    let changed = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        None,
        Arc::new(schema),
        file.column_orders().cloned(),
    );
    let changed = Arc::new(ParquetMetaData::new(changed, metadata.row_groups().to_vec()));
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let inferred = guarded("schema", || ArrowReaderMetadata::try_new(Arc::clone(&changed), options()))?;

    let mut names = HashSet::new();
    let mut columns = Vec::with_capacity(refused.len());
    let mut fields = Vec::with_capacity(refused.len());
    let mut leaf = 0;
    for (root, (field, refused)) in inferred.schema().fields().iter().zip(refused).enumerate() {
        let leaves = leaf..leaf + leaf_count(field.data_type());
        leaf = leaves.end;
        let descriptors: &[ColumnDescPtr] = original.columns().get(leaves.clone()).unwrap_or_default();
        let walk = || Leaves { descriptors: descriptors.iter(), local_time_as_utc };
        let noted =
            noted.get(root).filter(|noted| refused.is_none() && fits(noted.column_type, field.data_type()));
        let (kind, field) = match (noted, refused) {
            (Some(noted), _) => {
                // Symbols are text that may have a dictionary, like any other.
                let column_type = match noted.column_type {
                    ColumnType::Symbol => ColumnType::Varchar,
                    other => other,
                };
                let wanted = wanted_type(column_type, field.data_type());
                let field = field.as_ref().clone();
                let field =
                    wanted.map_or_else(|| field.clone(), |wanted| field.clone().with_data_type(wanted));
                (ColumnKind::Quest(noted.column_type), field)
            }
            (None, Some(reason)) => (ColumnKind::Refused(reason), field.as_ref().clone()),
            (None, None) => {
                let requested = leaf::requested(field, &mut walk());
                match leaf::plan(&requested, &mut walk()) {
                    Ok(plain) => (ColumnKind::Plain(Arc::new(plain)), requested),
                    Err(reason) => (ColumnKind::Refused(reason), field.as_ref().clone()),
                }
            }
        };
        let designated = noted.is_some_and(|noted| noted.designated);
        let name = unique(field.name(), &mut names);
        columns.push(FileColumn { name, kind, designated, root, leaves });
        fields.push(Arc::new(field));
    }
    let wanted = Arc::new(Schema::new(fields));
    let reader = guarded("schema", || ArrowReaderMetadata::try_new(changed, options().with_schema(wanted)))?;
    Ok((reader, columns))
}

/// The name, with a number when another column has it already.
fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let mut unique = name.to_owned();
    let mut number = 0u64;
    while !taken.insert(unique.to_lowercase()) {
        number += 1;
        unique = format!("{name}_{number}");
    }
    unique
}

fn leaf_count(data_type: &DataType) -> usize {
    let of = |field: &Field| leaf_count(field.data_type());
    match data_type {
        DataType::List(child) | DataType::Map(child, _) => of(child),
        DataType::Struct(fields) => fields.iter().map(|field| of(field)).sum(),
        _ => 1,
    }
}
