//! The Rust side of `fixtures/keras_interop.py`, which describes the files: loads what Keras wrote,
//! compares predictions and losses, and writes files of its own for Keras to check.
//!
//! ```sh
//! python fixtures/keras_interop.py write DIR
//! cargo run --release --example keras_interop DIR
//! python fixtures/keras_interop.py check DIR
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use regraft::layers::{
    BatchNormalization, Dense, Dropout, Embedding, Flatten, Input, LayerNormalization, LayerSpec,
    Registry, layers,
};
use regraft::losses::{LossFunction, SparseCategoricalCrossentropy};
use regraft::ndarray::ArrayD;
use regraft::optimizers::Optimizer;
use regraft::random::{Key, normal, uniform};
use regraft::{Data, Fit, IntoData, Model, OptimizerState, Sequential, Verbosity};
use serde_json::{Value, json};

/// How far predictions may differ, relative to the largest; and losses, to themselves or 1.
const PREDICTIONS: f64 = 1e-5;
const LOSSES: f64 = 1e-4;

const FORMATS: [(&str, &str); 5] = [
    ("weights.h5", ".weights.h5"),
    ("weights.json", ".weights.json"),
    ("keras", ".keras"),
    ("h5", ".h5"),
    ("h5 weights", "-weights.h5"),
];

/// Every optimizer, each with a rate at which the loss of a few steps changes visibly.
const OPTIMIZERS: [(&str, f64); 13] = [
    ("SGD", 0.05),
    ("RMSprop", 0.003),
    ("Adam", 0.01),
    ("AdamW", 0.01),
    ("Nadam", 0.01),
    ("Adamax", 0.01),
    ("Adagrad", 0.05),
    ("Adadelta", 0.5),
    ("Ftrl", 0.05),
    ("Lion", 0.001),
    ("Lamb", 0.01),
    ("Adafactor", 0.01),
    ("Muon", 0.01),
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).map(PathBuf::from);
    let directory = directory.ok_or("usage: keras_interop DIR")?;
    let text = std::fs::read_to_string(directory.join("cases.json"))?;
    let given: Value = serde_json::from_str(&text)?;
    let cases = list(&given["cases"]);
    let mut tally = Tally::default();
    for case in cases {
        check(&directory, case, &mut tally);
    }
    if cases.is_empty() {
        tally.report("cases.json", Err("it holds no case".into()));
    }

    let mut own = Own {
        directory: &directory,
        cases: Vec::new(),
    };
    let written = own.write_all(cases);
    tally.report(
        "writing",
        written.map(|()| format!("{} files", own.cases.len())),
    );
    let made = json!({ "made_with": { "regraft": env!("CARGO_PKG_VERSION") }, "cases": own.cases });
    std::fs::write(directory.join("rust.json"), made.to_string())?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 {
        return Err("Regraft and Keras disagree".into());
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn report(&mut self, name: &str, outcome: Result<String>) {
        match outcome {
            Ok(text) => {
                self.passed += 1;
                println!("ok     {name}: {text}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED {name}: {error}");
            }
        }
    }
}

// ---- what Keras wrote ---------------------------------------------------------------------------

/// Loads the file of a case and compares its predictions and trainings.
fn check(directory: &Path, case: &Value, tally: &mut Tally) {
    tally.report(text(&case["name"]), compare_predictions(directory, case));
    for training in list(&case["training"]) {
        let name = format!("{}, {}", text(&case["name"]), text(&training["name"]));
        tally.report(&name, compare_training(directory, case, training));
    }
}

fn compare_predictions(directory: &Path, case: &Value) -> Result<String> {
    let (model, _) = load(directory, case)?;
    let (input, expected) = (Array::read(&case["input"])?, Array::read(&case["output"])?);
    let output = model.predict(input.data()?)?;
    if output.shape() != expected.floats.shape() {
        let shapes = (output.shape(), expected.floats.shape());
        return Err(format!(
            "predictions have shape {:?}, Keras' {:?}",
            shapes.0, shapes.1
        )
        .into());
    }
    let pairs = || output.as_slice().iter().zip(&expected.floats);
    let largest = expected
        .floats
        .iter()
        .fold(1e-30_f32, |most, v| most.max(v.abs()));
    let differences = pairs().map(|(here, there)| f64::from((here - there).abs() / largest));
    within(PREDICTIONS, "predictions differ by", differences)
}

