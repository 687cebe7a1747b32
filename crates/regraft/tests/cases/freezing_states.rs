//! Freezing states inside a frozen model: they arrive, behave, are counted and are saved as in Keras.
//!
//! What is expected is in `golden/freezing.json`: nested models with random states, and what Keras makes
//! of their configurations. That files go both ways is checked against real Keras by
//! `fixtures/keras_interop.py`.

use std::collections::BTreeMap;

use regraft::layers::{BatchNormalization, Dense, Input, LayerExt, LayerSpec, Registry, layers};
use regraft::losses::MeanSquaredError;
use regraft::ndarray::{Array2, ArrayD};
use regraft::optimizers::SGD;
use regraft::random::{Key, normal};
use regraft::{Fit, Freezing, Model, Sequential, Verbosity};
use regraft_layers::WeightKind;
use serde_json::Value;

use crate::common::{self, assert_close, case, npz};

/// The cases of `golden/freezing.json` that have a configuration.
fn golden() -> Vec<Value> {
    let path = case("../golden/freezing.json");
    let text = std::fs::read_to_string(path).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(file["cases"].take()).unwrap()
}

fn name(case: &Value) -> &str {
    case["name"].as_str().unwrap()
}

fn open(case: &Value) -> Model {
    let config = &case["config"]["model"];
    let mut model = Model::from_config(config, &Registry::new())
        .unwrap_or_else(|error| panic!("{}: {error}", name(case)));
    if case["config"]["saved_model"] == true {
        model.as_mut().hide_within_frozen();
    }
    model
}

/// The paths of the weights that a step of training moves, and whether training was possible.
fn moved(model: &Model) -> (Vec<String>, bool) {
    let mut model = model.clone();
    model.compile(SGD::new(0.01), MeanSquaredError, ()).unwrap();
    let mut x = Array2::<f32>::zeros((16, 4));
    let mut y = x.clone();
    normal(Key::new(1, 0), 0, x.as_slice_mut().unwrap());
    normal(Key::new(1, 1), 0, y.as_slice_mut().unwrap());
    let before: Vec<Vec<f32>> = values(&model).into_values().collect();
    let fit = Fit::new().batch_size(8).verbosity(Verbosity::Silent);
    let trained = model.fit(&x, &y, fit).is_ok();
    let after = values(&model);
    let pairs = after.into_iter().zip(before);
    let moved = pairs.filter(|((_, after), before)| after != before);
    (moved.map(|((path, _), _)| path).collect(), trained)
}

fn values(model: &Model) -> BTreeMap<String, Vec<f32>> {
    let weights = model.weights().iter();
    weights
        .map(|weight| {
            (
                weight.path().to_string(),
                weight.value().as_slice().to_vec(),
            )
        })
        .collect()
}

/// Of each layer, what it may change.
fn states(model: &Model) -> Vec<(String, Freezing, bool)> {
    let places = model.places().into_iter();
    let places = places.filter(|place| place.class_name != "InputLayer");
    places
        .map(|place| (place.path, place.freezing, place.says_trainable))
        .collect()
}

#[test]
fn random_states_arrive_as_in_keras() {
    let cases = golden();
    let (mut mixed, mut hidden) = (0, 0);
    for case in cases
        .iter()
        .filter(|case| case["config"]["model"].is_object())
    {
        let (model, outputs) = (open(case), &case["outputs"]);
        let count = model.count_parameters().trainable;
        assert_eq!(count, outputs["trainable"], "{}: count", name(case));
        let (moved, possible) = moved(&model);
        let mut expected: Vec<String> = serde_json::from_value(outputs["trained"].clone()).unwrap();
        if !possible {
            // Keras goes on with a warning where nothing can be trained, and moves statistics.
            assert_eq!(count, 0, "{}", name(case));
            expected.clear();
        }
        assert_eq!(moved, expected, "{}: what moves", name(case));
        let says = outputs["says"].as_object().unwrap();
        for place in model.places() {
            if place.class_name == "InputLayer" || case["config"]["saved_model"] == true {
                continue;
            }
            // Keras drops the setting of these where it reads a file; here it is kept.
            let dropped = place.is_model
                && (place.class_name == "Sequential" || name(case).starts_with("Keras 2"));
            if !dropped {
                assert_eq!(
                    place.says_trainable,
                    says[&place.path],
                    "{}: {}",
                    name(case),
                    place.path
                );
            }
            if place.is_model && !place.says_trainable {
                let within = format!("{}/", place.path);
                mixed += usize::from(moved.iter().any(|path| path.starts_with(&within)));
            }
            hidden += usize::from(place.freezing == Freezing::FrozenParams);
        }
        // Another time through a file nothing changes.
        let again = Model::from_config(&model.to_config(), &Registry::new()).unwrap();
        assert_eq!(states(&again), states(&model), "{}", name(case));
        assert_eq!(again.to_config(), model.to_config(), "{}", name(case));
    }
    assert!(mixed > 10, "{mixed} frozen models with layers that train");
    assert!(hidden > 5, "{hidden} layers hidden by the whole");
}

