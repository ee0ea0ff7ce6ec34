//! The id of an export: a number, as 16 hexadecimal digits.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

use duckdb_neo::error::Error;
use duckdb_neo::Result;

/// Digits of an id.
const DIGITS: usize = 16;

/// Names an export for as long as its log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId(u64);

impl JobId {
    /// An id that no other export has, in this process or another.
    pub fn new() -> Self {
        // Each `RandomState` has keys of its own, and the first of a thread come from the operating system.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        Self(hasher.finish())
    }

    /// Reads an id as the server does: hexadecimal digits, in any case.
    ///
    /// # Errors
    /// Text that is no such number.
    pub fn parse(text: &str) -> Result<Self> {
        let is_hex = !text.is_empty() && text.len() <= DIGITS && text.bytes().all(|c| c.is_ascii_hexdigit());
        let number = if is_hex { u64::from_str_radix(text, 16).ok() } else { None };
        number.map(Self).ok_or_else(|| {
            Error::invalid_input(format!(
                "copy cancel ID format is invalid: '{text}'\nAn id has {DIGITS} hexadecimal digits, as questdb_export \
                 returns it with background := true."
            ))
        })
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_sixteen_digits_and_differ() {
        let (a, b) = (JobId::new(), JobId::new());
        assert_eq!(a.to_string().len(), 16);
        assert_ne!(a, b);
        assert_eq!(JobId::parse(&a.to_string()).ok(), Some(a));
        assert_eq!(JobId(0xab).to_string(), "00000000000000ab");
        assert_eq!(JobId::parse("00000000000000AB").ok(), Some(JobId(0xab)));
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in ["", "zzz", "+1", "0x12", " 1", "12345678901234567"] {
            assert!(JobId::parse(text).is_err(), "{text}");
        }
    }
}
