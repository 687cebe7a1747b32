//! What a recipe may never do.

use ndarray::Array2;
use serde_json::Value;

use super::{assert_near, bytes, classifier, recipes, samples};
use crate::data::Arrays;
use crate::fine_tuning::FineTune;
use crate::fine_tuning::anchor::anchor;
use crate::fine_tuning::line::best;
use crate::fine_tuning::plan::Parts;
use crate::layers::{Dense, Input, layers};
use crate::training::callbacks::Snapshot;
use crate::{Fit, Freezing, Model, Scores, Sequential, Verbosity};

#[test]
fn no_recipe_is_worse_than_the_head_alone() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    for (name, recipe) in recipes() {
        let mut model = classifier(true);
        // Rates at which training goes astray.
        let recipe = recipe
            .interpolate(true)
            .learning_rate(3.0)
            .head_learning_rate(3.0);
        let tuned = model.fine_tune(&data, recipe).unwrap();
        let (probe, kept) = (tuned.probe().unwrap(), tuned.kept().unwrap());
        assert!(kept.loss <= probe.loss, "{name}: {tuned}");
        assert!(
            kept.get("accuracy") >= probe.get("accuracy"),
            "{name}: {tuned}"
        );
        assert_eq!(tuned.line().len(), 11, "{name}");
    }
}

#[test]
fn what_is_kept_is_what_the_scores_are_of() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    for (name, recipe) in recipes() {
        let mut model = classifier(true);
        let recipe = recipe.validation_dataset(&data).interpolate(true);
        let tuned = model.fine_tune(&data, recipe).unwrap();
        let scores = model.evaluate_dataset(&data).unwrap();
        assert_eq!(Some(&scores), tuned.kept(), "{name}");
    }
}

#[test]
fn a_better_loss_does_not_pay_for_a_worse_metric() {
    let mut model = classifier(false);
    model
        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    let point = |along: f32, loss: f64, accuracy: f64| {
        let metrics = vec![("accuracy".to_string(), accuracy)];
        (along, Scores { loss, metrics })
    };
    let points = [
        point(0.0, 1.0, 0.9),
        point(0.5, 0.5, 0.8),
        point(1.0, 0.7, 0.9),
    ];
    assert_eq!(best(&model, &points), 2);
    assert_eq!(best(&model, &points[..2]), 0);
    assert_eq!(
        best(&model, &[point(0.0, 1.0, 0.9), point(1.0, 1.0, 0.9)]),
        0
    );
}

#[test]
fn without_epochs_the_head_alone_is_solved() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    for (name, recipe) in recipes() {
        let mut model = classifier(true);
        let before = Snapshot::take(&model.network);
        let recipe = recipe
            .epochs(0)
            .head_epochs(0)
            .solve_head(true)
            .validation_split(0.0);
        let tuned = model.fine_tune(&data, recipe).unwrap();
        let moved = before.moved_to(&Snapshot::take(&model.network));
        let paths = moved
            .iter()
            .map(|(id, ..)| model.weights().get(*id).unwrap().path());
        assert_eq!(
            paths.collect::<Vec<_>>(),
            ["head/kernel", "head/bias"],
            "{name}"
        );
        assert_eq!(tuned.stages().count(), 0);
        // The solution is that of the features.
        let features = model.cut_before("head").unwrap().predict(&x).unwrap();
        let solved = crate::heads::BestHead::new().fit(&features, &y).unwrap();
        assert_eq!(
            model.weight("head/kernel").unwrap().value(),
            solved.kernel(),
            "{name}"
        );
    }
}

#[test]
fn what_shall_stay_frozen_and_batch_normalizations_keep_every_bit() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    for (name, recipe) in recipes() {
        let mut model = classifier(true);
        // Statistics that are not those of the start.
        model
            .fit(&x, &y, Fit::new().verbosity(Verbosity::Silent))
            .unwrap();
        let before = model.clone();
        model
            .fine_tune(&data, recipe.keep_frozen("first").interpolate(false))
            .unwrap();
        let same = |path: &str| {
            model.weight(path).unwrap().value() == before.weight(path).unwrap().value()
        };
        assert!(same("first/kernel") && same("first/bias"), "{name}");
        assert!(!same("second/kernel"), "{name}");
        let normalizations = ["gamma", "beta", "moving_mean", "moving_variance"];
        for weight in normalizations {
            let moved = !same(&format!("normalization/{weight}"));
            assert_eq!(moved, name == "fastai", "{name}: {weight}");
        }
    }
}

