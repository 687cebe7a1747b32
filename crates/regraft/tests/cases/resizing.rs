//! Image layers that are called with `training=True`, and what a saved `training` means.

use regraft::ndarray::{ArrayD, Ix2};
use regraft::optimizers::SGD;
use regraft::{Fit, Model, Verbosity};

use crate::common::{assert_close, case, npz};

#[test]
fn a_saved_default_of_image_layers_opens() {
    let (model, _) = Model::open(case("resizing/fun_resizing.keras")).unwrap();
    let x: ArrayD<f32> = npz("resizing/fun_resizing.npz", "x0");
    let y = model.predict(&x).unwrap();
    assert_close(y.as_slice(), &npz("resizing/fun_resizing.npz", "y0"), 1e-6);
}

/// The moving mean of the nested normalization after an epoch.
fn mean_after_fit(file: &str, numbers: &str) -> Vec<f32> {
    let (mut model, _) = Model::open(case(file)).unwrap();
    model.compile(SGD::new(0.0), "mse", ()).unwrap();
    let read = |key: &str| {
        let array: ArrayD<f32> = npz(numbers, key);
        array.into_dimensionality::<Ix2>().unwrap()
    };
    let fit = Fit::new()
        .epochs(1)
        .batch_size(8)
        .verbosity(Verbosity::Silent);
    model.fit(&read("x"), &read("y"), fit).unwrap();
    let mean = model.weight("base/norm/moving_mean").unwrap();
    mean.value().as_slice().to_vec()
}

#[test]
fn in_keras_3_fit_overrides_a_saved_training_and_in_keras_2_it_holds() {
    let folder = "training-argument";
    for name in ["norm", "k2_norm"] {
        let (file, numbers) = match name {
            "norm" => (format!("{folder}/norm.keras"), format!("{folder}/norm.npz")),
            _ => (
                format!("{folder}/k2_norm.h5"),
                format!("{folder}/k2_norm.npz"),
            ),
        };
        let expected = npz(&numbers, "mean");
        assert_close(&mean_after_fit(&file, &numbers), &expected, 1e-5);
    }
}

#[test]
fn a_dropout_whose_default_was_saved_drops() {
    let (mut model, _) = Model::open(case("training-argument/norm.keras")).unwrap();
    let x = ndarray::Array2::from_elem((64, 4), 1.0_f32);
    let y = ndarray::Array2::from_elem((64, 1), 0.0_f32);
    model.freeze("base").unwrap();
    model.compile(SGD::new(0.0), "mse", ()).unwrap();
    let fit = Fit::new().epochs(2).verbosity(Verbosity::Silent);
    let history = model.fit(&x, &y, fit).unwrap();
    let losses = history.get("loss").unwrap();
    assert_ne!(losses[0], losses[1], "the same samples, dropped otherwise");
}

#[test]
fn a_layer_that_is_always_in_training_is_refused() {
    let error = Model::open(case("training-argument/k2_always.h5")).unwrap_err();
    assert!(error.to_string().contains("training=True"), "{error}");
}
