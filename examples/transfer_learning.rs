//! The main job, end to end, on real data: a network that Keras trained on clean pictures of clothes
//! is loaded, all of it but the last layer is frozen, and the last layer is trained on a few pictures
//! of a noisy camera.
//!
//! Data and weights are in `fixtures/`; nothing is downloaded. Written to `out/`: the weights, the
//! whole model, and the learning curves.

use std::error::Error;
use std::path::{Path, PathBuf};

use regraft::curves::LearningCurves;
use regraft::data::{pick_per_class, read_idx};
use regraft::layers::{Dense, Input, layers};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array2, Axis};
use regraft::optimizers::Adam;
use regraft::random::{Key, normal};
use regraft::{Fit, History, Model, Sequential, Verbosity};

/// What the ten classes are, in the order of the labels.
const CLASSES: [&str; 10] = [
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
];

/// The standard deviation of the camera's noise; pixels are in 0..1 and stay there.
const NOISE: f32 = 0.3;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let out = Path::new("out");
    std::fs::create_dir_all(out)?;
    let pool = Pictures::read("pool")?.through_noisy_camera(1);
    let test = Pictures::read("test")?.through_noisy_camera(2);

    println!("── A network that Keras trained on 60,000 clean pictures ──\n");
    let mut model = network(0)?;
    println!(
        "{}\n",
        model.load_weights(fixture("fashion_mnist_base.weights.h5"))?
    );
    model.set_class_names(CLASSES);
    model.freeze(..-1)?;
    compile(&mut model)?;
    println!("{}\n", model.summary());

    println!("── The last layer, trained on 100 noisy pictures per class ──\n");
    let few = pool.pick(100, 0)?;
    println!("{}\n", model.plan(few.labels.len(), 32)?);
    let before = model.evaluate(&test.pixels, &test.labels)?;
    let digest = model.frozen_digest();
    let frozen = model.fit(
        &few.pixels,
        &few.labels,
        Fit::new()
            .epochs(20)
            .validation_data(&test.pixels, &test.labels),
    )?;
    let after = model.evaluate(&test.pixels, &test.labels)?;

    let mut scratch = network(1)?;
    compile(&mut scratch)?;
    let from_scratch = scratch.fit(
        &few.pixels,
        &few.labels,
        Fit::new()
            .epochs(20)
            .validation_data(&test.pixels, &test.labels)
            .verbosity(Verbosity::Silent),
    )?;

    println!("\n4,000 noisy pictures that neither has seen:");
    println!("  as loaded         {before}");
    println!("  last layer tuned  {after}");
    println!("  from scratch      {}", last_validation(&from_scratch));
    assert_eq!(digest, model.frozen_digest(), "a frozen weight has changed");
    println!(
        "\nFrozen: {} numbers, digest {digest:016x} before and {:016x} after: not one bit changed.",
        model.count_parameters().frozen,
        model.frozen_digest()
    );

    println!("\n── The same over five seeds: accuracy on the 4,000 test pictures ──\n");
    println!("labels per class   frozen, last layer trained   same network from scratch");
    for labels in [5, 20, 100] {
        let (mut transferred, mut scratch) = (Vec::new(), Vec::new());
        for seed in 0..5 {
            let few = pool.pick(labels, seed)?;
            transferred.push(accuracy(true, seed, &few, &test)?);
            scratch.push(accuracy(false, seed, &few, &test)?);
        }
        let (transferred, scratch) = (mean_and_spread(&transferred), mean_and_spread(&scratch));
        println!("{labels:>16}   {transferred:>26}   {scratch:>25}");
    }

    model.save_weights(out.join("noisy_camera.weights.h5"))?;
    model.save(out.join("noisy_camera.keras"))?;
    LearningCurves::new()
        .title("100 noisy pictures per class")
        .run("last layer tuned", &frozen)
        .run("from scratch", &from_scratch)
        .save(out.join("learning_curves.svg"))?;
    println!(
        "\nWritten: out/noisy_camera.weights.h5, out/noisy_camera.keras, out/learning_curves.svg"
    );
    Ok(())
}

/// The tutorial's network.
fn network(seed: u64) -> Result<Model> {
    Ok(Sequential::with_seed(
        layers![
            Input::new([784]),
            Dense::new(32).activation("relu"),
            Dense::new(32).activation("relu"),
            Dense::new(32).activation("relu"),
            Dense::new(10),
        ],
        seed,
    )?)
}

fn compile(model: &mut Model) -> Result<()> {
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(Adam::new(3e-3), loss, ["accuracy"])?;
    Ok(())
}

/// The test accuracy of one run: transferred (only the last layer trained, from where Keras left it)
/// or from scratch, the same optimizer and number of epochs for both.
fn accuracy(transferred: bool, seed: u64, few: &Pictures, test: &Pictures) -> Result<f64> {
    let mut model = network(100 + seed)?;
    if transferred {
        let _report = model.load_weights(fixture("fashion_mnist_base.weights.h5"))?;
        model.freeze(..-1)?;
    }
    compile(&mut model)?;
    let options = Fit::new()
        .epochs(100)
        .seed(seed)
        .verbosity(Verbosity::Silent);
    model.fit(&few.pixels, &few.labels, options)?;
    let scores = model.evaluate(&test.pixels, &test.labels)?;
    Ok(scores.get("accuracy").unwrap_or_default())
}

fn mean_and_spread(values: &[f64]) -> String {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / (count - 1.0);
    format!("{mean:.3} ± {:.3}", variance.sqrt())
}

fn last_validation(history: &History) -> String {
    let last = |name: &str| history.last(name).unwrap_or_default();
    format!(
        "loss: {:.4} - accuracy: {:.4}",
        last("val_loss"),
        last("val_accuracy")
    )
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(name)
}

/// Pictures as rows of 784 numbers in 0..1, and what they show.
struct Pictures {
    pixels: Array2<f32>,
    labels: Vec<i32>,
}

impl Pictures {
    /// A part of Fashion-MNIST.
    fn read(part: &str) -> Result<Self> {
        let file = |kind: &str| fixture("fashion-mnist").join(format!("{part}-{kind}-ubyte.gz"));
        let images = read_idx(file("images-idx3"))?.to_tensor();
        let labels = read_idx(file("labels-idx1"))?
            .to_labels()?
            .as_slice()
            .to_vec();
        let pixels = images.reshape([labels.len(), 784])?.into_array() / 255.0;
        Ok(Pictures {
            pixels: pixels.into_dimensionality()?,
            labels,
        })
    }

    /// The same pictures, each pixel with Gaussian noise.
    fn through_noisy_camera(mut self, seed: u64) -> Self {
        let mut noise = Array2::zeros(self.pixels.raw_dim());
        if let Some(noise) = noise.as_slice_mut() {
            normal(Key::new(seed, 0), 0, noise);
        }
        self.pixels.zip_mut_with(&noise, |pixel, noise| {
            *pixel = (*pixel + NOISE * noise).clamp(0.0, 1.0);
        });
        self
    }

    /// A few pictures of each class, drawn by `seed`.
    fn pick(&self, per_class: usize, seed: u64) -> Result<Self> {
        let picked = pick_per_class(&self.labels, per_class, seed)?;
        Ok(Pictures {
            pixels: self.pixels.select(Axis(0), &picked),
            labels: picked.iter().map(|&index| self.labels[index]).collect(),
        })
    }
}
