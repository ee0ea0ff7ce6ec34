//! How columns are stored (docs/format.md §6).

/// The files of a column and how long they must be (docs/format.md §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// One file of so many bytes per row.
    Fixed(usize),
    /// Data, and n + 1 offsets of 8 bytes.
    Offsets,
    /// Data, and n entries of 16 bytes.
    Entries,
}

impl Storage {
    /// Bytes that `rows` rows need in the first file to open: the data of fixed-width types, the
    /// auxiliary file of the others.
    pub fn needed(self, rows: u64) -> u64 {
        match self {
            Self::Fixed(width) => rows.saturating_mul(width as u64),
            Self::Offsets => rows.saturating_add(1).saturating_mul(8),
            Self::Entries => rows.saturating_mul(16),
        }
    }

    /// Rows that a file of so many bytes has room for; the inverse of [`Self::needed`].
    pub fn rows_in(self, bytes: u64) -> u64 {
        match self {
            Self::Fixed(width) => bytes / (width as u64).max(1),
            Self::Offsets => (bytes / 8).saturating_sub(1),
            Self::Entries => bytes / 16,
        }
    }
}
