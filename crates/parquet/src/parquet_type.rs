//! Parquet types with what Arrow types do not carry: field ids, annotations, the server's names of inner lists.

use std::sync::Arc;

use arrow_schema::{DataType, Field};
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::schema::types::{Type, TypePtr};

use crate::error::{Error, Result};
use crate::schema::{code, ColumnHint, ANNOTATION};

/// The Parquet type with field id and the annotations that Arrow types do not carry.
pub(crate) fn annotate(
    plain: &TypePtr,
    input: &DataType,
    hint: &ColumnHint,
    id: Option<i32>,
) -> Result<TypePtr> {
    let info = plain.get_basic_info();
    let rebuilt = match plain.as_ref() {
        Type::PrimitiveType { physical_type, type_length, scale, precision, .. } => {
            let mut builder = Type::primitive_type_builder(info.name(), *physical_type)
                .with_repetition(info.repetition())
                .with_length(*type_length)
                .with_scale(*scale)
                .with_precision(*precision)
                .with_id(id);
            match input {
                DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)
                    if *physical_type == Physical::FIXED_LEN_BYTE_ARRAY =>
                {
                    builder = builder
                        .with_logical_type(Some(LogicalType::decimal(
                            i32::from(*scale),
                            i32::from(*precision),
                        )))
                        .with_scale(i32::from(*scale))
                        .with_precision(i32::from(*precision));
                }
                DataType::BinaryView if matches!(hint.tag(), Some(code::STRING | code::VARCHAR)) => {
                    builder = builder.with_logical_type(Some(LogicalType::String));
                }
                DataType::FixedSizeBinary(16) if hint.uuid || hint.tag() == Some(code::UUID) => {
                    builder = builder.with_logical_type(Some(LogicalType::Uuid));
                }
                _ => {
                    builder = builder.with_logical_type(info.logical_type_ref().cloned());
                    if info.logical_type_ref().is_none() {
                        builder = builder.with_converted_type(info.converted_type());
                    }
                }
            }
            builder.build()?
        }
        Type::GroupType { fields, .. } => {
            let mut builder = Type::group_type_builder(info.name())
                .with_repetition(info.repetition())
                .with_fields(if hint.tag() == Some(code::ARRAY) {
                    vec![rename_inner(fields, true)?]
                } else {
                    fields.clone()
                })
                .with_logical_type(info.logical_type_ref().cloned())
                .with_id(id);
            if info.converted_type() != ConvertedType::NONE {
                builder = builder.with_converted_type(info.converted_type());
            }
            builder.build()?
        }
    };
    Ok(Arc::new(rebuilt))
}

/// The Parquet type with the annotations that the metadata of Arrow fields asks for, at any depth.
pub(crate) fn annotate_leaves(parquet: &TypePtr, field: &Field) -> Result<TypePtr> {
    let info = parquet.get_basic_info();
    match parquet.as_ref() {
        Type::PrimitiveType { physical_type, type_length, scale, precision, .. } => {
            let Some(annotation) = field.metadata().get(ANNOTATION) else { return Ok(Arc::clone(parquet)) };
            let builder = Type::primitive_type_builder(info.name(), *physical_type)
                .with_repetition(info.repetition())
                .with_length(*type_length)
                .with_scale(*scale)
                .with_precision(*precision)
                .with_id(info.has_id().then(|| info.id()));
            let builder = match annotation.as_str() {
                "uuid" => builder.with_logical_type(Some(LogicalType::Uuid)),
                "json" => builder.with_logical_type(Some(LogicalType::Json)),
                "interval" => builder.with_converted_type(ConvertedType::INTERVAL),
                "time_utc" => {
                    builder.with_logical_type(Some(LogicalType::time(true, parquet::basic::TimeUnit::MICROS)))
                }
                other => return Err(Error::internal(format!("unknown annotation \"{other}\""))),
            };
            Ok(Arc::new(builder.build()?))
        }
        Type::GroupType { fields, .. } => {
            let children: Vec<Arc<Field>> = match field.data_type() {
                DataType::Struct(members) => members.iter().cloned().collect(),
                DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                    // One level of Parquet groups has no Arrow field of its own.
                    vec![Arc::new(Field::new("", DataType::Struct(vec![Arc::clone(item)].into()), false))]
                }
                DataType::Map(entries, _) => vec![Arc::clone(entries)],
                _ => return Ok(Arc::clone(parquet)),
            };
            if children.len() != fields.len() {
                return Ok(Arc::clone(parquet));
            }
            let annotated = fields.iter().zip(&children).map(|(child, field)| annotate_leaves(child, field));
            let mut builder = Type::group_type_builder(info.name())
                .with_fields(annotated.collect::<Result<_>>()?)
                .with_logical_type(info.logical_type_ref().cloned())
                .with_id(info.has_id().then(|| info.id()));
            if info.has_repetition() {
                builder = builder.with_repetition(info.repetition());
            }
            if info.converted_type() != ConvertedType::NONE {
                builder = builder.with_converted_type(info.converted_type());
            }
            Ok(Arc::new(builder.build()?))
        }
    }
}

/// `repeated group list { required group element (LIST) { … } }` → the inner group is called `list`, as the server has it.
fn rename_inner(fields: &[TypePtr], repeated: bool) -> Result<TypePtr> {
    let field = fields.first().ok_or_else(|| Error::internal("a list without an item"))?;
    let info = field.get_basic_info();
    match field.as_ref() {
        Type::PrimitiveType { .. } => Ok(Arc::clone(field)),
        Type::GroupType { fields, .. } => {
            let mut builder = Type::group_type_builder("list")
                .with_repetition(if repeated { Repetition::REPEATED } else { info.repetition() })
                .with_fields(vec![rename_inner(fields, !repeated)?])
                .with_logical_type(info.logical_type_ref().cloned());
            if info.converted_type() != ConvertedType::NONE {
                builder = builder.with_converted_type(info.converted_type());
            }
            Ok(Arc::new(builder.build()?))
        }
    }
}
