//! TensorFlow's files broken in every way: a typed error that names the shard or tensor, never a panic,
//! never memory that the files do not warrant.

use std::path::{Path, PathBuf};

use regraft_io::{Checkpoint, Error, Result, tensorflow_checkpoint, tensorflow_js};
use serde_json::{Value, json};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/tensorflow-files")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(file(name)).unwrap()
}

/// The checkpoint of Keras 2 with another index or shard.
fn checkpoint(index: &[u8], shard: &[u8]) -> Result<Checkpoint> {
    tensorflow_checkpoint::read_with(index, |_, _| Ok(shard.to_vec()))
}

fn keras_2() -> (Vec<u8>, Vec<u8>) {
    let shard = bytes("keras_2_plain/weights.data-00000-of-00001");
    (bytes("keras_2_plain/weights.index"), shard)
}

#[test]
fn every_truncation_is_an_error() {
    let (index, shard) = keras_2();
    for length in 0..index.len() {
        let error = checkpoint(&index[..length], &shard).unwrap_err();
        assert!(matches!(error, Error::Format(_)), "{error}");
    }
    for length in (0..shard.len()).step_by(7) {
        let error = checkpoint(&index, &shard[..length]).unwrap_err();
        assert!(matches!(error, Error::Format(_)), "{error}");
        assert!(
            error.to_string().contains(".data-00000-of-00001"),
            "{error}"
        );
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let (index, shard) = keras_2();
    let sound = checkpoint(&index, &shard).unwrap();
    for at in 0..shard.len() {
        let mut shard = shard.clone();
        shard[at] ^= 0x10;
        let error = checkpoint(&index, &shard).unwrap_err();
        assert!(matches!(error, Error::Format(_)), "byte {at}: {error}");
    }
    // The footer has no checksum: there are places in it, which then are wrong, and padding.
    for at in 0..index.len() {
        let mut index = index.clone();
        index[at] ^= 0x10;
        if let Ok(read) = checkpoint(&index, &shard) {
            assert!(at >= index.len() - 48, "byte {at}");
            assert_eq!(read, sound);
        }
    }
}

#[test]
fn a_missing_shard_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "weights.index",
        "weights.data-00000-of-00004",
        "weights.data-00001-of-00004",
    ] {
        std::fs::copy(file("shards").join(name), folder.path().join(name)).unwrap();
    }
    let error = regraft_io::read(folder.path().join("weights")).unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert!(error.to_string().contains("weights.data-0000"), "{error}");
    let error = regraft_io::read(folder.path().join("other")).unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}

/// CRC-32C bit by bit, apart from the reader's.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = !0u32;
    for &byte in bytes {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82F6_3B78 * (sum & 1));
        }
    }
    (!sum).rotate_right(15).wrapping_add(0xA282_EAD8)
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Appends a block, and returns its place as a value of the index block.
fn block(table: &mut Vec<u8>, entries: &[u8], compression: u8) -> Vec<u8> {
    let start = table.len();
    table.extend(entries);
    table.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    let place = [varint(start as u64), varint((table.len() - start) as u64)].concat();
    table.push(compression);
    table.extend(checksum(&table[start..]).to_le_bytes());
    place
}

fn entry(shared: usize, own: &[u8], value: &[u8]) -> Vec<u8> {
    let lengths = [shared, own.len(), value.len()].map(|length| varint(length as u64));
    [&lengths.concat(), own, value].concat()
}

/// A table whose index block names the blocks of `places`.
fn finish(mut table: Vec<u8>, places: &[Vec<u8>]) -> Vec<u8> {
    let entries: Vec<u8> = (0u16..)
        .zip(places)
        .flat_map(|(i, place)| entry(0, &i.to_be_bytes(), place))
        .collect();
    let meta = block(&mut table, &[], 0);
    let index = block(&mut table, &entries, 0);
    let mut footer = [meta, index].concat();
    footer.resize(40, 0);
    table.extend(footer);
    table.extend(0xDB47_7524_8B80_FB57_u64.to_le_bytes());
    table
}

