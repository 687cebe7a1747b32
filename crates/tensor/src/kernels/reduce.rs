//! Sums, means, extremes, products and variances over axes.
//!
//! **Order of addition.** A run of values that lies contiguous (the reduced axes are the last) is
//! dealt out over [`LANES`] partial sums, blocks of [`BLOCK`] values at a time; the lanes are added
//! in a tree, and the blocks too. Values that lie apart (an axis in front) are added one after the
//! other in blocks of [`ROWS`], and the blocks in a tree. The order thus depends on the number of
//! reduced values alone, never on threads or on the place in the batch, and the error grows with
//! the logarithm of the number of values rather than with the number.
//!
//! Maximum and minimum are NaN where any value is. Over no values at all, a sum is 0, a product 1,
//! a maximum −∞, a minimum +∞, and a mean NaN.

use super::broadcast;
use super::isa::vectorised;
use super::parallel::{self, parts};

/// Partial results that a contiguous run is dealt out to; short runs use [`FEW_LANES`].
pub const LANES: usize = 64;

/// Partial results for runs shorter than `4 * LANES`.
pub const FEW_LANES: usize = 16;

/// Contiguous values per leaf of the tree.
pub const BLOCK: usize = 4096;

/// Rows per leaf of the tree when reducing over an axis in front.
pub const ROWS: usize = 128;

/// Columns that are reduced together.
const COLUMNS: usize = 64;

/// Row widths up to which the tree's partial results stand on the stack.
const NARROW: usize = 256;

/// How two partial results become one.
trait Fold: Copy + Send + Sync {
    const START: f32;
    fn fold(a: f32, b: f32) -> f32;
}

#[derive(Clone, Copy)]
struct Sum;
#[derive(Clone, Copy)]
struct Product;
#[derive(Clone, Copy)]
struct Max;
#[derive(Clone, Copy)]
struct Min;

impl Fold for Sum {
    const START: f32 = 0.0;
    #[inline(always)]
    fn fold(a: f32, b: f32) -> f32 {
        a + b
    }
}

impl Fold for Product {
    const START: f32 = 1.0;
    #[inline(always)]
    fn fold(a: f32, b: f32) -> f32 {
        a * b
    }
}

impl Fold for Max {
    const START: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn fold(a: f32, b: f32) -> f32 {
        if a > b || a.is_nan() { a } else { b }
    }
}

impl Fold for Min {
    const START: f32 = f32::INFINITY;
    #[inline(always)]
    fn fold(a: f32, b: f32) -> f32 {
        if a < b || a.is_nan() { a } else { b }
    }
}

/// Folds a block into `N` lanes and those in a tree.
#[inline(always)]
fn lanes<O: Fold, const N: usize>(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [O::START; N];
    let mut chunks = x.chunks_exact(N);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = O::fold(*lane, f(x));
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = O::fold(*lane, f(x));
    }
    let mut width = N;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = O::fold(lanes[i], lanes[i + width]);
        }
    }
    lanes[0]
}

/// Folds a contiguous run, in the order that the module describes.
#[inline(always)]
fn run<O: Fold>(x: &[f32], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    if x.len() < 4 * LANES {
        return lanes::<O, FEW_LANES>(x, f);
    }
    // A binary counter of finished blocks: a block is folded with its neighbour of the same size,
    // so the blocks end in a tree without recursion.
    let mut stack = [O::START; usize::BITS as usize];
    let mut depth = 0;
    for (index, block) in x.chunks(BLOCK).enumerate() {
        let mut value = lanes::<O, LANES>(block, f);
        for _ in 0..(index + 1).trailing_zeros() {
            depth -= 1;
            value = O::fold(stack[depth], value);
        }
        stack[depth] = value;
        depth += 1;
    }
    let mut value = stack[depth - 1];
    for &earlier in stack[..depth - 1].iter().rev() {
        value = O::fold(earlier, value);
    }
    value
}

vectorised! {
    fn rows[O: Fold](_op: O, x: &[f32], length: usize, out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x.chunks_exact(length)) {
            *out = run::<O>(x, |x| x);
        }
    }
}

