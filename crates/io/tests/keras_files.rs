//! Files that Keras wrote, read and compared with what h5py reads (`fixtures/keras_files_manifest.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regraft_io::{Checkpoint, Dialect, Format, SavedWeight};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn fixture(name: &str) -> PathBuf {
    fixtures().join("keras-files").join(name)
}

fn manifest(name: &str) -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(fixtures().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Path → "dtype shape crc32".
fn facts(checkpoint: &Checkpoint) -> BTreeMap<String, String> {
    let fact = |weight: &SavedWeight| {
        let tensor = &weight.tensor;
        let dtype = tensor.data_type();
        let crc = crc32(tensor.bytes());
        (
            weight.path.clone(),
            format!("{dtype} {:?} {crc}", tensor.shape()),
        )
    };
    checkpoint
        .tensors()
        .map(|(_, weight)| fact(weight))
        .collect()
}

#[test]
fn committed_files_read_byte_equal_to_h5py() {
    for (name, expected) in manifest("keras-files.json") {
        let checkpoint = regraft_io::read(fixture(&name)).unwrap();
        let expected: BTreeMap<String, String> = expected
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, t)| {
                let dtype = t["dtype"].as_str().unwrap();
                let shape: Vec<u64> = serde_json::from_value(t["shape"].clone()).unwrap();
                (path.clone(), format!("{dtype} {shape:?} {}", t["crc32"]))
            })
            .collect();
        assert_eq!(facts(&checkpoint), expected, "{name}");
        assert_eq!(checkpoint.tensors().count(), expected.len(), "{name}");
        if !name.ends_with(".json") {
            let bytes = std::fs::read(fixture(&name)).unwrap();
            assert_eq!(regraft_io::read_bytes(bytes).unwrap(), checkpoint, "{name}");
        }
    }
}

/// The files of whole models are too large to commit. `REGRAFT_KERAS_FILES` names their folder.
#[test]
fn large_files_read_byte_equal_to_h5py() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/keras-files");
    let folder = match std::env::var_os("REGRAFT_KERAS_FILES") {
        Some(folder) => PathBuf::from(folder),
        None => beside,
    };
    if !folder.is_dir() {
        println!("SKIPPED: no large Keras files; set REGRAFT_KERAS_FILES to their folder");
        return;
    }
    let mut total = 0;
    for (name, expected) in manifest("keras-files-large.json") {
        let checkpoint = regraft_io::read(folder.join(&name)).unwrap();
        let facts = facts(&checkpoint);
        assert_eq!(checkpoint.tensors().count(), facts.len(), "{name}");
        assert_eq!(expected["tensors"], facts.len(), "{name}");
        let lines: String = facts
            .iter()
            .map(|(path, fact)| format!("{path} {fact}\n"))
            .collect();
        // Sorted as Python sorts the lines.
        let mut lines: Vec<&str> = lines.split_inclusive('\n').collect();
        lines.sort_unstable();
        assert_eq!(
            expected["crc32"],
            crc32(lines.concat().as_bytes()),
            "{name}"
        );
        total += facts.len();
    }
    println!("{total} tensors");
}

fn names<'a>(checkpoint: &'a Checkpoint, path: &str) -> Vec<&'a str> {
    let weights = &checkpoint.layer(path).unwrap().weights;
    weights
        .iter()
        .map(|weight| weight.name.as_deref().unwrap_or(""))
        .collect()
}

fn paths(checkpoint: &Checkpoint) -> Vec<&str> {
    checkpoint
        .layers
        .iter()
        .map(|layer| layer.path.as_str())
        .collect()
}

#[test]
fn keras_3_weights_tell_layer_names_and_optimizer() {
    let checkpoint = regraft_io::read(fixture("o.weights.h5")).unwrap();
    assert_eq!(checkpoint.format, Format::KerasWeights(Dialect::Named));
    assert_eq!(
        paths(&checkpoint),
        [
            "",
            "layers/dense",
            "layers/dense_1",
            "layers/dense_2",
            "layers/dense_3"
        ]
    );
    assert_eq!(checkpoint.layers[0].name(), "sequential");
    assert_eq!(checkpoint.layers[4].name(), "head");
    assert_eq!(checkpoint.layers[4].weights[0].tensor.shape(), [8, 10]);
    let optimizer = checkpoint.optimizer.unwrap();
    assert_eq!(optimizer.name.as_deref(), Some("adam"));
    assert!(optimizer.iterations().is_some());
    assert_eq!(optimizer.learning_rate(), Some(0.001));
    // Sorted by number: 2 before 10.
    assert_eq!(optimizer.slots().len(), 16);
    assert_eq!(optimizer.slots()[0].path, "optimizer/vars/2");
    assert_eq!(optimizer.slots()[8].path, "optimizer/vars/10");
}

