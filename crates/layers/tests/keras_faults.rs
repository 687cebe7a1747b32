//! Faults of Keras that cannot happen here, as far as models and layers go: each a test.

use regraft_autograd::{DataType, Graph, Source};
use regraft_layers::layers::{BatchNormalization, Dropout};
use regraft_layers::{Dense, Freezing, Input, LayerExt, Mode, Model, Sequential, layers};

/// A base with a batch normalization, and a head.
fn transfer_model() -> Model {
    let base = Sequential::new(layers![
        Input::new([4]),
        Dense::new(8).named("hidden"),
        BatchNormalization::new().named("norm"),
        Dropout::new(0.5).named("drop"),
    ])
    .unwrap();
    let stack = layers![base.named("base"), Dense::new(2).named("head")];
    Sequential::new(stack).unwrap()
}

/// The paths of the weights that a training step would train, and of those it would update.
fn moved(model: &Model) -> (Vec<String>, Vec<String>) {
    let graph = Graph::new();
    let x = graph.input("x", &model.input_shapes()[0], DataType::F32);
    let (_, emission) = model.emit(&graph, &[x], Mode::Training).unwrap();
    let path = |id| model.weights().get(id).unwrap().path().to_string();
    let trained = emission.trainable.iter().map(|(id, _)| path(*id));
    let updated = emission.updates.iter().map(|(id, _)| path(*id));
    (trained.collect(), updated.collect())
}

/// Whether writing the model for training makes a random op.
fn draws(model: &Model) -> bool {
    let graph = Graph::new();
    let x = graph.input("x", &model.input_shapes()[0], DataType::F32);
    model.emit(&graph, &[x], Mode::Training).unwrap();
    let nodes = graph.nodes();
    let random = |op: &dyn regraft_autograd::Op| op.is_random();
    let found = nodes
        .iter()
        .any(|(_, node)| node.op().is_some_and(|op| random(&**op)));
    drop(nodes);
    found
}

const STATISTICS: [&str; 2] = ["base/norm/moving_mean", "base/norm/moving_variance"];

#[test]
fn statistics_of_a_frozen_batch_normalization_do_not_move() {
    let mut model = transfer_model();
    assert_eq!(moved(&model).1, STATISTICS, "or the test could not fail");
    model.freeze("norm").unwrap();
    assert!(moved(&model).1.is_empty());
    model.freeze("base").unwrap();
    let (trained, updated) = moved(&model);
    assert_eq!(trained, ["head/kernel", "head/bias"]);
    assert!(updated.is_empty());
}

#[test]
fn statistics_stay_frozen_when_the_base_around_them_is_unfrozen() {
    let mut model = transfer_model();
    model.freeze("base").unwrap();
    model.unfreeze("base").unwrap();
    let (trained, updated) = moved(&model);
    assert!(
        trained.contains(&"base/norm/gamma".to_string()),
        "{trained:?}"
    );
    assert!(updated.is_empty(), "{updated:?}");
    model.set_freezing("norm", Freezing::Trainable).unwrap();
    assert_eq!(moved(&model).1, STATISTICS, "whoever asks for it gets it");
}

#[test]
fn a_frozen_base_drops_nothing() {
    let mut model = transfer_model();
    assert!(draws(&model), "or the test could not fail");
    model.freeze("base").unwrap();
    assert!(!draws(&model));
}

#[test]
fn what_is_frozen_is_read_at_each_training_not_once() {
    let mut model = transfer_model();
    let (before, _) = moved(&model);
    let revision = model.revision();
    model.freeze("base").unwrap();
    assert_ne!(model.revision(), revision);
    assert_ne!(moved(&model).0, before);
    model.unfreeze("base").unwrap();
    assert_eq!(moved(&model).0, before);
}