fn compare_training(directory: &Path, case: &Value, training: &Value) -> Result<String> {
    let (mut model, state) = load(directory, case)?;
    if training["resumes"] == true {
        if let OptimizerState::NotRestored { reason } = state {
            return Err(format!("the optimizer is not restored: {reason}").into());
        }
    } else {
        prepare(&mut model, training)?;
    }
    let here = train(&mut model, training)?;
    let there: Vec<f64> = list(&training["history"])
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    if here.len() != there.len() {
        return Err(format!("{} epochs, Keras has {}", here.len(), there.len()).into());
    }
    let pairs = here.iter().zip(&there);
    let differences = pairs.map(|(here, there)| (here - there).abs() / there.abs().max(1.0));
    within(LOSSES, "losses differ by", differences)
}

/// The largest difference, which NaN exceeds too.
fn within(limit: f64, what: &str, differences: impl Iterator<Item = f64>) -> Result<String> {
    let worst = differences.fold(0.0, |most: f64, difference| match difference.is_nan() {
        true => f64::INFINITY,
        false => most.max(difference),
    });
    match worst <= limit {
        true => Ok(format!("{what} {worst:.1e}")),
        false => Err(format!("{what} {worst:.1e}").into()),
    }
}

/// The model of a case: from the file alone where it holds the architecture.
fn load(directory: &Path, case: &Value) -> Result<(Model, OptimizerState)> {
    let path = directory.join(text(&case["file"]));
    if matches!(text(&case["format"]), "keras" | "h5") {
        let (model, report) = Model::open(path)?;
        return Ok((model, report.optimizer));
    }
    let mut model = Model::from_config(&case["model"], &Registry::new())?;
    let report = model.load_weights(path)?;
    Ok((model, report.optimizer))
}

/// Freezes and compiles as a training says.
fn prepare(model: &mut Model, training: &Value) -> Result<()> {
    for name in list(&training["frozen"]) {
        model.freeze(text(name))?;
    }
    let optimizer = Optimizer::from_config(&training["optimizer"])?;
    let loss = LossFunction::deserialize(&training["loss"]).map_err(|detail| detail.to_string())?;
    model.compile(optimizer, loss, ())?;
    Ok(())
}

/// Trains, and returns the loss of each epoch.
fn train(model: &mut Model, training: &Value) -> Result<Vec<f64>> {
    let (x, y) = (Array::read(&training["x"])?, Array::read(&training["y"])?);
    let number = |key: &str| training[key].as_u64().unwrap_or(0) as usize;
    let fit = Fit::new()
        .epochs(number("epochs"))
        .batch_size(number("batch_size"))
        .shuffle(false)
        .verbosity(Verbosity::Silent);
    let history = model.fit(x.data()?, y.data()?, fit)?;
    Ok(history.get("loss").unwrap_or_default().to_vec())
}

// ---- what Keras is to check ---------------------------------------------------------------------

struct Own<'a> {
    directory: &'a Path,
    cases: Vec<Value>,
}

