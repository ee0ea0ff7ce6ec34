//! Partitions that become Parquet files, grow in place and become native again.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::changes::{check, late, Harm};
use super::disk::Action;
use super::server::{rows, Kind, Row, Server, Value, DAY, SECOND};

/// A Parquet file of `rows`, one row group, field ids as the server sets them.
fn file(server: &Server, rows: &[Row]) -> Vec<u8> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    let longs = |w: usize| {
        rows.iter().map(move |row| if let Some(Value::Long(v)) = row.get(w) { Some(*v) } else { None })
    };
    let texts = |w: usize| {
        rows.iter()
            .map(move |row| if let Some(Value::Text(t)) = row.get(w) { Some(t.as_str()) } else { None })
    };
    for (w, column) in server.columns.iter().enumerate().filter(|(_, column)| column.live) {
        let (data_type, array): (DataType, ArrayRef) = match column.kind {
            Kind::Timestamp => {
                let times: TimestampMicrosecondArray = longs(w).collect();
                (
                    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                    Arc::new(times.with_timezone("UTC")),
                )
            }
            Kind::Long => (DataType::Int64, Arc::new(Int64Array::from_iter(longs(w)))),
            Kind::Symbol | Kind::Text => (DataType::Utf8, Arc::new(StringArray::from_iter(texts(w)))),
        };
        let id = HashMap::from([("PARQUET:field_id".to_owned(), w.to_string())]);
        fields.push(Field::new(&column.name, data_type, column.kind != Kind::Timestamp).with_metadata(id));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.close().unwrap();
    bytes
}

/// What an in-place merge writes behind `old`: new row groups, and a footer that names only them.
fn grown(old: &[u8], new: &[u8]) -> Vec<u8> {
    let footer_len = u32::from_le_bytes(new[new.len() - 8..new.len() - 4].try_into().unwrap()) as usize;
    let footer = new.len() - 8 - footer_len;
    let metadata = ParquetMetaDataReader::decode_metadata(&new[footer..new.len() - 8]).unwrap();
    let moved = (old.len() - 4) as i64;
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|column| {
            let offset = column.data_page_offset() + moved;
            column.clone().into_builder().set_data_page_offset(offset).build().unwrap()
        });
        let columns = columns.collect();
        group.clone().into_builder().set_column_metadata(columns).build().unwrap()
    });
    let metadata = ParquetMetaData::new(metadata.file_metadata().clone(), groups.collect());
    let mut bytes = [old, &new[4..footer]].concat();
    let mut tail = Vec::new();
    ParquetMetaDataWriter::new(&mut tail, &metadata).finish().unwrap();
    bytes.extend(tail);
    bytes
}

impl Server {
    /// CONVERT PARTITION TO PARQUET: a new directory, the commit, the old one goes.
    fn convert_to_parquet(&mut self, index: usize) {
        let old = self.part_dir(index);
        let bytes = file(self, &self.parts[index].rows);
        self.parts[index].name_txn = Some(self.txn + 1);
        self.parts[index].parquet = Some(bytes.len());
        self.put(self.part_dir(index).join("data.parquet"), bytes);
        self.commit();
        self.delete_dir(&old);
    }

    /// Late rows: the file grows, the directory stays.
    fn merge_parquet(&mut self, index: usize, rows: Vec<Row>) {
        let part = &mut self.parts[index];
        part.rows.extend(rows);
        part.rows.sort_by_key(|row| if let Value::Long(time) = row[0] { time } else { 0 });
        let path = self.part_dir(index).join("data.parquet");
        let old = self.bytes(&path);
        let bytes = grown(&old, &file(self, &self.parts[index].rows));
        self.parts[index].parquet = Some(bytes.len());
        let middle = (old.len() + bytes.len()) / 2;
        for (at, end) in [(old.len(), middle), (middle, bytes.len())] {
            self.step(Action::Patch { path: path.clone(), at, bytes: bytes[at..end].to_vec() }, false);
        }
        self.commit();
    }

    /// CONVERT PARTITION TO NATIVE.
    fn convert_to_native(&mut self, index: usize) {
        let old = self.part_dir(index);
        self.parts[index].parquet = None;
        self.parts[index].name_txn = Some(self.txn + 1);
        self.write_part(index);
        self.commit();
        self.delete_dir(&old);
    }
}

#[test]
fn a_partition_becomes_a_parquet_file_and_native_again() {
    let mut server = Server::days();
    server.start();
    server.convert_to_parquet(0);
    server.convert_to_native(0);
    check(&server.change("convert"), Harm::Errors);
}

#[test]
fn late_rows_are_merged_into_a_parquet_file_in_place() {
    let mut server = Server::days();
    server.convert_to_parquet(0);
    server.start();
    server.merge_parquet(0, late(20, 7000));
    server.merge_parquet(0, rows(DAY + 2000 * SECOND, 10, 7100));
    check(&server.change("merge into Parquet"), Harm::None);
}
