//! Models as graphs: several inputs and outputs, chains of thousands of layers, surgery.

use ndarray::{Array2, array};
use regraft::layers::{Concatenate, Dense, Dropout, Input, LayerExt, layers};
use regraft::optimizers::SGD;
use regraft::{Fit, Functional, Model, Sequential, Verbosity};
use serde_json::{Value, json};

/// Two inputs and two outputs, one of which does not depend on the second input.
fn two_by_two() -> Model {
    let mut f = Functional::with_seed(5);
    let (a, b) = (f.input([3]), f.input([2]));
    let left = f
        .apply(Dense::new(4).activation("tanh").named("left"), &[a])
        .unwrap();
    let joined = f.apply(Concatenate::new(), &[left, b]).unwrap();
    let value = f.apply(Dense::new(2).named("value"), &[joined]).unwrap();
    let class = f
        .apply(Dense::new(3).activation("softmax").named("class"), &[left])
        .unwrap();
    f.model(&[a, b], &[value, class]).unwrap()
}

fn numbers(rows: usize, columns: usize, frequency: f32) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        ((i * columns + j) as f32 * frequency).sin()
    })
}

fn quiet() -> Fit<'static> {
    Fit::new().verbosity(Verbosity::Silent)
}

#[test]
fn a_model_of_several_inputs_and_outputs_is_trained() {
    let mut model = two_by_two();
    let (a, b) = (numbers(12, 3, 0.7), numbers(12, 2, 0.3));
    let values = numbers(12, 2, 0.9);
    let classes: Vec<i32> = (0..12).map(|i| i % 3).collect();
    model
        .compile(SGD::new(0.1), "mse", ["mae", "accuracy"])
        .unwrap();
    model
        .losses(["mse", "sparse_categorical_crossentropy"])
        .unwrap();
    model.loss_weights([0.5, 2.0]).unwrap();
    let before = model.evaluate((&a, &b), (&values, &classes)).unwrap();
    let sum = 0.5 * before.get("value_loss").unwrap() + 2.0 * before.get("class_loss").unwrap();
    assert!((before.loss - sum).abs() < 1e-6, "{before}");
    let names: Vec<&str> = before
        .metrics
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        ["value_loss", "class_loss", "value_mae", "class_accuracy"]
    );
    // Each metric is of its own output.
    let outputs = model.predict_all([&a, &b]).unwrap();
    let mae: f32 = outputs[0]
        .as_slice()
        .iter()
        .zip(&values)
        .map(|(output, value)| (output - value).abs())
        .sum::<f32>()
        / 24.0;
    assert!((before.get("value_mae").unwrap() - f64::from(mae)).abs() < 1e-6);
    let fit = quiet()
        .epochs(60)
        .validation_data((&a, &b), (&values, &classes));
    let history = model.fit((&a, &b), (&values, &classes), fit).unwrap();
    let last = |name: &str| *history.get(name).unwrap().last().unwrap();
    assert!(last("loss") < before.loss, "{}", last("loss"));
    let after = model.evaluate((&a, &b), (&values, &classes)).unwrap();
    assert_eq!(last("val_class_loss"), after.get("class_loss").unwrap());
    // The file keeps the losses, their weights and the order of the outputs.
    let folder = tempfile::tempdir().unwrap();
    for ending in ["keras", "h5"] {
        let path = folder.path().join(format!("two.{ending}"));
        model.save(&path).unwrap();
        let (mut opened, _) = Model::open(&path).unwrap();
        let scores = opened.evaluate((&a, &b), (&values, &classes)).unwrap();
        assert_eq!(scores, after, "{ending}");
    }
}

#[test]
fn the_gradient_of_a_sum_of_losses_is_the_sum_of_the_gradients() {
    // One step of SGD on both outputs moves the shared layer as much as a step on each.
    let (a, b) = (numbers(4, 3, 0.7), numbers(4, 2, 0.3));
    let (values, classes) = (numbers(4, 2, 0.9), numbers(4, 3, 0.2));
    let step = |weights: [f32; 2]| {
        let mut model = two_by_two();
        model
            .compile(SGD::new(1.0), "mse", ())
            .unwrap()
            .loss_weights(weights)
            .unwrap();
        let before = model.weight("left/kernel").unwrap().value().clone();
        model.fit((&a, &b), (&values, &classes), quiet()).unwrap();
        let after = model.weight("left/kernel").unwrap().value().clone();
        let moved = before
            .as_slice()
            .iter()
            .zip(after.as_slice())
            .map(|(b, a)| a - b);
        moved.collect::<Vec<f32>>()
    };
    let (first, second, both) = (step([1.0, 0.0]), step([0.0, 1.0]), step([1.0, 1.0]));
    for ((first, second), both) in first.iter().zip(&second).zip(&both) {
        assert!(
            (first + second - both).abs() < 1e-6,
            "{first} + {second} = {both}"
        );
    }
    assert!(first.iter().any(|moved| moved.abs() > 1e-3));
}

#[test]
fn what_does_not_fit_several_inputs_and_outputs_is_told() {
    let mut model = two_by_two();
    let (a, b) = (numbers(4, 3, 0.7), numbers(4, 2, 0.3));
    let error = model.predict(&a).unwrap_err().to_string();
    assert!(
        error.contains("2 arrays") && error.contains("input_layer_1"),
        "{error}"
    );
    let error = model.predict_all((&b, &a)).unwrap_err().to_string();
    assert!(
        error.contains("\"input_layer\"") && error.contains("(None, 3)"),
        "{error}"
    );
    let error = model.predict((&a, &b)).unwrap_err().to_string();
    assert!(error.contains("predict_all"), "{error}");
    model.compile("sgd", "mse", ["mae"]).unwrap();
    let error = model.evaluate((&a, &b), (&b, &a)).unwrap_err().to_string();
    assert!(error.contains("1 for each of the 2 outputs"), "{error}");
    model.compile("sgd", "mse", ()).unwrap();
    let error = model.evaluate((&a, &b), &b).unwrap_err().to_string();
    assert!(error.contains("one per output"), "{error}");
    let error = model.evaluate((&a, &b), (&b, &b)).unwrap_err().to_string();
    assert!(error.contains("output \"class\""), "{error}");
    model.losses(["mse", "mse", "mse"]).unwrap();
    let error = model.evaluate((&a, &b), (&b, &a)).unwrap_err().to_string();
    assert!(error.contains("2 outputs"), "{error}");
    assert!(model.loss_weights([f32::NAN, 1.0]).is_err());
}

