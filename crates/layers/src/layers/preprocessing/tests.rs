//! Preprocessing layers against real Keras: numbers and configurations.

use regraft_autograd::{DataType, Feed, Graph, Program, Run};
use regraft_tensor::Tensor;
use serde_json::{Value, json};

use super::*;
use crate::golden::{self, name, number, tensor};
use crate::layers::Input;
use crate::layers::tests::check_config;
use crate::{Mode, Model, Registry, Sequential, layers};

fn model(case: &Value) -> Result<Model, String> {
    let mut shape = case["inputs"]["shape"].clone();
    shape[0] = Value::Null;
    let input = json!({
        "class_name": "InputLayer",
        "config": { "name": "x", "batch_shape": shape, "dtype": case["inputs"]["type"] },
    });
    let layers = [input, case["config"]["layer"].clone()];
    let config = json!({
        "class_name": "Sequential",
        "config": { "name": "case", "layers": layers },
    });
    Model::from_config(&config, &Registry::new()).map_err(|error| error.to_string())
}

/// What the model makes of the case's data; integers as floats.
fn output(model: &Model, case: &Value) -> Vec<f32> {
    let graph = Graph::new();
    let (shape, data_type) = (&model.input_shapes()[0], model.input_types()[0]);
    let x = graph.input("x", shape, data_type);
    let (outputs, _) = model.emit(&graph, &[x], Mode::Inference).unwrap();
    let y = match outputs[0].data_type() {
        DataType::I32 => outputs[0].to_f32(),
        DataType::F32 => outputs[0],
    };
    let mut program = Program::compile(&graph, &[y]).unwrap().workspace();
    let values = case["inputs"]["values"].as_array().unwrap();
    let integers: Vec<i32> = match model.string_layer(0) {
        Some(layer) => {
            let look_up = |text: &Value| layer.look_up(text.as_str().unwrap()).unwrap();
            values.iter().map(look_up).collect()
        }
        None => values.iter().map(|value| number(value) as i32).collect(),
    };
    let floats: Vec<f32> = match model.string_layer(0) {
        Some(_) => Vec::new(),
        None => values.iter().map(number).collect(),
    };
    let feed = match data_type {
        DataType::I32 => Feed::I32(&integers),
        DataType::F32 => Feed::F32(&floats),
    };
    let batch = case["inputs"]["shape"][0].as_u64().unwrap() as usize;
    program
        .run(batch, &[feed], model.weights(), Run::default())
        .unwrap();
    program.output(0).to_vec()
}

