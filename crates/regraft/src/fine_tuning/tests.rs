//! The recipes: rates and rules beside fastai's, and what a recipe may never do.

use ndarray::Array2;
use serde_json::Value;

use crate::data::Arrays;
use crate::fine_tuning::anchor::anchor;
use crate::fine_tuning::line::best;
use crate::fine_tuning::plan::Parts;
use crate::fine_tuning::{FineTune, LearningRates, RateCurve, Stage};
use crate::layers::{
    BatchNormalization, Dense, Dropout, Input, LayerExt, SpectralNormalization, layers,
};
use crate::training::callbacks::Snapshot;
use crate::{Callback, Context, Fit, Freezing, Model, Result, Scores, Sequential, Verbosity};

fn golden() -> Value {
    let text = include_str!("../../../../fixtures/golden/fastai.json");
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers
        .map(|number| number.as_f64().unwrap_or(f64::NAN))
        .collect()
}

fn assert_near(found: f64, expected: f64, what: &str) {
    assert!(
        (found / expected - 1.0).abs() < 1e-5,
        "{what}: {found} is not {expected}"
    );
}

#[test]
fn rates_are_read_off_a_sweep_as_fastai_does() {
    for (number, sweep) in golden()["sweeps"].as_array().unwrap().iter().enumerate() {
        let found = LearningRates {
            rates: numbers(&sweep["rates"]),
            losses: numbers(&sweep["losses"]),
            steps: 100,
        };
        let rules = [
            ("valley", found.valley()),
            ("minimum", found.minimum()),
            ("steep", found.steep()),
            ("slide", found.slide()),
        ];
        for (rule, rate) in rules {
            let expected = sweep[rule].as_f64().unwrap();
            assert_near(
                rate.unwrap(),
                expected,
                &format!("{rule} of sweep {number}"),
            );
        }
    }
}

#[test]
fn stages_of_fastai_have_its_rates_step_by_step() {
    let model = classifier(false);
    for case in golden()["fine_tune"].as_array().unwrap() {
        let epochs = case["epochs"].as_u64().unwrap() as usize;
        let steps = case["samples"]
            .as_u64()
            .unwrap()
            .div_ceil(case["batch"].as_u64().unwrap());
        let (x, y) = samples();
        let data = Arrays::new(&x, &y).unwrap();
        let plan = FineTune::fastai()
            .epochs(epochs)
            .plan(&model, &data)
            .unwrap();
        let fits = case["stages"].as_array().unwrap();
        assert_eq!(plan.stages.len(), fits.len());
        for (stage, fit) in plan.stages.iter().zip(fits) {
            let fit = fit.as_array().unwrap();
            let all = steps * stage.epochs as u64;
            assert_eq!(fit.len() as u64, all);
            for (step, groups) in fit.iter().enumerate() {
                let groups = numbers(groups);
                let at = stage.curve.at(step as u64, all);
                for (block, expected) in stage.blocks.iter().rev().zip(groups.iter().rev()) {
                    assert_near(
                        block.learning_rate * at,
                        *expected,
                        &format!("{} {step}", stage.name),
                    );
                }
                if stage.blocks.len() == 1 {
                    assert_near(
                        stage.normalizations.unwrap() * at,
                        groups[0],
                        "normalizations",
                    );
                }
            }
        }
    }
}

