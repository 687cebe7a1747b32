//! Files of TensorFlow, compared with what TensorFlow itself reads (`fixtures/tensorflow_files.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regraft_io::{Checkpoint, Format, saved_model, tensorflow_checkpoint, tensorflow_js};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn file(name: &str) -> PathBuf {
    fixtures().join("tensorflow-files").join(name)
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

/// Path → "dtype shape crc32". Each tensor is there once.
fn facts(checkpoint: &Checkpoint) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for (_, weight) in checkpoint.tensors() {
        let tensor = &weight.tensor;
        let crc = crc32(tensor.bytes());
        let fact = format!("{} {:?} {crc}", tensor.data_type(), tensor.shape());
        assert_eq!(facts.insert(weight.path.clone(), fact), None);
    }
    facts
}

fn address(key: &str) -> String {
    key.trim_end_matches("/.ATTRIBUTES/VARIABLE_VALUE")
        .to_string()
}

#[test]
fn every_tensor_is_what_tensorflow_reads() {
    let mut files = 0;
    for (name, tensors) in manifest("tensorflow-files.json") {
        let Value::Object(tensors) = tensors else {
            continue;
        };
        if name == "predictions" {
            continue;
        }
        // TensorFlow has a second copy of what Keras 3 exports.
        let is_export = tensors.keys().any(|key| key.starts_with("_all_variables/"));
        let expected: BTreeMap<String, String> = tensors
            .iter()
            .filter(|(key, t)| !key.starts_with("_all_variables/") && t["dtype"] != "text")
            .map(|(key, t)| {
                let dtype = t["dtype"].as_str().unwrap();
                let shape: Vec<u64> = serde_json::from_value(t["shape"].clone()).unwrap();
                (address(key), format!("{dtype} {shape:?} {}", t["crc32"]))
            })
            .collect();
        assert!(is_export || expected.len() + 1 >= tensors.len());
        let checkpoint = regraft_io::read(file(&name)).unwrap();
        assert_eq!(checkpoint.format, Format::TensorFlowCheckpoint);
        assert_eq!(facts(&checkpoint), expected, "{name}");
        files += 1;
    }
    assert_eq!(files, 12);
}

/// The larger files are not committed. `REGRAFT_KERAS_FILES` names their folder.
#[test]
fn large_checkpoints_are_what_tensorflow_reads() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/keras-files");
    let folder = std::env::var_os("REGRAFT_KERAS_FILES").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("SKIPPED: no large files; set REGRAFT_KERAS_FILES to their folder");
        return;
    }
    for (name, expected) in manifest("tensorflow-files-large.json") {
        let checkpoint = regraft_io::read(folder.join(&name)).unwrap();
        let mut facts = facts(&checkpoint);
        if name.starts_with("tut_sm") {
            // The second copy has the same values.
            assert_eq!(facts.len() * 2, expected["tensors"], "{name}");
            continue;
        }
        let count = checkpoint.tensors().count();
        assert_eq!(expected["tensors"], count, "{name}");
        let mut lines: Vec<String> = std::mem::take(&mut facts)
            .into_iter()
            .map(|(path, fact)| {
                let ending = match path.contains('/') || path == "save_counter" {
                    true => "/.ATTRIBUTES/VARIABLE_VALUE",
                    false => "",
                };
                format!("{path}{ending} {fact}\n")
            })
            .collect();
        lines.sort_unstable();
        assert_eq!(
            expected["crc32"],
            crc32(lines.concat().as_bytes()),
            "{name}"
        );
    }
}

/// Each layer's path with its weights' own names.
fn layers(checkpoint: &Checkpoint) -> Vec<(&str, Vec<&str>)> {
    let own = |layer: &regraft_io::SavedLayer| -> Vec<String> {
        let weights = layer.weights.iter();
        weights
            .map(|weight| weight.variable().unwrap().to_string())
            .collect()
    };
    let names = |layer| -> Vec<&'static str> {
        let known = [
            "kernel",
            "bias",
            "gamma",
            "beta",
            "moving_mean",
            "moving_variance",
        ];
        let find = |name: String| *known.iter().find(|known| **known == name).unwrap();
        own(layer).into_iter().map(find).collect()
    };
    let layers = checkpoint.layers.iter();
    layers
        .map(|layer| (layer.path.as_str(), names(layer)))
        .collect()
}

const DENSE: [&str; 2] = ["kernel", "bias"];
const NORMALIZATION: [&str; 4] = ["gamma", "beta", "moving_mean", "moving_variance"];

