//! Metrics of predictions with a mask, or with weights of their steps: what does not count is left out.

use super::{Batch, Metric, Result};

/// Updates `metric` with a batch, which has no weights itself. `weights` are one for each sample, or for each
/// of its steps; the mask has one number for each row: rows where it is 0 do not count, for the metrics that
/// look at masks, or for all.
pub(crate) fn update_masked(
    metric: &mut dyn Metric,
    batch: &Batch<'_>,
    weights: Option<&[f32]>,
    (mask, for_all): (Option<&[f32]>, bool),
) -> Result<()> {
    let (rows, samples) = (batch.rows(), batch.samples());
    let fits = |mask: &&[f32]| (for_all || metric.looks_at_masks()) && mask.len() == rows;
    let mask = mask.filter(fits);
    let of_samples = weights.is_none_or(|weights| weights.len() == samples);
    if mask.is_none() && (of_samples || rows % weights.map_or(1, <[f32]>::len).max(1) != 0) {
        return metric.update(&Batch {
            sample_weights: weights,
            ..*batch
        });
    }
    // The mean over rows with weights is that over samples which are rows.
    let weight = |row: usize| {
        let counts = mask.map_or(1.0, |mask| mask[row]);
        match weights {
            Some(weights) => counts * weights[row * weights.len() / rows],
            None => counts,
        }
    };
    let weights: Vec<f32> = (0..rows).map(weight).collect();
    metric.update(&Batch {
        shape: &[rows, batch.width()],
        sample_weights: Some(&weights),
        ..*batch
    })
}
