//! Configurations that Keras wrote, and our own there and back.

use std::collections::BTreeMap;

use proptest::prelude::*;
use regraft_autograd::{DataType, Feed, Graph, Program, Run};
use regraft_tensor::{IntTensor, Tensor};
use serde_json::{Value, json};

use crate::golden::{assert_close, cases, name, tensor};
use crate::layers::*;
use crate::{
    Freezing, Functional, IntoSelector, LayerExt, LayerSpec, Mode, Model, Registry, Selector,
    Sequential, layers,
};

fn read(config: &Value) -> crate::Result<Model> {
    Model::from_config(config, &Registry::new())
}

/// The outputs for a batch, in inference.
fn predict(model: &Model, xs: &[Tensor]) -> Vec<Vec<f32>> {
    let graph = Graph::new();
    let inputs: Vec<_> = model
        .input_shapes()
        .iter()
        .zip(model.input_types())
        .map(|(shape, data_type)| graph.input("", shape, data_type))
        .collect();
    let (outputs, _) = model.emit(&graph, &inputs, Mode::Inference).unwrap();
    let mut program = Program::compile(&graph, &outputs).unwrap().workspace();
    let integers: Vec<IntTensor> = xs
        .iter()
        .map(|x| x.as_slice().iter().map(|&v| v as i32).collect::<Vec<_>>())
        .map(|values| IntTensor::new([values.len()], values).unwrap())
        .collect();
    let feeds: Vec<Feed<'_>> = model
        .input_types()
        .iter()
        .enumerate()
        .map(|(index, data_type)| match data_type {
            DataType::F32 => Feed::from(&xs[index]),
            DataType::I32 => Feed::I32(integers[index].as_slice()),
        })
        .collect();
    let batch = xs[0].shape()[0];
    program
        .run(batch, &feeds, model.weights(), Run::default())
        .unwrap();
    (0..outputs.len())
        .map(|index| program.output(index).to_vec())
        .collect()
}

fn tensors(values: &Value) -> Vec<Tensor> {
    values.as_array().unwrap().iter().map(tensor).collect()
}

