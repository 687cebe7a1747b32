//! Cross-entropy of integer classes from logits, with the softmax inside, and its gradient: the
//! usual end of a classifier, computed stably and in one pass each.

use regraft_tensor::Detail;
use regraft_tensor::kernels::softmax;

use crate::{DataType, Forward, Gradient, Op, Output, Shape, Var, attributes};

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
        if index == 1 {
            DataType::I32
        } else {
            DataType::F32
        }
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
        if dloss != labels && dloss.fixed().is_none_or(|_| dloss.len(1) != 1) {
            let expected = format!("a number, or one for each of {labels}");
            return Err(Detail::new("", expected, dloss));
        }
        Ok((*logits).clone())
    }

    fn operand_type(&self, index: usize) -> DataType {
        if index == 1 {
            DataType::I32
        } else {
            DataType::F32
        }
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

impl<'g> Var<'g> {
    /// The cross-entropy of each row of logits with an integer class:
    /// `([…, classes], […]) → […]`, computed stably from the logits.
    pub fn softmax_cross_entropy(self, labels: Var<'g>) -> Var<'g> {
        self.graph().apply(SoftmaxCrossEntropy, &[self, labels])
    }
}
