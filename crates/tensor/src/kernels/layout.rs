//! Moving values without changing them: transpose, permute, concatenate, slice, pad.

use super::parallel::parts;

/// Side of the square that a transposition moves at a time, so that reading and writing both stay
/// within a few cache lines.
const TILE: usize = 16;

/// How many axes are kept on the stack; more are kept on the heap.
const FEW: usize = 8;

/// Writes rows `first..` of the transpose of `x` (`rows × columns`).
fn transpose_rows<T: Copy>(x: &[T], rows: usize, columns: usize, first: usize, out: &mut [T]) {
    let last = first + out.len() / rows;
    for column0 in (first..last).step_by(TILE) {
        let column1 = (column0 + TILE).min(last);
        for row0 in (0..rows).step_by(TILE) {
            let row1 = (row0 + TILE).min(rows);
            for column in column0..column1 {
                let out = &mut out[(column - first) * rows..][row0..row1];
                for (out, row) in out.iter_mut().zip(row0..row1) {
                    *out = x[row * columns + column];
                }
            }
        }
    }
}

/// `out[c, r] = x[r, c]` for `x` of `rows × columns`.
///
/// # Panics
/// If a length is not `rows * columns`.
pub fn transpose<T: Copy + Send + Sync>(x: &[T], rows: usize, columns: usize, out: &mut [T]) {
    assert_eq!(x.len(), rows * columns, "transpose: x");
    assert_eq!(out.len(), x.len(), "transpose: out");
    if !x.is_empty() {
        parts(out, rows, 1, |start, out| {
            transpose_rows(x, rows, columns, start / rows, out);
        });
    }
}

/// Axis `i` of `out` is axis `axes[i]` of `x`, as NumPy's `transpose(x, axes)`.
///
/// # Panics
/// If `axes` is not a permutation of the axes of `shape`, or a length does not fit.
pub fn permute<T: Copy + Send + Sync>(x: &[T], shape: &[usize], axes: &[usize], out: &mut [T]) {
    assert_eq!(x.len(), shape.iter().product::<usize>(), "permute: x");
    assert_eq!(out.len(), x.len(), "permute: out");
    assert_eq!(axes.len(), shape.len(), "permute: axes");
    let each_once = (0..axes.len()).all(|axis| axes.contains(&axis));
    assert!(each_once, "permute: axes");
    if x.is_empty() {
        return;
    }
    // Axes that stay neighbours in the same order move as one: (size, stride in x).
    let (mut few, mut many);
    let moved: &mut [(usize, usize)] = if axes.len() <= FEW {
        few = [(0, 0); FEW];
        &mut few
    } else {
        many = vec![(0, 0); axes.len()];
        &mut many
    };
    let mut count = 0;
    for &axis in axes {
        let stride: usize = shape[axis + 1..].iter().product();
        match moved[..count].last_mut() {
            _ if shape[axis] == 1 => {}
            Some(last) if last.1 == shape[axis] * stride => {
                *last = (last.0 * shape[axis], stride);
            }
            _ => {
                moved[count] = (shape[axis], stride);
                count += 1;
            }
        }
    }
    let Some((&(inner, step), outer)) = moved[..count].split_last() else {
        return out.copy_from_slice(x);
    };
    if let [(columns, 1)] = *outer {
        return transpose(x, inner, columns, out);
    }
    parts(out, inner, 1, |start, out| {
        for (run, out) in out.chunks_exact_mut(inner).enumerate() {
            let mut run = start / inner + run;
            let mut from = 0;
            for &(size, stride) in outer.iter().rev() {
                from += run % size * stride;
                run /= size;
            }
            if step == 1 {
                out.copy_from_slice(&x[from..from + inner]);
            } else {
                let values = x[from..].iter().step_by(step);
                out.iter_mut().zip(values).for_each(|(out, &x)| *out = x);
            }
        }
    });
}

