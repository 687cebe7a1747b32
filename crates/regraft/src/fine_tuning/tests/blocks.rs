//! Which layers a recipe means: heads, blocks, stages.

use ndarray::Array2;

use super::{assert_near, bytes, classifier, nested, samples};
use crate::data::Arrays;
use crate::fine_tuning::{FineTune, Stage};
use crate::layers::{Dense, Input, LayerExt, layers};
use crate::{Model, Sequential, Verbosity};

fn moved(before: &Model, after: &Model) -> Vec<String> {
    let weights = after.weights().iter();
    let moved =
        weights.filter(|weight| before.weight(weight.path()).unwrap().value() != weight.value());
    moved.map(|weight| weight.path().to_string()).collect()
}

#[test]
fn stages_unfreeze_from_the_head_down() {
    let model = classifier(false);
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    let names = |stage: &Stage| -> Vec<String> {
        stage
            .blocks
            .iter()
            .map(|block| block.name.clone())
            .collect()
    };
    let plan = FineTune::gradual().epochs(4).plan(&model, &data).unwrap();
    let stages: Vec<Vec<String>> = plan.stages.iter().map(names).collect();
    assert_eq!(stages[0], ["second", "head"]);
    assert_eq!(stages[1..], [["first", "second", "head"]; 3]);
    let rates: Vec<f64> = plan.stages[1]
        .blocks
        .iter()
        .map(|block| block.learning_rate)
        .collect();
    for (rate, expected) in rates.iter().zip([1e-3 / 6.76, 1e-3 / 2.6, 1e-3]) {
        assert_near(*rate, expected, "gradual");
    }
    let plan = FineTune::new().epochs(4).plan(&model, &data).unwrap();
    let stages: Vec<Vec<String>> = plan.stages.iter().map(names).collect();
    assert_eq!(
        stages,
        [vec!["second", "head"], vec!["first", "second", "head"]]
    );
}

#[test]
fn the_suggestion_is_the_ratio_of_norms() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    let mut model = classifier(false);
    let before = bytes(&model);
    let suggestion = model.unfreeze_suggestion(&data).unwrap();
    assert_eq!(bytes(&model), before);
    let names: Vec<&str> = suggestion
        .blocks
        .iter()
        .map(|block| block.name.as_str())
        .collect();
    assert_eq!(names, ["first", "second", "head"]);
    // Differences of the loss along the gradient's own direction cannot be had from outside; along single weights
    // they can.
    model.freeze("dropout").unwrap();
    for block in &suggestion.blocks {
        let path = &block.layers[0];
        let mut slopes = 0.0;
        let mut squares = 0.0;
        for name in ["kernel", "bias"] {
            let path = format!("{path}/{name}");
            let value = model.weight(&path).unwrap().value().clone();
            for i in 0..value.as_slice().len() {
                let mut loss_at = |by: f32| {
                    let mut moved = value.clone();
                    moved.as_mut_slice()[i] += by;
                    model.set_weight(&path, moved).unwrap();
                    // Batches of 32, of which the last is half as large, count the same.
                    let order = crate::data::Dataset::shuffle(&data, 0).unwrap();
                    let mut losses = 0.0;
                    for from in [0, 32, 64] {
                        let part = crate::data::Dataset::take(
                            crate::data::Dataset::skip(&order, from),
                            32,
                        );
                        losses += model.evaluate_dataset(&part).unwrap().loss / 3.0;
                    }
                    losses
                };
                let slope = (loss_at(1e-2) - loss_at(-1e-2)) / 2e-2;
                slopes += slope * slope;
                squares += f64::from(value.as_slice()[i]).powi(2);
            }
            model.set_weight(&path, value).unwrap();
        }
        let expected = (slopes / squares).sqrt();
        assert!(
            (block.ratio / expected - 1.0).abs() < 1e-2,
            "{}: {} {expected}",
            block.name,
            block.ratio
        );
    }
}

