//! What the two Kerases tell otherwise of a compiled model (`fixtures/keras2_metrics.py`): in a model of Keras 2 a mask
//! weighs the steps for every metric, in one of Keras 3 for means alone; and the loss of an output that alone has one is
//! told apart in Keras 2.

use std::collections::BTreeSet;

use regraft::ndarray::ArrayD;
use regraft::{Data, IntoData, Model};
use serde_json::Value;

use crate::common::case;

fn array(value: &Value) -> ArrayD<f32> {
    let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
    let data = serde_json::from_value(value["data"].clone()).unwrap();
    ArrayD::from_shape_vec(shape, data).unwrap()
}

#[test]
fn what_is_told_is_that_of_the_keras_that_wrote_the_file() {
    let mut count = 0;
    for list in ["k2", "k3", "k2_one_loss", "k3_one_loss"] {
        let text = std::fs::read_to_string(case(&format!("keras2-metrics/{list}.json"))).unwrap();
        let given: Value = serde_json::from_str(&text).unwrap();
        let x = array(&given["x"]);
        let ys: Vec<_> = given["y"].as_array().unwrap().iter().map(array).collect();
        for of_file in given["cases"].as_array().unwrap() {
            let file = of_file["file"].as_str().unwrap();
            let (mut model, _) = Model::open(case(&format!("keras2-metrics/{file}"))).unwrap();
            let y: Vec<Data<'_>> = ys.iter().map(|y| y.into_data().unwrap()).collect();
            let scores = model.evaluate(&x, y).unwrap();
            let expected = of_file["evaluated"].as_object().unwrap();
            let names = scores.metrics.iter().map(|(name, _)| name.as_str());
            let names: BTreeSet<&str> = names.chain(["loss"]).collect();
            assert_eq!(
                names,
                expected.keys().map(String::as_str).collect(),
                "{file}"
            );
            for (name, expected) in expected {
                let ours = scores.get(name).unwrap();
                let expected = expected.as_f64().unwrap();
                let off = (ours - expected).abs();
                assert!(off <= 1e-5, "{file}, {name}: {ours}, Keras {expected}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 38);
}
