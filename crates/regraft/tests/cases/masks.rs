//! Masks: made, passed on and used as in Keras.

use regraft::losses::LossFunction;
use regraft::metrics::{self, Metric};
use regraft::ndarray::{Array2, ArrayD, Ix2, IxDyn};
use regraft::optimizers::SGD;
use regraft::{Data, FeatureCache, Fit, IntoData, Model, Verbosity};
use regraft_layers::Registry;
use regraft_tensor::Tensor;
use serde_json::Value;

use crate::common::{assert_close, case, npy};

/// Token ids padded with 0.
fn ids() -> Array2<i32> {
    let ids: ArrayD<i32> = npy("mask/x.npy");
    ids.into_dimensionality::<Ix2>().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap_or(f64::NAN))
        .collect()
}

fn array(value: &Value) -> ArrayD<f32> {
    let shape: Vec<usize> = numbers(&value["shape"])
        .iter()
        .map(|&size| size as usize)
        .collect();
    let data = numbers(&value["data"])
        .iter()
        .map(|&number| number as f32)
        .collect();
    ArrayD::from_shape_vec(IxDyn(&shape), data).unwrap()
}

/// Integers where all of the file's numbers are, else floats.
enum Array {
    Integers(ArrayD<i32>),
    Floats(ArrayD<f32>),
}

impl Array {
    fn new(value: &Value) -> Self {
        let floats = array(value);
        match value["data"].as_array().unwrap().iter().all(Value::is_i64) {
            true => Array::Integers(floats.mapv(|number| number as i32)),
            false => Array::Floats(floats),
        }
    }

    fn data(&self) -> Data<'_> {
        match self {
            Array::Integers(array) => array.into_data().unwrap(),
            Array::Floats(array) => array.into_data().unwrap(),
        }
    }
}

fn close(name: &str, received: f64, expected: f64, tolerance: f64) {
    let difference = (received - expected).abs() / expected.abs().max(1e-1);
    assert!(
        difference <= tolerance || received.is_nan() && expected.is_nan(),
        "{name}: {received} instead of {expected}"
    );
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
    let y = Array2::<f32>::zeros((x.nrows(), 2));
    let fit = Fit::new().epochs(1).verbosity(Verbosity::Silent);
    model.fit(&x, &y, fit).unwrap();
    let mean = model.weight("batch_normalization/moving_mean").unwrap();
    assert!((mean.value().as_slice()[0] + 0.0749).abs() < 1e-4);
}

