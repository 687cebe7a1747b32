//! A table of formulas, at least one for every op, which the property tests go through.

// Each test binary uses a part of it.
#![allow(dead_code)]

pub mod random_graph;

use regraft_autograd::ops::{AllMasked, Cell, Keep, Recurrence, ScaledDotProductAttention};
use regraft_autograd::{DataType, Dim, IntTensor, Shape, Tensor, Var};
use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::kernels::resize::ResizeMethod;
use regraft_tensor::kernels::window::Window;

/// Three sizes that a test draws.
pub type Sizes = [usize; 3];

/// What values an operand takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// Between −1.5 and 1.5.
    Real,
    /// Between 0.4 and 2.
    Positive,
    /// Odd multiples of 1/8, all different: away from the kinks of functions such as `abs`.
    Odd,
    /// Even multiples of 1/8, all different: also different from all of `Odd`.
    Even,
    /// Whole numbers from 0 to below this.
    Class(usize),
}

/// One operand of a formula: its sizes (the batch included) and values.
pub type Operand = (Vec<Dim>, Values);

/// A formula and what is known of it.
pub struct Case {
    pub name: &'static str,
    pub operands: fn(Sizes) -> Vec<Operand>,
    pub formula: for<'g> fn(&[Var<'g>], Sizes) -> Var<'g>,
    /// Whether it can be part of the frozen prefix: a row depends on its own row alone.
    pub apart: bool,
}

/// An operand whose axis 0 is the batch.
pub fn rows(sample: &[usize], values: Values) -> Operand {
    let shape = Shape::batch_of(sample);
    (shape.dims().to_vec(), values)
}

/// An operand of fixed sizes.
pub fn fixed(sizes: &[usize], values: Values) -> Operand {
    (Shape::from(sizes).dims().to_vec(), values)
}

impl Case {
    /// The operands' values for `batch` samples, as 32-bit words: floats, or integers.
    pub fn values(&self, sizes: Sizes, batch: usize, seed: u64) -> Vec<Value> {
        let operands = (self.operands)(sizes);
        let draw = |(stream, (dims, values)): (usize, &Operand)| {
            let shape: Vec<usize> = dims.iter().map(|dim| dim.size(batch)).collect();
            draw(&shape, *values, Key::new(seed, stream as u64))
        };
        operands.iter().enumerate().map(draw).collect()
    }
}

/// An operand's value.
#[derive(Clone, Debug)]
pub enum Value {
    F32(Tensor),
    I32(IntTensor),
}

impl Value {
    pub fn data_type(&self) -> DataType {
        match self {
            Value::F32(_) => DataType::F32,
            Value::I32(_) => DataType::I32,
        }
    }
}

fn draw(shape: &[usize], values: Values, key: Key) -> Value {
    let length: usize = shape.iter().product();
    let mut numbers = vec![0.0; length];
    random::uniform(key, 0, &mut numbers);
    let grid = |offset: f32| {
        let order = random::permutation(key, length as u32);
        order
            .into_iter()
            .map(|place| (place as f32 - (length / 2) as f32) * 0.25 + offset)
            .collect()
    };
    match values {
        Values::Real => numbers.iter_mut().for_each(|u| *u = *u * 3.0 - 1.5),
        Values::Positive => numbers.iter_mut().for_each(|u| *u = *u * 1.6 + 0.4),
        Values::Odd => numbers = grid(0.125),
        Values::Even => numbers = grid(0.0),
        Values::Class(classes) => {
            let classes = numbers.iter().map(|u| (u * classes as f32) as i32);
            return Value::I32(IntTensor::new(shape, classes.collect()).unwrap());
        }
    }
    Value::F32(Tensor::new(shape, numbers).unwrap())
}

macro_rules! cases {
    ($($name:literal $apart:ident [$($operand:expr),*] |$x:pat_param, $s:pat_param| $formula:expr;)*) => {
        vec![$(Case {
            name: $name,
            operands: |$s: Sizes| vec![$($operand),*],
            formula: |x, $s: Sizes| { let $x = x else { unreachable!() }; $formula },
            apart: cases!(@ $apart),
        }),*]
    };
    (@ apart) => { true };
    (@ mixed) => { false };
}

