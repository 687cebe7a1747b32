//! Batch normalization over the last axis in few passes over memory: the moments of the batch, the
//! normalization, and its gradient.

use regraft_tensor::Detail;
use regraft_tensor::kernels::batch_normalization as kernels;

use crate::ops::mean::one_over_count;
use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// The mean and the population variance of each channel of `[…, channels]`, over all other axes:
/// `[2, channels]`, the means first.
#[derive(Clone, Copy, Debug)]
pub struct BatchMoments;

/// `y = (x − mean) / √(variance + epsilon) · gamma + beta`: `(x, moments, gamma, beta) → y`.
///
/// The moments must be the [`BatchMoments`] of `x`: the gradient with respect to `x` includes what
/// comes through them, and there is none with respect to the moments.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormalize {
    /// What is added to the variance.
    pub epsilon: f32,
}

/// The gradients of beta and of gamma, `(dy, x, moments) → [2, channels]`: the sums over all rows
/// of `dy` and of `dy · x̂`, where `x̂` is `x` normalized with its moments.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormalizeSums {
    /// That of the normalization.
    pub epsilon: f32,
}

/// The gradient of [`BatchNormalize`] with respect to `x`, the sums being its
/// [`BatchNormalizeSums`]: `(dy, x, moments, gamma, sums) → dx`, where
/// `dx = gamma / √(variance + epsilon) · (dy − mean(dy) − x̂ · mean(dy · x̂))`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormalizeGradient {
    /// That of the normalization.
    pub epsilon: f32,
}

/// The channels of `[…, channels]`.
fn channels(x: &Shape) -> Result<usize, Detail> {
    match x.dims() {
        [_, .., Dim::Fixed(channels)] if *channels > 0 => Ok(*channels),
        _ => Err(Detail::new("", "(…, channels) of rank ≥ 2", x)),
    }
}

fn check(shape: &Shape, expected: &Shape) -> Result<(), Detail> {
    match shape == expected {
        true => Ok(()),
        false => Err(Detail::new("", expected, shape)),
    }
}

/// All axes but the last.
fn leading(x: Var<'_>) -> Vec<usize> {
    (0..x.shape().rank().saturating_sub(1)).collect()
}

/// Row `index` of `[2, channels]`.
fn row<'g>(pair: Var<'g>, index: usize) -> Var<'g> {
    pair.slice(0, index..index + 1).squeeze(0)
}

/// `1 / √(variance + epsilon)` and the normalized x, with simple ops.
fn normalized<'g>(x: Var<'g>, epsilon: f32) -> (Var<'g>, Var<'g>) {
    let axes = leading(x);
    let centred = x - x.mean(&axes);
    let inverse = (centred.square().mean(&axes) + epsilon).rsqrt();
    (inverse, centred * inverse)
}

impl Op for BatchMoments {
    fn name(&self) -> &str {
        "batch_moments"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(Shape::from([2, channels(operands[0])?]))
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        kernels::moments(operands.f32(0), output.shape[1], output.f32());
        Ok(())
    }

    /// dx = (d mean + 2 (x − mean) · d variance) / count.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, d) = (at.operand(0), at.cotangent());
        let share = d * one_over_count(x, &leading(x));
        let centred = x - x.mean(&leading(x));
        vec![Some(row(share, 0) + centred * (row(share, 1) * 2.0))]
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        4 * operands[0].iter().product::<usize>() as u64
    }
}

impl Op for BatchNormalize {
    fn name(&self) -> &str {
        "batch_normalize"
    }

    attributes!(epsilon);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [x, moments, gamma, beta] = operands else {
            return Err(Detail::new("", "4 operands", operands.len()));
        };
        let channels = channels(x)?;
        check(moments, &Shape::from([2, channels]))?;
        check(gamma, &Shape::from([channels]))?;
        check(beta, &Shape::from([channels]))?;
        Ok((*x).clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let [x, moments, gamma, beta] = [0, 1, 2, 3].map(|index| operands.f32(index));
        kernels::normalize(x, moments, gamma, beta, self.epsilon, output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, moments, gamma, dy) = (at.operand(0), at.operand(1), at.operand(2), at.cotangent());
        if ![0, 2, 3].into_iter().any(|index| at.wanted(index)) {
            return vec![None; 4];
        }
        let (graph, epsilon) = (dy.graph(), self.epsilon);
        let sums = graph.apply(BatchNormalizeSums { epsilon }, &[dy, x, moments]);
        let gradient = BatchNormalizeGradient { epsilon };
        vec![
            at.when(0, || graph.apply(gradient, &[dy, x, moments, gamma, sums])),
            None,
            at.when(2, || row(sums, 1)),
            at.when(3, || row(sums, 0)),
        ]
    }

