//! A LoRA on the last blocks of a frozen MobileNetV2, timed: what `benches/peers/lora.py` runs beside PyTorch with PEFT.
//! The protocol is in `benches/peers/README.md`.

#[path = "common/processor_time.rs"]
mod processor_time;

use std::error::Error;
use std::time::Instant;

use regraft::adapters::Lora;
use regraft::layers::{Dense, LayerExt, layers};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::Array4;
use regraft::random::{Key, uniform};
use regraft::{
    Callback, Context, Fit, History, Model, Result as RegraftResult, Verbosity, applications,
};
use serde_json::{Value, json};

use crate::processor_time::processor_seconds;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CLASSES: usize = 5;
const SIZE: usize = 224;

fn main() -> Result<()> {
    let work = std::env::args().nth(1).ok_or("usage: bench_lora WORK")?;
    let work: Value = serde_json::from_str(&work)?;
    let number = |name: &str| -> Result<usize> {
        let value = work[name].as_u64().ok_or_else(|| format!("no {name:?}"))?;
        Ok(usize::try_from(value)?)
    };
    let (batch, images, epochs) = (number("batch")?, number("images")?, number("epochs")?);
    let mut values = vec![0.0; images * SIZE * SIZE * 3];
    uniform(Key::new(0, 0), 0, &mut values);
    values
        .iter_mut()
        .for_each(|value| *value = 2.0 * *value - 1.0);
    let x = Array4::from_shape_vec((images, SIZE, SIZE, 3), values)?;
    let y: Vec<i32> = (0..images).map(|image| (image % CLASSES) as i32).collect();

    let mut model = adapted(number("rank")?)?;
    let trained = model.count_parameters().trainable;
    println!(
        "{}",
        json!({"name": "trained numbers", "unit": "", "values": [trained]})
    );
    // What is computed once for a model is not the work of an epoch.
    let few = x.slice(regraft::ndarray::s![..batch, .., .., ..]);
    model.fit(&few, &y[..batch], fit(batch, 1))?;
    let mut stopwatch = Stopwatch {
        started: (Instant::now(), processor_seconds()),
        epochs: Vec::new(),
    };
    model.fit(&x, &y, fit(batch, epochs).callback(&mut stopwatch))?;
    let speeds = |of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        let seconds = stopwatch.epochs.iter().map(of);
        seconds.map(|seconds| images as f64 / seconds).collect()
    };
    for (unit, speeds) in [
        ("images/s", speeds(|it| it.0)),
        ("images/s of the processor", speeds(|it| it.1)),
    ] {
        for (name, values) in [
            ("first epoch", &speeds[..1]),
            ("later epochs", &speeds[1..]),
        ] {
            println!("{}", json!({"name": name, "unit": unit, "values": values}));
        }
    }
    Ok(())
}

/// The network with factors beside the expansions and projections of its last three blocks, and a head of its own.
fn adapted(rank: usize) -> Result<Model> {
    let application = applications::mobilenet_v2().include_top(false);
    let application = application.pooling("avg").input_shape([SIZE, SIZE, 3]);
    let backbone = application.build()?.model;
    let mut model = backbone.with_head(layers![Dense::new(CLASSES).named("head")])?;
    let names = (14..=16)
        .flat_map(|block| ["expand", "project"].map(|layer| format!("block_{block}_{layer}")));
    let lora = Lora::rank(rank).modules_to_save("head");
    model.adapt(names.collect::<Vec<_>>(), lora)?;
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile("adam", loss, ())?;
    Ok(model)
}

fn fit<'f>(batch: usize, epochs: usize) -> Fit<'f> {
    let fit = Fit::new().epochs(epochs).batch_size(batch);
    fit.verbosity(Verbosity::Silent)
}

/// The time of each epoch, that of the first from the call of `fit` on, by the clock and of the processor.
#[derive(Debug)]
struct Stopwatch {
    started: (Instant, f64),
    epochs: Vec<(f64, f64)>,
}

impl Callback for Stopwatch {
    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        _context: &mut Context<'_>,
        _history: &History,
    ) -> RegraftResult<()> {
        let (clock, processor) = self.started;
        let now = processor_seconds();
        self.epochs
            .push((clock.elapsed().as_secs_f64(), now - processor));
        self.started = (Instant::now(), now);
        Ok(())
    }
}
