//! The property that Regraft is for: what is frozen has no gradient and does not move.
//!
//! Models, data, losses and states are random (`models`, `masks`). The test knows by itself what is
//! frozen, since it gave the states, and has a copy of the bytes; nothing of the code under test is asked
//! what is frozen. `docs/properties.md` says what each property promises and which faults, planted on
//! purpose, it was seen to catch.
//!
//! ```sh
//! PROPTEST_CASES=100000 cargo test --release -p regraft --test frozen
//! ```

mod acts;
mod gradients;
mod masks;
mod models;

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use regraft::optimizers::Adam;
use regraft::{FeatureCache, Fit, Freezing, History, Verbosity};

use crate::masks::{Bytes, Mask};
use crate::models::{Counter, Plan};

/// Runs `property` on random cases: `cases` of them, or as many as `PROPTEST_CASES` says.
fn check<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value)) {
    let asked = std::env::var("PROPTEST_CASES").is_ok();
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if !asked {
        config.cases = cases;
    }
    let run = |value| {
        property(value);
        Ok(())
    };
    let result = TestRunner::new(config).run(&strategy, run);
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// How many of the things that a property looked at had nothing to show; too many, and it proves
/// little.
#[derive(Default)]
struct Tally {
    all: AtomicUsize,
    empty: AtomicUsize,
}

impl Tally {
    fn add(&self, all: usize, empty: usize) {
        self.all.fetch_add(all, Ordering::Relaxed);
        self.empty.fetch_add(empty, Ordering::Relaxed);
    }

    /// Fails if more than one in `bound` was empty.
    #[track_caller]
    fn assert_rare(&self, bound: usize, what: &str) {
        let (all, empty) = (
            self.all.load(Ordering::Relaxed),
            self.empty.load(Ordering::Relaxed),
        );
        println!("{what}: {empty} of {all}");
        assert!(all > 0, "{what}: nothing was looked at");
        assert!(empty * bound <= all, "{what}: {empty} of {all}");
    }
}

/// (a) and (b). The gradient with respect to every frozen weight is zero in every element and costs no
/// node; with the same layers trained, the same loss has one that is not zero.
#[test]
fn a_frozen_weight_has_no_gradient_and_would_have_one() {
    let dead = Tally::default();
    check(
        250,
        (models::plan(false), masks::choices()),
        |(plan, choices)| {
            let mut model = plan.build(None);
            let mut mask = Mask::of(&model);
            mask.apply(&mut model, &choices);
            let samples = plan.samples(6);
            gradients::assert_zero(&model, &mask, &plan.losses(), &samples);
            let (all, without) = gradients::trained(&model, &mask, &plan.losses(), &samples);
            dead.add(all, without);
        },
    );
    dead.assert_rare(50, "layers that would have had no gradient anyway");
}

/// (c). Gradients of what is trained are those of the loss.
#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let unknown = Tally::default();
    check(
        250,
        (models::plan(true), masks::choices()),
        |(plan, choices)| {
            let mut model = plan.build(None);
            let mut mask = Mask::of(&model);
            mask.apply(&mut model, &choices);
            let (all, without) = gradients::assert_slopes(
                &model,
                &mask,
                &plan.losses(),
                &plan.samples(8),
                plan.seed,
            );
            unknown.add(all, without);
        },
    );
    unknown.assert_rare(3, "weights for which differences cannot tell");
}

/// (d). No sequence of public calls moves a frozen byte.
#[test]
fn no_sequence_of_calls_moves_a_frozen_byte() {
    let still = Tally::default();
    let acts = prop::collection::vec(acts::act(), 1..8);
    let strategy = (models::plan(false), masks::choices(), acts);
    check(250, strategy, |(plan, choices, acts)| {
        let (fits, without) = acts::run(&plan, &choices, &acts);
        still.add(fits, without);
    });
    still.assert_rare(20, "trained weights that did not move");
}

/// (e). The frozen part is run once per sample where its features are kept, and the numbers are the
/// same.
#[test]
fn what_is_frozen_is_run_once_per_sample() {
    let strategy = (
        models::plan(false),
        masks::choices(),
        1_usize..30,
        2_usize..4,
    );
    check(150, strategy, |(plan, choices, batch_size, epochs)| {
        let fit = |cache: FeatureCache| {
            let counter = Counter::default();
            let mut model = plan.build(Some(counter.clone()));
            let mut mask = Mask::of(&model);
            mask.apply(&mut model, &choices);
            // All layers up to the counter, and something to be trained.
            for target in mask.targets() {
                if target.starts_with("branch0") && !target.contains('/') {
                    mask.set(&mut model, &target, Freezing::Frozen);
                }
            }
            mask.set(&mut model, "head0", Freezing::Trainable);
            let before = Bytes::of(&model);
            counter.take();
            let history = train(&plan, &mut model, cache, batch_size, epochs);
            before.assert_frozen(&model, &mask, "training on kept features");
            (counter.take(), Bytes::of(&model), history)
        };
        let (once, kept, history) = fit(FeatureCache::Auto);
        let (often, computed, other) = fit(FeatureCache::Off);
        assert_eq!(once, 23, "runs with features that are kept");
        assert_eq!(often, 23 * epochs, "runs without");
        assert_eq!(kept, computed, "the features are not those of the sample");
        assert_eq!(curve(&history), curve(&other));
    });
}