fn nested(base: &str) -> [(String, Vec<&'static str>); 4] {
    [
        (format!("{base}hidden"), DENSE.to_vec()),
        (format!("{base}bn"), NORMALIZATION.to_vec()),
        ("deep".to_string(), DENSE.to_vec()),
        ("head".to_string(), DENSE.to_vec()),
    ]
}

#[test]
fn layers_have_their_names_and_the_models_order() {
    for (name, base) in [
        ("keras_2_nested", ""),
        ("keras_3_nested", "base/"),
        ("keras_3_nested_export", "base/"),
        ("keras_2_nested_saved_model", ""),
        ("js_float32_nested", ""),
    ] {
        let checkpoint = regraft_io::read(file(name)).unwrap();
        let expected = nested(base);
        let expected: Vec<(&str, Vec<&str>)> = expected
            .iter()
            .map(|(path, names)| (path.as_str(), names.clone()))
            .collect();
        assert_eq!(layers(&checkpoint), expected, "{name}");
    }
    let plain = regraft_io::read(file("keras_3_plain")).unwrap();
    let paths: Vec<&str> = plain
        .layers
        .iter()
        .map(|layer| layer.path.as_str())
        .collect();
    assert_eq!(paths[1], "sequential/batch_normalization");
    assert_eq!(plain.layers[3].name(), "dense_2");
}

#[test]
fn optimizers_are_told_apart_from_weights() {
    let keras_3 = regraft_io::read(file("keras_3_plain"))
        .unwrap()
        .optimizer
        .unwrap();
    assert_eq!(keras_3.name.as_deref(), Some("adam"));
    assert_eq!(keras_3.iterations(), Some(4));
    assert_eq!(keras_3.learning_rate(), Some(0.001));
    assert_eq!(keras_3.slots().len(), 16);
    let keras_2 = regraft_io::read(file("keras_2_plain"))
        .unwrap()
        .optimizer
        .unwrap();
    assert_eq!(
        (keras_2.iterations(), keras_2.name.as_deref()),
        (Some(4), None)
    );
    assert_eq!(keras_2.slots().len(), 16);
    assert_eq!(keras_2.slots()[15].path, "optimizer/_variables/16");
    let old = regraft_io::read(file("old_optimizer")).unwrap();
    assert_eq!(old.optimizer, None);
    assert_eq!(old.layers.len(), 4);
    assert_eq!(old.extra.len(), 5 + 16);
}

#[test]
fn plain_variables_and_texts_are_named_by_their_place() {
    let types = regraft_io::read(file("types/all.index")).unwrap();
    assert_eq!(types.layers.len(), 1);
    assert_eq!(types.layers[0].path, "inner");
    assert_eq!(types.layers[0].weights.len(), 13);
    assert_eq!(types.metadata.entries["left_out"], "inner/text");
    // Without a graph of objects the keys are names, sorted by their numbers.
    let named = regraft_io::read(file("tensorflow_1")).unwrap();
    let paths: Vec<&str> = named
        .layers
        .iter()
        .map(|layer| layer.path.as_str())
        .collect();
    assert_eq!(paths, ["dense_2", "dense_10"]);
    assert_eq!(named.extra.len(), 4);
}

#[test]
fn a_checkpoint_is_found_by_prefix_index_shard_or_folder() {
    let expected = tensorflow_checkpoint::read(file("keras_2_plain")).unwrap();
    for name in [
        "keras_2_plain/weights",
        "keras_2_plain/weights.index",
        "keras_2_plain/weights.data-00000-of-00001",
        "keras_2_plain/checkpoint",
        "keras_2_plain",
    ] {
        assert_eq!(regraft_io::read(file(name)).unwrap(), expected, "{name}");
    }
    let index = std::fs::read(file("shards/weights.index")).unwrap();
    let in_memory = tensorflow_checkpoint::read_with(&index, |number, count| {
        let name = format!("shards/weights.data-{number:05}-of-{count:05}");
        Ok(std::fs::read(file(&name)).unwrap())
    });
    assert_eq!(
        in_memory.unwrap(),
        regraft_io::read(file("shards/weights")).unwrap()
    );
}

#[test]
fn saved_models_of_keras_2_carry_configs() {
    let checkpoint = saved_model::read(file("keras_2_nested_saved_model")).unwrap();
    assert_eq!(checkpoint.format, Format::SavedModel);
    let config = checkpoint.config.unwrap();
    assert_eq!(config["class_name"], "Functional");
    let input = &config["config"]["layers"][0]["config"]["batch_input_shape"];
    assert_eq!(input, &serde_json::json!([null, 6]));
    assert_eq!(checkpoint.compile_config.unwrap()["loss"], "mse");
    assert_eq!(checkpoint.extra.len(), 2, "the mean of the loss");
    let export = saved_model::read(file("keras_3_plain_export")).unwrap();
    assert_eq!((export.config, export.layers.len()), (None, 4));
}

#[test]
fn javascript_models_carry_configs_and_quantized_weights() {
    for (kind, tolerance) in [("uint8", 1e-2), ("uint16", 5e-5), ("float16", 1e-3)] {
        let plain = tensorflow_js::read(file("js_float32_plain/model.json")).unwrap();
        let quantized = regraft_io::read(file(&format!("js_{kind}_plain"))).unwrap();
        assert_eq!(quantized.format, Format::TensorFlowJs);
        assert_eq!(plain.config.as_ref().unwrap()["class_name"], "Sequential");
        assert_eq!(
            quantized.config.as_ref().unwrap()["class_name"],
            "Sequential"
        );
        assert_eq!(plain.compile_config.as_ref().unwrap()["loss"], "mse");
        for ((_, a), (_, b)) in plain.tensors().zip(quantized.tensors()) {
            assert_eq!(a.name, b.name);
            let (a, b) = (a.tensor.to_f32().unwrap(), b.tensor.to_f32().unwrap());
            let error = (&a - &b).iter().fold(0f32, |most, d| most.max(d.abs()));
            assert!(error < tolerance, "{kind}: {error}");
        }
    }
    let path = file("js_uint8_nested/model.json");
    let json = std::fs::read(&path).unwrap();
    let in_memory = tensorflow_js::read_with(&json, |name| {
        Ok(std::fs::read(path.with_file_name(name)).unwrap())
    });
    assert_eq!(in_memory.unwrap(), regraft_io::read(&path).unwrap());
}
