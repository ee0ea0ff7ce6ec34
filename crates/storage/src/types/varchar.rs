//! VARCHAR: UTF-8 (docs/format.md §7.3).
//!
//! ```text
//! .i  16 bytes per row:  0 header │ 1 … 9 value (inlined)   or   0 header u32 │ 4 … 9 first six bytes
//!                       10 … 15 offset in .d (48 bits)
//!     header bit 0 inlined, bit 1 ASCII, bit 2 NULL; length in bits 4–7 (inlined) or 4–31
//! .d  the bytes, back to back
//! ```

use crate::error::{Error, Result};
use crate::source::Source;

use super::sink::{ColumnSink, HeapAddress, NullMask, StringSlots, View, INLINE};
use super::{ColumnSource, Rows, Scratch};

const INLINED: u64 = 1;
const NULL: u64 = 4;
const MAX_INLINED: u64 = 9;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
/// The six bytes that an entry repeats.
const PREFIX_MASK: u64 = 0xffff_ffff_ffff;
/// All of them.
const TEXT_MASKS_ALL: [u64; 2] = [0xffff_ffff, u64::MAX];
/// What of the first four and of the next eight bytes belongs to a text of n bytes.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const TEXT_MASKS: [[u64; 2]; INLINE + 1] = {
    let mut masks = [[0; 2]; INLINE + 1];
    let mut n = 0;
    while n <= INLINE {
        let all = (1u128 << (8 * n)) - 1;
        masks[n] = [all as u64 & 0xffff_ffff, (all >> 32) as u64];
        n += 1;
    }
    masks
};

/// An entry of the auxiliary file, as two little-endian words.
#[derive(Debug, Clone, Copy)]
struct Entry([u64; 2]);

impl Entry {
    fn is_null(self) -> bool {
        self.0[0] & NULL != 0
    }

    fn is_inlined(self) -> bool {
        self.0[0] & INLINED != 0
    }

    /// Length of an inlined value.
    fn inlined_len(self) -> u64 {
        self.0[0] >> 4 & 0xf
    }

    /// Length of a value in the data file.
    fn len(self) -> u64 {
        self.0[0] >> 4 & 0x0fff_ffff
    }

    fn offset(self) -> u64 {
        self.0[1] >> 16
    }

    /// First six bytes of a value in the data file.
    fn prefix(self) -> u64 {
        self.0[0] >> 32 | (self.0[1] & 0xffff) << 32
    }

    /// The inlined bytes, zero beyond the length.
    fn inlined_text(self) -> u128 {
        let text = u128::from(self.0[0] >> 8) | u128::from(self.0[1] & 0xffff) << 56;
        text & ((1u128 << (8 * self.inlined_len().min(MAX_INLINED))) - 1)
    }

    fn is_stored(self) -> bool {
        self.0[0] & (INLINED | NULL) == 0
    }
}

/// The part of the data file that a batch of entries names.
struct Extent {
    start: u64,
    end: u64,
    total: u64,
}

impl Extent {
    fn of(entries: &[[u64; 2]]) -> Self {
        let mut extent = Self { start: u64::MAX, end: 0, total: 0 };
        for entry in entries {
            let entry = Entry(*entry);
            let stored = u64::from(entry.is_stored()).wrapping_neg();
            let len = entry.len() & stored;
            extent.start = extent.start.min(entry.offset() | !stored);
            extent.end = extent.end.max((entry.offset() & stored) + len);
            extent.total += len;
        }
        extent
    }

    /// Whether one read of the whole extent beats a read per value.
    fn is_dense(&self) -> bool {
        self.end.saturating_sub(self.start) <= self.total + self.total / 4 + 1024
    }
}

