//! Models in models, in legacy files, whose names tell the layers within more or less.

use regraft::ndarray::ArrayD;
use regraft::{Load, Model};

use crate::common::{assert_close, case, npy, npz};

fn check(name: &str, x: &ArrayD<f32>, y: &ArrayD<f32>) {
    let (model, report) = Model::open(case(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(
        report.missing.is_empty() && report.unexpected.is_empty(),
        "{report}"
    );
    assert_close(model.predict(x).unwrap().as_slice(), y, 1e-5);
    let folder = tempfile::tempdir().unwrap();
    for ending in ["h5", "keras"] {
        let path = folder.path().join(format!("again.{ending}"));
        model.save(&path).unwrap();
        let (again, _) = Model::open(&path).unwrap();
        assert_close(again.predict(x).unwrap().as_slice(), y, 1e-5);
    }
}

#[test]
fn a_model_in_a_model_in_a_model() {
    let (x, y) = (
        npy("nested-h5/k3-x.npy"),
        npy("nested-h5/k3-fun_fun_fun.y.npy"),
    );
    check("nested-h5/k3-fun_fun_fun.h5", &x, &y);
    check("nested-h5/k3-fun_fun_fun.keras", &x, &y);
    let of = |key| npz("nested-h5/nest_FSF.npz", key);
    check("nested-h5/nest_FSF.h5", &of("x0"), &of("y0"));
}

#[test]
fn a_name_with_a_dot_is_found_in_safetensors() {
    use regraft_layers::layers::{Dense, Input};
    use regraft_layers::{LayerExt, layers};

    let inner = || {
        let stack = layers![Input::new([3]), Dense::new(2).named("conv_1.5")];
        regraft_layers::Sequential::new(stack)
            .unwrap()
            .named("net_1.00_160")
    };
    let outer = |seed| {
        let stack = layers![inner(), Dense::new(2)];
        regraft::Sequential::with_seed(stack, seed).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let model = outer(1);
    model.save_weights(&path).unwrap();
    let mut again = outer(2);
    let report = again.load_weights(&path).unwrap();
    assert_eq!(report.loaded.len(), 4);
    let values = |model: &regraft::Sequential| -> Vec<Vec<f32>> {
        let weights = model.weights().iter();
        weights
            .map(|weight| weight.value().as_slice().to_vec())
            .collect()
    };
    assert_eq!(values(&again), values(&model));
    let report = again.load_weights_with(&path, Load::new().keep("net_1.00_160/*"));
    assert_eq!(report.unwrap().loaded.len(), 2);
}
