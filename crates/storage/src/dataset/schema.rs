//! The schema as it is given to the decoder: annotations that it does not know, or would lose something by, are taken
//! off; what a column means is decided by the original ([`super::leaf`]).

use std::sync::Arc;

use ::parquet::arrow::{parquet_to_arrow_schema_by_columns, ProjectionMask};
use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

type Parsed<T> = std::result::Result<T, ParquetError>;

/// A schema for the decoder, and what it cannot read, by position below the root.
pub(super) struct Readable {
    pub(super) schema: SchemaDescriptor,
    pub(super) refused: Vec<Option<String>>,
}

/// Prepares `original` for the decoder.
pub(super) fn readable(original: &SchemaDescriptor) -> Parsed<Readable> {
    let root = original.root_schema();
    let mut fields = Vec::with_capacity(root.get_fields().len());
    let mut refused = Vec::with_capacity(fields.capacity());
    for field in root.get_fields() {
        let plain = rewritten(field, &known)?;
        let alone = SchemaDescriptor::new(Arc::new(
            Type::group_type_builder(root.name()).with_fields(vec![Arc::clone(&plain)]).build()?,
        ));
        let problem = match variant(field) {
            true => Some("VARIANT".to_owned()),
            false => parquet_to_arrow_schema_by_columns(&alone, ProjectionMask::all(), None)
                .err()
                .map(|error| error.to_string()),
        };
        fields.push(match problem {
            None => plain,
            Some(_) => rewritten(field, &|_| Change::Strip)?,
        });
        refused.push(problem);
    }
    let schema = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    Ok(Readable { schema: SchemaDescriptor::new(Arc::new(schema)), refused })
}

/// What happens to a type's annotation.
enum Change {
    Keep,
    /// UTF-8.
    Text,
    Strip,
}

fn known(field: &Type) -> Change {
    let info = field.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        _ if field.is_group() => Change::Keep,
        // The decoder makes text of JSON, but checks its UTF-8 only where the type is UTF-8.
        (Some(LogicalType::Enum | LogicalType::Json), _)
        | (None, ConvertedType::ENUM | ConvertedType::JSON) => Change::Text,
        // The decoder would lose the months.
        (None, ConvertedType::INTERVAL) => Change::Strip,
        _ => Change::Keep,
    }
}

fn variant(field: &Type) -> bool {
    let here = matches!(field.get_basic_info().logical_type_ref(), Some(LogicalType::Variant { .. }));
    here || (field.is_group() && field.get_fields().iter().any(|child| variant(child)))
}

/// `field` with the changed annotations; the same one when nothing changes.
fn rewritten(field: &TypePtr, change: &dyn Fn(&Type) -> Change) -> Parsed<TypePtr> {
    let info = field.get_basic_info();
    let change_of = change(field);
    let id = info.has_id().then(|| info.id());
    match field.as_ref() {
        Type::GroupType { fields, .. } => {
            let children = fields.iter().map(|child| rewritten(child, change)).collect::<Parsed<Vec<_>>>()?;
            let same = fields.iter().zip(&children).all(|(a, b)| Arc::ptr_eq(a, b));
            if same && matches!(change_of, Change::Keep) {
                return Ok(Arc::clone(field));
            }
            let mut builder = Type::group_type_builder(info.name()).with_fields(children).with_id(id);
            if info.has_repetition() {
                builder = builder.with_repetition(info.repetition());
            }
            if matches!(change_of, Change::Keep) {
                builder = builder
                    .with_logical_type(info.logical_type_ref().cloned())
                    .with_converted_type(info.converted_type());
            }
            builder.build().map(Arc::new)
        }
        Type::PrimitiveType { physical_type, type_length, .. } => {
            let builder = Type::primitive_type_builder(info.name(), *physical_type)
                .with_repetition(info.repetition())
                .with_id(id);
            let builder = match physical_type {
                Physical::FIXED_LEN_BYTE_ARRAY => builder.with_length(*type_length),
                _ => builder,
            };
            match change_of {
                Change::Keep => Ok(Arc::clone(field)),
                Change::Text => builder.with_logical_type(Some(LogicalType::String)).build().map(Arc::new),
                Change::Strip => builder.build().map(Arc::new),
            }
        }
    }
}
