//! Every layer against real Keras: output, gradients, penalties, state and configuration.

use regraft_autograd::{Feed, Graph, Program, Run, Var};
use regraft_tensor::Tensor;
use serde_json::Value;

use crate::golden::{self, assert_close, name, number, tensor};
use crate::layers::{Input, Normalization};
use crate::{Mode, Model, Registry, Sequential, layers};

/// The cases of both files.
fn cases() -> Vec<Value> {
    [golden::cases("layers"), golden::cases("spatial_layers")].concat()
}

/// Layers that, in the files, behave as in inference.
const RANDOM: [&str; 9] = [
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "StochasticDepth",
    "BatchNormalization",
];

/// What Keras added to configurations after 3.0, or writes for a layer alone. Left out, each has the
/// value that Keras wrote.
const LEFT_OUT: [&str; 5] = [
    "quantization_config",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
    "input_axes",
];

/// A model of the case's layer alone, with the case's weights.
fn model(case: &Value) -> Model {
    let layer = &case["config"]["layer"];
    let x = &case["inputs"]["x"];
    let mut shape = x["shape"].clone();
    shape[0] = Value::Null;
    let integers = case["outputs"]["gradient"].is_null();
    let input = serde_json::json!({
        "class_name": "InputLayer",
        "config": {
            "name": "x",
            "batch_shape": shape,
            "dtype": if integers { "int32" } else { "float32" },
        },
    });
    let config = serde_json::json!({
        "class_name": "Sequential",
        "config": { "name": "case", "layers": [input, layer] },
    });
    let mut model = Model::from_config(&config, &Registry::new()).unwrap();
    let expected = case["inputs"]["weights"].as_array().unwrap();
    let names: Vec<&str> = expected
        .iter()
        .map(|w| w["name"].as_str().unwrap())
        .collect();
    let received: Vec<&str> = model.weights().iter().map(crate::Weight::name).collect();
    assert_eq!(received, names, "{}: weight names in order", name(case));
    let values = expected
        .iter()
        .map(|weight| tensor(&weight["value"]))
        .collect();
    model.set_layer_weights(0, values).unwrap();
    model
}

fn check_numbers(case: &Value) {
    let what = name(case);
    let model = model(case);
    let class = case["config"]["layer"]["class_name"].as_str().unwrap();
    let training = case["config"]["training"] == true || !RANDOM.contains(&class);
    let mode = if training {
        Mode::Training
    } else {
        Mode::Inference
    };
    let graph = Graph::new();
    let x = graph.input("x", &model.input_shapes()[0], model.input_types()[0]);
    let (outputs, emission) = model.emit(&graph, &[x], mode).unwrap();
    let y = outputs[0];
    let upstream = graph.input("upstream", y.shape(), Default::default());
    let zero = graph.number(0.0);
    let penalty = emission
        .penalties
        .iter()
        .fold(zero, |sum, &penalty| sum + penalty);
    let loss = (y * upstream).sum_all() + penalty;
    let integers = case["outputs"]["gradient"].is_null();
    let mut wrt: Vec<Var<'_>> = emission.trainable.iter().map(|(_, var)| *var).collect();
    let weights = wrt.len();
    if !integers {
        wrt.push(x);
    }
    let mut asked = vec![y, penalty];
    asked.extend(graph.grad(loss, &wrt).unwrap());
    asked.extend(emission.updates.iter().map(|(_, value)| *value));
    let mut program = Program::compile(&graph, &asked).unwrap().workspace();

    let values = tensor(&case["inputs"]["x"]);
    let ids: Vec<i32> = values.as_slice().iter().map(|&id| id as i32).collect();
    let upstream = tensor(&case["inputs"]["upstream"]);
    let feed = if integers {
        Feed::I32(&ids)
    } else {
        Feed::from(&values)
    };
    let batch = values.shape()[0];
    let feeds = [feed, Feed::from(&upstream)];
    program
        .run(batch, &feeds, model.weights(), Run::default())
        .unwrap();

    let close = |part: &str, received: &[f32], expected: &[f32]| {
        assert_close(&format!("{what}: {part}"), received, expected, 1e-5, 1.0);
    };
    let expected = tensor(&case["outputs"]["y"]);
    assert_eq!(program.output_shape(0), expected.shape(), "{what}");
    close("y", program.output(0), expected.as_slice());
    let penalty = number(&case["outputs"]["regularization_loss"]);
    close("penalty", program.output(1), &[penalty]);
    let gradients = case["outputs"]["weight_gradients"].as_array().unwrap();
    assert_eq!(gradients.len(), weights, "{what}: trainable weights");
    for (index, gradient) in gradients.iter().enumerate() {
        let part = format!("gradient of {}", gradient["name"]);
        close(
            &part,
            program.output(2 + index),
            tensor(&gradient["value"]).as_slice(),
        );
    }
    if !integers {
        let expected = tensor(&case["outputs"]["gradient"]);
        close(
            "gradient of x",
            program.output(2 + weights),
            expected.as_slice(),
        );
    }
    for state in case["outputs"]["state"].as_array().unwrap() {
        let name = state["name"].as_str().unwrap();
        let mut weights = model.weights().iter();
        let weight = weights.find(|weight| weight.name() == name).unwrap();
        let updated = emission
            .updates
            .iter()
            .position(|(id, _)| *id == weight.id());
        let received = match updated {
            Some(position) => program.output(2 + wrt.len() + position).to_vec(),
            None => weight.value().as_slice().to_vec(),
        };
        close(name, &received, tensor(&state["value"]).as_slice());
    }
}

