//! The Rust side of `fixtures/training_parity.py`, which describes the files: opens networks as Keras
//! saved them, takes the steps that Keras took, and compares gradients, losses, statistics and weights.
//!
//! ```sh
//! cargo build --release --example training_parity
//! python fixtures/training_parity.py DIR target/release/examples/training_parity
//! ```

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray_npy::NpzReader;
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array1, ArrayD, Axis, Slice};
use regraft::optimizers::SGD;
use regraft::{Fit, Model, Verbosity};
use serde_json::Value;

/// How far anything may differ, relative to the largest number of the array.
const TOLERANCE: f64 = 1e-3;

/// A gradient counts as zero if with 64 bits it is at most this, relative to the largest of the network:
/// that of a bias before a batch normalization, or of an offset before a convolution and one.
const ZERO: f64 = 1e-6;

/// With 32 bits such a gradient is what rounding leaves of large sums, in Keras too: at most this, relative
/// to the largest of the network.
const ROUNDING: f64 = 1e-6;

/// Samples per step.
const BATCH: usize = 8;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).map(PathBuf::from);
    let directory = directory.ok_or("usage: training_parity DIR")?;
    let case: Value = serde_json::from_slice(&std::fs::read(directory.join("case.json"))?)?;
    let mut checks = Checks {
        network: case["name"].as_str().ok_or("name")?.to_string(),
        failed: 0,
    };
    training(&directory, &case, &mut checks)?;
    transfer(&directory, &case, &mut checks)?;
    match checks.failed {
        0 => Ok(()),
        failed => Err(format!("{}: {failed} checks failed", checks.network).into()),
    }
}

/// Every layer trainable: the first gradients, ten losses, and what batch normalizations have counted.
fn training(directory: &Path, case: &Value, checks: &mut Checks) -> Result<()> {
    let mut arrays = Arrays::open(&directory.join("training.npz"))?;
    let data = arrays.data()?;
    let path = directory.join("model.keras");

    // After one step with momentum, and a rate that does not round, the momentum is -gradient.
    let (mut model, _) = Model::open(&path)?;
    compile(&mut model, SGD::new(1.0).momentum(0.5))?;
    data.step(&mut model, 0)?;
    let optimizer = model.optimizer().ok_or("not compiled")?;
    let (mut gradients, mut zeros) = (Compared::default(), Compared::default());
    let expected = arrays.all("gradient/")?;
    let largest = expected.iter().map(|(_, values)| maximum(values));
    let largest = largest.fold(0.0, f64::max);
    for (path, expected) in &expected {
        let momentum = optimizer.slot(path, "momentum");
        let momentum = momentum.ok_or_else(|| format!("{path} was not trained"))?;
        let gradient: Vec<f32> = momentum.iter().map(|value| -value).collect();
        if maximum(expected) > ZERO * largest {
            gradients.add(path, &gradient, expected, 0.0);
        } else {
            zeros.add(path, &gradient, expected, largest * ROUNDING / TOLERANCE);
        }
    }
    if optimizer.parameters().len() != expected.len() {
        return Err("another number of parameters was trained".into());
    }
    checks.add("gradients of the first step", &gradients);
    checks.add(
        "gradients that are almost zero, beside the largest of the network",
        &zeros,
    );
    statistics(
        &model,
        &mut arrays,
        "statistic/",
        "statistics after one step",
        checks,
    )?;

    let (mut model, _) = Model::open(&path)?;
    compile(&mut model, SGD::new(rate(case, "all")?))?;
    let losses = data.steps(&mut model)?;
    checks.losses("losses of ten steps", &losses, &arrays.get("losses")?);
    statistics(
        &model,
        &mut arrays,
        "final_statistic/",
        "statistics after ten steps",
        checks,
    )
}

/// A head on a frozen base, and then the base's top blocks unfrozen.
fn transfer(directory: &Path, case: &Value, checks: &mut Checks) -> Result<()> {
    let mut arrays = Arrays::open(&directory.join("transfer.npz"))?;
    let data = arrays.data()?;
    let (mut model, _) = Model::open(directory.join("transfer.keras"))?;
    model.freeze("base/**")?;
    compile(&mut model, SGD::new(rate(case, "head")?))?;
    transfer_stage(&mut model, &data, &mut arrays, "head", checks)?;

    for block in case["top_blocks"].as_array().ok_or("top_blocks")? {
        let block = block.as_str().ok_or("top_blocks")?;
        model.unfreeze(format!("base/{block}"))?;
    }
    compile(&mut model, SGD::new(rate(case, "top")?))?;
    transfer_stage(&mut model, &data, &mut arrays, "top", checks)
}

