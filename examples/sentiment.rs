//! Sentences of film reviews, good or bad: a frozen sentence encoder and a head that is solved on its features.
//!
//! `python3 fixtures/pretrained.py minilm movie-reviews` fetches encoder and sentences first;
//! `fixtures/sentiment_baseline.py` does the same with TF-IDF and logistic regression on the same splits, which this
//! writes to `out/sentiment`, beside the features, which are kept there. With the argument `fine-tune` the upper half of
//! the encoder learns as well, from the solved head on; what the lower half gives is kept in memory (1 GB).

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use regraft::applications::{self, BertPooling};
use regraft::data::Dataset;
use regraft::heads::{Logistic, Solved};
use regraft::optimizers::AdamW;
use regraft::optimizers::schedules::CosineDecay;
use regraft::random::{Key, permutation};
use regraft::text::{Texts, Tokenizer};
use regraft::{FeatureStore, Fit, Model, Tensor, Verbosity};

/// Sentences to learn from; the others are for testing.
const TRAIN: usize = 8072;
const SEEDS: u64 = 3;

/// Of fine-tuning.
const EPOCHS: usize = 2;
const BATCH: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("out/pretrained");
    let reviews = std::fs::read_to_string(folder.join("movie-reviews/reviews.tsv"))
        .map_err(|_| "run `python3 fixtures/pretrained.py minilm movie-reviews` first")?;
    let rows = reviews.lines().filter_map(|line| line.split_once('\t'));
    let (ratings, texts): (Vec<&str>, Vec<&str>) = rows.unzip();
    let good = |rating: &&str| rating.parse::<f32>().map(|rating| i32::from(rating > 0.0));
    let labels: Vec<i32> = ratings.iter().map(good).collect::<Result<_, _>>()?;

    let tokenizer = Tokenizer::open(folder.join("minilm"))?;
    let data = Texts::fitted(&tokenizer, &texts, 64)?.labels(labels.clone())?;
    let (cut, count) = (data.truncated().len(), texts.len());
    println!(
        "{count} sentences of at most {} tokens, of which {cut} were cut",
        data.length()
    );

    let encoder = applications::bert(folder.join("minilm")).length(data.length());
    let encoder = encoder.pooling(BertPooling::Mean).normalize().build()?;
    encoder.check_vocabulary(tokenizer.known())?;
    let mut model = encoder.model;
    model.freeze(..)?;
    let began = Instant::now();
    let store = FeatureStore::open("out/sentiment/features")?;
    let extracted = model.extract_features(&data, &store)?;
    let computed = extracted.computed;
    let features = extracted.into_tensor()?;
    println!(
        "features in {:.1} s, {computed} of them computed now",
        began.elapsed().as_secs_f64()
    );

    let tunes = std::env::args().any(|argument| argument == "fine-tune");
    let (mut accuracies, mut tuned) = (Vec::new(), Vec::new());
    for seed in 0..SEEDS {
        let order = permutation(Key::new(seed, 0), texts.len() as u32);
        let (train, test) = order.split_at(TRAIN);
        let test_lines: Vec<String> = test.iter().map(u32::to_string).collect();
        std::fs::write(
            format!("out/sentiment/test_{seed}.txt"),
            test_lines.join("\n"),
        )?;
        let of = |samples: &[u32]| -> Vec<i32> {
            samples.iter().map(|&at| labels[at as usize]).collect()
        };
        let solved = Logistic::new().fit(&rows_of(&features, train)?, &of(train))?;
        let probabilities = solved.predict(&rows_of(&features, test)?)?;
        let right = probabilities
            .argmax(-1)?
            .as_slice()
            .iter()
            .zip(of(test))
            .filter(|(a, b)| **a == *b)
            .count();
        let accuracy = right as f64 / test.len() as f64;
        println!("seed {seed}: {accuracy:.3} of {} sentences", test.len());
        accuracies.push(accuracy);
        if tunes {
            let began = Instant::now();
            let accuracy = fine_tuned(&model, &solved, &data, [train, test], seed)?;
            let seconds = began.elapsed().as_secs_f64();
            println!("seed {seed}: {accuracy:.3} fine-tuned, in {seconds:.0} s");
            tuned.push(accuracy);
        }
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / SEEDS as f64;
    println!("frozen encoder, solved head: {:.3}", mean(&accuracies));
    if tunes {
        println!("its upper half fine-tuned: {:.3}", mean(&tuned));
    }
    Ok(())
}

/// The share of test sentences that are recognised when the upper half of the encoder has learnt, too.
fn fine_tuned(
    encoder: &Model,
    solved: &Solved,
    data: &Texts,
    [train, test]: [&[u32]; 2],
    seed: u64,
) -> Result<f64, Box<dyn Error>> {
    let mut model = encoder.with_solved_head("predictions", solved)?;
    model.unfreeze("encoder/layer_[3-5]")?;
    model.unfreeze("predictions")?;
    let steps = (train.len().div_ceil(BATCH) * EPOCHS) as u64;
    let rate = CosineDecay::new(0.0, steps - steps / 10).warmup(5e-5, steps / 10);
    let optimizer = AdamW::new(rate).weight_decay(0.01);
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])?;
    let numbers = |of: &[u32]| -> Vec<usize> { of.iter().map(|&at| at as usize).collect() };
    let train = Dataset::select(data, numbers(train))?;
    let test = Dataset::select(data, numbers(test))?;
    let fit = Fit::new().epochs(EPOCHS).batch_size(BATCH).seed(seed);
    model.fit_dataset(&train, fit.verbosity(Verbosity::Silent))?;
    Ok(model
        .evaluate_dataset(&test)?
        .get("accuracy")
        .unwrap_or(0.0))
}

/// Some rows of a matrix.
fn rows_of(features: &Tensor, samples: &[u32]) -> Result<Tensor, Box<dyn Error>> {
    let width = features.shape()[1];
    let row = |&at: &u32| &features.as_slice()[at as usize * width..][..width];
    let values: Vec<f32> = samples.iter().flat_map(row).copied().collect();
    Ok(Tensor::new([samples.len(), width], values)?)
}