/// Checks that `ours` says what Keras says, without later additions.
pub(super) fn check_config(at: &str, ours: &Value, keras: &Value) {
    match (ours, keras) {
        (Value::Object(ours), Value::Object(keras)) => {
            for (key, value) in ours {
                let keras = keras
                    .get(key)
                    .unwrap_or_else(|| panic!("{at}: Keras has no {key}"));
                check_config(&format!("{at}/{key}"), value, keras);
            }
            for (key, value) in keras {
                let known = ours.contains_key(key) || LEFT_OUT.contains(&key.as_str());
                assert!(known || value.is_null(), "{at}: {key} is missing");
            }
        }
        (Value::Array(ours), Value::Array(keras)) => {
            assert_eq!(ours.len(), keras.len(), "{at}");
            for (ours, keras) in ours.iter().zip(keras) {
                check_config(at, ours, keras);
            }
        }
        (Value::Number(ours), Value::Number(keras)) => {
            let (ours, keras) = (ours.as_f64().unwrap(), keras.as_f64().unwrap());
            assert_eq!(ours as f32, keras as f32, "{at}");
        }
        // Classes that write their type as a word take a policy as well.
        (Value::Object(policy), Value::String(name)) if at.ends_with("dtype") => {
            assert_eq!(policy["config"]["name"], **name, "{at}");
        }
        _ => assert_eq!(ours, keras, "{at}"),
    }
}

#[test]
fn outputs_gradients_penalties_and_state_are_those_of_keras() {
    for case in &cases() {
        check_numbers(case);
    }
}

#[test]
fn configurations_are_those_of_keras() {
    for case in &cases() {
        let config = model(case).to_config();
        let ours = &config["config"]["layers"][1];
        let mut keras = case["config"]["layer"].clone();
        // The file has the batch of the data there, and shapes of layers without weights.
        keras.as_object_mut().unwrap().remove("build_config");
        let mut ours = ours.clone();
        ours.as_object_mut().unwrap().remove("build_config");
        check_config(name(case), &ours, &keras);
    }
}

#[test]
fn adapting_finds_the_statistics_that_keras_finds() {
    for case in &cases() {
        if case["config"]["adapt"].is_null() {
            continue;
        }
        let data = tensor(&case["config"]["adapt"]);
        let axis = case["config"]["layer"]["config"]["axis"]
            .as_array()
            .unwrap();
        let axis: Vec<isize> = axis
            .iter()
            .map(|axis| axis.as_i64().unwrap() as isize)
            .collect();
        let layer = Normalization::new().axis(axis).adapt(&data).unwrap();
        let input = Input::new(&data.shape()[1..]);
        let model = Sequential::new(layers![input, layer]).unwrap();
        for (weight, expected) in model
            .weights()
            .iter()
            .zip(case["inputs"]["weights"].as_array().unwrap())
        {
            let what = format!("{}: {}", name(case), weight.name());
            let expected = tensor(&expected["value"]);
            assert_eq!(weight.value().shape(), expected.shape(), "{what}");
            assert_close(
                &what,
                weight.value().as_slice(),
                expected.as_slice(),
                1e-5,
                1.0,
            );
        }
    }
}

/// What a model makes of a batch in a mode, with its random numbers at a step.
pub(super) fn run(model: &Model, mode: Mode, x: &Tensor, step: u64) -> Vec<f32> {
    let graph = Graph::new();
    let input = graph.input("x", &model.input_shapes()[0], model.input_types()[0]);
    let (outputs, _) = model.emit(&graph, &[input], mode).unwrap();
    let mut program = Program::compile(&graph, &outputs).unwrap().workspace();
    let run = Run { seed: 7, step };
    program
        .run(x.shape()[0], &[Feed::from(x)], model.weights(), run)
        .unwrap();
    program.output(0).to_vec()
}