#[test]
fn a_saved_model_of_keras_2_hides_what_is_in_frozen_models() {
    let case = golden()
        .into_iter()
        .find(|case| name(case) == "Keras 2 SavedModel 2")
        .unwrap();
    let path = common::case("freeze-states/keras2_saved_model");
    let (model, _) = Model::open(path).unwrap();
    assert_eq!(states(&model), states(&open(&case)));
    assert_eq!(
        model.count_parameters().trainable,
        case["outputs"]["trainable"]
    );
}

#[test]
fn a_layer_that_trains_in_a_frozen_base_takes_keras_steps() {
    let cases = golden();
    let steps = cases.iter().find(|case| name(case) == "freeze_mixed.keras");
    let outputs = &steps.unwrap()["outputs"];
    let losses: Vec<f64> = serde_json::from_value(outputs["losses"].clone()).unwrap();
    let y: Vec<f32> = serde_json::from_value(outputs["y"]["data"].clone()).unwrap();
    let (x, t) = (
        npz::<f32>("freeze-states/freeze_mixed.train.npz", "x0"),
        npz::<f32>("freeze-states/freeze_mixed.train.npz", "t0"),
    );
    let (input, output) = (
        npz::<f32>("freeze-states/freeze_mixed.npz", "x0"),
        npz::<f32>("freeze-states/freeze_mixed.npz", "y0"),
    );
    let folder = tempfile::tempdir().unwrap();
    for file in ["freeze_mixed.keras", "freeze_mixed.h5"] {
        let (model, _) = Model::open(case(&format!("freeze-states/{file}"))).unwrap();
        // As it came, and as we save it.
        let saved = folder.path().join(file);
        model.save(&saved).unwrap();
        let (again, _) = Model::open(&saved).unwrap();
        assert_eq!(states(&again), states(&model), "{file}");
        for mut model in [model, again] {
            assert_close(model.predict(&input).unwrap().as_slice(), &output, 1e-5);
            let base = model.get_layer("base").unwrap();
            assert!(base.is_trainable(), "{file}: a layer of it is trained");
            model.compile(SGD::new(0.05), MeanSquaredError, ()).unwrap();
            let fit = Fit::new()
                .epochs(5)
                .batch_size(8)
                .shuffle(false)
                .verbosity(Verbosity::Silent);
            let history = model.fit(&x, &t, fit).unwrap();
            let received = history.get("loss").unwrap();
            assert_eq!(received.len(), losses.len());
            for (received, expected) in received.iter().zip(&losses) {
                assert!(
                    (received - expected).abs() < 1e-5 * expected,
                    "{file}: {received}, expected {expected}"
                );
            }
            let y = ArrayD::from_shape_vec(t.shape(), y.clone()).unwrap();
            assert_close(model.predict(&x).unwrap().as_slice(), &y, 1e-5);
        }
    }
}

/// A base of three layers.
fn base(name: &str) -> LayerSpec {
    let stack = layers![
        Input::new([4]),
        Dense::new(4).named("a"),
        BatchNormalization::new().named("n"),
        Dense::new(4).named("b"),
    ];
    Sequential::new(stack).unwrap().named(name)
}