#[test]
fn a_frozen_weight_is_a_constant_of_the_graph() {
    let mut model = transfer_model();
    model.freeze("base").unwrap();
    let graph = Graph::new();
    let x = graph.input("x", &model.input_shapes()[0], DataType::F32);
    model.emit(&graph, &[x], Mode::Training).unwrap();
    let nodes = graph.nodes();
    let variables: Vec<&str> = nodes
        .iter()
        .filter(|(_, node)| matches!(node.source, Source::Variable(_)))
        .map(|(_, node)| node.name.as_str())
        .collect();
    assert_eq!(variables, ["head/kernel", "head/bias"]);
}

#[test]
fn a_selector_that_matches_nothing_is_an_error() {
    let mut model = transfer_model();
    for nothing in ["bas", "base/**/conv", "Dense"] {
        let error = model.freeze(nothing).unwrap_err().to_string();
        assert!(
            error.contains(nothing) && error.contains("nearest"),
            "{error}"
        );
    }
    assert!(model.freeze(5..).is_err());
    assert_eq!(model.count_parameters().frozen, 0);
}

#[test]
fn get_layer_finds_layers_of_nested_models() {
    let model = transfer_model();
    assert_eq!(model.get_layer("base/hidden").unwrap().name(), "hidden");
    assert_eq!(model.get_layer(-1).unwrap().name(), "head");
    assert_eq!(model.get_layer(0).unwrap().layers().len(), 3);
    let error = model.get_layer("base/hiden").unwrap_err().to_string();
    assert!(error.contains("\"base/hidden\""), "{error}");
    assert!(model.get_layer(2).is_err() && model.get_layer(-3).is_err());
}

#[test]
fn the_summary_counts_weights_and_nothing_else() {
    // There is nothing but weights that it could count: an optimizer's memory is not the model's.
    let model = transfer_model();
    let elements: usize = model
        .weights()
        .iter()
        .map(|weight| weight.value().len())
        .sum();
    assert_eq!(model.summary().count().total(), elements);
    assert!(
        model
            .summary()
            .to_string()
            .contains(&format!("Total params: {elements} "))
    );
}

#[test]
fn a_layer_name_that_is_there_twice_is_an_error() {
    let twice = layers![
        Input::new([4]),
        Dense::new(2).named("d"),
        Dense::new(2).named("d")
    ];
    let error = Sequential::new(twice).unwrap_err().to_string();
    assert!(error.contains("\"d\" twice"), "{error}");
    let mut model = Sequential::new(layers![Input::new([4]), Dense::new(2).named("d")]).unwrap();
    assert!(model.add(Dense::new(3).named("d")).is_err());
    assert_eq!(model.layers().len(), 1);
}

#[test]
fn popping_the_last_layer_leaves_a_model_and_popping_the_input_is_refused() {
    let mut model =
        Sequential::new(layers![Input::new([4]), Dense::new(3), Dense::new(2)]).unwrap();
    assert_eq!(model.pop().unwrap(), "dense_1");
    assert_eq!(model.output_shape().unwrap().to_string(), "(None, 3)");
    model.add(Dense::new(5).named("new_head")).unwrap();
    assert_eq!(model.output_shape().unwrap().to_string(), "(None, 5)");
    model.pop().unwrap();
    model.pop().unwrap();
    assert!(model.pop().is_err());
    model.add(Dense::new(1)).unwrap();
    assert_eq!(model.output_shape().unwrap().to_string(), "(None, 1)");
}

#[test]
fn setting_the_weights_of_a_layer_is_all_or_nothing() {
    let mut model = transfer_model();
    let before = model.get_layer("head").unwrap().get_weights();
    let mut values = before.clone();
    values[0] = regraft_tensor::Tensor::full([8, 2], 1.0);
    values[1] = regraft_tensor::Tensor::zeros([3]);
    let error = model
        .set_layer_weights("head", values.clone())
        .unwrap_err()
        .to_string();
    assert!(error.contains("head/bias"), "{error}");
    assert_eq!(model.get_layer("head").unwrap().get_weights(), before);
    assert!(model.set_layer_weights("head", vec![]).is_err());
    values[1] = regraft_tensor::Tensor::full([2], 2.0);
    model.set_layer_weights("head", values.clone()).unwrap();
    assert_eq!(model.get_layer("head").unwrap().get_weights(), values);
}
