//! Loading weights of another program by a map of names, with its layouts converted.

use regraft::layers::{BatchNormalization, Dense, Input, LayerExt, PReLU, layers};
use regraft::{Layout, Load, Model, Sequential};
use regraft_io::{Checkpoint, Format, SavedLayer, SavedWeight};
use regraft_tensor::Tensor;

fn model() -> Model {
    let stack = layers![
        Input::new([2]),
        Dense::new(3).named("block_1_dense"),
        BatchNormalization::new().named("block_1_bn"),
        PReLU::new().named("act"),
        Dense::new(3).named("head"),
    ];
    Sequential::with_seed(stack, 1).unwrap()
}

/// The bits of all weights.
fn bits(model: &Model) -> Vec<u32> {
    let weights = model.weights().iter();
    let values = weights.flat_map(|weight| weight.value().as_slice().to_vec());
    values.map(f32::to_bits).collect()
}

/// A file of tensors by name, as PyTorch names them.
fn file(tensors: &[(&str, &[usize], f32)]) -> Checkpoint {
    let mut checkpoint = Checkpoint::new(Format::Safetensors);
    for (name, shape, first) in tensors {
        let count = shape.iter().product();
        let values = (0..count).map(|i| first + i as f32).collect();
        let (layer, variable) = name.rsplit_once('.').unwrap();
        let mut saved = SavedLayer::new(layer, "");
        saved.name = None;
        saved.weights.push(SavedWeight {
            path: name.to_string(),
            name: Some(variable.to_string()),
            tensor: Tensor::new(shape, values).unwrap().into(),
        });
        checkpoint.layers.push(saved);
    }
    checkpoint
}

const TENSORS: [(&str, &[usize], f32); 10] = [
    ("features.1.fc.weight", &[3, 2], 1.0),
    ("features.1.fc.bias", &[3], 10.0),
    ("features.1.bn.weight", &[3], 20.0),
    ("features.1.bn.bias", &[3], 30.0),
    ("features.1.bn.running_mean", &[3], 40.0),
    ("features.1.bn.running_var", &[3], 50.0),
    ("features.1.bn.num_batches_tracked", &[], 7.0),
    ("act.weight", &[3], 60.0),
    ("classifier.weight", &[3, 3], 70.0),
    ("classifier.bias", &[3], 80.0),
];

fn names() -> Load {
    Load::map([
        ("features.*.fc.*", "block_$1_dense/$2"),
        ("features.*.bn.*", "block_$1_bn/$2"),
        ("classifier.**", "head/$1"),
    ])
}

#[test]
fn a_network_of_pytorch_is_loaded_by_a_map_of_names() {
    let mut model = model();
    let load = names().layout(Layout::PyTorch);
    let report = model
        .load_checkpoint(&file(&TENSORS), "weights", load)
        .unwrap();
    let values = |path: &str| model.weight(path).unwrap().value().as_slice().to_vec();
    assert_eq!(
        values("block_1_dense/kernel"),
        [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]
    );
    assert_eq!(values("block_1_bn/gamma"), [20.0, 21.0, 22.0]);
    assert_eq!(values("block_1_bn/beta"), [30.0, 31.0, 32.0]);
    assert_eq!(values("block_1_bn/moving_mean"), [40.0, 41.0, 42.0]);
    assert_eq!(values("block_1_bn/moving_variance"), [50.0, 51.0, 52.0]);
    assert_eq!(values("act/alpha"), [60.0, 61.0, 62.0]);
    // Square, so that its shape does not tell the layout.
    assert_eq!(values("head/kernel")[1], 73.0);
    assert_eq!(report.ignored, ["features.1.bn.num_batches_tracked"]);
    assert_eq!(report.converted().count(), 2);
    assert!(
        report.to_string().contains("converted: OI → IO"),
        "{report}"
    );
}

