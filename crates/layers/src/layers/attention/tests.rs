//! Every layer of attention against real Keras: results, masks, gradients and configurations.

use regraft_autograd::{Feed, Graph, Program, Run, Var};
use regraft_tensor::Tensor;
use serde_json::Value;

use super::{Attention, AttentionInput, GroupQueryAttention, MultiHeadAttention};
use crate::golden::{assert_close, cases, name, tensor};
use crate::{Functional, LayerExt, Mode, Model, Registry};

fn tensors(values: &Value) -> Vec<Tensor> {
    values.as_array().unwrap().iter().map(tensor).collect()
}

/// The model of a case with its weights, written and read again.
fn model(case: &Value) -> Model {
    let config = &case["config"]["model"];
    let mut model = Model::from_config(config, &Registry::new())
        .unwrap_or_else(|error| panic!("{}: {error}", name(case)));
    let again = model.to_config();
    model = Model::from_config(&again, &Registry::new()).unwrap();
    assert_eq!(again, model.to_config(), "{}", name(case));
    for weight in case["inputs"]["weights"].as_array().unwrap() {
        let path = weight["path"].as_str().unwrap();
        let set = model.set_weight(path, tensor(&weight["value"]));
        set.unwrap_or_else(|error| panic!("{}: {error}", name(case)));
    }
    let paths: Vec<&str> = model.weights().iter().map(crate::Weight::path).collect();
    let expected = case["inputs"]["weights"].as_array().unwrap().iter();
    let expected: Vec<&str> = expected.map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(paths, expected, "{}", name(case));
    model
}

pub(in crate::layers) fn check(case: &Value) {
    let what = name(case);
    let model = model(case);
    let graph = Graph::new();
    let inputs = model.input_shapes().into_iter().zip(model.input_types());
    let xs: Vec<Var<'_>> = inputs
        .map(|(shape, of)| graph.input("x", shape, of))
        .collect();
    // The weights are variables, and no layer draws.
    let (outputs, emission) = model.emit(&graph, &xs, Mode::Inference).unwrap();
    let upstreams = tensors(&case["inputs"]["upstream"]);
    assert_eq!(outputs.len(), upstreams.len(), "{what}: outputs");
    let mut loss = graph.number(0.0);
    let mut of_upstream = Vec::new();
    for y in &outputs {
        let upstream = graph.input("upstream", y.shape(), Default::default());
        of_upstream.push(upstream);
        loss = loss + (*y * upstream).sum_all();
    }
    let gradients = case["outputs"]["gradients"].as_array().unwrap();
    let order: Vec<_> = model.weights().iter().map(crate::Weight::id).collect();
    let mut of_weights = emission.trainable.clone();
    of_weights.sort_by_key(|(id, _)| order.iter().position(|other| other == id));
    let mut wrt: Vec<Var<'_>> = of_weights.iter().map(|(_, var)| *var).collect();
    let floats = |(at, _): &(usize, &Value)| !gradients[*at].is_null();
    let of_x = gradients
        .iter()
        .enumerate()
        .filter(floats)
        .map(|(at, _)| xs[at]);
    wrt.extend(of_x);
    let mut asked = outputs.clone();
    asked.extend(graph.grad(loss, &wrt).unwrap());
    asked.extend(emission.masks[0]);
    let mut program = Program::compile(&graph, &asked).unwrap().workspace();
    let values = tensors(&case["inputs"]["x"]);
    let integers: Vec<Vec<i32>> = values
        .iter()
        .map(|x| x.as_slice().iter().map(|&x| x as i32).collect())
        .collect();
    let types = model.input_types();
    let feeds = values
        .iter()
        .zip(&integers)
        .zip(types)
        .map(|((x, integers), of)| match of {
            regraft_autograd::DataType::F32 => Feed::from(x),
            regraft_autograd::DataType::I32 => Feed::I32(integers),
        });
    let feeds: Vec<Feed<'_>> = feeds.chain(upstreams.iter().map(Feed::from)).collect();
    let batch = values[0].shape()[0];
    program
        .run(batch, &feeds, model.weights(), Run::default())
        .unwrap();
    for (at, expected) in tensors(&case["outputs"]["y"]).iter().enumerate() {
        assert_eq!(program.output_shape(at), expected.shape(), "{what}");
        let what = format!("{what}: output {at}");
        assert_close(&what, program.output(at), expected.as_slice(), 1e-5, 1.0);
    }
    let of_weights = tensors(&case["outputs"]["weight_gradients"]);
    let of_inputs = gradients.iter().filter(|it| !it.is_null()).map(tensor);
    for (at, expected) in of_weights.into_iter().chain(of_inputs).enumerate() {
        let what = format!("{what}: gradient {at}");
        let received = program.output(outputs.len() + at);
        assert_close(&what, received, expected.as_slice(), 1e-5, 1.0);
    }
    let expected = &case["outputs"]["mask"];
    assert_eq!(
        emission.masks[0].is_some(),
        !expected.is_null(),
        "{what}: mask"
    );
    if !expected.is_null() {
        let received = program.output(asked.len() - 1);
        assert_eq!(received, tensor(expected).as_slice(), "{what}: mask");
    }
}

