//! One factorisation of the features, from which the ridge solutions of all λ follow, with what each would say of
//! samples that it had not seen.
//!
//! Features are centred by their (weighted) mean, rows scaled by √w. With A = X Xᵀ or Xᵀ X, whichever is smaller,
//! A = Q T Qᵀ. In the coordinates of Q, with T + λ = L D Lᵀ and y = L⁻¹ z for a sample's row z:
//!
//! | | features ≤ samples − 1 | otherwise |
//! |---|---|---|
//! | A | Xᵀ X | X Xᵀ, without the direction of the means |
//! | z of sample i | row i of X Q | row i of Q |
//! | y D⁻¹ yᵀ | the leverage of i, less that of the mean | (1 − leverage) / λ |
//! | y D⁻¹ L⁻¹ Zᵀ Y | what is predicted for i | the residual of i, by λ |

mod blocks;
mod centre;
mod hat;
mod inverse;
mod panels;
mod residuals;
mod scatter;
mod shift;
mod weights;
mod without_block;
mod without_class;
mod woodbury;

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rayon::prelude::*;
use regraft_tensor::Detail;

use crate::bytes::{fill, pour};
use crate::features::Features;
use crate::product::{Part, View, add_product};
use crate::samples::Samples;
use crate::tridiagonal::Tridiagonal;
use crate::{Error, Result};

pub(crate) use blocks::Blocks;
pub(crate) use centre::Centred;
use centre::Squares;
pub(crate) use panels::LANES;
use panels::{CHUNK, Panels, interleave};
pub(crate) use shift::{Shift, below, factorise};

/// Bytes of rows that are in memory together where they are not all.
const BLOCK: usize = 16 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Features,
    Samples,
}

/// A clone shares what is large.
#[derive(Clone)]
pub(crate) struct Factor {
    pub samples: Samples,
    side: Side,
    tridiagonal: Arc<Tridiagonal>,
    /// T, where it matters.
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    /// The samples' rows in Q's coordinates.
    panels: Panels,
    /// Zᵀ Y, a row of each coordinate; Y has centred one-hot rows times √w.
    targets: Vec<f64>,
    /// √w, by position.
    roots: Vec<f64>,
    /// √(w / Σ w), by position.
    shares: Vec<f64>,
    /// Mean of each feature.
    means: Vec<f64>,
    /// Share of each class.
    priors: Vec<f64>,
    /// Features were multiplied by it.
    unit: f64,
    /// The centred, scaled features, where they are needed once more.
    centred: Arc<Vec<f64>>,
}

/// A file that cannot be written.
fn unwritten(error: &io::Error) -> Error {
    let detail = Detail::new("the file for rows of samples", "to write it", error);
    Error::File(detail.help("make room, or give a file on another disk"))
}

/// √w and √(w / Σ w) of each sample, and the share of each class.
fn weights_of(samples: &Samples) -> [Vec<f64>; 3] {
    let total = samples.total();
    let roots: Vec<f64> = (0..samples.len())
        .map(|i| samples.weight(i).sqrt())
        .collect();
    let shares = roots.iter().map(|root| root / total.sqrt()).collect();
    let of_class = samples.class_weights.iter().zip(&samples.counts);
    let priors = of_class.map(|(weight, &count)| weight * count as f64 / total);
    let priors = priors.collect();
    [roots, shares, priors]
}

impl Side {
    /// The smaller one.
    fn of(samples: &Samples) -> Self {
        if samples.len() > samples.width {
            Side::Features
        } else {
            Side::Samples
        }
    }
}