vectorised! {
    fn rows_of_squares[](x: &[f32], length: usize, means: &[f32], out: &mut [f32]) {
        for ((out, x), &mean) in out.iter_mut().zip(x.chunks_exact(length)).zip(means) {
            *out = run::<Sum>(x, |x| (x - mean) * (x - mean));
        }
    }
}

vectorised! {
    /// Folds rows `0..count` of `x` (`width` apart) into `out`, one after the other.
    fn leaf[O: Fold](_op: O, x: &[f32], width: usize, count: usize, out: &mut [f32]) {
        let mut column = 0;
        while column + COLUMNS <= out.len() {
            let mut sums = [O::START; COLUMNS];
            for row in 0..count {
                let x = &x[row * width + column..][..COLUMNS];
                for (sum, &x) in sums.iter_mut().zip(x) {
                    *sum = O::fold(*sum, x);
                }
            }
            out[column..column + COLUMNS].copy_from_slice(&sums);
            column += COLUMNS;
        }
        let out = &mut out[column..];
        out.fill(O::START);
        for row in 0..count {
            let x = &x[row * width + column..][..out.len()];
            for (out, &x) in out.iter_mut().zip(x) {
                *out = O::fold(*out, x);
            }
        }
    }
}

vectorised! {
    fn leaf_of_squares[](x: &[f32], width: usize, count: usize, means: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for row in 0..count {
            let x = &x[row * width..][..out.len()];
            for ((out, &x), &mean) in out.iter_mut().zip(x).zip(means) {
                *out += (x - mean) * (x - mean);
            }
        }
    }
}

/// Folds `count` rows by halves, at multiples of [`ROWS`]; `leaf(first row, rows, out)` does the
/// short ones.
fn tree<O: Fold>(
    first: usize,
    count: usize,
    out: &mut [f32],
    leaf: &(impl Fn(usize, usize, &mut [f32]) + Sync),
) {
    let fold = |_: usize, _: usize, out: &mut [f32], other: &[f32]| {
        super::elementwise::zip_in_place(out, other, O::fold);
    };
    halves(first, count, out, leaf, &fold);
}

/// Reduces `count` rows by halves, at multiples of [`ROWS`]: `leaf(first row, rows, out)` does the
/// short ones, and `fold(rows, other rows, out, other)` makes one result of two.
pub(super) fn halves(
    first: usize,
    count: usize,
    out: &mut [f32],
    leaf: &(impl Fn(usize, usize, &mut [f32]) + Sync),
    fold: &(impl Fn(usize, usize, &mut [f32], &[f32]) + Sync),
) {
    if count <= ROWS {
        return leaf(first, count, out);
    }
    let half = count.div_ceil(2 * ROWS) * ROWS;
    // Narrow rows find room on the stack.
    let (mut small, mut large);
    let other = if out.len() <= NARROW {
        small = [0.0; NARROW];
        &mut small[..out.len()]
    } else {
        large = vec![0.0; out.len()];
        &mut large[..]
    };
    if parallel::worthwhile(count * out.len()) {
        rayon::join(
            || halves(first, half, out, leaf, fold),
            || halves(first + half, count - half, other, leaf, fold),
        );
    } else {
        halves(first, half, out, leaf, fold);
        halves(first + half, count - half, other, leaf, fold);
    }
    fold(half, count - half, out, other);
}

/// Folds the middle of `outer × length × inner`.
fn middle<O: Fold>(op: O, x: &[f32], length: usize, inner: usize, out: &mut [f32]) {
    if length == 0 {
        return out.fill(O::START);
    }
    if inner == 1 {
        return parts(out, 1, length, |start, out| {
            rows(op, &x[start * length..], length, out);
        });
    }
    for (out, x) in out
        .chunks_exact_mut(inner)
        .zip(x.chunks_exact(length * inner))
    {
        tree::<O>(0, length, out, &|first, count, out: &mut [f32]| {
            leaf(op, &x[first * inner..], inner, count, out);
        });
    }
}

/// The reduced axes as the middle one of three, if they are neighbours (but for axes of size 1):
/// the sizes of the middle and of what stands behind it.
fn neighbours(shape: &[usize], axes: &[usize]) -> Option<(usize, usize)> {
    let (mut length, mut inner) = (1, 1);
    for (axis, &size) in shape.iter().enumerate() {
        match axes.contains(&axis) {
            _ if size == 1 => {}
            true if inner == 1 => length *= size,
            true => return None,
            // Kept axes stand in front as long as nothing is reduced.
            false if length == 1 => {}
            false => inner *= size,
        }
    }
    Some((length, inner))
}

