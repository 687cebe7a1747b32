//! What the constraints on norms share: the norm of each part of a weight, and its scaling.

use regraft_tensor::{Detail, Tensor};

use crate::settings;

/// What Keras adds to a norm before dividing by it.
const EPSILON: f32 = 1e-7;

/// Multiplies each part of the weight along `axes` with `desired(norm) / (10⁻⁷ + norm)`, where norm
/// is the root of the sum of its squares.
pub(super) fn rescale(
    weight: &mut Tensor,
    axes: &[isize],
    desired: impl Fn(f32) -> f32,
) -> Result<(), Detail> {
    let shape = weight.shape().to_vec();
    let axes = settings::resolve(axes, shape.len())?;
    // A part for each position along the other axes: strides that are 0 along `axes`.
    let mut strides = vec![0; shape.len()];
    let mut parts = 1;
    for axis in (0..shape.len()).rev().filter(|axis| !axes.contains(axis)) {
        strides[axis] = parts;
        parts *= shape[axis];
    }
    let part_of = |mut index: usize| -> usize {
        let mut part = 0;
        for axis in (0..shape.len()).rev() {
            part += index % shape[axis] * strides[axis];
            index /= shape[axis];
        }
        part
    };
    let values = weight.as_mut_slice();
    let mut factors = vec![0.0; parts];
    for (index, value) in values.iter().enumerate() {
        factors[part_of(index)] += value * value;
    }
    for factor in &mut factors {
        let norm = factor.sqrt();
        *factor = desired(norm) / (EPSILON + norm);
    }
    for (index, value) in values.iter_mut().enumerate() {
        *value *= factors[part_of(index)];
    }
    Ok(())
}
