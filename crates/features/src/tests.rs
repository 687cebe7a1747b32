//! The store beside a map in memory, with processes that end and files that change at any step.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;

use crate::disk::Failing;
use crate::store::{ROWS, TEMPORARY};
use crate::{Digest, Error, FeatureStore};

const NETWORK: Digest = [7; 32];
const WIDTH: usize = 3;

fn key(number: usize) -> Digest {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

fn row(number: usize) -> [f32; WIDTH] {
    [
        number as f32,
        -0.0,
        f32::from_bits(0x7fc0_1234 + number as u32),
    ]
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|value| value.to_bits()).collect()
}

fn shapes() -> Vec<Vec<usize>> {
    vec![vec![2], vec![]]
}

/// Files below a folder that end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|it| it == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Which of so many rows are there; each is what was put.
fn there(store: &FeatureStore, rows: usize) -> Vec<usize> {
    let namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    let mut found = [0.0; WIDTH];
    let is_there = |&number: &usize| {
        let is_there = namespace.get(&key(number), &mut found);
        assert!(
            !is_there || bits(&found) == bits(&row(number)),
            "row {number}"
        );
        is_there
    };
    (0..rows).filter(is_there).collect()
}

#[derive(Clone, Debug)]
enum Action {
    Put(usize),
    Get(usize),
    Flush,
    Reopen,
    /// The process ends after so many steps of the disk, and another begins.
    Crash(usize),
    /// The disk is full for a while, after so many steps.
    Full(usize),
    /// A file is cut, or one of its bits turned.
    Damage(usize, bool),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (0_usize..24).prop_map(Action::Put),
        6 => (0_usize..24).prop_map(Action::Get),
        3 => Just(Action::Flush),
        1 => Just(Action::Reopen),
        2 => (0_usize..8).prop_map(Action::Crash),
        1 => (0_usize..8).prop_map(Action::Full),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, cut)| Action::Damage(at, cut)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_was_put(actions in proptest::collection::vec(action(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || FeatureStore::open(folder.path()).unwrap();
        let mut store = open();
        let mut actions = actions.into_iter();
        // What must be there: it was flushed, and nothing has been damaged since.
        let (mut sure, mut waiting) = (HashMap::new(), HashMap::new());
        'processes: loop {
            let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
            for action in actions.by_ref() {
                match action {
                    Action::Put(number) => {
                        // As it is used: what is there already is not computed.
                        if !namespace.get(&key(number), &mut [0.0; WIDTH]) {
                            namespace.put(&key(number), &row(number)).unwrap();
                            waiting.insert(number, ());
                        }
                    }
                    Action::Get(number) => {
                        let mut found = [0.0; WIDTH];
                        let is_there = namespace.get(&key(number), &mut found);
                        prop_assert!(!is_there || bits(&found) == bits(&row(number)));
                        let must = sure.contains_key(&number) || waiting.contains_key(&number);
                        prop_assert!(is_there || !must, "row {} is gone", number);
                    }
                    Action::Flush => {
                        namespace.flush().unwrap();
                        sure.extend(waiting.drain());
                    }
                    Action::Reopen => {
                        drop(namespace);
                        sure.extend(waiting.drain());
                        store = open();
                        continue 'processes;
                    }
                    Action::Crash(steps) => {
                        store.disk.fault.after(steps, Failing::Crash);
                        let written = namespace.flush();
                        drop(namespace);
                        if written.is_ok() {
                            sure.extend(waiting.drain());
                        }
                        waiting.clear();
                        store = open();
                        continue 'processes;
                    }
                    Action::Full(steps) => {
                        let before = files(folder.path(), TEMPORARY);
                        store.disk.fault.after(steps, Failing::Full);
                        match namespace.flush() {
                            Ok(()) => sure.extend(waiting.drain()),
                            Err(error) => prop_assert!(matches!(error, Error::Full(_)), "{}", error),
                        }
                        waiting.clear();
                        let left = files(folder.path(), TEMPORARY);
                        prop_assert!(left.iter().all(|path| before.contains(path)));
                        store.disk.fault.after(usize::MAX, Failing::Full);
                    }
                    Action::Damage(at, cut) => {
                        let files = files(folder.path(), ROWS);
                        if files.is_empty() {
                            continue;
                        }
                        let file = &files[at % files.len()];
                        let mut bytes = fs::read(file).unwrap();
                        if bytes.is_empty() {
                            continue;
                        }
                        let at = at / files.len() % bytes.len();
                        if cut {
                            // In its place: who has it mapped must survive it.
                            let file = fs::File::options().write(true).open(file).unwrap();
                            file.set_len(at as u64).unwrap();
                        } else {
                            bytes[at] ^= 1 << (at % 8);
                            fs::write(file, bytes).unwrap();
                        }
                        sure.clear();
                    }
                }
            }
            break;
        }
        let found = there(&store, 24);
        prop_assert!(sure.keys().all(|number| found.contains(number)));
    }
}

