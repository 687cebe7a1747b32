//! A layer that stands in a nested model and again outside is one: one set of weights, one state, one slot
//! of the optimizer, in every file.

use regraft::ndarray::ArrayD;
use regraft::optimizers::SGD;
use regraft::{Fit, Freezing, Model, Verbosity};

use crate::common::{assert_close, case, npy, npz};

const ALL: [&str; 13] = [
    "k3-outer_first.keras",
    "k3-outer_first.h5",
    "k3-twice.keras",
    "k3-twice.h5",
    "k3-model.keras",
    "k3-model.h5",
    "k3-norm.keras",
    "k3-norm.h5",
    "k3-sequential.keras",
    "k3-sequential.h5",
    "k2-twice.h5",
    "k2-model.h5",
    "k3-sub_and_out.keras",
];

fn of(file: &str, key: &str) -> ArrayD<f32> {
    let name = file.rsplit_once('.').unwrap().0;
    match name {
        "k3-sub_and_out" if key == "x" => npy("shared-layers/k3-x.npy"),
        "k3-sub_and_out" => npy(&format!("shared-layers/{name}.{key}.npy")),
        _ => npz(&format!("shared-layers/{name}.npz"), key),
    }
}

fn open(file: &str) -> Model {
    Model::open(case(&format!("shared-layers/{file}")))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
        .0
}

fn trained(mut model: Model, file: &str) -> Vec<f32> {
    model.compile(SGD::new(0.05), "mse", ()).unwrap();
    let (x, t) = (of(file, "x"), of(file, "t"));
    let fit = Fit::new().epochs(3).batch_size(8).shuffle(false);
    model.fit(&x, &t, fit.verbosity(Verbosity::Silent)).unwrap();
    model.predict(&x).unwrap().as_slice().to_vec()
}

#[test]
fn one_layer_opens_trains_and_is_saved_as_one() {
    let folder = tempfile::tempdir().unwrap();
    for file in ALL {
        let (model, report) = Model::open(case(&format!("shared-layers/{file}"))).unwrap();
        assert!(
            report.to_string().contains("are one layer"),
            "{file}: {report}"
        );
        let (x, y) = (of(file, "x"), of(file, "y"));
        assert_close(model.predict(&x).unwrap().as_slice(), &y, 1e-5);
        let count = match file {
            "k3-sub_and_out.keras" => 2,
            _ => {
                let name = file.rsplit_once('.').unwrap().0;
                npz::<i32>(&format!("shared-layers/{name}.npz"), "weights")[[0]] as usize
            }
        };
        assert_eq!(model.weights().len(), count, "{file}");
        for ending in ["keras", "h5"] {
            let path = folder.path().join(format!("m.{ending}"));
            model.save(&path).unwrap();
            let (again, _) = Model::open(&path).unwrap();
            assert_eq!(again.to_config(), model.to_config(), "{file}");
            assert_eq!(again.shared_layers(), model.shared_layers());
            if count > 2 || !file.contains("sub_and_out") {
                assert_close(&trained(again, file), &of(file, "after"), 1e-5);
            }
        }
        for ending in ["weights.h5", "h5", "safetensors"] {
            let path = folder.path().join(format!("w.{ending}"));
            model.save_weights(&path).unwrap();
            let mut again = Model::from_config(&model.to_config(), &Default::default()).unwrap();
            let _ = again.load_weights(&path).unwrap();
            assert_close(again.predict(&x).unwrap().as_slice(), &y, 1e-5);
        }
        if !file.contains("sub_and_out") {
            assert_close(&trained(model, file), &of(file, "after"), 1e-5);
        }
    }
}

#[test]
fn it_has_one_state_and_one_slot() {
    let mut model = open("k3-twice.keras");
    assert_eq!(model.shared_layers(), [["sub/sh", "sh"]]);
    assert_eq!(model.count_parameters().total(), 20);
    for (frozen, other) in [("sh", "sub/sh"), ("sub/sh", "sh")] {
        model.set_freezing("**", Freezing::Trainable).unwrap();
        let path = model
            .select("**")
            .unwrap()
            .into_iter()
            .find(|path| path == frozen);
        model.freeze(path.unwrap().as_str()).unwrap();
        let state = model.get_layer(other).unwrap().freezing();
        assert_eq!(state, Freezing::Frozen, "{other} with {frozen}");
        assert_eq!(model.count_parameters().frozen, 20);
    }
    model.set_freezing("**", Freezing::Trainable).unwrap();
    model
        .compile(SGD::new(0.05).momentum(0.9), "mse", ())
        .unwrap();
    let (x, t) = (of("k3-twice.keras", "x"), of("k3-twice.keras", "t"));
    let fit = || Fit::new().verbosity(Verbosity::Silent).shuffle(false);
    model.fit(&x, &t, fit()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for ending in ["keras", "h5"] {
        let path = folder.path().join(format!("m.{ending}"));
        model.save(&path).unwrap();
        let slots = regraft_io::read(&path).unwrap().optimizer.unwrap();
        assert_eq!(slots.slots().len(), 2);
        let (again, report) = Model::open(&path).unwrap();
        assert!(
            report.to_string().contains("optimizer at step 1"),
            "{report}"
        );
        assert_eq!(again.optimizer().unwrap().iterations(), 1);
    }
}

#[test]
fn a_file_with_two_layers_where_the_model_has_one_is_refused() {
    let model = open("k3-twice.h5");
    let mut checkpoint = model.checkpoint(regraft_io::Format::LegacyWeights).unwrap();
    let last = checkpoint.layers.last_mut().unwrap();
    assert!(!last.weights.is_empty() || last.name() != "sh");
    for layer in &mut checkpoint.layers {
        if layer.name() == "sh" {
            layer.weights[1].tensor = regraft::Tensor::full([4], 9.0).into();
        }
    }
    let mut again = open("k3-twice.h5");
    let error = again
        .load_checkpoint(&checkpoint, "memory", regraft::Load::new())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("another place of the same layer"),
        "{error}"
    );
}
