//! Two executors agree: the CPU, and an interpreter that computes every op from its formula. What the
//! CPU's kernels, passes, fusing, packing and buffers make of a program is checked against that.

#[path = "../common/mod.rs"]
mod common;
mod interpreter;
mod recurrent;

use common::random_graph::{STEP, build, recipes, samples, weights};
use common::{Case, Sizes, Value, differentiable, without_gradient};
use interpreter::{Interpreter, Memory, value_of};
use proptest::prelude::*;
use regraft_autograd::passes::{optimize, optimize_traced};
use regraft_autograd::{
    Constant, Cpu, DataType, Dim, Executor, Feed, Forward, Graph, IntTensor, Nodes, Op, Output,
    Shape, Tensor, Trace, Var, VariableId, attributes,
};
use regraft_tensor::Detail;
use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::kernels::window::Window;

/// The ops that have no formula in the interpreter: random numbers are what their generator makes.
const WITHOUT_FORMULA: [&str; 3] = ["random_uniform", "random_normal", "bernoulli"];

/// The outputs of a program.
fn outputs<E: Executor>(
    executor: &E,
    nodes: &Nodes,
    batch: usize,
    feeds: &[Feed<'_>],
    weights: &[Tensor],
) -> (Vec<Vec<f64>>, E::Workspace) {
    let program = executor.compile(nodes);
    let mut workspace = executor.workspace(&program);
    let ran = executor.run(&mut workspace, batch, feeds, &weights.to_vec(), STEP);
    ran.unwrap();
    let numbers = |index: usize| match executor.output(&workspace, index) {
        Feed::F32(values) => values.iter().map(|&x| f64::from(x)).collect(),
        Feed::I32(values) => values.iter().map(|&x| f64::from(x)).collect(),
    };
    let outputs = (0..nodes.outputs().len()).map(numbers).collect();
    (outputs, workspace)
}

/// The largest number that is not infinite.
fn largest(values: &[f64]) -> f64 {
    let finite = values.iter().filter(|x| x.is_finite());
    finite.fold(0.0, |largest: f64, x| largest.max(x.abs()))
}

/// How far two arrays may differ by rounding, relative to `scale`.
fn agree(received: &[f64], expected: &[f64], tolerance: f64, scale: f64) -> Result<(), String> {
    if received.len() != expected.len() {
        return Err(format!(
            "{} elements, not {}",
            received.len(),
            expected.len()
        ));
    }
    let near = |(a, b): &(&f64, &f64)| {
        let same = a == b || (a.is_nan() && b.is_nan());
        same || (*a - *b).abs() <= tolerance * scale
    };
    match received.iter().zip(expected).position(|pair| !near(&pair)) {
        None => Ok(()),
        Some(at) => Err(format!(
            "element {at} is {}, not {}",
            received[at], expected[at]
        )),
    }
}

fn numbers(constant: &Constant) -> Vec<f64> {
    match constant {
        Constant::F32(it) => it.as_slice().iter().map(|&x| f64::from(x)).collect(),
        Constant::I32(it) => it.as_slice().iter().map(|&x| f64::from(x)).collect(),
    }
}

/// Every node of a trace is what its formula makes of its operands.
fn check_nodes(trace: &Trace) -> Result<(), String> {
    let values: std::collections::HashMap<_, &Constant> =
        trace.iter().map(|(id, _, value)| (id, value)).collect();
    for (id, node, value) in trace.iter() {
        let Some(op) = node.op() else { continue };
        let operands: Vec<&Constant> = node.operands().iter().map(|id| values[id]).collect();
        let Some(expected) = value_of(node, &operands, value.shape()) else {
            if WITHOUT_FORMULA.contains(&op.name()) {
                continue;
            }
            return Err(format!(
                "no formula for {} {:?}",
                op.name(),
                op.attributes()
            ));
        };
        let (received, expected) = (numbers(value), numbers(&expected));
        // What a sum adds up may be larger than the sum.
        let operands = operands.iter().map(|operand| largest(&numbers(operand)));
        let scale = operands.fold(largest(&expected).max(1.0), f64::max);
        agree(&received, &expected, 4e-6, scale)
            .map_err(|wrong| format!("%{} {}: {wrong}", id.0, op.name()))?;
    }
    Ok(())
}

/// The CPU and the interpreter give the same outputs, and so does the interpreter after each pass.
/// Whether rounding may decide a comparison.
fn check_program(
    nodes: &Nodes,
    batch: usize,
    feeds: &[Feed<'_>],
    weights: &[Tensor],
) -> Result<bool, String> {
    let (expected, memory) = outputs(&Interpreter, nodes, batch, feeds, weights);
    let Memory {
        unknown, near_jump, ..
    } = &memory;
    if let Some(name) = unknown
        .iter()
        .find(|it| !WITHOUT_FORMULA.contains(&it.as_str()))
    {
        return Err(format!("no formula for {name}"));
    }
    if *near_jump {
        return Ok(false);
    }
    let compare = |name: &str, received: &[Vec<f64>]| -> Result<(), String> {
        for (index, (received, expected)) in received.iter().zip(&expected).enumerate() {
            let scale = largest(expected).max(0.1);
            agree(received, expected, 1e-4, scale)
                .map_err(|wrong| format!("{name}, output {index}: {wrong}"))?;
        }
        Ok(())
    };
    compare("CPU", &outputs(&Cpu, nodes, batch, feeds, weights).0)?;
    let mut after_passes = Ok(());
    optimize_traced(nodes, |pass, nodes| {
        let (received, _) = outputs(&Interpreter, nodes, batch, feeds, weights);
        let found = compare(pass, &received).map_err(|wrong| format!("{wrong}\n{nodes}"));
        after_passes = after_passes.clone().and(found);
    });
    after_passes.map(|()| true)
}

/// A formula of the table, with the gradients of its operands that are floats, and of those again: what
/// has a batch is fed; the rest is constant if `frozen` says so.
fn written<'g>(
    graph: &'g Graph,
    case: &Case,
    values: &[Value],
    sizes: Sizes,
    frozen: bool,
    differentiable: bool,
) -> Vec<Var<'g>> {
    let mut variables = 0..;
    let operands = (case.operands)(sizes);
    let operand = |((dims, _), value): (&common::Operand, &Value)| {
        let shape = Shape::from(dims.clone());
        match (dims.contains(&Dim::Batch), value) {
            (true, value) => graph.input("x", shape, value.data_type()),
            (false, Value::F32(value)) if frozen => graph.constant(value.clone()),
            (false, Value::F32(_)) => {
                graph.variable(VariableId(variables.next().unwrap()), "w", shape)
            }
            (false, Value::I32(value)) => graph.int_constant(value.clone()),
        }
    };
    let operands: Vec<Var<'g>> = operands.iter().zip(values).map(operand).collect();
    let y = (case.formula)(&operands, sizes);
    let mut asked = vec![y];
    if differentiable {
        let floats = operands.iter().filter(|it| it.data_type() == DataType::F32);
        let floats: Vec<Var<'g>> = floats.copied().collect();
        let once = graph.grad((y.square() + y).sum_all(), &floats).unwrap();
        let terms = once.iter().map(|it| it.square().sum_all());
        let again = terms.reduce(|sum, term| sum + term).unwrap();
        let twice = graph.grad(again, &floats).unwrap();
        asked.extend(once.into_iter().chain(twice));
    }
    graph.check().unwrap();
    asked
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn every_op_and_its_gradients_are_what_the_formulas_say(
        sizes in prop::array::uniform3(1usize..4), batch in 1usize..4, seed: u64, frozen: bool,
    ) {
        let both = [(differentiable(), true), (without_gradient(), false)];
        for (case, differentiable) in both.iter().flat_map(|(cases, it)| cases.iter().map(|c| (c, *it))) {
            let values = case.values(sizes, batch, seed);
            let graph = Graph::new();
            let asked = written(&graph, case, &values, sizes, frozen, differentiable);
            let operands = (case.operands)(sizes);
            let has_batch = |dims: &[Dim]| dims.contains(&Dim::Batch);
            let of = operands.iter().zip(&values);
            let feeds: Vec<Feed<'_>> = (of.clone())
                .filter(|((dims, _), _)| has_batch(dims))
                .map(|(_, value)| match value {
                    Value::F32(value) => Feed::F32(value.as_slice()),
                    Value::I32(value) => Feed::I32(value.as_slice()),
                })
                .collect();
            let weights: Vec<Tensor> = of
                .filter(|((dims, _), _)| !has_batch(dims) && !frozen)
                .filter_map(|(_, value)| match value {
                    Value::F32(value) => Some(value.clone()),
                    Value::I32(_) => None,
                })
                .collect();
            let trace = graph.trace(&asked, batch, &feeds, &weights, STEP).unwrap();
            let nodes = check_nodes(&trace);
            prop_assert!(nodes.is_ok(), "{}: {}", case.name, nodes.unwrap_err());
            let program = check_program(&graph.nodes_for(&asked), batch, &feeds, &weights);
            prop_assert!(program.is_ok(), "{}: {}", case.name, program.unwrap_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn random_graphs_are_what_the_formulas_say(recipe in recipes(), batch in 1usize..6) {
        let nodes = build(&recipe);
        let x = samples(batch);
        let feeds = [Feed::F32(x.as_slice())];
        let checked = check_program(&nodes, batch, &feeds, &weights());
        prop_assume!(checked != Ok(false));
        prop_assert!(checked.is_ok(), "{}\n{nodes}", checked.unwrap_err());
    }
}

fn tensor(shape: &[usize], seed: u64) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    random::normal(Key::new(seed, 1), 0, tensor.as_mut_slice());
    tensor
}

/// What layers write: products with a bias, a normalization, an activation, of which passes make one op, with
/// weights that are constant or not, and their gradients.
#[test]
fn products_and_what_follows_them_are_what_the_formulas_say() {
    type Formula = for<'g> fn(Var<'g>) -> Var<'g>;
    let activations: [Formula; 8] = [
        |x| x,
        |x| x.relu(),
        |x| x.leaky_relu(0.3),
        |x| x.sigmoid(),
        |x| x.tanh(),
        |x| x.silu(),
        |x| x.gelu(),
        |x| x.gelu_tanh(),
    ];
    type Product = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;
    let products: [(&[usize], &[usize], usize, Product); 4] = [
        (&[5], &[5, 3], 3, |x, w| x.matmul(w)),
        (&[2, 5], &[5, 3], 3, |x, w| x.matmul(w)),
        (&[4, 5, 2], &[3, 2, 2, 3], 3, |x, w| {
            x.convolution(w, Window::new(&[3, 2]).same_padding(&[4, 5]), 1)
        }),
        (&[4, 5, 2], &[3, 3, 2, 2], 4, |x, w| {
            x.depthwise_convolution(w, Window::new(&[3, 3]).strides(&[1, 2]))
        }),
    ];
    // Bit by bit: a bias, a factor, an offset, constant weights.
    for (number, (sample, kernel, features, product)) in products.into_iter().enumerate() {
        for (kind, activation) in activations.into_iter().enumerate() {
            // All of them with the first activations, and with the others only all at once.
            let parts = if kind < 2 { 0..16 } else { 15..16 };
            for parts in parts {
                let has = |part: usize| parts & (1 << part) != 0;
                let graph = Graph::new();
                let x = graph.samples("x", sample);
                let mut weights = Vec::new();
                let mut weight = |shape: &[usize]| {
                    let value = tensor(shape, 10 + weights.len() as u64);
                    weights.push(value.clone());
                    match has(3) {
                        true => graph.constant(value),
                        false => graph.variable(VariableId(weights.len() - 1), "w", shape),
                    }
                };
                let mut vars = vec![x, weight(kernel)];
                let mut y = product(x, vars[1]);
                for part in (0..3).filter(|&part| has(part)) {
                    let it = weight(&[features]);
                    vars.push(it);
                    y = if part == 1 { y * it } else { y + it };
                }
                let y = activation(y);
                let loss = y.square().mean_all();
                let mut asked = vec![y];
                asked.extend(graph.grad(loss, &vars).unwrap());
                let fed = tensor(&[&[2], sample].concat(), 5);
                for asked in [&asked[..1], &asked] {
                    let nodes = graph.nodes_for(asked);
                    let feeds = [Feed::F32(fed.as_slice())];
                    let checked = check_program(&nodes, 2, &feeds, &weights);
                    // Only where rounding may decide a comparison, nothing is compared.
                    let near_jump = checked == Ok(false) && (kind == 1 || kind == 2);
                    assert!(
                        checked == Ok(true) || near_jump,
                        "product {number}, activation {kind}, parts {parts:04b}: {checked:?}"
                    );
                }
            }
        }
    }
}

/// A training step of a classifier with a normalization, and one of attention.
#[test]
fn training_steps_are_what_the_formulas_say() {
    let graph = Graph::new();
    let x = graph.samples("x", &[6, 4]);
    let labels = graph.input("labels", Shape::batch_of(&[]), DataType::I32);
    let values = [
        tensor(&[4, 8], 1),
        tensor(&[8], 2),
        tensor(&[8], 3),
        tensor(&[8, 3], 4),
        tensor(&[3], 5),
    ];
    let w: Vec<Var<'_>> = (values.iter().enumerate())
        .map(|(index, value)| graph.variable(VariableId(index), "w", value.shape()))
        .collect();
    let (normal, mean, variance) = x.matmul(w[0]).batch_normalize(w[1], w[2], 1e-3);
    let scores = normal.batch_matmul(normal, false, true).softmax();
    let mixed = (scores.matmul(normal) + normal).gelu();
    let centred = mixed - mixed.mean_keeping(&[2]);
    let scaled = centred * (mixed.variance_keeping(&[2]) + 1e-3).rsqrt();
    let logits = scaled.max(&[1]).matmul(w[3]) + w[4];
    let loss = logits.softmax_cross_entropy(labels).mean_all();
    let mut asked = vec![loss, logits.softmax(), mean, variance];
    asked.extend(graph.grad(loss, &w).unwrap());
    let (fed, labels) = (tensor(&[5, 6, 4], 9), [0, 2, 1, 1, 0]);
    let feeds = [Feed::F32(fed.as_slice()), Feed::I32(&labels)];
    let trace = graph.trace(&asked, 5, &feeds, &values, STEP).unwrap();
    check_nodes(&trace).unwrap();
    assert!(check_program(&graph.nodes_for(&asked), 5, &feeds, &values).is_ok());
}

/// y = x³, which the interpreter does not know.
#[derive(Debug)]
struct Cube;

impl Op for Cube {
    attributes!();

    fn name(&self) -> &str {
        "cube"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let x = operands.f32(0).iter();
        output
            .f32()
            .iter_mut()
            .zip(x)
            .for_each(|(y, x)| *y = x * x * x);
        Ok(())
    }
}

/// An op of one's own, random numbers and packed products have no formula: their own kernels are called.
#[test]
fn an_executor_falls_back_to_the_kernels_that_ops_have() {
    let graph = Graph::new();
    let x = graph.samples("x", &[3]);
    let w = graph.constant(Tensor::new([3, 2], vec![1.0, 0.5, -1.0, 2.0, 0.0, 1.0]).unwrap());
    let noise = graph.random_uniform(7, Shape::batch_of(&[3]), 0.5, 1.5);
    let y = (graph.apply(Cube, &[x]) * noise).matmul(w).relu();
    let tokens = graph.int_constant(IntTensor::new([2], vec![1, -1]).unwrap());
    let picked = y.take_along(tokens.broadcast_to([Dim::Batch, 2.into()]));
    let nodes = optimize(&graph.nodes_for(&[y, picked]));
    let feeds = [Feed::F32(&[1.0, -2.0, 0.5, 0.25, 1.0, -1.0])];
    let (expected, memory) = outputs(&Interpreter, &nodes, 2, &feeds, &[]);
    let unknown: Vec<&str> = memory.unknown.iter().map(String::as_str).collect();
    assert_eq!(unknown, ["cube", "fused_matmul_packed", "random_uniform"]);
    let (received, _) = outputs(&Cpu, &nodes, 2, &feeds, &[]);
    for (received, expected) in received.iter().zip(&expected) {
        agree(received, expected, 1e-6, 10.0).unwrap();
    }
}
