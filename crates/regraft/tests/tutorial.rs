//! The tutorial's job on the embedded data: a network that real Keras trained is loaded, all layers
//! but the last are frozen, the last is trained, and only the last moves.

use std::path::PathBuf;

use regraft::layers::{Dense, Input, layers};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::ArrayD;
use regraft::optimizers::Adam;
use regraft::{FeatureCache, Fit, History, Model, Sequential, Verbosity};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(name)
}

fn data(part: &str) -> (ArrayD<f32>, Vec<i32>) {
    let read = |name: &str| regraft_data::read_idx(fixture("fashion-mnist").join(name)).unwrap();
    let images = read(&format!("{part}-images-idx3-ubyte.gz")).to_tensor();
    let samples = images.shape()[0];
    let x = images.reshape([samples, 784]).unwrap().into_array() / 255.0;
    let y = read(&format!("{part}-labels-idx1-ubyte.gz"))
        .to_labels()
        .unwrap();
    (x, y.as_slice().to_vec())
}

fn model() -> Model {
    let mut model = Sequential::new(layers![
        Input::new([784]),
        Dense::new(32).activation("relu"),
        Dense::new(32).activation("relu"),
        Dense::new(32).activation("relu"),
        Dense::new(10),
    ])
    .unwrap();
    let report = model
        .load_weights(fixture("fashion_mnist_base.weights.h5"))
        .unwrap();
    assert_eq!(report.loaded.len(), 8, "{report}");
    model
}

fn weights(model: &Model) -> Vec<(String, Vec<u32>)> {
    let bits = |value: &[f32]| value.iter().map(|value| value.to_bits()).collect();
    model
        .weights()
        .iter()
        .map(|weight| (weight.path().to_string(), bits(weight.value().as_slice())))
        .collect()
}

fn train(model: &mut Model, cache: FeatureCache, batch_size: usize) -> History {
    let (x, y) = data("pool");
    model.freeze(..-1).unwrap();
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(Adam::new(1e-3), loss, ["accuracy"]).unwrap();
    let options = Fit::new()
        .epochs(3)
        .batch_size(batch_size)
        .validation_split(0.25)
        .feature_cache(cache)
        .verbosity(Verbosity::Silent);
    model.fit(&x, &y, options).unwrap()
}

#[test]
fn it_predicts_what_keras_predicts() {
    let text = std::fs::read_to_string(fixture("fashion_mnist_base_predictions.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected: Vec<f64> = json["logits"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect();
    let (x, _) = data("test");
    let samples = expected.len() / 10;
    let few = x.slice_axis(regraft::ndarray::Axis(0), (0..samples as isize).into());
    let predicted = model().predict(&few).unwrap();
    let largest = expected
        .iter()
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    for (predicted, expected) in predicted.as_slice().iter().zip(&expected) {
        assert!((f64::from(*predicted) - expected).abs() <= 1e-5 * largest);
    }
}

#[test]
fn only_the_last_layer_moves() {
    let mut model = model();
    let before = weights(&model);
    let history = train(&mut model, FeatureCache::Auto, 32);
    assert_eq!(history.len(), 3);
    let after = weights(&model);
    for (before, after) in before.iter().zip(&after) {
        let head = before.0.starts_with("dense_3/");
        assert_eq!(before == after, !head, "{}", before.0);
    }
    let (x, y) = data("test");
    let scores = model.evaluate(&x, &y).unwrap();
    assert!(scores.get("accuracy").unwrap() > 0.8, "{scores}");
}

#[test]
fn the_feature_cache_changes_no_bit() {
    for batch_size in [32, 7] {
        let (mut with, mut without) = (model(), model());
        let kept = train(&mut with, FeatureCache::Auto, batch_size);
        let computed = train(&mut without, FeatureCache::Off, batch_size);
        assert_eq!(weights(&with), weights(&without));
        assert_eq!(kept, computed);
    }
}
