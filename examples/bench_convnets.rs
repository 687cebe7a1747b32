//! Convolutional networks, timed: what `benches/peers/convnets.py` runs beside the same work in other
//! frameworks. The protocol is in `benches/peers/README.md`.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use regraft::layers::{Dense, LayerExt, layers};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array4, s};
use regraft::random::{Key, uniform};
use regraft::{
    Callback, Context, Fit, FrozenPrecision, History, Model, Result as RegraftResult, Verbosity,
    applications,
};
use regraft_tensor::kernels::convolution::{
    ConvolutionSizes, KernelShape, convolution, input_gradient, weight_gradient,
};
use regraft_tensor::kernels::window::Window;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Classes of the new head.
const CLASSES: usize = 5;

fn main() -> Result<()> {
    let work = std::env::args()
        .nth(1)
        .ok_or("usage: bench_convnets WORK")?;
    let work: Value = serde_json::from_str(&work)?;
    let number = |of: &Value, name: &str| -> Result<usize> {
        let value = of[name].as_u64().ok_or_else(|| format!("no {name:?}"))?;
        Ok(usize::try_from(value)?)
    };
    let (batch, rounds) = (number(&work, "batch")?, number(&work, "rounds")?);
    one_convolution(batch, number(&work, "convolution_rounds")?);
    for of_network in work["networks"].as_array().ok_or("no networks")? {
        let name = of_network["name"].as_str().ok_or("no name")?;
        let train_images = number(of_network, "train_images")?;
        let (images, labels) = data(number(of_network, "images")?)?;
        let network = Network {
            name,
            batch,
            rounds,
            images: &images,
            labels: &labels,
        };
        network.predict()?;
        // Some are timed forward alone.
        if train_images > 0 {
            network.train_head()?;
            if let Some(block) = of_network["last_block"].as_str() {
                network.train_last_block(block)?;
            }
            network.train_all(train_images)?;
        }
    }
    Ok(())
}

/// Random images with values from -1 to 1, and labels.
fn data(images: usize) -> Result<(Array4<f32>, Vec<i32>)> {
    let mut values = vec![0.0; images * 224 * 224 * 3];
    uniform(Key::new(0, 0), 0, &mut values);
    values
        .iter_mut()
        .for_each(|value| *value = 2.0 * *value - 1.0);
    let labels = (0..images).map(|image| (image % CLASSES) as i32).collect();
    Ok((
        Array4::from_shape_vec((images, 224, 224, 3), values)?,
        labels,
    ))
}

fn print(name: &str, unit: &str, values: &[f64]) {
    println!("{}", json!({"name": name, "unit": unit, "values": values}));
}

/// One network and the data it is timed on.
struct Network<'a> {
    name: &'a str,
    batch: usize,
    rounds: usize,
    images: &'a Array4<f32>,
    labels: &'a [i32],
}

