//! A program allocates nothing once its buffers have their size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use regraft_autograd::{
    DataType, Feed, Graph, IntTensor, Program, Run, Shape, Tensor, Var, VariableId, Workspace,
};
use regraft_tensor::kernels::random::{self, Key};

thread_local! {
    /// Per thread, because the tests of a binary run at the same time.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on to the system's allocator as it is; counting does not allocate,
// as the counter is initialised in a constant and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's duties are those of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System`, as all of this allocator do.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations() -> usize {
    ALLOCATIONS.with(Cell::get)
}

fn tensor(shape: &[usize], stream: u64) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    random::normal(Key::new(1, stream), 0, tensor.as_mut_slice());
    tensor
}

/// Runs a program with the largest batch once, and then counts.
fn check(
    program: &mut Workspace,
    batches: &[usize],
    x: &Tensor,
    labels: &[i32],
    weights: &[Tensor],
) {
    let width = x.shape()[1];
    let mut run = |batch: usize, step: u64| {
        let feeds = [
            Feed::F32(&x.as_slice()[..batch * width]),
            Feed::I32(&labels[..batch]),
        ];
        program
            .run(batch, &feeds, weights, Run { seed: 1, step })
            .unwrap();
    };
    run(batches[0], 0);
    let before = allocations();
    for (step, &batch) in batches.iter().enumerate() {
        run(batch, step as u64);
    }
    assert_eq!(allocations() - before, 0);
    // The counter counts.
    let before = allocations();
    std::hint::black_box(vec![0.0; batches.len()]);
    assert_eq!(allocations() - before, 1);
}

/// Loss and gradients of `value` as the usual loss.
fn compile<'g>(value: Var<'g>, labels: Var<'g>, weights: &[Var<'g>]) -> Workspace {
    let graph = value.graph();
    let loss = value.softmax_cross_entropy(labels).mean_all();
    let mut outputs = vec![loss];
    outputs.extend(graph.grad(loss, weights).unwrap());
    Program::compile(graph, &outputs).unwrap().workspace()
}

#[test]
fn a_training_step_allocates_nothing() {
    let graph = Graph::new();
    let x = graph.samples("x", &[24]);
    let labels = graph.input("labels", Shape::batch_of(&[]), DataType::I32);
    let values = [
        tensor(&[24, 32], 1),
        tensor(&[32], 2),
        tensor(&[32], 3),
        tensor(&[32, 10], 4),
        tensor(&[10], 5),
    ];
    let w: Vec<Var<'_>> = (values.iter().enumerate())
        .map(|(index, value)| graph.variable(VariableId(index), "w", value.shape()))
        .collect();
    let hidden = x.matmul(w[0]);
    // Batch normalization, dropout and a penalty.
    let centred = hidden - hidden.mean_keeping(&[0]);
    let normal = centred * (hidden.variance_keeping(&[0]) + 1e-3).rsqrt() * w[1] + w[2];
    let keep = graph.bernoulli(0, Shape::batch_of(&[32]), 0.8);
    let logits = (normal.relu() * keep * 1.25).matmul(w[3]) + w[4];
    let mut program = compile(logits, labels, &w);
    let labels: Vec<i32> = (0..300).map(|label| label % 10).collect();
    check(
        &mut program,
        &[300, 32, 7, 300, 1],
        &tensor(&[300, 24], 9),
        &labels,
        &values,
    );
}

#[test]
fn sequences_and_many_operands_allocate_nothing() {
    let graph = Graph::new();
    let x = graph.samples("x", &[12]);
    let labels = graph.input("labels", Shape::batch_of(&[]), DataType::I32);
    let values = [tensor(&[20, 6], 1), tensor(&[6, 8], 2)];
    let table = graph.variable(VariableId(0), "table", [20, 6]);
    let w = graph.variable(VariableId(1), "w", [6, 8]);
    let tokens = graph.int_constant(IntTensor::new([12], (0..12).collect()).unwrap());
    let tokens = x.expand_dims(2) * table.gather(tokens);
    // Attention, layer normalization and a concatenation of more parts than fit on the stack.
    let scores = tokens.batch_matmul(tokens, false, true).softmax();
    let mixed = scores.matmul(tokens);
    let scale = (mixed.variance_keeping(&[2]) + 1e-3).rsqrt();
    let normal = (mixed - mixed.mean_keeping(&[2])) * scale;
    let heads = normal
        .permute(&[0, 2, 1])
        .pad(&[(0, 0), (0, 0), (1, 1)], 0.0);
    let parts: Vec<Var<'_>> = (0..12).map(|part| heads.slice(2, part..part + 2)).collect();
    let joined = graph.concatenate(&parts, 2).max(&[2]);
    let logits = joined.matmul(w);
    let mut program = compile(logits, labels, &[table, w]);
    let labels: Vec<i32> = (0..8).collect();
    check(
        &mut program,
        &[8, 3, 8],
        &tensor(&[8, 12], 9),
        &labels,
        &values,
    );
}
