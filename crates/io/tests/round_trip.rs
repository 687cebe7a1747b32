//! What is written is read back the same, in every format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use regraft_io::{
    Checkpoint, ContainerKeys, DataType, Dialect, Error, Format, SavedLayer, SavedOptimizer,
    SavedWeight, TensorData, keras_archive, keras_weights, legacy_h5, safetensors, sharded,
};
use serde_json::{Value, json};

fn tensor() -> impl Strategy<Value = TensorData> {
    let shape = prop::collection::vec(0usize..5, 0..4);
    (
        prop::sample::select(&DataType::ALL[..]),
        shape,
        any::<u64>(),
    )
        .prop_map(|(data_type, shape, seed)| {
            let length = shape.iter().product::<usize>() * data_type.size();
            let mut state = seed | 1;
            let byte = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                let byte = (state >> 56) as u8;
                if data_type == DataType::Bool {
                    byte & 1
                } else {
                    byte
                }
            };
            let bytes = std::iter::repeat_with(byte).take(length).collect();
            TensorData::new(data_type, shape, bytes).unwrap()
        })
}

/// Class, name, weights; nested below the layer of that number, if there is one.
type Plan = Vec<(&'static str, String, Vec<TensorData>, Option<usize>)>;

fn plan() -> impl Strategy<Value = Plan> {
    let class = prop::sample::select(&["Dense", "Conv2D", "Functional", "Dropout"][..]);
    let weights = prop::collection::vec(tensor(), 0..4);
    let below = prop::option::weighted(0.3, 0usize..8);
    prop::collection::vec((class, "[a-zé_]{1,8}", weights, below), 0..14)
}

fn json_value() -> impl Strategy<Value = Value> {
    ("[a-zA-Z\"\\\\ü\n]{0,12}", any::<i32>())
        .prop_map(|(name, units)| json!({"config": {"name": name, "units": units}}))
}

/// Layers in containers, as a Keras 3 file lists them.
fn keras_layers(plan: Plan) -> Vec<SavedLayer> {
    let mut keys: BTreeMap<String, ContainerKeys> = BTreeMap::new();
    let mut layers: Vec<SavedLayer> = Vec::new();
    for (class, name, weights, below) in plan {
        let parent = below.and_then(|i| layers.get(i));
        let container = match parent {
            Some(parent) => format!("{}/layers", parent.path),
            None => "layers".to_string(),
        };
        let key = keys.entry(container.clone()).or_default().next(class);
        let mut layer = SavedLayer::new(format!("{container}/{key}"), name);
        for (i, tensor) in weights.into_iter().enumerate() {
            let path = format!("{}/vars/{i}", layer.path);
            layer.weights.push(SavedWeight {
                path,
                name: None,
                tensor,
            });
        }
        layers.push(layer);
    }
    layers
}

fn optimizer(variables: Vec<TensorData>) -> SavedOptimizer {
    let variable = |(i, tensor)| SavedWeight {
        path: format!("optimizer/vars/{i}"),
        name: None,
        tensor,
    };
    SavedOptimizer {
        name: Some("adam".to_string()),
        variables: variables.into_iter().enumerate().map(variable).collect(),
        loss_scale: Vec::new(),
    }
}

/// The same, as if its tensors had never been in a file.
fn fresh(checkpoint: &Checkpoint) -> Checkpoint {
    let mut fresh = checkpoint.clone();
    let weights = fresh.layers.iter_mut().flat_map(|layer| &mut layer.weights);
    let variables = fresh
        .optimizer
        .iter_mut()
        .flat_map(|saved| &mut saved.variables);
    for weight in weights.chain(variables) {
        weight.path.clear();
    }
    fresh
}

/// Readers list groups in natural order; so the comparison is by path.
fn sorted(mut checkpoint: Checkpoint) -> Checkpoint {
    checkpoint.layers.sort_by(|a, b| a.path.cmp(&b.path));
    checkpoint
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn keras_weights(plan in plan(), slots in prop::option::of(prop::collection::vec(tensor(), 0..14))) {
        let mut checkpoint = Checkpoint::new(Format::KERAS_3);
        checkpoint.layers = keras_layers(plan);
        checkpoint.layers.push(SavedLayer::new("", "model"));
        checkpoint.optimizer = slots.map(optimizer);
        let bytes = keras_weights::to_bytes(&fresh(&checkpoint)).unwrap();
        let again = keras_weights::read_bytes(bytes).unwrap();
        prop_assert_eq!(sorted(again), sorted(checkpoint));
    }

    #[test]
    fn keras_archive(
        plan in plan(),
        config in json_value(),
        compile in prop::option::of(json_value()),
        asset in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut checkpoint = Checkpoint::new(Format::KerasArchive(Dialect::Named));
        checkpoint.layers = keras_layers(plan);
        checkpoint.layers.push(SavedLayer::new("", "model"));
        checkpoint.config = Some(config);
        checkpoint.compile_config = compile;
        checkpoint.metadata.keras_version = Some("3.15.1".to_string());
        checkpoint.metadata.date_saved = Some("2026-11-23@16:27:56".to_string());
        checkpoint.assets.insert("assets/lookup/vocabulary.txt".to_string(), asset);
        let bytes = keras_archive::to_bytes(&checkpoint).unwrap();
        let again = keras_archive::read_bytes(bytes).unwrap();
        prop_assert_eq!(sorted(again), sorted(checkpoint));
    }

    #[test]
    fn shards(plan in plan(), slots in prop::collection::vec(tensor(), 1..6), size in 512usize..2000) {
        let mut checkpoint = Checkpoint::new(Format::Sharded(Dialect::Named));
        checkpoint.layers = keras_layers(plan);
        checkpoint.layers.push(SavedLayer::new("", "model"));
        checkpoint.optimizer = Some(optimizer(slots));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.weights.json");
        sharded::write(&path, &fresh(&checkpoint), size).unwrap();
        prop_assert_eq!(sorted(sharded::read(&path).unwrap()), sorted(checkpoint.clone()));
        prop_assert_eq!(sorted(regraft_io::read(&path).unwrap()), sorted(checkpoint));
    }

    #[test]
    fn legacy(
        plan in plan(),
        config in prop::option::of(json_value()),
        slots in prop::collection::vec(tensor(), 0..6),
    ) {
        let format = match config {
            Some(_) => Format::LegacyModel,
            None => Format::LegacyWeights,
        };
        let prefix = if config.is_some() { "model_weights/" } else { "" };
        let mut checkpoint = Checkpoint::new(format);
        for (i, (class, name, weights, _)) in plan.into_iter().enumerate() {
            let name = format!("{name}{i}");
            let mut layer = SavedLayer::new(name.clone(), name.clone());
            for (j, tensor) in weights.into_iter().enumerate() {
                let weight = format!("{name}/{class}_{j}:0");
                let path = format!("{prefix}{name}/{weight}");
                layer.weights.push(SavedWeight { path, name: Some(weight), tensor });
            }
            checkpoint.layers.push(layer);
        }
        if config.is_some() {
            let mut optimizer = optimizer(slots);
            optimizer.name = None;
            for (i, slot) in optimizer.variables.iter_mut().enumerate() {
                slot.name = Some(format!("adam/slot_{i}"));
                slot.path = format!("optimizer_weights/adam/slot_{i}");
            }
            checkpoint.optimizer = Some(optimizer);
        }
        checkpoint.config = config;
        checkpoint.metadata.backend = Some("regraft".to_string());
        checkpoint.metadata.keras_version = Some("3.15.1".to_string());
        let again = legacy_h5::read_bytes(legacy_h5::to_bytes(&fresh(&checkpoint)).unwrap()).unwrap();
        prop_assert_eq!(again, checkpoint);
    }

    #[test]
    fn safetensors_keep_every_tensor(
        tensors in prop::collection::btree_map("[a-z]{1,3}(/[a-z]{1,3}){0,2}", tensor(), 0..10),
        config in prop::option::of(json_value()),
        entry in ".{0,5}",
    ) {
        let mut checkpoint = Checkpoint::new(Format::Safetensors);
        for (path, tensor) in tensors {
            let (layer, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let weight = SavedWeight { name: Some(name.to_string()), path: path.clone(), tensor };
            match checkpoint.layers.iter_mut().find(|known| known.path == layer) {
                Some(known) => known.weights.push(weight),
                None => checkpoint.layers.push(SavedLayer {
                    path: layer.to_string(),
                    name: None,
                    weights: vec![weight],
                }),
            }
        }
        checkpoint.config = config;
        checkpoint.metadata.entries.insert("note".to_string(), entry);
        let bytes = safetensors::to_bytes(&checkpoint).unwrap();
        // The reference implementation agrees that it is sound.
        ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut again = safetensors::read_bytes(bytes).unwrap();
        // The format orders tensors by their types' widths.
        for saved in [&mut again, &mut checkpoint] {
            for layer in &mut saved.layers {
                layer.weights.sort_by(|a, b| a.path.cmp(&b.path));
            }
        }
        prop_assert_eq!(sorted(again), sorted(checkpoint));
    }
}

#[test]
fn keras_weights_become_safetensors_under_the_layers_names() {
    let mut checkpoint = Checkpoint::new(Format::KERAS_3);
    let ones = TensorData::from(regraft_tensor::Tensor::full([2], 1.0));
    checkpoint.layers = vec![
        SavedLayer::new("layers/functional", "base"),
        SavedLayer::new("layers/functional/layers/conv2d", "conv1").with("kernel", ones.clone()),
        SavedLayer::new("layers/dense", "head").with("sequential/head/bias:0", ones),
    ];
    let bytes = safetensors::to_bytes(&checkpoint).unwrap();
    let again = regraft_io::read_bytes(bytes).unwrap();
    let paths: Vec<&str> = again
        .tensors()
        .map(|(_, weight)| weight.path.as_str())
        .collect();
    assert_eq!(paths, ["base/conv1/kernel", "head/bias"]);
}

#[test]
fn the_same_place_twice_is_an_error() {
    let mut checkpoint = Checkpoint::new(Format::KERAS_3);
    let one = TensorData::scalar(1f32);
    checkpoint.layers = vec![
        SavedLayer::new("layers/dense", "a").with("kernel", one.clone()),
        SavedLayer::new("layers/dense", "b").with("kernel", one.clone()),
    ];
    let error = keras_weights::to_bytes(&checkpoint)
        .unwrap_err()
        .to_string();
    assert!(error.contains("layers/dense"), "{error}");
    checkpoint.layers[1].path = "layers/dense/vars/0/deeper".to_string();
    assert!(keras_weights::to_bytes(&checkpoint).is_err());
    checkpoint.layers[1].path = "layers//dense".to_string();
    assert!(keras_weights::to_bytes(&checkpoint).is_err());
}

#[test]
fn a_tensor_larger_than_a_shard_leaves_nothing_behind() {
    let mut checkpoint = Checkpoint::new(Format::Sharded(Dialect::Named));
    let tensor = TensorData::from(regraft_tensor::Tensor::zeros([100]));
    checkpoint.layers = vec![SavedLayer::new("layers/dense", "a").with("kernel", tensor)];
    let folder = tempfile::tempdir().unwrap();
    let error = sharded::write(folder.path().join("x.weights.json"), &checkpoint, 399).unwrap_err();
    assert!(matches!(error, regraft_io::Error::Limit(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Files of Keras in the repository, and those in the folder that `REGRAFT_KERAS_FILES` names.
fn keras_files() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/keras-files");
    let more = std::env::var_os("REGRAFT_KERAS_FILES").map(PathBuf::from);
    let folders = [own].into_iter().chain(more);
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Every tensor of the layers by its layer and number.
fn tensors(checkpoint: &Checkpoint) -> BTreeMap<String, TensorData> {
    let layers = checkpoint.layers.iter();
    let weights = layers.flat_map(|layer| {
        let weights = layer.weights.iter().enumerate();
        weights.map(|(number, weight)| (format!("{}/{number}", layer.path), weight.tensor.clone()))
    });
    weights.collect()
}

/// `fixtures/keras_loads_converted.py` lets Keras judge what is made on the way.
#[test]
fn every_kind_of_file_becomes_every_other_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut same, mut refused) = (0, 0);
    for file in keras_files() {
        let Ok(checkpoint) = regraft_io::read(&file) else {
            continue;
        };
        let Ok(own) = checkpoint.for_format(checkpoint.format) else {
            continue;
        };
        assert_eq!(
            own.checkpoint.layers,
            checkpoint.layers,
            "{}",
            file.display()
        );
        for ending in ["keras", "weights.h5", "weights.json", "h5", "safetensors"] {
            let name = format!("{}, {ending}", file.display());
            let path = folder.path().join(format!("there.{ending}"));
            // Weights alone have lost what tells the places.
            let back = regraft_io::write(&path, &checkpoint).and_then(|_| {
                let mut there = regraft_io::read(&path).unwrap();
                there.config = there.config.or(checkpoint.config.clone());
                there.compile_config = there.compile_config.or(checkpoint.compile_config.clone());
                there.for_format(checkpoint.format)
            });
            match back {
                Ok(back) => {
                    let values = |it: &Checkpoint| -> Vec<TensorData> {
                        tensors(it).into_values().collect()
                    };
                    let is_legacy = matches!(
                        checkpoint.format,
                        Format::LegacyModel | Format::LegacyWeights
                    );
                    // Legacy names of Keras 2 and 3 differ, so there the order tells.
                    let in_order = |it: &Checkpoint| -> Vec<TensorData> {
                        let weights = it.layers.iter().flat_map(|layer| &layer.weights);
                        weights.map(|weight| weight.tensor.clone()).collect()
                    };
                    match is_legacy {
                        true => {
                            assert_eq!(in_order(&back.checkpoint), in_order(&checkpoint), "{name}")
                        }
                        false => {
                            assert_eq!(tensors(&back.checkpoint), tensors(&checkpoint), "{name}");
                            assert_eq!(values(&back.checkpoint).len(), values(&checkpoint).len());
                        }
                    }
                    same += 1;
                }
                Err(error @ (Error::Unsupported(_) | Error::Missing(_))) => {
                    println!("{name}: {error}");
                    assert!(error.to_string().contains("Help"), "{error}");
                    refused += 1;
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
    println!("{same} the same, {refused} refused");
    assert!(same >= 40, "{same} the same, {refused} refused");
}

#[test]
fn writers_refuse_what_no_reader_takes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/keras-files/f_full.h5");
    let legacy = regraft_io::read(file).unwrap();
    let error = keras_weights::to_bytes(&legacy).unwrap_err().to_string();
    assert!(error.contains("for_format"), "{error}");
    assert!(keras_archive::to_bytes(&legacy).is_err());
    let names = legacy.for_format(Format::Safetensors).unwrap().checkpoint;
    for error in [
        keras_weights::to_bytes(&names).unwrap_err(),
        legacy_h5::to_bytes(&names).unwrap_err(),
        keras_archive::to_bytes(&names).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }
    let error = regraft_io::write("weights.pth", &legacy).unwrap_err();
    assert!(error.to_string().contains(".safetensors"), "{error}");
    let pytorch = Checkpoint::new(Format::PyTorch);
    let error = pytorch.for_format(Format::KERAS_3).unwrap_err();
    assert!(error.to_string().contains("layouts"), "{error}");
    // What is left out is said.
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/keras-files/k2f.keras");
    let archive = regraft_io::read(archive).unwrap();
    let weights = archive.for_format(Format::KERAS_3).unwrap();
    assert!(
        weights.dropped.iter().any(|it| it.contains("architecture")),
        "{:?}",
        weights.dropped
    );
}
