//! Writes a table of trades and prints how long it took.
//!
//! ```text
//! cargo run --release -p questdb-parquet --example write -- OUT [rows] [threads] [codec[:level]] [option=value …]
//! ```
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{Field, Schema};
use questdb_parquet::options::Context;
use questdb_parquet::{ColumnHint, Export, OptionValue, Options};

const BATCH: usize = 65_536;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let out =
        arguments.first().ok_or("usage: write OUT [rows] [threads] [codec[:level]] [option=value …]")?;
    let rows: usize = arguments.get(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let threads: usize = arguments.get(2).map_or(Ok(2), |text| text.parse())?;
    let mut pairs: Vec<(String, OptionValue)> = vec![("overwrite".to_owned(), true.into())];
    if let Some(codec) = arguments.get(3) {
        let (name, level) = codec.split_once(':').unwrap_or((codec, ""));
        pairs.push(("compression_codec".to_owned(), name.into()));
        if !level.is_empty() {
            pairs.push(("compression_level".to_owned(), level.into()));
        }
    }
    for argument in arguments.iter().skip(4) {
        let (name, value) = argument.split_once('=').ok_or("options are name=value")?;
        pairs.push((name.to_owned(), value.into()));
    }

    let batches = trades(rows)?;
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let hint = |code: i32, id: i32| ColumnHint {
        questdb_type: Some(code),
        field_id: Some(id),
        ..ColumnHint::default()
    };
    let hints =
        [ColumnHint { designated: true, ..hint(8, 0) }, hint(12, 1), hint(10, 2), hint(10, 3), hint(6, 4)];

    let cpu = cpu_seconds();
    let start = Instant::now();
    let options = Options::parse(pairs, Context::Function)?;
    let mut export = Export::create(out, schema, &hints, options, threads, Arc::new(AtomicBool::new(false)))?;
    for batch in &batches {
        export.write(batch)?;
    }
    let result = export.finish()?;
    let seconds = start.elapsed().as_secs_f64();
    if let (Some(before), Some(after)) = (cpu, cpu_seconds()) {
        print!("{:.2} CPU s, ", after - before);
    }
    println!(
        "{} rows, {} files, {} row groups, {:.1} MB, {:.1} MB uncompressed, {seconds:.2} s, {:.1} M rows/s",
        result.rows,
        result.files.len(),
        result.row_groups.len(),
        result.bytes as f64 / 1e6,
        result.uncompressed as f64 / 1e6,
        result.rows as f64 / seconds / 1e6
    );
    Ok(())
}

/// Seconds that all threads of the process have computed so far, where the system says (in hundredths).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

fn trades(rows: usize) -> Result<Vec<RecordBatch>, Box<dyn std::error::Error>> {
    let mut state = 1u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let symbols: Arc<StringArray> = Arc::new((0..1000).map(|i| Some(format!("SYM{i:04}"))).collect());
    let mut time = 1_704_067_200_000_000i64;
    let mut batches = Vec::new();
    let mut done = 0;
    while done < rows {
        let count = BATCH.min(rows - done);
        let ts = TimestampMicrosecondArray::from_iter_values((0..count).map(|_| {
            time += (random() % 10_000) as i64;
            time
        }));
        let keys = Int32Array::from_iter((0..count).map(|_| Some((random() % 1000) as i32)));
        let price =
            Float64Array::from_iter_values((0..count).map(|_| (random() % 10_000_000) as f64 / 100.0));
        let amount = Float64Array::from_iter_values((0..count).map(|_| random() as f64 / u64::MAX as f64));
        let id = Int64Array::from_iter_values(done as i64..(done + count) as i64);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("ts", Arc::new(ts.with_timezone("UTC"))),
            ("sym", Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::clone(&symbols) as ArrayRef))),
            ("price", Arc::new(price)),
            ("amount", Arc::new(amount)),
            ("id", Arc::new(id)),
        ];
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        batches.push(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?);
        done += count;
    }
    Ok(batches)
}