/// (f). What stands where a mask says padding changes nothing, in whatever state the layers are: not what is
/// learnt, nor the losses.
#[test]
fn padding_changes_nothing() {
    let strategy = (models::padded(), masks::choices(), any::<bool>());
    check(150, strategy, |(plan, choices, cached)| {
        let fit = |padding: f32| {
            let plan = Plan {
                padding,
                ..plan.clone()
            };
            let mut model = plan.build(None);
            let mut mask = Mask::of(&model);
            mask.apply(&mut model, &choices);
            mask.set(&mut model, "head0", Freezing::Trainable);
            let cache = match cached {
                true => FeatureCache::Auto,
                false => FeatureCache::Off,
            };
            let history = train(&plan, &mut model, cache, 7, 2);
            let mut bytes = Bytes::of(&model);
            for (path, bits) in &mut bytes.0 {
                if plan.embeds_padding(path) {
                    // What padding is embedded as.
                    bits.drain(..4);
                }
            }
            (bytes, curve(&history))
        };
        assert_eq!(fit(0.0), fit(3.0));
    });
}

/// Trains on 23 samples.
fn train(
    plan: &Plan,
    model: &mut regraft::Model,
    cache: FeatureCache,
    batch_size: usize,
    epochs: usize,
) -> History {
    model.compile(Adam::new(1e-2), "mse", ()).unwrap();
    model.losses(plan.losses()).unwrap();
    let samples = plan.samples(23);
    let options = Fit::new()
        .epochs(epochs)
        .batch_size(batch_size)
        .seed(plan.seed)
        .feature_cache(cache)
        .verbosity(Verbosity::Silent);
    let (x, y) = (acts::data(&samples.inputs), acts::data(&samples.targets));
    model.fit(x, y, options).unwrap()
}

/// Loss curves compared by their bits, so that NaN equals itself.
fn curve(history: &History) -> Vec<(String, Vec<u64>)> {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
    history
        .iter()
        .map(|(name, values)| (name.to_string(), bits(values)))
        .collect()
}

/// (a), (b) and (d) for networks as people use them, cut small.
#[test]
fn it_holds_for_applications() {
    use regraft::layers::{Dense, GlobalAveragePooling2D, LayerExt, layers};
    use regraft::ndarray::Array4;

    for (name, end) in [
        ("MobileNetV2", "block_2_add"),
        ("ResNet50", "conv2_block1_out"),
    ] {
        let application = regraft::applications::by_name(name).unwrap();
        let backbone = application
            .include_top(false)
            .input_shape([32, 32, 3])
            .build();
        let base = backbone.unwrap().model.cut_at(end).unwrap();
        let head = layers![GlobalAveragePooling2D::new(), Dense::new(3).named("head")];
        let mut model = base.with_head(head).unwrap();
        let mut mask = Mask::of(&model);
        let targets = mask.targets();
        for (index, target) in targets.iter().enumerate() {
            // Three of four frozen, and one in each of the other states.
            let state = match index % 16 {
                3 => Freezing::FrozenParams,
                7 => Freezing::FrozenStatistics,
                11 => Freezing::Trainable,
                _ => Freezing::Frozen,
            };
            mask.set(&mut model, target, state);
        }
        let losses = [regraft::losses::SparseCategoricalCrossentropy::from_logits().into()];
        let x = Array4::from_shape_fn((6, 32, 32, 3), |(n, i, j, c)| {
            ((n * 7 + i * 3 + j * 5 + c) % 11) as f32 / 5.5 - 1.0
        });
        let y = regraft::ndarray::Array1::from_shape_fn(6, |n| (n % 3) as i32);
        let samples = models::Samples {
            inputs: vec![models::Values::Floats(x.into_dyn())],
            targets: vec![models::Values::Integers(y.into_dyn())],
            weights: vec![1.0; 6],
        };
        gradients::assert_zero(&model, &mask, &losses, &samples);
        let (all, dead) = gradients::trained(&model, &mask, &losses, &samples);
        assert!(all >= 10 && dead == 0, "{name}: {dead} of {all}");
        let before = Bytes::of(&model);
        let [loss] = losses;
        model.compile(Adam::new(1e-3), loss, ()).unwrap();
        let options = Fit::new()
            .batch_size(3)
            .epochs(2)
            .verbosity(Verbosity::Silent);
        let (x, y) = (acts::data(&samples.inputs), acts::data(&samples.targets));
        model.fit(x, y, options).unwrap();
        before.assert_frozen(&model, &mask, name);
        assert!(!before.moved(&model).is_empty());
    }
}