/// A table of one data block.
fn table(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut table = Vec::new();
    let place = block(&mut table, &entries.concat(), 0);
    finish(table, &[place])
}

/// One shard.
fn header() -> Vec<u8> {
    entry(0, b"", &[0x08, 1])
}

/// A `BundleEntryProto` of float32.
fn tensor(shape: &[u64], offset: u64, values: &[u8]) -> Vec<u8> {
    sized(shape, offset, values.len() as u64, checksum(values))
}

fn sized(shape: &[u64], offset: u64, size: u64, checksum: u32) -> Vec<u8> {
    let mut axes = Vec::new();
    for &axis in shape {
        let axis = [vec![0x08], varint(axis)].concat();
        axes.extend([vec![0x12], varint(axis.len() as u64), axis].concat());
    }
    [
        vec![0x08, 1, 0x12],
        varint(axes.len() as u64),
        axes,
        vec![0x20],
        varint(offset),
        vec![0x28],
        varint(size),
        vec![0x35],
        checksum.to_le_bytes().to_vec(),
    ]
    .concat()
}

#[test]
fn a_table_of_several_blocks_is_read_whole() {
    let values = [1f32, 2., 3., 4.].map(f32::to_le_bytes).concat();
    let mut all = Vec::new();
    let first = [
        header(),
        entry(0, b"a/kernel", &tensor(&[2], 0, &values[..8])),
    ]
    .concat();
    let first = block(&mut all, &first, 0);
    let second = entry(0, b"b/kernel", &tensor(&[1, 2], 8, &values[8..]));
    let second = block(&mut all, &second, 0);
    let read = checkpoint(&finish(all.clone(), &[first.clone(), second]), &values).unwrap();
    assert_eq!(read.layers.len(), 2);
    assert_eq!(read.layers[1].weights[0].tensor.bytes(), &values[8..]);
    // The same block twice.
    let error = checkpoint(&finish(all, &[first.clone(), first]), &values).unwrap_err();
    assert!(
        matches!(error, Error::Format(_) | Error::Limit(_)),
        "{error}"
    );
}

#[test]
fn bombs_exceed_a_limit() {
    let kernel = |value: Vec<u8>| table(&[header(), entry(0, b"a/kernel", &value)]);
    for shape in [&[1 << 40, 1 << 40][..], &[u64::MAX], &[0, u64::MAX, 3]] {
        let error = checkpoint(&kernel(sized(shape, 0, 0, 0)), &[]).unwrap_err();
        assert!(matches!(error, Error::Limit(_)), "{error}");
        assert!(error.to_string().contains("a/kernel"), "{error}");
    }
    // As large as it says, but not there.
    let error = checkpoint(&kernel(sized(&[1 << 38], 0, 1 << 40, 0)), &[0; 16]).unwrap_err();
    assert!(matches!(error, Error::Format(_)), "{error}");
    let error = checkpoint(&kernel(sized(&[4], u64::MAX, 16, 0)), &[0; 16]).unwrap_err();
    assert!(matches!(error, Error::Format(_)), "{error}");
    // A thousand names for the same values.
    let mut entries = vec![header()];
    for i in 0u16..1000 {
        entries.push(entry(
            0,
            format!("a/w{i:04}").as_bytes(),
            &tensor(&[4], 0, &[0; 16]),
        ));
    }
    let error = checkpoint(&table(&entries), &[0; 16]).unwrap_err();
    assert!(matches!(error, Error::Limit(_)), "{error}");
    // Keys that each add one byte to the key before.
    let mut entries = vec![header()];
    for i in 0..20_000 {
        entries.push(entry(i, b"a", b""));
    }
    let error = checkpoint(&table(&entries), &[]).unwrap_err();
    assert!(matches!(error, Error::Limit(_)), "{error}");
}

