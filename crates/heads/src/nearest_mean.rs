//! The nearest class mean of centred features of length 1.

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;

use crate::Result;
use crate::factor::{Blocks, Centred};
use crate::features::Features;
use crate::known::Known;
use crate::left_out::LeftOut;
use crate::options::{Options, shared_settings};
use crate::product::{Part, View, add_product, add_scaled, dot};
use crate::samples::Samples;
use crate::solved::{Choice, HeadKind, Solved};

/// Bytes of class means that are in memory together.
const MEANS: usize = 64 << 20;
/// Samples whose rows are in memory together.
const ROWS: usize = 512;

/// The nearest class mean by angle: features less their mean, each of length 1 (CL2N: Wang et al. 2019), a mean of
/// each class, of length 1 again.
///
/// With a handful of samples of each class it is hard to beat; from 20 on take [`Ridge`](crate::Ridge). There is
/// nothing to choose. Each estimate is made from means, the general one included, without the block that it is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NearestMean {
    options: Options,
}

impl NearestMean {
    /// There is nothing to choose.
    pub fn new() -> Self {
        Self::default()
    }

    shared_settings!();

    /// Solves for `features`, (samples, features), and a class label of each sample.
    ///
    /// # Errors
    /// As [`Ridge::fit`](crate::Ridge::fit), but for features that are all alike.
    pub fn fit(&self, features: &dyn Features, labels: &[i32]) -> Result<Solved> {
        let samples = Samples::new(features, labels, &self.options.told)?;
        self.solve(&samples, features)
    }

    pub(crate) fn solve(&self, samples: &Samples, features: &dyn Features) -> Result<Solved> {
        let (n, width, classes) = (samples.len(), samples.width, samples.classes());
        let total = samples.total();
        let centred = Centred::new(features, samples, |i| samples.weight(i) / total)?;
        let blocks = Blocks::of_each_class(samples);
        let together = (MEANS / (8 * classes * width)).max(1);
        let mut scores = vec![0.0; n * classes];
        for blocks in blocks.all.chunks(together) {
            let means = ClassMeans::without(blocks, samples, &centred)?;
            let of_blocks = blocks
                .par_iter()
                .enumerate()
                .map(|(block, members)| means.scores(block, members, &centred));
            let of_blocks = of_blocks.collect::<Result<Vec<_>>>()?;
            for (members, of_block) in blocks.iter().zip(of_blocks) {
                for (&i, row) in members.iter().zip(of_block.chunks_exact(classes)) {
                    scores[i * classes..][..classes].copy_from_slice(row);
                }
            }
        }
        let all = ClassMeans::without(&[Vec::new()], samples, &centred)?;
        // Scores are lengths of features from the mean times a cosine, whatever these lengths are.
        let everything: Vec<usize> = (0..n).collect();
        let own = all.scores(0, &everything, &centred)?;
        let rows = own.chunks_exact(classes).zip(&samples.labels);
        let length = rows.map(|(row, label)| row[*label].abs()).sum::<f64>() / n as f64;
        let length = if length > 0.0 { length } else { 1.0 };
        let mut kernel = vec![0.0; width * classes];
        let means = centred.means();
        let mut bias = vec![0.0; classes];
        for (k, mean) in all.means.chunks_exact(width).enumerate() {
            mean.iter()
                .enumerate()
                .for_each(|(j, value)| kernel[j * classes + k] = *value);
            bias[k] = -dot(mean, &means);
        }
        let left_out = LeftOut::new(
            samples,
            &Known::by_groups(samples),
            scores,
            (0.1 / length, 1e3 / length),
        );
        let choice = Choice {
            name: "nothing",
            value: 0.0,
            tried: Vec::new(),
        };
        Solved::new(HeadKind::NearestMean, kernel, bias, left_out, choice)
    }
}

/// The class means of length 1 without each of some blocks, in coordinates in which the mean of all is 0.
struct ClassMeans {
    /// Of each class a row of each block.
    means: Vec<f64>,
    /// Likewise, what they give for the mean without the block, taken away.
    bias: Vec<f64>,
    blocks: usize,
    width: usize,
}