#[test]
fn models_of_keras_2_and_3_predict_the_same_here() {
    for case in &cases("configs") {
        let what = name(case);
        let mut model =
            read(&case["config"]["model"]).unwrap_or_else(|error| panic!("{what}: {error}"));
        let paths: Vec<String> = model
            .weights()
            .iter()
            .map(|w| w.path().to_string())
            .collect();
        let values = tensors(&case["inputs"]["weights"]);
        assert_eq!(paths.len(), values.len(), "{what}: {paths:?}");
        for (path, value) in paths.iter().zip(values) {
            model
                .set_weight(path, value)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        let received = predict(&model, &tensors(&case["inputs"]["x"]));
        let expected = tensors(&case["outputs"]["y"]);
        assert_eq!(received.len(), expected.len(), "{what}");
        for (received, expected) in received.iter().zip(&expected) {
            assert_close(what, received, expected.as_slice(), 1e-5, 1.0);
        }
        let layers: Vec<&str> = model.layers().iter().map(|layer| layer.name()).collect();
        assert_eq!(
            json!(layers),
            case["outputs"]["layers"],
            "{what}: order of layers"
        );
        let mut found = BTreeMap::new();
        collect_trainable(&model.layers(), &mut found);
        for (name, trainable) in case["outputs"]["trainable"].as_object().unwrap() {
            assert_eq!(
                found.get(name),
                trainable.as_bool().as_ref(),
                "{what}: {name}"
            );
        }
    }
}

fn collect_trainable(layers: &[crate::LayerInfo<'_>], found: &mut BTreeMap<String, bool>) {
    for layer in layers {
        let input = layer.class_name() == "InputLayer";
        found.insert(layer.name().to_string(), layer.is_trainable() || input);
        collect_trainable(&layer.layers(), found);
    }
}

#[test]
fn a_call_with_training_false_behaves_as_in_inference_in_keras_2_only() {
    // Keras 3's fit passes training=True to every layer, whatever its call was made with.
    let cases = cases("configs");
    let states = [
        ("", Freezing::Trainable),
        ("Keras 2 ", Freezing::FrozenStatistics),
    ];
    for (prefix, norm) in states {
        let wanted = format!("{prefix}nested models in a functional one");
        let case = cases.iter().find(|case| name(case) == wanted).unwrap();
        let model = read(&case["config"]["model"]).unwrap();
        let freezing = |path| model.get_layer(path).unwrap().freezing();
        assert_eq!(freezing("inner/norm"), norm);
        assert_eq!(freezing("function/f_dense"), Freezing::Trainable);
    }
}

#[test]
fn a_frozen_layer_that_is_called_with_training_false_stays_frozen() {
    let cases = cases("configs");
    let case = cases
        .iter()
        .find(|case| name(case) == "nested models in a functional one");
    let mut config = case.unwrap()["config"]["model"].clone();
    let layer = |config: &mut Value, name: &str| -> usize {
        let layers = config["config"]["layers"].as_array().unwrap();
        let named = |layer: &Value| layer["config"]["name"] == name;
        layers.iter().position(named).unwrap()
    };
    let inner = layer(&mut config, "inner");
    let inner = &mut config["config"]["layers"][inner];
    let norm = layer(inner, "norm");
    inner["config"]["layers"][norm]["config"]["trainable"] = false.into();
    let model = read(&config).unwrap();
    let norm = model.get_layer("inner/norm").unwrap();
    assert_eq!(norm.freezing(), Freezing::Frozen);
}

#[test]
fn what_the_whole_hides_remembers_its_state() {
    let mut f = crate::Functional::new();
    let x = f.input([4]);
    let y = f
        .apply(BatchNormalization::new().named("norm"), &[x])
        .unwrap();
    let mut model = f.model(&[x], &[y]).unwrap();
    model
        .set_freezing("norm", Freezing::FrozenStatistics)
        .unwrap();
    let mut config = model.to_config();
    config["config"]["trainable"] = false.into();
    let hidden = read(&config).unwrap();
    let freezing = |model: &Model, path: &str| model.get_layer(path).unwrap().freezing();
    assert_eq!(freezing(&hidden, "norm"), Freezing::Frozen);
    assert_eq!(hidden.to_config(), config);
    let whole = Sequential::new(layers![Input::new([4]), hidden.named("part")]).unwrap();
    let state = freezing(&whole, "part/norm");
    assert_eq!(state, Freezing::FrozenStatistics);
}

/// Writing and reading must give the same configuration, weights and states.
fn assert_round_trip(model: &Model) {
    let config = model.to_config();
    let again = read(&config).unwrap_or_else(|error| panic!("{error}\n{config:#}"));
    assert_eq!(again.to_config(), config);
    let weights = |model: &Model| -> Vec<(String, Vec<usize>)> {
        let weight = |w: &crate::Weight| (w.path().to_string(), w.value().shape().to_vec());
        model.weights().iter().map(weight).collect()
    };
    assert_eq!(weights(&again), weights(model));
    let states = |model: &Model| -> Vec<_> {
        let mut states = Vec::new();
        model.topology.visit("", &mut |path, entry| {
            if matches!(entry.body, crate::models::topology::Body::Leaf(_)) {
                states.push((path, entry.freezing, entry.alone.clone()));
            }
        });
        states
    };
    assert_eq!(states(&again), states(model));
}

#[test]
fn what_keras_wrote_comes_back_as_it_is() {
    for case in &cases("configs") {
        assert_round_trip(&read(&case["config"]["model"]).unwrap());
    }
}

#[test]
fn every_freezing_state_survives_the_file() {
    let base = || {
        let stack = layers![
            Input::new([4]),
            Dense::new(4),
            BatchNormalization::new(),
            Dropout::new(0.1)
        ];
        Sequential::new(stack).unwrap()
    };
    for state in [
        Freezing::Trainable,
        Freezing::FrozenStatistics,
        Freezing::FrozenParams,
        Freezing::Frozen,
    ] {
        let spatial = SpatialDropout1D::new(0.5);
        let stack = layers![
            base(),
            Reshape::new([2, 2]),
            spatial,
            Flatten::new(),
            Dense::new(2)
        ];
        let mut model = Sequential::new(stack).unwrap();
        for selector in ["sequential/**", "spatial_dropout1d"] {
            model.set_freezing(selector, state).unwrap();
        }
        assert_round_trip(&model);
    }
}

/// Wrappers of layers and of a model.
fn wrappers() -> Model {
    let steps = layers![
        Input::new([3]),
        Dense::new(3).named("a"),
        BatchNormalization::new().named("n"),
    ];
    let steps = Sequential::new(steps).unwrap().named("steps");
    let stack = layers![
        Input::new([2, 3]),
        TimeDistributed::new(BatchNormalization::new().named("norm")).named("twice"),
        TimeDistributed::new(steps).named("td"),
        Flatten::new(),
        SpectralNormalization::new(Dense::new(2).named("dense")).named("sn"),
    ];
    Sequential::new(stack).unwrap()
}

#[test]
fn what_wrappers_contain_keeps_its_own_state_in_the_file() {
    const STATES: [Freezing; 4] = [
        Freezing::Trainable,
        Freezing::FrozenStatistics,
        Freezing::FrozenParams,
        Freezing::Frozen,
    ];
    let insides = [
        ("sn", "sn/dense"),
        ("td", "td/steps/*"),
        ("twice", "twice/norm"),
    ];
    for (state, inner) in STATES.iter().flat_map(|a| STATES.map(|b| (*a, b))) {
        let mut model = wrappers();
        for (wrapper, inside) in insides {
            model.set_freezing(wrapper, state).unwrap();
            model.set_freezing(inside, inner).unwrap();
        }
        assert_round_trip(&model);
        for bias in ["sn/dense/bias", "td/steps/a/bias", "twice/norm/beta"] {
            model.unfreeze(bias).unwrap();
        }
        assert_round_trip(&model);
        model.freeze(Selector::weights("kernel")).unwrap();
        assert_round_trip(&model);
    }
    // Biases alone: the wrappers stay frozen.
    let mut model = wrappers();
    model.freeze(..).unwrap();
    model.unfreeze("**/bias").unwrap();
    let again = read(&model.to_config()).unwrap();
    for place in again.places() {
        let has_state = !place.is_model && place.class_name != "InputLayer";
        assert!(
            !has_state || place.freezing == Freezing::Frozen,
            "{}",
            place.path
        );
    }
}

#[test]
fn a_wrapper_of_keras_2_that_is_called_as_in_inference_has_its_content_so() {
    let config = |arguments: Value| {
        let inner = json!({ "name": "dense", "units": 2, "trainable": true });
        let inner = json!({ "class_name": "Dense", "config": inner });
        with_layer(json!({
            "class_name": "SpectralNormalization", "name": "y",
            "config": { "name": "y", "trainable": true, "layer": inner },
            "inbound_nodes": [[["x", 0, 0, arguments]]],
        }))
    };
    for (arguments, expected) in [
        (json!({}), Freezing::Trainable),
        (json!({ "training": false }), Freezing::FrozenStatistics),
    ] {
        let model = read(&config(arguments)).unwrap();
        let states: Vec<_> = model.places()[1..].iter().map(|it| it.freezing).collect();
        assert_eq!(states, [expected; 2]);
    }
}

#[test]
fn a_state_is_never_trained_alone() {
    let layers = layers![Input::new([4]), BatchNormalization::new().named("n")];
    let mut config = Sequential::new(layers).unwrap().to_config();
    let mut alone = |trained: bool| {
        let layer = &mut config["config"]["layers"][1];
        layer["trainable_weights"] = json!({ "moving_mean": trained });
        read(&config).map(|_| ())
    };
    assert!(alone(false).is_ok());
    let error = alone(true).unwrap_err().to_string();
    assert!(error.contains("n/moving_mean"), "{error}");
}

#[test]
fn trainable_counts_where_somebody_changed_it() {
    let stack = layers![Input::new([4]), Dense::new(4), Dense::new(2)];
    let mut model = Sequential::new(stack).unwrap();
    model.set_freezing("dense", Freezing::FrozenParams).unwrap();
    let mut config = model.to_config();
    assert_eq!(config["config"]["layers"][1]["freezing"], "frozen_params");
    config["config"]["layers"][1]["config"]["trainable"] = true.into();
    let model = read(&config).unwrap();
    assert_eq!(
        model.get_layer("dense").unwrap().freezing(),
        Freezing::Trainable
    );
}

#[test]
fn a_model_that_is_not_built_stays_so() {
    let model = Sequential::new(layers![Dense::new(4), Dense::new(2)]).unwrap();
    assert_round_trip(&model);
    assert!(!read(&model.to_config()).unwrap().is_built());
}

#[test]
fn keras_1_has_the_list_of_layers_as_the_settings() {
    let config = json!({
        "class_name": "Sequential",
        "config": [
            {"class_name": "Dense", "config": {
                "name": "dense_1", "units": 3, "batch_input_shape": [null, 4], "dtype": "float32",
                "activation": "relu", "kernel_initializer": {
                    "class_name": "VarianceScaling",
                    "config": {"distribution": "uniform", "scale": 1.0, "seed": null, "mode": "fan_avg"},
                },
            }},
            {"class_name": "BatchNormalization", "config": {"name": "bn", "axis": [1], "fused": true}},
        ],
    });
    let model = read(&config).unwrap();
    assert_eq!(model.input_shapes()[0].to_string(), "(None, 4)");
    assert_eq!(model.weights().len(), 6);
}

/// A functional configuration of `Dense` layers that are called on each other.
fn graph(layers: &[(&str, &[&str])], outputs: &str) -> Value {
    let layer = |&(name, sources): &(&str, &[&str])| {
        let history: Vec<Value> = sources
            .iter()
            .map(|source| json!([source, 0, 0, {}]))
            .collect();
        match sources {
            [] => json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [],
                "config": {"batch_shape": [null, 3], "name": name}}),
            _ => json!({"class_name": "Dense", "name": name, "inbound_nodes": [history],
                "config": {"units": 3, "name": name}}),
        }
    };
    json!({
        "class_name": "Functional",
        "config": {
            "name": "graph",
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
            "input_layers": [["x", 0, 0]],
            "output_layers": [[outputs, 0, 0]],
        },
    })
}

