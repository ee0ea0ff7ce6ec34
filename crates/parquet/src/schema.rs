//! Arrow columns and what is known of them → the Parquet schema.
//!
//! Types follow the server's own files (docs/types.md): BYTE, SHORT and CHAR are annotated INT32, DECIMAL is
//! FIXED_LEN_BYTE_ARRAY of QuestDB's width, arrays are `list.list.element`. Where the Arrow form of a column differs from
//! what the encoder takes, an [`Adapter`] converts each batch.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowSchemaConverter;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type, TypePtr};

use crate::adapt::Adapter;
use crate::annotation;
use crate::error::{Error, Result};
use crate::json;
use crate::options::{FieldIds, Format, Options};
use crate::parquet_type::{annotate, annotate_leaves};

/// QuestDB's type codes, low byte of a column type.
pub mod code {
    /// BOOLEAN.
    pub const BOOLEAN: i32 = 1;
    /// BYTE.
    pub const BYTE: i32 = 2;
    /// SHORT.
    pub const SHORT: i32 = 3;
    /// CHAR.
    pub const CHAR: i32 = 4;
    /// STRING.
    pub const STRING: i32 = 11;
    /// SYMBOL.
    pub const SYMBOL: i32 = 12;
    /// BINARY.
    pub const BINARY: i32 = 18;
    /// UUID.
    pub const UUID: i32 = 19;
    /// VARCHAR.
    pub const VARCHAR: i32 = 26;
    /// DOUBLE[].
    pub const ARRAY: i32 = 27;
    /// DECIMAL8 to DECIMAL256, one code for each width.
    pub const DECIMALS: std::ops::RangeInclusive<i32> = 28..=33;
    /// Bit of a designated timestamp's type.
    pub const DESIGNATED: i32 = 1 << 17;
}

/// Key in the metadata of an Arrow field, at any depth, that says what its values are where the Arrow type does not; see
/// [`annotation`].
pub const ANNOTATION: &str = annotation::KEY;

/// What is known of a column beyond its Arrow type. All of it is optional: `ColumnHint::default()` knows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnHint {
    /// QuestDB's type code with all its high bits, without the designated bit. A blob of type STRING or VARCHAR is text that is
    /// known to be UTF-8 and is not checked again.
    pub questdb_type: Option<i32>,
    /// The designated timestamp: required, sorted, never without statistics.
    pub designated: bool,
    /// Holds no NULL: written as REQUIRED. A NULL is an error.
    pub required: bool,
    /// Field id.
    pub field_id: Option<i32>,
    /// A symbol table: dictionary keys are the table's keys, and stay so in the file.
    pub symbol: bool,
    /// 16 bytes that are a UUID.
    pub uuid: bool,
    /// All text is ASCII; informative.
    pub ascii: Option<bool>,
}

impl ColumnHint {
    /// The type code's low byte.
    pub fn tag(&self) -> Option<i32> {
        self.questdb_type.map(|code| code & 0xff)
    }

    fn is_required(&self) -> bool {
        self.required || self.designated || matches!(self.tag(), Some(code::BOOLEAN..=code::CHAR))
    }

    /// Whether the dictionary must be the symbol table.
    pub fn is_symbol(&self) -> bool {
        self.symbol || self.tag() == Some(code::SYMBOL)
    }
}

/// One column of the file.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub hint: ColumnHint,
    /// The Arrow field as the encoder gets it.
    pub field: Arc<Field>,
    /// How a batch's array becomes that.
    pub adapter: Adapter,
    /// The schema of this column alone; its leaves are equal to those of the whole schema.
    pub descr: SchemaDescPtr,
}

/// The schema of the files of one export.
#[derive(Debug, Clone)]
pub struct ExportSchema {
    /// The Arrow schema that batches must have.
    pub input: SchemaRef,
    /// The columns, in file order.
    pub columns: Vec<Column>,
    /// The Parquet schema.
    pub parquet: SchemaDescPtr,
}

