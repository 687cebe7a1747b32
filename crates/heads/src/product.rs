//! Products of matrices of `f64`, the same bits on every machine and number of threads.
//!
//! Every element is a chain over `k` in runs of [`DEPTH`], products rounded before they are added: no fused
//! multiply-adds, which not every machine has. The tile only decides what stays in registers.

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;

/// How much of a sum one pass takes.
const DEPTH: usize = 256;
/// Rows of the result that one task takes.
pub(crate) const ROWS: usize = 64;

/// A matrix that lies somewhere in a slice.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f64],
    pub rows: usize,
    pub columns: usize,
    down: usize,
    right: usize,
}

impl<'a> View<'a> {
    /// `rows` rows of `columns` elements; a row begins `stride` elements behind the one before.
    pub fn new(data: &'a [f64], rows: usize, columns: usize, stride: usize) -> Self {
        View {
            data,
            rows,
            columns,
            down: stride,
            right: 1,
        }
    }

    pub fn transposed(self) -> Self {
        View {
            rows: self.columns,
            columns: self.rows,
            down: self.right,
            right: self.down,
            ..self
        }
    }
}

/// Which elements of a symmetric result are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Those on the diagonal and right of it; what lies left of it is anything.
    Upper,
}

/// Rows `first..first + count` of `matrix`, columns `from..to`, in panels of `T` rows: column by column within a
/// panel, with zeros where rows are missing.
pub(crate) fn pack<const T: usize>(
    matrix: View<'_>,
    first: usize,
    count: usize,
    from: usize,
    to: usize,
    packed: &mut Vec<f64>,
) {
    packed.clear();
    packed.resize(count.div_ceil(T) * (to - from) * T, 0.0);
    pack_into::<T>(matrix, first, count, from, to, packed);
}

/// The same into `packed`, as long as that, of zeros where rows are missing.
fn pack_into<const T: usize>(
    matrix: View<'_>,
    first: usize,
    count: usize,
    from: usize,
    to: usize,
    packed: &mut [f64],
) {
    let depth = to - from;
    for (panel, out) in packed.chunks_exact_mut((depth * T).max(1)).enumerate() {
        let rows = T.min(count - panel * T);
        let start = (first + panel * T) * matrix.down + from * matrix.right;
        let (out, _) = out.as_chunks_mut::<T>();
        if matrix.right == 1 {
            for row in 0..rows {
                let values = &matrix.data[start + row * matrix.down..][..depth];
                for (out, value) in out.iter_mut().zip(values) {
                    out[row] = *value;
                }
            }
        } else {
            for (k, out) in out.iter_mut().enumerate() {
                for (row, out) in out[..rows].iter_mut().enumerate() {
                    *out = matrix.data[start + row * matrix.down + k * matrix.right];
                }
            }
        }
    }
}

/// The product of a panel of `M` rows with one of 8 columns.
#[inline(always)]
pub(crate) fn tile<const M: usize>(a: &[f64], b: &[f64]) -> [[f64; 8]; M] {
    let mut sums = [[0.0; 8]; M];
    let (a, _) = a.as_chunks::<M>();
    let (b, _) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for row in 0..M {
            add_row(&mut sums[row], a[row], b);
        }
    }
    sums
}

/// The same with a panel of 16 columns, in two halves. (As an array of halves it is compiled to something seven times
/// as slow.)
#[inline(always)]
fn wide_tile<const M: usize>(a: &[f64], b: &[f64]) -> [[[f64; 8]; M]; 2] {
    let (mut left, mut right) = ([[0.0; 8]; M], [[0.0; 8]; M]);
    let (a, _) = a.as_chunks::<M>();
    let (b, _) = b.as_chunks::<16>();
    for (a, b) in a.iter().zip(b) {
        let (halves, _) = b.as_chunks::<8>();
        for row in 0..M {
            add_row(&mut left[row], a[row], &halves[0]);
        }
        for row in 0..M {
            add_row(&mut right[row], a[row], &halves[1]);
        }
    }
    [left, right]
}

#[inline(always)]
fn add_row(sums: &mut [f64; 8], a: f64, b: &[f64; 8]) {
    for lane in 0..8 {
        sums[lane] += a * b[lane];
    }
}

/// `c += sign · a · b`; rows of `c` are `stride` apart.
pub(crate) fn add_product(
    c: &mut [f64],
    stride: usize,
    sign: f64,
    a: View<'_>,
    b: View<'_>,
    part: Part,
) {
    match Isa::detect() {
        isa @ Isa::Avx512(_) => add_in_tiles::<8, 16>(isa, c, stride, sign, a, b, part),
        isa => add_in_tiles::<4, 8>(isa, c, stride, sign, a, b, part),
    }
}