#[test]
fn cycles_and_unknown_references_are_refused() {
    let error = |layers: &[(&str, &[&str])]| read(&graph(layers, "b")).unwrap_err().to_string();
    let cycle = error(&[("x", &[]), ("a", &["b"]), ("b", &["a"])]);
    assert!(
        cycle.contains("circle") && cycle.contains("graph"),
        "{cycle}"
    );
    let itself = error(&[("x", &[]), ("b", &["b"])]);
    assert!(itself.contains("circle"), "{itself}");
    let unknown = error(&[("x", &[]), ("b", &["xx"])]);
    assert!(
        unknown.contains("\"xx\"") && unknown.contains("\"x\""),
        "{unknown}"
    );
    let twice = error(&[("x", &[]), ("b", &["x"]), ("b", &["x"])]);
    assert!(twice.contains("twice"), "{twice}");
    let mut config = graph(&[("x", &[]), ("b", &["x"])], "b");
    config["config"]["layers"][1]["inbound_nodes"][0][0][1] = 7.into();
    assert!(read(&config).unwrap_err().to_string().contains("call 7"));
    config["config"]["layers"][1]["inbound_nodes"] = json!([[["x", 0, 0, {"training": true}]]]);
    assert!(read(&config).unwrap_err().to_string().contains("training"));
}

