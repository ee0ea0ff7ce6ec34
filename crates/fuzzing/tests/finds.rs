//! Files that fuzzing has found something with, made anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use parquet::file::metadata::{ColumnChunkMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter};
use questdb_fuzzing::target;

/// A seed of `parquet_file` that `wanted` finds good, with another description of each column chunk, behind `padding` bytes.
fn described(
    wanted: impl Fn(&[u8]) -> bool,
    padding: usize,
    change: impl Fn(ColumnChunkMetaDataBuilder) -> ColumnChunkMetaDataBuilder,
) -> Vec<u8> {
    let mut bytes = (target("parquet_file").seeds)().into_iter().find(|bytes| wanted(bytes)).unwrap();
    let tail = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[tail..tail + 4].try_into().unwrap()) as usize;
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes[tail - length..tail]).unwrap();
    bytes.truncate(tail - length);
    bytes.resize(bytes.len() + padding, 0);
    let groups = metadata.row_groups().iter().map(|group| {
        let columns =
            group.columns().iter().map(|column| change(column.clone().into_builder()).build().unwrap());
        group.clone().into_builder().set_column_metadata(columns.collect()).build().unwrap()
    });
    let metadata = metadata.clone().into_builder().set_row_groups(groups.collect()).build();
    ParquetMetaDataWriter::new(&mut bytes, &metadata).finish().unwrap();
    bytes
}

fn has_bloom_filter(bytes: &[u8]) -> bool {
    let tail = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[tail..tail + 4].try_into().unwrap()) as usize;
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes[tail - length..tail]).unwrap();
    metadata.row_group(0).columns().iter().any(|column| column.bloom_filter_offset().is_some())
}

#[test]
fn a_bloom_filter_without_bits_is_not_asked() {
    // The header alone: 14 to 18 bytes, by the size that it tells.
    for length in [14, 15] {
        // The file's length chooses the conditions.
        for padding in 0..3 {
            let file =
                described(has_bloom_filter, padding, |column| column.set_bloom_filter_length(Some(length)));
            (target("parquet_file").run)(&file);
        }
    }
}

#[test]
fn a_bloom_filter_without_bits_is_not_asked_in_a_partition() {
    // Thrift: 0 bytes, then the only algorithm, hash and compression that there are.
    let header = [0x15, 0, 0x1c, 0x1c, 0, 0, 0x1c, 0x1c, 0, 0, 0x1c, 0x1c, 0, 0, 0];
    for table in 0..4 {
        (target("parquet_chunk").run)(&[&[table, 0, 0, 0, 128, 3], &header[..]].concat());
    }
}

/// Changes a byte of the STRING column of `pq_all`, whose texts stand one behind the other, their lengths before them.
fn change_text(codec: u8, at: u8) {
    (target("parquet_chunk").run)(&[3, 0, 0, 12, codec, 0, at, 0, 0, 1, 0x80]);
}

#[test]
fn text_of_a_partition_that_is_called_json_is_refused() {
    // The decoder checks it only where it is called UTF-8.
    [62, 104, 107].into_iter().for_each(|at| change_text(64, at));
}

#[test]
fn lengths_that_cut_characters_in_two_are_refused() {
    // The decoder checks all texts as if they were one.
    (58..68).for_each(|at| change_text(0, at));
}