#[test]
fn states_set_here_are_those_that_keras_setter_leaves() {
    let stack = layers![Input::new([4]), base("base"), Dense::new(2)];
    let mut model = Sequential::new(stack).unwrap();
    let says = |model: &Model, path: &str| {
        let config = model.to_config();
        let mut value = &config;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let layers = value["config"]["layers"].as_array().unwrap();
            value = layers
                .iter()
                .find(|layer| layer["config"]["name"] == name)
                .unwrap();
        }
        value["config"]["trainable"].as_bool().unwrap()
    };
    // `base.trainable = False`, then a layer of it.
    model.freeze("base").unwrap();
    assert!(!says(&model, "base") && says(&model, ""));
    model.unfreeze("base/b").unwrap();
    assert!(!says(&model, "base") && says(&model, "base/b") && !says(&model, "base/a"));
    assert_eq!(model.count_parameters().trainable, 20 + 10);
    let text = model.summary().expand_nested(true).to_string();
    let row = |name: &str| {
        text.lines()
            .find(|line| line.contains(name))
            .unwrap()
            .to_string()
    };
    assert!(row("base (").contains("   N   "), "{text}");
    assert!(row("└ b (").contains("   Y   "), "{text}");
    model.unfreeze("base").unwrap();
    assert!(says(&model, "base"));
    // The whole, and a layer of it: unlike in Keras, it is trained then, and saved so that it is there.
    model.freeze(..).unwrap();
    assert!(!says(&model, "") && !says(&model, "base"));
    model.unfreeze("base/b").unwrap();
    assert!(says(&model, "") && says(&model, "base/b"));
    // What moves is told to stop where that is what is asked for.
    model.set_freezing("base/n", Freezing::Trainable).unwrap();
    model
        .set_freezing("base/n", Freezing::FrozenStatistics)
        .unwrap();
    assert_eq!(
        model.get_layer("base/n").unwrap().freezing(),
        Freezing::FrozenStatistics
    );
}

#[test]
fn what_the_whole_hides_trains_as_a_part_of_another_model() {
    let case = golden().into_iter().find(|case| {
        let model = open(case);
        let hides = |(_, freezing, says): &(String, Freezing, bool)| {
            *says && *freezing == Freezing::FrozenParams
        };
        name(case).starts_with("Keras 3") && states(&model).iter().any(hides)
    });
    let model = open(&case.unwrap());
    assert_eq!(model.count_parameters().trainable, 0);
    let parameters = |path: &str| {
        let weights = model.weights().iter();
        let within = weights.filter(|weight| {
            weight.path().starts_with(&format!("{path}/")) && weight.kind() == WeightKind::Parameter
        });
        within.map(|weight| weight.value().len()).sum::<usize>()
    };
    let leaves = model.places().into_iter().filter(|place| !place.is_model);
    let own: usize = leaves
        .filter(|place| place.says_trainable)
        .map(|place| parameters(&place.path))
        .sum();
    assert!(own > 0);
    let part = Sequential::new(layers![
        Input::new([4]),
        model.clone().named("part"),
        Dense::new(2)
    ]);
    assert_eq!(part.unwrap().count_parameters().trainable, own + 10);
    // Unfreezing one layer leaves what the whole hid frozen, after saving too.
    let mut thawed = model.clone();
    let (path, _, _) = states(&model)
        .into_iter()
        .rfind(|(path, freezing, _)| *freezing == Freezing::Frozen && parameters(path) > 0)
        .unwrap();
    thawed.unfreeze(path.as_str()).unwrap();
    let trained = thawed.count_parameters().trainable;
    assert!(trained > 0 && trained <= parameters(&path));
    let again = Model::from_config(&thawed.to_config(), &Registry::new()).unwrap();
    assert_eq!(states(&again), states(&thawed));
    assert_eq!(again.count_parameters().trainable, trained);
    // With a head it is another model too.
    let grafted = model.with_head(layers![Dense::new(2)]).unwrap();
    assert_eq!(grafted.count_parameters().trainable, own + 10);
}