#[test]
fn every_step_of_writing_may_be_the_last() {
    for steps in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let store = FeatureStore::open(folder.path()).unwrap();
        let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
        namespace.put(&key(0), &row(0)).unwrap();
        namespace.flush().unwrap();
        namespace.put(&key(1), &row(1)).unwrap();
        store.disk.fault.after(steps, Failing::Crash);
        let written = namespace.flush().is_ok();
        drop(namespace);
        // The next process: all that was said to be written is there, and what was left is removed.
        let store = FeatureStore::open(folder.path()).unwrap();
        let found = there(&store, 3);
        assert_eq!(found[0], 0);
        assert!(found.contains(&1) || !written, "after {steps} steps");
        let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
        namespace.put(&key(2), &row(2)).unwrap();
        namespace.flush().unwrap();
        assert_eq!(files(folder.path(), TEMPORARY), Vec::<PathBuf>::new());
        assert_eq!(store.usage().damaged, 0);
    }
}

#[test]
fn other_files_are_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    namespace.put(&key(0), &row(0)).unwrap();
    namespace.flush().unwrap();
    let sound = files(folder.path(), ROWS).remove(0);
    // Another network's file, one of another version, a picture, an empty one, and a folder.
    let mut other = store.namespace(&[8; 32], &shapes()).unwrap();
    other.put(&key(0), &[1.0; WIDTH]).unwrap();
    other.flush().unwrap();
    let foreign = files(folder.path(), ROWS)
        .into_iter()
        .find(|path| *path != sound)
        .unwrap();
    let mut newer = fs::read(&sound).unwrap();
    newer[8] = 2;
    let of = |name: &str| sound.with_file_name(format!("{name}.{ROWS}"));
    fs::copy(&foreign, of("0")).unwrap();
    fs::write(of("1"), newer).unwrap();
    fs::write(of("2"), "GIF89a").unwrap();
    fs::write(of("3"), "").unwrap();
    fs::create_dir(of("4")).unwrap();
    fs::write(sound.with_file_name("mine.txt"), "mine").unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    assert_eq!(there(&store, 3), [0]);
    assert_eq!(store.usage().damaged, 5);
    assert!(!of("0").exists() && !of("2").exists() && !of("3").exists());
    // Shapes are a part of it.
    let same_width = store.namespace(&NETWORK, &[vec![3]]).unwrap();
    assert!(!same_width.get(&key(0), &mut [0.0; 3]));
    store.clear().unwrap();
    assert_eq!(store.bytes().unwrap(), 0);
    assert!(sound.with_file_name("mine.txt").exists());
}

#[test]
fn the_budget_is_kept_and_what_is_used_stays() {
    let folder = tempfile::tempdir().unwrap();
    let width = 1000;
    let open = || FeatureStore::open(folder.path()).unwrap().budget(60_000);
    let fill = |network: u8, rows: std::ops::Range<usize>| {
        let store = open();
        let mut namespace = store.namespace(&[network; 32], &[vec![width]]).unwrap();
        let mut kept = 0;
        for number in rows {
            let mut found = vec![0.0; width];
            if namespace.get(&key(number), &mut found) {
                assert_eq!(found, vec![number as f32; width]);
                kept += 1;
                continue;
            }
            let put = namespace.put(&key(number), &vec![number as f32; width]);
            if let Err(error) = put {
                assert!(matches!(error, Error::Budget(_)), "{error}");
            }
            assert!(store.bytes().unwrap() <= 60_000);
        }
        drop(namespace);
        assert!(store.bytes().unwrap() <= 60_000);
        (kept, store.usage())
    };
    assert_eq!(fill(1, 0..5).0, 0);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(fill(2, 0..5).0, 0);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(fill(1, 0..5).0, 5);
    std::thread::sleep(Duration::from_millis(20));
    // Room is made by what was not used for longest.
    let (_, usage) = fill(3, 0..6);
    assert!(usage.evicted > 0 && usage.problem.is_none(), "{usage:?}");
    let (first, second) = (fill(1, 0..5).0, fill(2, 0..5).0);
    assert!(first == 5 && second < 5, "{first} {second}");
    std::thread::sleep(Duration::from_millis(20));
    // Rows that do not fit do not push each other out: each run finds as many.
    fill(4, 0..40);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(20));
        let (kept, usage) = fill(4, 0..40);
        assert!(kept > 8 && usage.evicted == 0, "{kept} {usage:?}");
    }
}

