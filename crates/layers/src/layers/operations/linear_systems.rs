//! Systems of linear equations, determinants and factors of square matrices.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, LINALG, MATH, Takes, X, function, one};
use super::typed::{Typed, floats, promoted};

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

const A_B: Takes = Takes::Values(&["a", "b"]);

pub(super) const TABLE: &[Declared] = &[
    Declared::new("Inv", X, |a| of_square(a, |x, _| x.inverse()))
        .within(LINALG)
        .like(&[function("linalg.inv", "input=x -adjoint")]),
    Declared::new("Det", X, |a| of_square(a, |x, _| x.determinant()))
        .within(LINALG)
        .like(&[function("linalg.det", "input=x")]),
    Declared::new("Slogdet", X, |a| {
        let (x, _) = square(a, "x")?;
        let (sign, logarithm) = x.var.log_determinant();
        Ok(vec![x.with(sign), x.with(logarithm)])
    }),
    Declared::new("Logdet", X, |a| {
        // Of positive definite matrices, as in Keras.
        of_square(a, |x, n| {
            let rank = x.shape().rank();
            let diagonal =
                (x.cholesky() * triangle(x, n, |row, column| row == column)).sum(&[rank - 1]);
            diagonal.log().sum(&[rank - 2]) * 2.0
        })
    })
    .within(MATH),
    Declared::new("Cholesky", X, |a| {
        let upper = a.settings.or::<bool>("upper", false)?;
        of_square(a, |x, _| match upper {
            false => x.cholesky(),
            true => transposed(x.cholesky()),
        })
    })
    .within(LINALG)
    .like(&[function("linalg.cholesky", "input=x")]),
    Declared::new("CholeskyInverse", X, |a| {
        // Of the matrix whose factor `x` is: the other triangle is not read.
        let upper = a.settings.or::<bool>("upper", false)?;
        of_square(a, |x, n| {
            let factor = x * triangle(x, n, |i, j| if upper { i <= j } else { j <= i });
            let inverse = factor.inverse();
            match upper {
                true => inverse.batch_matmul(inverse, false, true),
                false => inverse.batch_matmul(inverse, true, false),
            }
        })
    })
    .within(LINALG),
    Declared::new("Solve", A_B, |a| solve(a, |x, _| x))
        .within(LINALG)
        .like(&[function("linalg.solve", "matrix=a rhs=b -adjoint")]),
    Declared::new("SolveTriangular", A_B, |a| {
        let lower = a.settings.or::<bool>("lower", false)?;
        solve(a, |x, n| {
            x * triangle(x, n, |i, j| if lower { j <= i } else { i <= j })
        })
    })
    .within(LINALG),
];

/// Square matrices as floats, and their number of rows.
fn square<'g>(a: &Arguments<'g, '_>, name: &'static str) -> Result<(Typed<'g>, usize), Detail> {
    let x = a.tensor(name)?.to_float();
    match x.shape().dims() {
        [_, .., Dim::Fixed(rows), Dim::Fixed(columns)] if rows == columns => Ok((x, *rows)),
        _ => Err(Detail::new(name, "square matrices (…, n, n)", x.shape())),
    }
}

fn of_square<'g>(
    a: &Arguments<'g, '_>,
    function: impl Fn(Var<'g>, usize) -> Var<'g>,
) -> Results<'g> {
    let (x, n) = square(a, "x")?;
    one(x.with(function(x.var, n)))
}

fn transposed(x: Var<'_>) -> Var<'_> {
    let rank = x.shape().rank();
    let mut axes: Vec<usize> = (0..rank).collect();
    axes.swap(rank - 1, rank - 2);
    x.permute(&axes)
}

/// 1 in the cells of n × n that are kept, 0 elsewhere.
fn triangle<'g>(x: Var<'g>, n: usize, keep: impl Fn(usize, usize) -> bool) -> Var<'g> {
    let cells = (0..n * n).map(|at| f32::from(u8::from(keep(at / n, at % n))));
    floats(x.graph(), vec![n, n], cells.collect())
}

/// `a · y = b` for vectors or matrices `b`, with what `of` makes of `a`.
fn solve<'g>(a: &Arguments<'g, '_>, of: impl Fn(Var<'g>, usize) -> Var<'g>) -> Results<'g> {
    let both = promoted(&[a.tensor("a")?, a.tensor("b")?]);
    let [x, b] = [both[0].to_float(), both[1].to_float()];
    let Some(Dim::Fixed(n)) = x.shape().dims().last().copied() else {
        return Err(Detail::new("a", "square matrices (…, n, n)", x.shape()));
    };
    let is_vector = b.rank() + 1 == x.rank();
    let columns = match is_vector {
        true => b.var.expand_dims(b.rank()),
        false => b.var,
    };
    // What is the same for all samples stands beside each.
    let leading = |x: Var<'_>| -> Option<Shape> {
        let shape = x.shape();
        let count = shape.rank().checked_sub(2)?;
        Some(shape.dims()[..count].iter().copied().collect())
    };
    let all = leading(x.var).zip(leading(columns));
    let all = all.and_then(|(a, b)| a.broadcast(&b)).ok_or_else(|| {
        let expected = format!("leading axes that go with {}", x.shape());
        Detail::new("b", expected, b.shape())
    })?;
    let widened = |x: Var<'g>| {
        let shape = x.shape();
        let matrix = &shape.dims()[shape.rank() - 2..];
        x.broadcast_to(all.dims().iter().chain(matrix).copied().collect::<Shape>())
    };
    let y = widened(of(x.var, n)).solve(widened(columns), false);
    one(b.with(match is_vector {
        true => y.squeeze(y.shape().rank() - 1),
        false => y,
    }))
}