#[test]
fn nothing_is_converted_unless_the_layout_is_said() {
    let mut model = model();
    let before = bits(&model);
    let load = Load::new().rename(|name| {
        name.replace("features.1.fc", "block_1_dense")
            .replace("features.1.bn", "block_1_bn")
            .replace("classifier", "head")
            .replace("act.weight", "act.alpha")
            .replace("bn.weight", "bn.gamma")
            .replace("bn.bias", "bn.beta")
            .replace("running_mean", "moving_mean")
            .replace("running_var", "moving_variance")
            .replace("weight", "kernel")
    });
    let load = load.allow_unexpected();
    let error = model
        .load_checkpoint(&file(&TENSORS), "weights", load)
        .unwrap_err()
        .to_string();
    assert!(error.contains("[2, 3] ≠ [3, 2]"), "{error}");
    assert_eq!(bits(&model), before);
}

#[test]
fn half_the_tensors_and_another_architecture_are_named_and_change_nothing() {
    let mut model = model();
    let before = bits(&model);
    let load = || names().layout(Layout::PyTorch);
    let half = file(&[&TENSORS[..2], &TENSORS[2..6], &TENSORS[8..9]].concat());
    let error = model
        .load_checkpoint(&half, "half", load())
        .unwrap_err()
        .to_string();
    for name in ["act/alpha", "head/bias"] {
        assert!(error.contains(name), "{error}");
    }
    let mut other = TENSORS.to_vec();
    other[0].1 = &[5, 2];
    other.push(("features.2.fc.weight", &[3, 2], 0.0));
    let error = model
        .load_checkpoint(&file(&other), "other", load())
        .unwrap_err()
        .to_string();
    for name in [
        "features.2.fc.weight",
        "features.1.fc.weight",
        "[2, 3] ≠ [2, 5]",
    ] {
        assert!(error.contains(name), "{error}");
    }
    // A pattern without a match, and two tensors for one weight.
    let useless = Load::map([("featurs.*.**", "x/$2")]);
    let error = model
        .load_checkpoint(&file(&TENSORS), "f", useless)
        .unwrap_err()
        .to_string();
    assert!(error.contains("featurs"), "{error}");
    let twice = Load::map([("features.1.*.bias", "block_1_dense/bias")]);
    let twice = twice.layout(Layout::PyTorch);
    let error = model
        .load_checkpoint(&file(&TENSORS), "f", twice)
        .unwrap_err()
        .to_string();
    assert!(error.contains("features.1.bn.bias"), "{error}");
    assert_eq!(bits(&model), before);
    // A head that keeps its weights wants nothing from the file.
    let mut wide = TENSORS.to_vec();
    wide[8].1 = &[9, 3];
    let report = model
        .load_checkpoint(&file(&wide), "wide", load().keep("head"))
        .unwrap();
    assert_eq!(report.kept, ["head/kernel", "head/bias"]);
}

#[test]
fn keras_files_are_renamed_too() {
    let stack = layers![
        Input::new([2]),
        Dense::new(3).named("a"),
        Dense::new(3).named("b")
    ];
    let source = Sequential::with_seed(stack, 4).unwrap();
    let swapped = layers![
        Input::new([2]),
        Dense::new(3).named("y"),
        Dense::new(3).named("z")
    ];
    let inner = regraft_layers::Sequential::with_seed(swapped, 5).unwrap();
    let mut model = Sequential::new(layers![Input::new([2]), inner.named("base")]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for ending in ["weights.h5", "h5", "safetensors"] {
        let path = folder.path().join(format!("source.{ending}"));
        source.save_weights(&path).unwrap();
        let load = Load::map([("a/*", "base/y/$1"), ("b/*", "base/z/$1")]);
        let report = model.load_weights_with(&path, load).unwrap();
        assert_eq!(report.loaded.len(), 4, "{ending}");
        let value = |path: &str| model.weight(path).unwrap().value().clone();
        assert_eq!(
            value("base/z/kernel"),
            *source.weight("b/kernel").unwrap().value()
        );
    }
}
