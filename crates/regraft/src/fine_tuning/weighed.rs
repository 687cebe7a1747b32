//! Features that are weighed by the ridge regression on them: solved, judged, and put into an order.

use regraft_tensor::Tensor;

use crate::Result;
use crate::heads::{Ridge, Solved};

/// The features of all samples, and their classes.
pub(super) struct Known<'a> {
    pub features: &'a Tensor,
    pub labels: &'a [i32],
    pub classes: usize,
}

impl Known<'_> {
    /// These columns of these samples.
    fn part(&self, samples: &[usize], columns: &[usize]) -> Tensor {
        let width = self.features.shape()[1];
        let values = self.features.as_slice();
        let row = |&sample: &usize| {
            let row = &values[sample * width..][..width];
            columns.iter().map(move |&column| row[column])
        };
        let values = samples.iter().flat_map(row).collect();
        Tensor::new([samples.len(), columns.len()], values).expect("as many as the sizes say")
    }

    /// A ridge regression on these columns of these samples.
    pub fn solve(&self, samples: &[usize], columns: &[usize]) -> Result<Solved> {
        let labels: Vec<i32> = samples.iter().map(|&sample| self.labels[sample]).collect();
        let features = self.part(samples, columns);
        Ok(Ridge::new().classes(self.classes).fit(&features, &labels)?)
    }

    /// The log-loss and the accuracy of a head on these columns of these samples.
    pub fn judge(&self, solved: &Solved, samples: &[usize], columns: &[usize]) -> (f64, f64) {
        let features = self.part(samples, columns);
        let (kernel, bias) = (solved.kernel().as_slice(), solved.bias().as_slice());
        let classes = bias.len();
        let (mut loss, mut right) = (0.0, 0);
        let rows = features.as_slice().chunks_exact(columns.len().max(1));
        for (row, &sample) in rows.zip(samples) {
            let mut logits: Vec<f64> = bias.iter().map(|bias| f64::from(*bias)).collect();
            for (x, weights) in row.iter().zip(kernel.chunks_exact(classes)) {
                for (logit, weight) in logits.iter_mut().zip(weights) {
                    *logit += f64::from(*x) * f64::from(*weight);
                }
            }
            let label = self.labels[sample] as usize;
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
            loss += largest + sum.ln() - logits[label];
            right += usize::from(logits.iter().position(|logit| *logit == largest) == Some(label));
        }
        let count = samples.len().max(1) as f64;
        (loss / count, right as f64 / count)
    }
}

/// The columns by the norms of their weights, the largest first; of equal ones the first.
pub(super) fn by_weight(solved: &Solved) -> Vec<usize> {
    let classes = solved.classes();
    let norm = |row: &[f32]| row.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>();
    let norms: Vec<f64> = solved
        .kernel()
        .as_slice()
        .chunks_exact(classes)
        .map(norm)
        .collect();
    let mut order: Vec<usize> = (0..norms.len()).collect();
    order.sort_by(|&a, &b| norms[b].total_cmp(&norms[a]));
    order
}

/// The first of this share of them, in their own order.
pub(super) fn most(order: &[usize], share: f64) -> Vec<usize> {
    let count = ((order.len() as f64 * share).ceil() as usize).clamp(1, order.len());
    let mut columns = order[..count].to_vec();
    columns.sort_unstable();
    columns
}
