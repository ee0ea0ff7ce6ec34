//! What types with a text form share: rendering fixed-width values into a sink's string slots.

use crate::error::Result;

use super::sink::{ColumnSink, INLINE};

/// Appends the text forms of `values`: `render` writes one value's text into the buffer, or returns
/// `false` for NULL. No text is longer than `longest` bytes.
pub(super) fn render<T, S: ColumnSink>(
    values: &[T],
    longest: usize,
    sink: &mut S,
    render: impl Fn(&T, &mut Vec<u8>) -> bool,
) -> Result<()> {
    let heap = if longest > INLINE { values.len().saturating_mul(longest) } else { 0 };
    let mut text = Vec::with_capacity(longest);
    sink.strings(values.len(), heap, |slots| {
        for (row, value) in values.iter().enumerate() {
            text.clear();
            if render(value, &mut text) {
                slots.push(row, &text);
            } else {
                slots.set_null(row);
            }
        }
        Ok(())
    })
}
