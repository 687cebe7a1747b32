//! On random graphs: passes keep every bit, the frozen prefix can be run apart, buffers are not
//! shared by values that are needed at the same time.

mod common;

use common::random_graph::{STEP, WIDTH, build, recipes, run, run_on, samples};
use proptest::prelude::*;
use regraft_autograd::passes::{
    LeastMemory, NumberFormat, assign_slots, fold_constants, fold_scales, fuse,
    join_cross_entropies, join_recurrences, low_precision, optimize, optimize_traced,
    optimize_unfused, prune, recompute, share, skip_broadcasts, skip_pads, split, winograd,
};
use regraft_autograd::{
    BatchWorkspace, Calibration, DataType, Feed, Graph, Nodes, Origin, Program, Run, Source,
    Tensor, Var, VariableId,
};
use regraft_tensor::kernels::window::Window;

fn bits(nodes: &Nodes, batch: usize) -> Vec<Vec<u32>> {
    run(&mut Program::from_nodes(nodes.clone()).workspace(), batch)
}

/// Numbers that follow no simple pattern.
fn numbers(shape: &[usize], step: f32) -> Tensor {
    let values = (0..shape.iter().product::<usize>()).map(|i| (i as f32 * step).sin());
    Tensor::new(shape, values.collect()).unwrap()
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
            ("skip_pads", skip_pads(&pruned)),
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
    fn what_is_computed_again_has_the_same_bits(
        recipe in recipes(), batch in 1usize..6, share in 0.3f64..1.0,
    ) {
        let nodes = optimize(&build(&recipe));
        let bytes = |nodes: &Nodes| Program::from_nodes(nodes.clone()).buffer_bytes(batch);
        let limit = (share * bytes(&nodes) as f64) as usize;
        let limit = match recompute(&nodes, batch, limit) {
            Ok(_) => limit,
            Err(LeastMemory(least)) => {
                prop_assert!(least > limit && least <= bytes(&nodes));
                least
            }
        };
        let within = recompute(&nodes, batch, limit).unwrap();
        prop_assert!(bytes(&within) <= limit);
        prop_assert_eq!(bits(&within, batch), bits(&nodes, batch), "{}\n{}", nodes, within);
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

/// One block of a residual network: how the sum is made.
#[derive(Clone, Copy, Debug)]
struct Residual {
    bias: bool,
    /// The value that is added: 0 the input, 1 a convolution before, 2 one that is somebody else's, too.
    other: u8,
    swapped: bool,
    activation: u8,
    taps: usize,
    channels: usize,
}

fn residuals() -> impl Strategy<Value = Vec<Residual>> {
    let block = (any::<bool>(), 0u8..3, any::<bool>(), 0u8..5, 1usize..4);
    let blocks = prop::collection::vec(block, 1..4);
    (blocks, 1usize..40).prop_map(|(blocks, channels)| {
        let block = |(bias, other, swapped, activation, taps)| Residual {
            bias,
            other,
            swapped,
            activation,
            taps,
            channels,
        };
        blocks.into_iter().map(block).collect()
    })
}

fn residual_network(blocks: &[Residual], trained: bool) -> Nodes {
    let channels = blocks[0].channels;
    let graph = Graph::new();
    let mut x = graph.samples("x", &[5, 4, channels]);
    let mut outputs = Vec::new();
    let mut weight = 0;
    let mut numbers = |shape: &[usize]| {
        weight += 1;
        let values = (0..shape.iter().product::<usize>()).map(|i| ((i * 7 + weight) as f32).sin());
        let value = Tensor::new(shape, values.collect()).unwrap();
        // Weights of other programs are read when they run.
        match trained {
            true => graph.variable(VariableId(weight), "w", shape),
            false => graph.constant(value),
        }
    };
    for block in blocks {
        let window = Window::new(&[block.taps, block.taps]).same_padding(&[5, 4]);
        let shape = [block.taps, block.taps, channels, channels];
        let kernels = [numbers(&shape), numbers(&shape)];
        let convolved = |number: usize| x.convolution(kernels[number], window, 1);
        let other = match block.other {
            0 => x,
            _ => convolved(0),
        };
        if block.other == 2 {
            outputs.push(other);
        }
        let mut y = convolved(1);
        if block.bias {
            y = y + numbers(&[channels]);
        }
        y = match block.swapped {
            true => other + y,
            false => y + other,
        };
        x = match block.activation {
            0 => y,
            1 => y.relu(),
            2 => y.clip(0.0, 6.0),
            3 => y.silu(),
            _ => y.gelu(),
        } * 0.1;
    }
    outputs.push(x);
    prune(&graph.nodes_for(&outputs))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_residual_is_added_by_its_convolution_with_the_same_bits(
        blocks in residuals(), batch in 1usize..4, trained: bool,
    ) {
        let nodes = residual_network(&blocks, trained);
        let fused = fuse(&nodes);
        let channels = blocks[0].channels;
        let x: Vec<f32> = (0..batch * 20 * channels).map(|i| (i as f32 * 0.37).cos()).collect();
        let weights: Vec<Tensor> = {
            let mut shapes: Vec<(usize, Vec<usize>)> = Vec::new();
            for (_, node) in nodes.iter() {
                if let Source::Variable(id) = node.source {
                    shapes.push((id.0, node.shape.fixed().unwrap()));
                }
            }
            let count = shapes.iter().map(|(id, _)| id + 1).max().unwrap_or(0);
            let mut weights = vec![Tensor::zeros([1]); count];
            for (id, shape) in shapes {
                let values = (0..shape.iter().product::<usize>()).map(|i| ((i * 5 + id) as f32).sin());
                weights[id] = Tensor::new(shape, values.collect()).unwrap();
            }
            weights
        };
        let run = |nodes: &Nodes| -> Vec<Vec<u32>> {
            let mut program = Program::from_nodes(nodes.clone()).workspace();
            program.run(batch, &[Feed::F32(&x)], &weights, Run::default()).unwrap();
            let outputs = 0..nodes.outputs().len();
            let bits = |output| program.output(output).iter().map(|x| x.to_bits()).collect();
            outputs.map(bits).collect()
        };
        prop_assert_eq!(run(&fused), run(&nodes), "{}\n{}", nodes, fused);
        // Nothing is added apart.
        let apart = fused.iter().filter(|(_, node)| node.op().is_some_and(|op| op.name() == "add"));
        prop_assert_eq!(apart.count(), 0, "{}", fused);
    }
}

/// A convolution, a bias, a frozen batch normalization and an activation become one op.
#[test]
fn a_frozen_normalization_folds_into_the_convolution_before_it() {
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

/// A border of zeros in front of convolutions of all kinds, and in front of their weights' gradients.
#[test]
fn a_border_in_front_of_a_convolution_is_not_written() {
    let window = |size: &[usize]| Window::new(size);
    // The sizes of a sample, its border, the window, channels and filters, groups.
    type Case<'a> = (&'a [usize], &'a [(usize, usize)], Window, [usize; 2], usize);
    let cases: [Case<'_>; 7] = [
        (&[9], &[(2, 1)], window(&[3]), [4, 6], 1),
        (
            &[8, 7],
            &[(0, 1), (0, 1)],
            window(&[3, 3]).strides(&[2, 2]),
            [5, 5],
            5,
        ),
        (
            &[8, 7],
            &[(3, 3), (3, 3)],
            window(&[7, 7]).strides(&[2, 2]),
            [3, 16],
            1,
        ),
        (
            &[6, 6],
            &[(1, 1), (2, 0)],
            window(&[3, 2]).dilation(&[2, 1]),
            [4, 8],
            2,
        ),
        (
            &[6, 5],
            &[(1, 0), (0, 1)],
            window(&[3, 3]).padding(&[(1, 1), (1, 1)]),
            [300, 20],
            1,
        ),
        (&[4, 4], &[(5, 5), (5, 5)], window(&[2, 2]), [2, 3], 1),
        (
            &[3, 4, 5],
            &[(1, 1), (0, 2), (1, 0)],
            window(&[2, 3, 2]),
            [3, 4],
            1,
        ),
    ];
    for (sizes, border, window, [channels, filters], groups) in cases {
        let graph = Graph::new();
        let x = graph.samples("x", &[sizes, &[channels]].concat());
        let no = [(0, 0)];
        let padded = x.pad(&[&no, border, &no].concat(), 0.0);
        let size = &window.size[3 - sizes.len()..];
        let kernel = numbers(&[size, &[channels / groups, filters]].concat(), 0.7);
        let kernel = graph.variable(VariableId(0), "kernel", kernel.shape());
        let y = padded.convolution(kernel, window, groups);
        let loss = (y * y).sum_all();
        let gradient = graph.grad(loss, &[kernel]).unwrap()[0];
        let nodes = graph.nodes_for(&[y, gradient]);
        let skipped = skip_pads(&nodes);
        let pads = |nodes: &Nodes| {
            let pads = nodes
                .iter()
                .filter(|(_, node)| node.op().is_some_and(|op| op.name() == "pad"));
            pads.count()
        };
        assert_eq!((pads(&nodes), pads(&skipped)), (1, 0), "{skipped}");
        let input = numbers(&[&[2], sizes, &[channels]].concat(), 0.9);
        let kernel = [numbers(
            &[size, &[channels / groups, filters]].concat(),
            0.7,
        )];
        let run = |nodes: &Nodes| {
            let mut program = Program::from_nodes(nodes.clone()).workspace();
            let feeds = [Feed::F32(input.as_slice())];
            program.run(2, &feeds, &kernel, Run::default()).unwrap();
            let bits = |output: usize| {
                program
                    .output(output)
                    .iter()
                    .map(|x| x.to_bits())
                    .collect::<Vec<_>>()
            };
            (bits(0), bits(1))
        };
        assert_eq!(run(&skipped), run(&nodes), "{window:?}");
    }
    // Other numbers, and other axes, are no border that a convolution thinks there.
    let graph = Graph::new();
    let x = graph.samples("x", &[5, 2]);
    let kernel = graph.constant(numbers(&[3, 2, 4], 0.7));
    let wider = graph.constant(numbers(&[3, 3, 4], 0.7));
    let ones = x
        .pad(&[(0, 0), (1, 1), (0, 0)], 1.0)
        .convolution(kernel, Window::new(&[3]), 1);
    let channels = x
        .pad(&[(0, 0), (0, 0), (0, 1)], 0.0)
        .convolution(wider, Window::new(&[3]), 1);
    let nodes = graph.nodes_for(&[ones, channels]);
    assert_eq!(skip_pads(&nodes).len(), nodes.len());
}

/// What is computed of constants that are computed of each other again and again: as a tree the origin of the
/// last would have 4¹⁵ leaves.
#[test]
fn the_origin_of_a_constant_is_no_larger_than_its_computation() {
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
    let graph = Graph::new();
    let value = Tensor::new([1], vec![0.5]).unwrap();
    let mut x = graph.constant_from(Origin::of_value(Origin::unique_number()), "w", value);
    for _ in 0..30_000 {
        x = x.sqrt();
    }
    let folded = fold_constants(&graph.nodes_for(&[x]));
    assert!(folded.node(folded.outputs()[0]).origin.is_some());
}

/// A small network of what mobile networks are made of: a first convolution, one to more channels, a depthwise one,
/// one to fewer with a residual, a pooling, a dense layer; the last with these weights.
fn mobile<'g>(graph: &'g Graph, last: impl Fn(&'g Graph, Tensor) -> Var<'g>) -> Nodes {
    let constant = |shape: &[usize], step: f32| graph.constant(numbers(shape, step));
    let three = Window::new(&[3, 3]).padding(&[(1, 1), (1, 1)]);
    let one = Window::new(&[1, 1]);
    let x = graph.samples("x", &[9, 9, 3]);
    let stem = x.convolution(constant(&[3, 3, 3, 8], 0.7), three, 1).relu();
    let bias = constant(&[14], 0.3);
    let wide = (stem.convolution(constant(&[1, 1, 8, 14], 0.91), one, 1) + bias).relu();
    let deep = wide
        .convolution(constant(&[3, 3, 1, 14], 1.3), three, 14)
        .relu();
    let narrow = deep.convolution(constant(&[1, 1, 14, 8], 0.57), one, 1) + stem;
    let features = narrow.mean(&[1, 2]);
    let y = features.matmul(last(graph, numbers(&[8, 4], 0.83)));
    graph.nodes_for(&[features, y])
}

/// The names of the ops, with the types of their results.
fn ops(nodes: &Nodes) -> Vec<(String, DataType)> {
    let ops = nodes.iter().filter_map(|(_, node)| {
        let op = node.op()?;
        Some((op.name().to_string(), node.data_type))
    });
    ops.collect()
}

#[test]
fn low_precision_is_for_what_is_constant_behind_the_first_layer() {
    let graph = Graph::new();
    let x = numbers(&[5, 9, 9, 3], 0.37);
    let feeds = [Feed::from(&x)];
    let calibration = Calibration {
        samples: 5,
        feeds: &feeds,
    };
    let nodes = optimize_unfused(&mobile(&graph, |graph, last| graph.constant(last)));
    let int8 = fuse(&low_precision(&nodes, NumberFormat::Int8, 1, calibration).unwrap());
    let [f32, bytes] = [DataType::F32, DataType::I32];
    let named = |ops: &[(&str, DataType)]| -> Vec<(String, DataType)> {
        ops.iter()
            .map(|&(name, data_type)| (name.to_string(), data_type))
            .collect()
    };
    assert_eq!(
        ops(&int8),
        named(&[
            ("fused_convolution_packed", f32),
            ("int8_convolution", bytes),
            ("int8_depthwise_convolution", bytes),
            ("int8_convolution", f32),
            ("mean", f32),
            ("int8_matmul", f32),
        ])
    );
    let bfloat16 = fuse(&low_precision(&nodes, NumberFormat::Bfloat16, 1, calibration).unwrap());
    assert_eq!(
        ops(&bfloat16),
        named(&[
            ("fused_convolution_packed", f32),
            ("bfloat16_convolution", f32),
            ("fused_grouped_convolution_packed", f32),
            ("bfloat16_convolution", f32),
            ("mean", f32),
            ("bfloat16_matmul", f32),
        ])
    );
    // Near the exact numbers, and a sample's are the same in any batch.
    let none: [Tensor; 0] = [];
    let outputs = |nodes: &Nodes, x: &Tensor, together: usize| -> Vec<f32> {
        let program = Program::from_nodes(nodes.clone());
        let mut workspace = BatchWorkspace::new(&program).with_samples_together(together);
        let batch = x.shape()[0];
        workspace
            .run(batch, &[Feed::from(x)], &none, Run::default())
            .unwrap();
        let outputs = (0..2).map(|output| workspace.output(output));
        outputs.flat_map(|values| values.to_vec()).collect()
    };
    let exact = outputs(&fuse(&nodes), &x, 5);
    let length = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>().sqrt();
    for (nodes, most) in [(&int8, 0.02), (&bfloat16, 0.01)] {
        let rounded = outputs(nodes, &x, 5);
        let apart: Vec<f32> = exact.iter().zip(&rounded).map(|(a, b)| a - b).collect();
        let error = length(&apart) / length(&exact);
        assert!(error > 1e-5 && error < most, "{error}");
        assert_eq!(rounded, outputs(nodes, &x, 1));
    }
    // What is trained, and what it is told of targets, stays.
    let graph = Graph::new();
    let variable = |graph, last: Tensor| {
        let graph: &Graph = graph;
        graph.variable(VariableId(0), "last", [last.shape()[0], last.shape()[1]])
    };
    let nodes = optimize_unfused(&mobile(&graph, variable));
    let trained = fuse(&low_precision(&nodes, NumberFormat::Int8, 1, calibration).unwrap());
    assert_eq!(ops(&trained)[..5], ops(&int8)[..5]);
    assert_eq!(ops(&trained)[5].0, "fused_matmul");
    let none = fuse(&low_precision(&nodes, NumberFormat::Int8, 0, calibration).unwrap());
    assert_eq!(ops(&none), ops(&fuse(&nodes)));
}

#[test]
fn a_value_that_others_read_stays_a_float() {
    let graph = Graph::new();
    let x = graph.samples("x", &[6]);
    let constant = |step| graph.constant(numbers(&[6, 6], step));
    let a = x.matmul(constant(0.7)).relu();
    let b = a.matmul(constant(0.9)).relu();
    let c = b.matmul(constant(1.1));
    let nodes = optimize_unfused(&graph.nodes_for(&[c, b.exp()]));
    let x = numbers(&[3, 6], 0.77);
    let feeds = [Feed::from(&x)];
    let calibration = Calibration {
        samples: 3,
        feeds: &feeds,
    };
    let int8 = fuse(&low_precision(&nodes, NumberFormat::Int8, 1, calibration).unwrap());
    assert!(
        ops(&int8)
            .iter()
            .all(|(_, data_type)| *data_type == DataType::F32),
        "{int8}"
    );
    assert_eq!(
        ops(&int8)
            .iter()
            .filter(|(name, _)| name == "int8_matmul")
            .count(),
        2
    );
    // Samples that do not fit are an error.
    let wrong = Calibration {
        samples: 4,
        feeds: &feeds,
    };
    assert!(low_precision(&nodes, NumberFormat::Int8, 1, wrong).is_err());
}

#[test]
fn a_loss_and_its_gradient_share_their_exponentials() {
    for (classes, weighted) in [(10, false), (10, true), (40, true)] {
        let graph = Graph::new();
        let x = graph.samples("x", &[7]);
        let labels = graph.input(
            "labels",
            regraft_autograd::Shape::batch_of(&[]),
            DataType::I32,
        );
        let w = graph.variable(VariableId(0), "w", [7, classes]);
        let logits = x.matmul(w);
        let losses = logits.softmax_cross_entropy(labels);
        let losses = match weighted {
            true => losses * x.sum(&[1]),
            false => losses,
        };
        let loss = losses.mean_all();
        let gradient = graph.grad(loss, &[w]).unwrap()[0];
        let nodes = prune(&graph.nodes_for(&[loss, gradient, logits]));
        let joined = join_cross_entropies(&nodes);
        let count =
            |nodes: &Nodes, name: &str| ops(nodes).iter().filter(|(op, _)| op == name).count();
        assert_eq!(count(&joined, "softmax_and_cross_entropy"), 1, "{joined}");
        assert_eq!(count(&joined, "softmax_cross_entropy"), 0, "{joined}");
        assert_eq!(
            count(&joined, "softmax_cross_entropy_gradient"),
            0,
            "{joined}"
        );
        assert_eq!(count(&optimize(&nodes), "softmax_and_cross_entropy"), 1);
        let batch = 70;
        let (x, w) = (numbers(&[batch, 7], 0.37), [numbers(&[7, classes], 0.71)]);
        let labels: Vec<i32> = (0..batch).map(|row| (row * 3 % classes) as i32).collect();
        let run = |nodes: &Nodes| {
            let mut workspace = Program::from_nodes(nodes.clone()).workspace();
            let feeds = [Feed::from(&x), Feed::I32(&labels)];
            workspace.run(batch, &feeds, &w, Run::default()).unwrap();
            let words = |output| {
                workspace
                    .output(output)
                    .iter()
                    .map(|x| x.to_bits())
                    .collect()
            };
            (0..3).map(words).collect::<Vec<Vec<u32>>>()
        };
        assert_eq!(run(&joined), run(&nodes));
        // The loss alone is left as it is.
        let alone = prune(&graph.nodes_for(&[loss]));
        assert_eq!(join_cross_entropies(&alone).to_string(), alone.to_string());
    }
}

#[test]
fn a_recurrence_and_its_gradient_share_their_steps() {
    use regraft_autograd::ops::{Cell, Keep, Recurrence};
    for keep in [Keep::Last, Keep::Outputs, Keep::States] {
        let graph = Graph::new();
        let x = graph.samples("x", &[5, 12]);
        let kernel = graph.variable(VariableId(0), "kernel", [3, 12]);
        let op = Recurrence {
            cell: Cell::Lstm,
            keep,
            bias: false,
            initial: false,
            masked: false,
        };
        let y = graph.apply(op, &[x, kernel]);
        let loss = y.square().mean_all();
        let gradient = graph.grad(loss, &[kernel]).unwrap()[0];
        let nodes = prune(&graph.nodes_for(&[loss, gradient, y]));
        let count =
            |nodes: &Nodes, name: &str| ops(nodes).iter().filter(|(op, _)| op == name).count();
        assert_eq!(count(&nodes, "recurrence"), 2, "{nodes}");
        let joined = join_recurrences(&nodes);
        assert_eq!(count(&joined, "recurrence"), 1, "{joined}");
        assert_eq!(count(&optimize(&nodes), "recurrence"), 1);
        let (batch, weights) = (9, [numbers(&[3, 12], 0.71)]);
        let x = numbers(&[batch, 5, 12], 0.37);
        let run = |nodes: &Nodes| {
            let mut workspace = Program::from_nodes(nodes.clone()).workspace();
            let feeds = [Feed::from(&x)];
            workspace
                .run(batch, &feeds, &weights, Run::default())
                .unwrap();
            let words = |output| -> Vec<u32> {
                let values = workspace.output(output).iter();
                values.map(|x| x.to_bits()).collect()
            };
            (0..3).map(words).collect::<Vec<Vec<u32>>>()
        };
        assert_eq!(run(&joined), run(&nodes), "{keep:?}");
        // Without a gradient there is no trace.
        let alone = prune(&graph.nodes_for(&[y]));
        assert_eq!(join_recurrences(&alone).to_string(), alone.to_string());
    }
}

#[test]
fn winograd_is_for_frozen_convolutions_where_it_pays() {
    let graph = Graph::new();
    let pad = Window::new(&[3, 3]).same_padding(&[10, 10]);
    let x = graph.samples("x", &[10, 10, 32]);
    let kernel = |channels: usize, filters: usize, step| {
        let scale = 0.5 / (9 * channels) as f32;
        let mut kernel = numbers(&[3, 3, channels, filters], step);
        kernel
            .as_mut_slice()
            .iter_mut()
            .for_each(|k| *k *= scale.sqrt());
        kernel
    };
    let constant = |channels, filters, step| graph.constant(kernel(channels, filters, step));
    let a =
        (x.convolution(constant(32, 48, 0.3), pad, 1) + graph.constant(numbers(&[48], 0.9))).relu();
    let b = a.convolution(constant(48, 48, 0.7), pad, 1);
    // A residual goes into the convolution that is computed last.
    let c = (a + b).relu();
    let moving = Window::new(&[3, 3]).strides(&[2, 2]);
    let d = c.convolution(constant(48, 48, 0.2), moving, 1);
    let few = d.convolution(constant(48, 16, 0.4), Window::new(&[3, 3]), 1);
    let w = graph.variable(VariableId(0), "w", [3, 3, 48, 48]);
    let trained = c.convolution(w, pad, 1);
    let nodes = optimize_unfused(&graph.nodes_for(&[c, few, trained]));
    let exact = fuse(&nodes);
    let made = fuse(&winograd(&nodes, 1));
    let names = |nodes: &Nodes| {
        ops(nodes)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&made),
        [
            "winograd_convolution",
            "winograd_convolution",
            "fused_convolution_packed",
            "fused_convolution_packed",
            "fused_convolution",
        ]
    );
    assert!(made.flops(1) < exact.flops(1));
    // No input is the samples'.
    assert_eq!(names(&fuse(&winograd(&nodes, 0))), names(&exact));
    let (x, w) = (numbers(&[5, 10, 10, 32], 0.37), [kernel(48, 48, 0.5)]);
    let outputs = |nodes: &Nodes, batch: usize| -> Vec<Vec<f32>> {
        let mut workspace = Program::from_nodes(nodes.clone()).workspace();
        let x = &x.as_slice()[..batch * 3200];
        workspace
            .run(batch, &[Feed::F32(x)], &w, Run::default())
            .unwrap();
        (0..3)
            .map(|output| workspace.output(output).to_vec())
            .collect()
    };
    let (exact, near, alone) = (outputs(&exact, 5), outputs(&made, 5), outputs(&made, 1));
    for ((exact, near), alone) in exact.iter().zip(&near).zip(&alone) {
        let largest = exact
            .iter()
            .fold(0.0, |largest: f32, x| largest.max(x.abs()));
        let apart = exact
            .iter()
            .zip(near)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            apart > 0.0 && apart < 2e-6 * largest,
            "{apart} of {largest}"
        );
        assert_eq!(alone[..], near[..alone.len()]);
    }
}
