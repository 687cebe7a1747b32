//! Systems of linear equations, determinants and Cholesky factors of square matrices.

use regraft_tensor::kernels::linear_systems;
use regraft_tensor::{Detail, Tensor};

use crate::{Dim, Forward, Gradient, Graph, Op, Output, Shape, Var, attributes};

/// The leading axes of square matrices, and their number of rows.
fn square(x: &Shape) -> Result<(&[Dim], usize), Detail> {
    match x.dims() {
        [leading @ .., Dim::Fixed(rows), Dim::Fixed(columns)] if rows == columns => {
            Ok((leading, *rows))
        }
        _ => Err(Detail::new("", "square matrices (…, n, n)", x)),
    }
}

fn size(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

/// What is wrong with the first matrix for which the result does not exist.
fn none_for(what: &str, shape: &[usize], number: usize) -> Detail {
    let received = format!("matrix {number} of shape {shape:?}, which is none");
    Detail::new("", format!("matrices that are {what}"), received)
}

/// y with `a · y = b`, or `aᵀ · y = b` if so set: `[…, n, n]` and `[…, n, k] → […, n, k]`.
#[derive(Clone, Copy, Debug)]
pub struct Solve {
    /// Whether a is taken transposed.
    pub transposed: bool,
}

impl Op for Solve {
    fn name(&self) -> &str {
        "solve"
    }

    attributes!(transposed);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [a, b] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        let (leading, n) = square(a)?;
        match b.dims() {
            [of_b @ .., Dim::Fixed(rows), Dim::Fixed(_)] if *rows == n && of_b == leading => {
                Ok((*b).clone())
            }
            _ => {
                let expected = format!("{n} numbers for each of the matrices {a}, as columns");
                Err(Detail::new("", expected, b))
            }
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (shape, transposed) = (operands.shape(0), self.transposed);
        let (n, k) = (size(shape), size(operands.shape(1)));
        let (a, b) = (operands.f32(0), operands.f32(1));
        let solved = linear_systems::solve(n, k, transposed, a, b, output.f32());
        solved.map_err(|number| none_for("invertible", shape, number))
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (a, y) = (at.operand(0), at.result());
        let db = a.solve(at.cotangent(), !self.transposed);
        let product = |x: Var<'g>, y: Var<'g>| -x.batch_matmul(y, false, true);
        let da = at.when(0, || match self.transposed {
            false => product(db, y),
            true => product(y, db),
        });
        vec![da, at.when(1, || db)]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

/// The determinant of each matrix: `[…, n, n] → […]`.
#[derive(Clone, Copy, Debug)]
pub struct Determinant;

/// The sign of the determinant of each matrix (−1, 0 or 1), which has no gradient, and the logarithm of its
/// magnitude: `[…, n, n] → […, 2]`.
#[derive(Clone, Copy, Debug)]
pub struct LogDeterminant;

/// The gradient of the logarithm of a determinant: the inverse, transposed, times `slope`.
fn of_logarithm<'g>(x: Var<'g>, slope: Var<'g>) -> Var<'g> {
    let rank = slope.shape().rank();
    x.solve(identity(x), true) * slope.expand_dims(rank).expand_dims(rank + 1)
}

impl Op for Determinant {
    fn name(&self) -> &str {
        "determinant"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let (leading, _) = square(operands[0])?;
        Ok(leading.iter().copied().collect())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let n = size(operands.shape(0));
        let each = linear_systems::log_determinants(n, operands.f32(0));
        for (y, (sign, logarithm)) in output.f32().iter_mut().zip(each) {
            *y = (sign * logarithm.exp()) as f32;
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let slope = at.cotangent() * at.result();
        vec![Some(of_logarithm(at.operand(0), slope))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl Op for LogDeterminant {
    fn name(&self) -> &str {
        "log_determinant"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let (leading, _) = square(operands[0])?;
        Ok(leading.iter().copied().chain([Dim::Fixed(2)]).collect())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let n = size(operands.shape(0));
        let each = linear_systems::log_determinants(n, operands.f32(0));
        for (y, (sign, logarithm)) in output.f32().chunks_exact_mut(2).zip(each) {
            y.copy_from_slice(&[sign as f32, logarithm as f32]);
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(of_logarithm(at.operand(0), part(at.cotangent(), 1)))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

/// One of the two numbers of a [`LogDeterminant`].
fn part(both: Var<'_>, index: usize) -> Var<'_> {
    let last = both.shape().rank().saturating_sub(1);
    both.slice(last, index..index + 1).squeeze(last)
}

/// The lower triangles L with `L · Lᵀ = x`, of positive definite matrices `[…, n, n]`; what is above the
/// diagonal of x is not read.
#[derive(Clone, Copy, Debug)]
pub struct Cholesky;

impl Op for Cholesky {
    fn name(&self) -> &str {
        "cholesky"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        square(operands[0]).map(|_| operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let shape = operands.shape(0);
        let factors = linear_systems::cholesky(size(shape), operands.f32(0), output.f32());
        factors.map_err(|number| none_for("positive definite", shape, number))
    }

    /// With Φ for the lower triangle, its diagonal halved: ½ (S + Sᵀ) for S = L⁻ᵀ · Φ(Lᵀ · dL) · L⁻¹ (Murray:
    /// "Differentiation of the Cholesky decomposition").
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (l, dl) = (at.result(), at.cotangent());
        let n = l.shape().dims().last().map_or(0, |n| n.size(0));
        let half = matrix(l.graph(), n, |row, column| match column.cmp(&row) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        });
        let middle = l.batch_matmul(dl, true, false) * half;
        let swapped = |x: Var<'g>| {
            let rank = x.shape().rank();
            let mut axes: Vec<usize> = (0..rank).collect();
            axes.swap(rank - 1, rank - 2);
            x.permute(&axes)
        };
        let left = l.solve(middle, true);
        let s = swapped(l.solve(swapped(left), true));
        vec![Some((s + swapped(s)) * 0.5)]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

/// A constant matrix of n × n.
fn matrix(graph: &Graph, n: usize, value: impl Fn(usize, usize) -> f32) -> Var<'_> {
    let cells = (0..n).flat_map(|row| (0..n).map(move |column| (row, column)));
    let values = cells.map(|(row, column)| value(row, column)).collect();
    graph.constant(Tensor::new([n, n], values).expect("n × n numbers"))
}

/// The identity for each matrix of `x`.
fn identity(x: Var<'_>) -> Var<'_> {
    let n = x.shape().dims().last().map_or(0, |n| n.size(0));
    let one = matrix(x.graph(), n, |row, column| {
        f32::from(u8::from(row == column))
    });
    one.broadcast_to(x.shape())
}

impl<'g> Var<'g> {
    /// y with `self · y = b` (or `selfᵀ · y = b`): `[…, n, n]` and `[…, n, k] → […, n, k]`, over leading axes
    /// that must be the same. Running it is an error if a matrix has no inverse.
    pub fn solve(self, b: Var<'g>, transposed: bool) -> Var<'g> {
        self.graph().apply(Solve { transposed }, &[self, b])
    }

    /// The inverse of each matrix `[…, n, n]`.
    pub fn inverse(self) -> Var<'g> {
        match square(&self.shape()) {
            Ok(_) => self.solve(identity(self), false),
            // Which says what is wrong.
            Err(_) => self.solve(self, false),
        }
    }

    /// The determinant of each matrix: `[…, n, n] → […]`.
    pub fn determinant(self) -> Var<'g> {
        self.graph().apply(Determinant, &[self])
    }

    /// The sign of the determinant of each matrix, and the logarithm of its magnitude.
    pub fn log_determinant(self) -> (Var<'g>, Var<'g>) {
        let both = self.graph().apply(LogDeterminant, &[self]);
        (part(both, 0).stop_gradient(), part(both, 1))
    }

    /// The lower triangles L with `L · Lᵀ = self`, of positive definite matrices `[…, n, n]`.
    pub fn cholesky(self) -> Var<'g> {
        self.graph().apply(Cholesky, &[self])
    }
}
