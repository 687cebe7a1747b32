//! How far labels follow from features, without a head: two numbers that backbones are ranked by where nothing is
//! trained.

use regraft_tensor::Detail;

use crate::factor::{below, factorise};
use crate::features::{Features, fill};
use crate::product::{Part, View, add_product, add_scaled, dot};
use crate::samples::{Samples, Told};
use crate::tridiagonal::Tridiagonal;
use crate::{Error, Result};

/// Steps of LogME's fixed point at most, and the change of α/β at which it ends: those of its authors.
const STEPS: usize = 11;
const CLOSE: f64 = 1e-3;
/// What LogME's authors add to denominators.
const EPSILON: f64 = 1e-5;

/// Two numbers of features and labels; the higher, the better. They compare features of the same samples. The log-loss
/// of a head on samples that were left out ([`LeftOut::log_loss`](crate::LeftOut::log_loss)) is *measured* and says more
/// of what a head will be worth; these are what papers rank networks by.
///
/// ```
/// use regraft_heads::Transferability;
/// use regraft_tensor::Tensor;
///
/// let apart = Tensor::new([6, 2], vec![0.0, 0.1, 0.2, 0.0, 0.1, 0.3, 1.0, 1.1, 0.9, 1.2, 1.1, 0.8])?;
/// let mixed = Tensor::new([6, 2], vec![0.0, 0.1, 0.9, 1.2, 0.1, 0.3, 1.0, 1.1, 0.2, 0.0, 1.1, 0.8])?;
/// let labels = [0, 0, 0, 1, 1, 1];
/// let (apart, mixed) = (Transferability::of(&apart, &labels)?, Transferability::of(&mixed, &labels)?);
/// assert!(apart.log_me > mixed.log_me && apart.h_score > mixed.h_score);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Transferability {
    /// The logarithm of the largest evidence of a linear model y = F w + noise, w ∼ N(0, α⁻¹), noise ∼ N(0, β⁻¹), for a
    /// sample; the mean over the classes, each as y of zeros and ones (You et al. 2021, *LogME*, with all D features in
    /// log |α + β Fᵀ F|, also where there are fewer samples).
    pub log_me: f64,
    /// (1 − ρ) · tr(Σ⁻¹ B): Σ is the features' covariance, shrunk by Ledoit and Wolf's ρ, and B that of the means of the
    /// samples' classes (Bao et al. 2019, *H-score*; shrunk as Ibrahim et al. 2022 do, without which it is the number of
    /// classes less one where there are more features than samples).
    pub h_score: f64,
}

impl Transferability {
    /// Of `features`, (samples, features), with a class of each sample. It takes the time of one factorisation of a
    /// matrix with as many rows as there are samples or features, whichever are fewer, and of another.
    ///
    /// # Errors
    /// As [`Ridge::fit`](crate::Ridge::fit).
    pub fn of(features: &dyn Features, labels: &[i32]) -> Result<Self> {
        let samples = Samples::new(features, labels, &Told::default())?;
        let (n, width) = (samples.len(), samples.width);
        let mut rows = vec![0.0; n * width];
        fill(features, &samples.order, 0..n, &mut rows, |_, row, out| {
            let row = row.iter().map(|x| f64::from(*x));
            out.iter_mut().zip(row).for_each(|(out, x)| *out = x);
        })?;
        let log_me = Reduced::new(&rows, &samples).log_me();
        let mut mean = vec![0.0; width];
        rows.chunks_exact(width)
            .for_each(|row| add_scaled(&mut mean, 1.0 / n as f64, row));
        rows.chunks_exact_mut(width)
            .for_each(|row| add_scaled(row, -1.0, &mean));
        let fourth = rows.chunks_exact(width).map(|row| dot(row, row).powi(2));
        let h_score = Reduced::new(&rows, &samples).h_score(fourth.sum());
        if !log_me.is_finite() || !h_score.is_finite() {
            let expected = "numbers whose squares can be summed";
            let detail = Detail::new("features", expected, "larger ones");
            return Err(Error::Features(
                detail.help("scale them, for instance to a mean square of 1"),
            ));
        }
        Ok(Transferability { log_me, h_score })
    }
}

/// The smaller one of Fᵀ F and F Fᵀ as Q T Qᵀ, with what is needed of the labels.
struct Reduced {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    by_features: bool,
    width: usize,
    samples: usize,
    /// Of each class y, zeros and ones: Qᵀ Fᵀ y, or Qᵀ y where the matrix is of samples.
    targets: Vec<Vec<f64>>,
    /// Samples of each class.
    counts: Vec<f64>,
}

/// (T + shift)⁻¹ z beside z.
struct Answer {
    /// zᵀ (T + shift)⁻¹ z
    once: f64,
    /// zᵀ (T + shift)⁻² z
    twice: f64,
}