impl Own<'_> {
    fn write_all(&mut self, given: &[Value]) -> Result<()> {
        // Keras' architectures with other weights, each trained on the data that Keras trained it on.
        let mut seed = 0;
        for case in given.iter().filter(|case| case["format"] == "weights.h5") {
            seed += 1;
            let name = text(&case["name"]).replace(", weights.h5", "");
            let mut model = Model::from_config(&case["model"], &Registry::new())?;
            draw_weights(&mut model, seed)?;
            self.in_every_format(&format!("regraft {name}"), &model, case)?;
        }
        // Models made here, whose settings are therefore written by us, with our defaults.
        for (name, layers, like) in own_models() {
            seed += 1;
            let mut model = of_layers(layers)?;
            draw_weights(&mut model, seed)?;
            let like = given.iter().find(|case| case["name"] == like);
            let like = like.ok_or_else(|| format!("cases.json has no {name}"))?;
            self.in_every_format(&format!("made here {name}"), &model, like)?;
        }
        let tutorial = given
            .iter()
            .find(|case| !list(&case["training"]).is_empty());
        let training = &tutorial.ok_or("cases.json has no training")?["training"][0];
        for (name, rate) in OPTIMIZERS {
            for frozen in [false, true] {
                self.resumed(name, rate, frozen, "keras", training)?;
                // Keras 3 does not open its own legacy files with a Lamb ("Could not interpret").
                if name != "Lamb" {
                    self.resumed(name, rate, frozen, "h5", training)?;
                }
            }
        }
        self.single_weights(training)
    }

    /// Trained and saved with weights that were frozen or trained alone, of which Keras knows nothing: it
    /// opens the files, with the optimizer's memory where that is as long as it thinks.
    fn single_weights(&mut self, training: &Value) -> Result<()> {
        for (name, also_trained) in [("frozen alone", false), ("trained alone", true)] {
            for format in ["keras", "h5"] {
                let mut model = of_layers(layers![
                    Input::new([12]),
                    Dense::new(8).activation("relu"),
                    BatchNormalization::new(),
                    Dense::new(4),
                ])?;
                draw_weights(&mut model, 98)?;
                model.freeze(["dense_1/kernel", "batch_normalization/moving_mean"])?;
                if also_trained {
                    model.freeze("dense")?;
                    model.unfreeze("dense/bias")?;
                }
                let loss = SparseCategoricalCrossentropy::from_logits();
                model.compile("adam", loss, ["accuracy"])?;
                train(&mut model, training)?;
                let file = format!("{}.{format}", name.replace(' ', "_"));
                model.save(self.directory.join(&file))?;
                let name = format!("{name}, {format}");
                self.add(&name, &file, format, &model, &training["x"], Vec::new())?;
            }
        }
        Ok(())
    }

    /// One file per format, the first with the trainings of `like`.
    fn in_every_format(&mut self, name: &str, model: &Model, like: &Value) -> Result<()> {
        for (format, ending) in FORMATS {
            let file = format!("{}{ending}", name.replace(' ', "_"));
            let path = self.directory.join(&file);
            match format {
                "weights.json" => {
                    // As small as a shard can be: the largest weight.
                    let weights = model.weights().iter();
                    let largest = weights.map(|weight| 4 * weight.value().len()).max();
                    model.save_sharded_weights(path, largest.unwrap_or(0))?;
                }
                "keras" | "h5" => model.save(path)?,
                _ => model.save_weights(path)?,
            }
            let trainings = match format {
                "weights.h5" => list(&like["training"]).to_vec(),
                _ => Vec::new(),
            };
            self.add(
                &format!("{name}, {format}"),
                &file,
                format,
                model,
                &like["input"],
                trainings,
            )?;
        }
        Ok(())
    }

    /// Trained for a while, saved with the optimizer's state, for Keras to go on with.
    fn resumed(
        &mut self,
        optimizer: &str,
        rate: f64,
        frozen: bool,
        format: &str,
        training: &Value,
    ) -> Result<()> {
        let mut model = of_layers(layers![
            Input::new([12]),
            Dense::new(8).activation("relu"),
            Dense::new(8).activation("tanh"),
            BatchNormalization::new(),
            Dense::new(4),
        ])?;
        draw_weights(&mut model, 99)?;
        if frozen {
            model.freeze(..-2)?;
        }
        let config = json!({ "class_name": optimizer, "config": { "learning_rate": rate } });
        let loss = SparseCategoricalCrossentropy::from_logits();
        model.compile(Optimizer::from_config(&config)?, loss, ["accuracy"])?;
        train(&mut model, training)?;
        let state = if frozen { " frozen" } else { "" };
        let name = format!("resumed {optimizer}{state}, {format}");
        let file = format!("resumed_{optimizer}{}.{format}", state.trim());
        model.save(self.directory.join(&file))?;
        if format == "h5" {
            // Keras 3 itself cannot train a compiled model that it loads from such a file: it builds
            // the optimizer for no variables ("Unknown variable"). It must load and predict.
            return self.add(&name, &file, format, &model, &training["x"], Vec::new());
        }
        let mut goes_on = training.clone();
        goes_on["name"] = "goes on".into();
        goes_on["resumes"] = true.into();
        goes_on["frozen"] = json!([]);
        let input = &training["x"];
        self.add(&name, &file, format, &model, input, vec![goes_on])
    }

    fn add(
        &mut self,
        name: &str,
        file: &str,
        format: &str,
        model: &Model,
        input: &Value,
        mut trainings: Vec<Value>,
    ) -> Result<()> {
        let output = model.predict(Array::read(input)?.data()?)?;
        let mut case = json!({
            "name": name,
            "file": file,
            "format": format,
            "class": model.class_name(),
            "model": model.to_config(),
            "input": input,
            "output": { "shape": output.shape(), "data": output.as_slice() },
        });
        for training in &mut trainings {
            let (mut again, _) = load(self.directory, &case)?;
            if training["resumes"] != true {
                prepare(&mut again, training)?;
            }
            training["history"] = json!(train(&mut again, training)?);
        }
        case["training"] = trainings.into();
        self.cases.push(case);
        Ok(())
    }
}

