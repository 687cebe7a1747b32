//! Operations of `keras.ops` and of TensorFlow inside functional models.

use regraft::Model;

use crate::common::{assert_close, case, npy};

/// Opens the model, and again what it saves.
fn check(name: &str, x: &str, y: &str) {
    let (x, y) = (npy::<f32>(x), npy::<f32>(y));
    let (model, _report) = Model::open(case(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_close(model.predict(&x).unwrap().as_slice(), &y, 1e-5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.keras");
    model.save(&path).unwrap();
    let (again, _report) = Model::open(&path).unwrap();
    assert_close(again.predict(&x).unwrap().as_slice(), &y, 1e-5);
}

#[test]
fn preprocessing_of_an_application_within_the_model() {
    let (x, y) = ("operations/x.npy", "operations/resnet50.y.npy");
    check("operations/resnet50.keras", x, y);
}

#[test]
fn slices_of_keras_2() {
    let x = "operations/k2/x.npy";
    check("operations/k2/rev.h5", x, "operations/k2/rev.y.npy");
    check(
        "operations/k2/densenet.h5",
        x,
        "operations/k2/densenet.y.npy",
    );
}
