//! NumPy broadcasting: shapes are aligned at their last axes, and an axis of size 1 is repeated.

use super::elementwise;
use super::isa::vectorised;
use super::parallel::parts;
use crate::{Detail, Error, Result};

/// The shape that `a` and `b` broadcast to.
///
/// # Errors
/// [`Error::Shape`] if an axis has two different sizes, neither of them 1.
pub fn shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |axis| shape[axis])
    };
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (a, b) if a == b => Ok(a),
            (1, size) | (size, 1) => Ok(size),
            _ => Err(Error::Shape(
                Detail::new(
                    "broadcast",
                    format!("a shape that broadcasts with {a:?}"),
                    format!("{b:?}"),
                )
                .help("aligned at the last axis, sizes must be equal or 1"),
            )),
        })
        .collect()
}

/// An axis of the result: its size and how far one step moves in `a` and in `b`.
type Axis = (usize, usize, usize);

/// How many axes are kept on the stack; more are kept on the heap.
pub(super) const FEW: usize = 8;

/// Writes the axes of the result into `axes`, the last first, neighbours merged where both operands
/// run on without a gap, and returns how many there are. A repeated axis has step 0.
fn write_axes(
    a_shape: &[usize],
    b_shape: &[usize],
    out_shape: &[usize],
    axes: &mut [Axis],
) -> usize {
    let mut count = 0;
    let (mut a_stride, mut b_stride) = (1, 1);
    for (place, &size) in out_shape.iter().rev().enumerate() {
        let size_in = |shape: &[usize]| shape.iter().rev().nth(place).copied().unwrap_or(1);
        let (in_a, in_b) = (size_in(a_shape), size_in(b_shape));
        let a = if in_a == 1 { 0 } else { a_stride };
        let b = if in_b == 1 { 0 } else { b_stride };
        a_stride *= in_a;
        b_stride *= in_b;
        if size == 1 {
            continue;
        }
        match axes[..count].last_mut() {
            Some(inner) if a == inner.1 * inner.0 && b == inner.2 * inner.0 => inner.0 *= size,
            _ => {
                axes[count] = (size, a, b);
                count += 1;
            }
        }
    }
    count
}

/// Whether `shape` broadcasts to `out_shape`.
pub(super) fn fits(shape: &[usize], out_shape: &[usize]) -> bool {
    let mut pairs = shape.iter().rev().zip(out_shape.iter().rev());
    shape.len() <= out_shape.len() && pairs.all(|(&size, &out)| size == out || size == 1)
}

/// Where run number `run` of the innermost axis starts in `a` and `b`; the axes around it stand the
/// last first.
#[inline(always)]
fn offsets(outer: &[Axis], mut run: usize) -> (usize, usize) {
    let (mut a_start, mut b_start) = (0, 0);
    for &(size, a, b) in outer {
        let index = run % size;
        run /= size;
        a_start += index * a;
        b_start += index * b;
    }
    (a_start, b_start)
}

vectorised! {
    fn runs[F: Fn(f32, f32) -> f32](
        a: &[f32], b: &[f32], outer: &[Axis], inner: Axis, first: usize, out: &mut [f32], f: F
    ) {
        let (length, a_step, b_step) = inner;
        for (run, out) in out.chunks_exact_mut(length).enumerate() {
            let (a_start, b_start) = offsets(outer, first + run);
            if a_step == 0 {
                let a = a[a_start];
                for (out, &b) in out.iter_mut().zip(&b[b_start..b_start + length]) {
                    *out = f(a, b);
                }
            } else if b_step == 0 {
                let b = b[b_start];
                for (out, &a) in out.iter_mut().zip(&a[a_start..a_start + length]) {
                    *out = f(a, b);
                }
            } else {
                let a = &a[a_start..a_start + length];
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(&b[b_start..b_start + length]) {
                    *out = f(a, b);
                }
            }
        }
    }
}

fn is_suffix(shape: &[usize], of: &[usize]) -> bool {
    of.ends_with(shape)
}

/// `out = f(a, b)` with both operands broadcast to `out_shape`, the result of [`shape`].
///
/// # Panics
/// If a slice's length is not the product of its shape, or a shape does not broadcast.
pub fn binary(
    a: &[f32],
    a_shape: &[usize],
    b: &[f32],
    b_shape: &[usize],
    out: &mut [f32],
    out_shape: &[usize],
    f: impl Fn(f32, f32) -> f32 + Sync + Copy,
) {
    debug_assert_eq!(a.len(), a_shape.iter().product::<usize>());
    debug_assert_eq!(b.len(), b_shape.iter().product::<usize>());
    debug_assert_eq!(out.len(), out_shape.iter().product::<usize>());
    debug_assert!(fits(a_shape, out_shape) && fits(b_shape, out_shape));
    if out.is_empty() {
        return;
    }
    if a.len() == out.len() && b.len() == out.len() {
        return elementwise::zip(a, b, out, f);
    }
    if b.len() == 1 && a.len() == out.len() {
        let b = b[0];
        return elementwise::map(a, out, move |a| f(a, b));
    }
    if a.len() == 1 && b.len() == out.len() {
        let a = a[0];
        return elementwise::map(b, out, move |b| f(a, b));
    }
    // A row vector repeated over the leading axes, as a bias is: no axes to work out.
    if a.len() == out.len() && is_suffix(b_shape, a_shape) {
        let outer = [(out.len() / b.len(), b.len(), 0)];
        let inner = (b.len(), 1, 1);
        return parts(out, inner.0, 1, |start, out| {
            runs(a, b, &outer, inner, start / inner.0, out, f);
        });
    }
    let (mut few, mut many);
    let axes: &mut [Axis] = if out_shape.len() <= FEW {
        few = [(0, 0, 0); FEW];
        &mut few
    } else {
        many = vec![(0, 0, 0); out_shape.len()];
        &mut many
    };
    let count = write_axes(a_shape, b_shape, out_shape, axes);
    let Some((&inner, outer)) = axes[..count].split_first() else {
        return out.fill(f(a[0], b[0]));
    };
    if inner.1 == 0 && inner.2 == 0 {
        // Both are repeated along the last axis (the caller's shape is larger than both).
        for (run, out) in out.chunks_exact_mut(inner.0).enumerate() {
            let (a_start, b_start) = offsets(outer, run);
            out.fill(f(a[a_start], b[b_start]));
        }
        return;
    }
    parts(out, inner.0, 1, |start, out| {
        runs(a, b, outer, inner, start / inner.0, out, f);
    });
}

