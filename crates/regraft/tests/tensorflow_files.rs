//! Models with weights from TensorFlow's files: they predict what Keras predicts with the same file
//! (`fixtures/tensorflow_files.py`).

use std::path::{Path, PathBuf};

use regraft::layers::{BatchNormalization, Dense, Input, LayerExt, layers};
use regraft::ndarray::{ArrayD, IxDyn};
use regraft::optimizers::Adam;
use regraft::{Load, Model, OptimizerState, Sequential};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn file(name: &str) -> PathBuf {
    fixtures().join("tensorflow-files").join(name)
}

fn golden() -> Value {
    let text = std::fs::read_to_string(fixtures().join("tensorflow-files.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn matrix(rows: &Value) -> ArrayD<f32> {
    let rows: Vec<Vec<f32>> = serde_json::from_value(rows.clone()).unwrap();
    let shape = IxDyn(&[rows.len(), rows[0].len()]);
    ArrayD::from_shape_vec(shape, rows.concat()).unwrap()
}

/// What Keras predicts with a file for the golden input.
fn assert_predicts(model: &Model, name: &str) {
    let golden = golden();
    let expected = matrix(&golden["predictions"][name]);
    let predicted = model.predict(&matrix(&golden["input"])).unwrap();
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (ours, keras) in predicted.as_slice().iter().zip(&expected) {
        assert!(
            (ours - keras).abs() <= 1e-5 * largest,
            "{name}: {ours} {keras}"
        );
    }
}

/// As `plain` in the script; the names are the automatic ones.
fn plain() -> Model {
    Sequential::new(layers![
        Input::new([6]),
        Dense::new(5).activation("relu"),
        BatchNormalization::new(),
        Dense::new(4).activation("tanh"),
        Dense::new(3),
    ])
    .unwrap()
}

#[test]
fn the_tutorials_model_loads_every_file_by_name() {
    for name in [
        "keras_2_plain",
        "keras_2_plain_saved_model",
        "old_optimizer",
        "keras_3_plain",
        "keras_3_plain_export",
        "shards/weights",
        "js_float32_plain",
        "js_uint8_plain",
        "js_uint16_plain",
        "js_float16_plain",
    ] {
        let mut model = plain();
        let load = Load::new().allow_unexpected();
        let report = model.load_weights_with(file(name), load).unwrap();
        assert_eq!(report.loaded.len(), 10, "{name}: {report}");
        assert_eq!(report.unexpected, Vec::<String>::new(), "{name}");
        assert_predicts(&model, name.trim_end_matches("/weights"));
    }
}

#[test]
fn names_of_another_session_are_told_by_class_and_order() {
    let mut model = Sequential::new(layers![
        Input::new([6]),
        Dense::new(5).activation("relu").named("dense_7"),
        BatchNormalization::new().named("batch_normalization_1"),
        Dense::new(4).activation("tanh").named("dense_8"),
        Dense::new(3).named("dense_10"),
    ])
    .unwrap();
    for name in ["keras_2_plain", "keras_3_plain", "js_float32_plain"] {
        let report = model.load_weights(file(name)).unwrap();
        assert_eq!(report.loaded.len(), 10, "{report}");
        assert_predicts(&model, name);
    }
}

/// As `nested` in the script.
fn nested() -> Model {
    let base = regraft_layers::Sequential::new(layers![
        Input::new([6]),
        Dense::new(5).activation("relu").named("hidden"),
        BatchNormalization::new().named("bn"),
    ])
    .unwrap();
    let mut neck = regraft_layers::Functional::new();
    let x = neck.input([5]);
    let y = neck.apply(Dense::new(4).named("deep"), &[x]).unwrap();
    let neck = neck.model(&[x], &[y]).unwrap();
    let mut outer = regraft_layers::Functional::new();
    let x = outer.input([6]);
    let h = outer.apply(base.named("base"), &[x]).unwrap();
    let h = outer.apply(neck.named("neck"), &[h]).unwrap();
    let y = outer.apply(Dense::new(3).named("head"), &[h]).unwrap();
    Model::from(outer.model(&[x], &[y]).unwrap())
}

#[test]
fn nested_models_are_found_with_and_without_their_names() {
    for name in [
        "keras_2_nested",
        "keras_2_nested_saved_model",
        "keras_3_nested",
        "keras_3_nested_export",
        "js_float32_nested",
        "js_uint8_nested",
    ] {
        let mut model = nested();
        let report = model.load_weights(file(name)).unwrap();
        assert_eq!(report.loaded.len(), 10, "{name}: {report}");
        assert_predicts(&model, name);
    }
}

#[test]
fn files_with_an_architecture_are_opened() {
    for name in [
        "keras_2_plain_saved_model",
        "keras_2_nested_saved_model",
        "js_float32_plain",
        "js_uint8_plain",
        "js_uint16_plain",
        "js_float16_nested",
    ] {
        let (model, report) = Model::open(file(name)).unwrap();
        assert_eq!(report.loaded.len(), 10, "{name}: {report}");
        assert_predicts(&model, name);
    }
    let error = Model::open(file("keras_3_plain_export")).unwrap_err();
    assert!(error.to_string().contains("load_weights"), "{error}");
}

#[test]
fn training_goes_on_with_the_optimizer_of_a_checkpoint() {
    for name in ["keras_2_plain", "keras_3_plain"] {
        let mut model = plain();
        model.compile(Adam::new(1e-3), "mse", [""; 0]).unwrap();
        let report = model.load_weights(file(name)).unwrap();
        let restored = OptimizerState::Restored { steps: 4 };
        assert_eq!(report.optimizer, restored, "{name}");
    }
}

#[test]
fn a_checkpoint_of_another_model_changes_nothing() {
    let mut model = nested();
    let before: Vec<_> = model.weights().iter().map(|w| w.value().clone()).collect();
    let error = model
        .load_weights(file("keras_2_plain"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("base/hidden/kernel"), "{error}");
    let after: Vec<_> = model.weights().iter().map(|w| w.value().clone()).collect();
    assert_eq!(before, after);
}

/// The tutorial's model as Keras 2 and 3 checkpointed it, where the larger files are at hand.
#[test]
fn the_tutorials_own_checkpoints_load_by_name() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/keras-files");
    let folder = std::env::var_os("REGRAFT_KERAS_FILES").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("SKIPPED: no large files; set REGRAFT_KERAS_FILES to their folder");
        return;
    }
    for name in ["k2_ckpt", "tut_ckpt", "k2_sm", "tut_sm"] {
        let mut model = Sequential::new(layers![
            Input::new([784]),
            Dense::new(32).activation("relu"),
            Dense::new(32).activation("relu"),
            Dense::new(32).activation("relu"),
            Dense::new(10),
        ])
        .unwrap();
        let report = model.load_weights(folder.join(name)).unwrap();
        assert_eq!(report.loaded.len(), 8, "{report}");
    }
}
