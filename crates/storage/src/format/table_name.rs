//! `_name`: the table's current name (docs/format.md §1.2): one `str`.

use super::bytes::Record;
use crate::error::Result;

/// Largest sensible file.
pub const MAX_FILE_SIZE: u64 = 64 << 10;

const MAX_NAME_UNITS: i32 = 4096;

/// Parses the file.
pub fn parse(bytes: &[u8]) -> Result<String> {
    Ok(Record::new(bytes, 0).utf16(0, MAX_NAME_UNITS)?.0)
}

/// The name to use when there is no `_name`: the directory up to the first `~`.
pub fn from_directory(directory: &str) -> &str {
    directory.split('~').next().unwrap_or(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_ignored_and_the_fallback_cuts_the_id() {
        assert_eq!(parse(&[2, 0, 0, 0, b'a', 0, b'b', 0, 0, 0]).unwrap(), "ab");
        assert!(parse(&[9, 0, 0, 0, b'a', 0]).is_err());
        assert_eq!(from_directory("trades~12"), "trades");
        assert_eq!(from_directory("plain"), "plain");
    }
}
