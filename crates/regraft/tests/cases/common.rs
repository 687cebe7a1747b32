//! What all cases need: their files, and the arrays beside them.

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray_npy::{NpzReader, ReadNpyExt, ReadableElement};
use regraft::ndarray::{ArrayD, IxDyn, OwnedRepr};

/// The file of a case: `case("mask/a.keras")`.
pub fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/cases")
        .join(name)
}

/// The array in a `.npy` file of a case.
pub fn npy<T: ReadableElement>(name: &str) -> ArrayD<T> {
    let file = File::open(case(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    ArrayD::read_npy(file).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The array `key` in an `.npz` file of a case.
pub fn npz<T: ReadableElement>(name: &str, key: &str) -> ArrayD<T> {
    let file = File::open(case(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut reader = NpzReader::new(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let array = reader.by_name::<OwnedRepr<T>, IxDyn>(key);
    array.unwrap_or_else(|error| panic!("{name}, {key}: {error}"))
}

/// Fails unless every number of `ours` is within `tolerance` of `expected`, as a share of the largest.
#[track_caller]
pub fn assert_close(ours: &[f32], expected: &ArrayD<f32>, tolerance: f32) {
    assert_eq!(ours.len(), expected.len(), "numbers of elements");
    let largest = expected.iter().fold(1e-3_f32, |most, x| most.max(x.abs()));
    for (index, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        assert!(
            (ours - expected).abs() <= tolerance * largest,
            "element {index}: {ours}, expected {expected}"
        );
    }
}

#[test]
fn every_case_is_listed() {
    let readme = std::fs::read_to_string(case("README.md")).unwrap();
    for entry in std::fs::read_dir(case("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "README.md" || readme.contains(&name),
            "{name} is not in the README"
        );
    }
}
