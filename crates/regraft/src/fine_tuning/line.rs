//! The best point on the line between the weights of the start and those of the finish (WiSE-FT).

use regraft_autograd::VariableId;
use regraft_data::Dataset;
use regraft_tensor::Tensor;

use crate::metrics::Direction;
use crate::training::callbacks::Snapshot;
use crate::{Model, Result, Scores};

/// Points on the line, with what they are worth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// How far from the start (0) to the finish (1), and the scores there.
    pub points: Vec<(f32, Scores)>,
    /// Which of them the model has.
    pub kept: usize,
}

impl Line {
    pub fn without_judge() -> Self {
        Self::default()
    }

    /// Scores the start and the finish, and with `between` the points at every tenth; leaves the model at the best.
    pub fn walk(
        model: &mut Model,
        start: &Snapshot,
        judge: &dyn Dataset,
        between: bool,
    ) -> Result<Self> {
        let finish = Snapshot::take(&model.network);
        let moved = start.moved_to(&finish);
        let mut points = Vec::new();
        let tenths: &[u8] = match (moved.is_empty(), between) {
            (true, _) => &[0],
            (false, true) => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            (false, false) => &[0, 10],
        };
        for &tenth in tenths {
            let along = f32::from(tenth) / 10.0;
            model.network.set_weights(at(&moved, tenth))?;
            points.push((along, model.evaluate_dataset(judge)?));
        }
        let kept = match between {
            true => best(model, &points),
            false => points.len() - 1,
        };
        model.network.set_weights(at(&moved, tenths[kept]))?;
        Ok(Line { points, kept })
    }
}

/// A weight at the start and at the finish.
type Moved = (VariableId, Tensor, Tensor);

fn at(moved: &[Moved], tenth: u8) -> Vec<(VariableId, Tensor)> {
    let between = |(id, start, finish): &Moved| {
        let value = match tenth {
            0 => start.clone(),
            10 => finish.clone(),
            _ => {
                let along = f32::from(tenth) / 10.0;
                let mut value = start.clone();
                let values = value.as_mut_slice().iter_mut().zip(finish.as_slice());
                values.for_each(|(value, finish)| *value = (1.0 - along) * *value + along * finish);
                value
            }
        };
        (*id, value)
    };
    moved.iter().map(between).collect()
}

/// The point with the least loss among those whose metrics are none worse than the start's; of equal ones the first.
pub(super) fn best(model: &Model, points: &[(f32, Scores)]) -> usize {
    let directions: Vec<Option<Direction>> =
        model.metrics().map(|metric| metric.direction()).collect();
    let (_, start) = &points[0];
    let no_worse = |scores: &Scores| {
        let values = scores.metrics.iter().zip(&start.metrics).rev();
        // Losses of single outputs stand in front of the metrics.
        values.zip(directions.iter().rev()).all(
            |(((_, now), (_, then)), direction)| match direction {
                Some(Direction::Up) => now >= then,
                Some(Direction::Down) => now <= then,
                None => true,
            },
        )
    };
    let mut best = 0;
    for (index, (_, scores)) in points.iter().enumerate() {
        if scores.loss < points[best].1.loss && no_worse(scores) {
            best = index;
        }
    }
    best
}
