//! Matrix products: the op that layers use, its two gradients (which are matrix products too), and
//! the fused form that passes make of it.

use std::fmt;
use std::sync::Arc;

use regraft_tensor::Detail;
use regraft_tensor::kernels::matmul::{
    Epilogue, EpilogueActivation, Matrix, PackedMatrix, Right, matmul, matmul_fused,
};

use crate::{Attributes, Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// y = a·b over the last axis of a: `[…, k] · [k, n] → […, n]`. With `transposed`, b is `[n, k]`.
///
/// Each element is one chain of fused multiply-adds in the order of k, so that a row of the result
/// does not depend on the rows around it.
#[derive(Clone, Copy, Debug)]
pub struct MatMul {
    /// Whether b is stored as `[n, k]`.
    pub transposed: bool,
}

/// `(…, k)` as a matrix of k columns.
fn rows<'a>(operands: &Forward<'a>, index: usize) -> Matrix<'a> {
    let (data, shape) = (operands.f32(index), operands.shape(index));
    let columns = shape[shape.len() - 1];
    let rows = shape[..shape.len() - 1].iter().product();
    Matrix::new(data, rows, columns)
}

fn right<'a>(operands: &Forward<'a>, transposed: bool) -> Matrix<'a> {
    let b = rows(operands, 1);
    if transposed { b.transposed() } else { b }
}

impl Op for MatMul {
    fn name(&self) -> &str {
        if self.transposed {
            "matmul_transposed"
        } else {
            "matmul"
        }
    }

    attributes!(transposed);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [a, b] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        let (&[first, second], Some((&last, leading))) = (b.dims(), a.dims().split_last()) else {
            return Err(Detail::new(
                "",
                "a of rank ≥ 1 and b of rank 2",
                format!("{a} and {b}"),
            ));
        };
        let (k, n) = if self.transposed {
            (second, first)
        } else {
            (first, second)
        };
        if k != last {
            return Err(Detail::new(
                "",
                format!("b with {last} rows, to go with a {a}"),
                b,
            ));
        }
        Ok(leading.iter().copied().chain([n]).collect())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        matmul(
            rows(&operands, 0),
            right(&operands, self.transposed),
            output.f32(),
        );
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (a, b, dy) = (at.operand(0), at.operand(1), at.cotangent());
        let graph = dy.graph();
        let transposed = !self.transposed;
        vec![
            at.when(0, || graph.apply(MatMul { transposed }, &[dy, b])),
            at.when(1, || {
                let operands = if self.transposed { [dy, a] } else { [a, dy] };
                graph.apply(MatMulWeightGradient, &operands)
            }),
        ]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], output: &[usize]) -> u64 {
        let k = operands[0].last().copied().unwrap_or(1);
        2 * (k * output.iter().product::<usize>()) as u64
    }
}

/// c = aᵀ·dy, summed over all leading axes: `([…, k], […, n]) → [k, n]`: the gradient of a matrix
/// product with respect to its right operand.
#[derive(Clone, Copy, Debug)]
pub struct MatMulWeightGradient;

impl Op for MatMulWeightGradient {
    fn name(&self) -> &str {
        "matmul_weight_gradient"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [a, dy] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        match (a.dims().split_last(), dy.dims().split_last()) {
            (Some((&Dim::Fixed(k), a)), Some((&Dim::Fixed(n), dy))) if a == dy => Ok([k, n].into()),
            _ => Err(Detail::new("", format!("the leading axes of {a}"), dy)),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        matmul(
            rows(&operands, 0).transposed(),
            rows(&operands, 1),
            output.f32(),
        );
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (a, dy, dc) = (at.operand(0), at.operand(1), at.cotangent());
        let graph = dc.graph();
        vec![
            at.when(0, || graph.apply(MatMul { transposed: true }, &[dy, dc])),
            at.when(1, || graph.apply(MatMul { transposed: false }, &[a, dc])),
        ]
    }

    fn flops(&self, operands: &[&[usize]], output: &[usize]) -> u64 {
        let rows: usize = operands[0].iter().rev().skip(1).product();
        2 * (rows * output.iter().product::<usize>()) as u64
    }
}

/// y = activation(a·b + bias) in one pass over y, b possibly packed once for all calls. Passes make
/// it after differentiation; it has no gradient of its own.
#[derive(Clone)]
pub struct FusedMatMul {
    /// b, if it is constant; otherwise it is operand 1.
    pub packed: Option<Arc<PackedMatrix>>,
    /// Whether b is stored as `[n, k]` (if it is an operand).
    pub transposed: bool,
    /// Whether there is a bias: the last operand.
    pub bias: bool,
    /// What is applied to the sum.
    pub activation: EpilogueActivation,
}

impl fmt::Debug for FusedMatMul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FusedMatMul")
            // The weights themselves would be pages of numbers.
            .field("packed", &self.packed.as_ref().map(Arc::as_ptr))
            .field("transposed", &self.transposed)
            .field("bias", &self.bias)
            .field("activation", &self.activation)
            .finish()
    }
}

impl Op for FusedMatMul {
    fn name(&self) -> &str {
        if self.packed.is_some() {
            "fused_matmul_packed"
        } else {
            "fused_matmul"
        }
    }

    /// None with packed weights, which are not compared.
    fn attributes(&self) -> Option<Attributes> {
        self.identity(&mut |_| ()).filter(|_| self.packed.is_none())
    }

    fn identity(&self, held: &mut dyn FnMut(&[f32])) -> Option<Attributes> {
        let Self {
            packed,
            transposed,
            bias,
            activation,
        } = self;
        let settings = Attributes::none()
            .with("transposed", *transposed)
            .with("bias", *bias)
            .with("activation", attributes::activation(*activation)?);
        if let Some(packed) = packed {
            held(packed.panels());
        }
        Some(settings)
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match &self.packed {
            None => MatMul {
                transposed: self.transposed,
            }
            .shape(&operands[..2]),
            Some(packed) => {
                let leading = &operands[0].dims()[..operands[0].rank() - 1];
                let n = Dim::Fixed(packed.columns());
                Ok(leading.iter().copied().chain([n]).collect())
            }
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let b = match &self.packed {
            Some(packed) => Right::Packed(packed),
            None => Right::Matrix(right(&operands, self.transposed)),
        };
        let epilogue = Epilogue {
            bias: self.bias.then(|| operands.f32(operands.len() - 1)),
            activation: self.activation,
        };
        matmul_fused(rows(&operands, 0), b, output.f32(), &epilogue);
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn constant_elements(&self) -> usize {
        self.packed.as_ref().map_or(0, |weights| weights.elements())
    }

    fn flops(&self, operands: &[&[usize]], output: &[usize]) -> u64 {
        MatMul { transposed: false }.flops(operands, output)
    }
}

impl<'g> Var<'g> {
    /// The matrix product over the last axis: `[…, k] · [k, n] → […, n]`, or of two batches of
    /// matrices with the same leading axes: `[…, m, k] · […, k, n] → […, m, n]`.
    pub fn matmul(self, other: Var<'g>) -> Var<'g> {
        if other.shape().rank() > 2 {
            return self.batch_matmul(other, false, false);
        }
        self.graph()
            .apply(MatMul { transposed: false }, &[self, other])
    }
}
