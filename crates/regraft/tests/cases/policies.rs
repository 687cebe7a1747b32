//! Policies of element types: computed in float32, named, and kept.

use regraft::ndarray::ArrayD;
use regraft::{Model, OptimizerState};

use crate::common::{assert_close, case, npy};

const MIXED: &str = "mixed-precision/mixed_float16.keras";

#[test]
fn a_policy_is_named_and_saved_again_as_it_came() {
    let (model, report) = Model::open(case(MIXED)).unwrap();
    // Three layers of four; the last activation is float32.
    assert_eq!(model.policies(), [("mixed_float16".to_string(), 3)]);
    assert!(report.to_string().contains("mixed_float16"), "{report}");
    assert!(model.summary().to_string().contains("mixed_float16"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["again.keras", "again.h5"] {
        let path = folder.path().join(name);
        model.save(&path).unwrap();
        let (again, _report) = Model::open(&path).unwrap();
        assert_eq!(again.policies(), model.policies(), "{name}");
    }
}

#[test]
fn it_computes_what_keras_does_within_16_bits() {
    let (x, y): (ArrayD<f32>, ArrayD<f32>) = (
        npy("mixed-precision/x.npy"),
        npy("mixed-precision/mixed_float16.y.npy"),
    );
    let (model, _report) = Model::open(case(MIXED)).unwrap();
    // 11 bits of mantissa, through three layers.
    assert_close(model.predict(&x).unwrap().as_slice(), &y, 4.0 / 2048.0);
}

#[test]
fn the_moments_within_a_loss_scaling_are_restored() {
    let (mut model, report) = Model::open(case(MIXED)).unwrap();
    let OptimizerState::Restored { steps } = report.optimizer else {
        panic!("{report}");
    };
    assert!(steps > 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.weights.h5");
    model.save_weights(&path).unwrap();
    let report = model.load_weights(&path).unwrap();
    assert_eq!(report.optimizer, OptimizerState::Restored { steps });
}
