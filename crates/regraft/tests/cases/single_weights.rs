//! Weights that are frozen, trained, saved and loaded alone, and rates for some of them. The numbers of
//! training with rates are PyTorch's (`golden/rates.json`, by its parameter groups).

use std::collections::BTreeMap;

use regraft::callbacks::{BackupAndRestore, EarlyStopping};
use regraft::layers::{BatchNormalization, Dense, Input, LayerExt, layers};
use regraft::losses::MeanSquaredError;
use regraft::ndarray::{Array2, ArrayD, Axis};
use regraft::optimizers::{Adam, AdamW, Optimizer, SGD};
use regraft::train_step::StepBuilder;
use regraft::{Fit, Load, Model, Selector, Sequential, Tensor, Verbosity};
use serde_json::Value;

use crate::common::{assert_close, case};

fn array(value: &Value) -> ArrayD<f32> {
    let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
    let data: Vec<f32> = serde_json::from_value(value["data"].clone()).unwrap();
    ArrayD::from_shape_vec(shape, data).unwrap()
}

fn options<'a>(epochs: usize) -> Fit<'a> {
    Fit::new()
        .epochs(epochs)
        .batch_size(8)
        .shuffle(false)
        .verbosity(Verbosity::Silent)
}

#[test]
fn rates_are_pytorchs_parameter_groups() {
    let text = std::fs::read_to_string(case("../golden/rates.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let (x, y) = (array(&golden["x"]), array(&golden["y"]));
    let rate = golden["rate"].as_f64().unwrap();
    let adamw = || {
        AdamW::new(rate)
            .epsilon(1e-12)
            .weight_decay(0.3)
            .build()
            .unwrap()
    };
    let biases = || Selector::weights("bias");
    type Step = fn(&mut StepBuilder<'_>);
    let runs: [(&str, Optimizer, Fit<'_>, Step); 4] = [
        (
            "AdamW, one rate, decay of kernels",
            adamw(),
            options(5).weight_decay(biases(), 0.0),
            |step| step.weight_decay(Selector::weights("bias"), 0.0),
        ),
        (
            "AdamW, rates by layer, decay of kernels",
            Adam::new(rate).epsilon(1e-12).build().unwrap(),
            options(5).layer_decay(0.8).weight_decay("*/kernel", 0.3),
            |step| {
                step.layer_decay(0.8);
                step.weight_decay("*/kernel", 0.3);
            },
        ),
        (
            "AdamW, rates by layer and twice for biases",
            adamw(),
            options(5)
                .learning_rate_scale(biases(), 2.0)
                .layer_decay(0.8),
            |step| {
                step.learning_rate_scale(Selector::weights("bias"), 2.0);
                step.layer_decay(0.8);
            },
        ),
        (
            "SGD, a tenth for the first layer",
            SGD::new(rate).momentum(0.9).build().unwrap(),
            options(5).learning_rate_scale("a", 0.1),
            |step| step.learning_rate_scale("a", 0.1),
        ),
    ];
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), runs.len());
    for ((name, optimizer, fit, rates), case) in runs.into_iter().zip(cases) {
        assert_eq!(case["name"], name);
        let mut model = Sequential::new(layers![
            Input::new([3]),
            Dense::new(4).activation("tanh").named("a"),
            Dense::new(4).activation("tanh").named("b"),
            Dense::new(2).named("c"),
        ])
        .unwrap();
        for (path, value) in golden["start"].as_object().unwrap() {
            let value = array(value);
            let tensor = Tensor::new(value.shape(), value.iter().copied().collect()).unwrap();
            model.set_weight(path, tensor).unwrap();
        }
        // By a loop of one's own, and by `fit`.
        let mut own = model.clone();
        let mut step = own
            .train_step(optimizer.clone(), |step| {
                rates(step);
                let (y, output) = (step.feed("y", &[2]), step.output(0));
                Ok(step.loss(MeanSquaredError, y, output))
            })
            .unwrap();
        let batches = || {
            x.axis_chunks_iter(Axis(0), 8)
                .zip(y.axis_chunks_iter(Axis(0), 8))
        };
        for (x, y) in (0..5).flat_map(|_| batches()) {
            step.run(&mut own, (&x.to_owned(), &y.to_owned())).unwrap();
        }
        model.compile(optimizer, MeanSquaredError, ()).unwrap();
        model.fit(&x, &y, fit).unwrap();
        for (path, expected) in case["weights"].as_object().unwrap() {
            for model in [&model, &own] {
                let ours = model.weight(path).unwrap().value();
                assert_close(ours.as_slice(), &array(expected), 1e-5);
            }
        }
    }
    // What is wrong is said as `fit` says it.
    let model = network();
    let made = |rates: Step| {
        model.train_step(SGD::new(0.1), |step| {
            rates(step);
            Ok(step.output(0).sum_all())
        })
    };
    for (rates, words) in [
        (|step| step.learning_rate_scale("a", -1.0)) as Step,
        |step| step.weight_decay("q", 0.1),
        |step| step.layer_decay(f32::NAN),
    ]
    .into_iter()
    .zip(["0 keeps still", "the nearest", "1 for none"])
    {
        let error = made(rates).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn layers_learn_the_slower_the_farther_they_are_from_the_head() {
    let application = regraft::applications::mobilenet_v2().input_shape([32, 32, 3]);
    let base = application
        .include_top(false)
        .pooling("avg")
        .build()
        .unwrap();
    let stack = layers![
        Input::new([32, 32, 3]),
        base.model.named("base"),
        Dense::new(2)
    ];
    let mut model = Sequential::new(stack).unwrap();
    model.freeze("base/*Conv1*").unwrap();
    model.compile(SGD::new(1e-6), "mse", ()).unwrap();
    let x = ArrayD::<f32>::zeros(vec![2, 32, 32, 3]);
    let y = Array2::<f32>::zeros((2, 2));
    model.fit(&x, &y, options(1).layer_decay(0.5)).unwrap();
    let known = model.optimizer().unwrap().parameters();
    let scale = |path: &str| {
        let parameter = known.iter().find(|parameter| parameter.path == path);
        parameter.map(|parameter| parameter.learning_rate_scale)
    };
    let halves = |count: i32| Some(0.5_f32.powi(count));
    // The head, the last convolution with its normalization, and sixteen blocks.
    assert_eq!(scale("dense/kernel"), Some(1.0));
    assert_eq!(scale("dense/bias"), Some(1.0));
    assert_eq!(scale("base/Conv_1/kernel"), halves(1));
    assert_eq!(scale("base/Conv_1_bn/gamma"), halves(1));
    for block in 1..=16 {
        for weight in ["expand/kernel", "depthwise_BN/beta", "project/kernel"] {
            let path = format!("base/block_{block}_{weight}");
            assert_eq!(scale(&path), halves(2 + 16 - block), "{path}");
        }
    }
    // The first block has another name in Keras, and its two convolutions count by themselves.
    assert_eq!(scale("base/expanded_conv_project_BN/gamma"), halves(18));
    assert_eq!(scale("base/expanded_conv_depthwise/kernel"), halves(19));
    assert_eq!(scale("base/Conv1/kernel"), None, "frozen");
    // Not told again, all learn alike.
    model.fit(&x, &y, options(1)).unwrap();
    let all = model.optimizer().unwrap().parameters();
    assert!(
        all.iter()
            .all(|parameter| parameter.learning_rate_scale == 1.0)
    );
}

#[test]
fn rates_without_meaning_are_refused() {
    let (x, y) = (Array2::<f32>::ones((8, 3)), Array2::<f32>::ones((8, 2)));
    let rate = |name: &str| format!("learning_rate_scale of {name}");
    let (of_a, of_biases) = (rate("\"a\""), rate("weights \"bias\""));
    for (fit, words) in [
        (options(1).learning_rate_scale("a", -1.0), of_a.as_str()),
        (
            options(1)
                .learning_rate_scale("a", 0.5)
                .learning_rate_scale(Selector::weights("bias"), f32::NAN),
            &of_biases,
        ),
        (options(1).learning_rate_scale("a", -1.0), "0 keeps still"),
        (options(1).weight_decay("a", -1.0), "0 for none"),
        (options(1).layer_decay(-0.5), "1 for none"),
        (options(1).learning_rate_scale("q", 0.1), "the nearest"),
        (options(1).weight_decay("a/kernal", 0.1), "a/kernel"),
        (
            options(1).learning_rate_scale("a", -1.0),
            "learning_rate_scale",
        ),
        (options(1).weight_decay("a", f32::NAN), "weight_decay"),
        (options(1).layer_decay(f32::INFINITY), "layer_decay"),
    ] {
        let mut model = network();
        let before = values(&model);
        let error = model.fit(&x, &y, fit).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(values(&model), before);
    }
}

/// Two dense layers and a normalization, of which the first and the normalization are frozen; the bias of the
/// one and the kernel of the last go another way.
fn network() -> Model {
    let mut model = Sequential::with_seed(
        layers![
            Input::new([3]),
            Dense::new(4).activation("relu").named("a"),
            BatchNormalization::new().named("n"),
            Dense::new(2).named("b"),
        ],
        3,
    )
    .unwrap();
    model.freeze(["a", "n"]).unwrap();
    model.unfreeze("a/bias").unwrap();
    model.freeze("b/kernel").unwrap();
    model.compile(Adam::new(0.05), "mse", ()).unwrap();
    model
}

fn values(model: &Model) -> BTreeMap<String, Vec<f32>> {
    let weights = model.weights().iter();
    let value = |weight: &regraft_layers::Weight| {
        (
            weight.path().to_string(),
            weight.value().as_slice().to_vec(),
        )
    };
    weights.map(value).collect()
}

/// The paths of what is not the same in both.
fn moved(model: &Model, before: &BTreeMap<String, Vec<f32>>) -> Vec<String> {
    let now = values(model).into_iter();
    let moved = now.filter(|(path, value)| before.get(path) != Some(value));
    moved.map(|(path, _)| path).collect()
}

fn data() -> (Array2<f32>, Array2<f32>) {
    let x = Array2::from_shape_fn((24, 3), |(i, j)| (i as f32 * 0.7 + j as f32).sin());
    let y = Array2::from_shape_fn((24, 2), |(i, j)| (i + j) as f32 * 0.1);
    (x, y)
}

#[test]
fn training_moves_what_is_trained_alone_and_nothing_else() {
    let mut model = network();
    let (x, y) = data();
    let before = values(&model);
    let digest = model.frozen_digest();
    model.fit(&x, &y, options(3)).unwrap();
    assert_eq!(moved(&model, &before), ["a/bias", "b/bias"]);
    assert_eq!(model.frozen_digest(), digest);
    // The digest looks at single weights.
    let kernel = model.weight("b/kernel").unwrap().value().clone();
    let mut other = kernel.clone();
    other.as_mut_slice()[3] += 1e-6;
    model.set_weight("b/kernel", other).unwrap();
    assert_ne!(model.frozen_digest(), digest);
    model.set_weight("b/kernel", kernel).unwrap();
    let plan = format!("{}", model.plan(24, 8).unwrap());
    let line = |name: &str| plan.lines().find(|line| line.contains(name)).unwrap();
    assert!(line("a (Dense)").contains("4 trained"), "{plan}");
    assert!(line("a (Dense)").contains("forward and backward"), "{plan}");
    assert!(line("b (Dense)").contains("2 trained"), "{plan}");
    // Nothing but frozen weights is trained by nothing.
    model.freeze(Selector::weights("bias")).unwrap();
    let error = model.fit(&x, &y, options(1)).unwrap_err().to_string();
    assert!(error.contains("all layers frozen: a, n, b"), "{error}");
}

#[test]
fn files_keep_what_is_frozen_alone_with_the_optimizers_memory() {
    let (x, y) = data();
    let folder = tempfile::tempdir().unwrap();
    for name in ["m.keras", "m.h5"] {
        let mut model = network();
        model.fit(&x, &y, options(2)).unwrap();
        let path = folder.path().join(name);
        model.save(&path).unwrap();
        let (mut again, _) = Model::open(&path).unwrap();
        assert_eq!(values(&again), values(&model), "{name}");
        assert_eq!(again.to_config(), model.to_config(), "{name}");
        // Both go on alike, memory and all.
        let before = values(&model);
        model.fit(&x, &y, options(2)).unwrap();
        again.fit(&x, &y, options(2)).unwrap();
        assert_eq!(values(&again), values(&model), "{name}");
        assert_eq!(moved(&again, &before), ["a/bias", "b/bias"], "{name}");
    }
}

#[test]
fn a_backup_has_what_is_frozen_alone() {
    let (x, y) = data();
    let folder = tempfile::tempdir().unwrap();
    let fit = |model: &mut Model, epochs: usize, folder: &str| {
        let backup = BackupAndRestore::new(folder).delete_checkpoint(false);
        let fit = options(epochs).layer_decay(0.5).weight_decay("a", 0.1);
        model.fit(&x, &y, fit.callback(backup)).unwrap();
    };
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut whole = network();
    fit(&mut whole, 4, &path("whole"));
    let mut first = network();
    fit(&mut first, 2, &path("half"));
    // A process that has not frozen it so before takes the states from the backup.
    let mut second = network();
    second
        .set_freezing(.., regraft::Freezing::Trainable)
        .unwrap();
    second.freeze("a/kernel").unwrap();
    fit(&mut second, 4, &path("half"));
    assert_eq!(values(&second), values(&whole));
    assert_eq!(second.to_config(), whole.to_config());
}

#[test]
fn what_is_restored_best_is_restored_alone() {
    let (x, y) = data();
    let mut model = network();
    let before = values(&model);
    let best = EarlyStopping::new().patience(0).restore_best_weights(true);
    let fit = options(4).validation_split(0.3).callback(best);
    model.fit(&x, &y, fit).unwrap();
    let moved = moved(&model, &before);
    assert!(moved.iter().all(|path| path.ends_with("bias")), "{moved:?}");
}

#[test]
fn some_weights_are_saved_and_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = data();
    let mut model = network();
    let start = values(&model);
    model.fit(&x, &y, options(2)).unwrap();
    let trained = values(&model);
    let biases = folder.path().join("biases.safetensors");
    model
        .save_weights_of(Selector::weights("bias"), &biases)
        .unwrap();
    let size = std::fs::metadata(&biases).unwrap().len();
    assert!(size < 600, "{size} bytes");
    let mut other = network();
    let _ = other
        .load_weights_with(&biases, Load::only(Selector::weights("bias")))
        .unwrap();
    assert_eq!(values(&other), trained);
    // Whole layers go into every kind of file.
    for name in ["m.weights.h5", "m.h5", "m.safetensors", "m.weights.json"] {
        let path = folder.path().join(name);
        model.save_weights_of("a", &path).unwrap();
        let mut other = network();
        let report = other.load_weights_with(&path, Load::only("a")).unwrap();
        assert_eq!(report.loaded.len(), 2, "{name}: {report}");
        assert_eq!(moved(&other, &start), ["a/bias"], "{name}");
        assert_eq!(values(&other)["a/bias"], trained["a/bias"], "{name}");
        // All is strict otherwise.
        assert!(network().load_weights(&path).is_err(), "{name}");
        if !name.ends_with("safetensors") {
            let error = model.save_weights_of("a/bias", &path).unwrap_err();
            assert!(error.to_string().contains("safetensors"), "{name}: {error}");
        }
    }
    // All of it is some of it.
    let path = folder.path().join("all.safetensors");
    let all = || Selector::weights("*");
    model.save_weights_of(all(), &path).unwrap();
    for load in [Load::only(all()), Load::only(..), Load::only(["*"])] {
        let mut other = network();
        let report = other.load_weights_with(&path, load).unwrap();
        assert!(report.kept.is_empty(), "{report}");
        assert_eq!(values(&other), trained);
    }
    // What is kept of what is picked, and what picks nothing.
    let mut other = network();
    let load = Load::only("a").keep("a/bias");
    let report = other.load_weights_with(&path, load).unwrap();
    assert_eq!(report.loaded.len(), 1, "{report}");
    assert_eq!(values(&other), start);
    let error = other.load_weights_with(&path, Load::only("q")).unwrap_err();
    assert!(error.to_string().contains("received \"q\""), "{error}");
    // Of a whole file a weight is kept, of another shape too.
    let path = folder.path().join("whole.keras");
    model.save(&path).unwrap();
    let mut other = network();
    let report = other
        .load_weights_with(&path, Load::new().keep("a/bias"))
        .unwrap();
    assert_eq!(report.kept, ["a/bias"]);
    assert_eq!(moved(&other, &start), ["b/bias"]);
    assert!(model.save_weights_of("q", &path).is_err());
}