/// Joins parts along an axis. A part is its values and its size along the axis; `inner` is the
/// product of the sizes behind the axis. The order of the parts is the order in `out`.
///
/// # Panics
/// If a length does not fit.
pub fn concatenate<T: Copy>(parts: &[(&[T], usize)], inner: usize, out: &mut [T]) {
    let row: usize = parts.iter().map(|part| part.1 * inner).sum();
    let total: usize = parts.iter().map(|part| part.0.len()).sum();
    assert_eq!(total, out.len(), "concatenate: out");
    if out.is_empty() {
        return;
    }
    for (index, out) in out.chunks_exact_mut(row).enumerate() {
        let mut from = 0;
        for &(values, size) in parts {
            let length = size * inner;
            out[from..from + length].copy_from_slice(&values[index * length..][..length]);
            from += length;
        }
    }
}

/// `out = x[.., start..end, ..]` along an axis of `size`, with `inner` the product of the sizes
/// behind it.
///
/// # Panics
/// If the range does not lie within the axis, or a length does not fit.
pub fn slice<T: Copy>(
    x: &[T],
    size: usize,
    inner: usize,
    range: std::ops::Range<usize>,
    out: &mut [T],
) {
    assert!(
        range.start <= range.end && range.end <= size,
        "slice: range"
    );
    assert_eq!(x.len() * range.len(), out.len() * size, "slice: out");
    if out.is_empty() {
        return;
    }
    let rows = x.chunks_exact(size * inner);
    for (x, out) in rows.zip(out.chunks_exact_mut(range.len() * inner)) {
        out.copy_from_slice(&x[range.start * inner..range.end * inner]);
    }
}

/// Puts `x` into `out` with `before[axis]` cells of `value` in front of each axis, and as many
/// behind as `out_shape` leaves room for.
///
/// # Panics
/// If `out_shape` is too small, or a length does not fit.
pub fn pad<T: Copy>(
    x: &[T],
    shape: &[usize],
    before: &[usize],
    value: T,
    out: &mut [T],
    out_shape: &[usize],
) {
    assert_eq!(x.len(), shape.iter().product::<usize>(), "pad: x");
    assert_eq!(out.len(), out_shape.iter().product::<usize>(), "pad: out");
    assert!(
        shape.len() == before.len() && shape.len() == out_shape.len(),
        "pad: rank"
    );
    for axis in 0..shape.len() {
        assert!(
            before[axis] + shape[axis] <= out_shape[axis],
            "pad: axis {axis}"
        );
    }
    out.fill(value);
    each_run(shape, before, out_shape, |inside, outside, length| {
        out[outside..outside + length].copy_from_slice(&x[inside..inside + length]);
    });
}

/// Takes out of `out_gradient` what [`pad`] put there: the gradient of padding, and cropping.
///
/// # Panics
/// As [`pad`].
pub fn crop<T: Copy>(
    x: &[T],
    shape: &[usize],
    before: &[usize],
    out: &mut [T],
    out_shape: &[usize],
) {
    assert_eq!(x.len(), shape.iter().product::<usize>(), "crop: x");
    assert_eq!(out.len(), out_shape.iter().product::<usize>(), "crop: out");
    assert!(
        shape.len() == before.len() && shape.len() == out_shape.len(),
        "crop: rank"
    );
    for axis in 0..shape.len() {
        assert!(
            before[axis] + out_shape[axis] <= shape[axis],
            "crop: axis {axis}"
        );
    }
    each_run(out_shape, before, shape, |inside, outside, length| {
        out[inside..inside + length].copy_from_slice(&x[outside..outside + length]);
    });
}

