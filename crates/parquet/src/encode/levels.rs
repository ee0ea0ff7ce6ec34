//! Definition levels of a flat column: which rows of a page are NULL.

use arrow_buffer::BooleanBufferBuilder;

use super::rle;
use crate::error::{Error, Result};

/// The rows of the page in progress.
pub struct Levels {
    nullable: bool,
    rows: usize,
    nulls: usize,
    /// Validity from the first row on; empty before the first NULL.
    valid: BooleanBufferBuilder,
}

impl Levels {
    /// Of a page without rows.
    pub fn new(nullable: bool) -> Self {
        Self { nullable, rows: 0, nulls: 0, valid: BooleanBufferBuilder::new(0) }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that they will take, at most.
    pub fn size(&self) -> usize {
        if self.nulls == 0 {
            0
        } else {
            self.rows / 8
        }
    }

    /// Adds rows with values.
    pub fn values(&mut self, rows: usize) {
        if self.nulls > 0 {
            self.valid.append_n(rows, true);
        }
        self.rows += rows;
    }

    /// Adds NULLs.
    ///
    /// # Errors
    /// A column that is REQUIRED.
    pub fn nulls(&mut self, rows: usize) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        if !self.nullable {
            return Err(Error::invalid_input("NULL in a column that must not have any"));
        }
        if self.nulls == 0 {
            self.valid.append_n(self.rows, true);
        }
        self.valid.append_n(rows, false);
        self.rows += rows;
        self.nulls += rows;
        Ok(())
    }

    /// Ends the page: rows, NULLs, and the levels without a length before them; none for a REQUIRED column.
    pub fn take(&mut self) -> (usize, usize, Vec<u8>) {
        let (rows, nulls) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.nulls));
        let mut levels = Vec::new();
        if self.nullable {
            if nulls == 0 || nulls == rows {
                rle::encode_run(nulls == 0, rows, &mut levels);
            } else {
                rle::encode_bits(self.valid.as_slice(), rows, &mut levels);
            }
        }
        self.valid.truncate(0);
        (rows, nulls, levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_do_not_see_each_other() {
        let mut levels = Levels::new(true);
        levels.values(3);
        levels.nulls(2).unwrap();
        levels.values(4);
        assert_eq!(levels.take(), (9, 2, vec![3, 0b1110_0111, 3, 1]));
        levels.values(5);
        assert_eq!(levels.take(), (5, 0, vec![10, 1]));
        levels.nulls(1).unwrap();
        assert_eq!(levels.take(), (1, 1, vec![2, 0]));
    }

    #[test]
    fn required_columns_have_no_levels_and_no_nulls() {
        let mut levels = Levels::new(false);
        levels.values(7);
        assert!(levels.nulls(1).is_err());
        assert_eq!(levels.take(), (7, 0, vec![]));
    }
}
