//! Compares with what Keras' losses give, and gradients with finite differences.

use regraft_autograd::{DataType, Feed, Graph, Program, Run, Shape, Tensor, gradcheck};
use regraft_tensor::IntTensor;
use serde_json::{Map, Value, json};

use super::*;
use crate::golden;

/// Relative to the number, or to 0.1 for smaller ones: terms that nearly cancel leave fewer digits.
const FLOOR: f64 = 0.1;

fn loss(name: &str, config: Value) -> LossFunction {
    from_config(name, config.as_object().unwrap()).unwrap()
}

/// Values fed to a program.
enum Fed {
    Floats(Tensor),
    Integers(IntTensor),
}

impl Fed {
    fn feed(&self) -> Feed<'_> {
        match self {
            Fed::Floats(tensor) => tensor.into(),
            Fed::Integers(tensor) => Feed::I32(tensor.as_slice()),
        }
    }
}

/// The values per sample, the three reductions, and the gradient of the mean.
fn compute(case: &Value, made: &LossFunction) -> Vec<Vec<f32>> {
    let inputs = &case["inputs"];
    let predictions = golden::tensor(&inputs["y_pred"]);
    let (batch, sample) = predictions.shape().split_first().unwrap();
    let graph = Graph::new();
    let y_pred = graph.samples("predictions", sample);
    let (shape, data_type) = made.get().unwrap().targets(&y_pred.shape()).unwrap();
    let y_true = graph.input("targets", shape, data_type);
    let mut fed = vec![
        Fed::Floats(predictions.clone()),
        match data_type {
            DataType::F32 => Fed::Floats(golden::tensor(&inputs["y_true"])),
            DataType::I32 => Fed::Integers(golden::int_tensor(&inputs["y_true"])),
        },
    ];
    let mut weights = None;
    if !inputs["sample_weight"].is_null() {
        let tensor = golden::tensor(&inputs["sample_weight"]);
        weights = Some(graph.samples("weights", &tensor.shape()[1..]));
        fed.push(Fed::Floats(tensor));
    }
    let mut values = made.get().unwrap().call(y_true, y_pred);
    if let Some(mask) = made.get().unwrap().mask(y_true, values) {
        values = values * mask;
    }
    if let Some(weights) = weights {
        values = values * weights;
    }
    let mut outputs = vec![values];
    for reduction in [
        Reduction::Sum,
        Reduction::SumOverBatchSize,
        Reduction::MeanWithSampleWeight,
    ] {
        let reduced = made.clone().reduction(reduction);
        outputs.push(reduced.apply(y_true, y_pred, weights));
    }
    outputs.push(graph.grad(outputs[2], &[y_pred]).unwrap()[0]);
    let mut program = Program::compile(&graph, &outputs).unwrap().workspace();
    let feeds: Vec<Feed<'_>> = fed.iter().map(Fed::feed).collect();
    let none: &[Tensor] = &[];
    program.run(*batch, &feeds, none, Run::default()).unwrap();
    (0..outputs.len())
        .map(|index| program.output(index).to_vec())
        .collect()
}

#[test]
fn values_reductions_and_gradients_are_those_of_keras() {
    let mut compared = 0;
    for case in golden::cases("losses") {
        let (class, config) = golden::class_and_config(&case);
        if class == "CTC" {
            continue;
        }
        let name = golden::name(&case);
        let made = from_config(class, config).unwrap();
        let outputs = &case["outputs"];
        let expected = [
            golden::tensor(&outputs["none"]).as_slice().to_vec(),
            vec![golden::number(&outputs["sum"])],
            vec![golden::number(&outputs["sum_over_batch_size"])],
            vec![golden::number(&outputs["mean_with_sample_weight"])],
            golden::tensor(&outputs["gradient"]).as_slice().to_vec(),
        ];
        let computed = compute(&case, &made);
        for (what, (computed, expected)) in ["none", "sum", "mean", "weighted mean", "gradient"]
            .into_iter()
            .zip(computed.iter().zip(&expected))
        {
            let what = format!("{what} of {name}");
            golden::assert_close(&what, computed, expected, 1e-6, FLOOR);
        }
        compared += 1;
    }
    assert!(compared > 90, "{compared}");
}