#[test]
fn layers_are_meant_by_their_paths() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    for name in ["new", "fastai", "gradual", "lp_ft", "surgical"] {
        for frozen_before in [false, true] {
            let mut model = nested();
            if frozen_before {
                model.freeze(..).unwrap();
            }
            let before = model.clone();
            let recipe = match name {
                "fastai" => FineTune::fastai(),
                "gradual" => FineTune::gradual(),
                "lp_ft" => FineTune::lp_ft(),
                "surgical" => FineTune::surgical(),
                _ => FineTune::new(),
            };
            let recipe = recipe
                .epochs(4)
                .verbosity(Verbosity::Silent)
                .keep_frozen("base/dense")
                .interpolate(false);
            model.fine_tune(&data, recipe).unwrap();
            let moved = moved(&before, &model);
            let has = |path: &str| moved.iter().any(|it| it == path);
            assert!(
                !has("base/dense/kernel") && !has("base/dense/bias"),
                "{name}: {moved:?}"
            );
            assert!(
                has("dense/kernel") && has("head/kernel"),
                "{name}: {moved:?}"
            );
            // What a wrapper contains is trained, and a normalization without parameters rests.
            if name != "surgical" {
                assert!(
                    has("base/sn/inner/kernel") && has("base/sn/vector_u"),
                    "{name}: {moved:?}"
                );
            }
            // It is in no block: fastai's, too.
            assert!(!has("bare/moving_mean"), "{name}: {moved:?}");
        }
    }
}

#[test]
fn a_schedule_is_swept_too_and_a_layer_that_is_two_is_trained() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    let mut model = Sequential::with_seed(
        layers![
            Input::new([2]),
            Dense::new(2).activation("tanh").named("first"),
            Dense::new(2).activation("tanh").named("second"),
            Dense::new(2).activation("softmax").named("head")
        ],
        5,
    )
    .unwrap();
    model.share_layers(&["first", "second"]).unwrap();
    let rate = crate::optimizers::schedules::OneCycle::new(1e-3, 10);
    model
        .compile(
            crate::optimizers::Adam::new(rate),
            "sparse_categorical_crossentropy",
            (),
        )
        .unwrap();
    assert_eq!(model.lr_find(&data, 16).unwrap().rates.len(), 100);
    let before = model.clone();
    let recipe = FineTune::lp_ft()
        .interpolate(false)
        .verbosity(Verbosity::Silent);
    model.fine_tune(&data, recipe).unwrap();
    assert!(
        moved(&before, &model)
            .iter()
            .any(|path| path.ends_with("first/kernel"))
    );
}

#[test]
fn a_head_that_is_no_classifier_is_trained_alone() {
    let (x, _) = samples();
    let y = Array2::from_shape_fn((80, 2), |(i, j)| x[(i, 0)] * 2.0 + j as f32);
    let data = Arrays::new(&x, &y).unwrap();
    let mut model = Sequential::with_seed(
        layers![
            Input::new([2]),
            Dense::new(6).activation("tanh"),
            Dense::new(2).named("head")
        ],
        1,
    )
    .unwrap();
    model.compile("adam", "mse", ()).unwrap();
    let plan = FineTune::new().plan(&model, &data).unwrap();
    assert!(
        plan.to_string()
            .starts_with("head: trained alone for 10 epochs"),
        "{plan}"
    );
    let tuned = model
        .fine_tune(&data, FineTune::new().verbosity(Verbosity::Silent))
        .unwrap();
    let names: Vec<&str> = tuned.stages().map(|(name, _)| name).collect();
    assert_eq!(names, ["head", "top third", "all"]);
}

#[test]
fn one_sigmoid_is_solved_as_two_classes() {
    let (x, y) = samples();
    let y: Vec<f32> = y.into_iter().map(|class| class as f32).collect();
    let y = ndarray::Array1::from(y);
    let data = Arrays::new(&x, &y).unwrap();
    let mut model = Sequential::with_seed(
        layers![
            Input::new([2]),
            Dense::new(20).activation("relu"),
            Dense::new(1).activation("sigmoid").named("head")
        ],
        1,
    )
    .unwrap();
    model
        .compile("adam", "binary_crossentropy", ["accuracy"])
        .unwrap();
    let recipe = FineTune::new().epochs(0).verbosity(Verbosity::Silent);
    let tuned = model.fine_tune(&data, recipe).unwrap();
    assert!(
        tuned.kept().unwrap().get("accuracy").unwrap() > 0.9,
        "{tuned}"
    );
}
