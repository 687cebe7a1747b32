//! What must hold for any model, any choice of what is frozen and any data: the feature cache, files and
//! threads change no bit. That what is frozen has no gradient and does not move is in `frozen`.

use proptest::prelude::*;
use regraft::layers::{ActivationLayer, BatchNormalization, Dense, Dropout, Input, LayerSpec};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::Array2;
use regraft::optimizers::Adam;
use regraft::random::{Key, normal};
use regraft::{FeatureCache, Fit, Freezing, History, Model, Sequential, Verbosity};

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

fn model(parts: &[(Part, Freezing)], seed: u64) -> Model {
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

fn bits(model: &Model) -> Vec<(String, Vec<u32>)> {
    let bits = |value: &[f32]| value.iter().map(|value| value.to_bits()).collect();
    let weights = model.weights().iter();
    weights
        .map(|weight| (weight.path().to_string(), bits(weight.value().as_slice())))
        .collect()
}

fn fit(model: &mut Model, seed: u64, batch_size: usize, cache: FeatureCache) -> History {
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

fn save(model: &Model, path: &std::path::Path) {
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

    /// 1. `fit` with the feature cache gives the same bits as without.
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

    /// 2. Save then load is the identity in each format, optimizer included.
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

    /// 3. The same seed gives the same bytes with 1 and with N threads.
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

/// 3, where the work is large enough to be shared out.
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
