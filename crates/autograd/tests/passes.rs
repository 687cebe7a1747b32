//! On random graphs: passes keep every bit, the frozen prefix can be run apart, buffers are not
//! shared by values that are needed at the same time.

mod common;

use common::random_graph::{STEP, WIDTH, build, recipes, run, run_on, samples};
use proptest::prelude::*;
use regraft_autograd::passes::{
    assign_slots, fold_constants, fold_scales, fuse, optimize, optimize_traced, prune, share,
    skip_broadcasts, split,
};
use regraft_autograd::{Feed, Nodes, Program, Run};

fn bits(nodes: &Nodes, batch: usize) -> Vec<Vec<u32>> {
    run(&mut Program::from_nodes(nodes.clone()).workspace(), batch)
}

/// That a pass, which is not larger, keeps every bit. Folding a factor or an offset into constant weights
/// rounds; where `fold_scales` finds one, numbers are near.
fn keeps(name: &str, before: &Nodes, after: &Nodes, batch: usize) -> Result<(), TestCaseError> {
    prop_assert!(after.len() <= before.len(), "{name}");
    let (expected, received) = (bits(before, batch), bits(after, batch));
    if name != "fold_scales" || before.to_string() == after.to_string() {
        prop_assert_eq!(received, expected, "{}\n{}\n{}", name, before, after);
        return Ok(());
    }
    for (expected, received) in expected.iter().zip(&received) {
        let numbers = |bits: &[u32]| {
            bits.iter()
                .map(|&it| f32::from_bits(it))
                .collect::<Vec<_>>()
        };
        let (expected, received) = (numbers(expected), numbers(received));
        let largest = expected
            .iter()
            .fold(1.0, |largest: f32, x| largest.max(x.abs()));
        for (a, b) in received.iter().zip(&expected) {
            let near = a.to_bits() == b.to_bits() || (a - b).abs() < 1e-4 * largest;
            prop_assert!(near, "{name}: {a} {b}\n{before}\n{after}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn every_pass_keeps_every_bit(recipe in recipes(), batch in 1usize..6) {
        let nodes = build(&recipe);
        let pruned = prune(&nodes);
        for (name, changed) in [
            ("skip_broadcasts", skip_broadcasts(&pruned)),
            ("fold_constants", fold_constants(&pruned)),
            ("share", share(&pruned)),
            ("fold_scales", fold_scales(&pruned)),
            ("fuse", fuse(&pruned)),
        ] {
            keeps(name, &pruned, &changed, batch)?;
        }
        for nodes in [optimize(&nodes), nodes] {
            let mut before = nodes.clone();
            let mut kept = Ok(());
            optimize_traced(&nodes, |name, after| {
                kept = kept.clone().and_then(|()| keeps(name, &before, after, batch));
                before = after.clone();
            });
            kept?;
        }
    }

    #[test]
    fn the_frozen_prefix_and_the_rest_give_the_bits_of_the_whole(
        recipe in recipes(), batch in 1usize..6, cut in 0usize..6,
    ) {
        let nodes = optimize(&build(&recipe));
        let Some(split) = split(&nodes, 1) else { return Ok(()) };
        let x = samples(batch);
        let cut = cut.min(batch);
        let mut prefix = Program::from_nodes(split.prefix.clone()).workspace();
        let mut features = vec![Vec::new(); split.prefix.outputs().len()];
        for rows in [0..cut, cut..batch] {
            if rows.is_empty() {
                continue;
            }
            let feed = Feed::F32(&x.as_slice()[rows.start * WIDTH..rows.end * WIDTH]);
            // Its values hold for every step.
            run_on(&mut prefix, rows.len(), &[feed], Run { seed: 77, step: 0 });
            for (index, feature) in features.iter_mut().enumerate() {
                feature.extend_from_slice(prefix.output(index));
            }
        }
        let mut feeds = vec![Feed::F32(x.as_slice())];
        feeds.extend(features.iter().map(|feature| Feed::F32(feature)));
        if split.rest_inputs.is_empty() {
            feeds[0] = Feed::F32(&[]);
        }
        let rest = run_on(&mut Program::from_nodes(split.rest.clone()).workspace(), batch, &feeds, STEP);
        prop_assert_eq!(rest, bits(&nodes, batch), "{}\n{}", split.prefix, split.rest);
    }

    #[test]
    fn a_program_is_the_same_after_other_batch_sizes(
        recipe in recipes(), batches in prop::collection::vec(1usize..40, 1..5),
    ) {
        let nodes = optimize(&build(&recipe));
        let mut reused = Program::from_nodes(nodes.clone()).workspace();
        for batch in batches {
            prop_assert_eq!(run(&mut reused, batch), bits(&nodes, batch));
        }
    }

    #[test]
    fn values_that_are_needed_at_the_same_time_have_buffers_of_their_own(
        recipe in recipes(), optimized: bool,
    ) {
        let nodes = build(&recipe);
        let nodes = if optimized { optimize(&nodes) } else { nodes };
        let slots = assign_slots(&nodes, 32);
        for (id, node) in nodes.iter() {
            prop_assert_eq!(slots.slot[id.0].is_some(), node.op().is_some());
        }
        for (slot, tenants) in slots.tenants.iter().enumerate() {
            for pair in tenants.windows(2) {
                let (earlier, later) = (pair[0], pair[1]);
                prop_assert_eq!(slots.slot[later.0], Some(slot));
                prop_assert!(earlier < later);
                prop_assert!(!nodes.outputs().contains(&earlier));
                for (reader, node) in nodes.iter() {
                    let over = reader == later && slots.in_place[later.0];
                    prop_assert!(!node.operands().contains(&earlier) || reader < later || over);
                }
                if slots.in_place[later.0] {
                    let operands = nodes.node(later).operands();
                    prop_assert!(nodes.node(later).op().unwrap().works_in_place());
                    prop_assert!(!operands[1..].contains(&operands[0]));
                    let first = slots.slot[operands[0].0];
                    prop_assert_eq!(first, Some(slot));
                }
            }
        }
    }
}

/// A convolution, a bias, a frozen batch normalization and an activation become one op.
#[test]
fn a_frozen_normalization_folds_into_the_convolution_before_it() {
    use regraft_autograd::{Graph, Tensor};
    use regraft_tensor::kernels::window::Window;
    let numbers = |shape: &[usize], step: f32| {
        let values = (0..shape.iter().product::<usize>()).map(|i| (i as f32 * step).sin());
        Tensor::new(shape, values.collect()).unwrap()
    };
    let graph = Graph::new();
    let x = graph.samples("x", &[5, 6, 3]);
    let window = Window::new(&[3, 3]).same_padding(&[5, 6]);
    let convolved = x.convolution(graph.constant(numbers(&[3, 3, 3, 4], 0.7)), window, 1)
        + graph.constant(numbers(&[4], 0.3));
    let y = (convolved * graph.constant(numbers(&[4], 1.1)) + graph.constant(numbers(&[4], 2.3)))
        .relu();
    let plain = graph.nodes_for(&[y]);
    let folded = optimize(&plain);
    let ops = folded.iter().filter(|(_, node)| node.op().is_some());
    assert_eq!(ops.count(), 1, "{folded}");
    let input = numbers(&[2, 5, 6, 3], 0.9);
    let run = |nodes: &Nodes| {
        let mut program = Program::from_nodes(nodes.clone()).workspace();
        let none: &[Tensor] = &[];
        program
            .run(2, &[Feed::F32(input.as_slice())], none, Run::default())
            .unwrap();
        program.output(0).to_vec()
    };
    for (folded, plain) in run(&folded).iter().zip(run(&plain)) {
        assert!((folded - plain).abs() < 1e-5, "{folded} {plain}");
    }
    // What somebody else needs too is not folded.
    let both = optimize(&graph.nodes_for(&[y, convolved]));
    let ops = both.iter().filter(|(_, node)| node.op().is_some());
    assert!(ops.count() > 1, "{both}");
}

/// What is computed of constants that are computed of each other again and again: as a tree the origin of the
/// last would have 4¹⁵ leaves.
#[test]
fn the_origin_of_a_constant_is_no_larger_than_its_computation() {
    use regraft_autograd::{Graph, Origin, Tensor};
    let origin = |number: u64, steps: usize| {
        let graph = Graph::new();
        let value = Tensor::new([2, 2], vec![0.9, 0.1, -0.2, 0.7]).unwrap();
        let mut x = graph.constant_from(Origin::of_value(number), "w", value);
        for _ in 0..steps {
            x = x * 1.5 - x.matmul(x.transpose()).matmul(x) * 0.5;
        }
        let folded = fold_constants(&prune(&graph.nodes_for(&[x])));
        let last = folded.node(folded.outputs()[0]);
        assert!(last.op().is_none(), "{folded}");
        last.origin.clone().unwrap()
    };
    let (one, other) = (Origin::unique_number(), Origin::unique_number());
    let known = origin(one, 15);
    assert_eq!(origin(one, 15), known);
    assert_ne!(origin(one, 14), known);
    assert_ne!(origin(other, 15), known);
}

#[test]
fn a_long_chain_of_constants_needs_no_deep_stack() {
    use regraft_autograd::{Graph, Origin};
    let graph = Graph::new();
    let value = regraft_autograd::Tensor::new([1], vec![0.5]).unwrap();
    let mut x = graph.constant_from(Origin::of_value(Origin::unique_number()), "w", value);
    for _ in 0..30_000 {
        x = x.sqrt();
    }
    let folded = fold_constants(&graph.nodes_for(&[x]));
    assert!(folded.node(folded.outputs()[0]).origin.is_some());
}
