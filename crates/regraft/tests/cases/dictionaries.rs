//! Inputs and outputs that are dictionaries: names and order as Keras', in files, data and training.

use std::path::Path;

use regraft::ndarray::ArrayD;
use regraft::optimizers::SGD;
use regraft::{Fit, Model, Verbosity};
use serde_json::Value;

use crate::common::{assert_close, case, npy, npz};

fn of(name: &str, key: &str) -> ArrayD<f32> {
    npz(&format!("dict-outputs/{name}.npz"), key)
}

fn check(model: &Model, name: &str) {
    let (first, second) = (of(name, "x:first"), of(name, "x:second"));
    // In any order, and in that of the sorted keys.
    let named = model
        .predict_named([("second", &second), ("first", &first)])
        .unwrap();
    for (key, output) in &named {
        assert_close(output.as_slice(), &of(name, &format!("y:{key}")), 1e-5);
    }
    assert_eq!(named.keys().collect::<Vec<_>>(), ["ape", "zoo"]);
    let all = model.predict_all((&first, &second)).unwrap();
    assert_eq!(all, named.into_values().collect::<Vec<_>>());
}

/// `input_layers` and `output_layers` as a file has them, calls included.
fn ends(config: &Value) -> [String; 2] {
    ["input_layers", "output_layers"].map(|key| config["config"][key].to_string())
}

#[test]
fn dictionaries_open_and_are_saved_as_they_came() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in [("k3", "k3.keras"), ("k3", "k3.h5"), ("k2", "k2.h5")] {
        let path = case(&format!("dict-outputs/{file}"));
        let (model, report) = Model::open(&path).unwrap();
        assert_eq!(model.output_names(), ["ape", "zoo"]);
        assert_eq!(model.input_names(), ["first", "second"]);
        check(&model, name);
        let original = regraft_io::read(&path).unwrap().config.unwrap();
        let config = model.to_config();
        assert_eq!(ends(&config), ends(&original), "{report}");
        let layers = |config: &Value| -> Vec<Value> {
            let layers = config["config"]["layers"].as_array().unwrap();
            layers.iter().map(|layer| layer["name"].clone()).collect()
        };
        assert_eq!(
            layers(&config),
            layers(&original),
            "weight files number them so"
        );
        for ending in ["keras", "h5"] {
            let path = folder.path().join(format!("m.{ending}"));
            model.save(&path).unwrap();
            check(&Model::open(&path).unwrap().0, name);
        }
        for ending in ["weights.h5", "h5", "safetensors"] {
            let path = folder.path().join(format!("w.{ending}"));
            model.save_weights(&path).unwrap();
            let mut again = Model::from_config(&original, &Default::default()).unwrap();
            let _ = again.load_weights(&path).unwrap();
            check(&again, name);
        }
    }
}

#[test]
fn weights_alone_never_swap_heads() {
    let read = |path: &Path| regraft_io::read(path).unwrap();
    let (mut model, _) = Model::open(case("dict-outputs/k3.keras")).unwrap();
    let path = case("dict-outputs/k3.weights.h5");
    let _ = model.load_weights(&path).unwrap();
    check(&model, "k3");
    // Keras tells the two heads apart by their number alone.
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("x.weights.h5");
    model.save_weights(&ours).unwrap();
    let layers = |path: &Path| -> Vec<(String, Vec<regraft_io::TensorData>)> {
        let checkpoint = read(path);
        let with_weights = checkpoint
            .layers
            .iter()
            .filter(|layer| !layer.weights.is_empty());
        with_weights
            .map(|layer| {
                let tensors = layer.weights.iter().map(|weight| weight.tensor.clone());
                (layer.path.clone(), tensors.collect())
            })
            .collect()
    };
    assert_eq!(layers(&ours), layers(&path));
}

#[test]
fn the_reported_file() {
    let (model, _) = Model::open(case("dict-outputs/dict_same.keras")).unwrap();
    let (zeta, alpha) = (of("dict_same", "x0"), of("dict_same", "x1"));
    let outputs = model
        .predict_named([("zeta", &zeta), ("alpha", &alpha)])
        .unwrap();
    assert_close(outputs["two"].as_slice(), &of("dict_same", "y0"), 1e-5);
    assert_close(outputs["one"].as_slice(), &of("dict_same", "y1"), 1e-5);
}