#[test]
fn random_layers_draw_what_they_promise_and_nothing_when_frozen() {
    let x = Tensor::full([200, 5, 20], 1.0);
    // Of each: mean and variance of the output for ones as input.
    let random: Vec<(crate::LayerSpec, f32, f32)> = vec![
        (super::Dropout::new(0.25).into(), 1.0, 0.25 / 0.75),
        (super::SpatialDropout1D::new(0.25).into(), 1.0, 0.25 / 0.75),
        (super::GaussianNoise::new(0.5).into(), 1.0, 0.25),
        (super::GaussianDropout::new(0.25).into(), 1.0, 0.25 / 0.75),
    ];
    for (layer, mean, variance) in random {
        let mut model = Sequential::new(layers![Input::new([5, 20]), layer]).unwrap();
        let y = run(&model, Mode::Training, &x, 0);
        let count = y.len() as f32;
        let found = y.iter().sum::<f32>() / count;
        assert!((found - mean).abs() < 0.03, "{model:?}: mean {found}");
        let spread = y.iter().map(|y| (y - found).powi(2)).sum::<f32>() / count;
        assert!(
            (spread - variance).abs() < 0.03,
            "{model:?}: variance {spread}"
        );
        assert_eq!(
            y,
            run(&model, Mode::Training, &x, 0),
            "same step, same numbers"
        );
        assert_ne!(
            y,
            run(&model, Mode::Training, &x, 1),
            "another step, other numbers"
        );
        assert_eq!(run(&model, Mode::Inference, &x, 0), x.as_slice());
        model.freeze(..).unwrap();
        assert_eq!(run(&model, Mode::Training, &x, 0), x.as_slice());
    }
}

#[test]
fn alpha_dropout_keeps_mean_and_variance() {
    let mut x = Tensor::zeros([20_000, 1]);
    let key = regraft_tensor::kernels::random::Key::new(1, 0);
    regraft_tensor::kernels::random::normal(key, 0, x.as_mut_slice());
    let layer = super::AlphaDropout::new(0.3);
    let model = Sequential::new(layers![Input::new([1]), layer]).unwrap();
    let y = run(&model, Mode::Training, &x, 0);
    let mean = y.iter().sum::<f32>() / y.len() as f32;
    let variance = y.iter().map(|y| (y - mean).powi(2)).sum::<f32>() / y.len() as f32;
    assert!(
        mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
        "{mean} {variance}"
    );
}

#[test]
fn spatial_dropout_drops_whole_channels() {
    let layer = super::SpatialDropout2D::new(0.5);
    let model = Sequential::new(layers![Input::new([3, 3, 8]), layer]).unwrap();
    let y = run(&model, Mode::Training, &Tensor::full([4, 3, 3, 8], 1.0), 0);
    for sample in y.chunks(72) {
        for pixel in sample.chunks(8) {
            assert_eq!(pixel, &sample[..8]);
        }
    }
    assert!(y.contains(&0.0) && y.contains(&2.0));
}

#[test]
fn a_named_stream_gives_the_same_mask_wherever_the_layer_stands() {
    let dropout = || super::Dropout::new(0.5).seed(3);
    let x = Tensor::full([4, 6], 1.0);
    let first = Sequential::new(layers![Input::new([6]), dropout()]).unwrap();
    let second = layers![Input::new([6]), super::GaussianNoise::new(1.0), dropout()];
    let second = Sequential::new(second).unwrap();
    let zeros = |y: Vec<f32>| y.iter().map(|&y| y == 0.0).collect::<Vec<_>>();
    let first = zeros(run(&first, Mode::Training, &x, 0));
    assert_eq!(first, zeros(run(&second, Mode::Training, &x, 0)));
}

#[test]
fn settings_without_meaning_are_refused_with_the_layer_named() {
    let refused: Vec<crate::LayerSpec> = layers![
        super::Dropout::new(1.5),
        super::Dropout::new(0.5).noise_shape([None, Some(3)]),
        super::GaussianNoise::new(-1.0),
        super::GaussianDropout::new(1.0),
        super::BatchNormalization::new().axis(5),
        super::BatchNormalization::new().axis(0),
        super::LayerNormalization::new().epsilon(-1.0),
        super::Reshape::new([3, -1]),
        super::Reshape::new([-1, -1]),
        super::Reshape::new([0, -1]),
        super::Reshape::new([-2]),
        super::Permute::new([0]),
        super::Permute::new([1, 2]),
        super::PReLU::new().shared_axes([2]),
        super::Rescaling::per_channel([1.0, 2.0]),
        super::Normalization::with([1.0, 2.0], [1.0, 1.0]),
        super::SpatialDropout1D::new(0.5),
        super::ReLU::new().max_value(-1.0),
        super::Softmax::new().axis([0]),
        super::Concatenate::new().axis(0),
        super::Embedding::new(0, 3),
        super::Dense::new(3).activation("reluu"),
    ];
    for layer in refused {
        let what = format!("{layer:?}");
        let error = Sequential::new(layers![Input::new([4]), layer.named("wrong")]);
        let error = error
            .err()
            .unwrap_or_else(|| panic!("{what}: accepted"))
            .to_string();
        assert!(error.contains("wrong"), "{what}: {error}");
    }
}

