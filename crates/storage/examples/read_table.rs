//! Prints what a table is and its first rows of a time range.
//!
//! ```text
//! cargo run -p questdb-storage --example read_table -- build/fixtures/part_day/db/part_day~17
//! ```

use questdb_storage::scan::{CompareOp, Filter, Literal, ScanPlan, Scanner};
use questdb_storage::{arrow, Result, Table};

fn main() -> Result<()> {
    let Some(dir) = std::env::args().nth(1) else {
        println!("usage: read_table <table directory>");
        return Ok(());
    };
    let snapshot = Table::open(dir)?.snapshot()?;
    for column in snapshot.columns() {
        println!("{:20} {}", column.name, column.column_type);
    }

    // The second half of the table's time, and every column.
    let all: Vec<usize> = (0..snapshot.columns().len()).collect();
    let filter = match (snapshot.timestamp(), snapshot.txn().min_timestamp, snapshot.txn().max_timestamp) {
        (Some(column), Some(min), Some(max)) => {
            let middle = Literal::Int((i128::from(min) + i128::from(max)) / 2);
            Filter::Compare { column, op: CompareOp::Ge, value: middle }
        }
        _ => Filter::all(),
    };
    let plan = ScanPlan::new(&snapshot, &all, &filter);
    print!("{plan}");

    let mut rows = 0;
    for batch in arrow::batches(&Scanner::new(vec![plan])?, 65_536)? {
        rows += batch?.num_rows();
    }
    println!("{rows} rows");
    Ok(())
}