#[test]
fn numbers_and_configurations_are_those_of_keras() {
    let mut wrong = Vec::new();
    for case in golden::cases("preprocessing_layers") {
        let what = name(&case);
        let model = match model(&case) {
            Ok(model) => model,
            Err(error) => {
                wrong.push(format!("{what}: {error}"));
                continue;
            }
        };
        let y = output(&model, &case);
        if case["outputs"]["strings"].is_array() {
            let spelling = model.spelling_layer(0).unwrap();
            let strings = case["outputs"]["strings"].as_array().unwrap();
            for (number, expected) in y.iter().zip(strings) {
                if spelling.spell(*number as i32).as_deref() != expected.as_str() {
                    wrong.push(format!("{what}: {number} is not {expected}"));
                }
            }
        } else {
            let expected = tensor(&case["outputs"]["y"]);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
            let same = y.len() == expected.len() && y.iter().zip(expected.as_slice()).all(near);
            if !same {
                wrong.push(format!("{what}: {y:?}, expected {:?}", expected.as_slice()));
            }
        }
        let config = model.to_config();
        let mut ours = config["config"]["layers"][1].clone();
        let mut keras = case["config"]["layer"].clone();
        for value in [&mut ours, &mut keras] {
            value.as_object_mut().unwrap().remove("build_config");
        }
        check_config(what, &ours, &keras);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn adapting_learns_what_keras_learns() {
    for case in golden::cases("preprocessing_adapt") {
        let config = case["config"].as_object().unwrap();
        let mode = config["output_mode"].as_str().unwrap_or("int");
        match config["class"].as_str().unwrap() {
            "Discretization" => {
                let bins = config["num_bins"].as_u64().unwrap() as usize;
                let epsilon = number(&config["epsilon"]);
                let data = tensor(&case["inputs"]["x"]);
                let layer = Discretization::bins(bins).epsilon(epsilon).adapt(&data);
                let expected = tensor(&case["outputs"]["boundaries"]);
                let layer = layer.unwrap();
                assert_eq!(layer.boundaries().len(), expected.len(), "{}", name(&case));
                for (ours, expected) in layer.boundaries().iter().zip(expected.as_slice()) {
                    let near = (ours - expected).abs() <= 1e-5 * expected.abs().max(1.0);
                    assert!(near, "{}: {ours}, expected {expected}", name(&case));
                }
            }
            _ => {
                let documents = case["inputs"]["documents"].as_array().unwrap();
                let tokens = |document: &Value| -> Vec<String> {
                    let tokens = document.as_array().unwrap().iter();
                    tokens
                        .map(|token| token.as_str().unwrap().to_string())
                        .collect()
                };
                let mut layer = StringLookup::new().output_mode(mode);
                if let Some(most) = config["max_tokens"].as_u64() {
                    layer = layer.max_tokens(most as usize);
                }
                if let Some(mask) = config["mask_token"].as_str() {
                    layer = layer.mask_token(mask);
                }
                let layer = layer.adapt(documents.iter().map(tokens));
                let expected: Vec<&str> = case["outputs"]["vocabulary"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|token| token.as_str().unwrap())
                    .collect();
                assert_eq!(layer.tokens(), expected, "{}", name(&case));
                if let Some(weights) = case["outputs"]["weights"].as_array() {
                    let config = crate::Configured::config(&layer);
                    let ours = config["idf_weights"].as_array().unwrap();
                    // Keras has those of the special tokens in front.
                    let weights = &weights[weights.len() - ours.len()..];
                    for (ours, expected) in ours.iter().zip(weights) {
                        assert!((number(ours) - number(expected)).abs() < 1e-6);
                    }
                }
            }
        }
    }
}

#[test]
fn strings_go_into_one_layer_that_takes_them() {
    let lookup = || StringLookup::new().vocabulary(["a", "b"]);
    Sequential::new(layers![Input::strings([2]), lookup().output_mode("count")]).unwrap();
    let error = Sequential::new(layers![Input::strings([2]), crate::Dense::new(1)]).unwrap_err();
    assert!(error.to_string().contains("takes strings"), "{error}");
    let mut functional = crate::Functional::new();
    let input = functional.apply(Input::strings([2]), &[]).unwrap();
    functional.apply(lookup(), &[input]).unwrap();
    let error = functional.apply(lookup(), &[input]).unwrap_err();
    assert!(error.to_string().contains("one layer"), "{error}");
}

#[test]
fn what_is_missing_is_said() {
    let build = |layer: crate::LayerSpec| {
        let model = Sequential::new(vec![Input::strings([2]).into(), layer]);
        model
            .err()
            .map_or_else(|| "accepted".to_string(), |error| error.to_string())
    };
    assert!(build(StringLookup::new().into()).contains("vocabulary"));
    let repeated = StringLookup::new().vocabulary(["a", "a"]);
    assert!(build(repeated.into()).contains("different tokens"));
    let none = StringLookup::new().num_oov_indices(0).vocabulary(["a"]);
    let error = crate::Layer::look_up(&none, "b").unwrap_err().to_string();
    assert!(error.contains("num_oov_indices"), "{error}");
    let data = Tensor::new([2], vec![1.0, f32::NAN]).unwrap();
    assert!(Discretization::bins(2).adapt(&data).is_err());
}
