//! Features less their mean, in a scale in which numbers are about 1.

use rayon::prelude::*;
use regraft_tensor::Detail;

use super::panels::{CHUNK, LANES};
use crate::product::{dot, sum_of};
use crate::samples::Samples;
use crate::{Error, Result};

/// Features in the samples' order, centred by their weighted mean and times √w, with rows of zeros to whole panels;
/// and the means.
pub(super) fn centre(
    values: &[f32],
    samples: &Samples,
    roots: &[f64],
    total: f64,
) -> (Vec<f64>, Vec<f64>) {
    let (n, width) = (samples.len(), samples.width);
    let row = |i: usize| &values[samples.order[i] * width..][..width];
    // Means of what is beyond the first sample: a feature that never changes is 0 then, to the bit.
    let origin = row(0);
    let parts: Vec<Vec<f64>> = (0..n.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut part = vec![0.0; width];
            let members = chunk * CHUNK..n.min((chunk + 1) * CHUNK);
            for (i, root) in members.clone().zip(&roots[members]) {
                let weight = root * root / total;
                for ((part, x), origin) in part.iter_mut().zip(row(i)).zip(origin) {
                    *part += weight * (f64::from(*x) - f64::from(*origin));
                }
            }
            part
        })
        .collect();
    let shift = sum_of(&parts, width);
    let mut centred = vec![0.0; n.next_multiple_of(LANES) * width];
    centred[..n * width]
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(i, out)| {
            for (((out, x), origin), shift) in out.iter_mut().zip(row(i)).zip(origin).zip(&shift) {
                *out = roots[i] * ((f64::from(*x) - f64::from(*origin)) - shift);
            }
        });
    let means = origin
        .iter()
        .zip(&shift)
        .map(|(origin, shift)| f64::from(*origin) + shift)
        .collect();
    (centred, means)
}

/// Scales by a power of two, which is exact, so that numbers are about 1. Returns the factor.
pub(super) fn unit(centred: &mut [f64], n: usize) -> Result<f64> {
    let parts: Vec<f64> = centred
        .par_chunks(1 << 16)
        .map(|part| dot(part, part))
        .collect();
    let mean = parts.iter().sum::<f64>() / centred.len().max(n) as f64;
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
    let factor = f64::from_bits(((1023 - exponent) as u64) << 52);
    centred.par_iter_mut().for_each(|x| *x *= factor);
    Ok(factor)
}