impl ExportSchema {
    /// Makes the schema. `hints` is empty, or has one entry for each column.
    pub fn new(input: SchemaRef, hints: &[ColumnHint], options: &Options) -> Result<Self> {
        if !hints.is_empty() && hints.len() != input.fields().len() {
            return Err(Error::internal(format!(
                "{} hints for {} columns",
                hints.len(),
                input.fields().len()
            )));
        }
        if input.fields().is_empty() {
            return Err(Error::invalid_input("there is no column to write"));
        }
        let mut names = HashSet::new();
        for field in input.fields() {
            if !names.insert(field.name().as_str()) {
                return Err(Error::invalid_input("duplicate column name")
                    .in_column(field.name())
                    .hint("Give each column its own name with AS."));
            }
        }
        check_names(&input, options)?;
        if options.format == Format::Jsonl {
            return Self::lines(input, hints);
        }
        let mut columns = Vec::with_capacity(input.fields().len());
        let mut types = Vec::with_capacity(input.fields().len());
        for (index, field) in input.fields().iter().enumerate() {
            let hint = hints.get(index).cloned().unwrap_or_default();
            let id = field_id(&options.field_ids, field.name(), index, &hint);
            let (column, parquet) =
                column(field, hint, id, options).map_err(|error| error.in_column(field.name()))?;
            columns.push(column);
            types.push(parquet);
        }
        let root = Type::group_type_builder(&options.root_name).with_fields(types).build()?;
        Ok(Self { input, columns, parquet: Arc::new(SchemaDescriptor::new(Arc::new(root))) })
    }

    /// The schema of JSON lines: the columns as they are.
    fn lines(input: SchemaRef, hints: &[ColumnHint]) -> Result<Self> {
        let none = Type::group_type_builder("schema").build()?;
        let none = Arc::new(SchemaDescriptor::new(Arc::new(none)));
        let columns = input.fields().iter().enumerate().map(|(index, field)| {
            let hint = hints.get(index).cloned().unwrap_or_default();
            let mark = match field.data_type() {
                _ if hint.uuid => Some(annotation::UUID),
                // QuestDB's timestamps are UTC by definition, and DuckDB's TIMESTAMP has no zone.
                DataType::Timestamp(..) if hint.questdb_type.is_some() => Some(annotation::NO_ZONE),
                _ => None,
            };
            let field = match mark {
                Some(mark) => Arc::new(annotation::put(field.as_ref().clone(), mark)),
                None => Arc::clone(field),
            };
            json::check(&field).map_err(|error| error.in_column(field.name()))?;
            let (name, descr) = (field.name().clone(), Arc::clone(&none));
            Ok(Column { name, hint, field, adapter: Adapter::None, descr })
        });
        Ok(Self { columns: columns.collect::<Result<_>>()?, input: Arc::clone(&input), parquet: none })
    }

    /// The index of the column `name`, exactly, else ignoring case.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        index_of(&self.input, name)
    }
}

fn index_of(schema: &Schema, name: &str) -> Option<usize> {
    let fields = schema.fields();
    fields
        .iter()
        .position(|field| field.name() == name)
        .or_else(|| fields.iter().position(|field| field.name().eq_ignore_ascii_case(name)))
}

/// Every column that an option names must exist.
fn check_names(input: &Schema, options: &Options) -> Result<()> {
    let mut named: Vec<(&str, &str)> = Vec::new();
    named.extend(options.bloom_filter_columns.iter().map(|name| ("bloom_filter_columns", name.as_str())));
    named.extend(options.column_encoding.iter().map(|(name, _)| ("column_encoding", name.as_str())));
    named.extend(options.column_compression.iter().map(|(name, _)| ("column_compression", name.as_str())));
    named.extend(options.timestamp.iter().map(|name| ("timestamp", name.as_str())));
    named.extend(options.sorted.iter().flatten().map(|by| ("sorted", by.column.as_str())));
    if let FieldIds::Named(ids) = &options.field_ids {
        named.extend(ids.iter().map(|(name, _)| ("field_ids", name.as_str())));
    }
    for (option, name) in named {
        if index_of(input, name).is_none() {
            let names: Vec<&str> = input.fields().iter().map(|field| field.name().as_str()).collect();
            let error = Error::option(option, format!("contains non-existent column: {name}"));
            return Err(match crate::error::did_you_mean(name, names.iter().copied()) {
                Some(candidate) => error.hint(format!("Did you mean: \"{candidate}\"?")),
                None => error.hint(format!("Candidate columns: {}", names.join(", "))),
            });
        }
    }
    Ok(())
}

