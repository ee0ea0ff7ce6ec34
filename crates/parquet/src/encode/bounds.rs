//! Shortened bounds of text and blobs for statistics: a lower bound may be cut off, an upper bound must grow when it is.

use parquet::basic::BoundaryOrder;

/// Bytes of a bound, at most.
const BOUND_BYTES: usize = 64;

/// A prefix, and whether it is the whole value. Text is cut between characters.
pub fn lower_bound(value: &[u8]) -> (&[u8], bool) {
    let head = value.get(..cut(value)).unwrap_or_default();
    (head, head.len() == value.len())
}

/// The value, or the shortest value above all that begin like it; the value itself when there is none.
pub fn upper_bound(value: &[u8]) -> (Vec<u8>, bool) {
    let cut = cut(value);
    if cut == value.len() {
        return (value.to_vec(), true);
    }
    let head = value.get(..cut).unwrap_or_default();
    let next = match std::str::from_utf8(head) {
        Ok(text) if std::str::from_utf8(value).is_ok() => next_text(text).map(String::into_bytes),
        _ => next_bytes(head),
    };
    next.map_or_else(|| (value.to_vec(), true), |next| (next, false))
}

/// Whether the bounds of a chunk's pages only rise or only fall; pages of NULLs do not count.
pub fn order<T: PartialOrd>(pages: &[Option<(T, T)>]) -> BoundaryOrder {
    let pages: Vec<&(T, T)> = pages.iter().flatten().collect();
    if pages.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1) {
        BoundaryOrder::ASCENDING
    } else if pages.is_sorted_by(|a, b| a.0 >= b.0 && a.1 >= b.1) {
        BoundaryOrder::DESCENDING
    } else {
        BoundaryOrder::UNORDERED
    }
}

/// The first eight bytes as a number that compares as they do; zeros stand for bytes that are not there.
pub fn head(value: &[u8]) -> u64 {
    match value.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => value.iter().rev().fold(0, |head, byte| head >> 8 | u64::from(*byte) << 56),
    }
}

/// Where a value is cut: its end, or the last character boundary that is near enough.
fn cut(value: &[u8]) -> usize {
    // A byte inside a character is 0b10xxxxxx.
    let starts_character = |at: &usize| value.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    if value.len() <= BOUND_BYTES {
        return value.len();
    }
    // A character has four bytes at most; where none begins, this is not text.
    (BOUND_BYTES - 3..=BOUND_BYTES).rev().find(starts_character).unwrap_or(BOUND_BYTES)
}

fn next_text(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // The surrogates are no characters: 0x800 steps over them.
        if let Some(next) = (last as u32 + 1..=last as u32 + 0x801).find_map(char::from_u32) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

fn next_bytes(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if let Some(next) = last.checked_add(1) {
            bytes.push(next);
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_for_long_text() {
        assert_eq!(upper_bound(b"short"), (b"short".to_vec(), true));
        let long = "z".repeat(100).into_bytes();
        let (upper, exact) = upper_bound(&long);
        assert!(!exact && upper > long && upper.len() <= 65);
        assert!(lower_bound(&long).0 < long.as_slice());
        let last = "\u{10ffff}".repeat(100).into_bytes();
        assert!(upper_bound(&last).0 >= last);
        let before_surrogates = format!("{}\u{d7ff}{}", "a".repeat(61), "b".repeat(50)).into_bytes();
        let (upper, _) = upper_bound(&before_surrogates);
        assert!(upper > before_surrogates && std::str::from_utf8(&upper).is_ok());
    }

    #[test]
    fn heads_compare_as_values_do() {
        let values: [&[u8]; 6] = [b"", b"a", b"a\0", b"ab", b"abcdefgh", b"b"];
        for pair in values.windows(2) {
            assert!(head(pair[0]) <= head(pair[1]), "{pair:?}");
        }
        assert_eq!(head(b"ab"), 0x6162_0000_0000_0000);
    }

    #[test]
    fn page_order_is_seen() {
        assert_eq!(order(&[Some((1, 3)), None, Some((2, 4))]), BoundaryOrder::ASCENDING);
        assert_eq!(order(&[Some((2, 4)), Some((1, 3))]), BoundaryOrder::DESCENDING);
        assert_eq!(order(&[Some((1, 4)), Some((2, 3))]), BoundaryOrder::UNORDERED);
    }

    #[test]
    fn bounds_hold_for_blobs() {
        let mut value = vec![0xff; 80];
        assert_eq!(upper_bound(&value), (value.clone(), true), "nothing shorter is above it");
        value[0] = 0x41;
        assert_eq!(upper_bound(&value), (vec![0x42], false));
        let continuation = vec![0x80; 100];
        assert_eq!(lower_bound(&continuation).0.len(), BOUND_BYTES);
        assert!(upper_bound(&continuation).0 > continuation);
    }
}
