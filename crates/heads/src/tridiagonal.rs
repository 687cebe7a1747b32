//! Householder's reduction of a symmetric matrix: A = Q T Qᵀ with T tridiagonal.
//!
//! It is what a family of ridge solutions needs: (A + λ)⁻¹ = Q (T + λ)⁻¹ Qᵀ, a solve with T + λ takes O(n) steps, and
//! no eigenvectors are looked for. Columns are reduced in panels, with the rest of the matrix brought up to date by
//! products (Dongarra, Sorensen and Hammarling, 1989); of the symmetric matrix only the upper half is read.

use std::io::{self, Read, Write};

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;

use crate::bytes::{fill, pour};
use crate::product::{Part, ROWS, View, add_lanes, add_product, add_rows, add_scaled, dot, pack};

/// Columns that are reduced before the rest of the matrix is brought up to date.
const PANEL: usize = 32;
/// Reflections that are applied together.
const TOGETHER: usize = 64;

/// A = Q T Qᵀ.
pub(crate) struct Tridiagonal {
    /// T's diagonal.
    pub diagonal: Vec<f64>,
    /// Beside it; one shorter.
    pub beside: Vec<f64>,
    /// Row `j` holds right of the diagonal the vector of reflection `j`, which leaves the first `j + 1` coordinates.
    vectors: Vec<f64>,
    /// Reflection `j` is 1 − `scales[j]` · v vᵀ.
    scales: Vec<f64>,
}

impl Tridiagonal {
    /// Reduces `a`, n × n, of which the part on the diagonal and right of it is read.
    pub fn new(mut a: Vec<f64>, n: usize) -> Self {
        let (mut diagonal, mut beside, mut scales) = (vec![0.0; n], Vec::new(), Vec::new());
        // A panel's reflections v and their w: A becomes A − v wᵀ − w vᵀ. The rows of `second` are those of
        // `first` in the other order.
        let mut first = vec![0.0; 2 * PANEL * n];
        let mut second = vec![0.0; 2 * PANEL * n];
        let mut partial = vec![0.0; n.div_ceil(ROWS) * n];
        let (mut v, mut w) = (vec![0.0; n], vec![0.0; n]);
        for start in (0..n).step_by(PANEL) {
            let width = PANEL.min(n - start);
            first.fill(0.0);
            second.fill(0.0);
            for step in 0..width {
                let j = start + step;
                // Row j, as the reflections of this panel left it.
                let (vs, ws) = first.split_at(PANEL * n);
                let row = &mut a[j * n..][..n];
                for t in 0..step {
                    let (v, w) = (&vs[t * n..][..n], &ws[t * n..][..n]);
                    add_scaled(&mut row[j..], -w[j], &v[j..]);
                    add_scaled(&mut row[j..], -v[j], &w[j..]);
                }
                diagonal[j] = row[j];
                if j + 1 == n {
                    break;
                }
                let (scale, length) = reflect(&mut row[j + 1..]);
                beside.push(length);
                scales.push(scale);
                v[..=j].fill(0.0);
                v[j + 1..].copy_from_slice(&row[j + 1..]);
                // w = scale · A v, less half of its share of v.
                symmetric_product(&a, n, j + 1, &v, &mut partial, &mut w);
                for t in 0..step {
                    let (vt, wt) = (
                        &vs[t * n + j + 1..][..n - j - 1],
                        &ws[t * n + j + 1..][..n - j - 1],
                    );
                    let (by_v, by_w) = (dot(vt, &v[j + 1..]), dot(wt, &v[j + 1..]));
                    add_scaled(&mut w[j + 1..], -by_w, vt);
                    add_scaled(&mut w[j + 1..], -by_v, wt);
                }
                w[..=j].fill(0.0);
                w[j + 1..].iter_mut().for_each(|w| *w *= scale);
                let share = -0.5 * scale * dot(&w[j + 1..], &v[j + 1..]);
                add_scaled(&mut w[j + 1..], share, &v[j + 1..]);
                for (t, values) in [(step, &v), (PANEL + step, &w)] {
                    first[t * n..][..n].copy_from_slice(values);
                    second[(t + PANEL) % (2 * PANEL) * n..][..n].copy_from_slice(values);
                }
            }
            let rest = start + width;
            if rest < n {
                let size = n - rest;
                let a = &mut a[rest * n + rest..];
                let left = View::new(&first[rest..], 2 * PANEL, size, n).transposed();
                let right = View::new(&second[rest..], 2 * PANEL, size, n);
                add_product(a, n, -1.0, left, right, Part::Upper);
            }
        }
        Tridiagonal {
            diagonal,
            beside,
            vectors: a,
            scales,
        }
    }