/// The number of values behind each element of the result.
fn count(shape: &[usize], axes: &[usize]) -> usize {
    axes.iter().map(|&axis| shape[axis]).product()
}

fn check(x: &[f32], shape: &[usize], axes: &[usize], out: &[f32]) {
    assert_eq!(x.len(), shape.iter().product::<usize>(), "reduce: x");
    let kept = shape
        .iter()
        .enumerate()
        .filter(|(axis, _)| !axes.contains(axis));
    let kept: usize = kept.map(|(_, &size)| size).product();
    assert_eq!(out.len(), kept, "reduce: out");
}

fn fold<O: Fold>(op: O, x: &[f32], shape: &[usize], axes: &[usize], out: &mut [f32]) {
    check(x, shape, axes, out);
    if out.is_empty() {
        return;
    }
    if x.is_empty() {
        return out.fill(O::START);
    }
    match neighbours(shape, axes) {
        Some((1, _)) => return out.copy_from_slice(x),
        Some((length, inner)) => return middle(op, x, length, inner, out),
        None => {}
    }
    // Reduced axes that are not neighbours are folded group by group, the last first.
    let last = axes.iter().copied().max().unwrap_or(0);
    let kept = (0..last)
        .rev()
        .find(|axis| !axes.contains(axis) && shape[*axis] != 1);
    let first = kept.map_or(0, |axis| axis + 1);
    let (group, others): (Vec<usize>, Vec<usize>) = axes.iter().partition(|axis| **axis >= first);
    let mut smaller = shape.to_vec();
    group.iter().for_each(|&axis| smaller[axis] = 1);
    let mut next = vec![0.0; smaller.iter().product()];
    fold(op, x, shape, &group, &mut next);
    fold(op, &next, &smaller, &others, out);
}

/// The sum over `axes` (each at most once, in any order) of `x` of `shape`; `out` holds the kept
/// axes in their order.
///
/// # Panics
/// If the length of `x` or `out` does not fit, or an axis is out of range; likewise for the other
/// functions here.
pub fn sum(x: &[f32], shape: &[usize], axes: &[usize], out: &mut [f32]) {
    fold(Sum, x, shape, axes, out);
}

/// Adds up `x` over the axes along which `out_shape` was broadcast to `x_shape`: the gradient of
/// broadcasting. The order is that of [`sum`].
///
/// # Panics
/// If a slice's length is not the product of its shape, or `out_shape` does not broadcast to
/// `x_shape`.
pub fn sum_to(x: &[f32], x_shape: &[usize], out: &mut [f32], out_shape: &[usize]) {
    debug_assert!(broadcast::fits(out_shape, x_shape));
    let added = x_shape.len() - out_shape.len();
    let summed =
        |&axis: &usize| axis < added || (out_shape[axis - added] == 1 && x_shape[axis] != 1);
    let axes = (0..x_shape.len()).filter(summed);
    if x_shape.len() <= broadcast::FEW {
        let mut few = [0; broadcast::FEW];
        let mut count = 0;
        for axis in axes {
            few[count] = axis;
            count += 1;
        }
        sum(x, x_shape, &few[..count], out);
    } else {
        sum(x, x_shape, &axes.collect::<Vec<usize>>(), out);
    }
}

/// The arithmetic mean over `axes`: the sum divided by the number of values.
pub fn mean(x: &[f32], shape: &[usize], axes: &[usize], out: &mut [f32]) {
    sum(x, shape, axes, out);
    let count = count(shape, axes) as f32;
    super::elementwise::map_in_place(out, move |sum| sum / count);
}

/// The product over `axes`.
pub fn product(x: &[f32], shape: &[usize], axes: &[usize], out: &mut [f32]) {
    fold(Product, x, shape, axes, out);
}

/// The largest value over `axes`; NaN where any is.
pub fn max(x: &[f32], shape: &[usize], axes: &[usize], out: &mut [f32]) {
    fold(Max, x, shape, axes, out);
}