/// Steps, after which what is frozen has the bytes it had, and the rest the values it has in Keras.
fn transfer_stage(
    model: &mut Model,
    data: &Batches,
    arrays: &mut Arrays,
    stage: &str,
    checks: &mut Checks,
) -> Result<()> {
    let before: Vec<(String, Vec<f32>)> = model
        .weights()
        .iter()
        .map(|weight| {
            (
                weight.path().to_string(),
                weight.value().as_slice().to_vec(),
            )
        })
        .collect();
    let digest = model.frozen_digest();
    let losses = data.steps(model)?;
    let is_same = digest == model.frozen_digest();
    checks.say(
        &format!("{stage}: the digest of what is frozen"),
        is_same,
        "",
    );
    checks.losses(
        &format!("{stage}: losses of five steps"),
        &losses,
        &arrays.get(&format!("{stage}_losses"))?,
    );
    let optimizer = model.optimizer().ok_or("not compiled")?;
    let trained: Vec<String> = optimizer
        .parameters()
        .iter()
        .map(|p| p.path.to_string())
        .collect();
    let (mut fixed, mut changed, mut moved) = (0, Vec::new(), Compared::default());
    for (path, before) in before {
        let after = model
            .weight(&path)
            .ok_or("no such weight")?
            .value()
            .as_slice();
        let expected = arrays.get(&format!("{stage}/{path}"))?;
        if trained.contains(&path) {
            // The way from the first weights is compared, which is a small part of them. Both programs
            // round in each of five steps by half an epsilon; where that is more, it is allowed.
            let rounding = 5.0 * f64::from(f32::EPSILON) * maximum(&before);
            let step = |after: &[f32]| -> Vec<f32> {
                after
                    .iter()
                    .zip(&before)
                    .map(|(after, before)| after - before)
                    .collect()
            };
            moved.add(&path, &step(after), &step(&expected), rounding / TOLERANCE);
        } else if bits(after) == bits(&before) {
            fixed += 1;
        } else {
            changed.push(path);
        }
    }
    let message = format!(
        "{fixed} weights and statistics have the bytes they had, {} not",
        changed.len()
    );
    checks.say(
        &format!("{stage}: {message}"),
        changed.is_empty(),
        &changed.join(" "),
    );
    checks.add(&format!("{stage}: how far weights have moved"), &moved);
    Ok(())
}

fn statistics(
    model: &Model,
    arrays: &mut Arrays,
    prefix: &str,
    what: &str,
    checks: &mut Checks,
) -> Result<()> {
    let mut compared = Compared::default();
    for (path, expected) in arrays.all(prefix)? {
        let weight = model.weight(&path).ok_or_else(|| format!("no {path}"))?;
        compared.add(&path, weight.value().as_slice(), &expected, 0.0);
    }
    checks.add(what, &compared);
    Ok(())
}

fn compile(model: &mut Model, optimizer: impl regraft::optimizers::IntoOptimizer) -> Result<()> {
    model.compile(optimizer, SparseCategoricalCrossentropy::from_logits(), ())?;
    Ok(())
}

fn rate(case: &Value, stage: &str) -> Result<f32> {
    Ok(case["rates"][stage].as_f64().ok_or("rates")? as f32)
}

// ---- Data ---------------------------------------------------------------------------------------

/// Samples in batches, each for one step.
struct Batches {
    x: ArrayD<f32>,
    labels: Vec<i32>,
}

impl Batches {
    fn step(&self, model: &mut Model, index: usize) -> Result<f64> {
        let range = index * BATCH..(index + 1) * BATCH;
        let x = self.x.slice_axis(Axis(0), Slice::from(range.clone()));
        let options = Fit::new()
            .batch_size(BATCH)
            .shuffle(false)
            .verbosity(Verbosity::Silent);
        let history = model.fit(&x.to_owned(), &self.labels[range], options)?;
        Ok(history.last("loss").ok_or("no loss")?)
    }

