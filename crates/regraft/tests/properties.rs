//! What must hold for any model, any choice of what is frozen, any data and any order of calls.

use proptest::prelude::*;
use regraft::layers::{ActivationLayer, BatchNormalization, Dense, Dropout, Input, LayerSpec};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::Array2;
use regraft::optimizers::Adam;
use regraft::random::{Key, normal};
use regraft::{FeatureCache, Fit, Freezing, History, Sequential, Verbosity};
use regraft_autograd::{DataType, Graph, Shape, Source};
use regraft_layers::{Loss, Mode};

/// A layer of a random model, and its state.
#[derive(Clone, Debug)]
enum Part {
    Dense(usize, &'static str),
    BatchNormalization,
    Dropout,
    Activation(&'static str),
}

fn part() -> impl Strategy<Value = (Part, Freezing)> {
    let part = prop_oneof![
        4 => (1_usize..20, prop_oneof![Just("tanh"), Just("relu"), Just("linear")])
            .prop_map(|(units, activation)| Part::Dense(units, activation)),
        2 => Just(Part::BatchNormalization),
        1 => Just(Part::Dropout),
        1 => prop_oneof![Just("sigmoid"), Just("relu")].prop_map(Part::Activation),
    ];
    let freezing = prop_oneof![
        2 => Just(Freezing::Trainable),
        1 => Just(Freezing::FrozenStatistics),
        1 => Just(Freezing::FrozenParams),
        3 => Just(Freezing::Frozen),
    ];
    (part, freezing)
}

fn model(parts: &[(Part, Freezing)], seed: u64) -> Sequential {
    let mut layers: Vec<LayerSpec> = vec![Input::new([5]).into()];
    layers.extend(parts.iter().map(|(part, _)| match part {
        Part::Dense(units, activation) => Dense::new(*units).activation(*activation).into(),
        Part::BatchNormalization => BatchNormalization::new().into(),
        Part::Dropout => Dropout::new(0.3).into(),
        Part::Activation(name) => ActivationLayer::new(*name).into(),
    }));
    layers.push(Dense::new(3).into());
    let mut model = Sequential::with_seed(layers, seed).unwrap();
    for (position, (_, freezing)) in parts.iter().enumerate() {
        let position = position as i32;
        model
            .set_freezing(position..position + 1, *freezing)
            .unwrap();
    }
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(Adam::new(1e-2), loss, ["accuracy"]).unwrap();
    model
}

fn data(samples: usize, seed: u64) -> (Array2<f32>, Vec<i32>) {
    let mut x = Array2::zeros((samples, 5));
    normal(Key::new(seed, 1), 0, x.as_slice_mut().unwrap());
    let class = |row: regraft::ndarray::ArrayView1<'_, f32>| {
        i32::from(row[0] > 0.0) + i32::from(row[1] > 0.0)
    };
    let y = x.rows().into_iter().map(class).collect();
    (x, y)
}

fn bits(model: &Sequential) -> Vec<(String, Vec<u32>)> {
    let bits = |value: &[f32]| value.iter().map(|value| value.to_bits()).collect();
    let weights = model.weights().iter();
    weights
        .map(|weight| (weight.path().to_string(), bits(weight.value().as_slice())))
        .collect()
}

fn fit(model: &mut Sequential, seed: u64, batch_size: usize, cache: FeatureCache) -> History {
    let (x, y) = data(37, seed);
    let options = Fit::new()
        .epochs(2)
        .batch_size(batch_size)
        .seed(seed)
        .validation_split(0.2)
        .feature_cache(cache)
        .verbosity(Verbosity::Silent);
    model.fit(&x, &y, options).unwrap()
}

/// Loss curves compared by their bits, so that NaN equals itself.
fn curve(history: &History) -> Vec<(String, Vec<u64>)> {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
    history
        .iter()
        .map(|(name, values)| (name.to_string(), bits(values)))
        .collect()
}

fn parts() -> impl Strategy<Value = Vec<(Part, Freezing)>> {
    prop::collection::vec(part(), 0..5)
}

/// What can be done with a model.
#[derive(Clone, Debug)]
enum Act {
    Fit(usize),
    Freeze(i32),
    Unfreeze(i32),
    SaveAndLoad(&'static str),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1_usize..20).prop_map(Act::Fit),
        2 => (0_i32..6).prop_map(Act::Freeze),
        2 => (0_i32..6).prop_map(Act::Unfreeze),
        1 => prop_oneof![
            Just("m.weights.h5"), Just("m.safetensors"), Just("m.h5"), Just("m.keras"),
            Just("m.weights.json"),
        ]
        .prop_map(Act::SaveAndLoad),
    ]
}

fn save(model: &Sequential, path: &std::path::Path) {
    let name = path.to_string_lossy();
    if name.ends_with(".weights.json") {
        model.save_sharded_weights(path, 4096).unwrap();
    } else if name.ends_with(".keras") {
        model.save(path).unwrap();
    } else {
        model.save_weights(path).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// 1. For a frozen parameter no gradient node exists; as if it were trainable there is one.
    #[test]
    fn a_frozen_parameter_has_no_gradient(parts in parts(), seed in 0_u64..1000) {
        let mut model = model(&parts, seed);
        let check = |model: &Sequential| {
            let graph = Graph::new();
            let x = graph.samples("x", &[5]);
            let labels = graph.input("y", Shape::batch_of(&[]), DataType::I32);
            let (outputs, emission) = model.emit(&graph, &[x], Mode::Training).unwrap();
            let loss = SparseCategoricalCrossentropy::from_logits().call(labels, outputs[0]).mean_all();
            let wrt: Vec<_> = emission.trainable.iter().map(|(_, var)| *var).collect();
            let gradients = graph.grad(loss, &wrt).unwrap();
            assert_eq!(gradients.len(), wrt.len());
            let nodes = graph.nodes();
            let mut variables = 0;
            for place in model.places() {
                for &id in place.weights {
                    let weight = model.weights().get(id).unwrap();
                    let is_variable = nodes.nodes.iter().any(
                        |node| matches!(node.source, Source::Variable(variable) if variable == id),
                    );
                    let parameter = weight.kind() == regraft_layers::WeightKind::Parameter;
                    if parameter {
                        assert_eq!(is_variable, place.freezing.trains_parameters());
                        variables += usize::from(is_variable);
                    }
                }
            }
            assert_eq!(variables, wrt.len());
            // Asked for all the same, a constant's gradient is zero.
            let constant = nodes.iter().find(|(_, node)| node.constant().is_some());
            assert!(constant.is_some());
            wrt.len()
        };
        let frozen = check(&model);
        model.set_freezing(.., Freezing::Trainable).unwrap();
        let all = check(&model);
        prop_assert!(all >= frozen);
    }

    /// 2. After any sequence of calls every frozen byte is what it was.
    #[test]
    fn frozen_bytes_hold_through_any_sequence(
        parts in parts(),
        acts in prop::collection::vec(act(), 1..8),
        seed in 0_u64..1000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut model = model(&parts, seed);
        let layers = parts.len() as i32 + 1;
        for act in acts {
            match act {
                Act::Fit(batch_size) => {
                    let digest = model.frozen_digest();
                    fit(&mut model, seed, batch_size, FeatureCache::Auto);
                    prop_assert_eq!(model.frozen_digest(), digest);
                }
                Act::Freeze(position) => {
                    let position = position % layers;
                    let before = bits(&model);
                    model.freeze(position..position + 1).unwrap();
                    prop_assert_eq!(bits(&model), before);
                }
                Act::Unfreeze(position) => {
                    let position = position % layers;
                    let before = bits(&model);
                    model.unfreeze(position..position + 1).unwrap();
                    prop_assert_eq!(bits(&model), before);
                }
                Act::SaveAndLoad(name) => {
                    let before = bits(&model);
                    let path = folder.path().join(name);
                    save(&model, &path);
                    let _report = model.load_weights(&path).unwrap();
                    prop_assert_eq!(bits(&model), before);
                }
            }
        }
    }

    /// 3. `fit` with the feature cache gives the same bits as without.
    #[test]
    fn the_feature_cache_changes_no_bit(
        parts in parts(),
        seed in 0_u64..1000,
        batch_size in 1_usize..40,
    ) {
        let (mut with, mut without) = (model(&parts, seed), model(&parts, seed));
        let kept = fit(&mut with, seed, batch_size, FeatureCache::Auto);
        let computed = fit(&mut without, seed, batch_size, FeatureCache::Off);
        prop_assert_eq!(bits(&with), bits(&without));
        prop_assert_eq!(curve(&kept), curve(&computed));
    }

    /// 6. Save then load is the identity in each format, optimizer included.
    #[test]
    fn saving_and_loading_is_the_identity(parts in parts(), seed in 0_u64..1000) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["m.weights.h5", "m.safetensors", "m.h5", "m.keras", "m.weights.json"] {
            let mut trained = model(&parts, seed);
            fit(&mut trained, seed, 8, FeatureCache::Auto);
            let path = folder.path().join(name);
            save(&trained, &path);
            let mut loaded = model(&parts, seed + 1);
            let report = loaded.load_weights(&path).unwrap();
            prop_assert_eq!(report.loaded.len(), trained.weights().len());
            prop_assert_eq!(bits(&loaded), bits(&trained));
            // Training goes on as if nothing had happened, where the format keeps the optimizer.
            if name != "m.h5" {
                fit(&mut trained, seed, 8, FeatureCache::Auto);
                fit(&mut loaded, seed, 8, FeatureCache::Auto);
                prop_assert_eq!(bits(&loaded), bits(&trained));
            }
        }
    }

    /// 7. The same seed gives the same bytes with 1 and with N threads.
    #[test]
    fn threads_change_no_bit(parts in parts(), seed in 0_u64..1000, threads in 2_usize..5) {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut model = model(&parts, seed);
                let history = fit(&mut model, seed, 8, FeatureCache::Auto);
                (bits(&model), curve(&history))
            })
        };
        prop_assert_eq!(run(1), run(threads));
    }
}

/// 7, where the work is large enough to be shared out.
#[test]
fn threads_change_no_bit_of_a_large_model() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut model = Sequential::with_seed(
                regraft::layers::layers![
                    Input::new([5]),
                    Dense::new(512).activation("relu"),
                    Dense::new(512).activation("tanh"),
                    Dense::new(3),
                ],
                3,
            )
            .unwrap();
            model.freeze(..1).unwrap();
            let loss = SparseCategoricalCrossentropy::from_logits();
            model.compile(Adam::new(1e-3), loss, ["accuracy"]).unwrap();
            let (x, y) = data(600, 3);
            let options = Fit::new()
                .epochs(2)
                .batch_size(256)
                .verbosity(Verbosity::Silent);
            let history = model.fit(&x, &y, options).unwrap();
            (bits(&model), curve(&history))
        })
    };
    assert_eq!(run(1), run(4));
}
