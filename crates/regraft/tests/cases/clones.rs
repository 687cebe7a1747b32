//! A clone of a compiled model is that model once more, and another one.

use regraft::callbacks::LambdaCallback;
use regraft::layers::{BatchNormalization, Dense, Dropout, Input, LayerExt, layers};
use regraft::metrics::{ConfusionMatrix, Metric};
use regraft::ndarray::{Array1, Array2};
use regraft::optimizers::Adam;
use regraft::{Fit, History, Model, Result, Sequential, Verbosity};

/// A model with everything that training moves: statistics, dropout, the optimizer's memory.
fn model() -> Model {
    let base = layers![
        Input::new([4]),
        Dense::new(6).activation("relu").named("hidden"),
        BatchNormalization::new().named("norm"),
    ];
    let base = Sequential::with_seed(base, 3).unwrap();
    let stack = layers![
        Input::new([4]),
        base.named("base"),
        Dropout::new(0.3),
        Dense::new(3).named("head"),
    ];
    let mut model = Sequential::with_seed(stack, 4).unwrap();
    compile(&mut model);
    model
}

fn compile(model: &mut Model) {
    let metrics = ("accuracy", ConfusionMatrix::new(3));
    let optimizer = Adam::new(0.02).ema_momentum(0.9);
    let loss = "sparse_categorical_crossentropy";
    model.compile(optimizer, loss, metrics).unwrap();
    model.weighted_metrics(["accuracy"]).unwrap();
}

fn fit(model: &mut Model, options: Fit<'_>) -> Result<History> {
    let x = Array2::from_shape_fn((30, 4), |(i, j)| ((i * 4 + j) as f32 * 0.7).sin());
    let y = Array1::from_shape_fn(30, |i| (i % 3) as i32);
    let options = options.epochs(2).batch_size(8).validation_split(0.3);
    let options = options.class_weight([(1, 2.0)]);
    model.fit(&x, &y, options.verbosity(Verbosity::Silent))
}

/// Everything that a model has: weights, slots and counts of the optimizer, results of the metrics.
fn state(model: &Model) -> Vec<(String, Vec<u32>)> {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    let mut state = Vec::new();
    for weight in model.weights().iter() {
        let path = weight.path();
        state.push((path.to_string(), bits(weight.value().as_slice())));
        let optimizer = model.optimizer().unwrap();
        for name in ["momentum", "velocity", "average"] {
            let slot = optimizer.slot(path, name).unwrap_or_default();
            state.push((format!("{path} {name}"), bits(slot)));
        }
        let updates = optimizer.updates(path).unwrap_or(u64::MAX) as u32;
        state.push((format!("{path} updates"), vec![updates]));
    }
    let results = model.metrics().flat_map(Metric::results);
    let results: Vec<f32> = results.map(|result| result as f32).collect();
    state.push(("metrics".to_string(), bits(&results)));
    state
}

#[test]
fn a_clone_trains_to_the_same_bytes() {
    let mut model = model();
    model.set_class_names(["a", "b", "c"]);
    fit(&mut model, Fit::new()).unwrap();
    model.freeze("base").unwrap();
    fit(&mut model, Fit::new().seed(1)).unwrap();
    let before = state(&model);
    let mut copy = model.clone();
    assert_eq!(state(&copy), before);
    assert_eq!(copy.class_names(), model.class_names());
    for target in ["base/hidden", "base"] {
        for model in [&mut model, &mut copy] {
            model.unfreeze(target).unwrap();
        }
        let history = fit(&mut copy, Fit::new().seed(2)).unwrap();
        assert_ne!(state(&copy), before, "trained");
        let expected = fit(&mut model, Fit::new().seed(2)).unwrap();
        for name in expected.names() {
            assert_eq!(history.get(name), expected.get(name), "{name}");
        }
        assert_eq!(state(&copy), state(&model), "after unfreezing {target}");
    }
}

#[test]
fn nothing_that_is_done_to_a_clone_changes_the_model() {
    let mut model = model();
    fit(&mut model, Fit::new()).unwrap();
    let before = state(&model);
    let mut copy = model.clone();
    fit(&mut copy, Fit::new()).unwrap();
    copy.pop().unwrap();
    copy.add(Dense::new(3).named("head")).unwrap();
    fit(&mut copy, Fit::new()).unwrap();
    // The new head knows nothing of the old one's memory.
    let updates = |model: &Model, path| model.optimizer().unwrap().updates(path);
    assert_eq!(updates(&copy, "head/kernel"), Some(6));
    assert_eq!(updates(&copy, "base/hidden/kernel"), Some(18));
    copy.compile("sgd", "mse", ()).unwrap();
    assert_eq!(state(&model), before);
}

/// Trains, and does something to the model after the second step.
fn fit_and(model: &mut Model, act: impl Fn(&mut Model)) -> Result<History> {
    let callback = LambdaCallback::new().on_batch_end(|epoch, step, context| {
        if (epoch, step) == (0, 1) {
            act(context.model);
        }
        Ok(())
    });
    fit(model, Fit::new().callback(callback))
}

#[test]
fn training_goes_on_with_what_a_callback_makes_of_the_model() {
    // Another optimizer, and metrics of its own.
    let mut model = model();
    let history = fit_and(&mut model, |model| {
        model
            .compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
            .unwrap();
    });
    assert_eq!(history.unwrap().get("val_accuracy").unwrap().len(), 2);
    assert_eq!(model.optimizer().unwrap().class_name(), "SGD");
    assert_eq!(model.optimizer().unwrap().iterations(), 4);
    // A clone in the place of the model is trained as the model would have been.
    let (mut one, mut other) = (crate::clones::model(), crate::clones::model());
    fit(&mut one, Fit::new()).unwrap();
    fit_and(&mut other, |model| *model = model.clone()).unwrap();
    assert_eq!(state(&one), state(&other));
    // Trained in between, on its own.
    fit_and(&mut one, |model| drop(fit(model, Fit::new()).unwrap())).unwrap();
    assert_eq!(one.optimizer().unwrap().iterations(), 18);
    // One that is not compiled is refused.
    let error = fit_and(&mut one, |model| *model = model.with_head(vec![]).unwrap());
    assert!(error.unwrap_err().to_string().contains("compile"));
}