fn field_id(ids: &FieldIds, name: &str, index: usize, hint: &ColumnHint) -> Option<i32> {
    match ids {
        FieldIds::None => None,
        FieldIds::Auto => i32::try_from(index).ok(),
        FieldIds::Hints => hint.field_id,
        FieldIds::Named(named) => named
            .iter()
            .find(|(column, _)| column.eq_ignore_ascii_case(name))
            .map(|(_, id)| *id)
            .or(hint.field_id),
    }
}

fn column(field: &Field, hint: ColumnHint, id: Option<i32>, options: &Options) -> Result<(Column, TypePtr)> {
    let keyed = matches!(field.data_type(), DataType::Dictionary(key, value)
        if **key == DataType::Int32 && **value == DataType::Utf8);
    if hint.is_symbol() && !keyed {
        // Any other order of the dictionary would make the server read wrong symbols without noticing.
        return Err(Error::invalid_input("a SYMBOL needs the keys of its symbol table")
            .expected("Arrow type Dictionary(Int32, Utf8)")
            .found(field.data_type())
            .hint("Computed text is a VARCHAR (26) or STRING (11)."));
    }
    let (data_type, adapter) = adapt(field.data_type(), &hint, options)?;
    let nullable = !hint.is_required();
    let arrow = Arc::new(Field::new(field.name(), data_type, nullable));
    let alone = Schema::new(vec![Arc::clone(&arrow)]);
    let converted = ArrowSchemaConverter::new().with_coerce_types(true).convert(&alone)?;
    let plain = converted
        .root_schema()
        .get_fields()
        .first()
        .cloned()
        .ok_or_else(|| Error::internal("a column without a Parquet type"))?;
    let parquet = annotate(&plain, field.data_type(), &hint, id)?;
    let parquet = annotate_leaves(&parquet, field)?;
    let root = Type::group_type_builder("schema").with_fields(vec![Arc::clone(&parquet)]).build()?;
    let descr = Arc::new(SchemaDescriptor::new(Arc::new(root)));
    Ok((Column { name: field.name().clone(), hint, field: arrow, adapter, descr }, parquet))
}

/// The Arrow type that the encoder gets, and how to get there.
fn adapt(data_type: &DataType, hint: &ColumnHint, options: &Options) -> Result<(DataType, Adapter)> {
    Ok(match data_type {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            let target = DataType::Timestamp(TimeUnit::Millisecond, zone.clone());
            (target, Adapter::SecondsToMillis)
        }
        DataType::Decimal128(..) | DataType::Decimal256(..) => match decimal_width(hint.tag()) {
            Some(width) => (DataType::FixedSizeBinary(width), Adapter::DecimalToFixed(width)),
            None => (data_type.clone(), Adapter::None),
        },
        DataType::List(_) => match array_dims(data_type) {
            Some(_) if options.raw_arrays => (DataType::Binary, Adapter::RawArrays),
            Some(dims) if hint.tag() == Some(code::ARRAY) => {
                let target = array_type(dims);
                (target.clone(), Adapter::Relabel(target))
            }
            _ => (data_type.clone(), Adapter::None),
        },
        DataType::Interval(_) | DataType::Union(..) | DataType::RunEndEncoded(..) => {
            return Err(Error::unsupported(format!("columns of Arrow type {data_type} cannot be written")));
        }
        _ => (data_type.clone(), Adapter::None),
    })
}

/// Bytes of QuestDB's DECIMAL of a type code.
fn decimal_width(tag: Option<i32>) -> Option<i32> {
    let tag = tag.filter(|tag| code::DECIMALS.contains(tag))?;
    Some(1 << (tag - code::DECIMALS.start()))
}