/// Repeats `x` to `out_shape`.
///
/// # Panics
/// If a slice's length is not the product of its shape, or `x_shape` does not broadcast.
pub fn broadcast_to(x: &[f32], x_shape: &[usize], out: &mut [f32], out_shape: &[usize]) {
    binary(x, x_shape, &[0.0], &[], out, out_shape, |x, _| x);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, IxDyn};
    use proptest::prelude::*;

    fn operand(shape: &[usize], seed: usize) -> ArrayD<f32> {
        let mut next = seed;
        ArrayD::from_shape_fn(IxDyn(shape), |_| {
            next = next * 31 % 1009 + 1;
            next as f32
        })
    }

    /// A result shape, and which of its axes each operand has as 1, and how many leading axes it
    /// drops.
    type Operands = (Vec<usize>, Vec<(bool, bool)>, usize, usize);

    fn operands() -> impl Strategy<Value = Operands> {
        prop::collection::vec((1usize..5, any::<bool>(), any::<bool>()), 0..5).prop_flat_map(
            |axes| {
                let rank = axes.len();
                let shape = axes.iter().map(|axis| axis.0).collect::<Vec<_>>();
                let ones = axes.iter().map(|axis| (axis.1, axis.2)).collect::<Vec<_>>();
                (Just(shape), Just(ones), 0..=rank, 0..=rank)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn agrees_with_ndarray((full, ones, drop_a, drop_b) in operands()) {
            let one = |keep: bool, size: usize| if keep { size } else { 1 };
            let a_shape: Vec<usize> = full.iter().zip(&ones).map(|(&s, o)| one(o.0, s)).skip(drop_a).collect();
            let b_shape: Vec<usize> = full.iter().zip(&ones).map(|(&s, o)| one(o.1, s)).skip(drop_b).collect();
            let (a, b) = (operand(&a_shape, 3), operand(&b_shape, 7));
            let out_shape = shape(&a_shape, &b_shape).unwrap();
            let mut out = vec![0.0; out_shape.iter().product()];
            binary(a.as_slice().unwrap(), &a_shape, b.as_slice().unwrap(), &b_shape, &mut out, &out_shape, |a, b| a - 2.0 * b);
            let expected = &a.broadcast(IxDyn(&out_shape)).unwrap() - &(2.0 * &b.broadcast(IxDyn(&out_shape)).unwrap());
            prop_assert_eq!(&out, &expected.iter().copied().collect::<Vec<_>>());

            let mut repeated = vec![0.0; full.iter().product()];
            broadcast_to(a.as_slice().unwrap(), &a_shape, &mut repeated, &full);
            let expected: Vec<f32> = a.broadcast(IxDyn(&full)).unwrap().iter().copied().collect();
            prop_assert_eq!(&repeated, &expected);

            // Whole numbers this small add up exactly, so the order does not show.
            let mut back = vec![0.0; a.len()];
            crate::kernels::reduce::sum_to(&repeated, &full, &mut back, &a_shape);
            let times = (repeated.len() / a.len()) as f32;
            let expected: Vec<f32> = a.iter().map(|a| a * times).collect();
            prop_assert_eq!(&back, &expected);
        }
    }

    #[test]
    fn long_operands_are_split_without_a_trace() {
        let (rows, columns) = (3000, 100);
        let a = operand(&[rows, columns], 3);
        let column = operand(&[rows, 1], 5);
        let mut out = vec![0.0; rows * columns];
        let (x, y) = (a.as_slice().unwrap(), column.as_slice().unwrap());
        binary(
            x,
            &[rows, columns],
            y,
            &[rows, 1],
            &mut out,
            &[rows, columns],
            |a, b| a * b,
        );
        assert_eq!(out, (&a * &column).into_raw_vec_and_offset().0);
    }

    #[test]
    fn shapes_that_differ_are_both_named() {
        assert_eq!(shape(&[2, 1, 3], &[4, 1]).unwrap(), [2, 4, 3]);
        let error = shape(&[2, 3], &[4, 3]).unwrap_err().to_string();
        assert!(
            error.contains("[2, 3]") && error.contains("[4, 3]"),
            "{error}"
        );
    }
}
