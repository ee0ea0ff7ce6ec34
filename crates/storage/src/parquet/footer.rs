//! The footer that ends at the size in `_txn` (docs/format.md §9.1, §9.2).
//!
//! ```text
//! 0 PAR1 … footer (Thrift) … size − 8 footer length u32 │ size − 4 PAR1 │ bytes of a later state
//! ```

use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use serde_json::Value;

use super::chunk::guarded;
use super::nesting;
use crate::error::{Error, Result};
use crate::source::Source;
use crate::types::ColumnType;

const MAGIC: &[u8; 4] = b"PAR1";
const ENCRYPTED_MAGIC: &[u8; 4] = b"PARE";

/// Footer length and magic.
const TAIL: u64 = 8;

/// Magic, the shortest footer and the tail.
const SMALLEST_FILE: u64 = 4 + 1 + TAIL;

/// Key of QuestDB's entry in the key-value metadata.
const QUESTDB_KEY: &str = "questdb";

/// The bit of a type code that marks the designated timestamp.
const DESIGNATED_BIT: i64 = 1 << 17;

/// What QuestDB notes about a column of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotedColumn {
    /// The type when the file was written.
    pub column_type: ColumnType,
    /// Whether it was the designated timestamp.
    pub designated: bool,
}

/// Reads the footer of a file, which ends where the file ends; `end` says what that place is.
pub(crate) fn read(source: &dyn Source, end: &str) -> Result<ParquetMetaData> {
    let size = source.len();
    let damaged = |what: &str, expected: String, found: String, offset: u64| {
        Error::corrupt(what, expected, found).at(offset).in_file(source.path())
    };
    if size < SMALLEST_FILE {
        return Err(Error::too_short(source.path(), SMALLEST_FILE, size));
    }
    let mut head = [0; 4];
    source.read_into(0, &mut head)?;
    if &head == ENCRYPTED_MAGIC {
        return Err(encrypted(source));
    }
    if &head != MAGIC {
        let found = format!("{:?}", String::from_utf8_lossy(&head));
        return Err(damaged("not a Parquet file", "\"PAR1\" at its start".to_owned(), found, 0));
    }
    let mut tail = [0; 8];
    source.read_into(size - TAIL, &mut tail)?;
    let (length, magic) =
        tail.split_first_chunk::<4>().map_or((0, [].as_slice()), |(l, m)| (u32::from_le_bytes(*l), m));
    if magic == ENCRYPTED_MAGIC {
        return Err(encrypted(source));
    }
    if magic != MAGIC {
        let expected = format!("\"PAR1\" before byte {size}, which is {end}");
        let found = format!("{:?}", String::from_utf8_lossy(magic));
        return Err(damaged("Parquet footer is not where the table says", expected, found, size - 4));
    }
    let room = size - TAIL - 4;
    if u64::from(length) > room || length == 0 {
        let expected = format!("1 to {room} bytes");
        return Err(damaged(
            "Parquet footer has an impossible length",
            expected,
            format!("{length} bytes"),
            size - TAIL,
        ));
    }
    let start = size - TAIL - u64::from(length);
    let mut bytes = vec![0; length as usize];
    source.read_into(start, &mut bytes)?;
    nesting::check(&bytes).map_err(|e| e.at(start).in_file(source.path()))?;
    guarded("footer", || ParquetMetaDataReader::decode_metadata(&bytes))
        .map_err(|e| e.at(start).in_file(source.path()))
}

fn encrypted(source: &dyn Source) -> Error {
    let hint = "DuckDB's read_parquet reads such files with the parameter encryption_config.";
    Error::unsupported("Parquet file is encrypted").in_file(source.path()).hint(hint)
}

/// Whether a server wrote the file.
pub(super) fn is_of_server(metadata: &ParquetMetaData) -> bool {
    let entries = metadata.file_metadata().key_value_metadata();
    entries.is_some_and(|entries| entries.iter().any(|entry| entry.key == QUESTDB_KEY))
}

/// QuestDB's notes, one per column in the order of the file; `None` when another program wrote the file.
pub(crate) fn noted_columns(metadata: &ParquetMetaData) -> Result<Option<Vec<NotedColumn>>> {
    let entries = metadata.file_metadata().key_value_metadata();
    let entry = entries.and_then(|entries| entries.iter().find(|e| e.key == QUESTDB_KEY));
    let Some(text) = entry.and_then(|entry| entry.value.as_deref()) else { return Ok(None) };
    let malformed = |found: String| {
        Error::corrupt("key-value entry \"questdb\" is malformed", "a list of columns", found)
    };
    let json: Value = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    let Some(columns) = json.get("schema").and_then(Value::as_array) else {
        return Err(malformed("no \"schema\"".to_owned()));
    };
    columns
        .iter()
        .map(|column| {
            let noted = column.get("column_type").and_then(Value::as_i64);
            let code = noted.map(|code| code & !DESIGNATED_BIT).and_then(|code| i32::try_from(code).ok());
            let code = code.ok_or_else(|| malformed(format!("a column without type: {column}")))?;
            let column_type = ColumnType::from_code(code);
            let is_time = matches!(column_type, ColumnType::Timestamp(_));
            let designated = is_time && noted.is_some_and(|noted| noted & DESIGNATED_BIT != 0);
            Ok(NotedColumn { column_type, designated })
        })
        .collect::<Result<_>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::Memory;

    fn error_of(bytes: Vec<u8>) -> String {
        read(&Memory::new(bytes), "the size in _txn").unwrap_err().to_string()
    }

    fn file(footer: &[u8], length: u32, magic: &[u8]) -> Vec<u8> {
        [MAGIC.as_slice(), footer, &length.to_le_bytes(), magic].concat()
    }

    #[test]
    fn damage_of_the_footer_is_named() {
        assert!(error_of(Vec::new()).contains("too short"));
        assert!(error_of(vec![7; 100]).contains("not a Parquet file"));
        assert!(error_of(file(&[0; 16], 16, b"PARX")).contains("not where the table says"));
        assert!(error_of(file(&[0; 16], 17, b"PAR1")).contains("impossible length"));
        assert!(error_of(file(&[0; 16], u32::MAX, b"PAR1")).contains("impossible length"));
        assert!(error_of(file(&[0; 16], 16, b"PARE")).contains("encrypted"));
        assert!(error_of([b"PARE", &[0; 16][..], b"PARE"].concat()).contains("encrypted"));
        assert!(error_of(file(&[0; 16], 16, b"PAR1")).contains("footer"));
    }

    #[test]
    fn absurd_list_sizes_in_a_footer_allocate_nothing() {
        // Field 2, a list of structs with 2^31 − 1 elements.
        let footer = [0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0, 0];
        assert!(error_of(file(&footer, 12, b"PAR1")).contains("offset 4"));
    }
}
