//! Layers in wrappers: every file of them, and a kernel that a wrapper moves.

use regraft::ndarray::{Array2, Ix2};
use regraft::optimizers::AdamW;
use regraft::{FeatureCache, Fit, Freezing, Model, Sequential, Verbosity};
use regraft_layers::layers::{Conv1D, Dense, Flatten, Input, Masking, SpectralNormalization};
use regraft_layers::{LayerExt, layers};
use regraft_tensor::Tensor;

use crate::common::{assert_close, case, npz};

#[test]
fn every_file_of_wrapped_layers_opens_and_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(case("wrapped-layers")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".npz") {
            continue;
        }
        let stem = name.split('.').next().unwrap();
        let array = |key| npz::<f32>(&format!("wrapped-layers/{stem}.npz"), key);
        let (x, y) = (array("x"), array("y"));
        let (model, report) = Model::open(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(report.unexpected.is_empty(), "{name}: {report}");
        assert_close(model.predict(&x).unwrap().as_slice(), &y, 1e-6);
        for ending in ["keras", "h5"] {
            let path = folder.path().join(format!("again.{ending}"));
            model.save(&path).unwrap();
            let (again, report) = Model::open(&path).unwrap();
            assert!(report.unexpected.is_empty(), "{name}: {report}");
            assert_close(again.predict(&x).unwrap().as_slice(), &y, 1e-6);
        }
        for ending in ["weights.h5", "legacy.h5", "safetensors"] {
            let path = folder.path().join(format!("again.{ending}"));
            model.save_weights(&path).unwrap();
            let (mut again, _) = Model::open(folder.path().join("again.keras")).unwrap();
            let zeros = again.weights().iter();
            let zeros: Vec<_> = zeros
                .map(|w| (w.path().to_string(), Tensor::zeros(w.value().shape())))
                .collect();
            for (path, value) in zeros {
                again.set_weight(&path, value).unwrap();
            }
            let report = again.load_weights(&path).unwrap();
            assert!(report.unexpected.is_empty(), "{name}: {report}");
            assert_close(again.predict(&x).unwrap().as_slice(), &y, 1e-6);
        }
        count += 1;
    }
    assert_eq!(count, 25);
}

fn network() -> Model {
    let stack = layers![
        Input::new([6, 3]),
        SpectralNormalization::new(Conv1D::new(4, 2).named("conv")).named("sn"),
        Flatten::new(),
        SpectralNormalization::new(Dense::new(5)).named("hidden"),
        Dense::new(2),
    ];
    let mut model = Sequential::new(stack).unwrap();
    let optimizer = AdamW::new(0.05).weight_decay(0.1);
    model.compile(optimizer, "mse", ()).unwrap();
    model
}

fn train(model: &mut Model) {
    let x = regraft::ndarray::Array3::from_shape_fn((8, 6, 3), |(i, j, k)| {
        ((i * 7 + j * 3 + k * 5) % 11) as f32 / 5.0 - 1.0
    });
    let y = Array2::from_shape_fn((8, 2), |(i, j)| (i + j) as f32 / 4.0);
    let y = y.into_dimensionality::<Ix2>().unwrap();
    for cache in [FeatureCache::Off, FeatureCache::Auto] {
        let fit = Fit::new()
            .epochs(3)
            .batch_size(3)
            .verbosity(Verbosity::Silent);
        model.fit(&x, &y, fit.feature_cache(cache)).unwrap();
    }
}

fn bits(model: &Model, path: &str) -> Vec<u32> {
    let value = model.weight(path).unwrap().value().as_slice().iter();
    value.map(|x| x.to_bits()).collect()
}

/// What moves of `sn` when it is in this state.
fn moved(state: impl Fn(&mut Model)) -> [bool; 3] {
    let mut model = network();
    state(&mut model);
    let paths = ["sn/vector_u", "sn/conv/kernel", "sn/conv/bias"];
    let before = paths.map(|path| bits(&model, path));
    train(&mut model);
    let mut index = 0;
    paths.map(|path| {
        index += 1;
        bits(&model, path) != before[index - 1]
    })
}

#[test]
fn nothing_of_a_frozen_spectral_normalization_moves() {
    let freezing = |path: &'static str, state| {
        move |model: &mut Model| {
            model.set_freezing(path, state).unwrap();
        }
    };
    assert_eq!(moved(|_| {}), [true; 3]);
    assert_eq!(moved(|model| model.freeze("sn").unwrap()), [false; 3]);
    let unfrozen = |model: &mut Model| {
        model.freeze("sn").unwrap();
        model.unfreeze("sn").unwrap();
    };
    assert_eq!(moved(unfrozen), [true; 3]);
    let of = |state| moved(freezing("sn", state));
    assert_eq!(of(Freezing::Frozen), [false; 3]);
    assert_eq!(of(Freezing::FrozenParams), [true, false, false]);
    assert_eq!(of(Freezing::FrozenStatistics), [false, true, true]);
    // The layer within alone.
    let of = |state| moved(freezing("sn/conv", state));
    assert_eq!(of(Freezing::Frozen), [true, false, false]);
    assert_eq!(of(Freezing::FrozenParams), [true, false, false]);
}

#[test]
fn what_cannot_be_normalized_is_said() {
    use regraft_layers::layers::{Embedding, SeparableConv1D};

    let refused = |layers: Vec<regraft_layers::LayerSpec>| {
        Sequential::new(layers).map(|_| ()).unwrap_err().to_string()
    };
    let error = refused(layers![
        Input::new([6, 3]),
        SpectralNormalization::new(SeparableConv1D::new(2, 2)),
    ]);
    assert!(error.contains("kernel or embeddings"), "{error}");
    let error = refused(layers![
        Input::new([6]),
        SpectralNormalization::new(Dense::new(2)).power_iterations(0),
    ]);
    assert!(error.contains("power_iterations"), "{error}");
    let error = refused(layers![
        Input::integers([6]),
        SpectralNormalization::new(Embedding::new(9, 2)),
    ]);
    assert!(error.contains("floats"), "{error}");
    // Ids as floats are taken.
    let stack = layers![
        Input::new([6]),
        SpectralNormalization::new(Embedding::new(9, 2)),
        Masking::new(),
    ];
    assert!(Sequential::new(stack).is_ok());
}