/// Models built in code, each with the case of Keras' whose input they take.
fn own_models() -> Vec<(&'static str, Vec<LayerSpec>, &'static str)> {
    let dense = layers![
        Input::new([12]),
        Dense::new(9).activation("gelu").kernel_regularizer("l2"),
        LayerNormalization::new(),
        Dense::new(7)
            .use_bias(false)
            .kernel_initializer("he_normal"),
        BatchNormalization::new().momentum(0.8),
        Dropout::new(0.0),
        Dense::new(4),
    ];
    let text = layers![
        Input::integers([5]),
        Embedding::new(11, 3),
        Flatten::new(),
        Dense::new(4).activation("softmax"),
    ];
    vec![
        ("dense", dense, "tutorial, weights.h5"),
        ("text", text, "text, weights.h5"),
    ]
}

fn of_layers(layers: Vec<LayerSpec>) -> Result<Model> {
    Ok(Sequential::new(layers)?)
}

/// Random values everywhere, so that no two weights can be taken for each other.
fn draw_weights(model: &mut Model, seed: u64) -> Result<()> {
    let weights = model.weights().iter();
    let drawn: Vec<(String, Vec<usize>)> = weights
        .map(|weight| (weight.path().to_string(), weight.value().shape().to_vec()))
        .collect();
    for (stream, (path, shape)) in drawn.into_iter().enumerate() {
        // How many samples a Normalization has seen is not a weight to draw.
        if path.ends_with("/count") {
            continue;
        }
        let key = Key {
            seed,
            stream: stream as u64,
        };
        let mut values = vec![0.0; shape.iter().product()];
        if path.ends_with("variance") || path.ends_with("gamma") {
            uniform(key, 0, &mut values);
            values.iter_mut().for_each(|value| *value += 0.5);
        } else {
            normal(key, 0, &mut values);
            values.iter_mut().for_each(|value| *value *= 0.4);
        }
        model.set_weight(&path, regraft_tensor::Tensor::new(shape, values)?)?;
    }
    Ok(())
}

// ---- JSON ---------------------------------------------------------------------------------------

/// An array of a case; token ids and labels are integers.
struct Array {
    floats: ArrayD<f32>,
    integers: Option<ArrayD<i32>>,
}

impl Array {
    fn read(value: &Value) -> Result<Self> {
        let shape: Vec<usize> = list(&value["shape"])
            .iter()
            .filter_map(|size| size.as_u64().map(|size| size as usize))
            .collect();
        let data = list(&value["data"]);
        let numbers: Option<Vec<f32>> = data.iter().map(|v| v.as_f64().map(|v| v as f32)).collect();
        let integers: Option<Vec<i32>> = data
            .iter()
            .map(|v| v.as_i64().and_then(|v| i32::try_from(v).ok()))
            .collect();
        let floats = ArrayD::from_shape_vec(shape.clone(), numbers.ok_or("not a number")?)?;
        let integers = integers.map(|integers| ArrayD::from_shape_vec(shape, integers));
        Ok(Array {
            floats,
            integers: integers.transpose()?,
        })
    }

    fn data(&self) -> Result<Data<'_>> {
        Ok(match &self.integers {
            Some(integers) => integers.into_data()?,
            None => (&self.floats).into_data()?,
        })
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