    fn flops(&self, _operands: &[&[usize]], output: &[usize]) -> u64 {
        3 * output.iter().product::<usize>() as u64
    }
}

impl Op for BatchNormalizeSums {
    fn name(&self) -> &str {
        "batch_normalize_sums"
    }

    attributes!(epsilon);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [dy, x, moments] = operands else {
            return Err(Detail::new("", "3 operands", operands.len()));
        };
        let pair = Shape::from([2, channels(x)?]);
        check(dy, x)?;
        check(moments, &pair)?;
        Ok(pair)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let [dy, x, moments] = [0, 1, 2].map(|index| operands.f32(index));
        kernels::gradient_sums(dy, x, moments, self.epsilon, output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        at.through(|operands| {
            let (dy, x) = (operands[0], operands[1]);
            let (_, normalized) = normalized(x, self.epsilon);
            let axes = leading(x);
            let sums = [dy.sum(&axes), (dy * normalized).sum(&axes)];
            dy.graph()
                .concatenate(&sums.map(|sum| sum.expand_dims(0)), 0)
        })
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        4 * operands[0].iter().product::<usize>() as u64
    }
}

impl Op for BatchNormalizeGradient {
    fn name(&self) -> &str {
        "batch_normalize_gradient"
    }

    attributes!(epsilon);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [dy, x, moments, gamma, sums] = operands else {
            return Err(Detail::new("", "5 operands", operands.len()));
        };
        let channels = channels(x)?;
        check(dy, x)?;
        check(moments, &Shape::from([2, channels]))?;
        check(gamma, &Shape::from([channels]))?;
        check(sums, &Shape::from([2, channels]))?;
        Ok((*x).clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let [dy, x, moments, gamma, sums] = [0, 1, 2, 3, 4].map(|index| operands.f32(index));
        kernels::input_gradient(dy, x, moments, gamma, sums, self.epsilon, output.f32());
        Ok(())
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn forward_in_place(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let [x, moments, gamma, sums] = [1, 2, 3, 4].map(|index| operands.f32(index));
        kernels::input_gradient_in_place(x, moments, gamma, sums, self.epsilon, output.f32());
        Ok(())
    }

    /// With moments and sums as functions of dy and x.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        at.through(|operands| {
            let (dy, x, gamma) = (operands[0], operands[1], operands[3]);
            let axes = leading(x);
            let (inverse, normalized) = normalized(x, self.epsilon);
            let along = normalized * (dy * normalized).mean(&axes);
            (dy - dy.mean(&axes) - along) * (gamma * inverse)
        })
    }

    fn flops(&self, _operands: &[&[usize]], output: &[usize]) -> u64 {
        5 * output.iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// The mean and the population variance of each channel (the last axis) over all other axes, in
    /// one pass: two numbers of shape `[channels]`.
    pub fn batch_moments(self) -> (Var<'g>, Var<'g>) {
        let moments = self.graph().apply(BatchMoments, &[self]);
        (row(moments, 0), row(moments, 1))
    }

    /// `(x − mean) / √(variance + epsilon) · gamma + beta` with the mean and the population variance
    /// of each channel (the last axis) of `x` itself over all other axes; gamma and beta are
    /// `[channels]`. Also returns the mean and the variance, `[channels]` each.
    pub fn batch_normalize(
        self,
        gamma: Var<'g>,
        beta: Var<'g>,
        epsilon: f32,
    ) -> (Var<'g>, Var<'g>, Var<'g>) {
        let graph = self.graph();
        let moments = graph.apply(BatchMoments, &[self]);
        let normalize = BatchNormalize { epsilon };
        let y = graph.apply(normalize, &[self, moments, gamma, beta]);
        (y, row(moments, 0), row(moments, 1))
    }
}
