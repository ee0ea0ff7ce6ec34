//! Options as text.

use questdb_parquet::options::{Context, TABLE};
use questdb_parquet::{OptionValue, Options};

/// Which form of SQL (1 byte), then `name=value`, one a line.
pub fn run(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else { return };
    let context = if first % 2 == 0 { Context::Copy } else { Context::Function };
    let text = String::from_utf8_lossy(text);
    let pairs = text.split('\n').filter_map(|line| line.split_once('='));
    let pairs: Vec<(String, OptionValue)> =
        pairs.map(|(name, text)| (name.to_owned(), value(text, 4))).take(100).collect();
    match Options::parse(pairs, context) {
        Ok(options) => {
            assert!(options.row_group.rows != Some(0) && options.row_group.bytes != Some(0));
            assert!(options.data_page_size > 0 && options.dictionary_page_size > 0);
            assert!(options.bloom_filter_fpp > 0.0 && options.bloom_filter_fpp < 1.0);
            assert!(options.suffix().starts_with('.'));
            let mut options = options;
            options.compress_by_name(std::path::Path::new("x.jsonl.zst"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// `!` true, `#7` an integer, `~1.5` a number, `[a;b]` a list, `{a:1;b:2}` a struct; anything else is text.
fn value(text: &str, depth: u32) -> OptionValue {
    let inside = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close).filter(|_| depth > 0);
    if let Some(list) = inside('[', ']') {
        let values = list.split(';').filter(|part| !part.is_empty()).map(|part| value(part, depth - 1));
        return OptionValue::List(values.collect());
    }
    if let Some(fields) = inside('{', '}') {
        // A struct in a struct stands between parentheses.
        let field = |part: &str| {
            let (name, text) = part.split_once(':')?;
            let inner = text.replace('(', "{").replace(')', "}").replace(',', ";").replace('|', ":");
            Some((name.to_owned(), value(&inner, depth - 1)))
        };
        return OptionValue::Struct(fields.split(';').filter_map(field).collect());
    }
    let number = |prefix: char| text.strip_prefix(prefix);
    match text {
        "!" => OptionValue::Bool(true),
        _ => match (number('#').and_then(|n| n.parse().ok()), number('~').and_then(|n| n.parse().ok())) {
            (Some(integer), _) => OptionValue::Int(integer),
            (None, Some(float)) => OptionValue::Float(float),
            _ => OptionValue::Text(text.to_owned()),
        },
    }
}

/// Each option with values of all kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    let values = [
        "!",
        "#7",
        "~0.5",
        "40MB",
        "1.5 KiB",
        "zstd",
        "[a;b]",
        "{ts:#0;x:snappy}",
        "a=gzip:3, b=zstd",
        "ts DESC",
    ];
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (number, spec) in TABLE.iter().enumerate() {
        for (other, text) in values.iter().enumerate() {
            let second = TABLE[(number + other + 1) % TABLE.len()].name;
            let line = format!("{}={text}\n{second}={}", spec.name, values[(other + 3) % values.len()]);
            seeds.push([&[(number % 2) as u8], line.as_bytes()].concat());
        }
    }
    let storage = "{type:s3;bucket:b;credentials:(access_key|k,secret_key|s);options:(endpoint|http,region|r,allow_http|!)}";
    seeds.push(format!("\u{1}storage={storage}").into_bytes());
    seeds
}