impl Network<'_> {
    fn backbone(&self) -> Result<Model> {
        let application = applications::by_name(self.name)?.include_top(false);
        let application = application.pooling("avg").input_shape([224, 224, 3]);
        Ok(application.build()?.model)
    }

    /// The network with a head of its own, compiled.
    fn with_head(&self, frozen: bool) -> Result<Model> {
        let mut backbone = self.backbone()?;
        if frozen {
            backbone.freeze(..)?;
        }
        Self::compiled(&backbone)
    }

    fn compiled(backbone: &Model) -> Result<Model> {
        let mut model = backbone.with_head(layers![Dense::new(CLASSES).named("head")])?;
        let loss = SparseCategoricalCrossentropy::from_logits();
        model.compile("adam", loss, ["accuracy"])?;
        Ok(model)
    }

    /// Seconds of each epoch, the first from the call of `fit` on.
    fn fit(&self, model: &mut Model, images: usize, epochs: usize) -> Result<Vec<f64>> {
        let mut stopwatch = Stopwatch {
            started: Instant::now(),
            epochs: Vec::new(),
        };
        let fit = Fit::new().epochs(epochs).batch_size(self.batch);
        let fit = fit.verbosity(Verbosity::Silent).callback(&mut stopwatch);
        let few = self.images.slice(s![..images, .., .., ..]);
        model.fit(&few, &self.labels[..images], fit)?;
        Ok(stopwatch.epochs)
    }

    fn print(&self, what: &str, images: usize, seconds: &[f64]) {
        let speeds: Vec<f64> = seconds.iter().map(|one| images as f64 / one).collect();
        print(&format!("{}: {what}", self.name), "images/s", &speeds);
    }

    fn predict(&self) -> Result<()> {
        let mut model = self.backbone()?;
        self.predict_with(&model, "")?;
        model.freeze(..)?;
        let few = self.images.slice(s![..self.batch, .., .., ..]);
        for (name, precision) in [
            ("Winograd", FrozenPrecision::winograd()),
            ("bfloat16", FrozenPrecision::bfloat16()),
            ("int8", FrozenPrecision::int8()),
        ] {
            match model.set_frozen_precision(precision.least_similarity(0.0), &few) {
                Ok(similarity) => eprintln!("{}: {similarity}", self.name),
                // A mobile network has no such convolutions.
                Err(error) => {
                    eprintln!("{}: {error}", self.name);
                    continue;
                }
            }
            self.predict_with(&model, &format!(", {name}"))?;
        }
        Ok(())
    }

    /// `precision` is put behind the names of what is measured.
    fn predict_with(&self, model: &Model, precision: &str) -> Result<()> {
        model.predict(&self.images.slice(s![..self.batch, .., .., ..]))?;
        let mut seconds = Vec::new();
        for _ in 0..self.rounds {
            let started = Instant::now();
            black_box(model.predict(self.images)?);
            seconds.push(started.elapsed().as_secs_f64());
        }
        self.print(
            &format!("predict{precision}"),
            self.images.dim().0,
            &seconds,
        );
        self.predict_one_by_one(model, precision)
    }

    /// One picture a call, as a server gets them.
    fn predict_one_by_one(&self, model: &Model, precision: &str) -> Result<()> {
        const CALLS: usize = 20;
        let calls = CALLS.min(self.images.dim().0);
        let call = |at: usize| model.predict(&self.images.slice(s![at..=at, .., .., ..]));
        call(0)?;
        let mut seconds = Vec::new();
        for _ in 0..self.rounds {
            let started = Instant::now();
            for at in 0..calls {
                black_box(call(at)?);
            }
            seconds.push(started.elapsed().as_secs_f64());
        }
        let what = format!("predict, one picture a call{precision}");
        self.print(&what, calls, &seconds);
        Ok(())
    }

    fn train_head(&self) -> Result<()> {
        self.train_on_frozen(&mut self.with_head(true)?, "head")
    }

    /// The layers that `block` picks and a head, on all else frozen.
    fn train_last_block(&self, block: &str) -> Result<()> {
        let mut backbone = self.backbone()?;
        backbone.freeze(..)?;
        backbone.unfreeze(block)?;
        self.train_on_frozen(&mut Self::compiled(&backbone)?, "last block")
    }

    fn train_on_frozen(&self, model: &mut Model, what: &str) -> Result<()> {
        let images = self.images.dim().0;
        self.fit(model, self.batch, 1)?;
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            let seconds = self.fit(model, images, 4)?;
            first.push(seconds[0]);
            later.extend(&seconds[1..]);
        }
        self.print(&format!("{what}, first epoch"), images, &first);
        self.print(&format!("{what}, later epochs"), images, &later);
        Ok(())
    }

    fn train_all(&self, images: usize) -> Result<()> {
        let mut model = self.with_head(false)?;
        let seconds = self.fit(&mut model, images, 1 + self.rounds)?;
        self.print("all layers", images, &seconds[1..]);
        Ok(())
    }
}

/// The time of each epoch.
#[derive(Debug)]
struct Stopwatch {
    started: Instant,
    epochs: Vec<f64>,
}

impl Callback for Stopwatch {
    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        _context: &mut Context<'_>,
        _history: &History,
    ) -> RegraftResult<()> {
        self.epochs.push(self.started.elapsed().as_secs_f64());
        self.started = Instant::now();
        Ok(())
    }
}

/// The kernels themselves, 3×3, 64 channels to 64 at 56×56; backward is both gradients.
fn one_convolution(batch: usize, rounds: usize) {
    let window = Window::new(&[3, 3]).same_padding(&[56, 56]);
    let kernel = KernelShape {
        channels: 64,
        filters: 64,
        groups: 1,
        window,
    };
    let sizes = ConvolutionSizes::new(batch, [1, 56, 56], kernel).expect("the window fits");
    let random = |stream: u64, length: usize| {
        let mut values = vec![0.0; length];
        uniform(Key::new(1, stream), 0, &mut values);
        values
    };
    let (x, kernel) = (random(0, sizes.input_len()), random(1, sizes.kernel.len()));
    let dy = random(2, sizes.output_len());
    let (mut y, mut dx, mut dk) = (dy.clone(), x.clone(), kernel.clone());
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    // The first round warms up.
    for _ in 0..=rounds {
        let started = Instant::now();
        convolution(&sizes, &x, &kernel, black_box(&mut y));
        forward.push(1e3 * started.elapsed().as_secs_f64());
        let started = Instant::now();
        input_gradient(&sizes, &dy, &kernel, black_box(&mut dx));
        weight_gradient(&sizes, &x, &dy, black_box(&mut dk));
        backward.push(1e3 * started.elapsed().as_secs_f64());
    }
    print("one convolution: forward", "ms", &forward[1..]);
    print("one convolution: backward", "ms", &backward[1..]);
}
