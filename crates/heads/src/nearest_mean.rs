//! The nearest class mean of centred features of length 1.

use regraft_tensor::Tensor;

use crate::Result;
use crate::factor::Blocks;
use crate::known::Known;
use crate::left_out::LeftOut;
use crate::options::{Options, shared_settings};
use crate::product::dot;
use crate::samples::Samples;
use crate::solved::{Choice, HeadKind, Solved};

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
    pub fn fit(&self, features: &Tensor, labels: &[i32]) -> Result<Solved> {
        let samples = Samples::new(features, labels, &self.options.told)?;
        self.solve(&samples, features)
    }

    pub(crate) fn solve(&self, samples: &Samples, features: &Tensor) -> Result<Solved> {
        let (n, width, classes) = (samples.len(), samples.width, samples.classes());
        let rows: Vec<f64> = samples
            .order
            .iter()
            .flat_map(|&i| &features.as_slice()[i * width..][..width])
            .map(|&x| f64::from(x))
            .collect();
        let blocks = Blocks::of_each_class(samples);
        let mut scores = vec![0.0; n * classes];
        blocks.write(1, &mut scores, classes, |members| {
            let mut out = vec![false; n];
            members.iter().for_each(|&i| out[i] = true);
            let (kernel, bias) = means(samples, &rows, |i| !out[i]);
            let score = |i: usize, k: usize| {
                let row = &rows[i * width..][..width];
                bias[k] + dot(row, &kernel[k * width..][..width])
            };
            members
                .iter()
                .flat_map(|&i| (0..classes).map(move |k| (i, k)))
                .map(|(i, k)| score(i, k))
                .collect()
        });
        let (by_class, bias) = means(samples, &rows, |_| true);
        // Scores are lengths of features from the mean times a cosine, whatever these lengths are.
        let own = |i: usize| {
            let k = samples.labels[i];
            bias[k] + dot(&rows[i * width..][..width], &by_class[k * width..][..width])
        };
        let length = (0..n).map(|i| own(i).abs()).sum::<f64>() / n as f64;
        let length = if length > 0.0 { length } else { 1.0 };
        let mut kernel = vec![0.0; width * classes];
        for (k, mean) in by_class.chunks_exact(width).enumerate() {
            mean.iter()
                .enumerate()
                .for_each(|(j, value)| kernel[j * classes + k] = *value);
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

/// The class means of length 1, a row of each, and what they give for the mean of all, taken away.
fn means(samples: &Samples, rows: &[f64], counts: impl Fn(usize) -> bool) -> (Vec<f64>, Vec<f64>) {
    let (width, classes) = (samples.width, samples.classes());
    let mut mean = vec![0.0; width];
    let mut total = 0.0;
    for (i, row) in rows
        .chunks_exact(width)
        .enumerate()
        .filter(|(i, _)| counts(*i))
    {
        let weight = samples.weight(i);
        mean.iter_mut()
            .zip(row)
            .for_each(|(mean, x)| *mean += weight * x);
        total += weight;
    }
    mean.iter_mut().for_each(|mean| *mean /= total);
    let mut kernel = vec![0.0; classes * width];
    let mut centred = vec![0.0; width];
    for (i, row) in rows
        .chunks_exact(width)
        .enumerate()
        .filter(|(i, _)| counts(*i))
    {
        for ((centred, x), mean) in centred.iter_mut().zip(row).zip(&mean) {
            *centred = x - mean;
        }
        let length = dot(&centred, &centred).sqrt();
        if length > 0.0 {
            let of_class = &mut kernel[samples.labels[i] * width..][..width];
            of_class
                .iter_mut()
                .zip(&centred)
                .for_each(|(sum, x)| *sum += x / length);
        }
    }
    let bias = kernel
        .chunks_exact_mut(width)
        .map(|row| {
            let length = dot(row, row).sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|value| *value /= length);
            }
            -dot(row, &mean)
        })
        .collect();
    (kernel, bias)
}