    /// Writes all of it.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let parts = [&self.diagonal, &self.beside, &self.scales, &self.vectors];
        parts.into_iter().try_for_each(|part| pour(to, part))
    }

    /// What was written of a matrix with `n` rows.
    pub fn read(n: usize, from: &mut dyn Read) -> io::Result<Self> {
        Ok(Tridiagonal {
            diagonal: fill(from, n)?,
            beside: fill(from, n - 1)?,
            scales: fill(from, n - 1)?,
            vectors: fill(from, n * n)?,
        })
    }

    /// The number of rows.
    pub fn size(&self) -> usize {
        self.diagonal.len()
    }

    /// `rows · Q`, in place; each row has [`size`](Self::size) elements.
    pub fn rotate(&self, rows: &mut [f64]) {
        match Isa::detect() {
            isa @ Isa::Avx512(_) => self.rotate_in_tiles::<8, 16>(isa, rows),
            isa => self.rotate_in_tiles::<4, 8>(isa, rows),
        }
    }

    fn rotate_in_tiles<const M: usize, const N: usize>(&self, isa: Isa, rows: &mut [f64]) {
        let n = self.size();
        let starts: Vec<usize> = (0..self.scales.len()).step_by(TOGETHER).collect();
        // H₁ … Hₘ = 1 − Vᵀ S V with the reflections as rows of V (Schreiber and Van Loan, 1989).
        let blocks: Vec<[Vec<f64>; 2]> = starts
            .par_iter()
            .map(|&start| {
                let (v, mut sv, count) = self.block(start);
                let width = n - start - 1;
                let mut s = vec![0.0; count * count];
                for t in 0..count {
                    let scale = self.scales[start + t];
                    s[t * count + t] = scale;
                    let by: Vec<f64> = (0..t)
                        .map(|u| dot(&v[u * width..][..width], &v[t * width..][..width]))
                        .collect();
                    for u in 0..t {
                        s[u * count + t] = -scale * dot(&s[u * count + u..][..t - u], &by[u..]);
                    }
                }
                for (t, out) in sv.chunks_exact_mut(width).enumerate() {
                    for u in t..count {
                        add_scaled(out, s[t * count + u], &v[u * width..][..width]);
                    }
                }
                let (mut by_v, mut by_sv) = (Vec::new(), Vec::new());
                // Rows · Vᵀ: the columns are V's rows. Then · S V.
                pack::<N>(
                    View::new(&v, count, width, width),
                    0,
                    count,
                    0,
                    width,
                    &mut by_v,
                );
                pack::<N>(
                    View::new(&sv, count, width, width).transposed(),
                    0,
                    width,
                    0,
                    count,
                    &mut by_sv,
                );
                [by_v, by_sv]
            })
            .collect();
        rows.par_chunks_mut(ROWS * n).for_each_init(
            || (Vec::new(), vec![0.0; ROWS * TOGETHER]),
            |(packed, by), rows| {
                let count = rows.len() / n;
                for (&start, [v, sv]) in starts.iter().zip(&blocks) {
                    let (width, together) =
                        (n - start - 1, TOGETHER.min(self.scales.len() - start));
                    let rows = &mut rows[start + 1..];
                    pack::<M>(View::new(rows, count, width, n), 0, count, 0, width, packed);
                    by.fill(0.0);
                    isa.run(
                        #[inline(always)]
                        || {
                            add_rows::<M, N>(
                                by, TOGETHER, count, together, 1.0, packed, v, width, 0,
                            )
                        },
                    );
                    pack::<M>(
                        View::new(by, count, together, TOGETHER),
                        0,
                        count,
                        0,
                        together,
                        packed,
                    );
                    isa.run(
                        #[inline(always)]
                        || add_rows::<M, N>(rows, n, count, width, -1.0, packed, sv, together, 0),
                    );
                }
            },
        );
    }

    /// The vectors of the reflections from `start` on that are applied together, a room as large, and their number.
    fn block(&self, start: usize) -> (Vec<f64>, Vec<f64>, usize) {
        let (n, width) = (self.size(), self.size() - start - 1);
        let count = TOGETHER.min(self.scales.len() - start);
        let mut v = vec![0.0; count * width];
        for (t, v) in v.chunks_exact_mut(width).enumerate() {
            let j = start + t;
            v[t..].copy_from_slice(&self.vectors[j * n + j + 1..][..width - t]);
        }
        let room = vec![0.0; count * width];
        (v, room, count)
    }

    /// `rows · Qᵀ`, in place: the way back. For few rows.
    pub fn rotate_back(&self, rows: &mut [f64]) {
        let n = self.size();
        rows.par_chunks_mut(n).for_each(|row| {
            for (j, scale) in self.scales.iter().enumerate().rev() {
                let v = &self.vectors[j * n + j + 1..][..n - j - 1];
                let by = scale * dot(&row[j + 1..], v);
                add_scaled(&mut row[j + 1..], -by, v);
            }
        });
    }
}

/// Makes of `x` the vector of the reflection that turns it into its length times the first axis. Returns the scale
/// and that signed length.
fn reflect(x: &mut [f64]) -> (f64, f64) {
    let tail = dot(&x[1..], &x[1..]);
    let head = x[0];
    x[0] = 1.0;
    if tail == 0.0 {
        x[1..].fill(0.0);
        return (0.0, head);
    }
    let norm = (head * head + tail).sqrt();
    let length = if head > 0.0 { -norm } else { norm };
    let factor = 1.0 / (head - length);
    x[1..].iter_mut().for_each(|x| *x *= factor);
    ((length - head) / length, length)
}

