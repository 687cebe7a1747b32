//! What adapters make of a product, and of the bias behind it.

use regraft_autograd::{DataType, Dim, Shape, Var};
use regraft_tensor::kernels::window::Window;

use crate::adapters::{Form, Role};
use crate::{Call, WeightAxis, WeightSpec};

/// The axis of a kernel that runs over the outputs: the last unless the layer says otherwise.
pub(crate) fn output_axis(kernel: &WeightSpec) -> usize {
    let axes = kernel.axes.iter().flatten();
    let position = axes.clone().position(|axis| *axis == WeightAxis::Output);
    position.unwrap_or(kernel.shape.len().saturating_sub(1))
}

/// Sizes as those of a kernel of three axes: what is before `axis`, the axis, and what is behind.
pub(crate) fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    let product = |sizes: &[usize]| sizes.iter().product();
    [
        product(&shape[..axis]),
        shape[axis],
        product(&shape[axis + 1..]),
    ]
}

/// Whether a weight is a bias: one number for each output.
pub(crate) fn is_bias(spec: &WeightSpec) -> bool {
    spec.axes.as_deref() == Some(&[WeightAxis::Output])
}

/// The product of `x` with a kernel, given with its name, and what active adapters add to it.
pub(crate) fn adapted<'g>(
    call: &Call<'g, '_>,
    x: Var<'g>,
    (name, kernel): (&str, Var<'g>),
    formula: &dyn Fn(Var<'g>, Var<'g>) -> Var<'g>,
) -> Var<'g> {
    let parts: Vec<(&str, Form)> = call.entry().parts(name).collect();
    let weight = |(adapter, form): (&str, Form), role: Role| {
        call.of_adapter(&form.name(adapter, name, role))
    };
    let needed = |part: (&str, Form), role: Role| {
        weight(part, role).expect("checked when the adapter was attached")
    };
    let mut x = x;
    for &part in parts.iter().filter(|part| part.1 == Form::InputScale) {
        x = x * needed(part, Role::Scale);
    }
    let base = formula(x, kernel);
    let mut y = base;
    for &part in &parts {
        let dropped = |rate: f32| match call.in_training() && rate > 0.0 {
            true => x * (kept(call, x, rate) * (1.0 / (1.0 - rate))),
            false => x,
        };
        match part.1 {
            Form::LowRank { dropout, .. } => {
                let (a, b) = (needed(part, Role::A), needed(part, Role::B));
                let rank = call.spec(&part.1.name(part.0, name, Role::A));
                let kernel_spec = call.spec(name).expect("the layer's own weight");
                let axis = output_axis(kernel_spec);
                let rank = rank.map_or(1, |spec| spec.shape[axis]);
                let strength = part.1.strength(rank);
                let b = b * strength;
                // What is looked up has nothing to be dropped.
                let input = match x.data_type() {
                    DataType::F32 => dropped(dropout),
                    DataType::I32 => x,
                };
                let mut low = grouped_product(formula(input, a), b);
                if let Some(bias) = weight(part, Role::Bias) {
                    low = low + bias * strength;
                }
                y = match weight(part, Role::Magnitude) {
                    None => y + low,
                    Some(magnitude) => {
                        let [outer, outputs, inner] = around(&kernel_spec.shape, axis);
                        let flat = |v: Var<'g>, size: usize| match inner {
                            1 => v.reshape([outer, size]),
                            _ => v
                                .reshape([outer, size, inner])
                                .permute(&[0, 2, 1])
                                .reshape([outer * inner, size]),
                        };
                        let sum = flat(kernel, outputs) + flat(a, rank).matmul(b);
                        let norm = sum.square().sum(&[0]).sqrt().stop_gradient();
                        let factor = magnitude / norm;
                        y + (factor - 1.0) * base + factor * low
                    }
                };
            }
            Form::Vera { dropout } => {
                let low = formula(dropped(dropout), needed(part, Role::A));
                let low = low * needed(part, Role::LambdaD);
                let low = low.matmul(needed(part, Role::B));
                y = y + low * needed(part, Role::LambdaB);
            }
            Form::ChannelScale | Form::OutputScale | Form::InputScale => {}
        }
    }
    for &part in &parts {
        if matches!(part.1, Form::ChannelScale | Form::OutputScale) {
            y = y * needed(part, Role::Scale);
        }
    }
    y
}

/// 1 where an element of `x` is kept, 0 where it is dropped.
fn kept<'g>(call: &Call<'g, '_>, x: Var<'g>, rate: f32) -> Var<'g> {
    let stream = call.random_stream();
    call.graph().bernoulli(stream, x.shape(), 1.0 - rate)
}

/// The product of the last axis of `low` with `b` of shape `(rank / groups, outputs)`: each group of ranks
/// gives a group of outputs.
fn grouped_product<'g>(low: Var<'g>, b: Var<'g>) -> Var<'g> {
    let size = |var: Var<'g>, axis: usize| var.shape().dims().get(axis).map_or(0, |d| d.size(1));
    let last = low.shape().rank().saturating_sub(1);
    let (rank, of_group) = (size(low, last), size(b, 0));
    if rank == of_group {
        return low.matmul(b);
    }
    let spatial = last.saturating_sub(1);
    let mut cell = vec![Dim::Fixed(1); spatial];
    cell.extend(b.shape().dims());
    let kernel = b.reshape(cell.into_iter().collect::<Shape>());
    let window = Window::new(&vec![1; spatial]);
    low.convolution(kernel, window, rank / of_group.max(1))
}

/// A weight of the layer with what active adapters make of it: a bias has the factors of the outputs.
pub(crate) fn scaled<'g>(call: &Call<'g, '_>, spec: &WeightSpec, weight: Var<'g>) -> Var<'g> {
    if call.entry().adapters.is_empty() || !is_bias(spec) {
        return weight;
    }
    let scales = call.entry().output_scales();
    let scales = scales.filter_map(|name| call.of_adapter(&name));
    scales.fold(weight, |weight, scale| weight * scale)
}