/// A matrix whose diagonal is larger than all beside it, so that it is far from having no inverse.
fn dominant<'g>(x: Var<'g>, n: usize) -> Var<'g> {
    let one = (0..n * n).map(|at| f32::from(u8::from(at.is_multiple_of(n + 1))));
    let one = Tensor::new([n, n], one.collect()).unwrap();
    x * 0.3 + x.graph().constant(one) * 2.0
}

/// Formulas for all differentiable ops; where there are kinks, the values keep away from them.
// Not every size occurs in both of a case's closures.
#[allow(unused_variables)]
pub fn differentiable() -> Vec<Case> {
    use Values::{Class, Even, Odd, Positive, Real};
    cases! {
        "add" apart [rows(&[a], Real), fixed(&[a], Real)] |&[x, y], [a, _, _]| x + y;
        "subtract" apart [rows(&[a], Real), rows(&[1], Real)] |&[x, y], [a, _, _]| x - y;
        "multiply" apart [rows(&[a, b], Real), rows(&[1, b], Real)] |&[x, y], [a, b, _]| x * y;
        "divide" apart [rows(&[a, b], Real), fixed(&[a, 1], Positive)] |&[x, y], [a, b, _]| x / y;
        "power" apart [rows(&[a], Positive), fixed(&[a], Real)] |&[x, y], [a, _, _]| x.power(y);
        "maximum" apart [rows(&[a], Odd), fixed(&[a], Even)] |&[x, y], [a, _, _]| x.maximum(y);
        "minimum" apart [rows(&[a], Odd), rows(&[1], Even)] |&[x, y], [a, _, _]| x.minimum(y);
        "floor_modulo" apart [rows(&[a], Odd), fixed(&[1], Real)]
            |&[x, y], [a, _, _]| x.floor_modulo(y * 0.03 + 8.0 * a as f32);
        "floor_modulo_by_less" apart [rows(&[a], Odd)] |&[x], [a, _, _]| x.floor_modulo(-0.25);
        "select" apart [rows(&[a], Odd), rows(&[a], Real), fixed(&[a], Real)]
            |&[c, x, y], [a, _, _]| c.greater(0.0).select(x, y);
        "select_rows" apart [rows(&[1, b], Odd), rows(&[a, 1], Real)]
            |&[c, x], [a, b, _]| c.greater(0.0).select(x, 2.0);
        "negate" apart [rows(&[a], Real)] |&[x], [a, _, _]| -x;
        "exp" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.exp();
        "expm1" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.expm1();
        "log" apart [rows(&[a], Positive)] |&[x], [a, _, _]| x.log();
        "log1p" apart [rows(&[a], Positive)] |&[x], [a, _, _]| x.log1p();
        "tanh" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.tanh();
        "sigmoid" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.sigmoid();
        "softplus" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.softplus();
        "erf" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.erf();
        "erfinv" apart [rows(&[a], Real)] |&[x], [a, _, _]| (x * 0.5).erfinv();
        "sin" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.sin();
        "cos" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.cos();
        "tan" apart [rows(&[a], Real)] |&[x], [a, _, _]| (x * 0.5).tan();
        "arcsin" apart [rows(&[a], Real)] |&[x], [a, _, _]| (x * 0.5).arcsin();
        "arccos" apart [rows(&[a], Real)] |&[x], [a, _, _]| (x * 0.5).arccos();
        "arctan" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.arctan();
        "sinh" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.sinh();
        "cosh" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.cosh();
        "arcsinh" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.arcsinh();
        "arccosh" apart [rows(&[a], Positive)] |&[x], [a, _, _]| (x + 1.0).arccosh();
        "arctanh" apart [rows(&[a], Real)] |&[x], [a, _, _]| (x * 0.5).arctanh();
        "cbrt" apart [rows(&[a], Positive)] |&[x], [a, _, _]| x.cbrt();
        "abs" apart [rows(&[a], Odd)] |&[x], [a, _, _]| x.abs();
        "square" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.square();
        "sqrt" apart [rows(&[a], Positive)] |&[x], [a, _, _]| x.sqrt();
        "rsqrt" apart [rows(&[a], Positive)] |&[x], [a, _, _]| x.rsqrt();
        "reciprocal" apart [rows(&[a], Positive)] |&[x], [a, _, _]| x.reciprocal();
        "powf" apart [rows(&[a], Positive)] |&[x], [a, _, _]| x.powf(2.5);
        "powf_0" apart [rows(&[a], Even)] |&[x], [a, _, _]| x.powf(0.0);
        "silu" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.silu();
        "gelu" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.gelu();
        "gelu_tanh" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.gelu_tanh();
        "relu" apart [rows(&[a], Odd)] |&[x], [a, _, _]| x.relu();
        "leaky_relu" apart [rows(&[a], Odd)] |&[x], [a, _, _]| x.leaky_relu(0.3);
        "clip" apart [rows(&[a], Odd)] |&[x], [a, _, _]| x.clip(-0.5, 1.0);
        "glu" apart [rows(&[2 * a], Real)] |&[x], [a, _, _]| x.glu(1);
        "softmax" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.softmax();
        "log_softmax" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.log_softmax();
        "log_sum_exp" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.log_sum_exp();
        "softmax_cross_entropy" apart [rows(&[a + 1], Real), rows(&[], Class(a + 1))]
            |&[x, labels], [a, _, _]| x.softmax_cross_entropy(labels);
        "sum" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.sum(&[1]);
        "sum_batch" mixed [rows(&[a, b], Real)] |&[x], [a, b, _]| x.sum_keeping(&[0, 2]);
        "sum_to" mixed [rows(&[a, b], Real)] |&[x], [a, b, _]| x.sum_to([b]);
        "mean" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.mean_keeping(&[2]);
        "mean_batch" mixed [rows(&[a, b], Real)] |&[x], [a, b, _]| x.mean(&[0]);
        "variance" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.variance(&[1, 2]);
        "variance_batch" mixed [rows(&[a, b], Real)] |&[x], [a, b, _]| x.variance_keeping(&[0, 1]);
        "max" apart [rows(&[a, b], Odd)] |&[x], [a, b, _]| x.max(&[2]);
        "max_batch" mixed [rows(&[a, b], Odd)] |&[x], [a, b, _]| x.max_keeping(&[0]);
        "min" apart [rows(&[a, b], Odd)] |&[x], [a, b, _]| x.min_keeping(&[1]);
        "min_all" mixed [rows(&[a, b], Odd)] |&[x], [a, b, _]| x.min_all();
        "broadcast_to" apart [rows(&[1, b], Real)]
            |&[x], [a, b, _]| x.broadcast_to([x.shape().dims()[0], a.into(), b.into()]);
        "rows_of_samples" apart [rows(&[a, b], Real), fixed(&[b, a], Real)] |&[x, w], [a, b, _]| {
            let rows = x.reshape([rows_of_samples(x, a), b.into()]);
            let y = rows.matmul(w).softmax();
            y.reshape([x.shape().dims()[0], a.into(), a.into()])
        };
        "mean_of_rows_of_samples" mixed [rows(&[a, b], Real)] |&[x], [a, b, _]| {
            let rows = x.reshape([rows_of_samples(x, a), b.into()]);
            (rows - rows.mean_keeping(&[0])).reshape(x.shape())
        };
        "reshape" apart [rows(&[a, b], Real)]
            |&[x], [a, b, _]| x.reshape([x.shape().dims()[0], (a * b).into()]);
        "flatten" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.flatten();
        "expand_squeeze" apart [rows(&[a, 1], Real)] |&[x], [a, _, _]| x.expand_dims(1).squeeze(3);
        "permute" apart [rows(&[a, b, c], Real)] |&[x], [a, b, c]| x.permute(&[0, 3, 1, 2]);
        "transpose" mixed [fixed(&[b], Real), rows(&[a, b], Real)]
            |&[w, x], [a, b, _]| (x * w).transpose();
        "pick" apart [rows(&[a, b + 1], Real)] |&[x], [a, b, _]| x.pick(2, vec![b, 0, b]);
        "take_along" apart [rows(&[a + 1], Real), rows(&[b], Class(a + 1))]
            |&[x, indices], [a, b, _]| x.take_along(indices);
        "slice" apart [rows(&[a, b + 2], Real)] |&[x], [a, b, _]| x.slice(2, 1..b + 1);
        "pad" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.pad(&[(0, 0), (1, 0), (0, 2)], 0.5);
        "crop" apart [rows(&[a + 1, b + 2], Real)]
            |&[x], [a, b, _]| x.crop(&[(0, 0), (0, 1), (2, 0)]);
        "concatenate" apart [rows(&[a, b], Real), rows(&[1, b], Real), rows(&[c, b], Real)]
            |&[x, y, z], [a, b, c]| x.graph().concatenate(&[x, y, z], 1);
        "gather" apart [fixed(&[a + 1, b], Real), rows(&[c], Class(a + 1))]
            |&[table, indices], [a, b, c]| table.gather(indices);
        "matmul" apart [rows(&[a], Real), fixed(&[a, b], Real)] |&[x, w], [a, b, _]| x.matmul(w);
        "matmul_deep" apart [rows(&[c, a], Real), fixed(&[a, b], Real)]
            |&[x, w], [a, b, c]| x.matmul(w);
        "batch_matmul" apart [rows(&[a, b], Real), rows(&[b, c], Real)]
            |&[x, y], [a, b, c]| x.matmul(y);
        "batch_matmul_a" apart [rows(&[b, a], Real), rows(&[b, c], Real)]
            |&[x, y], [a, b, c]| x.batch_matmul(y, true, false);
        "batch_matmul_b" apart [rows(&[a, b], Real), rows(&[c, b], Real)]
            |&[x, y], [a, b, c]| x.batch_matmul(y, false, true);
        "batch_matmul_ab" apart [rows(&[b, a], Real), rows(&[c, b], Real)]
            |&[x, y], [a, b, c]| x.batch_matmul(y, true, true);
        "attention" apart [rows(&[a, 2, c], Real), rows(&[b, 2, c], Real), rows(&[b, 2, 2], Real)]
            |&[q, k, v], [a, b, c]| q.attention(k, v, &[], ScaledDotProductAttention::new(0.7));
        "attention_masked" apart [rows(&[a, 4, c], Real), rows(&[b + 1, 2, c], Real), rows(&[b + 1, 2, 1], Real), rows(&[1, 1, b], Class(2))]
            |&[q, k, v, mask], [a, b, c]| {
                // Every query sees the first key: where nothing is seen, lowered scores have no slope in floats.
                let mask = mask.to_f32();
                let first = mask.slice(3, 0..1) * 0.0 + 1.0;
                let mask = mask.graph().concatenate(&[first, mask], 3);
                q.attention(k, v, &[mask], ScaledDotProductAttention {
                    all_masked: AllMasked::Lowered, ..ScaledDotProductAttention::new(0.6) })
            };
        "attention_masks" apart [rows(&[a, 2, c], Real), rows(&[b, 1, c], Real), rows(&[b, 1, 2], Real), rows(&[1, a, 1], Class(2)), fixed(&[1, 2, a, b], Class(2))]
            |&[q, k, v, m, n], [a, b, c]| q.attention(k, v, &[m.to_f32(), n.to_f32()], ScaledDotProductAttention {
                all_masked: AllMasked::Zero, ..ScaledDotProductAttention::new(-0.5) });
        "attention_band" apart [rows(&[a, 1, c], Real), rows(&[b, 1, c], Real), rows(&[b, 1, 2], Real), rows(&[1, 1, b], Class(2))]
            |&[q, k, v, mask], [a, b, c]| q.attention(k, v, &[mask.to_f32()], ScaledDotProductAttention {
                causal: true, window: Some(2), ..ScaledDotProductAttention::new(0.5) });
        "solve" apart [rows(&[a, a], Real), rows(&[a, b], Real)]
            |&[x, y], [a, b, _]| dominant(x, a).solve(y, false);
        "solve_transposed" apart [rows(&[a, a], Real), rows(&[a, b], Real)]
            |&[x, y], [a, b, _]| dominant(x, a).solve(y, true);
        "determinant" apart [rows(&[b, a, a], Real)]
            |&[x], [a, b, _]| (dominant(x, a) * 0.5).determinant();
        "log_determinant" apart [rows(&[a, a], Real)] |&[x], [a, _, _]| dominant(x, a).log_determinant().1;
        "cholesky" apart [rows(&[a, a], Real)] |&[x], [a, _, _]| {
            let x = dominant(x, a);
            x.batch_matmul(x, false, true).cholesky()
        };
        "convolution_1d" apart [rows(&[c + 4, a], Real), fixed(&[3, a, b], Real)]
            |&[x, k], [a, b, c]| x.convolution(
                k, Window::new(&[3]).strides(&[2]).dilation(&[2]).padding(&[(0, 1)]), 1);
        "convolution_2d" apart [rows(&[3, c + 2, a], Real), fixed(&[2, 3, a, b], Real)]
            |&[x, k], [a, b, c]| x.convolution(
                k, Window::new(&[2, 3]).strides(&[1, 2]).padding(&[(0, 1), (1, 1)]), 1);
        "convolution_3d" apart [rows(&[2, 2, c, a], Real), fixed(&[2, 1, 1, a, b], Real)]
            |&[x, k], [a, b, c]| x.convolution(k, Window::new(&[2, 1, 1]), 1);
        "convolution_groups" apart [rows(&[3, 3, 2 * a], Real), fixed(&[2, 2, a, 2 * b], Real)]
            |&[x, k], [a, b, _]| x.convolution(k, Window::new(&[2, 2]), 2);
        "convolution_pointwise" apart [rows(&[2, c, a], Real), fixed(&[1, 1, a, b], Real)]
            |&[x, k], [a, b, c]| x.convolution(k, Window::new(&[1, 1]), 1);
        "depthwise_convolution" apart [rows(&[4, c + 1, a], Real), fixed(&[3, 2, a, b], Real)]
            |&[x, k], [a, b, c]| x.depthwise_convolution(
                k, Window::new(&[3, 2]).strides(&[2, 1]).padding(&[(1, 1), (1, 0)]));
        "convolution_transposed" apart [rows(&[2, c, b], Real), fixed(&[3, 2, a, b], Real)]
            |&[x, k], [a, b, c]| x.convolution_transposed(
                k, Window::new(&[3, 2]).strides(&[2, 1]).padding(&[(1, 0), (0, 0)]), 1, &[4, c + 1]);
        "max_pool" apart [rows(&[4, b + 2, a], Odd)] |&[x], [a, b, _]| x.max_pool(
            Window::new(&[3, 2]).strides(&[2, 1]).padding(&[(0, 1), (1, 0)]));
        "max_pool_1d" apart [rows(&[b + 4, a], Odd)] |&[x], [a, b, _]| x.max_pool(
            Window::new(&[3]).strides(&[2]).dilation(&[2]));
        "average_pool" apart [rows(&[4, b + 2, a], Real)] |&[x], [a, b, _]| x.average_pool(
            Window::new(&[3, 2]).strides(&[2, 1]).padding(&[(1, 1), (1, 0)]));
        "average_pool_3d" apart [rows(&[2, b, 3, a], Real)] |&[x], [a, b, _]| x.average_pool(
            Window::new(&[2, 1, 3]).padding(&[(1, 0), (0, 0), (2, 2)]));
        "resize_nearest" apart [rows(&[3, c + 1, a], Real)]
            |&[x], [a, b, c]| x.resize(&[5, b], ResizeMethod::Nearest);
        "resize_bilinear" apart [rows(&[3, c + 1, a], Real)]
            |&[x], [a, b, c]| x.resize(&[b, 4], ResizeMethod::Bilinear);
        "resize_bicubic" apart [rows(&[c, 3, a], Real)]
            |&[x], [a, b, c]| x.resize(&[5, b + 1], ResizeMethod::Bicubic);
        "batch_normalize" mixed [rows(&[a, b], Real), fixed(&[b], Real), fixed(&[b], Real)]
            |&[x, gamma, beta], [a, b, _]| {
                let (y, mean, variance) = x.batch_normalize(gamma, beta, 0.3);
                y * 2.0 + y.square() + mean * variance
            };
        "batch_moments" mixed [rows(&[b], Real)] |&[x], [_, b, _]| {
                let (mean, variance) = x.batch_moments();
                x.graph().concatenate(&[mean, variance, mean * variance], 0)
            };
        "lstm" apart [rows(&[b + 1, 4 * a], Real), fixed(&[a, 4 * a], Real)] |&[x, u], [a, b, _]|
            recurrence(Cell::Lstm, Keep::Outputs, [false; 3], &[x, u]);
        "lstm_states" apart [rows(&[b + 1, 4 * a], Real), fixed(&[a, 4 * a], Real), rows(&[2 * a], Real), rows(&[b + 1], Class(2))]
            |&[x, u, initial, mask], [a, b, _]|
            recurrence(Cell::Lstm, Keep::States, [false, true, true], &[x, u, initial, mask.to_f32()]);
        "lstm_last" apart [rows(&[b, 4 * a], Real), fixed(&[a, 4 * a], Real), rows(&[b], Class(2))]
            |&[x, u, mask], [a, b, _]|
            recurrence(Cell::Lstm, Keep::Last, [false, false, true], &[x, u, mask.to_f32()]);
        "gru" apart [rows(&[b + 1, 3 * a], Real), fixed(&[a, 3 * a], Real), fixed(&[3 * a], Real), rows(&[a], Real), rows(&[b + 1], Class(2))]
            |&[x, u, bias, initial, mask], [a, b, _]|
            recurrence(Cell::Gru { reset_after: true }, Keep::Outputs, [true; 3], &[x, u, bias, initial, mask.to_f32()]);
        "gru_reset_before" apart [rows(&[b + 1, 3 * a], Real), fixed(&[a, 3 * a], Real), rows(&[a], Real), rows(&[b + 1], Class(2))]
            |&[x, u, initial, mask], [a, b, _]|
            recurrence(Cell::Gru { reset_after: false }, Keep::Outputs, [false, true, true], &[x, u, initial, mask.to_f32()]);
        "simple_recurrence" apart [rows(&[b + 1, a], Real), fixed(&[a, a], Real), rows(&[a], Real)]
            |&[x, u, initial], [a, b, _]|
            recurrence(Cell::Tanh, Keep::Last, [false, true, false], &[x, u, initial]);
        "rectified_recurrence" apart [rows(&[b + 1, a], Real), fixed(&[a, a], Real)]
            |&[x, u], [a, b, _]| recurrence(Cell::Relu, Keep::Outputs, [false; 3], &[x.square() + 0.5, u.square() * 0.3]);
        "scan" apart [rows(&[b, a], Real), rows(&[a], Real), rows(&[b], Class(2))] |&[x, h, mask], [a, b, _]| {
            let scanned = x.graph().scan(&[x], vec![h], Some(mask.to_f32()), |x, h| {
                let h = (x[0] + h[0] * 0.7).tanh();
                (h * 2.0, vec![h])
            });
            scanned.sequence().unwrap() + scanned.states[0].expand_dims(1)
        };
        "upsample" apart [rows(&[1, c, b, a], Real)] |&[x], [a, b, c]| x.upsample(&[2, 1, 3]);
    }
}

