//! When a row group ends: pure arithmetic, no arrays.

use crate::options::RowGroupLimits;

/// A row group that is this full is finished, in thousandths of its byte target.
const FULL: u64 = 985;
/// How far a row may reach over the byte target, in thousandths.
const OVER: u64 = 1040;
/// Below this, a row group is not closed because the next row is too large, in thousandths.
const ENOUGH: u64 = 955;

/// What to do with the rows that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Encode this many rows, then ask again.
    Take(usize),
    /// The row group is finished.
    Close,
}

/// The row group so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Rows in it.
    pub rows: u64,
    /// Its encoded, uncompressed bytes, as measured.
    pub bytes: u64,
}

/// How many of the rows, whose raw sizes are given in order, go into the row group now. `raw` is empty when only rows limit.
pub fn next(limits: RowGroupLimits, filled: Filled, available: usize, raw: &[u64]) -> Next {
    let by_rows = match limits.rows {
        Some(rows) => usize::try_from(rows.saturating_sub(filled.rows)).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    if by_rows == 0 {
        return Next::Close;
    }
    let most = available.min(by_rows);
    let Some(target) = limits.bytes else { return Next::Take(most) };
    if filled.rows > 0 && filled.bytes >= permille(target, FULL) {
        return Next::Close;
    }
    let room = target.saturating_sub(filled.bytes);
    let mut sum = 0u64;
    let fitting = raw
        .iter()
        .take(most)
        .take_while(|size| {
            sum = sum.saturating_add(**size);
            sum <= room
        })
        .count();
    if fitting > 0 {
        return Next::Take(fitting);
    }
    let first = raw.first().copied().unwrap_or(0);
    if filled.rows == 0 || filled.bytes.saturating_add(first) <= permille(target, OVER) {
        return Next::Take(1);
    }
    if filled.bytes >= permille(target, ENOUGH) {
        return Next::Close;
    }
    // Neither with nor without the next row is the target met: the nearer one wins.
    let over = filled.bytes.saturating_add(first) - target;
    if over < room {
        Next::Take(1)
    } else {
        Next::Close
    }
}

fn permille(value: u64, share: u64) -> u64 {
    (u128::from(value) * u128::from(share) / 1000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn filled(rows: u64, bytes: u64) -> Filled {
        Filled { rows, bytes }
    }

    #[test]
    fn rows_are_exact() {
        let limits = RowGroupLimits { rows: Some(10), bytes: None };
        assert_eq!(next(limits, filled(0, 0), 4, &[]), Next::Take(4));
        assert_eq!(next(limits, filled(8, 0), 4, &[]), Next::Take(2));
        assert_eq!(next(limits, filled(10, 0), 4, &[]), Next::Close);
    }

    #[test]
    fn bytes_fill_up_and_never_jump_over() {
        let limits = RowGroupLimits { rows: None, bytes: Some(1000) };
        assert_eq!(next(limits, filled(0, 0), 100, &[100; 100]), Next::Take(10));
        assert_eq!(next(limits, filled(10, 500), 100, &[100; 100]), Next::Take(5));
        assert_eq!(next(limits, filled(10, 990), 100, &[100; 100]), Next::Close);
        assert_eq!(next(limits, filled(10, 930), 100, &[100; 100]), Next::Take(1), "1030 is within 4 %");
        assert_eq!(next(limits, filled(10, 960), 100, &[100; 100]), Next::Close);
    }

    #[test]
    fn a_row_larger_than_the_target_is_a_row_group() {
        let limits = RowGroupLimits { rows: None, bytes: Some(1000) };
        assert_eq!(next(limits, filled(0, 0), 3, &[5000; 3]), Next::Take(1));
        assert_eq!(next(limits, filled(1, 5000), 3, &[5000; 3]), Next::Close);
        assert_eq!(next(limits, filled(1, 400), 1, &[5000]), Next::Close);
        assert_eq!(next(limits, filled(1, 400), 1, &[700]), Next::Take(1));
    }
}
