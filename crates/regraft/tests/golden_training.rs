//! Five epochs of the same training on the same batches, beside real Keras: frozen and not, with
//! batch and layer normalization, regularizers, class and sample weights.

use regraft::losses::LossFunction;
use regraft::ndarray::{ArrayD, IxDyn};
use regraft::optimizers::Optimizer;
use regraft::{Fit, Model, Verbosity};
use regraft_layers::Registry;
use regraft_tensor::Tensor;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
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

fn close(name: &str, received: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(received.len(), expected.len(), "{name}");
    let scale = expected
        .iter()
        .fold(1e-3_f64, |scale, value| scale.max(value.abs()));
    for (received, expected) in received.iter().zip(expected) {
        let difference = (received - expected).abs() / scale;
        assert!(
            difference <= tolerance,
            "{name}: {received} instead of {expected}"
        );
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

#[test]
fn training_ends_where_keras_ends() {
    let text = include_str!("../../../fixtures/golden/training.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 15);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let (config, inputs, outputs) = (&case["config"], &case["inputs"], &case["outputs"]);
        let model = regraft_layers::Model::from_config(&config["model"], &Registry::new()).unwrap();
        let mut model = Model::from(model);
        for weight in inputs["weights"].as_array().unwrap() {
            let layer = weight["layer"].as_str().unwrap();
            let path = format!("{layer}/{}", weight["name"].as_str().unwrap());
            model
                .set_weight(&path, Tensor::from(array(&weight["value"])))
                .unwrap();
        }
        for layer in config["frozen"].as_array().unwrap() {
            model.freeze(layer.as_str().unwrap()).unwrap();
        }
        let optimizer = Optimizer::from_config(&config["optimizer"]).unwrap();
        let loss = LossFunction::deserialize(&config["loss"]).unwrap();
        let classes = !outputs["accuracy"].is_null();
        match classes {
            true => model.compile(optimizer, loss, ["accuracy"]).unwrap(),
            false => model.compile(optimizer, loss, ()).unwrap(),
        };

        let (x, y) = (array(&inputs["x"]), array(&inputs["y"]));
        let labels = y.mapv(|label| label as i32);
        let weights = (!inputs["sample_weight"].is_null()).then(|| array(&inputs["sample_weight"]));
        let mut options = Fit::new()
            .epochs(config["epochs"].as_u64().unwrap() as usize)
            .batch_size(config["batch_size"].as_u64().unwrap() as usize)
            .shuffle(false)
            .verbosity(Verbosity::Silent);
        if let Some(weights) = config["class_weight"].as_object() {
            options =
                options.class_weight(weights.iter().map(|(class, weight)| {
                    (class.parse().unwrap(), weight.as_f64().unwrap() as f32)
                }));
        }
        if let Some(weights) = &weights {
            options = options.sample_weight(weights);
        }
        let (history, scores) = if classes {
            let history = model.fit(&x, &labels, options).unwrap();
            (history, model.evaluate(&x, &labels).unwrap())
        } else {
            let history = model.fit(&x, &y, options).unwrap();
            (history, model.evaluate(&x, &y).unwrap())
        };

        close(
            name,
            history.get("loss").unwrap(),
            &numbers(&outputs["loss"]),
            1e-4,
        );
        if classes {
            let accuracy = numbers(&outputs["accuracy"]);
            close(name, history.get("accuracy").unwrap(), &accuracy, 1e-6);
        }
        close(
            name,
            &[scores.loss],
            &[outputs["evaluate"].as_f64().unwrap()],
            1e-4,
        );
        for weight in outputs["weights"].as_array().unwrap() {
            let layer = weight["layer"].as_str().unwrap();
            let path = format!("{layer}/{}", weight["name"].as_str().unwrap());
            let received = wide(model.weight(&path).unwrap().value().as_slice());
            let expected = wide(array(&weight["value"]).as_slice().unwrap());
            close(&format!("{name}: {path}"), &received, &expected, 1e-4);
        }
        let expected = array(&outputs["predictions"]);
        let rows = expected.shape()[0] as isize;
        let few = x.slice_axis(regraft::ndarray::Axis(0), (0..rows).into());
        let predictions = wide(model.predict(&few).unwrap().as_slice());
        close(
            name,
            &predictions,
            &wide(expected.as_slice().unwrap()),
            1e-4,
        );
    }
}
