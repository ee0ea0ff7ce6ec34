//! Strings: escapes of JSON, text forms of bytes.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn hex(nibble: u8) -> u8 {
    HEX.get(usize::from(nibble & 15)).copied().unwrap_or(b'0')
}

/// Whether a byte cannot stand in a JSON string.
const fn escapes(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The content of a JSON string, without quotes.
pub fn content(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| escapes(*byte)) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(plain);
        let Some((byte, behind)) = special.split_first() else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(other >> 4), hex(*other)]),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// A JSON string.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    content(text, out);
    out.push(b'"');
}

/// Bytes that [`string`] makes of `text`.
pub fn string_len(text: &str) -> u64 {
    let extra = |byte: &u8| match byte {
        b'"' | b'\\' | 0x08 | 0x0c | b'\n' | b'\r' | b'\t' => 1,
        byte if *byte < 0x20 => 5,
        _ => 0,
    };
    2 + text.len() as u64 + text.as_bytes().iter().map(extra).sum::<u64>()
}

/// Bytes as DuckDB casts them to VARCHAR, in a JSON string: what is not printable is `\xNN`, whose backslash JSON doubles.
pub fn blob(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' | b'\'' | b'\\' | 0..=0x1f | 0x7f..=0xff => {
                out.extend_from_slice(&[b'\\', b'\\', b'x', hex(byte >> 4), hex(*byte)]);
            }
            plain => out.push(*plain),
        }
    }
    out.push(b'"');
}

/// 16 bytes as `12345678-1234-1234-1234-1234567890ab`, in quotes.
pub fn uuid(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[hex(byte >> 4).to_ascii_lowercase(), hex(*byte).to_ascii_lowercase()]);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_escape_what_json_forbids_and_nothing_else() {
        let text = "a\"\\/\u{1}\u{1f}\u{7f}\n\té😀\u{2028}";
        let mut out = Vec::new();
        string(text, &mut out);
        assert_eq!(out.len() as u64, string_len(text));
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"\\\\/\\u0001\\u001F\u{7f}\\n\\té😀\u{2028}\"");
    }
}