/// Every loss, and settings other than the defaults, with predictions that are probabilities (if
/// so said) or any numbers.
fn all() -> Vec<(LossFunction, bool)> {
    let weights = json!({"alpha": [0.1, 0.2, 0.3], "label_smoothing": 0.1});
    let focal = json!({"apply_class_balancing": true, "gamma": 3.0, "from_logits": true});
    let overlap = json!({"alpha": 0.3, "beta": 0.7, "axis": [1]});
    let mut all: Vec<(LossFunction, bool)> = Vec::new();
    for (names, _) in TABLE {
        let any = [
            "mean_a",
            "mean_squared_e",
            "huber",
            "log_cosh",
            "cosine",
            "hinge",
        ];
        let any = any.iter().any(|name| names[0].contains(name));
        all.push((loss(names[0], json!({})), !any && names[0] != "circle"));
    }
    for (name, config) in [
        ("huber", json!({"delta": 0.3})),
        ("cosine_similarity", json!({"axis": 0})),
        (
            "binary_crossentropy",
            json!({"from_logits": true, "axis": 0}),
        ),
        ("binary_focal_crossentropy", focal),
        ("categorical_crossentropy", json!({"from_logits": true})),
        (
            "categorical_focal_crossentropy",
            json!({"from_logits": true}),
        ),
        (
            "sparse_categorical_crossentropy",
            json!({"from_logits": true}),
        ),
        (
            "circle",
            json!({"gamma": 5.0, "margin": 0.25, "remove_diagonal": false}),
        ),
    ] {
        all.push((loss(name, config), false));
    }
    for (name, config) in [
        ("binary_crossentropy", json!({"label_smoothing": 0.2})),
        (
            "categorical_crossentropy",
            json!({"axis": 0, "label_smoothing": 0.2}),
        ),
        ("categorical_focal_crossentropy", weights),
        ("categorical_generalized_cross_entropy", json!({"q": 0.8})),
        (
            "sparse_categorical_crossentropy",
            json!({"ignore_class": 2}),
        ),
        ("dice", json!({"axis": -1})),
        ("tversky", overlap),
        ("mse", json!({"reduction": "sum", "name": "error"})),
        ("mae", json!({"reduction": "mean_with_sample_weight"})),
    ] {
        all.push((loss(name, config), true));
    }
    all
}

#[test]
fn gradients_agree_with_finite_differences() {
    // Errors, margins and products that are off every kink by more than 2/64.
    let targets = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
    let targets = Tensor::new([4, 3], targets.to_vec()).unwrap();
    let classes = IntTensor::new([4], vec![1, 0, 2, 1]).unwrap();
    let probabilities = [
        0.3, 0.5, 0.2, 0.6, 0.25, 0.15, 0.2, 0.35, 0.45, 0.15, 0.4, 0.45,
    ];
    let any = [
        -0.7, 0.6, 0.4, 1.6, -1.4, 0.2, 0.8, -0.5, 0.3, 1.3, 0.5, -1.2,
    ];
    for (made, probable) in all() {
        let name = made.name();
        let numbers = if probable { probabilities } else { any };
        let predictions = Tensor::new([4, 3], numbers.to_vec()).unwrap();
        // As gradcheck counts absolute errors of small gradients, they must not be small.
        let scale = 10.0;
        let checked = gradcheck(
            |graph, x| {
                let shape = x[0].shape();
                let given = match made.get().unwrap().targets(&shape).unwrap().1 {
                    DataType::F32 => graph.constant(targets.clone()),
                    DataType::I32 => graph.int_constant(classes.clone()),
                };
                made.get().unwrap().call(given, x[0]) * scale
            },
            &[predictions],
        );
        assert!(checked.is_ok(), "{name}: {checked:?}");
    }
}

