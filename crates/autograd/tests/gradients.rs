//! Every op's gradient, and the gradient of its gradient, against finite differences.

mod common;

use common::{Case, Sizes, Value, differentiable};
use proptest::prelude::*;
use regraft_autograd::{Graph, IntTensor, Shape, Tensor, Var, gradcheck};

/// The formula of `case` over the operands that are floats; integers become constants.
fn with_integers<'g>(
    case: &Case,
    values: &[Value],
    sizes: Sizes,
    graph: &'g Graph,
    floats: &[Var<'g>],
) -> Var<'g> {
    let mut floats = floats.iter().copied();
    let operands: Vec<Var<'g>> = values
        .iter()
        .map(|value| match value {
            Value::F32(_) => floats.next().unwrap(),
            Value::I32(value) => graph.int_constant(value.clone()),
        })
        .collect();
    (case.formula)(&operands, sizes)
}

fn floats(values: &[Value]) -> Vec<Tensor> {
    let floats = values.iter().filter_map(|value| match value {
        Value::F32(value) => Some(value.clone()),
        Value::I32(_) => None,
    });
    floats.collect()
}

/// All elements in a row.
fn in_a_row(x: Var<'_>) -> Var<'_> {
    x.reshape([x.shape().len(1)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn gradients_agree_with_finite_differences(
        sizes in prop::array::uniform3(1usize..4), batch in 1usize..4, seed: u64,
    ) {
        for case in differentiable() {
            let values = case.values(sizes, batch, seed);
            let checked = gradcheck(
                |graph, x| with_integers(&case, &values, sizes, graph, x),
                &floats(&values),
            );
            prop_assert!(checked.is_ok(), "{}: {}", case.name, checked.unwrap_err());
        }
    }

    #[test]
    fn second_derivatives_agree_with_finite_differences(
        sizes in prop::array::uniform3(1usize..3), batch in 1usize..3, seed: u64,
    ) {
        for case in differentiable() {
            let values = case.values(sizes, batch, seed);
            let checked = gradcheck(
                |graph, x| {
                    let y = with_integers(&case, &values, sizes, graph, x);
                    // Squared, so that ops that are linear have a second derivative too.
                    let loss = (y.square() + y).sum_all();
                    match graph.grad(loss, x) {
                        Ok(gradients) => {
                            let parts: Vec<Var<'_>> = gradients.into_iter().map(in_a_row).collect();
                            graph.concatenate(&parts, 0)
                        }
                        Err(error) => {
                            graph.fail(error);
                            loss
                        }
                    }
                },
                &floats(&values),
            );
            prop_assert!(checked.is_ok(), "{}: {}", case.name, checked.unwrap_err());
        }
    }

    #[test]
    fn sparsemax_has_the_right_gradient(
        values in prop::collection::vec(-1.5f32..1.5, 2..6),
    ) {
        let x = Tensor::new([1, values.len()], values.clone()).unwrap();
        let graph = Graph::new();
        let y = graph.constant(x.clone()).sparsemax();
        let y = common::evaluate(y);
        // The kinks are where an element enters the support.
        let tau = values.iter().zip(&y).find(|(_, y)| **y > 0.0).map(|(x, y)| x - y).unwrap();
        prop_assume!(values.iter().all(|x| (x - tau).abs() > 0.08));
        gradcheck(|_, x| x[0].sparsemax(), &[x]).unwrap();
    }
}

fn gradient_of(x: &[f32], formula: impl for<'g> Fn(Var<'g>) -> Var<'g>) -> Vec<f32> {
    let graph = Graph::new();
    let x = Tensor::new([x.len()], x.to_vec()).unwrap();
    let var = graph.variable(regraft_autograd::VariableId(0), "x", x.shape());
    let gradient = graph.grad(formula(var).sum_all(), &[var]).unwrap()[0];
    let mut program = regraft_autograd::Program::compile(&graph, &[gradient])
        .unwrap()
        .workspace();
    program.run(1, &[], &[x], Default::default()).unwrap();
    program.output(0).to_vec()
}

#[test]
fn at_kinks_the_gradient_is_the_one_that_tensorflow_has() {
    assert_eq!(
        gradient_of(&[-1.0, 0.0, 2.0], |x| x.relu()),
        [0.0, 0.0, 1.0]
    );
    assert_eq!(
        gradient_of(&[-1.0, 0.0, 2.0], |x| x.abs()),
        [-1.0, 0.0, 1.0]
    );
    assert_eq!(gradient_of(&[0.0], |x| x.maximum(0.0)), [1.0]);
    assert_eq!(
        gradient_of(&[0.0], |x| x.graph().number(0.0).maximum(x)),
        [0.0]
    );
    assert_eq!(
        gradient_of(&[-1.0, 1.0, 1.5], |x| x.clip(-1.0, 1.0)),
        [1.0, 1.0, 0.0]
    );
    assert_eq!(
        gradient_of(&[1.0, 3.0, 3.0], |x| x.max_all()),
        [0.0, 0.5, 0.5]
    );
    assert_eq!(
        gradient_of(&[3.0, 1.0, 1.0], |x| x.min(&[0])),
        [0.0, 0.5, 0.5]
    );
}

#[test]
fn values_that_are_not_chosen_do_not_show() {
    let gradient = gradient_of(&[4.0, -1.0], |x| x.greater(0.0).select(x.sqrt(), 0.0));
    assert_eq!(gradient[0], 0.25);
    // 0 · ∞ through the branch that was not taken is the formula's, not the op's, to avoid.
    assert!(gradient[1].is_nan());
    let safe = gradient_of(&[4.0, -1.0], |x| {
        let positive = x.greater(0.0);
        positive.select(positive.select(x, 1.0).sqrt(), 0.0)
    });
    assert_eq!(safe, [0.25, 0.0]);
}

#[test]
fn gradients_do_not_pass_where_they_are_stopped() {
    assert_eq!(gradient_of(&[2.0], |x| x * x.stop_gradient()), [2.0]);
    assert_eq!(
        gradient_of(&[2.5], |x| x * (x.round() + x.greater(1.0))),
        [3.0]
    );
}

#[test]
fn equal_rows_of_a_table_add_their_gradients() {
    let gradient = gradient_of(&[1.0, 2.0, 3.0], |table| {
        let indices = IntTensor::new([4], vec![2, 0, 2, 2]).unwrap();
        table.gather(table.graph().int_constant(indices)).square()
    });
    assert_eq!(gradient, [2.0, 0.0, 18.0]);
}

/// A shape rule that must refuse, and words that its message must contain.
type Refusal = (for<'g> fn(&'g Graph) -> Var<'g>, &'static [&'static str]);

#[test]
fn shape_rules_say_what_does_not_fit() {
    let refusals: &[Refusal] = &[
        (
            |g| batch(g, &[3]) + batch(g, &[4]),
            &["add", "(None, 3)", "(None, 4)"],
        ),
        (
            |g| batch(g, &[3]).maximum(full(g, &[2])),
            &["maximum", "(2,)"],
        ),
        (
            |g| batch(g, &[3]).select(full(g, &[2]), 0.0),
            &["select", "(2,)"],
        ),
        (
            |g| batch(g, &[3]).matmul(full(g, &[4, 2])),
            &["matmul", "3 rows", "(4, 2)"],
        ),
        (
            |g| batch(g, &[2, 3]).matmul(batch(g, &[2, 3])),
            &["batch_matmul", "rows of b", "(None, 2, 3)"],
        ),
        (
            |g| batch(g, &[2, 3]).matmul(full(g, &[5, 3, 2])),
            &["batch_matmul", "leading", "(5, 3, 2)"],
        ),
        (|g| batch(g, &[3]).sum(&[2]), &["sum", "axes below 2", "2"]),
        (|g| batch(g, &[3]).max(&[5]), &["max", "5"]),
        (|g| batch(g, &[3]).argmax(2), &["argmax", "2"]),
        (|g| batch(g, &[3]).variance(&[2]), &["variance", "2"]),
        (|g| batch(g, &[]).softmax(), &["softmax", "last axis"]),
        (
            |g| batch(g, &[]).log_softmax(),
            &["log_softmax", "last axis"],
        ),
        (
            |g| batch(g, &[]).log_sum_exp(),
            &["log_sum_exp", "last axis"],
        ),
        (|g| batch(g, &[]).sparsemax(), &["sparsemax", "last axis"]),
        (
            |g| batch(g, &[3]).reshape([3, 4]),
            &["reshape", "(None, 3)", "(3, 4)"],
        ),
        (|g| batch(g, &[3]).expand_dims(3), &["expand_dims", "3"]),
        (
            |g| batch(g, &[3]).squeeze(1),
            &["squeeze", "size 1", "(None, 3)"],
        ),
        (|g| g.number(1.0).flatten(), &["flatten", "()"]),
        (
            |g| batch(g, &[3]).permute(&[0, 0]),
            &["permute", "once", "[0, 0]"],
        ),
        (
            |g| batch(g, &[3]).broadcast_to([3]),
            &["broadcast_to", "(3,)"],
        ),
        (|g| full(g, &[3]).sum_to([2]), &["sum_to", "(2,)", "(3,)"]),
        (
            |g| batch(g, &[3]).slice(1, 2..4),
            &["slice", "axis 1", "2..4"],
        ),
        (|g| batch(g, &[3]).slice(0, 0..1), &["slice", "axis 0"]),
        (
            |g| batch(g, &[3]).pad(&[(1, 0), (0, 0)], 0.0),
            &["pad", "batch", "[1, 0]"],
        ),
        (
            |g| batch(g, &[3]).crop(&[(0, 0), (2, 2)]),
            &["crop", "[0, 2]"],
        ),
        (|g| batch(g, &[3]).crop(&[(0, 0)]), &["crop", "1 axes"]),
        (
            |g| g.concatenate(&[batch(g, &[3]), batch(g, &[3, 1])], 1),
            &["concatenate", "(None, 3, 1)"],
        ),
        (
            |g| g.concatenate(&[batch(g, &[3])], 0),
            &["concatenate", "axis 0"],
        ),
        (|g| g.concatenate(&[], 0), &["concatenate", "at least one"]),
        (|g| batch(g, &[3]).glu(1), &["glu", "even", "(None, 3)"]),
        (
            |g| batch(g, &[3]).gather(g.int_constant(IntTensor::zeros([2]))),
            &["gather", "fixed", "(None, 3)"],
        ),
        (
            |g| full(g, &[3, 2]).gather(full(g, &[2])),
            &["gather", "operand 1", "int32"],
        ),
        (
            |g| batch(g, &[3]).softmax_cross_entropy(g.int_constant(IntTensor::zeros([2]))),
            &["softmax_cross_entropy", "(None, 3)", "(2,)"],
        ),
    ];
    for (number, (formula, words)) in refusals.iter().enumerate() {
        let graph = Graph::new();
        graph.scope("here", || formula(&graph));
        let message = graph.check().unwrap_err().to_string();
        for word in words.iter().chain(&["here"]) {
            assert!(
                message.contains(word),
                "{number}: {word} is not in: {message}"
            );
        }
    }
}

fn batch<'g>(graph: &'g Graph, sample: &[usize]) -> Var<'g> {
    graph.samples("x", sample)
}

fn full<'g>(graph: &'g Graph, sizes: &[usize]) -> Var<'g> {
    graph.full(Shape::from(sizes), 1.0)
}
