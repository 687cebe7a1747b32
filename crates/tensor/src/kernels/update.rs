//! One operation between a value and a second one that is broadcast to it, written over the first:
//! `y = f(y, b)`.

use super::elementwise::{map_in_place, zip_in_place};

/// `y = f(y, b)` with `b` broadcast to the `shape` of `y`.
///
/// # Panics
/// If a slice's length is not the product of its shape, or `b` does not broadcast.
pub fn update(
    y: &mut [f32],
    shape: &[usize],
    b: &[f32],
    b_shape: &[usize],
    f: impl Fn(f32, f32) -> f32 + Sync + Copy,
) {
    debug_assert_eq!(y.len(), shape.iter().product::<usize>());
    debug_assert_eq!(b.len(), b_shape.iter().product::<usize>());
    if y.is_empty() {
        return;
    }
    if b.len() == y.len() {
        return zip_in_place(y, b, f);
    }
    if let [b] = *b {
        return map_in_place(y, move |y| f(y, b));
    }
    // The axes behind which `b` has no more: one value for a whole run of `y`.
    let repeated = b_shape.iter().rev().take_while(|&&size| size == 1).count();
    let (leading, trailing) = shape.split_at(shape.len() - repeated);
    let b_leading = &b_shape[..b_shape.len() - repeated];
    // The axes in front of which `b` has no more: the same values for each run of `y`.
    let ones = b_leading.iter().take_while(|&&size| size == 1).count();
    let core = &b_leading[ones..];
    let inner: usize = trailing.iter().product();
    if leading.ends_with(core) {
        for y in y.chunks_exact_mut(core.iter().product::<usize>() * inner) {
            if inner == 1 {
                zip_in_place(y, b, f);
            } else {
                for (y, &b) in y.chunks_exact_mut(inner).zip(b) {
                    map_in_place(y, move |y| f(y, b));
                }
            }
        }
        return;
    }
    // `b` has a repeated axis between others: find its run for each run of `y`.
    let run: usize = match leading.last() {
        Some(&size) if inner == 1 => size,
        _ => inner,
    };
    for (number, y) in y.chunks_exact_mut(run).enumerate() {
        let mut rest = number * run;
        let (mut start, mut stride) = (0, 1);
        for (axis, &size) in shape.iter().enumerate().rev() {
            let index = rest % size;
            rest /= size;
            let Some(b_axis) = (axis + b_shape.len()).checked_sub(shape.len()) else {
                break;
            };
            if b_shape[b_axis] != 1 {
                start += index * stride;
            }
            stride *= b_shape[b_axis];
        }
        if inner == 1 {
            zip_in_place(y, &b[start..start + run], f);
        } else {
            let b = b[start];
            map_in_place(y, move |y| f(y, b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::broadcast;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn is_the_broadcast_operation_in_place(
            axes in prop::collection::vec((1usize..5, any::<bool>()), 0..5), drop in 0usize..5,
        ) {
            let shape: Vec<usize> = axes.iter().map(|axis| axis.0).collect();
            let b_shape: Vec<usize> = axes
                .iter()
                .map(|axis| if axis.1 { axis.0 } else { 1 })
                .skip(drop)
                .collect();
            let y: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32).collect();
            let b: Vec<f32> = (0..b_shape.iter().product()).map(|i| (i * 7 + 3) as f32).collect();
            let f = |y: f32, b: f32| y - 1000.0 * b;
            let mut expected = vec![0.0; y.len()];
            broadcast::binary(&y, &shape, &b, &b_shape, &mut expected, &shape, f);
            let mut out = y;
            update(&mut out, &shape, &b, &b_shape, f);
            prop_assert_eq!(out, expected);
        }
    }
}