/// The smallest value over `axes`; NaN where any is.
pub fn min(x: &[f32], shape: &[usize], axes: &[usize], out: &mut [f32]) {
    fold(Min, x, shape, axes, out);
}

/// Mean and population variance over `axes`: `variance = mean((x − mean)²)`, in two passes, so
/// that a mean far from zero costs no accuracy.
pub fn moments(
    x: &[f32],
    shape: &[usize],
    axes: &[usize],
    means: &mut [f32],
    variances: &mut [f32],
) {
    mean(x, shape, axes, means);
    variance_around(x, shape, axes, means, variances);
}

/// The mean of `(x − means)²` over `axes`, where `means` has the kept axes: the second pass of
/// [`moments`].
pub fn variance_around(
    x: &[f32],
    shape: &[usize],
    axes: &[usize],
    means: &[f32],
    variances: &mut [f32],
) {
    check(x, shape, axes, variances);
    assert_eq!(means.len(), variances.len(), "variance: means");
    let count = count(shape, axes);
    match neighbours(shape, axes) {
        _ if x.is_empty() => variances.fill(0.0),
        Some((length, 1)) => parts(variances, 1, length, |start, out| {
            rows_of_squares(&x[start * length..], length, &means[start..], out);
        }),
        Some((length, inner)) => {
            let outs = variances.chunks_exact_mut(inner);
            let inputs = x
                .chunks_exact(length * inner)
                .zip(means.chunks_exact(inner));
            for (out, (x, means)) in outs.zip(inputs) {
                tree::<Sum>(0, length, out, &|first, count, out: &mut [f32]| {
                    leaf_of_squares(&x[first * inner..], inner, count, means, out);
                });
            }
        }
        None => {
            let kept: Vec<usize> = shape
                .iter()
                .enumerate()
                .map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size })
                .collect();
            let mut squares = vec![0.0; x.len()];
            broadcast::binary(x, shape, means, &kept, &mut squares, shape, |x, mean| {
                (x - mean) * (x - mean)
            });
            sum(&squares, shape, axes, variances);
        }
    }
    super::elementwise::map_in_place(variances, move |sum| sum / count as f32);
}

/// Population variance over `axes`; see [`moments`].
pub fn variance(x: &[f32], shape: &[usize], axes: &[usize], out: &mut [f32]) {
    let mut means = vec![0.0; out.len()];
    moments(x, shape, axes, &mut means, out);
}

