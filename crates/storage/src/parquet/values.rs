//! Values of a page: rows with and without one, dictionary ids, texts.

use super::page::DataPage;
use super::rle;
use crate::error::{Error, Result};
use crate::types::{self, INLINE};

/// Fills one slot for each row: `values` in order, and `null` where the level is not 1.
#[inline]
pub(super) fn spread<T: Copy>(
    slots: &mut [T],
    levels: Option<&[u32]>,
    null: T,
    mut values: impl Iterator<Item = T>,
) {
    match levels {
        None => slots.iter_mut().zip(values).for_each(|(slot, value)| *slot = value),
        Some(levels) => {
            for (slot, level) in slots.iter_mut().zip(levels) {
                *slot = if *level == 1 { values.next().unwrap_or(null) } else { null };
            }
        }
    }
}

/// Appends the dictionary ids of a page's values, all below `count`.
pub(super) fn dictionary_ids(page: &DataPage, count: usize, ids: &mut Vec<u32>) -> Result<()> {
    let (start, present) = (ids.len(), page.present());
    let Some((width, runs)) = page.values().split_first() else {
        return if present == 0 { Ok(()) } else { Err(too_few(present, 0)) };
    };
    rle::decode(runs, u32::from(*width), present, ids)?;
    let new = ids.get(start..).unwrap_or_default();
    let limit = u32::try_from(count).unwrap_or(u32::MAX);
    if new.iter().fold(false, |any, id| any | (*id >= limit)) {
        let found = new.iter().max().copied().unwrap_or_default();
        return Err(Error::corrupt(
            "dictionary id is out of range",
            format_args!("less than {count}"),
            found,
        ));
    }
    Ok(())
}

/// Calls `visit` with place and bytes of each of the `count` length-prefixed values in `bytes`.
fn byte_arrays<'b>(
    bytes: &'b [u8],
    count: usize,
    mut visit: impl FnMut(usize, &'b [u8]) -> Result<()>,
) -> Result<()> {
    let mut at = 0usize;
    for found in 0..count {
        let rest = bytes.get(at..).unwrap_or_default();
        let value = rest
            .split_first_chunk::<4>()
            .and_then(|(len, rest)| rest.get(..u32::from_le_bytes(*len) as usize))
            .ok_or_else(|| too_few(count, found))?;
        visit(at + 4, value)?;
        at += 4 + value.len();
    }
    Ok(())
}

/// The `count` texts in `bytes`.
pub(super) fn symbol_texts(bytes: &[u8], count: usize) -> Result<Vec<&str>> {
    let mut texts = Vec::new();
    byte_arrays(bytes, count, |_, text| {
        texts.push(utf8(text)?);
        Ok(())
    })?;
    Ok(texts)
}

/// Appends views of the `count` texts in `bytes`, which will be buffer `number`.
pub(super) fn text_views(bytes: &[u8], count: usize, number: u32, views: &mut Vec<u128>) -> Result<()> {
    // Each takes four bytes at least, so the number alone is no reason to allocate.
    views.reserve(count.min(bytes.len() / 4));
    byte_arrays(bytes, count, |start, text| {
        if !text.is_ascii() {
            utf8(text)?;
        }
        views.push(if text.len() <= INLINE {
            let [low, high] = types::inline(text);
            u128::from(low) | u128::from(high) << 64
        } else {
            let prefix = text.first_chunk::<4>().map_or(0, |prefix| u32::from_le_bytes(*prefix));
            let start = u128::from(u32::try_from(start).unwrap_or(u32::MAX));
            text.len() as u128 | u128::from(prefix) << 32 | u128::from(number) << 64 | start << 96
        });
        Ok(())
    })
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| {
        let start = String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)).into_owned();
        Error::corrupt("text in a Parquet page is not UTF-8", "UTF-8", format_args!("{start:?}"))
    })
}

pub(super) fn too_few(expected: usize, found: usize) -> Error {
    Error::corrupt(
        "Parquet page has too few values",
        format_args!("{expected} values"),
        format_args!("{found} values"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_value_take_null() {
        let mut slots = [9; 4];
        spread(&mut slots, None, 0, [1, 2, 3, 4].into_iter());
        assert_eq!(slots, [1, 2, 3, 4]);
        spread(&mut slots, Some(&[0, 1, 0, 1]), -1, [5, 6].into_iter());
        assert_eq!(slots, [-1, 5, -1, 6]);
    }

    #[test]
    fn texts_become_views_and_damage_an_error() {
        let texts = ["", "short", "thirteen long", "größer als zwölf"];
        let bytes: Vec<u8> =
            texts.iter().flat_map(|t| [&(t.len() as u32).to_le_bytes()[..], t.as_bytes()].concat()).collect();
        let mut views = Vec::new();
        text_views(&bytes, texts.len(), 7, &mut views).unwrap();
        for (view, text) in views.iter().zip(texts) {
            assert_eq!(*view as u32 as usize, text.len());
            if text.len() > INLINE {
                assert_eq!((view >> 64) as u32, 7);
                assert_eq!(bytes[(view >> 96) as usize..][..text.len()], *text.as_bytes());
            }
        }
        assert_eq!(symbol_texts(&bytes, texts.len()).unwrap(), texts);
        assert!(text_views(&bytes, texts.len() + 1, 0, &mut views).is_err(), "one too many");
        assert!(text_views(&[9, 0, 0, 0, b'a'], 1, 0, &mut views).is_err(), "longer than the page");
        assert!(text_views(&[1, 0, 0, 0, 0xff], 1, 0, &mut views).is_err(), "not UTF-8");
    }
}