/// Calls `copy(offset inside, offset outside, length)` for every contiguous run of a box of
/// `inner` that stands `before` cells into a box of `outer`.
fn each_run(
    inner: &[usize],
    before: &[usize],
    outer: &[usize],
    mut copy: impl FnMut(usize, usize, usize),
) {
    let Some((&length, leading)) = inner.split_last() else {
        return copy(0, 0, 1);
    };
    if length == 0 {
        return;
    }
    for run in 0..leading.iter().product() {
        let mut rest = run;
        let mut stride = outer[leading.len()];
        let mut outside = before[leading.len()];
        for axis in (0..leading.len()).rev() {
            outside += (rest % leading[axis] + before[axis]) * stride;
            rest /= leading[axis];
            stride *= outer[axis];
        }
        copy(run * length, outside, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, Axis, IxDyn, Slice, array, concatenate as join};
    use proptest::prelude::*;

    fn numbered(shape: &[usize]) -> ArrayD<i32> {
        let mut next = 0;
        ArrayD::from_shape_fn(IxDyn(shape), |_| {
            next += 1;
            next
        })
    }

    fn shape_and_axes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
        prop::collection::vec(1usize..6, 0..5).prop_flat_map(|shape| {
            let axes: Vec<usize> = (0..shape.len()).collect();
            (Just(shape), Just(axes).prop_shuffle())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn permute_agrees_with_ndarray((shape, axes) in shape_and_axes()) {
            let x = numbered(&shape);
            let mut out = vec![0; x.len()];
            permute(x.as_slice().unwrap(), &shape, &axes, &mut out);
            let expected: Vec<i32> = x.permuted_axes(IxDyn(&axes)).iter().copied().collect();
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn slices_join_to_what_they_were_cut_from(
            (outer, size, inner) in (1usize..4, 1usize..6, 1usize..4), cut in 0usize..6,
        ) {
            let cut = cut.min(size);
            let x = numbered(&[outer, size, inner]);
            let values = x.as_slice().unwrap();
            let mut left = vec![0; outer * cut * inner];
            let mut right = vec![0; outer * (size - cut) * inner];
            slice(values, size, inner, 0..cut, &mut left);
            slice(values, size, inner, cut..size, &mut right);
            let expected = x.slice_axis(Axis(1), Slice::from(0..cut));
            prop_assert_eq!(&left, &expected.iter().copied().collect::<Vec<_>>());
            let mut out = vec![0; x.len()];
            concatenate(&[(&left, cut), (&right, size - cut)], inner, &mut out);
            prop_assert_eq!(&out[..], values);
        }

        #[test]
        fn cropping_undoes_padding(
            axes in prop::collection::vec((1usize..4, 0usize..3, 0usize..3), 0..4)
        ) {
            let shape: Vec<usize> = axes.iter().map(|axis| axis.0).collect();
            let before: Vec<usize> = axes.iter().map(|axis| axis.1).collect();
            let large: Vec<usize> = axes.iter().map(|axis| axis.0 + axis.1 + axis.2).collect();
            let x = numbered(&shape);
            let mut padded = vec![0; large.iter().product()];
            pad(x.as_slice().unwrap(), &shape, &before, -1, &mut padded, &large);
            prop_assert_eq!(padded.iter().filter(|&&value| value == -1).count(), padded.len() - x.len());
            let mut back = vec![0; x.len()];
            crop(&padded, &large, &before, &mut back, &shape);
            prop_assert_eq!(&back[..], x.as_slice().unwrap());
        }
    }

    #[test]
    fn padding_stands_where_it_is_told() {
        let mut out = [0; 20];
        pad(&[1, 2, 3, 4], &[2, 2], &[1, 2], 9, &mut out, &[4, 5]);
        let expected = array![
            [9, 9, 9, 9, 9],
            [9, 9, 1, 2, 9],
            [9, 9, 3, 4, 9],
            [9, 9, 9, 9, 9]
        ];
        assert_eq!(out, expected.as_slice().unwrap());
    }

    #[test]
    fn joins_like_ndarray() {
        let (a, b) = (numbered(&[2, 3, 2]), numbered(&[2, 1, 2]));
        let expected = join(Axis(1), &[a.view(), b.view()]).unwrap();
        let mut out = vec![0; expected.len()];
        concatenate(
            &[(a.as_slice().unwrap(), 3), (b.as_slice().unwrap(), 1)],
            2,
            &mut out,
        );
        assert_eq!(out, expected.iter().copied().collect::<Vec<_>>());
    }

    #[test]
    fn a_large_transpose_is_split_without_a_trace() {
        let x = numbered(&[700, 401]);
        let mut out = vec![0; x.len()];
        transpose(x.as_slice().unwrap(), 700, 401, &mut out);
        assert!(out.iter().eq(x.t().iter()));
    }
}
