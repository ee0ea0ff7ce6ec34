//! What a server leaves behind when it is killed, what a torn copy holds, and files that may not be read any more.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use questdb_storage::table::SnapshotMode;
use questdb_storage::{Error, ErrorKind};

use super::changes::late;
use super::disk::{Action, Columns, Disk, Step, Tree};
use super::reader::{read, Change, Outcome, Query};
use super::server::{rows, Kind, Server, Value, DAY, SECOND};

/// Reads a table that nobody writes.
fn read_still(tree: &Tree) -> Outcome {
    let disk = Arc::new(Disk::new(tree, Vec::new(), Columns::Mapped));
    read(disk, Path::new("/db/t"), SnapshotMode::Automatic, Query::All)
}

/// The errors of reading after the server was killed behind each of its writes; all else is the last commit.
fn kill(change: &Change) -> Vec<(usize, Error)> {
    let mut trees = vec![(change.before.clone(), 0)];
    for step in &change.steps {
        let (mut tree, commits) = trees.last().unwrap().clone();
        tree.apply(&step.action);
        trees.push((tree, commits + usize::from(step.commits)));
    }
    // Each error is waited for: a server could still be at work.
    let results: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = trees.iter().map(|(tree, _)| scope.spawn(|| read_still(tree))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut errors = Vec::new();
    for (written, (result, (_, commits))) in results.into_iter().zip(&trees).enumerate() {
        match result {
            Outcome::Rows { state, restarts, .. } => {
                assert!(state == change.states[*commits], "{}, {written} writes", change.name);
                assert_eq!(restarts, 0, "{}, {written} writes: nobody is at work", change.name);
            }
            Outcome::Failed { state, error, .. } => {
                let expected = change.states[*commits].rows.get(..state.rows.len());
                assert_eq!(
                    expected,
                    Some(state.rows.as_slice()),
                    "{}, {written} writes: {error}",
                    change.name
                );
                errors.push((written, error));
            }
        }
    }
    errors
}

#[test]
fn rows_that_were_not_committed_when_the_server_was_killed_are_not_there() {
    let mut server = Server::days();
    server.start();
    server.append(rows(3 * DAY + 300 * SECOND, 30, 7000));
    server.split(0, 30, late(20, 7000));
    server.update(1, |_| Value::Long(5));
    server.squash(0);
    let old = server.merge(1, rows(2 * DAY + 7, 5, 9000));
    server.delete_dir(&old);
    let errors = kill(&server.change("data"));
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn a_killed_change_of_the_structure_is_as_if_it_had_not_begun() {
    let mut server = Server::days();
    server.start();
    server.add_column("added", Kind::Symbol);
    server.rename_column(1, "w");
    server.drop_column(3);
    let errors = kill(&server.change("structure"));
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn a_killed_truncate_is_an_error_and_never_wrong_rows() {
    let mut server = Server::days();
    server.start();
    server.truncate();
    let change = server.change("truncate");
    let errors = kill(&change);
    assert!(!errors.is_empty());
    for (_, error) in errors {
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound), "{error}");
        assert!(error.place().file.is_some() && error.place().table.is_some(), "{error}");
    }
}

#[test]
fn a_lock_file_that_a_killed_server_left_changes_nothing() {
    let mut server = Server::days();
    server.start();
    server.put("/db/t.lock".into(), Vec::new());
    let change = server.change("lock");
    let mut tree = change.before.clone();
    tree.apply(&change.steps[0].action);
    assert!(
        matches!(read_still(&tree), Outcome::Rows { state, restarts: 0, .. } if state == change.states[0])
    );
    tree.apply(&Action::Delete { path: "/db/t/1970-01-03/v.d".into() });
    let Outcome::Failed { error, .. } = read_still(&tree) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::NotFound, "damage is no conflict: {error}");
}

#[test]
fn a_torn_copy_of_the_transaction_file_is_an_error() {
    let mut server = Server::days();
    server.start();
    server.append(rows(3 * DAY + 300 * SECOND, 30, 7000));
    let change = server.change("append");
    let path = PathBuf::from("/db/t/_txn");
    let mut after = change.before.clone();
    change.steps.iter().for_each(|step| after.apply(&step.action));
    let (old, new) = (change.before.read(&path).to_vec(), after.read(&path).to_vec());
    let mut torn = Vec::new();
    for cut in [0, 7, 8, 20, 31, 32, 60, 64, 100, 150, old.len() - 1] {
        // Cut off; the head of the new one with the tail of the old one; the reverse.
        torn.push(old[..cut].to_vec());
        torn.push([&new[..cut], &old[cut..]].concat());
        torn.push([&old[..cut], &new[cut..]].concat());
    }
    std::thread::scope(|scope| {
        for bytes in &torn {
            let (after, path, states) = (&after, &path, &change.states);
            scope.spawn(move || {
                let mut tree = after.clone();
                tree.apply(&Action::Put { path: path.clone(), bytes: bytes.clone() });
                match read_still(&tree) {
                    Outcome::Rows { state, .. } => assert!(states.contains(&state)),
                    Outcome::Failed { error, .. } => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                        assert_eq!(error.place().file.as_deref(), Some(path.as_path()), "{error}");
                    }
                }
            });
        }
    });
}

#[test]
fn a_file_that_may_not_be_read_any_more_is_named() {
    let server = Server::days();
    let quiet =
        Arc::new(Disk::new(&server.clone().start().change("nothing").before, Vec::new(), Columns::Mapped));
    read(Arc::clone(&quiet), Path::new("/db/t"), SnapshotMode::Automatic, Query::All);
    let path = PathBuf::from("/db/t/1970-01-03/t.d");
    let change = server.clone().start().change("permissions");
    let mut failures = 0;
    for at in 0..quiet.events() {
        let step = Step { action: Action::Forbid { path: path.clone() }, commits: false };
        let disk = Arc::new(Disk::new(&change.before, vec![(at, step)], Columns::Mapped));
        match read(disk, Path::new("/db/t"), SnapshotMode::Automatic, Query::All) {
            // It was open.
            Outcome::Rows { state, restarts: 0, .. } => assert!(state == change.states[0]),
            Outcome::Rows { .. } => panic!("nothing has changed"),
            Outcome::Failed { error, .. } => {
                failures += 1;
                let text = error.to_string();
                assert!(text.starts_with("permission denied") && text.contains("1970-01-03/t.d"), "{text}");
                assert_eq!(error.place().partition.as_deref(), Some("1970-01-03"));
            }
        }
        // One moment before and a few after the file is opened are enough: each failure is waited for.
        if failures == 3 {
            return;
        }
    }
    assert!(failures > 0);
}