/// A recurrence with a bias, initial states and a mask, if it has them.
fn recurrence<'g>(cell: Cell, keep: Keep, has: [bool; 3], operands: &[Var<'g>]) -> Var<'g> {
    let [bias, initial, masked] = has;
    let op = Recurrence {
        cell,
        keep,
        bias,
        initial,
        masked,
    };
    operands[0].graph().apply(op, operands)
}

/// So many rows of each sample of `x` as one axis.
fn rows_of_samples(x: Var<'_>, rows: usize) -> Dim {
    match x.shape().dims()[0] {
        Dim::Fixed(samples) => Dim::Fixed(samples * rows),
        _ => Dim::PerSample(rows),
    }
}

/// Formulas for ops without a gradient.
// Not every size occurs in both of a case's closures.
#[allow(unused_variables)]
pub fn without_gradient() -> Vec<Case> {
    use Values::{Class, Even, Odd, Real};
    cases! {
        "sign" apart [rows(&[a], Even)] |&[x], [a, _, _]| x.sign();
        "step" apart [rows(&[a], Even)] |&[x], [a, _, _]| x.step();
        "floor" apart [rows(&[a], Odd)] |&[x], [a, _, _]| x.floor();
        "round" apart [rows(&[a], Odd)] |&[x], [a, _, _]| x.round();
        "greater" apart [rows(&[a], Even), fixed(&[a], Even)] |&[x, y], [a, _, _]| x.greater(y);
        "less" apart [rows(&[a], Even), rows(&[1], Even)] |&[x, y], [a, _, _]| x.less(y);
        "equal" apart [rows(&[a], Even), fixed(&[a], Even)] |&[x, y], [a, _, _]| x.equal(y);
        "one_hot" apart [rows(&[b], Class(a))] |&[x], [a, b, _]| x.one_hot(a);
        "determinant_sign" apart [rows(&[a, a], Odd)] |&[x], [a, _, _]| x.log_determinant().0;
        "argsort" apart [rows(&[a, b], Odd)] |&[x], [a, b, _]| x.argsort(true).to_f32();
        "to_i32" apart [rows(&[a], Odd)] |&[x], [a, _, _]| x.to_i32().to_f32();
        "integers" apart [rows(&[b], Class(9)), rows(&[b], Class(9))] |&[x, y], [_, b, _]|
            x.integers(regraft_autograd::ops::Integers::Subtract, y).to_f32();
        "greatest_common_divisor" apart [rows(&[b], Class(9)), fixed(&[b], Class(9))]
            |&[x, y], [_, b, _]|
            x.integers(regraft_autograd::ops::Integers::GreatestCommonDivisor, y).to_f32();
        "moved_integers" apart [rows(&[b], Class(9))]
            |&[x], [_, b, _]| x.pick(1, vec![b - 1, 0]).to_f32();
        "to_f32" apart [rows(&[b], Class(a))] |&[x], [a, b, _]| x.to_f32();
        "argmax" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.argmax(2).to_f32();
        "argmax_batch" mixed [rows(&[a, b], Real)] |&[x], [a, b, _]| x.argmax(0).to_f32();
        "sparsemax" apart [rows(&[a, b], Real)] |&[x], [a, b, _]| x.sparsemax();
        "stop_gradient" apart [rows(&[a], Real)] |&[x], [a, _, _]| x.stop_gradient();
        "assign" apart [rows(&[a], Real), rows(&[a], Real)] |&[x, y], [a, _, _]| x.assign(y);
    }
}

/// The value of a node of constants.
pub fn evaluate(x: Var<'_>) -> Vec<f32> {
    let mut program = regraft_autograd::Program::compile(x.graph(), &[x])
        .unwrap()
        .workspace();
    let none: &[Tensor] = &[];
    program.run(1, &[], none, Default::default()).unwrap();
    program.output(0).to_vec()
}