#[test]
fn a_chain_of_a_thousand_layers_in_reverse_order_is_read_without_recursion() {
    let names: Vec<String> = (0..1000).map(|number| format!("d{number}")).collect();
    let mut layers: Vec<(&str, Vec<&str>)> = vec![("x", vec![]), ("d0", vec!["x"])];
    for pair in names.windows(2) {
        layers.push((&pair[1], vec![&pair[0]]));
    }
    layers.reverse();
    let layers: Vec<(&str, &[&str])> = layers
        .iter()
        .map(|(name, sources)| (*name, sources.as_slice()))
        .collect();
    let model = read(&graph(&layers, "d999")).unwrap();
    assert_eq!(model.layers().len(), 1001);
    assert_eq!(model.layers()[1].name(), "d0");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let dense = |config: Value| {
        json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
            {"class_name": "Dense", "config": config}]}})
    };
    let error = |config: &Value| read(config).unwrap_err().to_string();
    assert!(error(&json!(null)).contains("class_name"));
    assert!(error(&json!({"class_name": "Sequential", "config": {}})).contains("layers"));
    assert!(error(&dense(json!({"name": "d"}))).contains("m/d/"));
    assert!(error(&dense(json!({"name": "d", "units": -3}))).contains("units"));
    let quantized =
        json!({"name": "d", "units": 3, "dtype": {"config": {"name": "int8_from_float32"}}});
    assert!(error(&dense(quantized)).contains("m/d/dtype"));
    let lambda = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "Lambda", "config": {"name": "l"}}]}});
    assert!(error(&lambda).contains("Python"));
    let mut deep = dense(json!({"name": "d", "units": 1}));
    for _ in 0..40 {
        deep = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [deep]}});
    }
    assert!(error(&deep).contains("models in each other"));
    let open = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "config": {"batch_shape": [null, null, 3]}}]}});
    assert!(error(&open).contains("fixed sizes"));
}