/// A chain of `length` dense layers of one unit as Keras writes it, which adds up 1/length each.
fn chain(length: usize) -> Value {
    let layer = |index: usize| {
        let from = match index {
            0 => "input".to_string(),
            index => format!("d{}", index - 1),
        };
        json!({
            "class_name": "Dense", "name": format!("d{index}"),
            "config": {"name": format!("d{index}"), "units": 1, "kernel_initializer": "ones"},
            "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__",
                "config": {"keras_history": [from, 0, 0]}}], "kwargs": {}}],
        })
    };
    let input = json!({
        "class_name": "InputLayer", "name": "input",
        "config": {"name": "input", "batch_shape": [null, 1]}, "inbound_nodes": [],
    });
    // The file's order is not the order of the chain.
    let layers: Vec<Value> = (0..length).rev().map(layer).chain([input]).collect();
    json!({"class_name": "Functional", "config": {
        "name": "chain", "layers": layers, "input_layers": [["input", 0, 0]],
        "output_layers": [[format!("d{}", length - 1), 0, 0]],
    }})
}

#[test]
fn a_chain_of_thousands_of_layers_is_read_trained_saved_and_opened() {
    const LENGTH: usize = 2000;
    // The stack of a thread that would not hold a walk by recursion.
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let thread = small.spawn(|| {
        let registry = regraft::layers::Registry::new();
        let mut model = Model::from_config(&chain(LENGTH), &registry).unwrap();
        let (x, y) = (array![[1.0_f32], [2.0]], array![[1.0_f32], [2.0]]);
        assert_eq!(model.predict(&x).unwrap().as_slice(), [1.0, 2.0]);
        model.compile(SGD::new(1e-9), "mse", ()).unwrap();
        model.fit(&x, &y, quiet()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.keras");
        model.save(&path).unwrap();
        let (opened, _) = Model::open(&path).unwrap();
        assert_eq!(opened.predict(&x).unwrap(), model.predict(&x).unwrap());
        let cut = opened.cut_at("d999").unwrap();
        assert_eq!(cut.layers().len(), 1001);
        assert!(opened.summary().to_string().contains("d1999"));
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn a_cycle_and_a_missing_layer_are_refused_by_name() {
    let registry = regraft::layers::Registry::new();
    let mut cycle = chain(3);
    cycle["config"]["layers"][2]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] =
        json!(["d2", 0, 0]);
    let error = Model::from_config(&cycle, &registry)
        .unwrap_err()
        .to_string();
    assert!(error.contains("circle"), "{error}");
    let mut missing = chain(3);
    missing["config"]["output_layers"][0][0] = json!("d3");
    let error = Model::from_config(&missing, &registry)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"d3\"") && error.contains("\"d2\""),
        "{error}"
    );
}

#[test]
fn a_wrong_size_and_wrong_channels_are_told_apart() {
    let images = layers![
        Input::new([8, 8, 3]).named("images"),
        regraft::layers::Flatten::new(),
        Dense::new(1)
    ];
    let model = Sequential::new(images).unwrap();
    let error = |shape: [usize; 4]| {
        let error = model
            .predict(&ndarray::Array4::<f32>::zeros(shape))
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("\"images\"") && error.contains("(None, 8, 8, 3)"),
            "{error}"
        );
        error
    };
    assert!(error([2, 8, 8, 1]).contains("1 channels where the model takes 3"));
    assert!(error([2, 9, 9, 3]).contains("9×9 where the model takes 8×8"));
    assert!(error([2, 3, 8, 8]).contains("channels come last"));
    let single = model
        .predict(&ndarray::Array3::<f32>::zeros([8, 8, 3]))
        .unwrap_err();
    assert!(single.to_string().contains("an axis of size 1"), "{single}");
}

#[test]
fn a_new_head_is_trained_on_a_frozen_base_and_the_old_model_stays() {
    let stack = layers![
        Input::new([3]),
        Dense::new(6).activation("relu").named("base"),
        Dropout::new(0.2),
        Dense::new(9).named("old"),
    ];
    let mut old = Sequential::with_seed(stack, 3).unwrap();
    old.freeze("base").unwrap();
    let x = numbers(20, 3, 0.7);
    let before = old.predict(&x).unwrap();
    let head = layers![Dense::new(2).activation("softmax").named("new")];
    let mut model = old.replace_head("dropout", head).unwrap();
    model
        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    let labels: Vec<i32> = (0..20).map(|i| i % 2).collect();
    let base = model.weight("base/kernel").unwrap().value().clone();
    model.fit(&x, &labels, quiet().epochs(3)).unwrap();
    assert_eq!(model.weight("base/kernel").unwrap().value(), &base);
    assert_eq!(old.predict(&x).unwrap(), before);
    let both = model
        .features(["base", "new"])
        .unwrap()
        .predict_all(&x)
        .unwrap();
    assert_eq!(both[1], model.predict(&x).unwrap());
    assert_eq!(both[0].shape(), [20, 6]);
}
