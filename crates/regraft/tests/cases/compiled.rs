//! Models compiled in unusual ways, of `fixtures/compiled_files.py`: losses for some outputs, weights of samples and
//! of steps, factors, metrics and optimizers as each version of Keras means them.

use regraft::ndarray::{Array2, ArrayD};
use regraft::{Data, Fit, IntoData, Model, Verbosity};
use regraft_io::{Dialect, Format};
use serde_json::{Value, json};

use crate::common::{assert_close, case};

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(case("compiled/cases.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    cases["cases"].as_array().unwrap().clone()
}

fn open(file: &str) -> Model {
    Model::open(case(&format!("compiled/{file}"))).unwrap().0
}

/// An array of a case, which strings and integers are as well.
enum Array {
    Floats(ArrayD<f32>),
    Integers(ArrayD<i32>),
    Strings(ArrayD<String>),
}

struct Named(Option<String>, Array);

impl Named {
    fn new(value: &Value) -> Self {
        let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
        let data = &value["data"];
        let array = if data[0].is_string() {
            let data = serde_json::from_value(data.clone()).unwrap();
            Array::Strings(ArrayD::from_shape_vec(shape, data).unwrap())
        } else if data[0].is_i64() {
            let data = serde_json::from_value(data.clone()).unwrap();
            Array::Integers(ArrayD::from_shape_vec(shape, data).unwrap())
        } else {
            let data = serde_json::from_value(data.clone()).unwrap();
            Array::Floats(ArrayD::from_shape_vec(shape, data).unwrap())
        };
        Named(value["name"].as_str().map(str::to_string), array)
    }

    fn data(&self) -> Data<'_> {
        let data = match &self.1 {
            Array::Floats(array) => array.into_data(),
            Array::Integers(array) => array.into_data(),
            Array::Strings(array) => array.into_data(),
        };
        match &self.0 {
            Some(name) => (name.as_str(), data.unwrap()).into_data().unwrap(),
            None => data.unwrap(),
        }
    }
}

fn arrays(value: &Value) -> Vec<Named> {
    value.as_array().unwrap().iter().map(Named::new).collect()
}

fn data(arrays: &[Named]) -> Vec<Data<'_>> {
    arrays.iter().map(Named::data).collect()
}

fn train(model: &mut Model, case: &Value) -> regraft::History {
    let fit = Fit::new().epochs(3).batch_size(4).shuffle(false);
    let fit = fit.verbosity(Verbosity::Silent);
    let (x, y) = (arrays(&case["x"]), arrays(&case["y"]));
    let weights = case.get("sample_weight").map(arrays);
    let fit = match &weights {
        Some(weights) => fit.sample_weight(data(weights)),
        None => fit,
    };
    model.fit(data(&x), data(&y), fit).unwrap()
}

fn check(history: &regraft::History, case: &Value, what: &str) {
    let expected = case["history"].as_object().unwrap();
    assert!(expected.contains_key("loss"), "{what}");
    for (name, expected) in expected {
        let ours = history
            .get(name)
            .unwrap_or_else(|| panic!("{what}: no {name}"));
        for (ours, expected) in ours.iter().zip(expected.as_array().unwrap()) {
            let expected = expected.as_f64().unwrap();
            assert!(
                (ours - expected).abs() <= 2e-5 * expected.abs().max(1.0),
                "{what} {name}: {ours}, expected {expected}"
            );
        }
    }
    let names: Vec<&str> = history.names().collect();
    // In nested lists Keras calls parts by places, and the case has the loss alone.
    assert!(
        expected.len() == 1 || names.len() == expected.len(),
        "{what}: {names:?}"
    );
}

#[test]
fn they_train_as_keras_trains_what_it_opens_from_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut trained = 0;
    for case in cases().iter().filter(|case| case.get("history").is_some()) {
        let file = case["file"].as_str().unwrap();
        check(&train(&mut open(file), case), case, file);
        for ending in ["keras", "h5"] {
            let again = folder.path().join(format!("again.{ending}"));
            open(file).save(&again).unwrap();
            let (mut model, report) = Model::open(&again).unwrap();
            assert!(report.unknown.is_empty(), "{file}: {report}");
            check(
                &train(&mut model, case),
                case,
                &format!("{file} as {ending}"),
            );
        }
        trained += 1;
    }
    assert_eq!(trained, 14);
}