/// `y = A x` for the rows and columns from `from` on, of which the upper half is read.
fn symmetric_product(
    a: &[f64],
    n: usize,
    from: usize,
    x: &[f64],
    partial: &mut [f64],
    y: &mut [f64],
) {
    let isa = Isa::detect();
    let blocks = (n - from).div_ceil(ROWS);
    let task = |(block, out): (usize, &mut [f64])| {
        let first = from + block * ROWS;
        let last = (first + ROWS).min(n);
        out[first..].fill(0.0);
        isa.run(
            #[inline(always)]
            || {
                let mut row = first;
                while row + 8 <= last {
                    symmetric_rows::<8>(a, n, row, x, out);
                    row += 8;
                }
                (row..last).for_each(|row| symmetric_rows::<1>(a, n, row, x, out));
            },
        );
    };
    let parts = partial.chunks_exact_mut(n).take(blocks);
    if blocks <= 4 {
        parts.enumerate().for_each(task);
    } else {
        // Two at a time, since the later ones are shorter.
        partial[..blocks * n]
            .par_chunks_exact_mut(n)
            .enumerate()
            .for_each(task);
    }
    y[from..].fill(0.0);
    for (block, part) in partial.chunks_exact(n).take(blocks).enumerate() {
        let first = from + block * ROWS;
        for (y, part) in y[first..].iter_mut().zip(&part[first..]) {
            *y += part;
        }
    }
}

/// What `R` rows of the upper half give: their products with `x`, and those of their mirror images.
#[inline(always)]
fn symmetric_rows<const R: usize>(a: &[f64], n: usize, row: usize, x: &[f64], out: &mut [f64]) {
    for i in row..row + R {
        out[i] += a[i * n + i] * x[i];
        for j in i + 1..row + R {
            out[i] += a[i * n + j] * x[j];
            out[j] += a[i * n + j] * x[i];
        }
    }
    let right = row + R;
    let width = n - right;
    let eights = width / 8;
    let rows: [&[[f64; 8]]; R] =
        std::array::from_fn(|i| &a[(row + i) * n + right..][..width].as_chunks::<8>().0[..eights]);
    let factors: [f64; R] = std::array::from_fn(|i| x[row + i]);
    let x_right = &x[right..][..width];
    let (sums, out_right) = out[row..].split_at_mut(R);
    let x_eights = &x_right.as_chunks::<8>().0[..eights];
    let out_eights = &mut out_right.as_chunks_mut::<8>().0[..eights];
    let mut lanes = [[0.0; 8]; R];
    for c in 0..eights {
        let (x, mut out) = (x_eights[c], out_eights[c]);
        for i in 0..R {
            let a = rows[i][c];
            for lane in 0..8 {
                lanes[i][lane] += a[lane] * x[lane];
                out[lane] += a[lane] * factors[i];
            }
        }
        out_eights[c] = out;
    }
    for i in 0..R {
        let mut sum = add_lanes(lanes[i]);
        for c in eights * 8..width {
            let a = a[(row + i) * n + right + c];
            sum += a * x_right[c];
            out_right[c] += a * factors[i];
        }
        sums[i] += sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::identity;

    /// A symmetric matrix of numbers that follow no pattern.
    fn symmetric(n: usize) -> Vec<f64> {
        let number = |i: usize, j: usize| ((i * 7919 + j * 104_729) % 1013) as f64 / 500.0 - 1.0;
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                a[i * n + j] = number(i.min(j), i.max(j));
            }
        }
        a
    }

    #[test]
    fn the_matrix_comes_back() {
        for n in [1, 2, 3, 7, 8, 9, 31, 33, 65, 130, 333] {
            let a = symmetric(n);
            let t = Tridiagonal::new(a.clone(), n);
            let mut q = identity(n);
            t.rotate(&mut q);
            for i in 0..n {
                for j in 0..n {
                    let (qi, qj) = (&q[i * n..][..n], &q[j * n..][..n]);
                    let mut sum = 0.0;
                    for k in 0..n {
                        sum += qi[k] * t.diagonal[k] * qj[k];
                        if k + 1 < n {
                            sum += t.beside[k] * (qi[k] * qj[k + 1] + qi[k + 1] * qj[k]);
                        }
                    }
                    assert!(
                        (sum - a[i * n + j]).abs() < 1e-12 * n as f64,
                        "{n}: {i} {j}"
                    );
                    let one = dot(qi, qj) - if i == j { 1.0 } else { 0.0 };
                    assert!(one.abs() < 1e-13 * n as f64, "{n}: {i} {j}: {one}");
                }
            }
            t.rotate_back(&mut q);
            for i in 0..n {
                for j in 0..n {
                    let one = q[i * n + j] - if i == j { 1.0 } else { 0.0 };
                    assert!(one.abs() < 1e-12, "{n}: {i} {j}: {one}");
                }
            }
        }
    }
}
