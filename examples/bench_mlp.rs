//! The tutorial's work, timed: what `benches/peers/run.py` runs beside the same work in other
//! frameworks. The protocol is in `benches/peers/README.md`.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use regraft::layers::{Dense, Input, layers};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array2, s};
use regraft::{
    Callback, Context, Fit, History, Model, Result as RegraftResult, Sequential, Verbosity,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (what, directory) = match (arguments.next(), arguments.next()) {
        (Some(what), Some(directory)) => (what, PathBuf::from(directory)),
        _ => return Err("usage: bench_mlp epochs|process DIR [--epochs N]".into()),
    };
    let epochs = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--epochs"), Some(number)) => Some(number.parse()?),
        _ => None,
    };
    match what.as_str() {
        "epochs" => time_epochs(&directory, epochs.unwrap_or(4)),
        "process" => whole_process(&directory, epochs.unwrap_or(5)),
        other => Err(format!("{other:?} is neither `epochs` nor `process`").into()),
    }
}

fn tutorial() -> RegraftResult<Model> {
    Sequential::new(layers![
        Input::new([784]),
        Dense::new(32).activation("relu"),
        Dense::new(32).activation("relu"),
        Dense::new(32).activation("relu"),
        Dense::new(10),
    ])
}

/// Loads the weights, freezes all layers but the last if asked to, compiles.
fn prepared(directory: &Path, frozen: bool) -> Result<Model, Box<dyn Error>> {
    let mut model = tutorial()?;
    let _report = model.load_weights(directory.join("base.weights.h5"))?;
    if frozen {
        model.freeze(..-1)?;
    }
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile("adam", loss, ["accuracy"])?;
    Ok(model)
}

fn read(directory: &Path) -> Result<(Array2<f32>, Vec<i32>), Box<dyn Error>> {
    // Straight into their final memory: little-endian words, as all supported machines have them.
    let mut file = File::open(directory.join("x.f32"))?;
    let mut x = vec![0.0_f32; file.metadata()?.len() as usize / 4];
    file.read_exact(bytemuck::cast_slice_mut(&mut x))?;
    let mut file = File::open(directory.join("y.i32"))?;
    let mut y = vec![0_i32; file.metadata()?.len() as usize / 4];
    file.read_exact(bytemuck::cast_slice_mut(&mut y))?;
    Ok((Array2::from_shape_vec((y.len(), 784), x)?, y))
}

/// The time of each epoch and of the first step.
#[derive(Debug, Default)]
struct Stopwatch {
    started: Option<Instant>,
    epochs: Vec<Duration>,
    first_step: Option<SystemTime>,
}

impl Callback for Stopwatch {
    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        _context: &mut Context<'_>,
        _history: &History,
    ) -> RegraftResult<()> {
        let started = self.started.replace(Instant::now());
        self.epochs.extend(started.map(|started| started.elapsed()));
        Ok(())
    }

    fn wants_batches(&self) -> bool {
        self.started.is_none()
    }

    fn on_batch_end(&mut self, _: usize, _: usize, _: &mut Context<'_>) -> RegraftResult<()> {
        self.first_step.get_or_insert_with(SystemTime::now);
        Ok(())
    }
}

fn fit(epochs: usize, batch_size: usize) -> Fit<'static> {
    Fit::new()
        .epochs(epochs)
        .batch_size(batch_size)
        .verbosity(Verbosity::Silent)
}

fn time_epochs(directory: &Path, epochs: usize) -> Result<(), Box<dyn Error>> {
    let (x, y) = read(directory)?;
    for (name, frozen, batch_size) in [
        ("frozen_batch32", true, 32),
        ("frozen_batch256", true, 256),
        ("full_batch32", false, 32),
    ] {
        let mut model = prepared(directory, frozen)?;
        let few = x.slice(s![..2 * batch_size, ..]);
        model.fit(&few, &y[..2 * batch_size], fit(1, batch_size))?;
        // The first epoch is timed from the call of `fit`: running the frozen prefix is part of it.
        let mut stopwatch = Stopwatch {
            started: Some(Instant::now()),
            ..Stopwatch::default()
        };
        model.fit(&x, &y, fit(epochs, batch_size).callback(&mut stopwatch))?;
        let first = stopwatch.epochs[0].as_secs_f64();
        let mut later: Vec<f64> = stopwatch.epochs[1..]
            .iter()
            .map(Duration::as_secs_f64)
            .collect();
        later.sort_by(f64::total_cmp);
        let later = later.get(later.len() / 2).copied().unwrap_or(first);
        println!(
            "{{\"name\": \"{name}\", \"first_epoch_s\": {first}, \"later_epoch_s\": {later}}}"
        );
    }
    Ok(())
}

fn whole_process(directory: &Path, epochs: usize) -> Result<(), Box<dyn Error>> {
    let (x, y) = read(directory)?;
    let mut model = prepared(directory, true)?;
    let mut stopwatch = Stopwatch::default();
    model.fit(&x, &y, fit(epochs, 32).callback(&mut stopwatch))?;
    let scores = model.evaluate(&x, &y)?;
    let started: f64 = std::env::var("BENCH_STARTED")?.parse()?;
    let first_step = match stopwatch.first_step {
        Some(time) => time.duration_since(UNIX_EPOCH)?.as_secs_f64() - started,
        None => 0.0,
    };
    let accuracy = scores.get("accuracy").unwrap_or(0.0);
    let loss = scores.loss;
    println!(
        "{{\"name\": \"process\", \"first_step_s\": {first_step}, \"loss\": {loss}, \
         \"accuracy\": {accuracy}}}"
    );
    Ok(())
}
