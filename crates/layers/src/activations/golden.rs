//! Compares with what Keras' activations give, and gradients with finite differences.

use regraft_autograd::{Feed, Graph, Program, Run, Tensor, VariableId, gradcheck};
use serde_json::{Map, Value, json};

use super::*;
use crate::{ActivationFunction, golden};

fn activation(name: &str, config: Value) -> Activation {
    from_config(name, config.as_object().unwrap()).unwrap()
}

/// The value, and the gradient of the sum of `weights` times the value.
fn value_and_gradient(made: &Activation, x: &Tensor, weights: Tensor) -> (Vec<f32>, Vec<f32>) {
    let graph = Graph::new();
    let var = graph.variable(VariableId(0), "x", x.shape());
    let y = made.apply(var);
    let loss = (y * graph.constant(weights)).sum_all();
    let gradient = graph.grad(loss, &[var]).unwrap()[0];
    let mut program = Program::compile(&graph, &[y, gradient])
        .unwrap()
        .workspace();
    let no_feeds: &[Feed<'_>] = &[];
    program
        .run(1, no_feeds, std::slice::from_ref(x), Run::default())
        .unwrap();
    (program.output(0).to_vec(), program.output(1).to_vec())
}

/// Relative to the number, or to 0.1 for smaller ones: both sides compute with 32 bits, and some
/// formulas (eˣ − 1, 1 − y²) leave smaller numbers fewer digits.
const FLOOR: f64 = 0.1;

#[test]
fn values_and_gradients_are_those_of_keras() {
    let cases = golden::cases("activations");
    assert!(cases.len() > 50);
    for case in cases {
        let name = golden::name(&case);
        let function = case["config"]["activation"].as_str().unwrap();
        let made = activation(function, case["config"]["arguments"].clone());
        let x = golden::tensor(&case["inputs"]["x"]);
        let weights = golden::tensor(&case["inputs"]["weights"]);
        let (y, gradient) = value_and_gradient(&made, &x, weights);
        let expected_y = golden::tensor(&case["outputs"]["y"]);
        let expected_gradient = golden::tensor(&case["outputs"]["gradient"]);
        let compared = |index: usize| match name {
            // Keras' rows are wrong (they do not add up to 1) unless one number has it all.
            "sparsemax" => {
                let row = &expected_y.as_slice()[index / 6 * 6..][..6];
                row.iter().sum::<f32>() == 1.0
            }
            // At 0 the function is smooth and its slope 1, but Keras adds up those of the two parts.
            "celu" | "celu alpha=0.5" => x.as_slice()[index] != 0.0,
            // At 0, a kink, Keras has the slope to the left, and this crate the one to the right.
            "elu alpha=0.5" => x.as_slice()[index] != 0.0,
            _ => true,
        };
        let pick = |values: &[f32]| -> Vec<f32> {
            let values = values.iter().enumerate();
            values
                .filter(|(index, _)| compared(*index))
                .map(|(_, value)| *value)
                .collect()
        };
        let (received, expected) = (pick(&y), pick(expected_y.as_slice()));
        assert!(received.len() >= 6);
        golden::assert_close(name, &received, &expected, 2e-6, FLOOR);
        let what = format!("gradient of {name}");
        let (received, expected) = (pick(&gradient), pick(expected_gradient.as_slice()));
        golden::assert_close(&what, &received, &expected, 5e-6, FLOOR);
    }
}

#[test]
fn celu_is_smooth_at_zero() {
    let (x, weights) = (Tensor::zeros([1]), Tensor::full([1], 1.0));
    let (_, gradient) = value_and_gradient(&Celu { alpha: 0.5 }.into(), &x, weights);
    assert_eq!(gradient, [1.0]);
}

#[test]
fn sparsemax_adds_up_to_one() {
    let cases = golden::cases("activations");
    let case = cases.iter().find(|case| case["name"] == "sparsemax");
    let x = golden::tensor(&case.unwrap()["inputs"]["x"]);
    let weights = Tensor::full(x.shape(), 1.0);
    let (y, gradient) = value_and_gradient(&Sparsemax::default().into(), &x, weights);
    for (x, y) in x.as_slice().chunks(6).zip(y.chunks(6)) {
        assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{y:?}");
        // All that is above 0 is x less the same number, which nothing that is 0 is above.
        let shifts = x.iter().zip(y).filter(|(_, y)| **y > 0.0);
        let shift = shifts.map(|(x, y)| x - y).fold(f32::NAN, f32::max);
        let tolerance = 1e-4 * shift.abs().max(1.0);
        for (x, y) in x.iter().zip(y) {
            assert!((x - shift).max(0.0) - y < tolerance, "{x} {y} {shift}");
        }
    }
    // The sum does not depend on x.
    assert!(gradient.iter().all(|gradient| gradient.abs() < 1e-6));
}

/// Every activation, and settings other than the defaults for those that have some.
fn all() -> Vec<Activation> {
    let mut all = Vec::new();
    for (names, _) in TABLE {
        if names[0] != "threshold" {
            all.push(activation(names[0], json!({})));
        }
    }
    for (name, config) in [
        (
            "threshold",
            json!({"threshold": 0.25, "default_value": -1.0}),
        ),
        (
            "relu",
            json!({"negative_slope": 0.25, "max_value": 2.0, "threshold": 0.5}),
        ),
        ("leaky_relu", json!({"negative_slope": 0.01})),
        ("elu", json!({"alpha": 0.5})),
        ("celu", json!({"alpha": 0.5})),
        ("squareplus", json!({"b": 1.0})),
        ("soft_shrink", json!({"threshold": 1.5})),
        ("hard_shrink", json!({"threshold": 1.5})),
        ("gelu", json!({"approximate": true})),
        ("glu", json!({"axis": 0})),
        ("softmax", json!({"axis": 0})),
        ("log_softmax", json!({"axis": 0})),
        ("sparsemax", json!({"axis": 0})),
    ] {
        all.push(activation(name, config));
    }
    all
}

#[test]
fn gradients_agree_with_finite_differences() {
    // None within 2/64 of a kink.
    let x = vec![
        -4.2, -2.6, -1.3, -0.8, -0.15, 0.1, 0.3, 0.8, 1.2, 1.7, 2.4, 5.5,
    ];
    for x in [x.clone(), x.into_iter().rev().collect()] {
        let x = Tensor::new([4, 3], x).unwrap();
        // For sparsemax, whose kinks are where a number comes to or leaves 0.
        let scaled = |factor: f32| {
            let scaled = x.as_slice().iter().map(|x| x * factor);
            Tensor::new([4, 3], scaled.collect()).unwrap()
        };
        for made in all() {
            let name = format!("{made:?}");
            let along = name.contains("Glu") && !name.contains("axis: 0");
            let x = match (name.contains("Sparsemax"), along) {
                (true, _) if name.contains("axis: 0") => scaled(0.05),
                (true, _) => scaled(0.3),
                (_, true) => x.clone().reshape([2, 6]).unwrap(),
                _ => x.clone(),
            };
            let checked = gradcheck(|_, x| made.apply(x[0]), &[x]);
            assert!(checked.is_ok(), "{name}: {checked:?}");
        }
    }
}

/// The hot ones are one pass over memory when they are used.
#[test]
fn the_usual_ones_are_one_op() {
    for name in [
        "relu",
        "gelu",
        "silu",
        "sigmoid",
        "tanh",
        "relu6",
        "elu",
        "hard_sigmoid",
    ] {
        let graph = Graph::new();
        let x = graph.samples("x", &[3]);
        let before = graph.nodes().len();
        activation(name, json!({})).apply(x);
        assert_eq!(graph.nodes().len(), before + 1, "{name}");
    }
}

#[test]
fn configurations_come_back() {
    for made in all() {
        let serialized = made.serialize();
        let again = Activation::deserialize(&serialized).unwrap();
        assert_eq!(again.serialize(), serialized);
        assert_eq!(format!("{again:?}"), format!("{made:?}"));
    }
    let serialized = |made: Activation| made.serialize();
    assert_eq!(serialized("swish".into()), "silu");
    assert_eq!(serialized("hard_swish".into()), "hard_silu");
    // Settings that Keras can hold only in a layer are written as one, and others so that Keras
    // does not read them as the defaults.
    let relu = serialized(activation("relu", json!({"max_value": 6})));
    assert_eq!(relu["class_name"], "ReLU");
    assert_eq!(relu["module"], "keras.layers");
    assert_eq!(relu["config"]["max_value"], 6.0);
    let gelu = serialized(Gelu { approximate: true }.into());
    assert_eq!(gelu["module"], "regraft.activations");
    // The layer has another default than the function.
    let layer = Activation::deserialize(&json!({"class_name": "LeakyReLU", "config": {}}));
    assert_eq!(layer.unwrap().serialize()["config"]["negative_slope"], 0.3);
    let keras2 = json!({"class_name": "LeakyReLU", "config": {"name": "x", "alpha": 0.1}});
    let layer = Activation::deserialize(&keras2).unwrap();
    assert_eq!(layer.serialize()["config"]["negative_slope"], 0.1);
    let function = json!({"class_name": "function", "config": "relu", "registered_name": "relu"});
    assert_eq!(
        Activation::deserialize(&function).unwrap().serialize(),
        "relu"
    );
}

#[test]
fn what_has_no_meaning_is_refused() {
    for (name, config) in [
        ("relu", json!({"negative_slope": -0.1})),
        ("relu", json!({"max_value": -1})),
        ("relu", json!({"alpha": 0.1})),
        ("leaky_relu", json!({"negative_slope": -0.1})),
        ("elu", json!({"alpha": -1.0})),
        ("celu", json!({"alpha": 0.0})),
        ("squareplus", json!({"b": -4.0})),
        ("soft_shrink", json!({"threshold": -0.5})),
        ("hard_shrink", json!({"threshold": -0.5})),
        ("threshold", json!({"threshold": 0.5})),
        ("gelu", json!({"approximate": "tanh"})),
        ("softmax", json!({"axis": "last"})),
    ] {
        let made = from_config(name, config.as_object().unwrap());
        assert!(made.is_err(), "{name} {config}");
    }
    let error = from_config("rellu", &Map::new()).unwrap_err().to_string();
    assert!(error.contains("\"relu\""), "{error}");

    let graph = Graph::new();
    let x = graph.samples("x", &[3]);
    Softmax { axis: 2 }.apply(x);
    let error = graph.check().unwrap_err().to_string();
    assert!(error.contains("softmax/axis"), "{error}");
    let graph = Graph::new();
    Glu::default().apply(graph.samples("x", &[3]));
    assert!(graph.check().is_err());
    let wrong: Activation = Elu { alpha: f32::NAN }.into();
    assert!(wrong.get().is_err());
}
