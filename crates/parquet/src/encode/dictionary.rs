//! The dictionary of one chunk of text or blobs.

use ahash::RandomState;
use hashbrown::HashTable;

use super::bounds::head;

/// Values that are remembered before the table is asked; a power of two.
const RECENT: usize = 1024;
/// Values up to this length are equal when their heads and lengths are.
const HEAD_BYTES: usize = 8;

/// Distinct values, numbered as they come.
pub struct Dictionary {
    /// As the dictionary page holds them: each after its length.
    body: Vec<u8>,
    /// Where each value is in the body.
    places: Vec<(usize, usize)>,
    /// For each the number of the last page that used it, from 1.
    last_page: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
    recent: Vec<Recent>,
    limit: usize,
}

#[derive(Clone, Copy)]
struct Recent {
    head: u64,
    length: usize,
    key: u32,
}

/// The key of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its number.
    pub key: u32,
    /// The page had no such value before.
    pub is_new_in_page: bool,
}

impl Dictionary {
    /// An empty dictionary whose page has at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let nothing = Recent { head: 0, length: usize::MAX, key: 0 };
        Self {
            body: Vec::new(),
            places: Vec::new(),
            last_page: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::new(),
            recent: vec![nothing; RECENT],
            limit,
        }
    }

    /// Finds or adds a value of page number `page` (from 1); `None` when there is no room for it.
    pub fn key(&mut self, value: &[u8], page: u32) -> Option<Key> {
        let (head, length) = (head(value), value.len());
        let mixed = (head ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = (mixed >> (u64::BITS - RECENT.ilog2())) as usize;
        let recent = self.recent.get(slot).filter(|recent| {
            recent.head == head
                && recent.length == length
                && (length <= HEAD_BYTES || self.value(recent.key) == value)
        });
        let key = match recent {
            Some(recent) => recent.key,
            None => {
                let key = self.find_or_add(value)?;
                if let Some(recent) = self.recent.get_mut(slot) {
                    *recent = Recent { head, length, key };
                }
                key
            }
        };
        let last_page = self.last_page.get_mut(key as usize)?;
        let is_new_in_page = *last_page != page;
        *last_page = page;
        Some(Key { key, is_new_in_page })
    }

    fn find_or_add(&mut self, value: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(value);
        if let Some(key) = self.table.find(hash, |key| self.value(*key) == value) {
            return Some(*key);
        }
        let start = self.body.len() + size_of::<u32>();
        let end = start.checked_add(value.len()).filter(|end| *end <= self.limit)?;
        let key = u32::try_from(self.places.len()).ok()?;
        self.body.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
        self.body.extend_from_slice(value);
        self.places.push((start, end));
        self.last_page.push(0);
        let (body, places, hasher) = (&self.body, &self.places, &self.hasher);
        self.table.insert_unique(hash, key, |key| hasher.hash_one(bytes(body, places, *key)));
        Some(key)
    }

    fn value(&self, key: u32) -> &[u8] {
        bytes(&self.body, &self.places, key)
    }

    /// Bytes of the page.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The page's body, and how many values it has.
    pub fn into_page(self) -> (Vec<u8>, usize) {
        (self.body, self.places.len())
    }
}

fn bytes<'a>(body: &'a [u8], places: &[(usize, usize)], key: u32) -> &'a [u8] {
    places.get(key as usize).and_then(|(start, end)| body.get(*start..*end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_begin_alike_have_keys_of_their_own() {
        let mut dictionary = Dictionary::new(1 << 20);
        let values: Vec<String> = (0..5000).map(|i| format!("a value, number {}", i % 2500)).collect();
        let keys: Vec<u32> = values.iter().map(|v| dictionary.key(v.as_bytes(), 1).unwrap().key).collect();
        assert_eq!(keys, (0..5000).map(|i| i % 2500).collect::<Vec<u32>>());
        for zeros in 0..9 {
            dictionary.key(&vec![0; zeros], 2).unwrap();
        }
        assert_eq!(dictionary.into_page().1, 2509);
    }

    #[test]
    fn a_value_is_new_once_a_page() {
        let mut dictionary = Dictionary::new(1 << 20);
        let mut is_new = |page| dictionary.key(b"x", page).unwrap().is_new_in_page;
        assert_eq!([is_new(1), is_new(1), is_new(2), is_new(2)], [true, false, true, false]);
    }

    #[test]
    fn a_full_dictionary_takes_only_what_it_has() {
        let mut dictionary = Dictionary::new(14);
        assert!(dictionary.key(b"abc", 1).is_some());
        assert!(dictionary.key(b"too long", 1).is_none());
        assert!(dictionary.key(b"def", 1).is_some());
        assert!(dictionary.key(b"abc", 1).is_some() && dictionary.key(b"", 1).is_none());
        assert_eq!(dictionary.into_page(), (b"\x03\0\0\0abc\x03\0\0\0def".to_vec(), 2));
    }
}