#[test]
fn time_distributed_layers_open_from_every_file_and_go_back() {
    let folder = std::env::temp_dir().join(format!("regraft-masks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let x: ArrayD<f32> = npy("time-distributed/x.npy");
    for (file, y) in [
        ("k3.keras", "k3"),
        ("k3.h5", "k3"),
        ("k2.keras", "k2"),
        ("k2.h5", "k2"),
    ] {
        let expected = npy(&format!("time-distributed/{y}.y.npy"));
        let (mut model, _) = Model::open(case(&format!("time-distributed/{file}"))).unwrap();
        assert_close(model.predict(&x).unwrap().as_slice(), &expected, 1e-6);
        for ending in ["keras", "h5"] {
            let path = folder.join(format!("again.{ending}"));
            model.save(&path).unwrap();
            let (again, _) = Model::open(&path).unwrap();
            assert_close(again.predict(&x).unwrap().as_slice(), &expected, 1e-6);
        }
        model.freeze("td").unwrap();
        let inner = model.get_layer("td/inner").unwrap().freezing();
        assert_eq!(inner, regraft::Freezing::Frozen);
        assert_eq!(model.get_layer("td").unwrap().count_parameters().frozen, 15);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A model of a case, with its first weights, compiled.
fn compiled(case: &Value) -> Model {
    let (config, inputs) = (&case["config"], &case["inputs"]);
    let model = regraft_layers::Model::from_config(&config["model"], &Registry::new());
    let mut model = Model::from(model.unwrap_or_else(|error| panic!("{}: {error}", case["name"])));
    for weight in inputs["weights"].as_array().unwrap() {
        let path = weight["path"].as_str().unwrap();
        let value = Tensor::from(array(&weight["value"]));
        model.set_weight(path, value).unwrap();
    }
    let loss = LossFunction::deserialize(&config["loss"]).unwrap();
    let of = |key: &str| -> Vec<Box<dyn Metric>> {
        let names = config[key].as_array().unwrap().iter();
        names
            .map(|name| metrics::by_name(name.as_str().unwrap()).unwrap())
            .collect()
    };
    model.compile(SGD::new(0.1), loss, of("metrics")).unwrap();
    model.weighted_metrics(of("weighted_metrics")).unwrap();
    model
}

fn data(arrays: &[Array]) -> Vec<Data<'_>> {
    arrays.iter().map(Array::data).collect()
}

#[test]
fn training_with_padding_goes_as_in_keras() {
    trains_as_in_keras(
        include_str!("../../../../fixtures/golden/masked_training.json"),
        30,
    );
}

#[test]
fn training_with_attention_goes_as_in_keras() {
    trains_as_in_keras(
        include_str!("../../../../fixtures/golden/attention_training.json"),
        8,
    );
}

#[test]
fn training_of_recurrent_layers_goes_as_in_keras() {
    trains_as_in_keras(
        include_str!("../../../../fixtures/golden/recurrent_training.json"),
        30,
    );
}

/// Goes through a file of at least so many cases.
fn trains_as_in_keras(text: &str, at_least: usize) {
    let golden: Value = serde_json::from_str(text).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= at_least);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        println!("{name}");
        let (inputs, outputs) = (&case["inputs"], &case["outputs"]);
        let xs: Vec<Array> = inputs["x"]
            .as_array()
            .unwrap()
            .iter()
            .map(Array::new)
            .collect();
        let ys: Vec<Array> = inputs["y"]
            .as_array()
            .unwrap()
            .iter()
            .map(Array::new)
            .collect();
        let model = compiled(case);
        let predictions = model.predict_all(data(&xs)).unwrap();
        for (received, expected) in predictions
            .iter()
            .zip(outputs["predictions"].as_array().unwrap())
        {
            assert_close(received.as_slice(), &array(expected), 1e-5);
        }
        let samples = array(&inputs["x"][0]).shape()[0];
        let weights = (!inputs["sample_weight"].is_null()).then(|| array(&inputs["sample_weight"]));
        for cache in [FeatureCache::Off, FeatureCache::Auto] {
            let mut model = compiled(case);
            let mut fit = Fit::new().epochs(5).batch_size(samples).shuffle(false);
            fit = fit.feature_cache(cache).verbosity(Verbosity::Silent);
            if let Some(weights) = &weights {
                fit = fit.sample_weight(weights);
            }
            let history = model.fit(data(&xs), data(&ys), fit).unwrap();
            for (key, expected) in outputs["history"].as_object().unwrap() {
                // Keras numbers names that it has used before.
                let key =
                    key.trim_end_matches(|symbol: char| symbol == '_' || symbol.is_ascii_digit());
                let received = history.get(key);
                let received = received.unwrap_or_else(|| panic!("{name}: no {key}"));
                for (received, expected) in received.iter().zip(numbers(expected)) {
                    close(&format!("{name}: {key}"), *received, expected, 1e-4);
                }
            }
            let scores = model.evaluate(data(&xs), data(&ys)).unwrap();
            let expected = outputs["evaluate"]["loss"].as_f64().unwrap();
            close(&format!("{name}: evaluate"), scores.loss, expected, 1e-4);
            for weight in outputs["weights"].as_array().unwrap() {
                let path = weight["path"].as_str().unwrap();
                let received = model.weight(path).unwrap().value().as_slice().to_vec();
                for (&received, &expected) in received.iter().zip(&array(&weight["value"])) {
                    close(
                        &format!("{name}: {path}"),
                        received.into(),
                        expected.into(),
                        1e-4,
                    );
                }
            }
        }
    }
}
