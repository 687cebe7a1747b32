//! Compares with what Keras' initializers draw.

use regraft_tensor::Tensor;
use regraft_tensor::kernels::random::Key;
use serde_json::{Map, Value, json};

use super::*;
use crate::{InitializerFunction, golden};

fn initializer(case: &Value) -> Initializer {
    let (class, config) = golden::class_and_config(case);
    let made = from_config(class, config).unwrap();
    let serialized = made.serialize();
    assert_eq!(serialized["class_name"], class);
    for (key, value) in config {
        let ours = &serialized["config"][key];
        let same = ours == value || ours.as_f64() == value.as_f64();
        assert!(same, "{class}.{key}: {ours} instead of {value}");
    }
    made
}

fn draw(case: &Value, made: &Initializer) -> Vec<f64> {
    let shape: Vec<usize> = serde_json::from_value(case["inputs"]["shape"].clone()).unwrap();
    let draws = case["inputs"]["draws"].as_u64().unwrap();
    let mut values = Vec::new();
    for stream in 0..draws {
        let key = Key::new(3, 0).child(stream);
        let tensor = made.get().unwrap().initialize(&shape, key).unwrap();
        assert_eq!(tensor.shape(), shape);
        values.extend(tensor.as_slice().iter().map(|&value| f64::from(value)));
    }
    values
}

/// Both sides draw about 100,000 numbers, so a moment differs between them by its own spread over
/// √50,000; five times that is allowed.
#[test]
fn random_numbers_are_spread_as_those_of_keras() {
    let mut compared = 0;
    for case in golden::cases("initializers") {
        let expected = |key: &str| f64::from(golden::number(&case["outputs"][key]));
        if case["outputs"].get("standard_deviation").is_none() {
            continue;
        }
        let name = golden::name(&case);
        let values = draw(&case, &initializer(&case));
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let deviation = expected("standard_deviation");
        let noise = deviation * (2.0 / count).sqrt();
        assert!((mean - expected("mean")).abs() < 5.0 * noise, "{name}");
        assert!((variance.sqrt() - deviation).abs() < 5.0 * noise, "{name}");
        let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Where the distribution has limits they are reached to a thousandth or so; a normal one's
        // largest of 100,000 numbers is 4.3 standard deviations away, give or take half of one.
        let unlimited = name.contains("RandomNormal") || name.contains("untruncated");
        let slack = if unlimited { 1.5 } else { 0.01 } * deviation;
        assert!((smallest - expected("minimum")).abs() < slack, "{name}");
        assert!((largest - expected("maximum")).abs() < slack, "{name}");
        compared += 1;
    }
    assert!(compared > 40);
}

#[test]
fn fixed_values_are_those_of_keras() {
    let mut compared = 0;
    for case in golden::cases("initializers") {
        let Some(expected) = case["outputs"].get("values") else {
            continue;
        };
        let name = golden::name(&case);
        // Keras leaves the gain of an identity out of its configuration.
        let made = match name.contains("gain=2.0") {
            true => Identity { gain: 2.0 }.into(),
            false => initializer(&case),
        };
        let values: Vec<f32> = draw(&case, &made).iter().map(|&v| v as f32).collect();
        assert_eq!(values, golden::tensor(expected).as_slice(), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 5);
}

#[test]
fn orthogonal_matrices_are_orthogonal() {
    let mut compared = 0;
    for case in golden::cases("initializers") {
        let Some(expected) = case["outputs"].get("gram") else {
            continue;
        };
        let values = draw(&case, &initializer(&case));
        let columns = case["inputs"]["shape"].as_array().unwrap().last().unwrap();
        let columns = columns.as_u64().unwrap() as usize;
        let rows = values.len() / columns;
        let at = |row: usize, column: usize| values[row * columns + column];
        let size = rows.min(columns);
        let mut gram = Vec::new();
        for (i, j) in (0..size).flat_map(|i| (0..size).map(move |j| (i, j))) {
            gram.push(match rows >= columns {
                true => (0..rows).map(|row| at(row, i) * at(row, j)).sum::<f64>() as f32,
                false => (0..columns).map(|c| at(i, c) * at(j, c)).sum::<f64>() as f32,
            });
        }
        let expected = golden::tensor(expected);
        golden::assert_close(golden::name(&case), &gram, expected.as_slice(), 1e-6, 1.0);
        compared += 1;
    }
    assert_eq!(compared, 4);
}

#[test]
fn configurations_come_back() {
    let no_settings = Map::new();
    for (names, _) in TABLE {
        for name in *names {
            let made = from_config(name, &no_settings).unwrap();
            let serialized = made.serialize();
            let again = Initializer::deserialize(&serialized).unwrap();
            assert_eq!(again.serialize(), serialized, "{name}");
            assert_eq!(format!("{again:?}"), format!("{made:?}"), "{name}");
        }
    }
    // Axes of one's own make a named initializer the scaling that it stands for.
    let config = json!({"input_axes": [0], "output_axes": [1, -1]});
    let made = from_config("he_normal", config.as_object().unwrap()).unwrap();
    assert_eq!(made.serialize()["config"]["scale"], 2.0);
    let again = Initializer::deserialize(&made.serialize()).unwrap();
    assert_eq!(again.serialize()["config"]["output_axes"], json!([1, -1]));
}

#[test]
fn what_has_no_meaning_is_refused() {
    let refused = |name: &str, config: Value| {
        let error = from_config(name, config.as_object().unwrap()).unwrap_err();
        error.to_string()
    };
    let error = refused("he_norml", json!({}));
    assert!(error.contains("\"he_normal\""), "{error}");
    for (name, config) in [
        ("random_normal", json!({"stddev": -1.0})),
        ("TruncatedNormal", json!({"stddev": "wide"})),
        ("random_uniform", json!({"minval": 1.0, "maxval": 0.0})),
        ("variance_scaling", json!({"scale": 0.0})),
        ("variance_scaling", json!({"mode": "fan_sideways"})),
        ("variance_scaling", json!({"distribution": "cauchy"})),
        ("glorot_uniform", json!({"input_axes": "all"})),
        ("zeros", json!({"value": 1.0})),
        ("constant", json!({"value": [1.0, 2.0]})),
    ] {
        refused(name, config);
    }
    let key = Key::new(0, 0);
    assert!(Identity::default().initialize(&[3], key).is_err());
    assert!(Orthogonal::default().initialize(&[3], key).is_err());
    let wrong: Initializer = RandomNormal {
        mean: 0.0,
        stddev: -1.0,
    }
    .into();
    assert!(wrong.get().unwrap_err().to_string().contains("stddev"));
    let outside = VarianceScaling {
        input_axes: Some(vec![0]),
        output_axes: Some(vec![2]),
        ..VarianceScaling::default()
    };
    assert!(outside.initialize(&[3, 4], key).is_err());
}

#[test]
fn empty_weights_are_fine() {
    for (names, _) in TABLE {
        let made = from_config(names[0], &Map::new()).unwrap();
        let tensor = made.get().unwrap().initialize(&[0, 3], Key::new(0, 0));
        assert_eq!(
            tensor,
            Tensor::new([0, 3], vec![]).map_err(Detail::from),
            "{names:?}"
        );
    }
}