/// Layers for samples that are rows, with any settings.
fn any_layer() -> impl Strategy<Value = LayerSpec> {
    let unit = 0.0..1.0_f32;
    prop_oneof![
        (1..5_usize, any::<bool>())
            .prop_map(|(units, bias)| Dense::new(units).use_bias(bias).into()),
        prop::sample::select(vec!["relu", "gelu", "softmax", "leaky_relu"])
            .prop_map(|activation| Dense::new(3).activation(activation).into()),
        (unit.clone(), any::<bool>(), any::<bool>()).prop_map(|(momentum, center, scale)| {
            BatchNormalization::new()
                .momentum(momentum)
                .center(center)
                .scale(scale)
                .into()
        }),
        (unit.clone(), prop::option::of(any::<u64>())).prop_map(|(rate, seed)| match seed {
            Some(seed) => Dropout::new(rate).seed(seed).into(),
            None => Dropout::new(rate).into(),
        }),
        unit.clone()
            .prop_map(|rate| GaussianDropout::new(rate).into()),
        unit.clone().prop_map(|rate| AlphaDropout::new(rate).into()),
        unit.clone()
            .prop_map(|stddev| GaussianNoise::new(stddev).into()),
        (-9.0..9.0_f32).prop_map(|scale| Rescaling::new(scale).offset(0.1).into()),
        (1e-7..1.0_f32).prop_map(|epsilon| LayerNormalization::new().epsilon(epsilon).into()),
        (1e-7..1.0_f32).prop_map(|epsilon| RMSNormalization::new().epsilon(epsilon).into()),
        unit.clone().prop_map(|slope| LeakyReLU::new(slope).into()),
        unit.prop_map(|slope| ReLU::new().negative_slope(slope).max_value(6.0).into()),
        Just(Normalization::new().into()),
        Just(PReLU::new().alpha_regularizer("l2").into()),
        Just(UnitNormalization::new().into()),
        Just(Softmax::new().into()),
        Just(Flatten::new().into()),
        Just(Reshape::new([-1]).into()),
        Just(Identity.into()),
        Just(ActivityRegularization { l1: 0.1, l2: 0.0 }.into()),
        any_freezing().prop_map(|freezing| {
            let mut inner = LayerSpec::from(Dense::new(3));
            inner.freezing = freezing;
            SpectralNormalization::new(inner).into()
        }),
    ]
}

