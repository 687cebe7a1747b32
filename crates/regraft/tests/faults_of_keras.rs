//! Faults of Keras that must be impossible here, one named test each.

use std::path::PathBuf;

use regraft::layers::{ActivationLayer, BatchNormalization, Dense, Input, LayerExt, layers};
use regraft::losses::{MeanSquaredError, SparseCategoricalCrossentropy};
use regraft::ndarray::Array2;
use regraft::optimizers::Adam;
use regraft::{Error, Fit, Freezing, Load, Model, Sequential, Verbosity};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(name)
}

fn samples() -> (Array2<f32>, Vec<i32>) {
    let x = Array2::from_shape_fn((48, 8), |(row, column)| {
        ((row * 31 + column * 17) % 23) as f32 / 23.0 - 0.5
    });
    (x, (0..48).map(|row| row % 3).collect())
}

fn classifier() -> Model {
    let mut model = Sequential::new(layers![
        Input::new([8]),
        Dense::new(6).activation("tanh"),
        BatchNormalization::new(),
        Dense::new(3),
    ])
    .unwrap();
    compile(&mut model);
    model
}

fn compile(model: &mut Model) {
    model
        .compile(
            Adam::new(1e-2),
            SparseCategoricalCrossentropy::from_logits(),
            ["accuracy"],
        )
        .unwrap();
}

fn fit(model: &mut Model, batch_size: usize) {
    let (x, y) = samples();
    let options = Fit::new()
        .epochs(2)
        .batch_size(batch_size)
        .verbosity(Verbosity::Silent);
    model.fit(&x, &y, options).unwrap();
}

/// The bits of the weights whose path begins with `prefix`.
fn bits(model: &Model, prefix: &str) -> Vec<u32> {
    let weights = model
        .weights()
        .iter()
        .filter(|weight| weight.path().starts_with(prefix));
    weights
        .flat_map(|weight| weight.value().as_slice())
        .map(|value| value.to_bits())
        .collect()
}

#[test]
fn freezing_after_a_fit_is_not_ignored() {
    let mut model = classifier();
    fit(&mut model, 16);
    model.freeze("dense").unwrap();
    let frozen = bits(&model, "dense/");
    fit(&mut model, 16);
    assert_eq!(bits(&model, "dense/"), frozen);
    // And back, with another batch size: it trains again.
    model.unfreeze("dense").unwrap();
    fit(&mut model, 7);
    assert_ne!(bits(&model, "dense/"), frozen);
}

#[test]
fn statistics_of_a_frozen_batch_normalization_do_not_move() {
    let mut model = classifier();
    let before = bits(&model, "batch_normalization/");
    model.freeze("batch_normalization").unwrap();
    fit(&mut model, 16);
    assert_eq!(bits(&model, "batch_normalization/"), before);
    // Without freezing they would have.
    model
        .set_freezing("batch_normalization", Freezing::Trainable)
        .unwrap();
    fit(&mut model, 16);
    assert_ne!(bits(&model, "batch_normalization/moving"), before[12..]);
}

#[test]
fn statistics_stay_when_the_base_around_them_is_unfrozen() {
    let base = regraft_layers::Sequential::new(layers![
        Input::new([8]),
        Dense::new(6).activation("tanh"),
        BatchNormalization::new(),
    ])
    .unwrap();
    let mut model =
        Sequential::new(layers![Input::new([8]), base.named("base"), Dense::new(3)]).unwrap();
    compile(&mut model);
    model.freeze("base").unwrap();
    fit(&mut model, 16);
    let statistics = bits(&model, "base/batch_normalization/moving");
    let parameters = bits(&model, "base/dense/");
    model.unfreeze("base").unwrap();
    fit(&mut model, 16);
    assert_eq!(bits(&model, "base/batch_normalization/moving"), statistics);
    assert_ne!(bits(&model, "base/dense/"), parameters);
}

#[test]
fn a_failed_load_does_not_leave_half_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.weights.h5");
    let other = Sequential::new(layers![Input::new([8]), Dense::new(6), Dense::new(4)]).unwrap();
    other.save_weights(&file).unwrap();
    let mut model =
        Sequential::new(layers![Input::new([8]), Dense::new(6), Dense::new(3)]).unwrap();
    let before = bits(&model, "");
    let error = model.load_weights(&file).unwrap_err();
    let Error::Load(error) = error else {
        panic!("{error}");
    };
    let report = &error.0;
    let wrong: Vec<&str> = report
        .mismatched
        .iter()
        .map(|tensor| tensor.weight.as_str())
        .collect();
    assert_eq!(wrong, ["dense_1/kernel", "dense_1/bias"], "{error}");
    assert!(error.to_string().contains("[6, 3] ≠ [6, 4]"), "{error}");
    assert_eq!(bits(&model, ""), before);
}

