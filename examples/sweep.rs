//! The Rust side of `fixtures/sweep.py`, which describes the files: opens everything that Keras wrote, in
//! every kind of file, compares predictions and the losses of a few steps, and saves each model again.
//!
//! ```sh
//! python fixtures/sweep.py write DIR
//! cargo run --release --example sweep DIR
//! python fixtures/sweep.py check DIR
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use regraft::ndarray::ArrayD;
use regraft::optimizers::SGD;
use regraft::{Data, Fit, IntoData, Model, Verbosity};
use serde_json::{Value, json};

/// How far predictions may differ, relative to the largest; and losses, to themselves or 1.
const PREDICTIONS: f32 = 1e-5;
const LOSSES: f64 = 1e-4;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).map(PathBuf::from);
    let directory = directory.ok_or("usage: sweep DIR")?;
    let text = std::fs::read_to_string(directory.join("cases.json"))?;
    let given: Value = serde_json::from_str(&text)?;
    let mut results = Vec::new();
    let mut passed = 0;
    for case in given["cases"].as_array().into_iter().flatten() {
        for (kind, file) in case["files"].as_object().into_iter().flatten() {
            let saved = format!(
                "{}.again.{}",
                text_of(file),
                if kind == "h5" { "h5" } else { "keras" }
            );
            let outcome = run(&directory, case, kind, text_of(file), &saved);
            let error = outcome
                .err()
                .map(|error| error.to_string().replace('\n', " "));
            match &error {
                None => passed += 1,
                Some(error) => eprintln!("{} {} {kind}: {error}", case["name"], case["topology"]),
            }
            results.push(json!({
                "name": case["name"],
                "topology": case["topology"],
                "kind": kind,
                "saved": saved,
                "error": error,
            }));
        }
    }
    println!(
        "{passed} of {} files open, predict, train and are saved",
        results.len()
    );
    std::fs::write(
        directory.join("rust.json"),
        json!({ "results": results }).to_string(),
    )?;
    Ok(())
}

/// Opens a file, compares, and saves the model as it was before training.
fn run(directory: &Path, case: &Value, kind: &str, file: &str, saved: &str) -> Result<()> {
    let path = directory.join(file);
    let mut model = match kind {
        "weights.h5" => {
            // The architecture is in the whole model's file.
            let whole = case["files"].get("keras").unwrap_or(&case["files"]["h5"]);
            let (mut model, _report) = Model::open(directory.join(text_of(whole)))?;
            let _report = model.load_weights(&path)?;
            model
        }
        _ => Model::open(&path)?.0,
    };
    let (x, y) = (
        Array::new(&case["x"])?,
        case.get("y").map(Array::new).transpose()?,
    );
    let x = x.data()?;
    // Of models drawn at random what Keras makes of this file.
    let of_file = case["expected"].get(kind).unwrap_or(case);
    let expected = numbers(&of_file["prediction"]["data"]);
    let predicted = model.predict(x.clone())?;
    let largest = expected.iter().fold(1e-3_f32, |most, x| most.max(x.abs()));
    for (ours, keras) in predicted.as_slice().iter().zip(&expected) {
        let off = (ours - keras).abs() / largest;
        // Not a number is far off, too.
        if off > PREDICTIONS || off.is_nan() {
            return Err(format!("predicts {ours} where Keras predicts {keras}").into());
        }
    }
    if predicted.len() != expected.len() {
        return Err(format!("predicts {} numbers of {}", predicted.len(), expected.len()).into());
    }
    model.save(directory.join(saved))?;
    let (Some(y), Some(losses)) = (y, of_file.get("losses")) else {
        return Ok(());
    };
    let losses: Vec<f64> = serde_json::from_value(losses.clone())?;
    let rate = case["rate"].as_f64().unwrap_or_default() as f32;
    model.compile(SGD::new(rate), "mse", ())?;
    let options = Fit::new()
        .epochs(losses.len())
        .batch_size(x.len())
        .shuffle(false)
        .verbosity(Verbosity::Silent);
    let history = model.fit(x, y.data()?, options)?;
    let ours = history.get("loss").unwrap_or_default();
    for (step, (ours, keras)) in ours.iter().zip(&losses).enumerate() {
        let off = (ours - keras).abs();
        if off > LOSSES * keras.abs().max(1.0) || off.is_nan() {
            return Err(format!("loss {ours} at step {step} where Keras has {keras}").into());
        }
    }
    Ok(())
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn numbers(value: &Value) -> Vec<f32> {
    let number = |value: &Value| match value.as_str() {
        Some("inf") => f32::INFINITY,
        Some("-inf") => f32::NEG_INFINITY,
        Some(_) => f32::NAN,
        None => value.as_f64().unwrap_or(f64::NAN) as f32,
    };
    value.as_array().into_iter().flatten().map(number).collect()
}

/// An array as the file of cases has it.
enum Array {
    Integers(ArrayD<i32>),
    Floats(ArrayD<f32>),
}

impl Array {
    fn new(value: &Value) -> Result<Array> {
        let shape: Vec<usize> = serde_json::from_value(value["shape"].clone())?;
        let integers = serde_json::from_value::<Vec<i32>>(value["data"].clone());
        Ok(match integers {
            Ok(integers) => Array::Integers(ArrayD::from_shape_vec(shape, integers)?),
            Err(_) => Array::Floats(ArrayD::from_shape_vec(shape, numbers(&value["data"]))?),
        })
    }

    fn data(&self) -> Result<Data<'_>> {
        Ok(match self {
            Array::Integers(integers) => integers.into_data()?,
            Array::Floats(floats) => floats.into_data()?,
        })
    }
}
