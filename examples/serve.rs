//! Serving: several threads classify pictures with one predictor, at the same time and without waiting for
//! each other. `cargo run --release --example serve` prints how long a picture takes.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use regraft::prelude::*;

const THREADS: usize = 4;
const PICTURES: usize = 25;

fn main() -> regraft::Result<()> {
    // Weights that were trained come from a file: `.weights("mobilenet_v2.weights.h5")`.
    let model = applications::mobilenet_v2().build()?.model;
    // Compiled once: normalizations are folded into the convolutions, weights packed.
    let predictor = model.predictor()?;
    drop(model);

    let (answers, classes) = mpsc::channel();
    for thread in 0..THREADS {
        let (predictor, answers) = (predictor.clone(), answers.clone());
        thread::spawn(move || {
            for number in 0..PICTURES {
                let start = Instant::now();
                let class = predictor.predict(&picture(thread * PICTURES + number));
                let class = class.map(|scores| most_likely(scores.as_slice()));
                if answers.send((class, start.elapsed())).is_err() {
                    break;
                }
            }
        });
    }
    drop(answers);

    let mut fastest = Duration::MAX;
    let mut counted = 0;
    for (class, time) in classes {
        class?;
        fastest = fastest.min(time);
        counted += 1;
    }
    println!("{counted} pictures, the fastest in {fastest:.1?}");
    Ok(())
}

/// A picture as it may arrive, preprocessed: numbers from −1 to 1.
fn picture(number: usize) -> Array4<f32> {
    Array4::from_shape_fn((1, 224, 224, 3), |(_, row, column, channel)| {
        ((row * 7 + column * 3 + channel + number) as f32 * 0.01).sin()
    })
}

fn most_likely(scores: &[f32]) -> usize {
    let by_score = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]);
    (0..scores.len()).max_by(by_score).unwrap_or(0)
}
