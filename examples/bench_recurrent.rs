//! A recurrent layer over sequences, predicting and training, timed: what `benches/peers/recurrent.py` runs beside Keras.
//! The protocol is in `benches/peers/README.md`.

#[path = "common/processor_time.rs"]
mod processor_time;

use std::error::Error;
use std::time::Instant;

use regraft::layers::{Dense, GRU, Input, LSTM, layers};
use regraft::ndarray::{Array2, Array3};
use regraft::random::{Key, uniform};
use regraft::{Fit, Model, Sequential, Verbosity};
use serde_json::{Value, json};

use crate::processor_time::processor_seconds;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let work = std::env::args()
        .nth(1)
        .ok_or("usage: bench_recurrent WORK")?;
    let work: Value = serde_json::from_str(&work)?;
    let number = |name: &str| -> Result<usize> {
        let value = work[name].as_u64().ok_or_else(|| format!("no {name:?}"))?;
        Ok(usize::try_from(value)?)
    };
    let (batch, samples, rounds) = (number("batch")?, number("samples")?, number("rounds")?);
    let (steps, features, units) = (number("steps")?, number("features")?, number("units")?);
    let mut values = vec![0.0; samples * steps * features];
    uniform(Key::new(0, 0), 0, &mut values);
    let x = Array3::from_shape_vec((samples, steps, features), values)?;
    let y = Array2::from_shape_fn((samples, 1), |(sample, _)| (sample % 2) as f32);
    for layer in ["LSTM", "GRU"] {
        let mut model: Model = match layer {
            "LSTM" => Sequential::new(layers![
                Input::new([steps, features]),
                LSTM::new(units),
                Dense::new(1)
            ])?,
            _ => Sequential::new(layers![
                Input::new([steps, features]),
                GRU::new(units),
                Dense::new(1)
            ])?,
        };
        model.compile("adam", "mse", ())?;
        let fit = || {
            let fit = Fit::new().epochs(1).batch_size(batch);
            fit.verbosity(Verbosity::Silent)
        };
        let mut time = |name: &str, run: &mut dyn FnMut(&mut Model) -> Result<()>| -> Result<()> {
            // What is computed once for a model is not the work of a round.
            run(&mut model)?;
            let (mut speeds, mut of_processor) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let (began, before) = (Instant::now(), processor_seconds());
                run(&mut model)?;
                speeds.push(samples as f64 / began.elapsed().as_secs_f64());
                of_processor.push(samples as f64 / (processor_seconds() - before));
            }
            let name = format!("{layer}: {name}");
            for (unit, values) in [
                ("sequences/s", speeds),
                ("sequences/s of the processor", of_processor),
            ] {
                println!("{}", json!({"name": name, "unit": unit, "values": values}));
            }
            Ok(())
        };
        time("predict", &mut |model| {
            model.predict(&x)?;
            Ok(())
        })?;
        time("fit", &mut |model| {
            model.fit(&x, &y, fit())?;
            Ok(())
        })?;
    }
    Ok(())
}
