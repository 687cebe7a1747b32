//! Scaled dot-product attention as one op: `y = softmax(scale · q · kᵀ) · v` for every head.
//!
//! The scores are computed a tile at a time and never stored (see
//! [`kernels::attention`](regraft_tensor::kernels::attention)); the gradient computes them again.

mod gradient;
mod written_out;

pub use gradient::ScaledDotProductAttentionGradient;
pub use regraft_tensor::kernels::attention::AllMasked;

use regraft_tensor::Detail;
use regraft_tensor::kernels::attention::{self as kernel, Mask, Settings, Sizes};

use crate::{Attributes, Dim, Forward, Gradient, Op, Output, Shape, Var};

/// `y = softmax(scale · q · kᵀ, masked) · v` for each head of each sample.
///
/// | operand | shape |
/// |---|---|
/// | q | `(batch, queries, heads, size)` |
/// | k | `(batch, keys, key_heads, size)`; `heads` is a multiple of `key_heads`: that many heads in a row share one |
/// | v | `(batch, keys, key_heads, value_size)` |
/// | any number of masks | `(batch, heads, queries, keys)`, each of these or 1: a key is seen where no mask is 0 |
/// | result | `(batch, queries, heads, value_size)` |
///
/// Masks have no gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaledDotProductAttention {
    /// What scores are multiplied with, usually `1 / √size`.
    pub scale: f32,
    /// Whether query `i` sees key `j` only if `j ≤ i`.
    pub causal: bool,
    /// Query `i` sees key `j` only if `|i − j|` is below this.
    pub window: Option<usize>,
    /// What a query's result is that sees no key.
    pub all_masked: AllMasked,
}

impl ScaledDotProductAttention {
    /// Without masks of its own, and all keys alike where masks that are given leave none.
    pub fn new(scale: f32) -> Self {
        ScaledDotProductAttention {
            scale,
            causal: false,
            window: None,
            all_masked: AllMasked::Uniform,
        }
    }

    /// Whether it hides keys by itself.
    fn is_banded(&self) -> bool {
        self.causal || self.window.is_some()
    }

    fn settings<'a>(&self, masks: &'a [Mask<'a>]) -> Settings<'a> {
        Settings {
            scale: self.scale,
            causal: self.causal,
            window: self.window,
            all_masked: self.all_masked,
            masks,
        }
    }

    fn declared(&self) -> Attributes {
        let all_masked = match self.all_masked {
            AllMasked::Uniform => "uniform",
            AllMasked::Lowered => "lowered",
            AllMasked::Zero => "zero",
        };
        Attributes::none()
            .with("scale", self.scale)
            .with("causal", self.causal)
            .with("window", self.window)
            .with("all_masked", all_masked)
    }
}

/// The shape of the result, after a check of all operands.
fn result_shape(operands: &[&Shape]) -> Result<Shape, Detail> {
    let [q, k, v, masks @ ..] = operands else {
        return Err(Detail::new("", "q, k and v", operands.len()));
    };
    let wrong = |expected: &str| {
        let received = format!("q {q}, k {k}, v {v}");
        Err(Detail::new("", expected, received))
    };
    let (&[batch, queries, heads, size], &[k_batch, keys, key_heads, k_size]) =
        (q.dims(), k.dims())
    else {
        return wrong("q, k and v of shape (batch, steps, heads, size)");
    };
    let &[v_batch, v_keys, v_heads, value_size] = v.dims() else {
        return wrong("q, k and v of shape (batch, steps, heads, size)");
    };
    let fixed = [queries, heads, size, keys, key_heads, value_size];
    if fixed.iter().any(|dim| dim.fixed().is_none()) || batch != k_batch || batch != v_batch {
        return wrong("the same batch in front of q, k and v, and fixed sizes behind it");
    }
    if size != k_size || keys != v_keys || key_heads != v_heads {
        return wrong("k with the features of q, and v with the keys and heads of k");
    }
    let whole = |a: Dim, b: Dim| b.size(1) > 0 && a.size(1).is_multiple_of(b.size(1));
    if !whole(heads, key_heads) {
        return wrong("heads of q that are a multiple of those of k");
    }
    let all = [batch, heads, queries, keys];
    for mask in masks {
        let one = Dim::Fixed(1);
        let axes = mask.dims().iter().zip(all);
        if mask.rank() != 4
            || axes
                .into_iter()
                .any(|(&dim, whole)| dim != one && dim != whole)
        {
            let expected = format!(
                "a mask of shape {}, or 1 in the place of any",
                Shape::from_iter(all)
            );
            return Err(Detail::new("mask", expected, mask));
        }
    }
    Ok([batch, queries, heads, value_size].into_iter().collect())
}

/// The sizes of operands that [`result_shape`] has checked.
fn sizes(q: &[usize], k: &[usize], v: &[usize]) -> Sizes {
    Sizes {
        batch: q[0],
        queries: q[1],
        keys: k[1],
        heads: q[2],
        key_heads: k[2],
        size: q[3],
        value_size: v[3],
    }
}

/// The masks among operands, which begin at `first`.
fn masks<'a>(operands: &Forward<'a>, first: usize) -> Vec<Mask<'a>> {
    let mask = |index: usize| Mask {
        data: operands.f32(index),
        shape: std::array::from_fn(|axis| operands.shape(index)[axis]),
    };
    (first..operands.len()).map(mask).collect()
}

/// Multiplications and additions of one product of scores and one of values.
fn flops(q: &[usize], k: &[usize], v: &[usize]) -> u64 {
    let scores = q[0] * q[1] * q[2] * k[1];
    (2 * scores * (q[3] + v[3])) as u64
}

impl Op for ScaledDotProductAttention {
    fn name(&self) -> &str {
        "scaled_dot_product_attention"
    }

    fn attributes(&self) -> Option<Attributes> {
        Some(self.declared())
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        result_shape(operands)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let [q, k, v] = [0, 1, 2].map(|index| operands.f32(index));
        let sizes = sizes(operands.shape(0), operands.shape(1), operands.shape(2));
        let masks = masks(&operands, 3);
        kernel::attention(&sizes, &self.settings(&masks), q, k, v, output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        gradient::of(*self, at)
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        flops(operands[0], operands[1], operands[2])
    }
}

impl<'g> Var<'g> {
    /// [`ScaledDotProductAttention`] of these queries: `(batch, queries, heads, size)`, with keys, values and masks.
    ///
    /// ```
    /// use regraft_autograd::ops::ScaledDotProductAttention;
    /// use regraft_autograd::{DataType, Graph, Shape};
    ///
    /// let graph = Graph::new();
    /// // Five steps with two heads of four features, which look at each other.
    /// let x = graph.input("x", Shape::batch_of(&[5, 2, 4]), DataType::F32);
    /// let y = x.attention(x, x, &[], ScaledDotProductAttention::new(0.5));
    /// assert_eq!(y.shape(), x.shape());
    /// # graph.check().unwrap();
    /// ```
    pub fn attention(
        self,
        keys: Var<'g>,
        values: Var<'g>,
        masks: &[Var<'g>],
        op: ScaledDotProductAttention,
    ) -> Var<'g> {
        let operands = [&[self, keys, values], masks].concat();
        self.graph().apply(op, &operands)
    }
}