pub(super) fn decode<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    let aux = source.aux()?;
    let data = source.data.as_ref();
    let entries: &[[u64; 2]] = Scratch::values(&mut scratch.words, aux, rows)?;
    let extent = Extent::of(entries);
    let place = |e: Error, i: usize| e.at(rows.position(i).saturating_mul(16)).in_file(aux.path());
    if extent.total > 0 && extent.end > data.len() {
        let outside =
            |e: &[u64; 2]| Entry(*e).is_stored() && Entry(*e).offset() + Entry(*e).len() > data.len();
        let i = entries.iter().position(outside).unwrap_or_default();
        return Err(place(outside_data(entries.get(i), data), i));
    }
    if extent.total == 0 {
        return sink.strings(entries.len(), 0, |slots| small(entries, slots).map_err(|(i, e)| place(e, i)));
    }
    if extent.is_dense() {
        let size = usize::try_from(extent.end - extent.start).unwrap_or(usize::MAX);
        return sink.strings(entries.len(), size.saturating_add(PADDING), |slots| {
            data.read_into(extent.start, slots.heap().get_mut(..size).unwrap_or_default())?;
            if all_at_once(entries, slots, extent.start, size) {
                return Ok(());
            }
            stored(entries, slots, |entry| (entry.offset() - extent.start) as usize)
                .map_err(|(i, e)| place(e, i))
        });
    }
    let size = usize::try_from(extent.total).unwrap_or(usize::MAX);
    sink.strings(entries.len(), size, |slots| {
        let mut at = 0usize;
        for entry in entries.iter().map(|e| Entry(*e)).filter(|e| e.is_stored()) {
            let end = at + entry.len() as usize;
            data.read_into(entry.offset(), slots.heap().get_mut(at..end).unwrap_or_default())?;
            at = end;
        }
        let mut at = 0usize;
        let next = |entry: Entry| {
            at += entry.len() as usize;
            at - entry.len() as usize
        };
        stored(entries, slots, next).map_err(|(i, e)| place(e, i))
    })
}

/// Bytes behind the values on the heap, so that the head of each can be read as one word.
const PADDING: usize = 16;

/// Builds all views in one pass without a branch per value, `heap[..size]` being the data file from `start`
/// on. `false` means that something needs a closer look: non-ASCII text in an entry, or damage.
fn all_at_once(entries: &[[u64; 2]], slots: &mut StringSlots<'_>, start: u64, size: usize) -> bool {
    let (views, heap, address, nulls) = slots.parts();
    let text = heap.get(..size).unwrap_or_default();
    match encoding(text) {
        Encoding::Ascii => build::<false>(entries, views, heap, address, nulls, start, size),
        Encoding::Utf8 => build::<true>(entries, views, heap, address, nulls, start, size),
        Encoding::Mixed => false,
    }
}

/// See [`all_at_once`]. `BOUNDARIES` asks for a check that values start and end between characters.
#[inline]
fn build<const BOUNDARIES: bool>(
    entries: &[[u64; 2]],
    views: &mut [View],
    heap: &[u8],
    address: HeapAddress,
    nulls: &mut NullMask,
    start: u64,
    size: usize,
) -> bool {
    let mut bad = 0u64;
    for (word, (entries, views)) in entries.chunks(64).zip(views.chunks_mut(64)).enumerate() {
        let mut null_bits = 0u64;
        for (i, (entry, view)) in entries.iter().zip(views).enumerate() {
            let [low, high] = *entry;
            let entry = Entry(*entry);
            let is_null = u64::from(entry.is_null());
            null_bits |= is_null << i;
            // Both forms are computed and one is chosen by a mask: which one is as good as random.
            let stored = u64::from(entry.is_stored()).wrapping_neg();
            let at = (entry.offset().wrapping_sub(start) as usize).min(size);
            let [first, second] = head(heap, at);
            let inlined = [low >> 8, low >> 40 | (high & 0xffff) << 24];
            let text =
                [choose(stored, first, inlined[0]), choose(stored, first >> 32 | second << 32, inlined[1])];
            let len = choose(stored, entry.len(), entry.inlined_len());
            let masks = TEXT_MASKS.get(len as usize).unwrap_or(&TEXT_MASKS_ALL);
            let pointer = address.base.wrapping_add((at as u64) << address.shift);
            let is_long = u64::from(len > INLINE as u64).wrapping_neg();
            let tail = choose(is_long, pointer, text[1] & masks[1]);
            let torn = stored & (first ^ entry.prefix()) & PREFIX_MASK;
            let odd =
                (inlined[0] & HIGH_BITS) | (high & 0x8080) | u64::from(entry.inlined_len() > MAX_INLINED);
            bad |= torn | (odd & !stored & is_null.wrapping_sub(1));
            if BOUNDARIES {
                let end = heap.get(at.saturating_add(len as usize)).copied().unwrap_or_default();
                let inside = at.saturating_add(len as usize) < size;
                let splits = (first as u8 & 0xc0 == 0x80) | ((end & 0xc0 == 0x80) & inside);
                bad |= stored & u64::from(splits);
            }
            let keep = is_null.wrapping_sub(1);
            *view = [(len | (text[0] & masks[0]) << 32) & keep, tail & keep];
        }
        nulls.set_word(word, null_bits);
    }
    bad == 0
}