#[test]
fn what_is_not_read_is_said() {
    let mut all = Vec::new();
    let place = block(&mut all, &header(), 1);
    let error = checkpoint(&finish(all, &[place]), &[]).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    // complex64
    let mut complex = tensor(&[1], 0, &[0; 8]);
    complex[1] = 8;
    let index = table(&[header(), entry(0, b"a/kernel", &complex)]);
    let error = checkpoint(&index, &[0; 8]).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    let big_endian = table(&[entry(0, b"", &[0x08, 1, 0x10, 1])]);
    let error = checkpoint(&big_endian, &[]).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    let error = checkpoint(&table(&[]), &[]).unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");
    let error = checkpoint(&table(&[header(), entry(0, b"a/w", &[0x08])]), &[]).unwrap_err();
    assert!(matches!(error, Error::Format(_)), "{error}");
}

/// The quantized model with another `model.json`.
fn javascript(change: impl FnOnce(&mut Value)) -> Result<Checkpoint> {
    let mut model: Value = serde_json::from_slice(&bytes("js_uint8_plain/model.json")).unwrap();
    change(&mut model);
    tensorflow_js::read_with(model.to_string().as_bytes(), |name| {
        Ok(bytes(&format!("js_uint8_plain/{name}")))
    })
}

#[test]
fn javascript_models_are_checked_before_they_are_read() {
    assert!(javascript(|_| {}).is_ok());
    let weight = "/weightsManifest/0/weights/0";
    let at = |path: &str, value: Value| {
        let path = path.to_string();
        let result = javascript(move |model| *model.pointer_mut(&path).unwrap() = value);
        result.unwrap_err()
    };
    for (path, value, kind, says) in [
        (
            "/shape",
            json!([1u64 << 40, 1u64 << 40]),
            "format",
            "dense/kernel",
        ),
        ("/shape", json!([0, u64::MAX, 9]), "format", "dense/kernel"),
        ("/shape", json!([6, 4]), "format", "group1-shard1of3"),
        ("/shape", json!([7, 5]), "format", "group1-shard1of3"),
        ("/shape", json!([-1]), "format", "model.json"),
        ("/dtype", json!("complex64"), "unsupported", "dense/kernel"),
        ("/dtype", json!("string"), "unsupported", "dense/kernel"),
        (
            "/quantization/dtype",
            json!("uint4"),
            "unsupported",
            "uint4",
        ),
        (
            "/quantization/scale",
            json!(null),
            "missing",
            "dense/kernel",
        ),
        ("/name", json!("dense/bias"), "format", "dense/bias"),
    ] {
        let error = at(&format!("{weight}{path}"), value);
        let fits = match kind {
            "format" => matches!(error, Error::Format(_)),
            "missing" => matches!(error, Error::Missing(_)),
            _ => matches!(error, Error::Unsupported(_)),
        };
        assert!(fits && error.to_string().contains(says), "{error}");
    }
    let name = "/weightsManifest/0/paths/0";
    for value in ["../secret", "group1-shard2of3.bin"] {
        let error = at(name, json!(value));
        assert!(error.to_string().contains(value), "{error}");
    }
    let graph = javascript(|model| model["format"] = json!("graph-model")).unwrap_err();
    assert!(matches!(graph, Error::Unsupported(_)), "{graph}");
    let alone = javascript(|model| model["weightsManifest"] = Value::Null).unwrap_err();
    assert!(matches!(alone, Error::Missing(_)), "{alone}");
}

#[test]
fn a_javascript_shard_that_is_missing_or_short_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.json", "group1-shard1of3.bin", "group1-shard3of3.bin"] {
        std::fs::copy(file("js_uint8_plain").join(name), folder.path().join(name)).unwrap();
    }
    let missing = "group1-shard2of3.bin";
    let error = regraft_io::read(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert!(error.to_string().contains(missing), "{error}");
    for length in [0, 45, 47] {
        std::fs::write(folder.path().join(missing), vec![0; length]).unwrap();
        let error = regraft_io::read(folder.path().join("model.json")).unwrap_err();
        assert!(matches!(error, Error::Format(_)), "{error}");
        assert!(error.to_string().contains(missing), "{error}");
    }
}