impl Factor {
    pub fn new(features: &dyn Features, samples: Samples) -> Result<Self> {
        let (n, width) = (samples.len(), samples.width);
        let [roots, shares, priors] = weights_of(&samples);
        let total = samples.total();
        let rows = Centred::new(features, &samples, |i| roots[i] * roots[i] / total)?;
        // With rows of zeros to whole panels.
        let mut centred = vec![0.0; n.next_multiple_of(LANES) * width];
        rows.rows(0..n, &mut centred[..n * width], |i| roots[i])?;
        let means = rows.means();
        let mut squares = Squares::default();
        squares.add(&centred);
        let unit = squares.unit(centred.len(), n)?;
        centred.par_iter_mut().for_each(|x| *x *= unit);

        let side = Side::of(&samples);
        let (tridiagonal, skip, panels, centred) = match side {
            Side::Features => {
                let x = View::new(&centred, n, width, width);
                let mut gram = vec![0.0; width * width];
                add_product(&mut gram, width, 1.0, x.transposed(), x, Part::Upper);
                let tridiagonal = Tridiagonal::new(gram, width);
                tridiagonal.rotate(&mut centred);
                interleave(&mut centred, width);
                (tridiagonal, 0, centred, Vec::new())
            }
            Side::Samples => {
                // One more row and column, of the shares: the first reflection turns these, along which nothing of
                // centred features lies, into an axis, and the rest goes on without it.
                let size = n + 1;
                let mut gram = vec![0.0; size * size];
                gram[1..size].copy_from_slice(&shares);
                let x = View::new(&centred, n, width, width);
                add_product(
                    &mut gram[size + 1..],
                    size,
                    1.0,
                    x,
                    x.transposed(),
                    Part::Upper,
                );
                let tridiagonal = Tridiagonal::new(gram, size);
                let mut q = vec![0.0; n * size];
                (0..n).for_each(|i| q[i * size + i + 1] = 1.0);
                tridiagonal.rotate(&mut q);
                let mut rows: Vec<f64> = q
                    .chunks_exact(size)
                    .flat_map(|row| &row[2..])
                    .copied()
                    .collect();
                rows.resize(n.next_multiple_of(LANES) * (n - 1), 0.0);
                interleave(&mut rows, n - 1);
                (tridiagonal, 2, rows, centred)
            }
        };
        let diagonal = tridiagonal.diagonal[skip..].to_vec();
        let beside = tridiagonal.beside[skip..].to_vec();
        let factor = Factor {
            samples,
            side,
            tridiagonal: Arc::new(tridiagonal),
            diagonal,
            beside,
            panels: Panels::Memory(Arc::new(panels)),
            targets: Vec::new(),
            roots,
            shares,
            means,
            priors,
            unit,
            centred: Arc::new(centred),
        };
        Ok(factor.with_targets())
    }

    /// The same to the bit, with the samples' rows in a file that is empty and nobody else has. In memory are some of
    /// them at a time, and a matrix of features × features. Where there are fewer samples than features, the file is not
    /// needed.
    pub fn in_file(features: &dyn Features, samples: Samples, mut file: File) -> Result<Self> {
        let side = Side::of(&samples);
        if side == Side::Samples {
            return Factor::new(features, samples);
        }
        let (n, width) = (samples.len(), samples.width);
        let [roots, shares, priors] = weights_of(&samples);
        let total = samples.total();
        let rows = Centred::new(features, &samples, |i| roots[i] * roots[i] / total)?;
        // Sums of products are of whole runs, so that they are those of all rows together.
        let step = CHUNK * (BLOCK / (8 * CHUNK * width)).max(1);
        let blocks = || (0..n).step_by(step).map(|first| first..n.min(first + step));
        let mut block = Vec::new();
        let padded = n.next_multiple_of(LANES) * width;

        let mut squares = Squares::default();
        for places in blocks() {
            block.clear();
            block.resize(places.len() * width, 0.0);
            rows.rows(places.clone(), &mut block, |i| roots[i])?;
            if places.end == n {
                block.resize(padded - places.start * width, 0.0);
            }
            squares.add(&block);
        }
        let unit = squares.unit(padded, n)?;

        let mut gram = vec![0.0; width * width];
        for places in blocks() {
            block.resize(places.len() * width, 0.0);
            rows.rows(places.clone(), &mut block, |i| roots[i])?;
            block.par_iter_mut().for_each(|x| *x *= unit);
            let x = View::new(&block, places.len(), width, width);
            add_product(&mut gram, width, 1.0, x.transposed(), x, Part::Upper);
        }
        let tridiagonal = Tridiagonal::new(gram, width);
        for places in blocks() {
            block.resize(places.len() * width, 0.0);
            rows.rows(places, &mut block, |i| roots[i])?;
            block.par_iter_mut().for_each(|x| *x *= unit);
            tridiagonal.rotate(&mut block);
            pour(&mut file, &block).map_err(|error| unwritten(&error))?;
        }
        let means = rows.means();
        let factor = Factor {
            samples,
            side,
            diagonal: tridiagonal.diagonal.clone(),
            beside: tridiagonal.beside.clone(),
            tridiagonal: Arc::new(tridiagonal),
            panels: Panels::File(Arc::new(file)),
            targets: Vec::new(),
            roots,
            shares,
            means,
            priors,
            unit,
            centred: Arc::default(),
        };
        Ok(factor.with_targets())
    }