#[test]
fn keras_2_13_closes_the_gaps_in_its_numbers() {
    let checkpoint = regraft_io::read(fixture("sim213.weights.h5")).unwrap();
    assert_eq!(checkpoint.format, Format::KerasWeights(Dialect::Keras2_13));
    assert_eq!(
        paths(&checkpoint),
        [
            "",
            "layers/batch_normalization",
            "layers/dense",
            "layers/dense_1",
            "layers/dense_2",
            "layers/input_layer"
        ]
    );
    let last = &checkpoint.layers[4];
    assert_eq!(
        last.weights[0].path,
        "_layer_checkpoint_dependencies/dense_4/vars/0"
    );
    assert_eq!((last.class(), last.ordinal()), ("dense", 2));
}

#[test]
fn keras_2_15_has_no_layer_names() {
    let checkpoint = regraft_io::read(fixture("k2f.weights.h5")).unwrap();
    assert_eq!(checkpoint.format, Format::KerasWeights(Dialect::Unnamed));
    assert_eq!(checkpoint.layer("layers/dense_1").unwrap().name, None);
    let archive = regraft_io::read(fixture("k2f.keras")).unwrap();
    assert_eq!(archive.format, Format::KerasArchive(Dialect::Unnamed));
    assert!(archive.metadata.keras_version.unwrap().starts_with("2."));
    assert_eq!(archive.config.unwrap()["class_name"], "Functional");
}

#[test]
fn nested_layers_have_their_place_and_name() {
    let checkpoint = regraft_io::read(fixture("small_nested.weights.h5")).unwrap();
    let cell = checkpoint
        .layer("layers/functional/layers/lstm/cell")
        .unwrap();
    assert_eq!(checkpoint.name_path(cell), "encoder/lstm/lstm_cell");
    assert_eq!(cell.weights.len(), 3);
    let inner: Vec<&str> = checkpoint
        .layers_in("layers/functional/layers")
        .map(|layer| layer.class())
        .collect();
    assert_eq!(
        inner,
        ["embedding", "input_layer", "lstm", "multi_head_attention"]
    );
    let attention = "layers/functional/layers/multi_head_attention";
    assert_eq!(
        checkpoint
            .layers_in(attention)
            .filter(|layer| !layer.weights.is_empty())
            .count(),
        4
    );
}

#[test]
fn legacy_files_tell_every_weight_by_name() {
    let checkpoint = regraft_io::read(fixture("ord_full.h5")).unwrap();
    assert_eq!(checkpoint.format, Format::LegacyModel);
    assert_eq!(
        names(&checkpoint, "base")[..4],
        [
            "bn1/gamma",
            "bn1/beta",
            "bn1/moving_mean",
            "bn1/moving_variance"
        ]
    );
    let base = checkpoint.layer("base").unwrap();
    for (i, weight) in base.weights.iter().enumerate() {
        // The file's values are 0, 1, 2, … in the order of the layers' weights.
        assert_eq!(weight.tensor.to_f32().unwrap()[0], i as f32);
    }
    assert_eq!(checkpoint.config.unwrap()["class_name"], "Functional");

    let keras_2 = regraft_io::read(fixture("small_k2_full.h5")).unwrap();
    assert_eq!(names(&keras_2, "dense"), ["dense/kernel:0", "dense/bias:0"]);
    assert_eq!(keras_2.layer("dropout").unwrap().weights, []);
    let optimizer = keras_2.optimizer.unwrap();
    assert_eq!(optimizer.iterations(), Some(0));
    assert_eq!(optimizer.learning_rate(), None);
    assert_eq!(optimizer.slots().len(), 12);
    assert_eq!(keras_2.compile_config.unwrap()["loss"], "mse");

    let weights_only = regraft_io::read(fixture("small_k2.h5")).unwrap();
    assert_eq!(weights_only.format, Format::LegacyWeights);
    assert_eq!(
        weights_only.layers,
        keras_2
            .layers
            .into_iter()
            .map(|mut layer| {
                for weight in &mut layer.weights {
                    weight.path = weight.path.trim_start_matches("model_weights/").to_string();
                }
                layer
            })
            .collect::<Vec<_>>()
    );
    assert!(
        weights_only
            .metadata
            .keras_version
            .unwrap()
            .starts_with("2.")
    );
}

#[test]
fn shards_are_put_together() {
    let checkpoint = regraft_io::read(fixture("small.weights.json")).unwrap();
    assert_eq!(checkpoint.format, Format::Sharded(Dialect::Named));
    assert_eq!(
        paths(&checkpoint),
        [
            "",
            "layers/batch_normalization",
            "layers/dense",
            "layers/dense_1",
            "layers/dropout"
        ]
    );
    let shapes: Vec<_> = checkpoint.layers[2]
        .weights
        .iter()
        .map(|w| w.tensor.shape())
        .collect();
    assert_eq!(shapes, [&[6usize, 5][..], &[5]]);
}

#[test]
fn archives_carry_configs() {
    let checkpoint = regraft_io::read(fixture("lora.keras")).unwrap();
    assert_eq!(checkpoint.format, Format::KerasArchive(Dialect::Named));
    assert_eq!(
        checkpoint.config.as_ref().unwrap()["class_name"],
        "Sequential"
    );
    assert!(checkpoint.config.unwrap().get("compile_config").is_none());
    assert_eq!(checkpoint.compile_config.unwrap()["loss"], "mse");
    assert!(checkpoint.metadata.date_saved.is_some());
}
