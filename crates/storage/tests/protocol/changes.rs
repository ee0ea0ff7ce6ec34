//! One test per kind of change (docs/format.md §11.1).

use std::path::Path;

use questdb_storage::format::meta::PartitionBy;
use questdb_storage::table::SnapshotMode;

use super::disk::Columns;
use super::reader::{explore, Change, Counts, Moments, Query};
use super::server::{rows, Kind, Server, Value, DAY, SECOND};

/// In the middle of the first day.
const LATE: Query = Query::From(DAY + 450 * SECOND);
const RARE: Query = Query::Symbol("rare");

/// What a change may lead to at some moment: the tests demand that it does, so that none of them passes idly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// What a snapshot reads stays as it was.
    None,
    /// Files are missing, or hold too little: a reader that checks nothing fails.
    Errors,
    /// A reader that checks nothing returns rows that were never there together.
    WrongRows,
}

pub fn check(change: &Change, harm: Harm) {
    let all = explore(change, Query::All, SnapshotMode::Validate, Columns::Mapped, Moments::All);
    right(change, "all rows", &all);
    if harm != Harm::None {
        assert!(all.restarted + all.conflicts > 0, "{}: {}", change.name, summary(&all));
    }
    let some = |query, columns| explore(change, query, SnapshotMode::Validate, columns, Moments::Some);
    right(change, "files copied when they are opened", &some(Query::All, Columns::Copied));
    right(change, "by time", &some(LATE, Columns::Mapped));
    right(change, "by index", &some(RARE, Columns::Mapped));
    let blind = explore(change, Query::All, SnapshotMode::Unchecked, Columns::Mapped, Moments::Some);
    let rows = blind.wrong.iter().filter(|what| what.contains("rows of no state")).count();
    let found = match (rows, blind.wrong.len()) {
        (1.., _) => Harm::WrongRows,
        (0, 1..) => Harm::Errors,
        (0, 0) => Harm::None,
    };
    assert_eq!(
        found,
        harm,
        "{} without validation: {}{:?}",
        change.name,
        summary(&blind),
        blind.wrong.first()
    );
}

fn right(change: &Change, what: &str, counts: &Counts) {
    let first = counts.wrong.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
    assert!(counts.wrong.is_empty(), "{}, {what}: {}\n{first}", change.name, summary(counts));
    assert!(counts.whole > 0, "{}, {what}: {}", change.name, summary(counts));
}

fn summary(counts: &Counts) -> String {
    let Counts { whole, restarted, conflicts, wrong } = counts;
    format!(
        "{whole} whole answers, {restarted} of them after a restart, {conflicts} conflicts, {} wrong",
        wrong.len()
    )
}

pub fn late(count: i64, id: i64) -> Vec<super::server::Row> {
    rows(DAY + 300 * SECOND + 1, count, id)
}

#[test]
fn rows_and_symbols_are_appended() {
    let mut server = Server::days();
    server.start();
    let time = 3 * DAY + 300 * SECOND;
    server.append(rows(time, 30, 7000));
    let Value::Text(symbol) = &mut server.parts[2].rows[5][2] else { panic!() };
    assert_eq!(symbol, "s2");
    let mut new = rows(time + 400 * SECOND, 10, 8000);
    new.iter_mut().enumerate().for_each(|(i, row)| row[2] = Value::Text(format!("new {i}")));
    server.append(new);
    check(&server.change("append"), Harm::None);
}

#[test]
fn rows_are_written_ahead_and_written_over_before_they_show() {
    let mut server = Server::days();
    server.start();
    let time = 3 * DAY + 300 * SECOND;
    server.write_ahead(rows(time + 5, 40, 5000));
    server.write_ahead(rows(time + 3, 40, 6000));
    server.append(rows(time, 45, 7000));
    check(&server.change("lag"), Harm::None);
}

#[test]
fn symbols_outgrow_their_files() {
    let mut server = Server::days();
    server.start();
    server.grow_symbols(2);
    server.append(rows(3 * DAY + 300 * SECOND, 30, 7000));
    check(&server.change("symbol capacity"), Harm::Errors);
}

#[test]
fn late_rows_replace_a_partition() {
    let mut server = Server::days();
    server.start();
    let old = server.merge(0, late(20, 7000));
    server.delete_dir(&old);
    check(&server.change("merge"), Harm::Errors);
}

#[test]
fn a_partition_is_replaced_again_and_again() {
    let mut server = Server::days();
    server.start();
    for i in 0..3 {
        let old = server.merge(0, late(5, 7000 + 100 * i));
        server.delete_dir(&old);
    }
    check(&server.change("merges"), Harm::Errors);
}

#[test]
fn a_partition_is_split_and_its_old_tail_written_over() {
    let mut server = Server::days();
    server.start();
    server.split(0, 30, late(20, 7000));
    server.squash_with(0, late(9, 7300));
    check(&server.change("split and squash"), Harm::WrongRows);
}

#[test]
fn the_last_partition_is_split_and_rows_follow_in_its_old_tail() {
    let mut server = Server::days();
    server.parts.truncate(1);
    server.commit();
    server.start();
    server.split(0, 30, late(20, 7000));
    server.split(1, 10, late(5, 7100));
    server.squash_with(0, late(9, 7300));
    server.append(rows(DAY + 1000 * SECOND, 30, 7200));
    check(&server.change("splits of the last partition"), Harm::WrongRows);
}