impl Reduced {
    fn new(rows: &[f64], samples: &Samples) -> Self {
        let (n, width, classes) = (samples.len(), samples.width, samples.classes());
        let by_features = n > width;
        let size = n.min(width);
        let f = View::new(rows, n, width, width);
        let (left, right) = match by_features {
            true => (f.transposed(), f),
            false => (f, f.transposed()),
        };
        let mut gram = vec![0.0; size * size];
        add_product(&mut gram, size, 1.0, left, right, Part::Upper);
        let tridiagonal = Tridiagonal::new(gram, size);
        let mut targets = vec![0.0; classes * size];
        for (i, (row, &class)) in rows.chunks_exact(width).zip(&samples.labels).enumerate() {
            let target = &mut targets[class * size..][..size];
            match by_features {
                true => add_scaled(target, 1.0, row),
                false => target[i] = 1.0,
            }
        }
        tridiagonal.rotate(&mut targets);
        Reduced {
            by_features,
            width,
            samples: n,
            targets: targets.chunks_exact(size).map(<[f64]>::to_vec).collect(),
            counts: samples.counts.iter().map(|&count| count as f64).collect(),
            diagonal: tridiagonal.diagonal,
            beside: tridiagonal.beside,
        }
    }

    fn answer(&self, z: &[f64], (lower, inverse): &(Vec<f64>, Vec<f64>)) -> Answer {
        let mut w = z.to_vec();
        for j in 1..w.len() {
            w[j] -= lower[j] * w[j - 1];
        }
        w.iter_mut()
            .zip(inverse)
            .for_each(|(w, inverse)| *w *= inverse);
        for j in (1..w.len()).rev() {
            w[j - 1] -= lower[j] * w[j];
        }
        Answer {
            once: dot(z, &w),
            twice: dot(&w, &w),
        }
    }

    fn log_me(&self) -> f64 {
        let evidence = |class: usize| self.evidence(&self.targets[class], self.counts[class]);
        (0..self.targets.len()).map(evidence).sum::<f64>() / self.targets.len() as f64
    }

    /// The evidence of one class with `count` samples, which is y · y, too.
    fn evidence(&self, z: &[f64], count: f64) -> f64 {
        let (n, width, size) = (
            self.samples as f64,
            self.width as f64,
            self.diagonal.len() as f64,
        );
        let (mut alpha, mut beta) = (1.0_f64, 1.0_f64);
        let (mut square, mut misfit) = (0.0, 0.0);
        for _ in 0..STEPS {
            let shift = alpha / beta;
            let solved = factorise(&self.diagonal, &self.beside, 1.0, shift);
            let Answer { once, twice } = self.answer(z, &solved);
            // |w|² and |y − F w|² of w = (Fᵀ F + shift)⁻¹ Fᵀ y = Fᵀ (F Fᵀ + shift)⁻¹ y.
            (square, misfit) = match self.by_features {
                true => (twice, count - once - shift * twice),
                false => (once - shift * twice, shift * shift * twice),
            };
            let effective = size - shift * trace_of_inverse(&solved);
            // Of features that are all zero nothing is effective.
            alpha = (effective / (square + EPSILON)).max(1e-100);
            beta = (n - effective) / (misfit + EPSILON);
            if (alpha / beta - shift).abs() <= CLOSE * shift {
                break;
            }
        }
        let (_, inverse) = factorise(&self.diagonal, &self.beside, 1.0, alpha / beta);
        let determinant = size * beta.ln() - inverse.iter().map(|x| x.ln()).sum::<f64>()
            + (width - size) * alpha.ln();
        let doubled = width * alpha.ln() + n * beta.ln()
            - determinant
            - beta * misfit
            - alpha * square
            - n * (2.0 * std::f64::consts::PI).ln();
        0.5 * doubled / n
    }

    /// Of centred features; `fourth` is the sum of the fourth powers of their lengths.
    fn h_score(&self, fourth: f64) -> f64 {
        let (n, width) = (self.samples as f64, self.width as f64);
        let trace = self.diagonal.iter().sum::<f64>() / n;
        if trace == 0.0 {
            return 0.0;
        }
        let squares = dot(&self.diagonal, &self.diagonal) + 2.0 * dot(&self.beside, &self.beside);
        let squares = squares / (n * n);
        let mean = trace / width;
        let far = (squares - 2.0 * mean * trace + width * mean * mean) / width;
        let noise = ((fourth / n - squares) / (width * n)).min(far);
        let shrinkage = if noise > 0.0 { noise / far } else { 0.0 };
        if shrinkage >= 1.0 {
            return 0.0;
        }
        // Σ = scale · (Fᵀ F + shift)
        let scale = (1.0 - shrinkage) / n;
        let shift = shrinkage * mean / scale;
        let solved = factorise(&self.diagonal, &self.beside, 1.0, shift);
        let classes = self.targets.iter().zip(&self.counts);
        let between = classes.map(|(z, count)| {
            let once = self.answer(z, &solved).once;
            let square = match self.by_features {
                true => once,
                false => dot(z, z) - shift * once,
            };
            square / (scale * count * n)
        });
        (1.0 - shrinkage) * between.sum::<f64>()
    }
}

/// tr (T + shift)⁻¹, of L and D⁻¹.
fn trace_of_inverse((lower, inverse): &(Vec<f64>, Vec<f64>)) -> f64 {
    let (mut trace, mut last) = (0.0, 0.0);
    for j in (0..inverse.len()).rev() {
        last = inverse[j] + below(lower, j).powi(2) * last;
        trace += last;
    }
    trace
}