fn any_freezing() -> impl Strategy<Value = Freezing> {
    prop::sample::select(vec![
        Freezing::Trainable,
        Freezing::FrozenStatistics,
        Freezing::FrozenParams,
        Freezing::Frozen,
    ])
}

/// Stacks of layers, each in any state, some of them in a model of their own.
fn any_model() -> impl Strategy<Value = Model> {
    let stack = || prop::collection::vec((any_layer(), any_freezing()), 1..6);
    let weights = prop::collection::vec((0..64_usize, any_freezing()), 0..6);
    let parts = (stack(), prop::option::of(stack()), 1..5_usize, weights);
    parts.prop_map(|(outer, inner, features, weights)| {
        let mut specs = layers![Input::new([features])];
        let with_states = |stack: Vec<(LayerSpec, Freezing)>| {
            stack.into_iter().map(|(mut spec, freezing)| {
                spec.freezing = freezing;
                spec
            })
        };
        if let Some(inner) = inner {
            let mut nested = layers![Input::new([features])];
            nested.extend(with_states(inner));
            specs.push(Sequential::new(nested).unwrap().named("base"));
        }
        specs.extend(with_states(outer));
        let mut model = Sequential::new(specs).unwrap();
        let paths: Vec<String> = model.weights().iter().map(|it| it.path().into()).collect();
        for (number, freezing) in weights.into_iter().filter(|_| !paths.is_empty()) {
            let path = &paths[number % paths.len()];
            let selector = match number % 3 {
                // The layer that has it, also within another.
                0 => path[..path.rfind('/').unwrap()].into_selector(),
                _ => Selector::weights(path),
            };
            model.set_freezing(selector, freezing).unwrap();
        }
        model
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reading_what_was_written_is_the_identity(model in any_model()) {
        assert_round_trip(&model);
    }

    #[test]
    fn only_trainable_layers_have_gradient_nodes(model in any_model()) {
        let graph = Graph::new();
        let x = graph.input("x", &model.input_shapes()[0], DataType::F32);
        let (outputs, emission) = model.emit(&graph, &[x], Mode::Training).unwrap();
        let variables = |found: &mut Vec<usize>| {
            for (_, node) in graph.nodes().iter() {
                if let regraft_autograd::Source::Variable(id) = node.source {
                    found.push(id.0);
                }
            }
        };
        let mut found = Vec::new();
        variables(&mut found);
        let wrt: Vec<_> = emission.trainable.iter().map(|(_, var)| *var).collect();
        graph.grad(outputs[0].sum_all(), &wrt).unwrap();
        let mut expected_trainable = Vec::new();
        let mut expected_updates = Vec::new();
        model.topology.visit("", &mut |_, entry| {
            // Of what a spectral normalization contains, it moves the kernel.
            for inner in entry.wrapped.iter().filter(|_| entry.freezing.behaves_as_in_training()) {
                let alone = inner.alone.get("kernel").copied();
                if alone.unwrap_or(inner.freezing.trains_parameters()) {
                    expected_updates.push(inner.weights[0]);
                }
            }
            for &id in &entry.weights {
                let weight = model.weights().get(id).unwrap();
                let alone = entry.alone.get(weight.name()).copied();
                let (trains, moves) = (
                    alone.unwrap_or(entry.freezing.trains_parameters()),
                    entry.freezing.behaves_as_in_training() && alone != Some(false),
                );
                match weight.kind() {
                    crate::WeightKind::Parameter if trains => {
                        expected_trainable.push(id);
                    }
                    crate::WeightKind::State if moves && !weight.spec().fixed => {
                        expected_updates.push(id);
                    }
                    // Nothing in the graph could read or change it.
                    _ => prop_assert_not_variable(&found, id.0),
                }
            }
        });
        let trainable: Vec<_> = emission.trainable.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(sorted(trainable), sorted(expected_trainable));
        let updates: Vec<_> = emission.updates.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(sorted(updates), sorted(expected_updates));
    }
}

fn prop_assert_not_variable(variables: &[usize], id: usize) {
    assert!(
        !variables.contains(&id),
        "weight {id} is frozen, yet a variable"
    );
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

#[test]
fn a_graph_written_by_hand_survives_the_file() {
    let mut f = Functional::new();
    let (x, z) = (f.input([4]), f.input([4]));
    let a = f.apply(Dense::new(4).named("shared"), &[x]).unwrap();
    let b = f.apply_again("shared", &[z]).unwrap();
    let sum = f.apply(Add, &[a, b]).unwrap();
    let base = Sequential::new(layers![Input::new([4]), Dense::new(3)]).unwrap();
    let c = f.apply(base.frozen(), &[sum]).unwrap();
    let d = f.apply_again("sequential", &[a]).unwrap();
    let y = f.apply(Concatenate::new(), &[c, d]).unwrap();
    assert_round_trip(&f.model(&[x, z], &[y, d]).unwrap());
}

/// A functional model of an input `x` of 2 numbers and one layer `y`.
fn with_layer(layer: Value) -> Value {
    json!({ "class_name": "Functional", "config": {
        "name": "m",
        "layers": [
            { "class_name": "InputLayer", "name": "x", "inbound_nodes": [],
              "config": { "name": "x", "batch_shape": [null, 2] } },
            layer,
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["y", 0, 0]],
    } })
}

#[test]
fn operations_of_tensorflows_own_graphs_are_read() {
    // As TensorFlow 2.0 to 2.3 wrote `1.0 - x`.
    let layer = json!({
        "class_name": "TensorFlowOpLayer", "name": "y", "inbound_nodes": [[["x", 0, 0, {}]]],
        "config": { "name": "y", "node_def": { "name": "sub", "op": "Sub" }, "constants": { "0": 1.0 } },
    });
    let model = read(&with_layer(layer)).unwrap();
    let x = Tensor::new([1, 2], vec![3.0, -1.0]).unwrap();
    assert_eq!(predict(&model, &[x]), [[-2.0, 2.0]]);
    assert_round_trip(&model);
}

#[test]
fn operations_of_legacy_files_are_told_from_the_layers_of_their_names() {
    // As Keras 3.15 writes `3.0 - x` into `.h5`, which it cannot open itself.
    let tensor =
        json!({ "class_name": "__keras_tensor__", "config": { "keras_history": ["x", 0, 0] } });
    let subtract = |args: Value, config: Value| {
        with_layer(json!({
            "class_name": "Subtract", "name": "y", "config": config,
            "inbound_nodes": [{ "args": args, "kwargs": {} }],
        }))
    };
    let config = subtract(json!([3.0, tensor]), json!({ "name": "y" }));
    let x = Tensor::new([1, 2], vec![3.0, -1.0]).unwrap();
    assert_eq!(predict(&read(&config).unwrap(), &[x]), [[0.0, 4.0]]);
    let layer = json!({ "name": "y", "trainable": true });
    let layer = read(&subtract(json!([[tensor, tensor]]), layer)).unwrap();
    assert_eq!(layer.places()[1].class_name, "Subtract");
    let error = read(&subtract(
        json!([3.0, tensor]),
        json!({ "name": "y", "trainable": true }),
    ));
    assert!(error.is_err(), "a layer is not called with a number");
}

#[test]
fn operations_that_are_not_known_are_named_and_never_guessed() {
    let tensor =
        json!({ "class_name": "__keras_tensor__", "config": { "keras_history": ["x", 0, 0] } });
    let of_keras = |class_name: &str, args: Value, config: Value| {
        json!({
            "module": "keras.src.ops.numpy", "class_name": class_name, "name": "y",
            "config": config, "inbound_nodes": [{ "args": args, "kwargs": {} }],
        })
    };
    let of_tensorflow = |function: &str, node: Value| {
        json!({
            "class_name": "TFOpLambda", "name": "y", "inbound_nodes": [node],
            "config": { "name": "y", "function": function },
        })
    };
    let refused = [
        (
            of_keras("Adds", json!([tensor, 1.0]), json!({})),
            "\"Adds\"",
        ),
        (
            of_keras("GetItem", json!([tensor, [0]]), json!({})),
            "the batch as a whole",
        ),
        (
            of_keras("Add", json!([tensor]), json!({})),
            "Add.x2: expected a value",
        ),
        (
            of_keras("Add", json!([1.0, 2.0]), json!({})),
            "the output of a layer",
        ),
        (
            of_keras("Add", json!([tensor, "a"]), json!({})),
            "a number or an array",
        ),
        (
            of_keras("Add", json!([tensor, [[1.0], [1.0, 2.0]]]), json!({})),
            "an array",
        ),
        (
            of_keras("Mean", json!([tensor]), json!({ "axis": null })),
            "the batch",
        ),
        (
            of_keras("Mean", json!([tensor]), json!({ "axis": 0 })),
            "the batch",
        ),
        (
            of_keras("Reshape", json!([tensor]), json!({ "newshape": [2, -1] })),
            "the batch",
        ),
        (
            of_keras("Transpose", json!([tensor]), json!({ "axes": [1, 0] })),
            "the batch first",
        ),
        (
            of_keras("Add", json!([tensor, 1.0]), json!({ "alpha": 2 })),
            "alpha",
        ),
        (
            of_tensorflow("io.read_file", json!(["x", 0, 0, {}])),
            "\"io.read_file\"",
        ),
        (
            of_tensorflow("math.add", json!(["x", 0, 0, { "y": 2.0, "z": 1.0 }])),
            "\"z\": 1.0",
        ),
    ];
    for (layer, what) in refused {
        let error = read(&with_layer(layer)).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains('y'), "{error}");
    }
}

#[test]
fn slashes_in_names_of_keras_2_become_underscores() {
    // DenseNet's names; Keras 3 refuses them, and calls the same layers `conv1_conv` and so on.
    let dense = |name: &str, from: Value| {
        json!({"class_name": "Dense", "name": name, "config": {"name": name, "units": 2},
            "inbound_nodes": [[[from, 0, 0, {}]]]})
    };
    let config = json!({"class_name": "Functional", "config": {"name": "model", "layers": [
        {"class_name": "InputLayer", "name": "input_1", "inbound_nodes": [],
            "config": {"batch_input_shape": [null, 3], "dtype": "float32", "name": "input_1"}},
        dense("conv1/conv", json!("input_1")),
        dense("top", json!("conv1/conv")),
    ], "input_layers": [["input_1", 0, 0]], "output_layers": [["top", 0, 0]]}});
    let model = read(&config).unwrap();
    let names: Vec<&str> = model.layers().iter().map(|layer| layer.name()).collect();
    assert_eq!(names, ["input_1", "conv1_conv", "top"]);
    let config = json!({"class_name": "Sequential", "config": {"name": "model", "layers": [
        {"class_name": "Dense", "config":
            {"name": "conv1/conv", "units": 2, "batch_input_shape": [null, 3]}},
    ]}});
    let model = read(&config).unwrap();
    assert!(model.weight("conv1_conv/kernel").is_some());
}

#[test]
fn the_layer_of_inception_resnet_is_known_by_both_of_its_names() {
    // Printed by `tf_keras.applications.InceptionResNetV2(weights=None).get_config()`: a prefix.
    for class_name in ["CustomScaleLayer", "Custom>CustomScaleLayer"] {
        let settings = json!({"scale": 0.17});
        let layer = Registry::new().layer(class_name, settings.as_object().unwrap());
        assert_eq!(layer.unwrap().class_name(), "CustomScaleLayer");
    }
}
