//! `txn_seq/_txnlog`: how many WAL transactions exist (docs/format.md §10).
//!
//! ```text
//! 0 ┌ format i32 │ 4 max transaction i64 │ 12 creation time µs i64 │ 20 records per part i32 │ … 76
//! ```

use super::bytes::Record;
use crate::error::{Error, Result};
use crate::source::Source;

const MAX_TXN: u64 = 4;
const HEADER_SIZE: u64 = 12;

/// The last transaction that the sequencer gave out.
pub fn last_txn(source: &dyn Source) -> Result<i64> {
    if source.len() < HEADER_SIZE {
        return Err(Error::too_short(source.path(), HEADER_SIZE, source.len()));
    }
    let mut bytes = [0u8; 8];
    source.read_into(MAX_TXN, &mut bytes)?;
    Record::new(&bytes, MAX_TXN).i64(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::Memory;

    #[test]
    fn last_transaction_stands_at_byte_four() {
        let mut bytes = vec![0; 76];
        bytes[4] = 9;
        assert_eq!(last_txn(&Memory::new(bytes)).unwrap(), 9);
        assert!(last_txn(&Memory::new(vec![0; 8])).is_err());
    }
}