/// `a` where the mask is all ones, `b` where it is zero.
#[inline]
fn choose(mask: u64, a: u64, b: u64) -> u64 {
    (a & mask) | (b & !mask)
}

/// The sixteen bytes of the heap at `at`, zeros behind its end.
#[inline]
fn head(heap: &[u8], at: usize) -> [u64; 2] {
    let bytes =
        heap.get(at..).and_then(|heap| heap.first_chunk::<16>()).map_or(0, |b| u128::from_le_bytes(*b));
    [bytes as u64, (bytes >> 64) as u64]
}

/// Rows without a byte in the data file.
fn small(entries: &[[u64; 2]], slots: &mut StringSlots<'_>) -> std::result::Result<(), (usize, Error)> {
    for (row, entry) in entries.iter().enumerate() {
        let entry = Entry(*entry);
        if entry.is_null() {
            slots.set_null(row);
        } else {
            slots.set_view(row, inlined(entry).map_err(|e| (row, e))?);
        }
    }
    Ok(())
}

/// All rows, the bytes of stored ones being on the heap at `start(entry)`; called once for each in order.
fn stored(
    entries: &[[u64; 2]],
    slots: &mut StringSlots<'_>,
    mut start: impl FnMut(Entry) -> usize,
) -> std::result::Result<(), (usize, Error)> {
    let heap_utf8 = encoding(slots.heap());
    for (row, entry) in entries.iter().enumerate() {
        let entry = Entry(*entry);
        if entry.is_null() {
            slots.set_null(row);
        } else if entry.is_inlined() {
            slots.set_view(row, inlined(entry).map_err(|e| (row, e))?);
        } else {
            let (at, len) = (start(entry), entry.len() as usize);
            check(slots.heap(), at, len, entry, heap_utf8).map_err(|e| (row, e))?;
            slots.set_range(row, at, len);
        }
    }
    Ok(())
}

/// What is known of the whole heap's encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Ascii,
    Utf8,
    /// Some bytes are not UTF-8; they may lie between the values.
    Mixed,
}

fn encoding(heap: &[u8]) -> Encoding {
    if heap.is_ascii() {
        Encoding::Ascii
    } else if simdutf8::basic::from_utf8(heap).is_ok() {
        Encoding::Utf8
    } else {
        Encoding::Mixed
    }
}

/// The value must be UTF-8 and start with the bytes that its entry repeats.
fn check(heap: &[u8], at: usize, len: usize, entry: Entry, encoding: Encoding) -> Result<()> {
    let bytes = heap.get(at..at + len).unwrap_or_default();
    let prefix = bytes.first_chunk::<6>().map_or(0, |p| {
        let mut word = [0u8; 8];
        word[..6].copy_from_slice(p);
        u64::from_le_bytes(word)
    });
    if len >= 6 && prefix != entry.prefix() {
        return Err(Error::corrupt(
            "VARCHAR entry and its data disagree",
            format_args!("data that starts with {:#014x}", entry.prefix()),
            format_args!("{prefix:#014x} at offset {} of the data file", entry.offset()),
        ));
    }
    let continues = |at: usize| heap.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let valid = match encoding {
        Encoding::Ascii => true,
        Encoding::Utf8 => !continues(at) && !continues(at + len),
        Encoding::Mixed => std::str::from_utf8(bytes).is_ok(),
    };
    if valid {
        return Ok(());
    }
    Err(not_utf8(bytes, &format!(" at offset {} of the data file", entry.offset())))
}

