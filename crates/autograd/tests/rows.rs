//! Ops that may be part of the frozen prefix give a sample the same bits alone and in any batch.

mod common;

use common::{Case, Sizes, Value, differentiable, without_gradient};
use proptest::prelude::*;
use regraft_autograd::passes::cacheable;
use regraft_autograd::{BatchWorkspace, Dim, Feed, Graph, Nodes, Program, Run, Shape, Tensor, Var};

/// The formula over inputs (what has a batch) and constants (what has none).
fn build(case: &Case, values: &[Value], sizes: Sizes) -> Nodes {
    let graph = Graph::new();
    let operands: Vec<Var<'_>> = (case.operands)(sizes)
        .iter()
        .zip(values)
        .map(
            |((dims, _), value)| match (dims.contains(&Dim::Batch), value) {
                (true, value) => graph.input("x", Shape::from(dims.clone()), value.data_type()),
                (false, Value::F32(value)) => graph.constant(value.clone()),
                (false, Value::I32(value)) => graph.int_constant(value.clone()),
            },
        )
        .collect();
    let result = (case.formula)(&operands, sizes);
    graph.check().unwrap();
    graph.nodes_for(&[result])
}

/// The bits of the result for rows `rows` of the batched operands, all at once or divided among threads.
fn run(
    case: &Case,
    nodes: &Nodes,
    values: &[Value],
    sizes: Sizes,
    rows: std::ops::Range<usize>,
    together: Option<usize>,
) -> Vec<u32> {
    let operands = (case.operands)(sizes);
    let feeds: Vec<Feed<'_>> = operands
        .iter()
        .zip(values)
        .filter(|((dims, _), _)| dims.contains(&Dim::Batch))
        .map(|((dims, _), value)| {
            let row: usize = dims[1..].iter().map(|dim| dim.size(1)).product();
            let part = rows.start * row..rows.end * row;
            match value {
                Value::F32(value) => Feed::F32(&value.as_slice()[part]),
                Value::I32(value) => Feed::I32(&value.as_slice()[part]),
            }
        })
        .collect();
    let program = Program::from_nodes(nodes.clone());
    let none: &[Tensor] = &[];
    let bits = |words: &[f32]| -> Vec<u32> { words.iter().map(|x| x.to_bits()).collect() };
    match together {
        None => {
            let mut whole = program.workspace();
            whole.run(rows.len(), &feeds, none, Run::default()).unwrap();
            bits(whole.output(0))
        }
        Some(together) => {
            let divided = BatchWorkspace::new(&program);
            let mut divided = divided.with_samples_together(together);
            divided
                .run(rows.len(), &feeds, none, Run::default())
                .unwrap();
            bits(divided.output(0))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_sample_alone_has_the_bits_it_has_in_a_batch_however_that_is_divided(
        sizes in prop::array::uniform3(1usize..24), batch in 2usize..20, seed: u64,
    ) {
        for case in differentiable().into_iter().chain(without_gradient()) {
            let values = case.values(sizes, batch, seed);
            let nodes = build(&case, &values, sizes);
            let apart = cacheable(&nodes)[nodes.outputs()[0].0];
            prop_assert_eq!(apart, case.apart, "{}", case.name);
            if !apart {
                continue;
            }
            let whole = run(&case, &nodes, &values, sizes, 0..batch, None);
            for together in 1..4 {
                let divided = run(&case, &nodes, &values, sizes, 0..batch, Some(together));
                prop_assert_eq!(&divided, &whole, "{}, {} together", case.name, together);
            }
            for row in 0..batch {
                let alone = run(&case, &nodes, &values, sizes, row..row + 1, None);
                let same = &whole[row * alone.len()..][..alone.len()];
                prop_assert_eq!(&alone[..], same, "{}, row {}", case.name, row);
            }
        }
    }
}
