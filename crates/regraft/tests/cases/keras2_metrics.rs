//! Metrics of outputs with a mask (`fixtures/keras2_metrics.py`): in a model of Keras 2 the mask weighs the steps for
//! every metric, in one of Keras 3 for means alone.

use regraft::Model;
use regraft::ndarray::ArrayD;
use serde_json::Value;

use crate::common::case;

fn array(value: &Value) -> ArrayD<f32> {
    let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
    let data = serde_json::from_value(value["data"].clone()).unwrap();
    ArrayD::from_shape_vec(shape, data).unwrap()
}

#[test]
fn masks_weigh_metrics_as_in_the_keras_that_wrote_the_file() {
    let mut count = 0;
    for list in ["k2", "k3"] {
        let text = std::fs::read_to_string(case(&format!("keras2-metrics/{list}.json"))).unwrap();
        let given: Value = serde_json::from_str(&text).unwrap();
        let (x, y) = (array(&given["x"]), array(&given["y"]));
        for of_file in given["cases"].as_array().unwrap() {
            let file = of_file["file"].as_str().unwrap();
            let (mut model, _) = Model::open(case(&format!("keras2-metrics/{file}"))).unwrap();
            let scores = model.evaluate(&x, &y).unwrap();
            for (name, expected) in of_file["evaluated"].as_object().unwrap() {
                let ours = scores.get(name).unwrap();
                let expected = expected.as_f64().unwrap();
                let off = (ours - expected).abs();
                assert!(off <= 1e-5, "{file}, {name}: {ours}, Keras {expected}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 30);
}