/// Runs a graph's outputs on one batch of inputs.
fn run(graph: &Graph, outputs: &[Var<'_>], batch: usize, feeds: &[Feed<'_>]) -> Vec<Vec<f32>> {
    let mut program = Program::compile(graph, outputs).unwrap().workspace();
    let none: &[Tensor] = &[];
    program.run(batch, feeds, none, Run::default()).unwrap();
    (0..outputs.len())
        .map(|index| program.output(index).to_vec())
        .collect()
}

/// As in Keras, a loss takes the logits below a softmax or sigmoid: from the probabilities, which
/// are clipped, a confident wrong prediction would have a wrong loss and no gradient.
#[test]
fn logits_are_found_below_probabilities() {
    for (name, activation) in [
        ("sparse_categorical_crossentropy", "softmax"),
        ("categorical_crossentropy", "softmax"),
        ("binary_crossentropy", "sigmoid"),
        ("binary_focal_crossentropy", "sigmoid"),
    ] {
        let graph = Graph::new();
        let logits = graph.samples("logits", &[2]);
        let p = crate::Activation::from(activation).apply(logits);
        let probable = loss(name, json!({}));
        let from_logits = loss(name, json!({"from_logits": true}));
        let shape = logits.shape();
        let (shape, data_type) = probable.get().unwrap().targets(&shape).unwrap();
        let targets = graph.input("targets", shape, data_type);
        let losses = [
            probable.apply(targets, p, None),
            from_logits.apply(targets, logits, None),
        ];
        let gradient = graph.grad(losses[0], &[logits]).unwrap()[0];
        let feed: [Feed<'_>; 2] = [
            Feed::F32(&[-40.0, 40.0]),
            match data_type {
                DataType::F32 => Feed::F32(&[1.0, 0.0]),
                DataType::I32 => Feed::I32(&[0]),
            },
        ];
        let outputs = run(&graph, &[losses[0], losses[1], gradient], 1, &feed);
        assert_eq!(outputs[0], outputs[1], "{name}");
        assert!(outputs[0][0] >= 39.9, "{name}: {:?}", outputs[0]);
        assert!(outputs[2][0] < -0.4, "{name}: {:?}", outputs[2]);
    }
}

#[test]
fn what_is_ignored_may_be_anything() {
    let graph = Graph::new();
    let logits = graph.samples("logits", &[2]);
    let classes = graph.input("classes", Shape::batch_of(&[]), DataType::I32);
    let made = SparseCategoricalCrossentropy::from_logits().ignore_class(-1);
    let value = LossFunction::from(made).apply(classes, logits, None);
    let gradient = graph.grad(value, &[logits]).unwrap()[0];
    let logits = [0.0, 0.0, f32::NAN, f32::INFINITY];
    let feeds = [Feed::F32(&logits), Feed::I32(&[1, -1])];
    let outputs = run(&graph, &[value, gradient], 2, &feeds);
    assert_eq!(outputs[0], [2.0_f32.ln()]);
    assert_eq!(outputs[1], [0.5, -0.5, 0.0, 0.0]);
    let feeds = [Feed::F32(&logits), Feed::I32(&[-1, -1])];
    assert_eq!(run(&graph, &[value], 2, &feeds)[0], [0.0]);
}

#[test]
fn a_class_that_is_none_is_an_error() {
    let graph = Graph::new();
    let logits = graph.samples("logits", &[2]);
    let classes = graph.input("classes", Shape::batch_of(&[]), DataType::I32);
    let made: LossFunction = SparseCategoricalCrossentropy::from_logits().into();
    let value = made.apply(classes, logits, None);
    let mut program = Program::compile(&graph, &[value]).unwrap().workspace();
    let feeds = [Feed::F32(&[0.0, 1.0]), Feed::I32(&[2])];
    let none: &[Tensor] = &[];
    assert!(program.run(1, &feeds, none, Run::default()).is_err());
}

