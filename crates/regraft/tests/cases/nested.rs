//! Models in models, in legacy files, whose names tell the layers within more or less.

use std::path::PathBuf;

use regraft::layers::{Dense, Input, LayerExt, layers};
use regraft::ndarray::ArrayD;
use regraft::{Freezing, Load, Model, Sequential};

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

/// Random nestings that `fixtures/nested_files.py` wrote; those of a sweep are in the folder that
/// `NESTED_FILES` names.
#[test]
fn random_nestings_open_and_are_saved_again() {
    let sweep = std::env::var("NESTED_FILES").map(PathBuf::from);
    for folder in [Ok(case("nested-h5/random")), sweep].into_iter().flatten() {
        let entries = std::fs::read_dir(&folder).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "h5"));
        assert!(paths.len() > 5);
        for path in paths {
            let arrays = path.with_extension("npz");
            let array = |key| npz(arrays.to_str().unwrap(), key);
            check(path.to_str().unwrap(), &array("x"), &array("y"));
            // Frozen and unfrozen after saving: the order of the file is another, its names tell.
            let (model, _) = Model::open(&path).unwrap();
            let config = model.to_config();
            let mut other = Model::from_config(&config, &Default::default()).unwrap();
            other.set_freezing("**", Freezing::Trainable).unwrap();
            for layer in other.select("**").unwrap().iter().step_by(2) {
                other.freeze(layer.as_str()).unwrap();
            }
            let _ = other
                .load_weights(&path)
                .unwrap_or_else(|e| panic!("{path:?}: {e}"));
            let predicted = other.predict(&array("x")).unwrap();
            assert_close(predicted.as_slice(), &array("y"), 1e-5);
        }
    }
}

/// Applications as people keep them once trained, which `fixtures/trained_shapes.py` writes into the folder that
/// `TRAINED_SHAPES` names, if it is set, and Keras reads in its folder `again`.
#[test]
fn trained_shapes() {
    let Ok(folder) = std::env::var("TRAINED_SHAPES").map(PathBuf::from) else {
        return;
    };
    for of in ["k2-rescaled", "k2-teachable", "k3-rescaled", "k3-teachable"] {
        for name in [format!("{of}.keras"), format!("{of}.h5")] {
            let path = folder.join(&name);
            let arrays = folder.join(format!("{name}.npz"));
            let array = |key| npz(arrays.to_str().unwrap(), key);
            check(path.to_str().unwrap(), &array("x"), &array("y"));
            let (model, _) = Model::open(&path).unwrap();
            for ending in ["keras", "h5"] {
                let again = folder.join(format!("again/{name}.{ending}"));
                model.save(again).unwrap();
            }
        }
    }
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
    let values = |model: &regraft::Model| -> Vec<Vec<f32>> {
        let weights = model.weights().iter();
        weights
            .map(|weight| weight.value().as_slice().to_vec())
            .collect()
    };
    assert_eq!(values(&again), values(&model));
    let report = again.load_weights_with(&path, Load::new().keep("net_1.00_160/*"));
    assert_eq!(report.unwrap().loaded.len(), 2);
}

/// Writes for `fixtures/cases_in_keras.py` into the folder that `CASES_FOR_KERAS` names, if it is set.
#[test]
fn written_for_keras() {
    let Ok(folder) = std::env::var("CASES_FOR_KERAS") else {
        return;
    };
    let of = [
        "shared-layers",
        "dict-outputs",
        "nested-h5/random",
        "wrapped-layers",
        "mixed-precision",
    ];
    for of in of {
        for entry in std::fs::read_dir(case(of)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_model = [".h5", ".keras", ".tf"]
                .iter()
                .any(|end| name.ends_with(end));
            if is_model && !name.ends_with(".weights.h5") {
                let (model, _) = Model::open(&path).unwrap();
                model.save(format!("{folder}/{name}.keras")).unwrap();
                model.save(format!("{folder}/{name}.h5")).unwrap();
                model
                    .save_weights(format!("{folder}/{name}.weights.h5"))
                    .unwrap();
            }
        }
    }
    // A layer of three of one class, by itself.
    let dense = || Dense::new(4);
    let stack = layers![Input::new([4]), dense(), dense().named("own"), dense()];
    let model = Sequential::with_seed(stack, 7).unwrap();
    model.save(format!("{folder}/whole.keras")).unwrap();
    for ending in ["weights.h5", "h5"] {
        let path = format!("{folder}/part.{ending}");
        model.save_weights_of("own", path).unwrap();
    }
}