    fn steps(&self, model: &mut Model) -> Result<Vec<f64>> {
        let count = self.labels.len() / BATCH;
        (0..count).map(|index| self.step(model, index)).collect()
    }
}

struct Arrays(NpzReader<File>);

impl Arrays {
    fn open(path: &Path) -> Result<Self> {
        Ok(Arrays(NpzReader::new(File::open(path)?)?))
    }

    fn data(&mut self) -> Result<Batches> {
        let x = self.0.by_name("x.npy")?;
        let labels: Array1<i32> = self.0.by_name("labels.npy")?;
        Ok(Batches {
            x,
            labels: labels.to_vec(),
        })
    }

    fn get(&mut self, name: &str) -> Result<Vec<f32>> {
        let array: ArrayD<f32> = self
            .0
            .by_name(&format!("{name}.npy"))
            .map_err(|error| format!("{name}: {error}"))?;
        Ok(array.iter().copied().collect())
    }

    /// The arrays whose names begin with `prefix`, under the rest of their names.
    fn all(&mut self, prefix: &str) -> Result<Vec<(String, Vec<f32>)>> {
        let names = self.0.names()?;
        let paths = names.iter().filter_map(|name| {
            let path = name.strip_prefix(prefix)?;
            Some(path.strip_suffix(".npy").unwrap_or(path).to_string())
        });
        let paths: Vec<String> = paths.collect();
        let found = paths.into_iter().map(|path| {
            let values = self.get(&format!("{prefix}{path}"))?;
            Ok((path, values))
        });
        let found: Result<Vec<_>> = found.collect();
        match found?.as_slice() {
            [] => Err(format!("no array begins with {prefix}").into()),
            found => Ok(found.to_vec()),
        }
    }
}

// ---- Comparing ----------------------------------------------------------------------------------

/// Differences of arrays, each relative to the largest number of its array.
#[derive(Default)]
struct Compared(Vec<(f64, String)>);

impl Compared {
    /// The array counts as at least as large as `at_least`.
    fn add(&mut self, path: &str, found: &[f32], expected: &[f32], at_least: f64) {
        let pairs = found.iter().zip(expected);
        let is_whole = found.len() == expected.len() && found.iter().all(|value| value.is_finite());
        let difference = pairs
            .map(|(&a, &b)| f64::from((a - b).abs()))
            .fold(0.0, f64::max);
        let relative = difference / maximum(expected).max(at_least).max(f64::MIN_POSITIVE);
        self.0.push((
            if is_whole { relative } else { f64::INFINITY },
            path.to_string(),
        ));
    }
}

struct Checks {
    network: String,
    failed: usize,
}

impl Checks {
    fn say(&mut self, what: &str, is_ok: bool, more: &str) {
        let state = if is_ok { "ok    " } else { "FAILED" };
        println!("  {state} {}: {what} {more}", self.network);
        self.failed += usize::from(!is_ok);
    }

    fn add(&mut self, what: &str, compared: &Compared) {
        let mut sorted = compared.0.clone();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let over = sorted
            .iter()
            .take_while(|(difference, _)| *difference > TOLERANCE)
            .count();
        let worst = sorted.iter().take(over.clamp(1, 10));
        let worst: Vec<String> = worst.map(|(by, path)| format!("{by:.1e} {path}")).collect();
        let more = format!(
            "({} arrays, {over} over {TOLERANCE:.0e}; at most {})",
            sorted.len(),
            worst.join(", ")
        );
        self.say(what, over == 0 && !sorted.is_empty(), &more);
    }

    fn losses(&mut self, what: &str, found: &[f64], expected: &[f32]) {
        let pairs = found.iter().zip(expected);
        let relative = pairs.map(|(a, &b)| ((a - f64::from(b)) / f64::from(b)).abs());
        let worst = relative.fold(0.0, f64::max);
        let is_ok = worst <= TOLERANCE && found.len() == expected.len();
        let last = found.last().copied().unwrap_or(f64::NAN);
        let is_ok = is_ok && found.iter().all(|loss| loss.is_finite());
        self.say(
            what,
            is_ok,
            &format!("(at most {worst:.1e}; the last is {last:.4})"),
        );
    }
}

fn maximum(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| {
        largest.max(f64::from(value.abs()))
    })
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