/// The view of an inlined value.
#[inline]
fn inlined(entry: Entry) -> Result<View> {
    let len = entry.inlined_len();
    if len > MAX_INLINED {
        return Err(Error::corrupt(
            "inlined VARCHAR is too long",
            format_args!("at most {MAX_INLINED} bytes"),
            len,
        ));
    }
    let text = entry.inlined_text();
    if (text as u64 | (text >> 64) as u64) & HIGH_BITS != 0 {
        let bytes = text.to_le_bytes();
        let bytes = bytes.get(..len as usize).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| not_utf8(bytes, ""))?;
    }
    Ok([len | (text as u64) << 32, (text >> 32) as u64])
}

fn not_utf8(bytes: &[u8], where_: &str) -> Error {
    let shown: String = bytes.iter().take(16).map(|b| format!("{b:02x}")).collect();
    Error::corrupt("VARCHAR is not UTF-8", "UTF-8", format_args!("bytes {shown}{where_}"))
}

fn outside_data(entry: Option<&[u64; 2]>, data: &dyn Source) -> Error {
    let entry = Entry(entry.copied().unwrap_or_default());
    Error::corrupt(
        "VARCHAR lies outside its data file",
        format_args!("at most {} bytes in \"{}\"", data.len(), data.path().display()),
        format_args!("{} bytes at offset {}", entry.len(), entry.offset()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::ArrowSink;
    use crate::source::tests::Memory;
    use crate::types::{ColumnType, ValueType};
    use std::sync::Arc;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect()
    }

    fn read(aux: &str, data: &[u8], rows: Rows<'_>) -> Result<Vec<Option<String>>> {
        let source = ColumnSource {
            data: Arc::new(Memory::new(data.to_vec())),
            aux: Some(Arc::new(Memory::new(hex(aux)))),
            symbols: None,
            ascending: false,
        };
        let mut sink = ArrowSink::new(ValueType::Text);
        super::super::decode(ColumnType::Varchar, false, &source, rows, &mut Scratch::default(), &mut sink)?;
        let array = sink.finish()?;
        let array = array.as_any().downcast_ref::<arrow_array::StringViewArray>().unwrap();
        Ok(array.iter().map(|v| v.map(str::to_owned)).collect())
    }

    const AUX: &str = "5373686f727400000000000000000000
        04000000000000000000000000000000
        03000000000000000000000000000000
        9365786163746c793962000000000000
        a200000065786163746c000000000000
        60000000d09fd180d0b80a0000000000";

    #[test]
    fn inlined_null_empty_and_stored_values() {
        let data = [b"exactly10b".as_slice(), "При".as_bytes()].concat();
        let all = read(AUX, &data, Rows::Range { start: 0, len: 6 }).unwrap();
        let expected = [Some("short"), None, Some(""), Some("exactly9b"), Some("exactly10b"), Some("При")];
        assert_eq!(all, expected.map(|v| v.map(str::to_owned)));
        let some = read(AUX, &data, Rows::List { rows: &[13, 14, 15], base: 10 }).unwrap();
        assert_eq!(some, expected[3..].iter().map(|v| v.map(str::to_owned)).collect::<Vec<_>>());
    }

    #[test]
    fn damage_is_an_error_with_its_offset() {
        let data = [b"exactly10b".as_slice(), "При".as_bytes()].concat();
        let all = Rows::Range { start: 0, len: 6 };
        assert_eq!(read(AUX, &data[..12], all).unwrap_err().place().offset, Some(80));
        let mut torn = data.clone();
        torn[0] = b'X';
        assert!(read(AUX, &torn, all).unwrap_err().to_string().contains("disagree"));
        let mut bad = data.clone();
        bad[15] = 0xff;
        assert!(read(AUX, &bad, all).is_err());
        assert!(read("f3000000000000000000000000000000", &[], Rows::Range { start: 0, len: 1 }).is_err());
        assert!(read("53ff0000000000000000000000000000", &[], Rows::Range { start: 0, len: 1 }).is_err());
    }
}