/// Dimensions of nested lists of doubles.
fn array_dims(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::List(item) => match item.data_type() {
            DataType::Float64 => Some(1),
            inner => array_dims(inner).map(|dims| dims + 1),
        },
        _ => None,
    }
}

/// The server's form: inner lists are required and called `list`, the doubles `element`.
fn array_type(dims: usize) -> DataType {
    let innermost = DataType::List(Arc::new(Field::new("element", DataType::Float64, true)));
    (1..dims).fold(innermost, |inner, _| DataType::List(Arc::new(Field::new("list", inner, false))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(fields: Vec<Field>, hints: &[ColumnHint], options: &Options) -> String {
        let schema = ExportSchema::new(Arc::new(Schema::new(fields)), hints, options).unwrap();
        let mut out = Vec::new();
        parquet::schema::printer::print_schema(&mut out, schema.parquet.root_schema());
        String::from_utf8(out).unwrap()
    }

    fn hint(questdb_type: i32, id: i32) -> ColumnHint {
        ColumnHint { questdb_type: Some(questdb_type), field_id: Some(id), ..ColumnHint::default() }
    }

    #[test]
    fn types_are_those_of_the_server() {
        let utc = Some("UTC".into());
        let fields = vec![
            Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, utc), true),
            Field::new("b", DataType::Int8, true),
            Field::new("c", DataType::UInt16, true),
            Field::new("u", DataType::FixedSizeBinary(16), true),
            Field::new("d", DataType::Decimal128(5, 2), true),
            Field::new("a", array_type(2), true),
            Field::new(
                "sym",
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                true,
            ),
        ];
        let hints = [
            ColumnHint { designated: true, ..hint(8, 0) },
            hint(2, 1),
            hint(4, 2),
            hint(19, 3),
            hint(30, 4),
            hint(27 | 2 << 14, 5),
            hint(12, 6),
        ];
        let text = printed(fields, &hints, &Options::default());
        for line in [
            "REQUIRED INT64 ts (TIMESTAMP(MICROS,true)) [0]",
            "REQUIRED INT32 b (INTEGER(8,true)) [1]",
            "REQUIRED INT32 c (INTEGER(16,false)) [2]",
            "OPTIONAL FIXED_LEN_BYTE_ARRAY (16) u (UUID) [3]",
            "OPTIONAL FIXED_LEN_BYTE_ARRAY (4) d (DECIMAL(5,2)) [4]",
            "OPTIONAL BYTE_ARRAY sym (STRING) [6]",
        ] {
            let squeezed = |text: &str| text.replace([' ', '[', ']'], "");
            let (left, id) = line.rsplit_once(" [").unwrap();
            let words: Vec<&str> = left.split(' ').collect();
            assert!(
                text.lines()
                    .any(|printed| words.iter().all(|word| squeezed(printed).contains(&squeezed(word)))),
                "{line} ({id}) in\n{text}"
            );
        }
        assert!(text.contains("REQUIRED group") && text.contains("list (LIST)"), "{text}");
    }

    #[test]
    fn unknown_columns_and_duplicates_are_refused() {
        let options = Options { bloom_filter_columns: vec!["nosuch".to_owned()], ..Options::default() };
        let fields = || vec![Field::new("a", DataType::Int32, true)];
        let error =
            ExportSchema::new(Arc::new(Schema::new(fields())), &[], &options).unwrap_err().to_string();
        assert!(
            error.starts_with("Option \"bloom_filter_columns\": contains non-existent column: nosuch"),
            "{error}"
        );
        let twice = vec![Field::new("a", DataType::Int32, true), Field::new("a", DataType::Int64, true)];
        let error = ExportSchema::new(Arc::new(Schema::new(twice)), &[], &Options::default())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("duplicate column name, column \"a\""), "{error}");
    }

    #[test]
    fn symbols_without_keys_are_refused() {
        let fields = vec![Field::new("s", DataType::Utf8View, true)];
        let error = ExportSchema::new(Arc::new(Schema::new(fields)), &[hint(12, 0)], &Options::default())
            .unwrap_err();
        assert!(
            error.to_string().starts_with("a SYMBOL needs the keys of its symbol table, column \"s\""),
            "{error}"
        );
    }
}
