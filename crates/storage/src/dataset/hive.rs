//! Hive's directories: `key=value/key=value/file.parquet`.

use std::path::{Component, Path};

/// Value of a key that is NULL.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Keys and values of the directories of `path`; NULL is `None`. The innermost counts when a key stands twice.
pub(super) fn keys(path: &Path) -> Vec<(String, Option<String>)> {
    let mut keys: Vec<(String, Option<String>)> = Vec::new();
    let Some(dir) = path.parent() else { return keys };
    for component in dir.components() {
        let Component::Normal(name) = component else { continue };
        let Some((key, value)) = name.to_str().and_then(pair) else { continue };
        match keys.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => keys.push((key, value)),
        }
    }
    keys
}

/// Whether a directory's name is a key and a value.
pub(super) fn is_pair(name: &str) -> bool {
    pair(name).is_some()
}

fn pair(name: &str) -> Option<(String, Option<String>)> {
    let (key, value) = name.split_once('=')?;
    if key.is_empty() || value.contains('=') {
        return None;
    }
    Some((decoded(key), Some(value).filter(|value| *value != NULL).map(decoded)))
}

/// `%20` and the like as the bytes they stand for; what is no UTF-8 then, as it was.
fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_give_keys_and_values() {
        let found =
            keys(Path::new("/export/year=2024/sym=a%20b%2Fc/note=__HIVE_DEFAULT_PARTITION__/x=1.parquet"));
        let expected = [("year", Some("2024")), ("sym", Some("a b/c")), ("note", None)];
        let expected: Vec<_> = expected.map(|(k, v)| (k.to_owned(), v.map(str::to_owned))).to_vec();
        assert_eq!(found, expected);
        assert!(keys(Path::new("/plain/a=b=c/=x/f.parquet")).is_empty());
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(decoded("%ff"), "%ff", "no UTF-8");
        assert_eq!(keys(Path::new("k=/f.parquet")), [("k".to_owned(), Some(String::new()))]);
    }
}
