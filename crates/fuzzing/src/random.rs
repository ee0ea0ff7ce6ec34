//! Changes that look random and are the same each time.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Numbers from a seed.
pub struct Random(u64);

/// Numbers at which parsers go wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 43,
    i64::MAX as u64,
    u64::MAX,
];

impl Random {
    /// The numbers of `seed`.
    pub fn new(seed: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// The next one.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next one below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }

    /// `bytes` after one to four changes.
    pub fn changed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        match self.below(9) {
            0..=2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            3 if at < bytes.len() => bytes[at] = self.number() as u8,
            4 | 5 => {
                // A number of 1, 2, 4 or 8 bytes.
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                let end = bytes.len().min(at + (1 << self.below(4)));
                bytes[at..end].copy_from_slice(&edge[..end - at]);
            }
            6 => bytes.truncate(at),
            7 => {
                let more = self.below(64);
                let more: Vec<u8> = (0..more).map(|_| self.number() as u8).collect();
                bytes.splice(at..at, more);
            }
            _ => {
                let from = self.below(bytes.len() + 1);
                let len = self.below(100).min(bytes.len() - from);
                let part = bytes[from..from + len].to_vec();
                let end = bytes.len().min(at + len);
                bytes.splice(at..end, part);
            }
        }
    }
}
