//! Predictions and targets with another axis as the last.

use regraft_tensor::Detail;

use super::{Batch, Error, Result, Targets};

/// Buffers for a batch whose rows lie along another axis than the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Along {
    targets: Vec<f32>,
    predictions: Vec<f32>,
    shape: Vec<usize>,
}

impl Along {
    /// `batch` with `axis` (negative ones count from the end) moved to the end. Targets are values.
    pub fn of<'a>(&'a mut self, metric: &str, batch: &Batch<'a>, axis: i64) -> Result<Batch<'a>> {
        batch.check(metric)?;
        let rank = batch.shape.len();
        let index = if axis < 0 { axis + rank as i64 } else { axis };
        let index = usize::try_from(index)
            .ok()
            .filter(|&index| index > 0 && index < rank);
        let Some(index) = index else {
            let expected = "an axis of a sample's predictions";
            let received = format!("axis {axis} of shape {:?}", batch.shape);
            return Err(Error::Shape(Detail::new(metric, expected, received)));
        };
        if index + 1 == rank {
            return Ok(*batch);
        }
        let targets = batch.values(metric)?;
        move_last(targets, batch.shape, index, &mut self.targets);
        move_last(batch.predictions, batch.shape, index, &mut self.predictions);
        self.shape.clear();
        self.shape.extend_from_slice(batch.shape);
        let size = self.shape.remove(index);
        self.shape.push(size);
        Ok(Batch {
            targets: Targets::Values(&self.targets),
            predictions: &self.predictions,
            shape: &self.shape,
            sample_weights: batch.sample_weights,
        })
    }
}

fn move_last(values: &[f32], shape: &[usize], axis: usize, moved: &mut Vec<f32>) {
    let size = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    moved.clear();
    if size * inner == 0 {
        return;
    }
    for block in values.chunks_exact(size * inner) {
        for position in 0..inner {
            moved.extend((0..size).map(|index| block[index * inner + position]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_along_the_axis() {
        let mut moved = Vec::new();
        move_last(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 2, 3], 1, &mut moved);
        assert_eq!(moved, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
