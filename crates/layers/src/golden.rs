//! What tests that compare with numbers of real Keras share; `fixtures/golden_*.py` made those.

use regraft_tensor::{IntTensor, Tensor};
use serde_json::{Map, Value};

/// A golden file.
pub(crate) fn file(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/golden");
    let text = std::fs::read_to_string(format!("{folder}/{name}.json"))
        .expect("the golden file is in the repository");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

/// The cases of a golden file.
pub(crate) fn cases(name: &str) -> Vec<Value> {
    match file(name)["cases"].take() {
        Value::Array(cases) => cases,
        other => panic!("{name}: cases are {other}"),
    }
}

/// The name of a case.
pub(crate) fn name(case: &Value) -> &str {
    case["name"].as_str().expect("a case has a name")
}

/// The class and the settings of a case.
pub(crate) fn class_and_config(case: &Value) -> (&str, &Map<String, Value>) {
    let class = case["config"]["class_name"].as_str().expect("a class");
    (
        class,
        case["config"]["config"].as_object().expect("settings"),
    )
}

/// A number, also where JSON has none for it.
pub(crate) fn number(value: &Value) -> f32 {
    match value {
        Value::String(text) => text.parse().expect("nan, inf or -inf"),
        value => value.as_f64().expect("a number") as f32,
    }
}

fn shape_and_data(value: &Value) -> (Vec<usize>, &Vec<Value>) {
    let shape = value["shape"].as_array().expect("a shape").iter();
    let shape = shape.map(|size| size.as_u64().expect("a size") as usize);
    (shape.collect(), value["data"].as_array().expect("numbers"))
}

/// An array of floats.
pub(crate) fn tensor(value: &Value) -> Tensor {
    let (shape, data) = shape_and_data(value);
    Tensor::new(shape, data.iter().map(number).collect()).expect("as many numbers as the shape has")
}

/// An array of integers.
pub(crate) fn int_tensor(value: &Value) -> IntTensor {
    let (shape, data) = shape_and_data(value);
    let integers = data.iter().map(|value| value.as_i64().expect("an integer"));
    IntTensor::new(shape, integers.map(|value| value as i32).collect())
        .expect("as many numbers as the shape has")
}

/// The largest error of `received`, relative to the expected number, or to `floor` where that is
/// smaller, and where it is; an infinite one where the two are not numbers of the same kind.
pub(crate) fn worst(received: &[f32], expected: &[f32], floor: f64) -> (f64, String) {
    assert_eq!(received.len(), expected.len(), "number of values");
    let mut worst = (0.0, String::new());
    for (index, (&received, &expected)) in received.iter().zip(expected).enumerate() {
        if received == expected || received.is_nan() && expected.is_nan() {
            continue;
        }
        let difference = (f64::from(received) - f64::from(expected)).abs();
        let error = difference / f64::from(expected).abs().max(floor);
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if error > worst.0 {
            worst = (
                error,
                format!("[{index}]: {received} instead of {expected}"),
            );
        }
    }
    worst
}

/// Compares with `tolerance` relative to the expected number, or to `floor` where that is smaller.
pub(crate) fn assert_close(
    what: &str,
    received: &[f32],
    expected: &[f32],
    tolerance: f64,
    floor: f64,
) {
    let (error, place) = worst(received, expected, floor);
    assert!(error <= tolerance, "{what}{place}, error {error:.2e}");
}
