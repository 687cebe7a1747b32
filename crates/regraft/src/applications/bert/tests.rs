//! Small encoders that `transformers` made, beside what it computes with them.

use std::path::PathBuf;

use regraft_autograd::{Feed, Graph, Program, Run, Var};
use regraft_layers::Mode;
use regraft_tensor::Tensor;
use serde_json::Value;

use super::{BertPooling, bert};
use crate::adapters::Lora;
use crate::{Fit, Model, Verbosity};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(fixtures().join("golden/bert.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    golden["cases"].as_array().unwrap().clone()
}

fn sizes(value: &Value) -> Vec<usize> {
    let sizes = value["shape"].as_array().unwrap().iter();
    sizes.map(|size| size.as_u64().unwrap() as usize).collect()
}

fn tensor(value: &Value) -> Tensor {
    let numbers = value["data"].as_array().unwrap().iter();
    let numbers = numbers.map(|number| number.as_f64().unwrap() as f32);
    Tensor::new(sizes(value), numbers.collect()).unwrap()
}

fn integers(value: &Value) -> Vec<i32> {
    let numbers = value["data"].as_array().unwrap().iter();
    numbers
        .map(|number| number.as_i64().unwrap() as i32)
        .collect()
}

/// Compares numbers where `counts` says so; the largest difference relative to the largest number.
fn close(what: &str, received: &[f32], expected: &[f32], counts: impl Fn(usize) -> bool) {
    assert_eq!(received.len(), expected.len(), "{what}");
    // A key's bias has no gradient, since it adds the same to all scores: what both have there is rounding.
    let largest = expected.iter().fold(1e-2f32, |all, x| all.max(x.abs()));
    for (at, (ours, theirs)) in received.iter().zip(expected).enumerate() {
        let error = (ours - theirs).abs();
        assert!(
            !counts(at) || error <= 1e-4 * largest,
            "{what}[{at}]: {ours} instead of {theirs}"
        );
    }
}

fn encoder(case: &Value, pooling: BertPooling) -> Model {
    let folder = fixtures()
        .join("hugging_face")
        .join(case["folder"].as_str().unwrap());
    let length = sizes(&case["input_ids"])[1];
    let mut built = bert(folder).length(length).pooling(pooling).dropout(0.0);
    if !case["token_type_ids"].is_null() {
        built = built.token_types();
    }
    built.build().unwrap().model
}

#[test]
fn features_and_gradients_are_those_of_transformers() {
    let cases = cases();
    assert!(cases.len() >= 4);
    for case in &cases {
        let what = case["folder"].as_str().unwrap();
        let (shape, ids) = (sizes(&case["input_ids"]), integers(&case["input_ids"]));
        let mask = integers(&case["attention_mask"]);
        let types = (!case["token_type_ids"].is_null()).then(|| integers(&case["token_type_ids"]));
        let mut feeds = vec![Feed::I32(&ids), Feed::I32(&mask)];
        feeds.extend(types.as_deref().map(Feed::I32));
        let (upstream, features) = (tensor(&case["upstream"]), tensor(&case["features"]));
        let hidden = features.shape()[2];
        let run = |model: &Model, gradients: bool| -> Vec<(String, Vec<f32>)> {
            let network = &model.network;
            let graph = Graph::new();
            let inputs = network
                .input_shapes()
                .into_iter()
                .zip(network.input_types());
            let xs: Vec<Var<'_>> = inputs
                .map(|(shape, of)| graph.input("x", shape, of))
                .collect();
            let (outputs, emission) = network.emit(&graph, &xs, Mode::Inference).unwrap();
            let mut asked = vec![outputs[0]];
            let mut names = vec!["output".to_string()];
            let mut feeds = feeds.clone();
            if gradients {
                let given = graph.input("upstream", outputs[0].shape(), Default::default());
                let loss = (outputs[0] * given).sum_all();
                let wrt: Vec<Var<'_>> = emission.trainable.iter().map(|(_, var)| *var).collect();
                asked.extend(graph.grad(loss, &wrt).unwrap());
                for (id, _) in &emission.trainable {
                    names.push(network.weights().get(*id).unwrap().path().to_string());
                }
                feeds.push(Feed::from(&upstream));
            }
            let mut program = Program::compile(&graph, &asked).unwrap().workspace();
            program
                .run(shape[0], &feeds, network.weights(), Run::default())
                .unwrap();
            let values = names.into_iter().enumerate();
            values
                .map(|(at, name)| (name, program.output(at).to_vec()))
                .collect()
        };
        let counts = |at: usize| mask[at / hidden] == 1;
        let tokens = encoder(case, BertPooling::Tokens);
        let found = run(&tokens, true);
        close(what, &found[0].1, features.as_slice(), counts);
        let expected = case["gradients"].as_object().unwrap();
        let mut compared = 0;
        for (path, value) in expected {
            let (_, ours) = found.iter().find(|(name, _)| name == path).unwrap();
            close(
                &format!("{what}: {path}"),
                ours,
                tensor(value).as_slice(),
                |_| true,
            );
            compared += 1;
        }
        assert!(compared >= 20, "{what}: {compared} gradients");
        let mean = run(&encoder(case, BertPooling::Mean), false);
        close(
            &format!("{what}: mean"),
            &mean[0].1,
            tensor(&case["mean"]).as_slice(),
            |_| true,
        );
        let first = run(&encoder(case, BertPooling::First), false);
        close(
            &format!("{what}: first"),
            &first[0].1,
            tensor(&case["first"]).as_slice(),
            |_| true,
        );
        if !case["pooled"].is_null() {
            let pooled = run(&encoder(case, BertPooling::Pooler), false);
            close(
                &format!("{what}: pooler"),
                &pooled[0].1,
                tensor(&case["pooled"]).as_slice(),
                |_| true,
            );
        }
    }
}

#[test]
fn parts_are_picked_by_selectors() {
    let case = &cases()[0];
    let mut model = encoder(case, BertPooling::Mean);
    let all = model.count_parameters().trainable;
    model.freeze("embeddings").unwrap();
    model.freeze("encoder/layer_0").unwrap();
    let left = model.count_parameters().trainable;
    assert!(left > 0 && left < all / 2);
    model.freeze("encoder/layer_1/attention/query").unwrap();
    assert!(model.count_parameters().trainable < left);
    // A LoRA on queries and values, as on any model: trained, with a step.
    let mut adapted = model.clone();
    adapted.freeze(..).unwrap();
    adapted
        .adapt(
            ["encoder/*/attention/query", "encoder/*/attention/value"],
            Lora::rank(2),
        )
        .unwrap();
    assert!(adapted.count_parameters().trainable > 0);
    let (ids, mask) = (
        integers(&case["input_ids"]),
        integers(&case["attention_mask"]),
    );
    let array = |values: Vec<i32>| ndarray::Array2::from_shape_vec((3, 7), values).unwrap();
    let (ids, mask, types) = (
        array(ids),
        array(mask),
        array(integers(&case["token_type_ids"])),
    );
    let digest = adapted.frozen_digest();
    let before = adapted.predict_all((&ids, &mask, &types)).unwrap();
    adapted.compile("sgd", "mse", [""; 0]).unwrap();
    let targets = ndarray::Array2::<f32>::ones((3, 12));
    let fit = Fit::new().verbosity(Verbosity::Silent);
    adapted.fit((&ids, &mask, &types), &targets, fit).unwrap();
    assert_eq!(adapted.frozen_digest(), digest);
    let after = adapted.predict_all((&ids, &mask, &types)).unwrap();
    assert_ne!(before[0], after[0]);
    let path = tempfile::tempdir().unwrap();
    let file = path.path().join("bert.keras");
    model.save(&file).unwrap();
    let (again, _) = Model::open(&file).unwrap();
    for weight in model.weights().iter() {
        assert_eq!(again.weight(weight.path()).unwrap().value(), weight.value());
    }
}

#[test]
fn what_is_no_encoder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = |folder: &std::path::Path| bert(folder).build().unwrap_err().to_string();
    assert!(said(folder.path()).contains("config.json"));
    let config = folder.path().join("config.json");
    std::fs::write(&config, "{\"model_type\": \"t5\"}").unwrap();
    assert!(said(folder.path()).contains("\"bert\""));
    let theirs = fixtures().join("hugging_face/bert");
    std::fs::copy(theirs.join("config.json"), &config).unwrap();
    assert!(said(folder.path()).contains("model.safetensors"));
    let other = fixtures().join("hugging_face/distilbert/model.safetensors");
    std::fs::copy(other, folder.path().join("model.safetensors")).unwrap();
    let other = said(folder.path());
    assert!(
        other.contains("word_embeddings") && other.contains("[23, 12]"),
        "{other}"
    );
    let long = bert(&theirs).length(999).build().unwrap_err().to_string();
    assert!(long.contains("positions"), "{long}");
    let encoder = bert(&theirs).length(4).build().unwrap();
    assert!(encoder.check_vocabulary(encoder.config.vocabulary).is_ok());
    assert!(
        encoder
            .check_vocabulary(encoder.config.vocabulary + 1)
            .is_err()
    );
    // An id that the table does not have is named with its place.
    let ids = ndarray::arr2(&[[1, 2, 3, 4], [1, 2, 9999, 0]]);
    let mask = ndarray::arr2(&[[1, 1, 1, 1], [1, 1, 1, 0]]);
    let unknown = encoder
        .model
        .predict_all((&ids, &mask))
        .unwrap_err()
        .to_string();
    assert!(unknown.contains("9999"), "{unknown}");
}
