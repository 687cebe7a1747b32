//! Predictors: kept by the model, shared by threads, and what becomes of them when the model changes.

use regraft::ndarray::Array2;
use regraft::prelude::*;

fn model() -> Model {
    let layers = layers![
        Input::new([6]),
        Dense::new(8).activation("relu").named("hidden"),
        BatchNormalization::new().named("norm"),
        Dropout::new(0.5),
        Dense::new(3).activation("softmax").named("head"),
    ];
    let mut model = Sequential::with_seed(layers, 5).unwrap();
    model.compile(SGD::new(0.1), "mse", ()).unwrap();
    model
}

fn samples(rows: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, 6), |(row, column)| {
        ((row * 6 + column) as f32 * 0.7).sin()
    })
}

fn bits(y: &Tensor) -> Vec<u32> {
    y.as_slice().iter().map(|y| y.to_bits()).collect()
}

/// What the model predicts if nothing was compiled before.
fn afresh(model: &Model, x: &Array2<f32>) -> Vec<u32> {
    bits(&model.clone().predict(x).unwrap())
}

#[test]
fn a_predictor_stays_as_the_model_was() {
    fn is_shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let mut model = model();
    model.set_class_names(["a", "b", "c"]);
    let predictor = model.predictor().unwrap();
    is_shared(&predictor);
    assert_eq!(predictor.class_names().unwrap(), ["a", "b", "c"]);
    let x = samples(9);
    let before = afresh(&model, &x);
    model.set_class_names(["d", "e", "f"]);
    assert_eq!(
        model.predictor().unwrap().class_names().unwrap(),
        ["d", "e", "f"]
    );
    model
        .fit(
            &x,
            &Array2::<f32>::zeros((9, 3)),
            Fit::new().epochs(1).verbosity(Verbosity::Silent),
        )
        .unwrap();
    assert_eq!(bits(&predictor.predict(&x).unwrap()), before);
    drop(model);
    assert_eq!(bits(&predictor.predict(&x).unwrap()), before);
}

/// Whatever changes a value, a state or a layer: the next prediction knows.
#[test]
fn what_a_model_keeps_is_dropped_when_it_changes() {
    type Change = fn(&mut Model, &Array2<f32>);
    let fit = |model: &mut Model, x: &Array2<f32>| {
        let y = Array2::<f32>::zeros((x.nrows(), 3));
        let options = Fit::new()
            .epochs(1)
            .batch_size(4)
            .verbosity(Verbosity::Silent);
        model.fit(x, &y, options).unwrap();
    };
    let changes: [(&str, Change); 6] = [
        ("a value is set", |model, _| {
            let bias = Tensor::new([3], vec![1.0, 0.0, -1.0]).unwrap();
            model.set_weight("head/bias", bias).unwrap();
        }),
        ("a fit", |model, x| {
            let y = Array2::<f32>::zeros((x.nrows(), 3));
            let options = Fit::new().epochs(1).verbosity(Verbosity::Silent);
            model.fit(x, &y, options).unwrap();
        }),
        ("a fit of states alone", |model, x| {
            model.freeze("**").unwrap();
            model.set_freezing("norm", Freezing::Trainable).unwrap();
            let y = Array2::<f32>::zeros((x.nrows(), 3));
            let options = Fit::new().epochs(1).verbosity(Verbosity::Silent);
            model.fit(x, &y, options).unwrap();
        }),
        ("a layer", |model, _| {
            model.pop().unwrap();
            model.add(Dense::new(3).named("head")).unwrap();
        }),
        ("another model in its place", |model, _| {
            *model = Sequential::with_seed(layers![Input::new([6]), Dense::new(3)], 9).unwrap();
        }),
        ("another network in its place", |model, _| {
            let layers = layers![Input::new([6]), Dense::new(3)];
            *model.as_mut() = Sequential::with_seed(layers, 11).unwrap().into_network();
        }),
    ];
    let x = samples(9);
    for (name, change) in changes {
        let mut model = model();
        fit(&mut model, &x);
        let before = bits(&model.predict(&x).unwrap());
        assert_eq!(before, bits(&model.predict(&x).unwrap()));
        change(&mut model, &x);
        let after = bits(&model.predict(&x).unwrap());
        assert_ne!(before, after, "{name}, or the test could not fail");
        assert_eq!(after, afresh(&model, &x), "{name}");
    }
    // In the middle of a fit, too.
    let mut model = model();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = seen.clone();
    let kept = x.clone();
    let look = callbacks::LambdaCallback::new().on_epoch_end(move |_, context, _| {
        let y = bits(&context.model.predict(&kept)?);
        assert_eq!(y, afresh(context.model, &kept));
        told.lock().unwrap().push(y);
        Ok(())
    });
    let y = Array2::<f32>::zeros((9, 3));
    let options = Fit::new()
        .epochs(3)
        .verbosity(Verbosity::Silent)
        .callback(look);
    model.fit(&x, &y, options).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.len() == 3 && seen[0] != seen[1] && seen[1] != seen[2]);
}
