//! Trains a classifier on a folder of pictures and tells what goes on:
//! `cargo run --release -p regraft-pictures --example train PHOTOS BACKBONE [OUTPUT]`.

use std::time::Instant;

use regraft_pictures::{Observer, Stage, Train};

#[derive(Default)]
struct Teller(Option<Instant>);

impl Observer for Teller {
    fn begin(&mut self, _stage: Stage, _steps: usize) {
        self.0 = Some(Instant::now());
    }

    fn end(&mut self, stage: Stage, told: &str) {
        let seconds = self.0.map_or(0.0, |began| began.elapsed().as_secs_f64());
        println!("{stage}: {told} ({seconds:.2} s)");
    }

    fn note(&mut self, note: &str) {
        println!("  {note}");
    }
}

fn main() -> regraft_pictures::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(photos), Some(backbone)) = (arguments.next(), arguments.next()) else {
        println!("say a folder of pictures and a file with a network");
        return Ok(());
    };
    let mut train = Train::new(photos).backbone(backbone).replace(true);
    if let Some(output) = arguments.next() {
        train = train.output(output);
    }
    let trained = train.run(&mut Teller::default())?;
    for finding in &trained.findings {
        println!("- {finding}");
    }
    let accuracy = trained.run.estimate.accuracy;
    println!(
        "accuracy {:.3} ({:.3} to {:.3})",
        accuracy.value, accuracy.low, accuracy.high
    );
    println!(
        "a careless split would have shown {:.3}",
        trained.run.estimate.careless
    );
    println!(
        "calibration error {:.3}",
        trained.run.estimate.calibration_error
    );
    println!("{}", trained.folder.display());
    Ok(())
}