#[test]
fn many_small_files_become_one() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..200 {
        let store = FeatureStore::open(folder.path()).unwrap();
        let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
        namespace.put(&key(number), &row(number)).unwrap();
    }
    assert!(files(folder.path(), ROWS).len() < 40);
    let store = FeatureStore::open(folder.path()).unwrap();
    assert_eq!(there(&store, 201), (0..200).collect::<Vec<_>>());
}

#[test]
fn files_that_could_not_become_one_are_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    for number in 0..32 {
        namespace.put(&key(number), &row(number)).unwrap();
        namespace.flush().unwrap();
    }
    namespace.put(&key(32), &row(32)).unwrap();
    store.disk.fault.after(0, Failing::Full);
    assert!(matches!(namespace.flush(), Err(Error::Full(_))));
    let is_there = |number: &usize| namespace.get(&key(*number), &mut [0.0; WIDTH]);
    assert_eq!((0..33).filter(is_there).count(), 32);
    assert_eq!(there(&store, 33).len(), 32);
}

#[test]
fn a_file_that_is_cut_while_it_is_mapped_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let width = 100_000;
    let mut namespace = store.namespace(&NETWORK, &[vec![width]]).unwrap();
    let mut values = vec![1.0; width];
    namespace.put(&key(0), &values).unwrap();
    namespace.flush().unwrap();
    assert!(namespace.get(&key(0), &mut values));
    let file = fs::File::options()
        .write(true)
        .open(&files(folder.path(), ROWS)[0]);
    file.unwrap().set_len(200).unwrap();
    // Reading memory beyond the end of a file ends the process.
    assert!(!namespace.get(&key(0), &mut values));
    assert_eq!(store.usage().damaged, 1);
    // It can be put again.
    namespace.put(&key(0), &values).unwrap();
    namespace.flush().unwrap();
    assert!(namespace.get(&key(0), &mut values));
}

#[test]
fn a_store_that_cannot_be_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    namespace.put(&key(0), &row(0)).unwrap();
    namespace.flush().unwrap();
    // A folder in the place of the lock's file stops who writes, whoever runs the test.
    fs::remove_file(folder.path().join("lock")).unwrap();
    fs::create_dir(folder.path().join("lock")).unwrap();
    namespace.put(&key(1), &row(1)).unwrap();
    let error = namespace.flush().unwrap_err();
    assert!(
        matches!(error, Error::Write(_)) && error.to_string().contains("lock"),
        "{error}"
    );
    assert_eq!(there(&store, 2), [0]);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FeatureStore::open(&file).unwrap_err();
    assert!(
        matches!(error, Error::Write(_)) && error.to_string().contains("file"),
        "{error}"
    );
    let error = namespace.put(&key(2), &[0.0]).unwrap_err();
    assert!(matches!(error, Error::Row(_)), "{error}");
}

/// Writes rows as runs do that ran at the same time: a file for each.
fn scatter(store: &FeatureStore, rows: usize) {
    let open = |_| store.namespace(&NETWORK, &shapes()).unwrap();
    let mut namespaces: Vec<_> = (0..rows).map(open).collect();
    for (number, namespace) in namespaces.iter_mut().enumerate() {
        namespace.put(&key(number), &row(number)).unwrap();
        namespace.flush().unwrap();
    }
}

