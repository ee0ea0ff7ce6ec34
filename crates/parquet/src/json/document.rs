//! Values of DuckDB's type JSON: documents that are text already. They are written as DuckDB writes them after parsing: without
//! blanks, strings with the escapes they need, numbers in one notation.

use super::number::{integer, json_double};
use super::text;
use crate::error::{Error, Result};

/// Appends the document `source`.
pub fn document(source: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => rest = string(rest.get(1..).unwrap_or_default(), out)?,
            ' ' | '\t' | '\n' | '\r' => rest = rest.trim_start_matches([' ', '\t', '\n', '\r']),
            ']' | '}' => {
                // The comma before a closing bracket, which DuckDB reads and does not write.
                if out.last() == Some(&b',') {
                    out.pop();
                }
                out.push(first as u8);
                rest = rest.get(1..).unwrap_or_default();
            }
            '[' | '{' | ':' | ',' => {
                out.push(first as u8);
                rest = rest.get(1..).unwrap_or_default();
            }
            _ => {
                let end = rest.find([' ', '\t', '\n', '\r', ',', ':', ']', '}', '[', '{', '"']);
                let (word, behind) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
                scalar(word, out);
                rest = behind;
            }
        }
    }
    Ok(())
}

/// A number, or a word such as `true`.
fn scalar(word: &str, out: &mut Vec<u8>) {
    let is_number = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    if !is_number {
        return out.extend_from_slice(word.as_bytes());
    }
    if word.contains(['.', 'e', 'E']) {
        return match word.parse::<f64>() {
            Ok(value) if value.is_finite() => json_double(value, out),
            // Too large for a double: DuckDB keeps its digits.
            _ => out.extend_from_slice(word.as_bytes()),
        };
    }
    match word.parse::<i64>() {
        Ok(value) => integer(value, out),
        Err(_) => out.extend_from_slice(word.as_bytes()),
    }
}

/// The string whose content `source` begins with; returns what follows its closing quote.
fn string<'a>(source: &'a str, out: &mut Vec<u8>) -> Result<&'a str> {
    let broken = || Error::invalid_input("a value of type JSON has a string that is not valid");
    let mut content = String::new();
    let mut rest = source;
    loop {
        let at = rest.find(['"', '\\']).ok_or_else(broken)?;
        let (plain, special) = rest.split_at_checked(at).ok_or_else(broken)?;
        content.push_str(plain);
        if let Some(behind) = special.strip_prefix('"') {
            text::string(&content, out);
            return Ok(behind);
        }
        let mut behind = special.chars();
        behind.next();
        let escape = behind.next().ok_or_else(broken)?;
        rest = behind.as_str();
        content.push(match escape {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (unit, behind) = code_unit(rest).ok_or_else(broken)?;
                rest = behind;
                let mut units = vec![unit];
                if (0xd800..0xdc00).contains(&unit) {
                    let low = rest.strip_prefix("\\u").and_then(code_unit);
                    let (low, behind) = low.ok_or_else(broken)?;
                    units.push(low);
                    rest = behind;
                }
                char::decode_utf16(units).next().and_then(|decoded| decoded.ok()).ok_or_else(broken)?
            }
            other => other,
        });
    }
}

fn code_unit(source: &str) -> Option<(u16, &str)> {
    let (digits, behind) = source.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(source: &str) -> String {
        let mut out = Vec::new();
        document(source, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn documents_are_written_as_duckdb_writes_them() {
        for (source, expected) in [
            (" { \"a\" : 1.50 ,\n \"b\" : [ 1e5 , -0 , -0.0, ] } ", r#"{"a":1.5,"b":[100000.0,0,-0.0]}"#),
            (r#""\u00e9\/\\\ud83d\ude00\u0001a b""#, "\"é/\\\\😀\\u0001a b\""),
            (
                "[12345678901234567890123, 18446744073709551615, 1e400, 0.1000000000000000055]",
                "[12345678901234567890123,18446744073709551615,1e400,0.1]",
            ),
            ("[true,false, null,NaN,-Infinity]", "[true,false,null,NaN,-Infinity]"),
            ("[\"],\", \"\"]", "[\"],\",\"\"]"),
        ] {
            assert_eq!(written(source), expected);
        }
        assert!(document("\"open", &mut Vec::new()).is_err());
        assert!(document(r#""\ud800""#, &mut Vec::new()).is_err());
    }
}
