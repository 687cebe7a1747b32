//! More pictures than fit into memory: each is made when it is asked for, goes through a frozen base once, and
//! is forgotten; what is kept of it is 16 numbers.
//!
//! `cargo run --release -p regraft --example larger_than_memory -- 20` trains on 20 GB (of 1 unless told
//! otherwise) and fails if it has had more than 1 GB in memory.

use std::error::Error;

use regraft::data::{Dataset, Part, RowSpec, Rows};
use regraft::extend::Detail;
use regraft::prelude::*;
use regraft::random::{Key, uniform};

/// Height and width of a picture.
const SIZE: usize = 512;
/// The numbers of a picture: three channels.
const NUMBERS: usize = SIZE * SIZE * 3;

/// Noise with a bright stripe: in a row, or in a column.
struct Stripes {
    pictures: usize,
}

impl Stripes {
    fn class(sample: usize) -> usize {
        sample * 7 % 2
    }
}

impl Dataset for Stripes {
    fn len(&self) -> usize {
        self.pictures
    }

    fn inputs(&self) -> Vec<RowSpec> {
        vec![RowSpec::floats([SIZE, SIZE, 3])]
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([])]
    }

    fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
        if let Some(pictures) = rows.floats(Part::Input(0)) {
            for (picture, &sample) in pictures.chunks_exact_mut(NUMBERS).zip(samples) {
                uniform(Key::new(9, sample as u64), 0, picture);
                let at = sample * 31 % SIZE;
                for along in 0..SIZE {
                    let (row, column) = match Self::class(sample) {
                        0 => (at, along),
                        _ => (along, at),
                    };
                    picture[(row * SIZE + column) * 3..][..3].fill(20.0);
                }
            }
        }
        if let Some(classes) = rows.integers(Part::Target(0)) {
            for (class, &sample) in classes.iter_mut().zip(samples) {
                *class = Self::class(sample) as i32;
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let gigabytes: f64 = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 1.0,
    };
    let pictures = (gigabytes * 1e9 / (4 * NUMBERS) as f64).ceil() as usize;
    let mut model = Sequential::with_seed(
        layers![
            Input::new([SIZE, SIZE, 3]),
            AveragePooling2D::new(8),
            Conv2D::new(16, [3, 3]).activation("relu").named("base"),
            GlobalMaxPooling2D::new(),
            Dense::new(2).named("head"),
        ],
        1,
    )?;
    model.freeze("base")?;
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(Adam::new(0.01), loss, ["accuracy"])?;
    let options = Fit::new()
        .epochs(20)
        .validation_split(0.2)
        .verbosity(Verbosity::Silent);
    let history = model.fit_dataset(&Stripes { pictures }, options)?;
    println!("{pictures} pictures, {gigabytes} GB; {history}");
    if let Some(peak) = peak_megabytes() {
        println!("in memory at most: {peak} MB");
        if peak > 1000 {
            return Err("more than 1 GB".into());
        }
    }
    Ok(())
}

/// The most memory that this process has had, where the system says it.
fn peak_megabytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1000)
}
