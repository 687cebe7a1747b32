//! Masks: made, passed on and used as in Keras.

use regraft::ndarray::{ArrayD, Ix2};
use regraft::optimizers::SGD;
use regraft::{Fit, Model, Verbosity};

use crate::common::{assert_close, case, npy};

/// Token ids padded with 0.
fn ids() -> ndarray::Array2<i32> {
    let ids: ArrayD<i32> = npy("mask/x.npy");
    ids.into_dimensionality::<Ix2>().unwrap()
}

#[test]
fn pooling_over_time_leaves_padding_out() {
    let expected = npy("mask/a.y.npy");
    for file in ["a.keras", "a.h5"] {
        let (model, _) = Model::open(case(&format!("mask/{file}"))).unwrap();
        let y = model.predict(&ids()).unwrap();
        assert_close(y.as_slice(), &expected, 1e-6);
    }
}

#[test]
fn statistics_leave_padding_out() {
    let (mut model, _) = Model::open(case("mask/g.keras")).unwrap();
    let x = ids();
    model.compile(SGD::new(0.0), "mse", ()).unwrap();
    let y = ndarray::Array2::<f32>::zeros((x.nrows(), 2));
    let fit = Fit::new().epochs(1).verbosity(Verbosity::Silent);
    model.fit(&x, &y, fit).unwrap();
    let mean = model.weight("batch_normalization/moving_mean").unwrap();
    assert!((mean.value().as_slice()[0] + 0.0749).abs() < 1e-4);
}
