//! Metrics of predictions with a mask: what does not count is left out.

use super::{Batch, Metric, Result};

/// Updates `metric` with a batch of predictions whose mask has one number for each row, if there is
/// one: rows where it is 0 do not count, for the metrics that look at masks.
pub(crate) fn update_masked(
    metric: &mut dyn Metric,
    batch: &Batch<'_>,
    mask: Option<&[f32]>,
) -> Result<()> {
    let rows = batch.rows();
    let fits = |mask: &&[f32]| metric.looks_at_masks() && mask.len() == rows;
    let Some(mask) = mask.filter(fits) else {
        return metric.update(batch);
    };
    // The mean over rows with weights is that over samples which are rows.
    let per_sample = batch.rows_per_sample();
    let weight = |(row, &counts): (usize, &f32)| match batch.sample_weights {
        Some(weights) => counts * weights[row / per_sample],
        None => counts,
    };
    let weights: Vec<f32> = mask.iter().enumerate().map(weight).collect();
    metric.update(&Batch {
        shape: &[rows, batch.width()],
        sample_weights: Some(&weights),
        ..*batch
    })
}
