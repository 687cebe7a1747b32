//! Compares gradients with finite differences: the test that every op, one of your own included,
//! should pass.

use regraft_tensor::{Detail, Tensor};

use crate::{Error, Feed, Graph, Program, Result, Run, Var, VariableId};

/// Half the width of the finite differences. With the five-point rule the error of the rule itself
/// (h⁴) and the rounding of 32-bit values (10⁻⁷/h) are both near 10⁻⁵.
const STEP: f32 = 1.0 / 64.0;

/// How far gradients may be from finite differences, relative to the largest of both.
const TOLERANCE: f64 = 2e-3;

/// Checks the gradients of `function` at `operands` against finite differences.
///
/// The function's value may have any shape: it is multiplied with fixed irregular weights and summed
/// in 64 bits. Choose operands away from kinks (the 0 of `relu`) by more than 2/64.
///
/// ```
/// use regraft_autograd::{Tensor, gradcheck};
///
/// let x = Tensor::new([2, 2], vec![0.5, -1.0, 2.0, 0.25])?;
/// gradcheck(|_, x| x[0].tanh() * x[0], &[x])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Gradcheck`] naming the operand and the element that differ most, and the graph's own
/// errors.
pub fn gradcheck(
    function: impl for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g>,
    operands: &[Tensor],
) -> Result<()> {
    let graph = Graph::new();
    let vars: Vec<Var<'_>> = operands
        .iter()
        .enumerate()
        .map(|(index, operand)| {
            graph.variable(
                VariableId(index),
                &format!("operand {index}"),
                operand.shape(),
            )
        })
        .collect();
    let value = function(&graph, &vars);
    graph.check()?;
    let shape = value.shape().fixed().ok_or_else(|| {
        Error::Gradcheck(Detail::new(
            "gradcheck",
            "a value of fixed shape",
            value.shape(),
        ))
    })?;
    let length: usize = shape.iter().product();
    let weights: Vec<f32> = (0..length)
        .map(|index| ((index as f32) * 2.4 + 1.0).sin())
        .collect();
    let cotangent = graph.constant(Tensor::new(&shape, weights.clone())?);
    let loss = (value * cotangent).sum_all();
    let gradients = graph.grad(loss, &vars)?;

    let mut gradient_program = Program::compile(&graph, &gradients)?.workspace();
    let no_feeds: &[Feed<'_>] = &[];
    gradient_program.run(1, no_feeds, operands, Run::default())?;
    let mut program = Program::compile(&graph, &[value])?.workspace();
    let mut weighted_sum = |operands: &[Tensor]| -> Result<f64> {
        program.run(1, no_feeds, operands, Run::default())?;
        let terms = program.output(0).iter().zip(&weights);
        Ok(terms
            .map(|(&value, &weight)| f64::from(value) * f64::from(weight))
            .sum())
    };

    for (index, operand) in operands.iter().enumerate() {
        let computed = gradient_program.output(index);
        let mut expected = Vec::with_capacity(operand.len());
        for element in 0..operand.len() {
            let mut at = |steps: f32| {
                let mut moved = operands.to_vec();
                let slot = &mut moved[index].as_mut_slice()[element];
                *slot += steps * STEP;
                weighted_sum(&moved)
            };
            let near = at(1.0)? - at(-1.0)?;
            let far = at(2.0)? - at(-2.0)?;
            expected.push((8.0 * near - far) / (12.0 * f64::from(STEP)));
        }
        let scale = computed
            .iter()
            .map(|&value| f64::from(value))
            .chain(expected.iter().copied())
            .fold(1e-2, |largest: f64, value| largest.max(value.abs()));
        for (element, (&computed, &expected)) in computed.iter().zip(&expected).enumerate() {
            let difference = (f64::from(computed) - expected).abs();
            if difference.is_nan() || difference > TOLERANCE * scale {
                return Err(Error::Gradcheck(
                    Detail::new(
                        format!("operand {index}, element {element}"),
                        format!("{expected:.6} by finite differences"),
                        computed,
                    )
                    .help("check the op's gradient, or choose operands away from kinks"),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Map, Unary};

    #[derive(Clone, Copy, Debug)]
    struct WrongSquare;

    impl Unary for WrongSquare {
        const NAME: &'static str = "wrong_square";

        fn value(self, x: f32) -> f32 {
            x * x
        }

        fn gradient<'g>(self, x: Var<'g>, _y: Var<'g>, dy: Var<'g>) -> Var<'g> {
            dy * x * 1.99
        }
    }

    #[test]
    fn a_wrong_gradient_is_found() {
        let x = Tensor::new([2], vec![1.0, 2.0]).unwrap();
        let error = gradcheck(|graph, x| graph.apply(Map(WrongSquare), x), &[x]).unwrap_err();
        assert!(matches!(error, Error::Gradcheck(_)), "{error}");
    }
}