/// `golden_validation.py`: `evaluate` with weights, and validation on samples with weights of their own.
#[test]
fn what_is_validated_counts_as_in_keras() {
    let path = format!(
        "{}/../../fixtures/golden/validation.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let (name, file) = (&case["name"], case["config"]["file"].as_str().unwrap());
        let part = |part: &str| arrays(&case["inputs"][part]);
        let (x, y, weights) = (part("x"), part("y"), part("weights"));
        let of_validation = ["x", "y", "weights"].map(|it| part(&format!("validation_{it}")));
        let [validation_x, validation_y, validation_weights] = &of_validation;
        let mut model = open(file);
        let scores = model
            .evaluate_weighted(
                data(validation_x),
                data(validation_y),
                data(validation_weights),
            )
            .unwrap();
        for (key, expected) in case["outputs"]["evaluate"].as_object().unwrap() {
            let ours = scores.get(key);
            let ours = ours.unwrap_or_else(|| panic!("{name}: no {key} in {scores:?}"));
            let expected = expected.as_f64().unwrap();
            let near = (ours - expected).abs() <= 2e-5 * expected.abs().max(1.0);
            assert!(
                near,
                "{name}, {key} of evaluate: {ours}, expected {expected}"
            );
        }
        for (also, history) in case["outputs"]["histories"].as_object().unwrap() {
            let fit = Fit::new().epochs(2).batch_size(8).shuffle(false);
            let mut fit = fit
                .verbosity(Verbosity::Silent)
                .validation_data(data(validation_x), data(validation_y))
                .validation_sample_weight(data(validation_weights));
            if also == "with" {
                fit = fit.sample_weight(data(&weights));
            }
            let ours = open(file).fit(data(&x), data(&y), fit).unwrap();
            check(
                &ours,
                &json!({ "history": history }),
                &format!("{name} {also}"),
            );
        }
    }
}

#[test]
fn weights_of_a_validation_are_checked_and_need_one() {
    let case = cases()
        .into_iter()
        .find(|case| case["file"] == "factor.keras")
        .unwrap();
    let (x, y) = (arrays(&case["x"]), arrays(&case["y"]));
    let fit = |fit: Fit<'_>| {
        let fit = fit.verbosity(Verbosity::Silent);
        open("factor.keras")
            .fit(data(&x), data(&y), fit)
            .unwrap_err()
            .to_string()
    };
    let weights = vec![1.0_f32; 8];
    for without in [Fit::new(), Fit::new().validation_split(0.25)] {
        let error = fit(without.validation_sample_weight(&weights));
        assert!(error.contains("validation_sample_weight"), "{error}");
        assert!(error.contains("validation_data"), "{error}");
    }
    let validated = || Fit::new().validation_data(data(&x), data(&y));
    let error = fit(validated().validation_sample_weight(&weights[1..]));
    assert!(error.contains("validation_sample_weight"), "{error}");
    let mut bad = weights.clone();
    bad[5] = f32::INFINITY;
    let error = fit(validated().validation_sample_weight(&bad));
    assert!(error.contains("sample 5"), "{error}");
    let mut model = open("factor.keras");
    let error = model
        .evaluate_weighted(data(&x), data(&y), &bad)
        .unwrap_err()
        .to_string();
    assert!(error.contains("sample 5"), "{error}");
    // Weights of another shape are another program than the one that was kept.
    let mut model = open("steps.keras");
    let case = cases()
        .into_iter()
        .find(|case| case["file"] == "steps.keras")
        .unwrap();
    let (x, y) = (arrays(&case["x"]), arrays(&case["y"]));
    let plain = model.evaluate(data(&x), data(&y)).unwrap().loss;
    let steps = ArrayD::from_elem(vec![8, 5], 2.0_f32);
    for weights in [ArrayD::from_elem(vec![8], 2.0_f32), steps] {
        let scores = model
            .evaluate_weighted(data(&x), data(&y), &weights)
            .unwrap();
        assert!(
            (scores.loss - 2.0 * plain).abs() < 1e-6 * plain,
            "{scores:?} {plain}"
        );
    }
}

#[test]
fn what_is_not_trained_predicts_as_in_keras() {
    let folder = tempfile::tempdir().unwrap();
    for case in cases()
        .iter()
        .filter(|case| case.get("predictions").is_some())
    {
        let model = open(case["file"].as_str().unwrap());
        let (x, expected) = (arrays(&case["x"]), Named::new(&case["predictions"]));
        let Array::Floats(expected) = expected.1 else {
            panic!("predictions are floats");
        };
        assert_close(model.predict(data(&x)).unwrap().as_slice(), &expected, 1e-5);
        let again = folder.path().join("again.keras");
        model.save(&again).unwrap();
        let (again, _) = Model::open(&again).unwrap();
        assert_close(again.predict(data(&x)).unwrap().as_slice(), &expected, 1e-5);
    }
}

