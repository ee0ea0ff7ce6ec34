//! Text of the crate `parquet`, checked once more. For DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY it checks all texts in one
//! go, as if they were one: lengths that are wrong can cut a character in two. Then a text begins with the rest of it.

use arrow_array::cast::AsArray;
use arrow_array::Array;
use arrow_schema::DataType;

use crate::error::{Error, Result};

/// Refuses an array in which a text begins in the middle of a character.
pub(crate) fn check(array: &dyn Array) -> Result<()> {
    let bad = match array.data_type() {
        DataType::Utf8View => cut_views(array.as_string_view().views(), |row| array.is_valid(row)),
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            cut_texts(texts.value_offsets(), texts.value_data())
        }
        DataType::Dictionary(..) => return check(array.as_any_dictionary().values().as_ref()),
        DataType::List(_) => return check(array.as_list::<i32>().values().as_ref()),
        DataType::Map(..) => return check(array.as_map().entries()),
        DataType::Struct(_) => {
            return array.as_struct().columns().iter().try_for_each(|column| check(column.as_ref()))
        }
        _ => false,
    };
    match bad {
        true => Err(Error::corrupt("text in a Parquet page is not UTF-8", "UTF-8", "half a character")),
        false => Ok(()),
    }
}

/// Whether a text of these views begins with the rest of a character. The first byte stands behind the length.
fn cut_views(views: &[u128], is_valid: impl Fn(usize) -> bool) -> bool {
    let is_cut = |view: &u128| is_rest((view >> 32) as u8);
    // NULL may be anything; mostly it is zeros, and one pass is enough.
    views.iter().fold(false, |any, view| any | is_cut(view))
        && views.iter().enumerate().any(|(row, view)| is_cut(view) && is_valid(row))
}

/// The same for texts that stand one behind the other.
fn cut_texts(offsets: &[i32], bytes: &[u8]) -> bool {
    let first = |pair: &[i32]| match pair {
        [start, end] if start < end => bytes.get(usize::try_from(*start).ok()?).copied(),
        _ => None,
    };
    offsets.windows(2).any(|pair| first(pair).is_some_and(is_rest))
}

/// Whether a byte of UTF-8 is not the first one of its character.
fn is_rest(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, Int32Array, ListArray, StringArray, StringViewArray, StructArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn whole_characters_pass_in_every_array() {
        let texts =
            || [Some("é"), None, Some(""), Some("a text of more than twelve bytes: 日本"), Some("日")];
        check(&StringViewArray::from_iter(texts())).unwrap();
        check(&DictionaryArray::<Int32Type>::from_iter(texts())).unwrap();
        check(&Int32Array::from(vec![0x80, 0xbf])).unwrap();
        let inner: Arc<dyn Array> = Arc::new(StringArray::from_iter(texts()));
        let field = Arc::new(Field::new("x", DataType::Utf8, true));
        check(&StructArray::from(vec![(Arc::clone(&field), Arc::clone(&inner))])).unwrap();
        check(&ListArray::new(field, OffsetBuffer::from_lengths([2, 3]), inner, None)).unwrap();
    }

    #[test]
    fn half_a_character_is_told_from_a_whole_one() {
        let bytes = "éa日".as_bytes();
        assert!(!cut_texts(&[0, 2, 2, 3, 6], bytes));
        assert!(cut_texts(&[0, 1, 3, 6], bytes));
        assert!(cut_texts(&[0, 3, 5, 6], bytes));
        let view = |len: u128, first: u8| len | u128::from(first) << 32;
        assert!(!cut_views(&[view(2, 0xc3), view(1, b'a'), view(20, 0xe6), 0], |_| true));
        for cut in [view(2, 0xa9), view(20, 0x80), view(13, 0xbf)] {
            assert!(cut_views(&[view(1, b'a'), cut], |_| true));
            assert!(!cut_views(&[view(1, b'a'), cut], |row| row == 0), "NULL");
        }
    }
}