#[test]
fn nested_models_take_and_give_dictionaries() {
    for (name, file) in [("k3", "k3-outer.keras"), ("k2", "k2-outer.h5")] {
        let (model, _) = Model::open(case(&format!("dict-outputs/{file}"))).unwrap();
        let (first, second) = (of(name, "x:first"), of(name, "x:second"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.keras");
        model.save(&path).unwrap();
        for model in [model, Model::open(&path).unwrap().0] {
            assert_eq!(model.input_names(), ["b", "a"]);
            for (key, output) in model.predict_named((&second, &first)).unwrap() {
                let y = of(&format!("{name}-outer"), &format!("y:{key}"));
                assert_close(output.as_slice(), &y, 1e-5);
            }
            // A model whose inputs are a list takes them by the names of its input layers too.
            let named = model
                .predict_named([("a", &first), ("b", &second)])
                .unwrap();
            assert_eq!(named, model.predict_named((&second, &first)).unwrap());
        }
    }
}

#[test]
fn losses_and_data_go_by_name() {
    for (name, opened) in [("k3", true), ("k3", false), ("k2", false)] {
        let file = if name == "k3" { "k3.keras" } else { "k2.h5" };
        let (mut model, report) = Model::open(case(&format!("dict-outputs/{file}"))).unwrap();
        if opened {
            assert!(model.optimizer().is_some(), "{report}");
        } else {
            let sgd = SGD::new(0.01);
            model.compile(sgd, "mse", ()).unwrap();
            model
                .named_losses([("zoo", "mse"), ("ape", "mae")])
                .unwrap();
            model
                .named_loss_weights([("ape", 0.5), ("zoo", 2.0)])
                .unwrap();
        }
        let [first, second, zoo, ape] =
            ["x:first", "x:second", "t:zoo", "t:ape"].map(|key| of(name, key));
        let fit = Fit::new().epochs(3).batch_size(4).shuffle(false);
        let x = [("second", &second), ("first", &first)];
        let y = [("zoo", &zoo), ("ape", &ape)];
        let history = model.fit(x, y, fit.verbosity(Verbosity::Silent)).unwrap();
        for (ours, key) in [
            ("loss", "loss"),
            ("zoo_loss", "loss:zoo"),
            ("ape_loss", "loss:ape"),
        ] {
            let losses: Vec<f32> = history
                .get(ours)
                .unwrap()
                .iter()
                .map(|&l| l as f32)
                .collect();
            assert_close(&losses, &of(name, key), 1e-5);
        }
        // Saved by name again.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.keras");
        model.save(&path).unwrap();
        let config = regraft_io::read(&path).unwrap().compile_config.unwrap();
        assert!(
            config["loss"]["zoo"].to_string().contains("quared"),
            "{config}"
        );
        assert_eq!(config["loss_weights"]["ape"], 0.5);
        assert!(Model::open(&path).unwrap().0.optimizer().is_some());
    }
}

#[test]
fn losses_of_a_file_by_name() {
    let (mut model, report) = Model::open(case("dict-outputs/loss/losses.keras")).unwrap();
    assert!(model.optimizer().is_some(), "{report}");
    let array = |name: &str| npy::<f32>(&format!("dict-outputs/loss/{name}.npy"));
    let (x, oz, oa) = (array("x"), array("t0"), array("t1"));
    let silent = || Fit::new().verbosity(Verbosity::Silent).shuffle(false);
    let by_name = model.fit(&x, [("oa", &oa), ("oz", &oz)], silent()).unwrap();
    let (mut again, _) = Model::open(case("dict-outputs/loss/losses.keras")).unwrap();
    let by_order = again.fit(&x, (&oz, &oa), silent()).unwrap();
    assert_eq!(by_name.get("oa_loss"), by_order.get("oa_loss"));
}

#[test]
fn wrong_names_are_said() {
    let (mut model, _) = Model::open(case("dict-outputs/k3.keras")).unwrap();
    let (first, second) = (of("k3", "x:first"), of("k3", "x:second"));
    let wrong = model
        .predict_named([("frist", &first), ("second", &second)])
        .unwrap_err();
    assert!(
        wrong.to_string().contains("the nearest are \"first\""),
        "{wrong}"
    );
    let wrong = model
        .predict_named([("first", &first), ("first", &first)])
        .unwrap_err();
    assert!(
        wrong.to_string().contains("one array for \"first\""),
        "{wrong}"
    );
    let wrong = model.predict_named([("first", &first)]).unwrap_err();
    assert!(wrong.to_string().contains("none for \"second\""), "{wrong}");
    let wrong = model
        .predict_named((("first", &first), &second))
        .unwrap_err();
    assert!(wrong.to_string().contains("some of each"), "{wrong}");
    let wrong = model.named_losses([("zoo", "mse")]).unwrap_err();
    assert!(wrong.to_string().contains("none for \"ape\""), "{wrong}");
}
