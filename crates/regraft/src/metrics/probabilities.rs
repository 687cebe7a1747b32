//! The probabilities that logits stand for, for metrics that are computed from them.

use regraft_layers::losses::Link;

use super::Batch;

/// A buffer for the probabilities of one batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Probabilities(Vec<f32>);

impl Probabilities {
    /// `batch` with the probabilities of its predictions.
    pub fn of<'a>(&'a mut self, batch: &Batch<'a>, link: Link) -> Batch<'a> {
        self.0.clear();
        match link {
            Link::Sigmoid => self.0.extend(batch.predictions.iter().map(|&x| sigmoid(x))),
            Link::Softmax => {
                for row in batch.predictions.chunks(batch.width().max(1)) {
                    self.add_softmax(row);
                }
            }
        }
        Batch {
            predictions: &self.0,
            ..*batch
        }
    }

    fn add_softmax(&mut self, row: &[f32]) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let from = self.0.len();
        self.0.extend(row.iter().map(|&x| (x - largest).exp()));
        let sum: f32 = self.0[from..].iter().sum();
        for value in &mut self.0[from..] {
            *value /= sum;
        }
    }
}

/// `1 / (1 + e⁻ˣ)`, which no `x` overflows.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