impl ClassMeans {
    /// With x of length ℓ from the mean m without the block, the sum over a class of (x − m) / ℓ is Σ x / ℓ − m Σ 1 / ℓ,
    /// and ℓ² = x² − 2 x·m + m²: products of matrices for all blocks together.
    fn without(blocks: &[Vec<usize>], samples: &Samples, centred: &Centred<'_>) -> Result<Self> {
        let (width, classes, count) = (samples.width, samples.classes(), blocks.len());
        let total = samples.total();
        let mut block_of = vec![usize::MAX; samples.len()];
        let mut means = vec![0.0; count * width];
        let mut row = vec![0.0; width];
        for (block, (members, mean)) in blocks.iter().zip(means.chunks_exact_mut(width)).enumerate()
        {
            // All of them together are 0.
            let mut left = total;
            for &i in members {
                block_of[i] = block;
                centred.row(i, &mut row)?;
                add_scaled(mean, -samples.weight(i), &row);
                left -= samples.weight(i);
            }
            mean.iter_mut().for_each(|mean| *mean /= left);
        }
        let squares: Vec<f64> = means.chunks_exact(width).map(|m| dot(m, m)).collect();

        // Zeros that are written: pages which are read before they are written to would be made twice.
        let mut sums = Vec::new();
        sums.resize(classes * count * width, 0.0);
        let mut shares = vec![0.0; classes * count];
        let (mut rows, mut factors, mut first) = (Vec::new(), Vec::new(), 0);
        let isa = Isa::detect();
        // Samples are in the order of their classes.
        for (class, of_class) in samples.counts.iter().enumerate() {
            let end = first + of_class;
            for start in (first..end).step_by(ROWS) {
                let places = start..end.min(start + ROWS);
                let size = places.len();
                rows.resize(size * width, 0.0);
                centred.rows(places.clone(), &mut rows, |_| 1.0)?;
                let x = View::new(&rows, size, width, width);
                factors.clear();
                factors.resize(size * count, 0.0);
                let m = View::new(&means, count, width, width);
                add_product(&mut factors, count, 1.0, x, m.transposed(), Part::All);
                factors
                    .par_chunks_exact_mut(count)
                    .zip(rows.par_chunks_exact(width))
                    .zip(places)
                    .for_each(|((factors, row), i)| {
                        isa.run(
                            #[inline(always)]
                            || {
                                let own = dot(row, row);
                                for (factor, of_mean) in factors.iter_mut().zip(&squares) {
                                    let square = own - 2.0 * *factor + of_mean;
                                    // Rounding leaves something of what is as long as nothing.
                                    let is_there = square > 1e-24 * (own + of_mean);
                                    *factor = if is_there { 1.0 / square.sqrt() } else { 0.0 };
                                }
                                if let Some(factor) = factors.get_mut(block_of[i]) {
                                    *factor = 0.0;
                                }
                            },
                        )
                    });
                for factors in factors.chunks_exact(count) {
                    add_scaled(&mut shares[class * count..][..count], 1.0, factors);
                }
                let by = View::new(&factors, size, count, count).transposed();
                let sums = &mut sums[class * count * width..][..count * width];
                add_product(sums, width, 1.0, by, x, Part::All);
            }
            first = end;
        }
        let bias = sums
            .par_chunks_exact_mut(width)
            .enumerate()
            .map(|(place, sum)| {
                let mean = &means[place % count * width..][..width];
                isa.run(
                    #[inline(always)]
                    || {
                        add_scaled(sum, -shares[place], mean);
                        let length = dot(sum, sum).sqrt();
                        if length > 0.0 {
                            sum.iter_mut().for_each(|value| *value /= length);
                        }
                        -dot(sum, mean)
                    },
                )
            })
            .collect();
        Ok(ClassMeans {
            means: sums,
            bias,
            blocks: count,
            width,
        })
    }

    /// The scores of samples from the means without a block, a row of each.
    fn scores(&self, block: usize, members: &[usize], centred: &Centred<'_>) -> Result<Vec<f64>> {
        let (classes, isa) = (self.bias.len() / self.blocks, Isa::detect());
        let of_one = |row: &mut Vec<f64>, &i: &usize| -> Result<Vec<f64>> {
            centred.row(i, row)?;
            Ok(isa.run(
                #[inline(always)]
                || {
                    let mut scores = vec![0.0; classes];
                    for (class, score) in scores.iter_mut().enumerate() {
                        let place = class * self.blocks + block;
                        let mean = &self.means[place * self.width..][..self.width];
                        *score = self.bias[place] + dot(row, mean);
                    }
                    scores
                },
            ))
        };
        let rows = members
            .par_iter()
            .map_init(|| vec![0.0; self.width], of_one)
            .collect::<Result<Vec<_>>>()?;
        Ok(rows.concat())
    }
}