    fn with_targets(mut self) -> Self {
        let (n, classes) = (self.samples.len(), self.samples.classes());
        let y: Vec<f64> = (0..n)
            .flat_map(|i| (0..classes).map(move |k| (i, k)))
            .map(|(i, k)| self.target(i, k))
            .collect();
        self.targets = self.transposed_product(&y, classes);
        self
    }

    /// The same features with other groups.
    pub fn regrouped(&self, samples: Samples) -> Self {
        Factor {
            samples,
            ..self.clone()
        }
    }

    /// Writes all that is not soon told from the samples.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        self.tridiagonal.write(to)?;
        for part in [&self.means, &vec![self.unit], &self.targets] {
            pour(to, part)?;
        }
        let mut room = Vec::new();
        for panel in 0..self.samples.len().div_ceil(LANES) {
            pour(to, self.panel(panel, &mut room))?;
        }
        pour(to, &self.centred)
    }

    /// What [`write`](Self::write) has written of the same samples.
    pub fn read(samples: Samples, from: &mut dyn Read) -> io::Result<Self> {
        let (n, width) = (samples.len(), samples.width);
        let padded = n.next_multiple_of(LANES);
        let side = Side::of(&samples);
        let (size, skip, centred) = match side {
            Side::Features => (width, 0, 0),
            Side::Samples => (n + 1, 2, padded * width),
        };
        let tridiagonal = Tridiagonal::read(size, from)?;
        let rank = size - skip;
        let means = fill(from, width)?;
        let unit = fill(from, 1)?[0];
        let targets = fill(from, rank * samples.classes())?;
        let panels = Panels::Memory(Arc::new(fill(from, padded * rank)?));
        let centred = Arc::new(fill(from, centred)?);
        let [roots, shares, priors] = weights_of(&samples);
        Ok(Factor {
            samples,
            side,
            diagonal: tridiagonal.diagonal[skip..].to_vec(),
            beside: tridiagonal.beside[skip..].to_vec(),
            tridiagonal: Arc::new(tridiagonal),
            panels,
            targets,
            roots,
            shares,
            means,
            priors,
            unit,
            centred,
        })
    }

    /// The number of coordinates.
    fn rank(&self) -> usize {
        self.diagonal.len()
    }

    /// The mean of the squared singular values.
    pub fn mean_square(&self) -> f64 {
        self.diagonal.iter().sum::<f64>() / self.samples.width.min(self.samples.len() - 1) as f64
    }

    /// λ in the units of the features.
    pub fn lambda(&self, shift: &Shift) -> f64 {
        shift.ratio * self.unit_of_lambda()
    }

    /// The λ that is meant by a ratio of 1, in the units of the features.
    pub fn unit_of_lambda(&self) -> f64 {
        self.mean_square() / (self.unit * self.unit)
    }

    /// The share of each class, by weight.
    pub fn priors(&self) -> &[f64] {
        &self.priors
    }

    /// Σ w of each class.
    pub fn class_totals(&self) -> Vec<f64> {
        let total = self.samples.total();
        self.priors.iter().map(|prior| prior * total).collect()
    }

    /// √w of a sample.
    pub fn root(&self, i: usize) -> f64 {
        self.roots[i]
    }

    /// Features were multiplied by it.
    pub fn unit(&self) -> f64 {
        self.unit
    }

    /// Means of the features.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// Coordinates of Q that were left away.
    pub fn skipped(&self) -> usize {
        self.tridiagonal.size() - self.rank()
    }

    /// Whether the coordinates are those of features, so that a row has one of each.
    pub fn by_features(&self) -> bool {
        self.side == Side::Features
    }

    /// T
    pub fn tridiagonal(&self) -> (&[f64], &[f64]) {
        (&self.diagonal, &self.beside)
    }

    /// The centred target, times √w.
    fn target(&self, i: usize, k: usize) -> f64 {
        self.roots[i] * (self.samples.target(i, k) - self.priors[k])
    }
}
