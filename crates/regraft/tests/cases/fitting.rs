//! Small fits beside real Keras': metrics by name on logits, class weights, callbacks of two fits.

use std::path::Path;

use regraft::callbacks::{
    CSVLogger, EarlyStopping, LambdaCallback, LearningRateScheduler, ModelCheckpoint,
    ReduceLROnPlateau, SaveFrequency,
};
use regraft::data::{Arrays, Dataset, RowSpec, Rows};
use regraft::extend::Detail;
use regraft::ndarray::{Array1, Array2};
use regraft::random::Key;
use regraft::{Fit, History, Model, Sequential, Tensor, Verbosity};
use regraft_layers::LossFunction;
use regraft_layers::layers::{ActivationLayer, Dense, Input};
use serde_json::{Value, json};

/// What `fixtures/golden_fitting.py` made of one kind.
pub fn cases(kind: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/fitting.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap().iter();
    cases.filter(|case| case["kind"] == kind).cloned().collect()
}

fn numbers(array: &Value) -> Vec<f32> {
    let data = array["data"].as_array().unwrap().iter();
    data.map(|value| value.as_f64().unwrap() as f32).collect()
}

fn shape(array: &Value) -> Vec<usize> {
    let sizes = array["shape"].as_array().unwrap().iter();
    sizes.map(|size| size.as_u64().unwrap() as usize).collect()
}

fn tensor(array: &Value) -> Tensor {
    Tensor::new(shape(array), numbers(array)).unwrap()
}

/// The dense layer of a case, with its values.
fn model(case: &Value) -> Model {
    let config = &case["config"];
    let weights = &case["inputs"]["weights"];
    let units = shape(&weights[0])[1];
    let activation = config["activation"].as_str().unwrap_or("linear");
    let separate = config["separate"] == true;
    let inside = if separate { "linear" } else { activation };
    let mut layers = vec![
        Input::new([3]).into(),
        Dense::new(units).activation(inside).into(),
    ];
    if separate {
        layers.push(ActivationLayer::new(activation).into());
    }
    let mut model = Sequential::new(layers).unwrap();
    model
        .set_weight("dense/kernel", tensor(&weights[0]))
        .unwrap();
    model.set_weight("dense/bias", tensor(&weights[1])).unwrap();
    model
}

/// Targets as a case has them: class numbers, a column, or rows.
enum Targets {
    Classes(Array1<i32>),
    Column(Array2<i32>),
    Values(Tensor),
}

fn targets(y: &Value, integers: bool) -> Targets {
    let ints = || numbers(y).into_iter().map(|value| value as i32);
    match (integers, shape(y).as_slice()) {
        (true, [_]) => Targets::Classes(ints().collect()),
        (true, [rows, columns]) => {
            Targets::Column(Array2::from_shape_vec((*rows, *columns), ints().collect()).unwrap())
        }
        _ => Targets::Values(tensor(y)),
    }
}

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 2e-5 * theirs.abs() + 2e-6
}

