//! Numbers as text: in JSON, as yyjson lays them out, and as DuckDB casts them to VARCHAR, which is what keys of maps are.

/// Digits of a number in fixed notation, at most, before JSON changes to an exponent.
const JSON_FIXED: i32 = 21;
/// The same in DuckDB's text.
const TEXT_FIXED: i32 = 16;

/// The shortest digits that read back as the same number, and the position of the point behind the first `point` of them.
struct Shortest {
    digits: [u8; 20],
    len: usize,
    point: i32,
}

/// Takes a shortest representation apart, whatever notation it has.
fn shortest(text: &str) -> Shortest {
    let mut found = Shortest { digits: [0; 20], len: 0, point: 0 };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (text, 0),
    };
    let (mut behind_point, mut leading) = (false, true);
    for byte in mantissa.bytes() {
        match byte {
            b'.' => behind_point = true,
            b'0' if leading => found.point -= i32::from(behind_point),
            b'0'..=b'9' => {
                leading = false;
                found.point += i32::from(!behind_point);
                if let Some(place) = found.digits.get_mut(found.len) {
                    *place = byte;
                    found.len += 1;
                }
            }
            _ => {}
        }
    }
    found.point += exponent;
    while found.len > 1 && found.digits.get(found.len - 1) == Some(&b'0') {
        found.len -= 1;
    }
    found
}

impl Shortest {
    fn digits(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }

    /// `123.0`, `1.5`, `0.001`.
    fn fixed(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        let point = usize::try_from(self.point).unwrap_or(0);
        if self.point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend((self.point..0).map(|_| b'0'));
            out.extend_from_slice(digits);
        } else if let Some((whole, fraction)) = digits.split_at_checked(point) {
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(if fraction.is_empty() { b"0" } else { fraction });
        } else {
            out.extend_from_slice(digits);
            out.extend((digits.len()..point).map(|_| b'0'));
            out.extend_from_slice(b".0");
        }
    }

    /// `1`, `1.5`: the digits before an exponent.
    fn mantissa(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        let (first, rest) = digits.split_at_checked(1).unwrap_or((b"0", b""));
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
    }
}

/// A double as JSON: `1.0`, `0.00001`, `1e21`; what is no number is `NaN`, `Infinity`, `-Infinity`, as DuckDB writes it.
pub fn json_double(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(match value {
            v if v.is_nan() => b"NaN",
            v if v > 0.0 => b"Infinity",
            _ => b"-Infinity",
        });
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value == 0.0 {
        return out.extend_from_slice(b"0.0");
    }
    let mut buffer = zmij::Buffer::new();
    let number = shortest(buffer.format_finite(value.abs()));
    if (-5..=JSON_FIXED).contains(&number.point) {
        return number.fixed(out);
    }
    number.mantissa(out);
    out.push(b'e');
    integer(number.point - 1, out);
}

/// A floating-point number as DuckDB casts it to VARCHAR; `digits` are those of its own width.
fn text(finite: bool, negative: bool, zero: bool, digits: &str, out: &mut Vec<u8>) {
    if !finite {
        return out.extend_from_slice(digits.as_bytes());
    }
    if negative {
        out.push(b'-');
    }
    if zero {
        return out.extend_from_slice(b"0.0");
    }
    let number = shortest(digits);
    if (-3..=TEXT_FIXED).contains(&number.point) {
        return number.fixed(out);
    }
    number.mantissa(out);
    out.extend_from_slice(if number.point > 0 { b"e+" } else { b"e-" });
    let exponent = (number.point - 1).unsigned_abs();
    if exponent < 10 {
        out.push(b'0');
    }
    integer(exponent, out);
}

/// A DOUBLE as text.
pub fn text_double(value: f64, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let digits = match value {
        v if v.is_nan() => "nan",
        v if v.is_infinite() && v > 0.0 => "inf",
        v if v.is_infinite() => "-inf",
        v => buffer.format_finite(v.abs()),
    };
    text(value.is_finite(), value.is_sign_negative(), value == 0.0, digits, out);
}

/// A FLOAT as text.
pub fn text_float(value: f32, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let digits = match value {
        v if v.is_nan() => "nan",
        v if v.is_infinite() && v > 0.0 => "inf",
        v if v.is_infinite() => "-inf",
        v => buffer.format_finite(v.abs()),
    };
    text(value.is_finite(), value.is_sign_negative(), value == 0.0, digits, out);
}

/// Any integer.
pub fn integer<I: itoa::Integer>(value: I, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// An unscaled decimal with its point.
pub fn decimal(unscaled: i128, scale: usize, out: &mut Vec<u8>) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    if scale == 0 {
        return out.extend_from_slice(digits);
    }
    match digits.len().checked_sub(scale).filter(|whole| *whole > 0) {
        Some(whole) => {
            let (whole, fraction) = digits.split_at_checked(whole).unwrap_or((digits, b""));
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        None => {
            out.extend_from_slice(b"0.");
            out.extend((digits.len()..scale).map(|_| b'0'));
            out.extend_from_slice(digits);
        }
    }
}

/// Digits of a decimal that a double holds exactly; DuckDB writes such decimals as doubles.
pub const DOUBLE_DIGITS: u8 = 15;

/// A decimal of few digits as the double it is.
pub fn decimal_double(unscaled: i128, scale: usize) -> f64 {
    let power = i32::try_from(scale).map_or(1.0, |scale| 10f64.powi(scale));
    unscaled as f64 / power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_have_the_notation_of_duckdbs_json() {
        for (value, expected) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (100.0, "100.0"),
            (1e20, "100000000000000000000.0"),
            (123_456_789_012_345_680_000.0, "123456789012345680000.0"),
            (1e21, "1e21"),
            (1.5e21, "1.5e21"),
            (1e-5, "0.00001"),
            (1.234e-6, "0.000001234"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (-1.5e-10, "-1.5e-10"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(written(|out| json_double(value, out)), expected);
        }
    }

    #[test]
    fn keys_have_the_notation_of_a_cast() {
        for (value, expected) in [
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1e100, "1e+100"),
            (123_456_789.125, "123456789.125"),
            (-0.0, "-0.0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(written(|out| text_double(value, out)), expected);
        }
        assert_eq!(written(|out| text_float(0.1, out)), "0.1");
        assert_eq!(written(|out| text_float(1e10, out)), "10000000000.0");
        assert_eq!(written(|out| text_float(f32::NAN, out)), "nan");
    }

    #[test]
    fn every_double_reads_back() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(written(|out| json_double(value, out)).parse(), Ok(value));
                assert_eq!(written(|out| text_double(value, out)).parse(), Ok(value));
            }
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        for (value, scale, expected) in [
            (-5, 2, "-0.05"),
            (150, 2, "1.50"),
            (7, 0, "7"),
            (0, 3, "0.000"),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        ] {
            assert_eq!(written(|out| decimal(value, scale, out)), expected);
        }
        assert_eq!(decimal_double(999_999_999_999_999, 1), 99_999_999_999_999.9);
    }
}
