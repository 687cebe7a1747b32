//! Random graphs: chains of ops on a batch of samples and on weights, some of them frozen.

use proptest::prelude::*;
use regraft_autograd::{Dim, Feed, Graph, Nodes, Run, Shape, Tensor, Var, VariableId, Workspace};
use regraft_tensor::kernels::random::{self, Key};

/// The width of every sample and weight.
pub const WIDTH: usize = 4;

/// A recipe for a graph.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What each step does: which op, and two numbers that choose its operands.
    pub steps: Vec<(u8, usize, usize)>,
    /// For each weight whether it is frozen.
    pub frozen: [bool; WEIGHTS],
}

const WEIGHTS: usize = 4;

pub fn recipes() -> impl Strategy<Value = Recipe> {
    let step = (0u8..20, 0usize..1000, 0usize..1000);
    let steps = prop::collection::vec(step, 1..14);
    let frozen = prop::array::uniform4(any::<bool>());
    (steps, frozen).prop_map(|(steps, frozen)| Recipe { steps, frozen })
}

/// The values of the weights: a matrix and a row, twice.
pub fn weights() -> Vec<Tensor> {
    (0..WEIGHTS as u64)
        .map(|stream| match stream % 2 {
            0 => normal(&[WIDTH, WIDTH], stream),
            _ => normal(&[WIDTH], stream),
        })
        .collect()
}

/// `batch` samples.
pub fn samples(batch: usize) -> Tensor {
    normal(&[batch, WIDTH], 100)
}

fn normal(shape: &[usize], stream: u64) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    random::normal(Key::new(3, stream), 0, tensor.as_mut_slice());
    tensor
}

/// The graph of a recipe with a loss, the gradients of the weights and some values as outputs.
pub fn build(recipe: &Recipe) -> Nodes {
    let graph = Graph::new();
    let x = graph.samples("x", &[WIDTH]);
    let weights: Vec<Var<'_>> = weights()
        .into_iter()
        .enumerate()
        .map(|(index, value)| match recipe.frozen[index] {
            true => graph.constant(value),
            false => graph.variable(VariableId(index), "w", value.shape()),
        })
        .collect();
    // Everything made so far: of samples, and of fixed shape [WIDTH].
    let mut rows = vec![x];
    let mut fixed = vec![weights[1], weights[3]];
    for &(op, first, second) in &recipe.steps {
        let a = rows[first % rows.len()];
        let b = rows[second % rows.len()];
        let f = fixed[second % fixed.len()];
        let kernel = weights[2 * (second % 2)];
        let batch = Dim::Batch;
        let row = match op {
            0 => a + b,
            1 => a * f,
            2 => f - a,
            3 => a.matmul(kernel) + f,
            4 => (a.matmul(kernel) + f).relu(),
            5 => a.matmul(kernel).tanh(),
            6 => (a.matmul(kernel) + weights[3]).sigmoid(),
            7 => a.tanh() * 1.0,
            8 => a.softmax(),
            9 => a.maximum(b),
            10 => a - a.mean_keeping(&[1]),
            11 => a.greater(f).select(a, b),
            12 => a / (b.square() + 1.0),
            13 => {
                let parts = [a.slice(1, 0..2), b.slice(1, 1..3)];
                graph.concatenate(&parts, 1)
            }
            14 => (a.reshape([batch, 2.into(), 2.into()]).permute(&[0, 2, 1])).flatten(),
            15 => a * graph.bernoulli(first as u64, Shape::batch_of(&[WIDTH]), 0.7),
            16 => f.broadcast_to(a.shape()) * fixed[first % fixed.len()],
            17 => a * graph.random_normal(second as u64, [WIDTH], 1.0, 0.5),
            18 => {
                // Mixes the samples.
                fixed.push(a.mean(&[0]).tanh());
                continue;
            }
            _ => {
                fixed.push((fixed[first % fixed.len()] * f).sin());
                continue;
            }
        };
        rows.push(row);
    }
    let last = rows[rows.len() - 1];
    let loss = last.square().mean_all() + fixed[fixed.len() - 1].sum_all();
    let mut outputs = vec![loss, rows[rows.len() / 2], last];
    outputs.extend(graph.grad(loss, &weights).unwrap());
    graph.nodes_for(&outputs)
}

/// The step that programs are run for.
pub const STEP: Run = Run { seed: 5, step: 2 };

/// The bits of all outputs.
pub fn run(workspace: &mut Workspace, batch: usize) -> Vec<Vec<u32>> {
    let x = samples(batch);
    run_on(workspace, batch, &[Feed::F32(x.as_slice())], STEP)
}

/// The bits of all outputs; every NaN counts as the same.
pub fn run_on(
    workspace: &mut Workspace,
    batch: usize,
    feeds: &[Feed<'_>],
    run: Run,
) -> Vec<Vec<u32>> {
    workspace.run(batch, feeds, &weights(), run).unwrap();
    let bits = |x: &f32| if x.is_nan() { f32::NAN } else { *x }.to_bits();
    (0..workspace.program().output_count())
        .map(|index| workspace.output(index).iter().map(bits).collect())
        .collect()
}