#[test]
fn a_weight_per_sample_goes_with_losses_per_position() {
    let graph = Graph::new();
    let x = graph.samples("x", &[2, 1]);
    let zero = graph.full(x.shape(), 0.0);
    let weights = graph.samples("weights", &[]);
    let value = loss("mse", json!({"reduction": "sum"})).apply(zero, x, Some(weights));
    let feeds = [Feed::F32(&[1.0, 2.0, 3.0, 4.0]), Feed::F32(&[1.0, 10.0])];
    assert_eq!(run(&graph, &[value], 2, &feeds)[0], [255.0]);
    // The loss of a batch as a whole has no weights per sample.
    loss("dice", json!({})).apply(zero, x, Some(weights));
    let error = graph.check().unwrap_err().to_string();
    assert!(error.contains("Dice"), "{error}");
}

#[test]
fn configurations_come_back() {
    for (made, _) in all() {
        let serialized = made.serialize();
        let again = LossFunction::deserialize(&serialized).unwrap();
        assert_eq!(again.serialize(), serialized);
        let (made, again) = (made.get().unwrap(), again.get().unwrap());
        assert_eq!(format!("{again:?}"), format!("{made:?}"));
    }
    let by_name = |value: Value| LossFunction::deserialize(&value).unwrap().name();
    assert_eq!(by_name(json!("MSE")), "mean_squared_error");
    assert_eq!(by_name(json!("KLDivergence")), "kl_divergence");
    let function = json!({"class_name": "function", "config": "huber"});
    assert_eq!(by_name(function), "huber");
    let keras2 = json!({"reduction": "auto", "name": "x", "from_logits": true, "axis": -1});
    let made = loss("SparseCategoricalCrossentropy", keras2);
    assert_eq!(made.serialize()["config"]["from_logits"], true);
}

#[test]
fn what_has_no_meaning_is_refused() {
    for (name, config) in [
        ("mse", json!({"delta": 1.0})),
        ("mse", json!({"reduction": "none"})),
        ("huber", json!({"delta": 0.0})),
        ("binary_crossentropy", json!({"label_smoothing": 1.5})),
        ("binary_crossentropy", json!({"from_logits": "yes"})),
        ("binary_focal_crossentropy", json!({"gamma": -1.0})),
        ("categorical_crossentropy", json!({"label_smoothing": -0.1})),
        (
            "categorical_focal_crossentropy",
            json!({"alpha": [0.1, -0.1]}),
        ),
        ("categorical_focal_crossentropy", json!({"alpha": "auto"})),
        ("categorical_generalized_cross_entropy", json!({"q": 1.0})),
        ("sparse_categorical_crossentropy", json!({"axis": 1})),
        (
            "sparse_categorical_crossentropy",
            json!({"ignore_class": 0.5}),
        ),
        ("tversky", json!({"alpha": -0.5})),
        ("dice", json!({"axis": "all"})),
        ("circle", json!({"gamma": -80.0})),
    ] {
        let made = from_config(name, config.as_object().unwrap());
        assert!(made.is_err(), "{name} {config}");
    }
    let error = from_config("sparse_crossentropy", &Map::new()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("\"sparse_categorical_crossentropy\""),
        "{error}"
    );
    let wrong: LossFunction = Huber { delta: -1.0 }.into();
    assert!(wrong.get().is_err());

    // Shapes that a loss has no meaning for.
    let targets = |made: LossFunction, shape: Shape| made.get().unwrap().targets(&shape).err();
    assert!(targets("mse".into(), Shape::batch_of(&[])).is_some());
    let sparse = LossFunction::from("sparse_categorical_crossentropy");
    assert!(targets(sparse, Shape::batch_of(&[])).is_some());
    assert!(targets("circle".into(), Shape::batch_of(&[2, 3])).is_some());
    let alpha = json!({"alpha": [0.1, 0.2]});
    let focal = loss("categorical_focal_crossentropy", alpha);
    assert!(targets(focal, Shape::batch_of(&[3])).is_some());
    let graph = Graph::new();
    let x = graph.samples("x", &[3]);
    loss("cosine_similarity", json!({"axis": 2})).apply(x, x, None);
    assert!(graph.check().is_err());
}
