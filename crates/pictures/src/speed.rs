//! How fast this machine is, and what the stages of a run take on it.

use std::hint::black_box;
use std::time::Instant;

use rayon::prelude::*;
use regraft::Tensor;
use regraft_heads::{ClassWeight, Factorised};

use crate::factorisations::fits_into_memory;
use crate::features::fit_into_memory;

/// How fast this machine is just now, on all cores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    /// Bytes that are hashed in a second.
    hashing: f64,
    /// Products of features that are summed in a second.
    products: f64,
}

/// Solutions that are tried: of two heads, each for thirteen strengths of regularisation.
const TRIED: f64 = 26.0;

/// Rows and columns of what is tried.
const ROWS: usize = 512;
const COLUMNS: usize = 192;

impl Speed {
    /// Tries it, in some ten milliseconds.
    pub fn measure() -> Self {
        let bytes = vec![7_u8; 4 << 20];
        let hashing = fastest(|| {
            let hashes = bytes.par_chunks(1 << 18).map(blake3::hash);
            black_box(hashes.collect::<Vec<_>>());
        });
        let number = |at: usize| ((at * 7919 + at * at % 101) % 1013) as f32;
        let numbers = (0..ROWS * COLUMNS).map(number).collect();
        let features = Tensor::new([ROWS, COLUMNS], numbers).expect("as many as the shape says");
        let labels: Vec<i32> = (0..ROWS).map(|at| (at % 2) as i32).collect();
        let factorising = fastest(|| {
            let _ = black_box(Factorised::new(&features, &labels, ClassWeight::Equal));
        });
        Speed {
            hashing: bytes.len() as f64 / hashing,
            products: products(ROWS, COLUMNS) / factorising,
        }
    }

    /// Seconds to hash so many files of so many bytes together.
    pub fn scan(&self, files: usize, bytes: u64) -> f64 {
        bytes as f64 / self.hashing + 2e-5 * files as f64
    }

    /// Seconds to find what is wrong with so many pictures as a whole.
    pub fn check(&self, pictures: usize) -> f64 {
        0.02 + 2e-5 * pictures as f64
    }

    /// Seconds to solve the head.
    pub fn solve(&self, pictures: usize, features: usize, classes: usize) -> f64 {
        let tried = TRIED * (pictures * features.min(pictures)) as f64 * (classes + 4) as f64;
        (products(pictures, features) + tried) / self.products
    }

    /// Seconds to write model and report, if a picture takes so many seconds to decode and compute.
    pub fn write(&self, pictures: usize, each: f64) -> f64 {
        0.2 + each * (pictures.min(300) as f64 * 0.3 + pictures.min(48) as f64)
    }
}

/// Products that a factorisation sums: of all features with each other, of their tridiagonal form, and of the rows
/// that are turned into it.
fn products(pictures: usize, features: usize) -> f64 {
    let (less, more) = (pictures.min(features) as f64, pictures.max(features) as f64);
    less * less * more / 2.0 + 2.0 / 3.0 * less.powi(3) + pictures as f64 * less * less
}

/// Bytes that solving needs: the features, what is made of them, the matrix that is factorised, what is worked on, and
/// the answers. What does not fit into memory is there in parts.
pub(crate) fn solving_memory(pictures: usize, features: usize, classes: usize) -> u64 {
    /// Of what is on a disk.
    const PARTS: u64 = 64 << 20;
    let least = pictures.min(features) as u64;
    // What is kept of features is mapped besides.
    let rows = match fit_into_memory(pictures, features) {
        true => 8 * (pictures * features) as u64,
        false => PARTS,
    };
    let factorised = match fits_into_memory(pictures, features) {
        true => factorised_bytes(pictures, features),
        false => 8 * least * least + PARTS,
    };
    rows + factorised + 8 * (least * least + 6 * (pictures * classes) as u64)
}

/// Bytes of a factorisation.
pub(crate) fn factorised_bytes(pictures: usize, features: usize) -> u64 {
    let (n, least) = (pictures as u64, pictures.min(features) as u64);
    let rows = match pictures > features {
        true => n * least,
        false => n * (least + features as u64),
    };
    8 * (rows + least * least)
}

/// The least seconds of three times.
fn fastest(mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    (0..3).map(time).fold(f64::INFINITY, f64::min).max(1e-9)
}