#[test]
fn a_step_moves_each_block_by_its_rate() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    for (name, recipe) in recipes() {
        // Stages of one step: Adam's first moves each number by the rate, whatever the gradient.
        let recipe = recipe
            .epochs(1)
            .solve_head(false)
            .head_epochs(usize::from(name == "fastai"))
            .batch_size(80)
            .validation_split(0.0)
            .learning_rate(1e-2)
            .head_learning_rate(1e-1)
            .weight_decay(0.0);
        let mut model = classifier(false);
        let plan = recipe.plan(&model, &data).unwrap();
        let before = model.clone();
        model.fine_tune(&data, recipe).unwrap();
        for path in ["first/bias", "second/bias", "head/bias"] {
            let layer = path.split('/').next().unwrap();
            let stages = plan.stages.iter().map(|stage| {
                let mut blocks = stage.blocks.iter().filter(|block| block.name == layer);
                let rate = blocks.next().map_or(0.0, |block| block.learning_rate);
                rate * stage.curve.at(0, 1)
            });
            let most: f64 = stages.sum();
            let (before, after) = (before.weight(path).unwrap(), model.weight(path).unwrap());
            let moved = before
                .value()
                .as_slice()
                .iter()
                .zip(after.value().as_slice());
            let moved = moved.map(|(before, after)| f64::from((after - before).abs()));
            // fastai's two stages may move a number there and back.
            let largest = moved.fold(0.0, f64::max);
            assert!(
                largest < 1.01 * most + 1e-7,
                "{name} {path}: {largest} of {most}"
            );
            assert!(largest > 0.6 * most, "{name} {path}: {largest} of {most}");
        }
    }
}

/// Two inputs, two layers of a base, and a head.
fn classifier(normalized: bool) -> Model {
    let mut stack = layers![
        Input::new([2]),
        Dense::new(6).activation("tanh").named("first"),
        Dense::new(5).activation("tanh").named("second"),
    ];
    if normalized {
        stack.insert(2, BatchNormalization::new().named("normalization"));
    }
    stack.extend(layers![
        Dropout::new(0.2),
        Dense::new(2).activation("softmax").named("head")
    ]);
    let mut model = Sequential::with_seed(stack, 3).unwrap();
    model
        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    model
}

/// A disc within a ring.
fn samples() -> (Array2<f32>, Vec<i32>) {
    let angle = |i: usize| i as f32 * 0.7;
    let radius = |i: usize| if i.is_multiple_of(2) { 0.5 } else { 1.2 };
    let x = Array2::from_shape_fn((80, 2), |(i, j)| match j {
        0 => radius(i) * angle(i).cos(),
        _ => radius(i) * angle(i).sin(),
    });
    (x, (0..80).map(|i| i % 2).collect())
}

fn recipes() -> [(&'static str, FineTune<'static>); 5] {
    let quiet = |recipe: FineTune<'static>| recipe.epochs(4).verbosity(Verbosity::Silent);
    [
        ("new", quiet(FineTune::new())),
        ("lp_ft", quiet(FineTune::lp_ft())),
        ("fastai", quiet(FineTune::fastai())),
        ("gradual", quiet(FineTune::gradual())),
        ("surgical", quiet(FineTune::surgical())),
    ]
}

fn bytes(model: &Model) -> Vec<u32> {
    let values = model
        .weights()
        .iter()
        .flat_map(|weight| weight.value().as_slice());
    values.map(|value| value.to_bits()).collect()
}

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