#[test]
fn how_keras_runs_steps_is_kept() {
    let format = Format::KerasArchive(Dialect::Named);
    let config = |model: &Model| model.checkpoint(format).unwrap().compile_config.unwrap();
    let model = open("weights.keras");
    let first = config(&model);
    assert_eq!(first["run_eagerly"], true);
    let mut checkpoint = model.checkpoint(format).unwrap();
    let compiled = checkpoint.compile_config.as_mut().unwrap();
    compiled["steps_per_execution"] = json!(7);
    compiled["jit_compile"] = json!("auto");
    let expected = compiled.clone();
    let (mut model, _) =
        Model::from_checkpoint(&checkpoint, "memory", &regraft::Registry::new()).unwrap();
    assert_eq!(config(&model), expected);
    model.set_optimizer("sgd").unwrap();
    assert_eq!(config(&model)["steps_per_execution"], 7);
    model.compile("sgd", "mse", ()).unwrap();
    assert_eq!(config(&model)["steps_per_execution"], 1);
}

#[test]
fn a_loss_can_be_taken_away() {
    let case = cases()
        .into_iter()
        .find(|case| case["file"] == "none.keras")
        .unwrap();
    let mut model = open("none.keras");
    model
        .compile(regraft::optimizers::SGD::new(0.1), "mse", ["mae", "mae"])
        .unwrap();
    model.without_loss("left").unwrap();
    check(&train(&mut model, &case), &case, "without_loss");
    let error = model.without_loss("lift").unwrap_err().to_string();
    assert!(error.contains("\"left\""), "{error}");
    model.without_loss("right").unwrap();
    let (x, y) = (arrays(&case["x"]), arrays(&case["y"]));
    let error = model
        .fit(data(&x), data(&y), Fit::new())
        .unwrap_err()
        .to_string();
    assert!(error.contains("a loss for at least one output"), "{error}");
}

#[test]
fn weights_of_another_shape_are_said() {
    let case = cases()
        .into_iter()
        .find(|case| case["file"] == "steps.keras")
        .unwrap();
    let mut model = open("steps.keras");
    let (x, y) = (arrays(&case["x"]), arrays(&case["y"]));
    let fit = |model: &mut Model, weights: &ArrayD<f32>| {
        let fit = Fit::new()
            .verbosity(Verbosity::Silent)
            .sample_weight(weights);
        model.fit(data(&x), data(&y), fit)
    };
    for shape in [vec![8, 4], vec![8, 5, 2], vec![7]] {
        let error = fit(&mut model, &ArrayD::ones(shape))
            .unwrap_err()
            .to_string();
        assert!(error.contains("sample_weight"), "{error}");
    }
    let mut bad = Array2::<f32>::ones((8, 5));
    bad[[2, 3]] = f32::NAN;
    let error = fit(&mut model, &bad.into_dyn()).unwrap_err().to_string();
    assert!(error.contains("sample 2, element 3"), "{error}");
    // A column counts as numbers, as in Keras.
    assert!(fit(&mut model, &ArrayD::ones(vec![8, 1])).is_ok());
    let weights = vec![1.0_f32; 8];
    let both = Fit::new().sample_weight((&weights, &weights));
    let error = model.fit(data(&x), data(&y), both).unwrap_err().to_string();
    assert!(error.contains("one array, or one for each"), "{error}");
}

#[test]
fn weights_for_one_output_are_for_no_other() {
    let case = cases()
        .into_iter()
        .find(|case| case["file"] == "none.keras")
        .unwrap();
    let mut model = open("none.keras");
    let (x, y) = (arrays(&case["x"]), arrays(&case["y"]));
    let samples = data(&x)[0].shape()[0];
    let weights = vec![1.0_f32; samples];
    for name in [model.output_names()[0].clone(), "lift".to_string()] {
        let fit = Fit::new()
            .verbosity(Verbosity::Silent)
            .sample_weight([(name.as_str(), &weights)]);
        let error = model.fit(data(&x), data(&y), fit).unwrap_err().to_string();
        assert!(error.contains("sample_weight"), "{error}");
    }
}