#[test]
fn the_optimizer_and_regularizers_are_what_they_were() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    let mut model = classifier(false);
    model
        .set_regularizer("second", crate::regularizers::L2 { l2: 0.5 })
        .unwrap();
    model
        .fit(&x, &y, Fit::new().verbosity(Verbosity::Silent))
        .unwrap();
    let config = model.to_config();
    let iterations = model.optimizer().unwrap().iterations();
    let penalty = |model: &mut Model| {
        let mut stopped = model.clone();
        stopped
            .set_layer_weights(
                "head",
                vec![crate::Tensor::zeros([5, 2]), crate::Tensor::zeros([2])],
            )
            .unwrap();
        stopped.evaluate(&x, &y).unwrap().loss - f64::from(2.0_f32.ln())
    };
    model
        .fine_tune(&data, FineTune::new().verbosity(Verbosity::Silent))
        .unwrap();
    let optimizer = model.optimizer().unwrap();
    assert_eq!(
        (optimizer.class_name(), optimizer.iterations()),
        ("Adam", iterations)
    );
    let frozen = |config: &Value| {
        config
            .to_string()
            .replace("\"trainable\":false", "\"trainable\":true")
    };
    assert_eq!(frozen(&model.to_config()), frozen(&config));
    // Half of the squares of the second layer, and nothing else.
    let squares = ["second/kernel", "second/bias"].map(|path| {
        let values = model.weight(path).unwrap().value().as_slice().iter();
        values.map(|value| f64::from(*value).powi(2)).sum::<f64>()
    });
    let expected = 0.5 * squares.iter().sum::<f64>();
    assert!((penalty(&mut model) - expected).abs() < 1e-4 * expected.max(1.0));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_errors_leave_the_model() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    let tuned = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut model = classifier(true);
            let recipe = FineTune::new()
                .interpolate(false)
                .verbosity(Verbosity::Silent);
            model.fine_tune(&data, recipe).unwrap();
            bytes(&model)
        })
    };
    assert_eq!(tuned(1), tuned(3));

    let mut model = classifier(false);
    let before = bytes(&model);
    let wide = Array2::<f32>::zeros((80, 2));
    let two = Arrays::new(&wide, &[7; 80]).unwrap();
    for recipe in [FineTune::new(), FineTune::new().validation_dataset(&two)] {
        let recipe = recipe.verbosity(Verbosity::Silent);
        let error = model.fine_tune(&two, recipe).unwrap_err();
        assert_eq!(bytes(&model), before, "{error}");
    }
    for recipe in [
        FineTune::new().learning_rate(-1.0),
        FineTune::new().layer_decay(f64::NAN),
        FineTune::new().batch_size(0),
        FineTune::new().head("nothing"),
        FineTune::new().keep_frozen(..),
        FineTune::new().validation_split(1.5),
    ] {
        let error = model.fine_tune(&data, recipe).unwrap_err();
        assert_eq!(bytes(&model), before, "{error}");
        assert_eq!(
            model.get_layer("first").unwrap().freezing(),
            Freezing::Trainable
        );
    }
}

#[test]
fn the_base_is_held_to_its_start_and_the_head_to_zero() {
    let (x, y) = samples();
    let mut model = classifier(false);
    let head = [crate::Tensor::zeros([5, 2]), crate::Tensor::full([2], 3.0)];
    model.set_layer_weights("head", head.to_vec()).unwrap();
    let parts = Parts::of(&model.network, &FineTune::new()).unwrap();
    anchor(&mut model.network, &parts, (0.5, 0.25)).unwrap();
    let penalty =
        |model: &mut Model| model.evaluate(&x, &y).unwrap().loss - f64::from(2.0_f32.ln());
    assert_near(penalty(&mut model), 0.5 * 0.25 * 2.0 * 9.0, "the head");
    let moved = model
        .weight("first/bias")
        .unwrap()
        .value()
        .as_slice()
        .iter();
    let moved: Vec<f32> = moved.map(|value| value + 2.0).collect();
    let moved = crate::Tensor::new([6], moved).unwrap();
    model.set_weight("first/bias", moved).unwrap();
    let expected = 0.5 * 0.25 * 2.0 * 9.0 + 0.5 * 0.5 * 6.0 * 4.0;
    assert_near(penalty(&mut model), expected, "the base");
}

#[test]
fn a_model_with_adapters_is_refused_and_whole_numbers_are_divided_at_random() {
    let (x, _) = samples();
    let y = ndarray::Array1::from_iter((0..80).map(|i| i as f32));
    let data = Arrays::new(&x, &y).unwrap();
    let mut model =
        Sequential::with_seed(layers![Input::new([2]), Dense::new(3), Dense::new(1)], 1).unwrap();
    model.compile("adam", "mse", ()).unwrap();
    let recipe = || {
        FineTune::new()
            .epochs(1)
            .head_epochs(1)
            .verbosity(Verbosity::Silent)
    };
    model.fine_tune(&data, recipe()).unwrap();
    model
        .adapt("dense", crate::adapters::Lora::rank(1))
        .unwrap();
    let before = bytes(&model);
    let error = model.fine_tune(&data, recipe()).unwrap_err().to_string();
    assert!(error.contains("adapters"), "{error}");
    assert_eq!(bytes(&model), before);
}
