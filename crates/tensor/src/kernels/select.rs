//! Choosing between two values, element by element.

use super::elementwise::{map, zip, zip3};

#[inline(always)]
fn choose(condition: f32, a: f32, b: f32) -> f32 {
    if condition != 0.0 { a } else { b }
}

/// An operand: its values and its shape.
pub type Operand<'a> = (&'a [f32], &'a [usize]);

/// `out = a` where `condition` is not 0, else `b`, all three broadcast to `out_shape`.
///
/// # Panics
/// If a slice's length is not the product of its shape, or a shape does not broadcast.
pub fn select(
    condition: Operand<'_>,
    a: Operand<'_>,
    b: Operand<'_>,
    out: &mut [f32],
    out_shape: &[usize],
) {
    debug_assert_eq!(out.len(), out_shape.iter().product::<usize>());
    let length = out.len();
    if condition.0.len() == length {
        match (a.0, b.0) {
            (&[a], &[b]) => return map(condition.0, out, move |c| choose(c, a, b)),
            (a, &[b]) if a.len() == length => {
                return zip(condition.0, a, out, move |c, a| choose(c, a, b));
            }
            (&[a], b) if b.len() == length => {
                return zip(condition.0, b, out, move |c, b| choose(c, a, b));
            }
            (a, b) if a.len() == length && b.len() == length => {
                return zip3(condition.0, a, b, out, choose);
            }
            _ => {}
        }
    }
    for (place, out) in out.iter_mut().enumerate() {
        let at = |operand: Operand<'_>| operand.0[position(place, operand.1, out_shape)];
        *out = choose(at(condition), at(a), at(b));
    }
}

/// Where element `place` of the result comes from.
fn position(mut place: usize, shape: &[usize], out_shape: &[usize]) -> usize {
    let (mut position, mut stride) = (0, 1);
    for (&size, &out_size) in shape.iter().rev().zip(out_shape.iter().rev()) {
        if size != 1 {
            position += place % out_size * stride;
        }
        stride *= size;
        place /= out_size;
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::broadcast;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// The same as repeating the operands first.
        #[test]
        fn broadcasts_as_numpy_does(
            axes in prop::collection::vec((1usize..4, prop::array::uniform3(any::<bool>())), 0..4),
            drop in prop::array::uniform3(0usize..4),
        ) {
            let shape: Vec<usize> = axes.iter().map(|axis| axis.0).collect();
            let length = shape.iter().product();
            let operands: Vec<(Vec<f32>, Vec<usize>, Vec<f32>)> = (0..3)
                .map(|which| {
                    let of = |axis: &(usize, [bool; 3])| if axis.1[which] { axis.0 } else { 1 };
                    let own: Vec<usize> = axes.iter().map(of).skip(drop[which]).collect();
                    let values: Vec<f32> = (0..own.iter().product::<usize>())
                        .map(|i| if which == 0 { (i % 2) as f32 } else { (i + 10 * which) as f32 })
                        .collect();
                    let mut full = vec![0.0; length];
                    broadcast::broadcast_to(&values, &own, &mut full, &shape);
                    (values, own, full)
                })
                .collect();
            let operand = |which: usize| (&operands[which].0[..], &operands[which].1[..]);
            let mut out = vec![0.0; length];
            select(operand(0), operand(1), operand(2), &mut out, &shape);
            for (place, out) in out.iter().enumerate() {
                let of = usize::from(operands[0].2[place] == 0.0) + 1;
                prop_assert_eq!(*out, operands[of].2[place]);
            }
        }
    }
}