fn add_in_tiles<const M: usize, const N: usize>(
    isa: Isa,
    c: &mut [f64],
    stride: usize,
    sign: f64,
    a: View<'_>,
    b: View<'_>,
    part: Part,
) {
    debug_assert_eq!(a.columns, b.rows);
    let (rows, columns) = (a.rows, b.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    // Missing columns of the last panel stay 0 in all passes but the last, shorter one, which clears them.
    let mut whole = vec![0.0; columns.div_ceil(N) * DEPTH.min(a.columns) * N];
    for from in (0..a.columns).step_by(DEPTH) {
        let to = (from + DEPTH).min(a.columns);
        let depth = to - from;
        let packed = &mut whole[..columns.div_ceil(N) * depth * N];
        if depth < DEPTH {
            packed.fill(0.0);
        }
        // Panels of `b`, several threads packing.
        packed
            .par_chunks_mut(depth * N * 8)
            .enumerate()
            .for_each(|(chunk, out)| {
                let first = chunk * N * 8;
                let count = (columns - first).min(N * 8);
                pack_into::<N>(b.transposed(), first, count, from, to, out);
            });
        let packed = &*packed;
        let task = |buffer: &mut Vec<f64>, block: usize, c: &mut [f64]| {
            let first = block * ROWS;
            let count = ROWS.min(rows - first);
            pack::<M>(a, first, count, from, to, buffer);
            isa.run(
                #[inline(always)]
                || {
                    add_rows::<M, N>(c, stride, count, columns, sign, buffer, packed, depth, {
                        if part == Part::Upper { first } else { 0 }
                    })
                },
            );
        };
        c.par_chunks_mut(ROWS * stride)
            .take(rows.div_ceil(ROWS))
            .enumerate()
            .for_each_init(Vec::new, |buffer, (block, c)| task(buffer, block, c));
    }
}

/// The columns from `skip` on of the rows of one task; `N`, the width of panels, is 8 or 16.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn add_rows<const M: usize, const N: usize>(
    c: &mut [f64],
    stride: usize,
    rows: usize,
    columns: usize,
    sign: f64,
    a: &[f64],
    b: &[f64],
    depth: usize,
    skip: usize,
) {
    for (panel, b) in b.chunks_exact(depth * N).enumerate().skip(skip / N) {
        let column = panel * N;
        let width = N.min(columns - column);
        for (strip, a) in a.chunks_exact(depth * M).enumerate() {
            let height = M.min(rows - strip * M);
            let at = strip * M * stride + column;
            if N == 16 {
                let [left, right] = wide_tile::<M>(a, b);
                add_tile(&mut c[at..], stride, sign, &left[..height], width.min(8));
                if width > 8 {
                    add_tile(&mut c[at + 8..], stride, sign, &right[..height], width - 8);
                }
            } else {
                let sums = tile::<M>(a, b);
                add_tile(&mut c[at..], stride, sign, &sums[..height], width);
            }
        }
    }
}

#[inline(always)]
fn add_tile(c: &mut [f64], stride: usize, sign: f64, tile: &[[f64; 8]], width: usize) {
    for (row, sums) in tile.iter().enumerate() {
        let c = &mut c[row * stride..][..width];
        for (c, sum) in c.iter_mut().zip(sums) {
            *c += sign * sum;
        }
    }
}

/// The matrix 1, n × n.
pub(crate) fn identity(n: usize) -> Vec<f64> {
    let mut one = vec![0.0; n * n];
    (0..n).for_each(|i| one[i * n + i] = 1.0);
    one
}

/// The sum of what tasks made, `size` numbers each, in the tasks' order.
pub(crate) fn sum_of(parts: &[Vec<f64>], size: usize) -> Vec<f64> {
    let mut sum = vec![0.0; size];
    parts
        .iter()
        .for_each(|part| add_scaled(&mut sum, 1.0, part));
    sum
}

/// The sum of products, in eight lanes.
#[inline]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().min(b.len());
    let (a, rest_a) = a[..length].as_chunks::<8>();
    let (b, rest_b) = b[..length].as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest = rest_a
        .iter()
        .zip(rest_b)
        .fold(0.0, |sum, (a, b)| sum + a * b);
    add_lanes(lanes) + rest
}

/// The sum of the lanes, halves first.
#[inline(always)]
pub(crate) fn add_lanes(l: [f64; 8]) -> f64 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

/// `y += factor · x`.
#[inline]
pub(crate) fn add_scaled(y: &mut [f64], factor: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}