#[test]
fn every_layer_does_what_keras_does() {
    let cases = cases("attention");
    assert!(cases.len() >= 60);
    cases.iter().for_each(check);
}

#[test]
fn a_part_can_be_frozen_and_the_whole_is() {
    let mut f = Functional::new();
    let x = f.input([4, 6]);
    let y = f
        .apply(MultiHeadAttention::new(2, 3).named("look"), &[x, x])
        .unwrap();
    let mut model = f.model(&[x], &[y]).unwrap();
    model.freeze("look/query").unwrap();
    assert_eq!(model.count_parameters().frozen, 6 * 6 + 6);
    let again = Model::from_config(&model.to_config(), &Registry::new()).unwrap();
    assert_eq!(again.count_parameters().frozen, 6 * 6 + 6);
    model.freeze("look").unwrap();
    assert_eq!(model.count_parameters().trainable, 0);
    let again = Model::from_config(&model.to_config(), &Registry::new()).unwrap();
    assert_eq!(again.count_parameters().trainable, 0);
    model.unfreeze("look/value").unwrap();
    let again = Model::from_config(&model.to_config(), &Registry::new()).unwrap();
    assert_eq!(again.count_parameters().trainable, 6 * 6 + 6);
}

#[test]
fn what_does_not_fit_is_said() {
    let refused = |layer: crate::LayerSpec, shapes: &[&[usize]]| {
        let mut f = Functional::new();
        let inputs = shapes.iter().map(|shape| f.input(*shape));
        let inputs: Vec<_> = inputs.collect();
        f.apply(layer, &inputs).unwrap_err().to_string()
    };
    let heads = || MultiHeadAttention::new(2, 3);
    let one = refused(heads().into(), &[&[4, 6]]);
    assert!(one.contains("a query and a value"), "{one}");
    let steps = refused(heads().into(), &[&[4, 6], &[5, 6], &[7, 6]]);
    assert!(steps.contains("the same steps"), "{steps}");
    let mask = heads().inputs([
        AttentionInput::Query,
        AttentionInput::Value,
        AttentionInput::AttentionMask,
    ]);
    let mask = refused(mask.into(), &[&[4, 6], &[5, 6], &[4, 6]]);
    assert!(mask.contains("mask"), "{mask}");
    let twice = heads().inputs([AttentionInput::Query, AttentionInput::Query]);
    let twice = refused(twice.into(), &[&[4, 6], &[5, 6]]);
    assert!(twice.contains("a query and a value"), "{twice}");
    let grouped = refused(
        GroupQueryAttention::new(3, 5, 2).into(),
        &[&[4, 6], &[4, 6]],
    );
    assert!(grouped.contains("multiple"), "{grouped}");
    let mode = refused(
        Attention::new().score_mode("cosine").into(),
        &[&[4, 6], &[4, 6]],
    );
    assert!(mode.contains("\"dot\" or \"concat\""), "{mode}");
}
