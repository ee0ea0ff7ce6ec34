//! DECIMAL: unscaled two's complement in 1, 2, 4, 8, 16 or 32 bytes; the minimum of the width is NULL.
//! Of the two widest the words stand most significant first (docs/format.md §7.5).

use crate::error::{Error, Result};

use super::text::render;
use super::{ColumnSink, ColumnSource, ColumnType, Rows, Scratch};

/// Sign, point, leading zero and 77 digits.
const LONGEST: usize = 80;

/// The type with tag 28 to 33, when precision, scale and width fit together.
pub(super) fn from_parts(tag: i32, precision: u8, scale: u8) -> Option<ColumnType> {
    let fits = (1..=76).contains(&precision) && scale <= precision && width(precision) == 1 << (tag - 28);
    fits.then_some(ColumnType::Decimal { precision, scale })
}

/// Bytes of a value.
pub(super) fn width(precision: u8) -> usize {
    match precision {
        0..=2 => 1,
        3..=4 => 2,
        5..=9 => 4,
        10..=18 => 8,
        19..=38 => 16,
        _ => 32,
    }
}

pub(super) fn decode<S: ColumnSink>(
    source: &ColumnSource,
    rows: Rows<'_>,
    precision: u8,
    scale: u8,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    let n = rows.len();
    let in_range =
        |i: usize, e: Error| e.at(rows.position(i) * width(precision) as u64).in_file(source.data.path());
    match width(precision) {
        1 => {
            let bytes: &[i8] = Scratch::fixed(&mut scratch.words, source, rows)?;
            let fill = |values: &mut [i16]| {
                values.iter_mut().zip(bytes).for_each(|(value, byte)| *value = i16::from(*byte));
                check(values, i16::from(i8::MIN), precision).map_err(|(i, e)| in_range(i, e))
            };
            sink.fixed::<i16>(n, fill, |v| *v == i16::from(i8::MIN))
        }
        2 => {
            let fill = |values: &mut [i16]| {
                source.read(rows, values)?;
                check(values, i16::MIN, precision).map_err(|(i, e)| in_range(i, e))
            };
            sink.fixed::<i16>(n, fill, |v| *v == i16::MIN)
        }
        4 => {
            let fill = |values: &mut [i32]| {
                source.read(rows, values)?;
                check(values, i32::MIN, precision).map_err(|(i, e)| in_range(i, e))
            };
            sink.fixed::<i32>(n, fill, |v| *v == i32::MIN)
        }
        8 => {
            let fill = |values: &mut [i64]| {
                source.read(rows, values)?;
                check(values, i64::MIN, precision).map_err(|(i, e)| in_range(i, e))
            };
            sink.fixed::<i64>(n, fill, |v| *v == i64::MIN)
        }
        16 => {
            let fill = |values: &mut [i128]| {
                source.read(rows, values)?;
                values.iter_mut().for_each(|v| *v = v.rotate_left(64));
                check(values, i128::MIN, precision).map_err(|(i, e)| in_range(i, e))
            };
            sink.fixed::<i128>(n, fill, |v| *v == i128::MIN)
        }
        _ => {
            let values: &[[u64; 4]] = Scratch::fixed(&mut scratch.words, source, rows)?;
            render(values, LONGEST, sink, |value, text| {
                text_form(*value, scale, text);
                *value != [1 << 63, 0, 0, 0]
            })
        }
    }
}

/// Values must have at most `precision` digits: DuckDB trusts the type.
fn check<T>(values: &[T], null: T, precision: u8) -> std::result::Result<(), (usize, Error)>
where
    T: Copy + Ord + TryFrom<i128> + std::ops::Neg<Output = T> + std::fmt::Display,
{
    let Ok(limit) = T::try_from(10i128.pow(u32::from(precision.min(38)))) else { return Ok(()) };
    let bad = |v: &T| (*v >= limit || *v <= -limit) && *v != null;
    if !values.iter().fold(false, |any, v| any | bad(v)) {
        return Ok(());
    }
    let row = values.iter().position(bad).unwrap_or_default();
    let found = values.get(row).map(T::to_string).unwrap_or_default();
    Err((
        row,
        Error::corrupt("DECIMAL has too many digits", format_args!("at most {precision} digits"), found),
    ))
}

/// The exact digits of a 256-bit number (most significant word first) with `scale` of them behind the point.
fn text_form(mut words: [u64; 4], scale: u8, text: &mut Vec<u8>) {
    let negative = words.first().is_some_and(|high| high >> 63 != 0);
    if negative {
        let mut carry = true;
        for word in words.iter_mut().rev() {
            (*word, carry) = (!*word).overflowing_add(u64::from(carry));
        }
    }
    let mut digits = Vec::with_capacity(LONGEST);
    while words.iter().any(|word| *word != 0) || digits.len() <= usize::from(scale) {
        digits.push(b'0' + divide_by_ten(&mut words));
    }
    if negative {
        text.push(b'-');
    }
    for (position, digit) in digits.iter().enumerate().rev() {
        text.push(*digit);
        if position == usize::from(scale) && position > 0 {
            text.push(b'.');
        }
    }
}

/// Divides in place; returns the remainder.
fn divide_by_ten(words: &mut [u64; 4]) -> u8 {
    let mut remainder = 0u128;
    for word in words.iter_mut() {
        let value = remainder << 64 | u128::from(*word);
        *word = (value / 10) as u64;
        remainder = value % 10;
    }
    remainder as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_exact_digits() {
        for (words, scale, expected) in [
            ([0, 0, 0, 0], 0, "0"),
            ([0, 0, 0, 0], 2, "0.00"),
            ([0, 0, 0, 12345], 2, "123.45"),
            ([0, 0, 0, 5], 3, "0.005"),
            ([u64::MAX; 4], 1, "-0.1"),
            ([0, 0, 1, 0], 0, "18446744073709551616"),
        ] {
            let mut text = Vec::new();
            text_form(words, scale, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
        assert_eq!(from_parts(31, 9, 0), None, "nine digits take four bytes");
        assert_eq!(from_parts(30, 9, 10), None);
    }
}
