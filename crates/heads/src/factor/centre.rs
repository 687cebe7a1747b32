//! Features less their mean, in a scale in which numbers are about 1.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use regraft_tensor::Detail;

use super::panels::CHUNK;
use crate::features::{Features, fill, if_there};
use crate::product::{dot, sum_of};
use crate::samples::Samples;
use crate::{Error, Result};

/// Numbers whose squares are summed by themselves.
const SQUARES: usize = 1 << 16;

/// Features in the samples' order, less their weighted mean.
pub(crate) struct Centred<'a> {
    features: &'a dyn Features,
    samples: &'a Samples,
    origin: Vec<f32>,
    /// The mean of what is beyond the origin.
    shift: Vec<f64>,
}

impl<'a> Centred<'a> {
    /// With the weight of each position, all of them 1 together.
    pub fn new(
        features: &'a dyn Features,
        samples: &'a Samples,
        weight: impl Fn(usize) -> f64 + Sync,
    ) -> Result<Self> {
        let (n, width) = (samples.len(), samples.width);
        let all_there = AtomicBool::new(true);
        let read = |i: usize, row: &mut [f32]| {
            if !features.read(samples.order[i], row) {
                all_there.store(false, Ordering::Relaxed);
            }
        };
        // Means of what is beyond the first sample: a feature that never changes is 0 then, to the bit.
        let mut origin = vec![0.0; width];
        read(0, &mut origin);
        let parts: Vec<Vec<f64>> = (0..n.div_ceil(CHUNK))
            .into_par_iter()
            .map_init(
                || vec![0.0; width],
                |row, chunk| {
                    let mut part = vec![0.0; width];
                    for i in chunk * CHUNK..n.min((chunk + 1) * CHUNK) {
                        let weight = weight(i);
                        read(i, row);
                        for ((part, x), origin) in part.iter_mut().zip(&*row).zip(&origin) {
                            *part += weight * (f64::from(*x) - f64::from(*origin));
                        }
                    }
                    part
                },
            )
            .collect();
        if_there(all_there)?;
        Ok(Centred {
            features,
            samples,
            shift: sum_of(&parts, width),
            origin,
        })
    }

    /// The means of the features as they were given.
    pub fn means(&self) -> Vec<f64> {
        let means = self.origin.iter().zip(&self.shift);
        means
            .map(|(origin, shift)| f64::from(*origin) + shift)
            .collect()
    }

    /// Writes the row of a position.
    pub fn row(&self, i: usize, row: &mut [f64]) -> Result<()> {
        let mut given = vec![0.0; row.len()];
        let is_there = self.features.read(self.samples.order[i], &mut given);
        self.convert(&given, row, 1.0);
        if_there(AtomicBool::new(is_there))
    }

    fn convert(&self, row: &[f32], out: &mut [f64], scale: f64) {
        let values = row.iter().zip(&self.origin).zip(&self.shift);
        for (out, ((x, origin), shift)) in out.iter_mut().zip(values) {
            *out = scale * ((f64::from(*x) - f64::from(*origin)) - shift);
        }
    }

    /// Writes the rows of some positions, each times what `scale` says.
    pub fn rows(
        &self,
        places: Range<usize>,
        rows: &mut [f64],
        scale: impl Fn(usize) -> f64 + Sync,
    ) -> Result<()> {
        let order = &self.samples.order;
        fill(self.features, order, places, rows, |place, row, out| {
            self.convert(row, out, scale(place));
        })
    }
}

/// The sum of the squares of numbers that come one part after the other, whatever the parts.
#[derive(Default)]
pub(super) struct Squares {
    sum: f64,
    waiting: Vec<f64>,
}

impl Squares {
    pub fn add(&mut self, mut numbers: &[f64]) {
        if !self.waiting.is_empty() {
            let missing = (SQUARES - self.waiting.len()).min(numbers.len());
            let (first, rest) = numbers.split_at(missing);
            self.waiting.extend_from_slice(first);
            numbers = rest;
            if self.waiting.len() == SQUARES {
                self.sum += dot(&self.waiting, &self.waiting);
                self.waiting.clear();
            }
        }
        let whole = numbers.len() / SQUARES * SQUARES;
        let parts: Vec<f64> = numbers[..whole]
            .par_chunks(SQUARES)
            .map(|part| dot(part, part))
            .collect();
        parts.iter().for_each(|part| self.sum += part);
        self.waiting.extend_from_slice(&numbers[whole..]);
    }

    /// The power of two, so that multiplying is exact, by which `count` such numbers of `n` samples are about 1.
    pub fn unit(self, count: usize, n: usize) -> Result<f64> {
        let sum = self.sum + dot(&self.waiting, &self.waiting);
        let mean = sum / count as f64;
        if mean == 0.0 {
            return Err(Error::Features(
                Detail::new(
                    "features",
                    "some that differ from sample to sample",
                    format!("{n} samples that are all alike"),
                )
                .help(
                    "look at what the network gives: is it fed the pictures, scaled as it was trained?",
                ),
            ));
        }
        let exponent = (((mean.sqrt().to_bits() >> 52) & 0x7FF) as i64) - 1023;
        Ok(f64::from_bits(((1023 - exponent) as u64) << 52))
    }
}
