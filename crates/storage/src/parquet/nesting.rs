//! How deep a footer is nested. The crate `parquet` builds the schema by recursion, so a damaged footer could use up the
//! stack; it is measured before.
//!
//! ```text
//! footer   2 list of schema elements, depth first, each { 5 number of children … }
//! ```

use super::thrift::Thrift;
use crate::error::{Error, Result};

/// Structs and lists within each other; a footer needs seven.
const DEEPEST_STRUCT: u32 = 32;

/// Groups of a schema within each other. An array of 32 dimensions takes 64.
const DEEPEST_SCHEMA: usize = 128;

/// Refuses a footer that is nested too deeply.
pub(super) fn check(footer: &[u8]) -> Result<()> {
    let mut thrift = Thrift::new(footer, "Parquet footer");
    // Children that are still to come, of each group that is open.
    let mut open: Vec<i64> = Vec::new();
    thrift.fields(DEEPEST_STRUCT, &mut |thrift, id, kind, depth| {
        if (id, kind) != (2, 9) {
            return thrift.skip(kind, depth);
        }
        thrift.list(depth, &mut |thrift, kind, depth| {
            let mut children = 0;
            match kind {
                12 => thrift.fields(depth, &mut |thrift, id, kind, depth| match (id, kind) {
                    (5, 5) => thrift.zigzag().map(|number| children = number),
                    _ => thrift.skip(kind, depth),
                })?,
                _ => thrift.skip(kind, depth)?,
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            while open.last().is_some_and(|left| *left <= 0) {
                open.pop();
            }
            if open.len() > DEEPEST_SCHEMA {
                let expected = format!("at most {DEEPEST_SCHEMA} groups within each other");
                return Err(Error::corrupt("Parquet schema is nested too deeply", expected, "more"));
            }
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer whose schema is so many groups of one child within each other.
    pub(crate) fn nested(groups: usize) -> Vec<u8> {
        let mut bytes = vec![0x15, 0x02, 0x19, 0xfc];
        let mut count = groups + 1;
        while count >= 0x80 {
            bytes.push(count as u8 | 0x80);
            count >>= 7;
        }
        bytes.push(count as u8);
        for _ in 0..groups {
            // 4 name "a"  5 number of children 1
            bytes.extend([0x48, 1, b'a', 0x15, 2, 0]);
        }
        // 1 type INT64  4 name "b"
        bytes.extend([0x15, 4, 0x38, 1, b'b', 0]);
        // 3 rows 0  4 no row groups
        bytes.extend([0x16, 0, 0x19, 0x0c, 0]);
        bytes
    }

    #[test]
    fn depth_is_that_of_groups_within_each_other() {
        check(&nested(100)).unwrap();
        let error = check(&nested(1_000_000)).unwrap_err().to_string();
        assert!(error.contains("nested too deeply"), "{error}");
        // A root with a thousand columns is flat.
        let mut flat = vec![0x29, 0xfc, 0xe9, 0x07, 0x48, 1, b'r', 0x15, 0xd0, 0x0f, 0];
        (0..1000).for_each(|_| flat.extend([0x15, 4, 0x38, 1, b'b', 0]));
        flat.push(0);
        check(&flat).unwrap();
    }

    #[test]
    fn structs_within_structs_use_no_stack() {
        assert!(check(&vec![0x1c; 1_000_000]).is_err());
        assert!(check(&vec![0x19; 1_000_000]).is_err());
        assert!(check(&[0x15]).is_err());
    }
}
