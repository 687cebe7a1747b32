//! The executor on the tutorial's work: a step of the head alone (what is below is frozen and its
//! features are cached), a step of the whole network, and what an instruction costs besides its
//! kernel.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use regraft_autograd::{DataType, Feed, Graph, Program, Run, Shape, Tensor, Var, VariableId};
use regraft_tensor::kernels::random::{self, Key};

const BATCH: usize = 32;

fn tensor(shape: &[usize], stream: u64) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    random::normal(Key::new(1, stream), 0, tensor.as_mut_slice());
    let scale = 1.0 / (shape[0] as f32).sqrt();
    tensor.as_mut_slice().iter_mut().for_each(|x| *x *= scale);
    tensor
}

/// A classifier with dense layers of `widths`, its loss and gradients compiled.
fn step(widths: &[usize]) -> (Program, Vec<Tensor>) {
    let graph = Graph::new();
    let mut x = graph.samples("x", &widths[..1]);
    let labels = graph.input("labels", Shape::batch_of(&[]), DataType::I32);
    let (mut vars, mut weights): (Vec<Var<'_>>, Vec<Tensor>) = Default::default();
    let layers = widths.len() - 1;
    for (layer, pair) in widths.windows(2).enumerate() {
        let mut weight = |name: &str, shape: &[usize]| {
            let var = graph.variable(VariableId(weights.len()), name, shape);
            weights.push(tensor(shape, weights.len() as u64));
            vars.push(var);
            var
        };
        let (kernel, bias) = (weight("kernel", pair), weight("bias", &pair[1..]));
        x = graph.scope(&format!("dense_{layer}"), || {
            let y = x.matmul(kernel) + bias;
            if layer + 1 < layers { y.relu() } else { y }
        });
    }
    let loss = x.softmax_cross_entropy(labels).mean_all();
    let mut outputs = vec![loss];
    outputs.extend(graph.grad(loss, &vars).expect("the loss is a number"));
    let program = Program::compile(&graph, &outputs).expect("shapes fit");
    (program, weights)
}

fn bench_step(c: &mut Criterion, name: &str, widths: &[usize]) {
    let (program, weights) = step(widths);
    let mut workspace = program.workspace();
    if std::env::var_os("PRINT_GRAPH").is_some() {
        println!("{name}\n{}", program.nodes());
    }
    let x = tensor(&[BATCH, widths[0]], 100);
    let labels: Vec<i32> = (0..BATCH as i32).map(|label| label % 10).collect();
    let feeds = [Feed::F32(x.as_slice()), Feed::I32(&labels)];
    c.bench_function(name, |b| {
        b.iter(|| {
            workspace
                .run(BATCH, black_box(&feeds), &weights, Run::default())
                .expect("the feeds fit");
            black_box(workspace.output(0)[0])
        });
    });
}

/// A chain of additions of single numbers, in which there is nothing to compute: the time divided
/// by 100 is what an instruction costs.
fn overhead(c: &mut Criterion) {
    let graph = Graph::new();
    let x = graph.variable(VariableId(0), "x", [1]);
    let mut y = x;
    for _ in 0..100 {
        y = y + x;
    }
    let mut program = Program::compile(&graph, &[y])
        .expect("shapes fit")
        .workspace();
    let weights = [Tensor::full([1], 1.0)];
    c.bench_function("100 instructions on one number", |b| {
        b.iter(|| {
            program
                .run(1, &[], black_box(&weights), Run::default())
                .expect("nothing is fed");
            black_box(program.output(0)[0])
        });
    });
}

fn benches(c: &mut Criterion) {
    overhead(c);
    bench_step(c, "step of the head 32-10, batch 32", &[32, 10]);
    bench_step(
        c,
        "step of 784-32-32-32-10, batch 32",
        &[784, 32, 32, 32, 10],
    );
}

criterion_group! {
    name = program;
    config = Criterion::default().sample_size(50);
    targets = benches
}
criterion_main!(program);
