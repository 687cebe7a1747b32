//! The forward pass of all-MiniLM-L6-v2, timed: what `benches/peers/bert.py` runs beside ONNX Runtime and PyTorch.

#[path = "common/processor_time.rs"]
mod processor_time;

use std::error::Error;
use std::time::Instant;

use regraft::applications;
use regraft::ndarray::Array2;
use serde_json::{Value, json};

use crate::processor_time::processor_seconds;

fn main() -> Result<(), Box<dyn Error>> {
    let work = std::env::args().nth(1).ok_or("usage: bench_bert WORK")?;
    let work: Value = serde_json::from_str(&work)?;
    let number = |name: &str| -> Result<usize, Box<dyn Error>> {
        let value = work[name].as_u64().ok_or_else(|| format!("no {name:?}"))?;
        Ok(usize::try_from(value)?)
    };
    let (batch, length, runs) = (number("batch")?, number("length")?, number("runs")?);
    let folder = work["folder"].as_str().ok_or("no \"folder\"")?;
    let mut model = applications::bert(folder).length(length).build()?.model;
    model.freeze(..)?;
    let ids = Array2::from_shape_fn((batch, length), |(i, j)| {
        1000 + ((i * 131 + j * 17) % 20000) as i32
    });
    // Sentences from a quarter of the length to all of it.
    let mask = Array2::from_shape_fn((batch, length), |(i, j)| {
        i32::from(j < length / 4 + (i * length * 3 / 4) / batch.max(1) + 1)
    });
    let mut checked = model.predict_all((&ids, &mask))?;
    let sum: f32 = checked
        .swap_remove(0)
        .as_slice()
        .iter()
        .map(|x| x.abs())
        .sum();
    println!("{}", json!({"name": "sum", "unit": "", "values": [sum]}));
    let (mut wall, mut processor) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let started = (Instant::now(), processor_seconds());
        model.predict_all((&ids, &mask))?;
        wall.push(batch as f64 / started.0.elapsed().as_secs_f64());
        processor.push(batch as f64 / (processor_seconds() - started.1).max(1e-9));
    }
    println!(
        "{}",
        json!({"name": "forward", "unit": "sentences/s", "values": wall})
    );
    println!(
        "{}",
        json!({"name": "forward, of processor time", "unit": "sentences/s", "values": processor})
    );
    Ok(())
}