#[test]
fn a_partition_is_split_squashed_and_replaced() {
    let mut server = Server::days();
    server.start();
    server.split(0, 30, late(20, 7000));
    server.squash(0);
    let old = server.merge(0, late(3, 7100));
    server.delete_dir(&old);
    check(&server.change("split, squash, merge"), Harm::WrongRows);
}

#[test]
fn pieces_that_were_there_before_are_squashed() {
    let mut server = Server::days();
    server.split(0, 60, rows(DAY + 600 * SECOND + 1, 20, 7000));
    server.split(0, 30, late(7, 7100));
    server.start();
    server.squash(0);
    server.squash(0);
    check(&server.change("squash"), Harm::Errors);
}

#[test]
fn a_column_is_updated() {
    let mut server = Server::days();
    server.start();
    server.update(1, |row| if let Value::Long(v) = row[1] { Value::Long(-v) } else { Value::Null });
    server.update(3, |_| Value::Text("updated".to_owned()));
    check(&server.change("update"), Harm::Errors);
}

#[test]
fn a_column_is_added() {
    let mut server = Server::days();
    server.start();
    server.add_column("added", Kind::Symbol);
    let mut new = rows(3 * DAY + 300 * SECOND, 10, 8000);
    new.iter_mut().for_each(|row| row.push(Value::Text("here".to_owned())));
    server.append(new);
    check(&server.change("add column"), Harm::None);
}

#[test]
fn a_column_is_renamed() {
    let mut server = Server::days();
    server.start();
    server.rename_column(1, "w");
    check(&server.change("rename column"), Harm::Errors);
}

#[test]
fn a_column_is_dropped_and_added_again_with_another_type() {
    let mut server = Server::days();
    server.start();
    server.drop_column(1);
    server.add_column("v", Kind::Text);
    let mut new = rows(3 * DAY + 300 * SECOND, 10, 8000);
    new.iter_mut().for_each(|row| row.push(Value::Text("here".to_owned())));
    server.append(new);
    check(&server.change("drop column"), Harm::Errors);
}

#[test]
fn partitions_are_dropped_and_detached() {
    let mut server = Server::days();
    server.start();
    server.drop_part(1);
    check(&server.change("drop partition"), Harm::Errors);
    let mut server = Server::days();
    server.start();
    server.detach(0);
    check(&server.change("detach partition"), Harm::Errors);
}

#[test]
fn a_partition_is_dropped_and_comes_again() {
    let mut server = Server::days();
    server.start();
    server.drop_part(2);
    server.add_part(3 * DAY, rows(3 * DAY, 30, 7000));
    check(&server.change("drop and refill"), Harm::WrongRows);
}

#[test]
fn a_table_is_truncated_and_filled_again() {
    let mut server = Server::days();
    server.start();
    server.truncate();
    let mut new = rows(DAY, 70, 7000);
    new.iter_mut().enumerate().for_each(|(i, row)| row[2] = Value::Text(format!("n{}", i % 9)));
    server.add_part(DAY, new);
    check(&server.change("truncate"), Harm::Errors);
}

#[test]
fn a_table_without_partitions_is_truncated_in_place() {
    let mut server = Server::new(PartitionBy::None);
    server.append(rows(DAY, 150, 1000));
    server.start();
    server.truncate();
    server.append(rows(DAY, 170, 7000));
    check(&server.change("truncate in place"), Harm::WrongRows);
}

#[test]
fn a_table_without_partitions_grows() {
    let mut server = Server::new(PartitionBy::None);
    server.append(rows(DAY, 150, 1000));
    server.start();
    server.append(rows(DAY + 2000 * SECOND, 40, 7000));
    check(&server.change("append without partitions"), Harm::None);
}

#[test]
fn a_table_is_dropped() {
    let mut server = Server::days();
    server.start();
    server.drop_table();
    let change = Change { may_be_gone: true, ..server.change("drop table") };
    check(&change, Harm::None);
}

#[test]
fn a_table_is_dropped_and_created_again_with_its_columns_in_another_order() {
    let mut server = Server::days();
    server.start();
    server.drop_table();
    // The same transactions, structure version and number of rows as before.
    server.create([("v", Kind::Timestamp), ("ts", Kind::Long), ("s", Kind::Symbol), ("t", Kind::Text)]);
    for day in 1..=3 {
        server.add_part(day * DAY, rows(day * DAY, if day == 3 { 20 } else { 90 }, day * 1000 + 500));
    }
    let change = Change { may_be_gone: true, ..server.change("create again") };
    check(&change, Harm::WrongRows);
}

#[test]
fn another_table_takes_the_place_of_one_that_was_renamed() {
    let mut server = Server::days();
    server.start();
    server.rename_table("/db/elsewhere");
    server.dir = "/db/t".into();
    server.create([("ts", Kind::Timestamp), ("v", Kind::Long), ("s", Kind::Symbol), ("t", Kind::Text)]);
    for day in 1..=3 {
        server.add_part(day * DAY, rows(day * DAY, if day == 3 { 20 } else { 90 }, day * 1000 + 500));
    }
    assert!(server.has(Path::new("/db/elsewhere/_txn")));
    let change = Change { may_be_gone: true, ..server.change("rename table") };
    check(&change, Harm::WrongRows);
}
