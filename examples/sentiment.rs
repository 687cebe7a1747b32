//! Sentences of film reviews, good or bad: a frozen sentence encoder and a head that is solved on its features.
//!
//! `python3 fixtures/pretrained.py minilm movie-reviews` fetches encoder and sentences first;
//! `fixtures/sentiment_baseline.py` does the same with TF-IDF and logistic regression on the same splits, which this
//! writes to `out/sentiment`. With the argument `--features`, features are kept in that folder.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use regraft::FeatureStore;
use regraft::Tensor;
use regraft::applications::{self, BertPooling};
use regraft::heads::Logistic;
use regraft::random::{Key, permutation};
use regraft::text::{Texts, Tokenizer};

/// Sentences to learn from; the others are for testing.
const TRAIN: usize = 8072;
const SEEDS: u64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("out/pretrained");
    let reviews = std::fs::read_to_string(folder.join("movie-reviews/reviews.tsv"))
        .map_err(|_| "run `python3 fixtures/pretrained.py minilm movie-reviews` first")?;
    let rows = reviews.lines().filter_map(|line| line.split_once('\t'));
    let (ratings, texts): (Vec<&str>, Vec<&str>) = rows.unzip();
    let good = |rating: &&str| rating.parse::<f32>().map(|rating| i32::from(rating > 0.0));
    let labels: Vec<i32> = ratings.iter().map(good).collect::<Result<_, _>>()?;

    let tokenizer = Tokenizer::open(folder.join("minilm"))?;
    let data = Texts::fitted(&tokenizer, &texts, 64)?;
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

    let mut accuracies = Vec::new();
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
    }
    println!(
        "frozen encoder, solved head: {:.3}",
        accuracies.iter().sum::<f64>() / SEEDS as f64
    );
    Ok(())
}

/// Some rows of a matrix.
fn rows_of(features: &Tensor, samples: &[u32]) -> Result<Tensor, Box<dyn Error>> {
    let width = features.shape()[1];
    let row = |&at: &u32| &features.as_slice()[at as usize * width..][..width];
    let values: Vec<f32> = samples.iter().flat_map(row).copied().collect();
    Ok(Tensor::new([samples.len(), width], values)?)
}
