//! The work in candle, on the CPU. `../README.md` has the protocol.
//!
//! candle knows no frozen layer: the frozen ones are built from plain tensors instead of variables.
//! It has no Adam either; AdamW without weight decay is the same rule.

use std::{
    collections::HashMap,
    env,
    fs::{self, File},
    io::{BufReader, Read},
    path::Path,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use candle_core::{Device, Result, Tensor, Var, safetensors};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, loss};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

const LAYERS: [&str; 4] = ["dense", "dense_1", "dense_2", "dense_3"];

struct Mlp {
    layers: Vec<Linear>,
    trained: Vec<Var>,
}

impl Mlp {
    fn load(weights: &HashMap<String, Tensor>, frozen: bool) -> Result<Self> {
        let (mut layers, mut trained) = (Vec::new(), Vec::new());
        for name in LAYERS {
            // candle multiplies by the transpose of what it keeps; Keras keeps (inputs, outputs).
            let weight = weights[&format!("{name}/kernel")].t()?.contiguous()?;
            let bias = weights[&format!("{name}/bias")].clone();
            layers.push(if frozen && name != LAYERS[3] {
                Linear::new(weight, Some(bias))
            } else {
                let (weight, bias) = (Var::from_tensor(&weight)?, Var::from_tensor(&bias)?);
                trained.extend([weight.clone(), bias.clone()]);
                Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone()))
            });
        }
        Ok(Mlp { layers, trained })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for layer in &self.layers[..3] {
            x = layer.forward(&x)?.relu()?;
        }
        self.layers[3].forward(&x)
    }

    fn adam(&self) -> Result<AdamW> {
        let settings = ParamsAdamW {
            lr: 1e-3,
            weight_decay: 0.0,
            ..ParamsAdamW::default()
        };
        AdamW::new(self.trained.clone(), settings)
    }
}

struct Data {
    x: Tensor,
    y: Tensor,
    samples: usize,
}

impl Data {
    fn read(directory: &Path) -> Result<Self> {
        // In pieces, so that the data is in memory once.
        let file = |name: &str| -> Result<BufReader<File>> {
            Ok(BufReader::new(File::open(directory.join(name))?))
        };
        let count = fs::metadata(directory.join("y.i32"))?.len() as usize / 4;
        let (mut x, mut y) = (Vec::with_capacity(count * 784), Vec::with_capacity(count));
        let (mut xs, mut ys, mut bytes) = (file("x.f32")?, file("y.i32")?, [0; 4]);
        for _ in 0..count {
            ys.read_exact(&mut bytes)?;
            y.push(u32::from_le_bytes(bytes));
            for _ in 0..784 {
                xs.read_exact(&mut bytes)?;
                x.push(f32::from_le_bytes(bytes));
            }
        }
        let samples = y.len();
        Ok(Data {
            x: Tensor::from_vec(x, (samples, 784), &Device::Cpu)?,
            y: Tensor::from_vec(y, samples, &Device::Cpu)?,
            samples,
        })
    }

    fn first(&self, samples: usize) -> Result<Self> {
        let samples = samples.min(self.samples);
        let (x, y) = (self.x.narrow(0, 0, samples)?, self.y.narrow(0, 0, samples)?);
        Ok(Data { x, y, samples })
    }
}

fn epoch(
    model: &Mlp,
    optimizer: &mut AdamW,
    data: &Data,
    batch_size: usize,
    rng: &mut StdRng,
    mut after_step: impl FnMut(),
) -> Result<()> {
    let mut order: Vec<u32> = (0..data.samples as u32).collect();
    order.shuffle(rng);
    for batch in order.chunks(batch_size) {
        let batch = Tensor::new(batch, &Device::Cpu)?;
        let (x, y) = (
            data.x.index_select(&batch, 0)?,
            data.y.index_select(&batch, 0)?,
        );
        optimizer.backward_step(&loss::cross_entropy(&model.forward(&x)?, &y)?)?;
        after_step();
    }
    Ok(())
}

fn since_start() -> f64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    let started: f64 = env::var("BENCH_STARTED")
        .ok()
        .and_then(|t| t.parse().ok())
        .unwrap_or(f64::NAN);
    now.as_secs_f64() - started
}

fn epochs(data: &Data, weights: &HashMap<String, Tensor>, epochs: usize) -> Result<()> {
    for (name, frozen, batch_size) in [
        ("frozen_batch32", true, 32),
        ("frozen_batch256", true, 256),
        ("full_batch32", false, 32),
    ] {
        let model = Mlp::load(weights, frozen)?;
        let mut optimizer = model.adam()?;
        let mut rng = StdRng::seed_from_u64(0);
        epoch(
            &model,
            &mut optimizer,
            &data.first(2 * batch_size)?,
            batch_size,
            &mut rng,
            || (),
        )?;
        let mut seconds = Vec::new();
        for _ in 0..epochs {
            let began = Instant::now();
            epoch(&model, &mut optimizer, data, batch_size, &mut rng, || ())?;
            seconds.push(began.elapsed().as_secs_f64());
        }
        let first = seconds[0];
        let mut later = if seconds.len() > 1 {
            seconds.split_off(1)
        } else {
            seconds
        };
        later.sort_by(f64::total_cmp);
        let middle = later.len() / 2;
        let median = if later.len() % 2 == 1 {
            later[middle]
        } else {
            (later[middle - 1] + later[middle]) / 2.0
        };
        println!(r#"{{"name": "{name}", "first_epoch_s": {first}, "later_epoch_s": {median}}}"#);
    }
    Ok(())
}

fn process(data: &Data, weights: &HashMap<String, Tensor>, epochs: usize) -> Result<()> {
    let model = Mlp::load(weights, true)?;
    let mut optimizer = model.adam()?;
    let mut rng = StdRng::seed_from_u64(0);
    let mut first_step = None;
    for _ in 0..epochs {
        epoch(&model, &mut optimizer, data, 32, &mut rng, || {
            first_step.get_or_insert_with(since_start);
        })?;
    }
    let (mut total, mut right) = (0.0, 0.0);
    for start in (0..data.samples).step_by(256) {
        let count = 256.min(data.samples - start);
        let (x, y) = (
            data.x.narrow(0, start, count)?,
            data.y.narrow(0, start, count)?,
        );
        let logits = model.forward(&x)?;
        total += loss::cross_entropy(&logits, &y)?.to_scalar::<f32>()? as f64 * count as f64;
        right += logits
            .argmax(1)?
            .eq(&y)?
            .to_dtype(candle_core::DType::F32)?
            .sum_all()?
            .to_scalar::<f32>()? as f64;
    }
    let (first, samples) = (first_step.unwrap_or(f64::NAN), data.samples as f64);
    println!(
        r#"{{"name": "process", "first_step_s": {first}, "loss": {}, "accuracy": {}}}"#,
        total / samples,
        right / samples
    );
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (mode, directory, count) = match arguments.as_slice() {
        [mode, directory] => (mode, directory, None),
        [mode, directory, flag, count] if flag == "--epochs" => {
            (mode, directory, count.parse().ok())
        }
        _ => candle_core::bail!("expected: epochs|process DIR [--epochs N]"),
    };
    let directory = Path::new(directory);
    let data = Data::read(directory)?;
    let weights = safetensors::load(directory.join("base.safetensors"), &Device::Cpu)?;
    match mode.as_str() {
        "epochs" => epochs(&data, &weights, count.unwrap_or(4)),
        "process" => process(&data, &weights, count.unwrap_or(5)),
        _ => candle_core::bail!("the mode is `epochs` or `process`, not `{mode}`"),
    }
}
