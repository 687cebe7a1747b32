//! Rates and their curves, beside fastai's and ULMFiT's.

use ndarray::Array2;
use serde_json::Value;

use super::{assert_near, bytes, classifier, nested, recipes, samples};
use crate::data::Arrays;
use crate::fine_tuning::{FineTune, LearningRates, RateCurve};
use crate::layers::{Dense, Input, layers};
use crate::{Callback, Context, Fit, Result, Sequential, Verbosity};

fn golden() -> Value {
    let text = include_str!("../../../../../fixtures/golden/fastai.json");
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers
        .map(|number| number.as_f64().unwrap_or(f64::NAN))
        .collect()
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
