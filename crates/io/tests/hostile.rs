//! Files that are broken or mean harm (`fixtures/hostile_files.py`): always a precise error, never a
//! panic, a hang, or memory that the file's size does not warrant.

use std::io::Write;
use std::path::{Path, PathBuf};

use regraft_io::{Error, keras_archive, keras_weights};

fn hostile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/hostile")
        .join(name)
}

fn keras_file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/keras-files");
    std::fs::read(folder.join(name)).unwrap()
}

fn refuse(name: &str) -> Error {
    let error = regraft_io::read(hostile(name)).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    println!("{error}");
    error
}

#[test]
fn loops_and_bombs_exceed_a_limit() {
    for name in [
        "loop.weights.h5",
        "shape_bomb.weights.h5",
        "aliased_data.weights.h5",
        "aliased_strings.h5",
    ] {
        let error = refuse(name);
        assert!(matches!(error, Error::Limit(_)), "{name}: {error}");
    }
}

#[test]
fn links_and_what_keras_never_writes_are_refused() {
    for name in [
        "chunk_bomb.weights.h5",
        "soft_link.weights.h5",
        "external_link.weights.h5",
        "external_data.weights.h5",
    ] {
        let error = refuse(name);
        assert!(matches!(error, Error::Unsupported(_)), "{name}: {error}");
    }
}

#[test]
fn pickled_arrays_are_not_read() {
    for name in ["npz.keras", "arrays.npz"] {
        let error = refuse(name);
        assert!(matches!(error, Error::Unsupported(_)), "{name}: {error}");
    }
}

#[test]
fn a_member_that_unpacks_to_far_more_exceeds_a_limit() {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut archive = zip::ZipWriter::new(&mut bytes);
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("config.json", options).unwrap();
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..80 {
        archive.write_all(&zeros).unwrap();
    }
    archive.finish().unwrap();
    let error = keras_archive::read_bytes(bytes.into_inner()).unwrap_err();
    assert!(matches!(error, Error::Limit(_)), "{error}");
}

#[test]
fn every_truncation_is_an_error() {
    for name in [
        "o.weights.h5",
        "small_k2_full.h5",
        "int8.keras",
        "names_few_full.h5",
        "names_many.h5",
    ] {
        let whole = keras_file(name);
        let step = if cfg!(debug_assertions) { 97 } else { 1 };
        for length in (0..whole.len()).step_by(step) {
            assert!(
                regraft_io::read_bytes(&whole[..length]).is_err(),
                "{name} {length}"
            );
        }
    }
}

#[test]
fn a_flipped_bit_in_an_archive_is_noticed() {
    let whole = keras_file("int8.keras");
    let data = whole
        .windows(4)
        .position(|window| window == b"\x89HDF")
        .unwrap();
    for offset in (data..whole.len() - 1000).step_by(511) {
        let mut flipped = whole.clone();
        flipped[offset] ^= 4;
        let error = keras_archive::read_bytes(flipped).unwrap_err();
        assert!(matches!(error, Error::Format(_)), "{offset}: {error}");
    }
}

#[test]
fn other_files_are_told_what_is_known() {
    for bytes in [&b""[..], b"hello world", b"\x80\x02}q\x00", &[0; 100]] {
        let error = regraft_io::read_bytes(bytes).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }
    let missing = keras_weights::read("no/such/file").unwrap_err();
    assert!(matches!(missing, Error::NotFound(_)));
    assert!(missing.to_string().contains("no/such/file"));
}