#[test]
fn settings_of_image_layers_without_meaning_are_refused_with_the_layer_named() {
    let refused: Vec<(crate::LayerSpec, &str)> = vec![
        (super::Conv2D::new(0, 3).into(), "filters"),
        (super::Conv2D::new(2, [3, 0]).into(), "kernel_size"),
        (super::Conv2D::new(2, usize::MAX).into(), "kernel_size"),
        (super::Conv2D::new(2, 7).into(), "at least 7 cells"),
        (super::Conv2D::new(2, 3).strides(0).into(), "strides"),
        (
            super::Conv2D::new(2, 3).strides(2).dilation_rate(2).into(),
            "dilation_rate",
        ),
        (
            super::Conv2D::new(2, 3).padding("full").into(),
            "padding: expected \"valid\"",
        ),
        (
            super::Conv2D::new(2, 3).padding("causal").into(),
            "\"causal\"",
        ),
        (super::Conv2D::new(2, 3).groups(3).into(), "groups"),
        (super::Conv2D::new(3, 3).groups(2).into(), "groups"),
        (super::Conv2D::new(2, 3).groups(0).into(), "groups"),
        (super::Conv2D::new(2, 3).activation("reluu").into(), "reluu"),
        (super::Conv1D::new(2, 3).into(), "(batch, steps, channels)"),
        (
            super::Conv3D::new(2, 3).into(),
            "(batch, depth, rows, columns, channels)",
        ),
        (
            super::DepthwiseConv2D::new(3).depth_multiplier(0).into(),
            "depth_multiplier",
        ),
        (super::SeparableConv2D::new(0, 3).into(), "filters"),
        (
            super::Conv2DTranspose::new(2, 3).output_padding(1).into(),
            "output_padding",
        ),
        (super::MaxPooling2D::new(5).into(), "at least 5 cells"),
        (
            super::AveragePooling2D::new(2).padding("causal").into(),
            "padding",
        ),
        (
            super::GlobalMaxPooling1D::new().into(),
            "(batch, steps, channels)",
        ),
        (super::ZeroPadding2D::new(usize::MAX).into(), "padding"),
        (super::Cropping2D::new([[2, 2], [0, 0]]).into(), "cropping"),
        (super::UpSampling2D::new(0).into(), "size"),
        (
            super::UpSampling2D::new(2).interpolation("cubic").into(),
            "interpolation",
        ),
        (super::Resizing::new(0, 2).into(), "height"),
        (
            super::Resizing::new(2, 2).interpolation("cubic").into(),
            "interpolation",
        ),
        (super::CenterCrop::new(0, 2).into(), "height"),
        (super::GroupNormalization::new(3).into(), "groups"),
        (super::GroupNormalization::new(0).into(), "groups"),
        (super::LayerScale::new(0.1, 3).into(), "projection_dim"),
        (super::StochasticDepth::new(1.5).into(), "0 to 1"),
        (super::CustomScaleLayer::new(0.1).into(), "2 inputs"),
        (super::Dot::new([1, 1]).into(), "2 inputs"),
        (super::Operation::new("Added").into(), "\"Add\""),
        (
            super::Operation::new("Add").into(),
            "Add.x2: expected a value",
        ),
    ];
    for (layer, what) in refused {
        let error = Sequential::new(layers![Input::new([4, 4, 2]), layer.named("wrong")]);
        let error = error.err().map(|error| error.to_string());
        let error = error.unwrap_or_else(|| panic!("{what}: accepted"));
        assert!(
            error.contains("wrong") && error.contains(what),
            "{what}: {error}"
        );
    }
}

#[test]
fn ids_may_be_floats_as_in_keras() {
    let table = super::Embedding::new(5, 2);
    let model = Sequential::new(layers![Input::new([3]), table]).unwrap();
    let graph = Graph::new();
    let x = graph.input("x", &model.input_shapes()[0], model.input_types()[0]);
    let (outputs, _) = model.emit(&graph, &[x], Mode::Inference).unwrap();
    let mut program = Program::compile(&graph, &outputs).unwrap().workspace();
    let ids = Feed::F32(&[0.0, 1.9, 4.0]);
    program
        .run(1, &[ids], model.weights(), Run::default())
        .unwrap();
    let rows = model.weights().iter().next().unwrap().value().as_slice();
    let expected = [&rows[..2], &rows[2..4], &rows[8..]].concat();
    assert_eq!(program.output(0), expected);
}
