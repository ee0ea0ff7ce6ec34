//! Memory of decoded values, used again for the next ones: fresh memory costs more than what is written to it.

use arrow_buffer::Buffer;

/// Memory of one column of one thread. It holds no more than what was in use at once.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    bytes: Vec<Vec<u8>>,
    words: Vec<Vec<u32>>,
    views: Vec<Vec<u128>>,
}

impl Pool {
    /// `len` bytes of any content.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        match self.bytes.pop() {
            Some(mut bytes) if bytes.capacity() >= len => {
                bytes.resize(len, 0);
                bytes
            }
            _ => vec![0; len],
        }
    }

    /// No words, with room for `rows`.
    pub(super) fn words(&mut self, rows: usize) -> Vec<u32> {
        empty(&mut self.words, rows)
    }

    /// No views, with room for `rows`.
    pub(super) fn views(&mut self, rows: usize) -> Vec<u128> {
        empty(&mut self.views, rows)
    }

    /// Takes back what [`Self::bytes`] gave.
    pub(super) fn put_bytes(&mut self, bytes: Vec<u8>) {
        self.bytes.push(bytes);
    }

    /// Takes back what [`Self::words`] gave.
    pub(super) fn put_words(&mut self, words: Vec<u32>) {
        self.words.push(words);
    }

    /// Takes back what [`Self::views`] gave.
    pub(super) fn put_views(&mut self, views: Vec<u128>) {
        self.views.push(views);
    }

    /// Takes back memory of any kind; what somebody still refers to is left to them.
    pub(crate) fn put(&mut self, memory: Buffer) {
        let memory = match memory.into_vec::<u8>() {
            Ok(bytes) => return self.bytes.push(bytes),
            Err(other) => other,
        };
        match memory.into_vec::<u128>() {
            Ok(views) => self.views.push(views),
            Err(other) => self.words.extend(other.into_vec::<u32>()),
        }
    }
}

fn empty<T>(kept: &mut Vec<Vec<T>>, len: usize) -> Vec<T> {
    match kept.pop() {
        Some(mut memory) if memory.capacity() >= len => {
            memory.clear();
            memory
        }
        _ => Vec::with_capacity(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_unless_it_is_still_in_use() {
        let mut pool = Pool::default();
        let (bytes, words, views) = (pool.bytes(100), pool.words(10), pool.views(10));
        let places = (bytes.as_ptr(), words.as_ptr(), views.as_ptr());
        for memory in [Buffer::from_vec(bytes), Buffer::from_vec(words), Buffer::from_vec(views)] {
            pool.put(memory);
        }
        let shared = pool.bytes(60);
        assert_eq!((shared.as_ptr(), shared.len()), (places.0, 60));
        let (words, views) = (pool.words(10), pool.views(10));
        assert_eq!((words.as_ptr(), views.as_ptr()), (places.1, places.2));
        let shared = Buffer::from_vec(shared);
        let other = shared.slice(5);
        pool.put(shared);
        assert!(pool.bytes.is_empty() && other.len() == 55);
    }
}
