//! Cross-entropy of integer classes from logits, with the softmax inside, and its gradient: the
//! usual end of a classifier, computed stably and in one pass each, or in one for both.

use regraft_tensor::Detail;
use regraft_tensor::kernels::softmax;

use crate::{DataType, Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `loss[i] = log Σⱼ exp(x[i, j]) − x[i, label[i]]`: `([…, classes], […]) → […]`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCrossEntropy;

fn check_shapes(logits: &Shape, labels: &Shape) -> Result<(), Detail> {
    match logits.dims().split_last() {
        Some((_, leading)) if leading == labels.dims() => Ok(()),
        _ => Err(Detail::new(
            "",
            format!("one label per row of logits {logits}"),
            format!("labels {labels}"),
        )),
    }
}

/// The gradients of the losses may be a single number.
fn check_scale(labels: &Shape, dloss: &Shape) -> Result<(), Detail> {
    match dloss == labels || dloss.fixed().is_some_and(|_| dloss.len(1) == 1) {
        true => Ok(()),
        false => {
            let expected = format!("a number, or one for each of {labels}");
            Err(Detail::new("", expected, dloss))
        }
    }
}

/// Labels are integers, all else floats.
fn operand_type(index: usize) -> DataType {
    match index {
        1 => DataType::I32,
        _ => DataType::F32,
    }
}

impl Op for SoftmaxCrossEntropy {
    fn name(&self) -> &str {
        "softmax_cross_entropy"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        check_shapes(operands[0], operands[1])?;
        Ok(operands[1].clone())
    }

    fn operand_type(&self, index: usize) -> DataType {
        operand_type(index)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let classes = operands.shape(0).last().copied().unwrap_or(1);
        softmax::softmax_cross_entropy(operands.f32(0), classes, operands.i32(1), output.f32())?;
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let operands = [at.operand(0), at.operand(1), at.cotangent()];
        let graph = at.cotangent().graph();
        vec![
            at.when(0, || graph.apply(SoftmaxCrossEntropyGradient, &operands)),
            None,
        ]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        5 * operands[0].iter().product::<usize>() as u64
    }
}

/// `dx[i] = (softmax(x[i]) − onehot(label[i])) · dloss[i]`, where `dloss` may be a single number for
/// all rows.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCrossEntropyGradient;

impl Op for SoftmaxCrossEntropyGradient {
    fn name(&self) -> &str {
        "softmax_cross_entropy_gradient"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [logits, labels, dloss] = operands else {
            return Err(Detail::new("", "3 operands", operands.len()));
        };
        check_shapes(logits, labels)?;
        check_scale(labels, dloss)?;
        Ok((*logits).clone())
    }

    fn operand_type(&self, index: usize) -> DataType {
        operand_type(index)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let classes = operands.shape(0).last().copied().unwrap_or(1);
        softmax::softmax_cross_entropy_gradient(
            operands.f32(0),
            classes,
            operands.i32(1),
            operands.f32(2),
            output.f32(),
        )?;
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        at.through(|operands| {
            let [logits, labels, dloss] = [operands[0], operands[1], operands[2]];
            let classes = logits.shape().dims().last().map_or(1, |dim| dim.size(1));
            let dloss = dloss.broadcast_to(labels.shape());
            let column = dloss.expand_dims(labels.shape().rank());
            (logits.softmax() - labels.one_hot(classes)) * column
        })
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        6 * operands[0].iter().product::<usize>() as u64
    }
}

/// What [`SoftmaxCrossEntropy`] and its gradient have in common: `([…, classes], […]) → […, classes + 1]`, first the
/// softmax of all rows and then all losses, so a row of the result is not one of the logits. A
/// [pass](crate::passes::join_cross_entropies) makes it after differentiation; it has no gradient of its own, nor have the
/// two ops that take it apart.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxAndCrossEntropy;

impl Op for SoftmaxAndCrossEntropy {
    fn name(&self) -> &str {
        "softmax_and_cross_entropy"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        check_shapes(operands[0], operands[1])?;
        let (last, leading) = operands[0].dims().split_last().expect("an axis of classes");
        let Some(classes) = last.fixed() else {
            return Err(Detail::new("", "a last axis of fixed size", operands[0]));
        };
        Ok(leading
            .iter()
            .copied()
            .chain([Dim::Fixed(classes + 1)])
            .collect())
    }

    fn operand_type(&self, index: usize) -> DataType {
        operand_type(index)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let classes = operands.shape(0).last().copied().unwrap_or(1);
        let (logits, labels) = (operands.f32(0), operands.i32(1));
        softmax::softmax_and_cross_entropy(logits, classes, labels, output.f32())?;
        Ok(())
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        6 * operands[0].iter().product::<usize>() as u64
    }
}

/// The shape of the logits of which [`SoftmaxAndCrossEntropy`] has made `both`.
fn logits_of(both: &Shape) -> Result<Shape, Detail> {
    let mut dims = both.dims().to_vec();
    match dims.last_mut() {
        Some(Dim::Fixed(last)) if *last > 0 => *last -= 1,
        _ => return Err(Detail::new("", "rows of classes and a loss", both)),
    }
    Ok(dims.into_iter().collect())
}

/// The losses that [`SoftmaxAndCrossEntropy`] has found: `[…, classes + 1] → […]`.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyOfBoth;

impl Op for CrossEntropyOfBoth {
    fn name(&self) -> &str {
        "cross_entropy_of_both"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let logits = logits_of(operands[0])?;
        let (_, leading) = logits.dims().split_last().expect("an axis of classes");
        Ok(leading.iter().copied().collect())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let last = operands.shape(0).last().copied().unwrap_or(1);
        softmax::cross_entropy_in(operands.f32(0), last - 1, output.f32());
        Ok(())
    }
}

/// [`SoftmaxCrossEntropyGradient`] from what [`SoftmaxAndCrossEntropy`] has found instead of the logits.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyGradientOfBoth;

impl Op for CrossEntropyGradientOfBoth {
    fn name(&self) -> &str {
        "cross_entropy_gradient_of_both"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [both, labels, dloss] = operands else {
            return Err(Detail::new("", "3 operands", operands.len()));
        };
        let logits = logits_of(both)?;
        check_shapes(&logits, labels)?;
        check_scale(labels, dloss)?;
        Ok(logits)
    }

    fn operand_type(&self, index: usize) -> DataType {
        operand_type(index)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let last = operands.shape(0).last().copied().unwrap_or(1);
        let (both, labels, dloss) = (operands.f32(0), operands.i32(1), operands.f32(2));
        softmax::cross_entropy_gradient_from(both, last - 1, labels, dloss, output.f32())?;
        Ok(())
    }

    fn broadcasts(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// The cross-entropy of each row of logits with an integer class:
    /// `([…, classes], […]) → […]`, computed stably from the logits.
    pub fn softmax_cross_entropy(self, labels: Var<'g>) -> Var<'g> {
        self.graph().apply(SoftmaxCrossEntropy, &[self, labels])
    }
}
