//! `docs/options.md`, made from the table.

use std::fmt::Write as _;

use super::table::{Kind, Spec, TABLE};

/// The page `docs/options.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Options of the Parquet export\n\
         \n\
         Made from the table in `crates/parquet/src/options/table.rs`; do not edit. The options are those of `COPY … TO … (FORMAT questdb_parquet, …)` and of\n\
         `questdb_export` and `questdb_export_query`. Case does not matter. An unknown option or a value that is not listed is refused. Sizes are bytes or text: `'40MB'` is 40 000 000,\n\
         `'64KiB'` is 65 536. ClickHouse's names work with and without `output_format_parquet_`.\n\
         \n\
         | option | other names | values | default | meaning |\n\
         |---|---|---|---|---|\n",
    );
    let (obsolete, real): (Vec<&Spec>, Vec<&Spec>) =
        TABLE.iter().partition(|spec| matches!(spec.kind, Kind::Obsolete(_)));
    for spec in real {
        let aliases: Vec<String> = spec.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            spec.name,
            aliases.join(", "),
            values(&spec.kind),
            spec.default,
            spec.text
        );
    }
    page.push_str("\n## Accepted and ignored\nThey have a meaning in another system only; a warning in DuckDB's log says so.\n\n| option | of | why |\n|---|---|---|\n");
    for spec in obsolete {
        if let Kind::Obsolete(why) = spec.kind {
            let _ = writeln!(page, "| `{}` | {} | {why} |", spec.name, spec.text.trim_end_matches('.'));
        }
    }
    page
}

fn values(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true, false".to_owned(),
        Kind::Int(min, i64::MAX) => format!("integer ≥ {min}"),
        Kind::Int(min, max) => format!("{min} – {max}"),
        Kind::Float(min, max) => format!("between {min} and {max}"),
        Kind::Size => "size > 0".to_owned(),
        Kind::Choice(words) => words.join(", "),
        Kind::Text => "text".to_owned(),
        Kind::Names => "column names".to_owned(),
        Kind::Pairs | Kind::Storage => "struct".to_owned(),
        Kind::Obsolete(_) => String::new(),
    }
}