/// `ord_full.h5` was saved with its base frozen: Keras stored gamma, beta, moving mean and moving
/// variance of each batch normalization as 0…3 and 4…7, but in another order than an unfrozen base
/// would have, and gives an unfrozen base gamma 0, beta 1, moving mean 4.
#[test]
fn weights_saved_with_another_freeze_state_are_not_scrambled() {
    for freeze in [false, true] {
        let base = regraft_layers::Sequential::new(layers![
            Input::new([8]),
            BatchNormalization::new().named("bn1"),
            BatchNormalization::new().named("bn2"),
        ])
        .unwrap();
        let mut model = Sequential::new(layers![
            Input::new([8]),
            base.named("base"),
            Dense::new(2).named("head")
        ])
        .unwrap();
        if freeze {
            model.freeze("base").unwrap();
        }
        let report = model
            .load_weights(fixture("keras-files/ord_full.h5"))
            .unwrap();
        assert_eq!(report.loaded.len(), 10, "{report}");
        for (layer, first) in [("bn1", 0.0), ("bn2", 4.0)] {
            let names = ["gamma", "beta", "moving_mean", "moving_variance"];
            for (offset, name) in names.iter().enumerate() {
                let weight = model.weight(&format!("base/{layer}/{name}")).unwrap();
                let expected = first + offset as f32;
                assert!(
                    weight
                        .value()
                        .as_slice()
                        .iter()
                        .all(|&value| value == expected),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn a_prefix_of_a_file_is_not_loaded_silently() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("three.weights.h5");
    let three = layers![Input::new([8]), Dense::new(8), Dense::new(8), Dense::new(8)];
    Sequential::new(three).unwrap().save_weights(&file).unwrap();
    let mut two = Sequential::new(layers![Input::new([8]), Dense::new(8), Dense::new(8)]).unwrap();
    let before = bits(&two, "");
    let Err(Error::Load(error)) = two.load_weights(&file) else {
        panic!("a file with more layers than the model was loaded");
    };
    assert_eq!(error.0.unexpected.len(), 2, "{error}");
    assert_eq!(bits(&two, ""), before);
    let report = two
        .load_weights_with(&file, Load::new().allow_unexpected())
        .unwrap();
    assert_eq!((report.loaded.len(), report.unexpected.len()), (4, 2));
}

#[test]
fn layers_are_not_shifted_by_a_layer_of_another_class() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.weights.h5");
    let names = ["a", "b", "c"];
    let dense = |name: &str| Dense::new(8).named(name);
    let saved = layers![
        Input::new([8]),
        dense(names[0]),
        dense(names[1]),
        dense(names[2])
    ];
    let saved = Sequential::new(saved).unwrap();
    saved.save_weights(&file).unwrap();
    // Where the file has the dense layer `b`, this model has another class; Keras gives `c` the
    // weights of `b`.
    let changed = layers![
        Input::new([8]),
        dense("a"),
        BatchNormalization::new().named("b"),
        dense("c")
    ];
    let mut changed = Sequential::new(changed).unwrap();
    let before = bits(&changed, "");
    assert!(matches!(changed.load_weights(&file), Err(Error::Load(_))));
    assert_eq!(bits(&changed, ""), before);
    let lenient = Load::new().allow_missing().allow_unexpected();
    let report = changed.load_weights_with(&file, lenient).unwrap();
    assert_eq!(report.missing.len(), 4, "{report}");
    assert_eq!(bits(&changed, "c/"), bits(&saved, "c/"));
}

#[test]
fn summary_does_not_count_optimizer_slots() {
    let mut model = classifier();
    let before = model.summary().to_string();
    fit(&mut model, 16);
    assert_eq!(model.summary().to_string(), before);
}

#[test]
fn the_callers_arrays_are_not_changed() {
    let (x, y) = samples();
    let (x_before, y_before) = (x.clone(), y.clone());
    let mut model = Sequential::new(layers![
        Input::new([8]),
        regraft::layers::Rescaling::new(2.0),
        ActivationLayer::new("relu"),
        Dense::new(3),
    ])
    .unwrap();
    compile(&mut model);
    model
        .fit(&x, &y, Fit::new().verbosity(Verbosity::Silent))
        .unwrap();
    model.evaluate(&x, &y).unwrap();
    model.predict(&x).unwrap();
    assert_eq!((x, y), (x_before, y_before));
}

#[test]
fn a_selector_that_matches_nothing_is_an_error_with_near_names() {
    let mut model = classifier();
    let message = model.freeze("dence_1").unwrap_err().to_string();
    assert!(
        message.contains("dence_1") && message.contains("\"dense_1\""),
        "{message}"
    );
    assert!(model.freeze(7..).is_err());
    let keep = Load::new().keep("haed");
    assert!(
        model
            .load_weights_with(fixture("fashion_mnist_base.weights.h5"), keep)
            .is_err()
    );
}

#[test]
fn a_head_of_other_classes_is_not_loaded_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let network =
        || Sequential::new(layers![Input::new([8]), Dense::new(6), Dense::new(3)]).unwrap();
    let mut birds = network();
    birds.set_class_names(["crow", "gull", "wren"]);
    for name in [
        "birds.weights.h5",
        "birds.safetensors",
        "birds.keras",
        "birds.h5",
    ] {
        let file = folder.path().join(name);
        match name.ends_with("weights.h5") || name.ends_with("safetensors") {
            true => birds.save_weights(&file).unwrap(),
            false => birds.save(&file).unwrap(),
        }
        let mut fish = network();
        fish.set_class_names(["carp", "pike", "trout"]);
        let before = bits(&fish, "");
        let Err(Error::Load(error)) = fish.load_weights(&file) else {
            panic!("{name}: a head of other classes was loaded");
        };
        assert!(error.to_string().contains("gull"), "{name}: {error}");
        assert_eq!(bits(&fish, ""), before);
        let report = fish
            .load_weights_with(&file, Load::new().keep("dense_1"))
            .unwrap();
        assert_eq!(
            (report.loaded.len(), report.kept.len()),
            (2, 2),
            "{name}: {report}"
        );
        // Same classes: nothing to say.
        let mut more_birds = network();
        more_birds.set_class_names(["crow", "gull", "wren"]);
        let _report = more_birds.load_weights(&file).unwrap();
    }
}

#[test]
fn a_label_out_of_range_is_found_before_the_first_step() {
    let (x, mut y) = samples();
    y[40] = 3;
    let mut model = classifier();
    let before = bits(&model, "");
    let message = model.fit(&x, &y, Fit::new()).unwrap_err().to_string();
    assert!(message.contains("40") && message.contains('3'), "{message}");
    assert_eq!(bits(&model, ""), before);
}

#[test]
fn nan_in_the_data_is_found_before_the_first_step() {
    let (mut x, y) = samples();
    x[[5, 2]] = f32::NAN;
    let mut model = classifier();
    let before = bits(&model, "");
    let message = model.fit(&x, &y, Fit::new()).unwrap_err().to_string();
    assert!(
        message.contains("sample 5") && message.contains("element 2"),
        "{message}"
    );
    assert_eq!(bits(&model, ""), before);
}

#[test]
fn wrong_data_and_settings_are_refused_with_both_sides() {
    let (x, y) = samples();
    let mut model = classifier();
    let narrow = Array2::<f32>::zeros((48, 7));
    let message = model.fit(&narrow, &y, Fit::new()).unwrap_err().to_string();
    assert!(
        message.contains("(None, 8)") && message.contains("[48, 7]"),
        "{message}"
    );
    let message = model.fit(&x, &y[..40], Fit::new()).unwrap_err().to_string();
    assert!(
        message.contains("48") && message.contains("40"),
        "{message}"
    );
    let empty = Array2::<f32>::zeros((0, 8));
    let none: [i32; 0] = [];
    assert!(model.fit(&empty, &none, Fit::new()).is_err());
    let message = model
        .fit(&x, &y, Fit::new().batch_size(0))
        .unwrap_err()
        .to_string();
    assert!(message.contains("batch_size"), "{message}");
    let floats = Array2::<f32>::zeros((48, 1));
    let message = model.fit(&x, &floats, Fit::new()).unwrap_err().to_string();
    assert!(message.contains("class numbers"), "{message}");
    assert!(model.fit(&x, &y, Fit::new().validation_split(1.5)).is_err());
    let mut uncompiled = Sequential::new(layers![Input::new([8]), Dense::new(3)]).unwrap();
    let message = uncompiled.fit(&x, &y, Fit::new()).unwrap_err().to_string();
    assert!(message.contains("compile"), "{message}");
    let mut regression = Sequential::new(layers![Input::new([8]), Dense::new(3)]).unwrap();
    regression.compile("sgd", MeanSquaredError, ()).unwrap();
    let message = regression.fit(&x, &y, Fit::new()).unwrap_err().to_string();
    assert!(message.contains("(None, 3)"), "{message}");
}