/// The index along `axis` of the largest value, the first of equals; NaN counts as largest.
pub fn argmax(x: &[f32], shape: &[usize], axis: usize, out: &mut [i32]) {
    let length = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    assert_eq!(x.len(), shape.iter().product::<usize>(), "argmax: x");
    if length == 0 || out.is_empty() {
        return out.fill(0);
    }
    assert_eq!(out.len() * length, x.len(), "argmax: out");
    parts(out, inner, length, |start, out| {
        for (place, out) in out.iter_mut().enumerate() {
            let place = start + place;
            let first = place / inner * length * inner + place % inner;
            let mut best = (0, x[first]);
            for index in 1..length {
                let value = x[first + index * inner];
                if value > best.1 || (value.is_nan() && !best.1.is_nan()) {
                    best = (index, value);
                }
            }
            *out = best.0 as i32;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, Axis, IxDyn};
    use proptest::prelude::*;

    fn values(shape: &[usize]) -> ArrayD<f32> {
        let mut state = 1u32;
        ArrayD::from_shape_fn(IxDyn(shape), |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
    }

    fn exact(x: &ArrayD<f32>, axes: &[usize]) -> ArrayD<f64> {
        let mut x = x.mapv(f64::from);
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        for axis in axes.into_iter().rev() {
            x = x.sum_axis(Axis(axis));
        }
        x
    }

    fn problem() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
        prop::collection::vec((1usize..6, any::<bool>()), 1..5).prop_map(|axes| {
            let reduced = (0..axes.len()).filter(|&axis| axes[axis].1).collect();
            (axes.iter().map(|axis| axis.0).collect(), reduced)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn agrees_with_sums_in_double_precision((shape, axes) in problem()) {
            let x = values(&shape);
            let expected = exact(&x, &axes);
            let count = count(&shape, &axes) as f64;
            let mut sums = vec![0.0; expected.len()];
            sum(x.as_slice().unwrap(), &shape, &axes, &mut sums);
            for (&sum, &expected) in sums.iter().zip(&expected) {
                prop_assert!((f64::from(sum) - expected).abs() <= 1e-6 * count);
            }
            let (mut means, mut variances) = (sums.clone(), sums.clone());
            moments(x.as_slice().unwrap(), &shape, &axes, &mut means, &mut variances);
            let squares = exact(&x.mapv(|x| x * x), &axes);
            for ((&variance, &square), &sum) in variances.iter().zip(&squares).zip(&expected) {
                let expected = square / count - (sum / count).powi(2);
                prop_assert!((f64::from(variance) - expected).abs() <= 1e-6, "{variance} {expected}");
            }
        }

        #[test]
        fn extremes_and_products_agree_with_a_plain_loop((shape, axes) in problem()) {
            let x = values(&shape);
            let mut kept = x.clone();
            // Close to ±1, so that no product leaves the range of an f32.
            let factors = x.mapv(|x| (1.0 + x.abs() / 16.0).copysign(x));
            let mut products = factors.mapv(f64::from);
            let mut smallest = x.clone();
            for &axis in axes.iter().rev() {
                kept = kept.fold_axis(Axis(axis), f32::NEG_INFINITY, |&a, &b| a.max(b));
                smallest = smallest.fold_axis(Axis(axis), f32::INFINITY, |&a, &b| a.min(b));
                products = products.fold_axis(Axis(axis), 1.0, |&a, &b| a * b);
            }
            let mut out = vec![0.0; kept.len()];
            max(x.as_slice().unwrap(), &shape, &axes, &mut out);
            prop_assert_eq!(&out, &kept.iter().copied().collect::<Vec<_>>());
            min(x.as_slice().unwrap(), &shape, &axes, &mut out);
            prop_assert_eq!(&out, &smallest.iter().copied().collect::<Vec<_>>());
            product(factors.as_slice().unwrap(), &shape, &axes, &mut out);
            let rounding = f64::from(f32::EPSILON) * count(&shape, &axes) as f64;
            for (&out, &expected) in out.iter().zip(&products) {
                prop_assert!((f64::from(out) - expected).abs() <= rounding * expected.abs());
            }
        }
    }

    #[test]
    fn a_row_sums_alike_wherever_it_stands() {
        for length in [1, 10, 63, 64, 300, 5000] {
            let row = values(&[length]);
            let stack = row.broadcast(IxDyn(&[70, length])).unwrap().to_owned();
            let mut out = vec![0.0; 70];
            sum(stack.as_slice().unwrap(), &[70, length], &[1], &mut out);
            assert!(out.iter().all(|sum| sum.to_bits() == out[0].to_bits()));
        }
    }

    #[test]
    fn many_values_add_up_alike_on_any_number_of_threads() {
        let x = values(&[700_000]);
        let x = x.as_slice().unwrap();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let (mut all, mut columns) = ([0.0], [0.0; 7]);
                sum(x, &[x.len()], &[0], &mut all);
                sum(x, &[x.len() / 7, 7], &[0], &mut columns);
                (all, columns)
            })
        };
        assert_eq!(on(1), on(3));
        let exact: f64 = x.iter().map(|&x| f64::from(x)).sum();
        assert!((f64::from(on(1).0[0]) - exact).abs() < 1e-3);
    }

    #[test]
    fn nan_is_an_extreme_and_the_first_maximum_wins() {
        let x = [1.0, f32::NAN, 3.0, 2.0, 5.0, 5.0];
        let mut out = [0.0; 2];
        max(&x, &[2, 3], &[1], &mut out);
        assert!(out[0].is_nan() && out[1] == 5.0);
        min(&x, &[2, 3], &[1], &mut out);
        assert!(out[0].is_nan() && out[1] == 2.0);
        let mut index = [0; 2];
        argmax(&x, &[2, 3], 1, &mut index);
        assert_eq!(index, [1, 1]);
        let mut index = [0; 3];
        argmax(&x, &[2, 3], 0, &mut index);
        assert_eq!(index, [1, 0, 1]);
    }
}