#[test]
fn metrics_by_name_are_of_the_probabilities_that_logits_stand_for() {
    let (mut wrong, mut differing) = (Vec::new(), 0);
    for case in cases("logits") {
        let (config, name) = (&case["config"], case["name"].as_str().unwrap());
        let loss = json!({
            "class_name": config["loss"],
            "config": {"from_logits": config["from_logits"]},
        });
        let names: Vec<&str> = config["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut model = model(&case);
        let loss = LossFunction::deserialize(&loss).unwrap();
        model.compile("sgd", loss, names.clone()).unwrap();
        let x = tensor(&case["inputs"]["x"]);
        let integers = config["kind"] == "classes";
        let y = targets(&case["inputs"]["y"], integers);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.keras");
        model.save(&path).unwrap();
        let (opened, report) = Model::open(&path).unwrap();
        assert!(report.unknown.is_empty(), "{report}");
        for (how, mut model) in [("compiled", model), ("opened", opened)] {
            let scores = match &y {
                Targets::Classes(y) => model.evaluate(&x, y),
                Targets::Column(y) => model.evaluate(&x, y),
                Targets::Values(y) => model.evaluate(&x, y),
            }
            .unwrap();
            let theirs = case["outputs"]["loss"].as_f64().unwrap();
            if !close(scores.loss, theirs) {
                wrong.push(format!("{name}, {how}: loss {}, {theirs}", scores.loss));
            }
            for metric in &names {
                let ours = scores.get(metric).unwrap();
                let right = case["outputs"]["probabilities"][metric].as_f64().unwrap();
                let keras = case["outputs"]["keras"][metric].as_f64().unwrap();
                differing += usize::from(!close(right, keras));
                if !close(ours, right) {
                    wrong.push(format!(
                        "{name}, {how}, {metric}: {ours}, {right} (Keras {keras})"
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Otherwise nothing would be tested.
    assert!(differing > 10, "{differing}");
}

/// A value says itself what it takes.
#[test]
fn metrics_given_as_values_take_outputs_as_they_say() {
    let case = &cases("logits")[0];
    let (x, y) = (tensor(&case["inputs"]["x"]), tensor(&case["inputs"]["y"]));
    let mut model = model(case);
    let logits = regraft::losses::BinaryCrossentropy::from_logits();
    model
        .compile("sgd", logits, [regraft::metrics::BinaryAccuracy::new()])
        .unwrap();
    let ours = model.evaluate(&x, &y).unwrap().metrics[0].1;
    let outputs = model.predict(&x).unwrap();
    let right = outputs.as_slice().iter().zip(y.as_slice());
    let right = right
        .filter(|(p, t)| f32::from(u8::from(**p > 0.5)) == **t)
        .count();
    assert_eq!(ours, right as f64 / 12.0);
}

fn quiet<'a>() -> Fit<'a> {
    Fit::new()
        .batch_size(4)
        .shuffle(false)
        .verbosity(Verbosity::Silent)
}

fn compare(wrong: &mut Vec<String>, at: &str, ours: &[f64], theirs: &Value) {
    let theirs: Vec<f64> = theirs
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect();
    let same = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| close(*a, *b));
    if !same {
        wrong.push(format!("{at}: {ours:?}, Keras {theirs:?}"));
    }
}

#[test]
fn class_weights_are_those_of_keras() {
    let mut wrong = Vec::new();
    for case in cases("class_weights") {
        let (config, name) = (&case["config"], case["name"].as_str().unwrap());
        let mut model = model(&case);
        let metrics: &[&str] = if config["metrics"] == true {
            &["mae"]
        } else {
            &[]
        };
        let rate = regraft::optimizers::SGD::new(0.1);
        model
            .compile(rate, config["loss"].as_str().unwrap(), ())
            .unwrap();
        model.weighted_metrics(metrics.to_vec()).unwrap();
        let weights = config["class_weight"].as_array().unwrap().iter();
        let weights = weights.map(|pair| {
            (
                pair[0].as_i64().unwrap() as i32,
                pair[1].as_f64().unwrap() as f32,
            )
        });
        let x = tensor(&case["inputs"]["x"]);
        let first = x.as_slice()[..15].to_vec();
        let validation_x = Tensor::new([5, 3], first).unwrap();
        let y = targets(&case["inputs"]["y"], config["integers"] == true);
        macro_rules! fit {
            ($y:expr, $part:expr) => {{
                let part = $part;
                let mut options = quiet().epochs(3).class_weight(weights);
                if config["validated"] == true {
                    options = options.validation_data(&validation_x, &part);
                }
                model.fit(&x, $y, options)
            }};
        }
        let history = match &y {
            Targets::Classes(y) => fit!(y, y.slice(regraft::ndarray::s![..5]).to_owned()),
            Targets::Column(y) => fit!(y, y.slice(regraft::ndarray::s![..5, ..]).to_owned()),
            Targets::Values(y) => {
                let width = y.shape()[1];
                let part = Tensor::new([5, width], y.as_slice()[..5 * width].to_vec()).unwrap();
                fit!(y, part)
            }
        };
        let history = history.unwrap_or_else(|error| panic!("{name}: {error}"));
        for (quantity, theirs) in case["outputs"].as_object().unwrap() {
            let ours = history.get(quantity).unwrap_or_default();
            compare(&mut wrong, &format!("{name}, {quantity}"), ours, theirs);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Zero weights predict one half: whatever the class weights, the validation loss is ln 2.
#[test]
fn class_weights_do_not_reach_the_part_that_is_kept_for_validation() {
    let case = &cases("class_weights")[0];
    let (x, y) = (tensor(&case["inputs"]["x"]), tensor(&case["inputs"]["y"]));
    let fit = |options: Fit<'_>| -> History {
        let mut model = model(case);
        model
            .set_weight("dense/kernel", Tensor::zeros([3, 1]))
            .unwrap();
        model.set_weight("dense/bias", Tensor::zeros([1])).unwrap();
        model
            .compile(
                regraft::optimizers::SGD::new(0.0),
                "binary_crossentropy",
                (),
            )
            .unwrap();
        model.fit(&x, &y, options.validation_split(0.5)).unwrap()
    };
    let loss = |history: &History| history.last("val_loss").unwrap();
    let ln_2 = f64::from(2.0_f32.ln());
    let history = fit(quiet().class_weight([(0, 10.0), (1, 10.0)]));
    assert!((loss(&history) - ln_2).abs() < 1e-6, "{history}");
    assert!(
        (history.last("loss").unwrap() - 10.0 * ln_2).abs() < 1e-5,
        "{history}"
    );
    // Weights of samples do, as in Keras, and multiply with those of classes in training.
    let twos = vec![2.0_f32; 12];
    let history = fit(quiet()
        .class_weight([(0, 10.0), (1, 10.0)])
        .sample_weight(&twos));
    assert!((loss(&history) - 2.0 * ln_2).abs() < 1e-6, "{history}");
    assert!(
        (history.last("loss").unwrap() - 20.0 * ln_2).abs() < 1e-5,
        "{history}"
    );
}

/// One callback in two fits: what Keras keeps from fit to fit is kept, what it begins anew is anew.
#[test]
fn callbacks_of_two_fits_remember_what_they_do_in_keras() {
    let mut wrong = Vec::new();
    for case in cases("callbacks") {
        let (config, name) = (&case["config"], case["name"].as_str().unwrap());
        let settings = &config["config"];
        let folder = tempfile::tempdir().unwrap();
        let flag = |key: &str| settings[key] == true;
        let real = |key: &str| settings[key].as_f64();
        let count = |key: &str| settings[key].as_u64().map(|value| value as usize);
        let ending = if flag("save_weights_only") {
            "weights.h5"
        } else {
            "keras"
        };
        let template = match count("save_freq") {
            Some(_) => format!("{{epoch}}-{{batch}}.{ending}"),
            None => format!("{{epoch}}.{ending}"),
        };
        let mut checkpoint = ModelCheckpoint::new(folder.path().join(template))
            .monitor("loss")
            .save_best_only(flag("save_best_only"))
            .save_weights_only(flag("save_weights_only"));
        if let Some(every) = count("save_freq") {
            checkpoint = checkpoint.save_freq(SaveFrequency::Batches(every));
        }
        if let Some(threshold) = real("initial_value_threshold") {
            checkpoint = checkpoint.initial_value_threshold(threshold);
        }
        let mut stopping = EarlyStopping::new()
            .monitor("loss")
            .patience(count("patience").unwrap_or(0))
            .min_delta(real("min_delta").unwrap_or(0.0))
            .start_from_epoch(count("start_from_epoch").unwrap_or(0))
            .restore_best_weights(flag("restore_best_weights"));
        if let Some(baseline) = real("baseline") {
            stopping = stopping.baseline(baseline);
        }
        let mut plateau = ReduceLROnPlateau::new()
            .monitor("loss")
            .patience(count("patience").unwrap_or(10))
            .factor(real("factor").unwrap_or(0.1))
            .min_delta(real("min_delta").unwrap_or(1e-4))
            .cooldown(count("cooldown").unwrap_or(0))
            .min_lr(real("min_lr").unwrap_or(0.0));
        let mut log = CSVLogger::new(folder.path().join("log.csv")).append(flag("append"));
        let mut scheduler =
            LearningRateScheduler::new(|epoch, rate| if epoch > 0 { rate * 0.5 } else { rate });
        let seen = std::cell::RefCell::new(Vec::new());
        let mut lambda = LambdaCallback::new().on_epoch_end(|epoch, _, _| {
            seen.borrow_mut().push(epoch);
            Ok(())
        });

        let mut model = model(&case);
        model
            .compile(regraft::optimizers::SGD::new(0.1), "mse", ())
            .unwrap();
        let (x, y) = (tensor(&case["inputs"]["x"]), tensor(&case["inputs"]["y"]));
        let scale = config["scale"].as_f64().unwrap() as f32;
        let scaled = y.as_slice().iter().map(|value| value * scale).collect();
        let scaled = Tensor::new([12, 1], scaled).unwrap();
        for (index, theirs) in case["outputs"]["fits"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let at = |what: &str| format!("{name}, fit {}, {what}", index + 1);
            if index == 1 {
                let rate = config["rate"].as_f64().unwrap();
                model
                    .optimizer_mut()
                    .unwrap()
                    .set_learning_rate(rate)
                    .unwrap();
            }
            let mut rates = Vec::new();
            let options = quiet().epochs(6);
            let options = match config["class_name"].as_str().unwrap() {
                "ModelCheckpoint" => options.callback(&mut checkpoint),
                "EarlyStopping" => options.callback(&mut stopping),
                "ReduceLROnPlateau" => options.callback(&mut plateau),
                "CSVLogger" => options.callback(&mut log),
                "LearningRateScheduler" => options.callback(&mut scheduler),
                "LambdaCallback" => options.callback(&mut lambda),
                other => panic!("{other}"),
            };
            let watch = LambdaCallback::new().on_epoch_end(|_, context, _| {
                rates.push(f64::from(context.optimizer()?.learning_rate()));
                Ok(())
            });
            let targets = if index == 0 { &y } else { &scaled };
            let history = model.fit(&x, targets, options.callback(watch)).unwrap();
            let losses = history.get("loss").unwrap();
            compare(&mut wrong, &at("losses"), losses, &theirs["losses"]);
            compare(&mut wrong, &at("rates"), &rates, &theirs["rates"]);
            let kernel = |model: &Model| -> Vec<f64> {
                let weight = model
                    .weights()
                    .iter()
                    .find(|weight| weight.path() == "dense/kernel");
                let values = weight.unwrap().value().as_slice().iter();
                values.map(|&value| f64::from(value)).collect()
            };
            compare(
                &mut wrong,
                &at("kernel"),
                &kernel(&model),
                &theirs["kernel"]["data"],
            );
            let files = theirs["files"].as_object().unwrap();
            let mut ours: Vec<String> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name != "log.csv")
                .collect();
            ours.sort_unstable();
            let mut names: Vec<&String> = files.keys().collect();
            names.sort_unstable();
            if ours.iter().collect::<Vec<_>>() != names {
                wrong.push(format!("{}: {ours:?}, Keras {names:?}", at("files")));
                continue;
            }
            for (file, values) in files {
                let mut saved = self::model(&case);
                let report = saved.load_weights(folder.path().join(file)).unwrap();
                assert!(!report.loaded.is_empty());
                compare(&mut wrong, &at(file), &kernel(&saved), &values["data"]);
            }
            if config["class_name"] == "CSVLogger" {
                let text = std::fs::read_to_string(folder.path().join("log.csv")).unwrap();
                let epochs: Vec<&str> = text
                    .lines()
                    .map(|line| line.split(',').next().unwrap())
                    .collect();
                if json!(epochs) != theirs["log"] {
                    wrong.push(format!("{}: {epochs:?}, {}", at("log"), theirs["log"]));
                }
            }
            let best = match config["class_name"].as_str().unwrap() {
                "ModelCheckpoint" => checkpoint.best,
                "EarlyStopping" => stopping.best,
                "ReduceLROnPlateau" => plateau.best,
                _ => None,
            };
            let same = match (best, theirs["best"].as_f64()) {
                (Some(ours), Some(theirs)) => close(ours, theirs),
                (ours, theirs) => ours.is_none() && theirs.is_none(),
            };
            if !same {
                wrong.push(format!("{}: {best:?}, {}", at("best"), theirs["best"]));
            }
            if config["class_name"] == "EarlyStopping" {
                let ours = stopping.stopped_epoch.unwrap_or(0);
                if json!(ours) != theirs["stopped_epoch"] {
                    wrong.push(format!(
                        "{}: {ours}, {}",
                        at("stopped"),
                        theirs["stopped_epoch"]
                    ));
                }
            }
            if config["class_name"] == "LambdaCallback" && json!(*seen.borrow()) != theirs["seen"] {
                wrong.push(format!("{}: {}", at("seen"), theirs["seen"]));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Weights of samples beside arrays, for `evaluate_dataset`.
struct Weighted<'a>(Arrays<'a>, Vec<f32>);

impl Dataset for Weighted<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        self.0.inputs()
    }

    fn targets(&self) -> Vec<RowSpec> {
        self.0.targets()
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        self.0.fill(samples, key, rows)?;
        let weights = rows.weights().expect("weights are wanted");
        for (to, &sample) in weights.iter_mut().zip(samples) {
            *to = self.1[sample];
        }
        Ok(())
    }
}

/// Where the loss of a batch is no mean of its samples' the batches matter: they are those of Keras.
#[test]
fn evaluations_are_those_of_keras_whatever_the_loss() {
    let mut wrong = Vec::new();
    for case in cases("evaluations") {
        let mut model = model(&case);
        let loss = LossFunction::deserialize(&case["config"]["loss"]).unwrap();
        model.compile("sgd", loss, ()).unwrap();
        let (x, y) = (tensor(&case["inputs"]["x"]), &case["inputs"]["y"]);
        let (weights, y) = (
            &case["inputs"]["sample_weight"][0],
            targets(y, case["config"]["integers"] == true),
        );
        let scores = match (&y, weights) {
            (Targets::Classes(y), Value::Null) => model.evaluate(&x, y),
            (Targets::Values(y), Value::Null) => model.evaluate(&x, y),
            (Targets::Values(y), weights) => {
                let data = Weighted(Arrays::new(&x, y).unwrap(), numbers(weights));
                model.evaluate_dataset(&data)
            }
            _ => unreachable!("a case of another kind"),
        };
        let (ours, theirs) = (scores.unwrap().loss, case["outputs"]["loss"].as_f64());
        if !close(ours, theirs.unwrap()) {
            wrong.push(format!("{}: {ours}, Keras {theirs:?}", case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What callbacks do with the model between two batches changes nothing of what an epoch came to.
#[test]
fn evaluating_and_compiling_between_batches_leaves_the_epoch_its_metrics() {
    let case = &cases("class_weights")[0];
    let (x, y) = (tensor(&case["inputs"]["x"]), tensor(&case["inputs"]["y"]));
    let fit = |what: &str| {
        let mut model = model(case);
        model
            .compile("sgd", "binary_crossentropy", ["mae", "accuracy"])
            .unwrap();
        model.weighted_metrics(["mse"]).unwrap();
        let meddle = LambdaCallback::new().on_batch_end(|_, step, context| {
            match what {
                "evaluate" => drop(context.model.evaluate(&x, &y)?),
                "optimizer" => {
                    context.model.evaluate(&x, &y)?;
                    let rate = context.optimizer()?.clone();
                    *context.optimizer_mut()? = rate;
                }
                // As it was, but for the metrics.
                "compile" if step == 1 => {
                    let optimizer = context.optimizer()?.clone();
                    let metrics: [&str; 1] = ["mse"];
                    context
                        .model
                        .compile(optimizer, "binary_crossentropy", metrics)?;
                }
                _ => {}
            }
            Ok(())
        });
        let options = quiet().epochs(2).callback(meddle);
        let history = model.fit(&x, &y, options).unwrap();
        let values = history
            .iter()
            .map(|(name, values)| (name.to_string(), values.to_vec()));
        let values: Vec<(String, Vec<f64>)> = values.collect();
        let metrics: Vec<f64> = model.metrics().map(|metric| metric.result()).collect();
        (values, metrics)
    };
    let plain = fit("");
    assert_eq!(fit("evaluate"), plain);
    assert_eq!(fit("optimizer"), plain);
    // The epoch ends with the metrics with which it began; the next has the new ones.
    let (values, metrics) = fit("compile");
    for (name, expected) in &plain.0 {
        let ours = values.iter().find(|(known, _)| known == name).expect(name);
        assert_eq!(
            ours.1[0].to_bits(),
            expected[0].to_bits(),
            "{name}: {values:?}"
        );
    }
    assert_eq!(metrics.len(), 1);
}

/// A weight that has made no step has no moving average that could take its place.
#[test]
fn what_is_unfrozen_after_the_last_step_stays_as_it_is() {
    let layers = regraft::layers::layers![Input::new([3]), Dense::new(2), Dense::new(1)];
    let mut model = Sequential::new(layers).unwrap();
    model.freeze("dense").unwrap();
    let optimizer = regraft::optimizers::SGD::new(0.1).use_ema(true);
    model.compile(optimizer, "mse", ()).unwrap();
    let before = model.weight("dense/kernel").unwrap().value().clone();
    let thaw = LambdaCallback::new().on_epoch_end(|_, context, _| {
        context.model.unfreeze("dense")?;
        Ok(())
    });
    let (x, y) = (Array2::<f32>::ones((4, 3)), Array2::<f32>::ones((4, 1)));
    model.fit(&x, &y, quiet().callback(thaw)).unwrap();
    assert_eq!(*model.weight("dense/kernel").unwrap().value(), before);
}
