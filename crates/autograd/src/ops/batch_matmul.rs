//! Products of two batches of matrices.

use regraft_tensor::Detail;
use regraft_tensor::kernels::matmul::{Matrix, matmul_batched};

use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `y[i] = a[i] · b[i]` over all leading axes, which must be the same:
/// `[…, m, k] · […, k, n] → […, m, n]`, either operand's last two axes swapped if so set.
#[derive(Clone, Copy, Debug)]
pub struct BatchMatMul {
    /// Whether a is stored as `[…, k, m]`.
    pub transpose_a: bool,
    /// Whether b is stored as `[…, n, k]`.
    pub transpose_b: bool,
}

/// The first of the matrices of an operand, and how far the next one is.
fn matrices<'a>(operands: &Forward<'a>, index: usize, transpose: bool) -> (Matrix<'a>, usize) {
    let shape = operands.shape(index);
    let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let matrix = Matrix::new(operands.f32(index), rows, columns);
    let matrix = if transpose {
        matrix.transposed()
    } else {
        matrix
    };
    (matrix, rows * columns)
}

impl Op for BatchMatMul {
    fn name(&self) -> &str {
        "batch_matmul"
    }

    attributes!(transpose_a, transpose_b);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [a, b] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        let wrong = |expected: &str| {
            let help = "matrices are the last two axes; all axes before them must be the same";
            Err(Detail::new("", expected, format!("{a} and {b}")).help(help))
        };
        let ([a_leading @ .., a0, a1], [b_leading @ .., b0, b1]) = (a.dims(), b.dims()) else {
            return wrong("two batches of matrices");
        };
        if a_leading.is_empty() || a_leading != b_leading {
            return wrong("the same leading axes, at least one");
        }
        let (m, a_inner) = if self.transpose_a { (a1, a0) } else { (a0, a1) };
        let (b_inner, n) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        if a_inner != b_inner {
            return wrong("as many columns of a as rows of b");
        }
        Ok(a_leading.iter().chain([m, n]).copied().collect())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let leading = output.shape.len() - 2;
        let batch: usize = output.shape[..leading].iter().product();
        let out = output.f32();
        if out.is_empty() {
            return Ok(());
        }
        let (a, a_stride) = matrices(&operands, 0, self.transpose_a);
        let (b, b_stride) = matrices(&operands, 1, self.transpose_b);
        matmul_batched(batch, a, a_stride, b, b_stride, out);
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (a, b, dy) = (at.operand(0), at.operand(1), at.cotangent());
        let (swap_a, swap_b) = (self.transpose_a, self.transpose_b);
        vec![
            at.when(0, || match swap_a {
                false => dy.batch_matmul(b, false, !swap_b),
                true => b.batch_matmul(dy, swap_b, true),
            }),
            at.when(1, || match swap_b {
                false => a.batch_matmul(dy, !swap_a, false),
                true => dy.batch_matmul(a, true, swap_a),
            }),
        ]
    }

    /// Every matrix of the result comes from the matrices at the same place.
    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], output: &[usize]) -> u64 {
        let swapped = usize::from(self.transpose_a);
        let k = operands[0].iter().rev().nth(swapped).copied().unwrap_or(1);
        2 * (k * output.iter().product::<usize>()) as u64
    }
}

impl<'g> Var<'g> {
    /// The products of two batches of matrices (the last two axes), over leading axes that must be
    /// the same: `[…, m, k] · […, k, n] → […, m, n]`. A transposed operand has its last two axes
    /// swapped, without being moved.
    pub fn batch_matmul(self, other: Var<'g>, transpose_a: bool, transpose_b: bool) -> Var<'g> {
        let op = BatchMatMul {
            transpose_a,
            transpose_b,
        };
        self.graph().apply(op, &[self, other])
    }
}