#[test]
fn a_sweep_leaves_the_model_and_follows_the_loss() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    let mut model = classifier(true);
    model
        .fit(&x, &y, Fit::new().verbosity(Verbosity::Silent))
        .unwrap();
    let before = bytes(&model);
    let found = model.lr_find(&data, 16).unwrap();
    assert_eq!(bytes(&model), before);
    assert!((found.rates[0] / 1e-7 - 1.0).abs() < 1e-9);
    assert!(
        found
            .rates
            .windows(2)
            .all(|pair| (pair[1] / pair[0] - 1e8_f64.powf(0.01)).abs() < 1e-9)
    );
    assert!(found.losses.len() <= 100);

    /// The loss of the first step, which no rate has a part in.
    #[derive(Debug, Default)]
    struct First(Option<f64>);
    impl Callback for First {
        fn wants_batches(&self) -> bool {
            true
        }
        fn on_batch_end(&mut self, _: usize, _: usize, context: &mut Context<'_>) -> Result<()> {
            self.0 = self.0.or(context.batch_loss());
            Ok(())
        }
    }
    let mut first = First::default();
    let options = Fit::new()
        .batch_size(16)
        .verbosity(Verbosity::Silent)
        .callback(&mut first);
    model.clone().fit_dataset(&data, options).unwrap();
    assert!((found.losses[0] - first.0.unwrap()).abs() < 1e-9);
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
fn slanted_triangles_are_those_of_ulmfit() {
    let curve = RateCurve::SlantedTriangular {
        cut_fraction: 0.1,
        ratio: 32.0,
    };
    // cut = 10: p = t / cut, then 1 - (t - cut) / (cut · (1 / 0.1 - 1)).
    let expected = |p: f64| (1.0 + p * 31.0) / 32.0;
    for (step, p) in [
        (0, 0.0),
        (5, 0.5),
        (10, 1.0),
        (55, 0.5),
        (99, 1.0 - 89.0 / 90.0),
    ] {
        assert_near(curve.at(step, 100), expected(p), &format!("step {step}"));
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
fn a_sweep_ends_where_the_loss_is_four_times_its_least() {
    let x = samples().0 * 10.0;
    let y = Array2::from_shape_fn((80, 1), |(i, _)| x[(i, 0)]);
    let data = Arrays::new(&x, &y).unwrap();
    let mut model = Sequential::with_seed(layers![Input::new([2]), Dense::new(1)], 1).unwrap();
    model.compile("sgd", "mse", ()).unwrap();
    let losses = model.lr_find(&data, 80).unwrap().losses;
    let (last, before) = losses.split_last().unwrap();
    let least = |losses: &[f64]| losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(
        losses.len() < 100 && *last > 4.0 * least(&losses),
        "{losses:?}"
    );
    for (step, loss) in before.iter().enumerate() {
        assert!(*loss <= 4.0 * least(&losses[..=step]), "{step}: {losses:?}");
    }
}

/// Names that a layer has in a nested model, too; a wrapper; a layer that is applied twice.
fn nested() -> Model {
    let base = Sequential::with_seed(
        layers![
            Input::new([2]),
            Dense::new(6).activation("tanh").named("dense"),
            SpectralNormalization::new(Dense::new(6).activation("tanh").named("inner")).named("sn")
        ],
        1,
    )
    .unwrap();
    let stack = layers![
        Input::new([2]),
        base.named("base"),
        Dense::new(5).activation("tanh").named("dense"),
        BatchNormalization::new()
            .center(false)
            .scale(false)
            .named("bare"),
        Dense::new(2).activation("softmax").named("head")
    ];
    let mut model = Sequential::with_seed(stack, 2).unwrap();
    model
        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    model
}

fn moved(before: &Model, after: &Model) -> Vec<String> {
    let weights = after.weights().iter();
    let moved =
        weights.filter(|weight| before.weight(weight.path()).unwrap().value() != weight.value());
    moved.map(|weight| weight.path().to_string()).collect()
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
fn rates_are_those_of_paths() {
    let (x, y) = samples();
    let data = Arrays::new(&x, &y).unwrap();
    let mut model = nested();
    let before = model.clone();
    let recipe = FineTune::lp_ft()
        .epochs(1)
        .batch_size(80)
        .solve_head(false)
        .head_epochs(0)
        .validation_split(0.0)
        .learning_rate(1e-2)
        .head_learning_rate(1e-1)
        .layer_decay(0.1)
        .verbosity(Verbosity::Silent);
    let plan = recipe.plan(&model, &data).unwrap();
    model.fine_tune(&data, recipe).unwrap();
    for block in &plan.stages[0].blocks {
        let path = format!("{}/bias", block.layers[0]);
        let (before, after) = (before.weight(&path).unwrap(), model.weight(&path).unwrap());
        let moves = before
            .value()
            .as_slice()
            .iter()
            .zip(after.value().as_slice());
        let largest = moves
            .map(|(a, b)| f64::from((a - b).abs()))
            .fold(0.0, f64::max);
        let expected = block.learning_rate / 5.0;
        assert!(
            (largest / expected - 1.0).abs() < 0.05,
            "{path}: {largest} {expected}"
        );
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