#[test]
fn merging_that_fails_forgets_nothing_and_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    scatter(&store, 40);
    assert_eq!(files(folder.path(), ROWS).len(), 40);
    assert_eq!(store.usage().written, 40);
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    namespace.put(&key(40), &row(40)).unwrap();
    store.disk.fault.after(0, Failing::Full);
    assert!(matches!(namespace.flush(), Err(Error::Full(_))));
    store.disk.fault.after(usize::MAX, Failing::Full);
    assert_eq!(namespace.len(), 40);
    let mut found = [0.0; WIDTH];
    for number in 0..40 {
        assert!(namespace.get(&key(number), &mut found), "row {number}");
        assert_eq!(bits(&found), bits(&row(number)));
    }
    namespace.put(&key(41), &row(41)).unwrap();
    namespace.flush().unwrap();
    assert_eq!(store.usage().written, 41);
    assert_eq!(files(folder.path(), ROWS).len(), 1);
    assert_eq!(there(&store, 42).len(), 41);
}

#[test]
fn rows_that_become_one_file_count_once_in_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    scatter(&store, 40);
    let bytes = store.bytes().unwrap();
    let mut store = FeatureStore::open(folder.path()).unwrap().budget(bytes);
    // All of them are small.
    store.segment_bytes = 64 << 20;
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    namespace.put(&key(40), &row(40)).unwrap();
    namespace.flush().unwrap();
    assert!(store.bytes().unwrap() < bytes);
    assert_eq!(store.usage().evicted, 0);
    assert_eq!(there(&store, 41).len(), 41);
}

#[test]
fn a_clock_that_was_set_back_keeps_no_file_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    namespace.put(&key(0), &row(0)).unwrap();
    namespace.flush().unwrap();
    let bytes = store.bytes().unwrap();
    let tomorrow = std::time::SystemTime::now() + Duration::from_secs(86_400);
    let file = fs::File::options()
        .write(true)
        .open(&files(folder.path(), ROWS)[0]);
    file.unwrap().set_modified(tomorrow).unwrap();
    let store = FeatureStore::open(folder.path()).unwrap().budget(bytes);
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    let put = namespace.put(&key(1), &row(1));
    put.and_then(|()| namespace.flush()).unwrap();
    assert_eq!(there(&store, 2), [1]);
}

/// Where a process that a test starts writes, and which rows.
const CHILD: &str = "REGRAFT_FEATURES_TEST";

/// Not a test: what the processes of the tests below do.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else {
        return;
    };
    let (numbers, folder) = told.split_once(' ').unwrap();
    let (from, to) = numbers.split_once('-').unwrap();
    let store = FeatureStore::open(folder).unwrap();
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    for number in from.parse::<usize>().unwrap()..to.parse().unwrap() {
        namespace.put(&key(number), &row(number)).unwrap();
        if number % 3 == 0 {
            namespace.flush().unwrap();
        }
    }
}

fn start(folder: &Path, numbers: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::child", "--test-threads=1"]);
    command.env(CHILD, format!("{numbers} {}", folder.display()));
    command.stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn two_processes_write_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let children = ["0-200", "100-300", "0-300"].map(|numbers| start(folder.path(), numbers));
    let store = FeatureStore::open(folder.path()).unwrap();
    for mut child in children {
        // Readers need not wait.
        there(&store, 300);
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(there(&store, 301), (0..300).collect::<Vec<_>>());
    assert_eq!(store.usage().damaged, 0);
    assert_eq!(files(folder.path(), TEMPORARY), Vec::<PathBuf>::new());
}

#[test]
fn a_process_that_is_killed_leaves_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..8 {
        let mut child = start(folder.path(), "0-100000");
        std::thread::sleep(Duration::from_millis(40 + 17 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = FeatureStore::open(folder.path()).unwrap();
        let found = there(&store, 2000);
        assert_eq!(store.usage().damaged, 0);
        // In order, and never fewer than before.
        assert_eq!(found, (0..found.len()).collect::<Vec<_>>());
        assert!(found.len() >= before);
        before = found.len();
    }
    assert!(before > 0);
    // It is nobody's turn to write for ever.
    let store = FeatureStore::open(folder.path()).unwrap();
    let mut namespace = store.namespace(&NETWORK, &shapes()).unwrap();
    namespace.put(&[1; 32], &row(0)).unwrap();
    namespace.flush().unwrap();
    assert_eq!(files(folder.path(), TEMPORARY), Vec::<PathBuf>::new());
}
