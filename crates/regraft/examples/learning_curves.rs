//! Compares two runs in one picture: `cargo run -p regraft --example learning_curves -- curves.svg`
//!
//! The numbers are invented, so that the example is about the picture alone.

use regraft::curves::LearningCurves;
use regraft::history::{History, Params};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or("learning_curves.svg".to_string());
    let frozen = invented(0.62, 0.75);
    let scratch = invented(0.3, 0.7);
    println!("{frozen}");
    LearningCurves::new()
        .run("frozen", &frozen)
        .run("from scratch", &scratch)
        .title("Fashion-MNIST through a noisy camera, 100 labels per class")
        .save(&path)?;
    println!("wrote {path}");
    Ok(())
}

/// Accuracy that climbs from `start` towards `end`, with a loss to match.
fn invented(start: f64, end: f64) -> History {
    let epochs = 40;
    let mut history = History::new(Params { epochs, steps: 32 });
    for epoch in 0..epochs {
        let progress = 1.0 - (-(epoch as f64) / 8.0).exp();
        let wiggle = 0.008 * ((epoch * epoch) as f64).sin();
        let accuracy = start + (end - start) * progress;
        history.push_epoch(
            epoch,
            [
                ("loss", -(accuracy + 0.08).ln()),
                ("accuracy", accuracy + 0.08 * progress),
                ("val_loss", -accuracy.ln() + wiggle),
                ("val_accuracy", accuracy + wiggle),
                ("learning_rate", 1e-3),
            ],
        );
    }
    history
}
