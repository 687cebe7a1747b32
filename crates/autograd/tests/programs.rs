//! Graphs compiled and run: values, gradients, frozen operands, the frozen prefix, buffers.

use regraft_autograd::passes::{fold_constants, fuse, optimize, prune, share, split};
use regraft_autograd::{Feed, Graph, Nodes, Program, Run, Tensor, Var, VariableId, gradcheck};
use regraft_tensor::kernels::random::{self, Key};

fn random_tensor(shape: &[usize], stream: u64) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    random::normal(Key { seed: 7, stream }, 0, tensor.as_mut_slice());
    tensor
}

/// A two-layer classifier: the loss, and the graph's weights.
fn classifier<'g>(graph: &'g Graph, frozen: bool) -> (Var<'g>, Vec<Var<'g>>) {
    let x = graph.samples("x", &[6]);
    let labels = graph.input(
        "labels",
        regraft_autograd::Shape::batch_of(&[]),
        regraft_autograd::DataType::I32,
    );
    let mut next = 0;
    let mut weight = |shape: &[usize], frozen: bool| {
        next += 1;
        match frozen {
            true => graph.constant(random_tensor(shape, next)),
            false => graph.variable(VariableId(next as usize - 1), "w", shape),
        }
    };
    let (w1, b1) = (weight(&[6, 5], frozen), weight(&[5], frozen));
    let (w2, b2) = (weight(&[5, 3], false), weight(&[3], false));
    let hidden = (x.matmul(w1) + b1).relu();
    let loss = (hidden.matmul(w2) + b2)
        .softmax_cross_entropy(labels)
        .mean_all();
    (loss, vec![w1, b1, w2, b2])
}

fn weights() -> Vec<Tensor> {
    vec![
        random_tensor(&[6, 5], 1),
        random_tensor(&[5], 2),
        random_tensor(&[5, 3], 3),
        random_tensor(&[3], 4),
    ]
}

fn run(nodes: Nodes, batch: usize) -> Vec<Vec<f32>> {
    let x = random_tensor(&[batch, 6], 9);
    let labels: Vec<i32> = (0..batch as i32).map(|label| label % 3).collect();
    let program = Program::from_nodes(nodes);
    let mut workspace = program.workspace();
    let feeds = [Feed::F32(x.as_slice()), Feed::I32(&labels)];
    workspace
        .run(batch, &feeds, &weights(), Run::default())
        .unwrap();
    (0..program.output_count())
        .map(|index| workspace.output(index).to_vec())
        .collect()
}

#[test]
fn every_pass_keeps_the_numbers() {
    for frozen in [false, true] {
        let graph = Graph::new();
        let (loss, weights) = classifier(&graph, frozen);
        let gradients = graph.grad(loss, &weights).unwrap();
        let outputs: Vec<Var<'_>> = std::iter::once(loss).chain(gradients).collect();
        let nodes = graph.nodes_for(&outputs);
        let expected = run(nodes.clone(), 5);
        let pruned = prune(&nodes);
        for (name, changed) in [
            ("prune", pruned.clone()),
            ("fold", fold_constants(&pruned)),
            ("share", share(&pruned)),
            ("fuse", fuse(&pruned)),
            ("optimize", optimize(&nodes)),
        ] {
            assert_eq!(run(changed, 5), expected, "{name}, frozen: {frozen}");
        }
    }
}

#[test]
fn a_frozen_weight_has_no_gradient_node_and_a_zero_gradient() {
    let size = |frozen: bool| {
        let graph = Graph::new();
        let (loss, weights) = classifier(&graph, frozen);
        let before = graph.nodes().len();
        let gradients = graph.grad(loss, &weights[2..]).unwrap();
        let made = graph.nodes().len() - before;
        assert_eq!(gradients.len(), 2);
        made
    };
    // The backward pass of the head is the same, whether what is below is frozen or not asked for.
    assert_eq!(size(true), size(false));

    let graph = Graph::new();
    let (loss, weights) = classifier(&graph, true);
    let gradients = graph.grad(loss, &weights).unwrap();
    let frozen = run(graph.nodes_for(&gradients), 4);
    assert!(
        frozen[0]
            .iter()
            .chain(&frozen[1])
            .all(|&gradient| gradient == 0.0)
    );
    let graph = Graph::new();
    let (loss, weights) = classifier(&graph, false);
    let gradients = graph.grad(loss, &weights).unwrap();
    let trained = run(graph.nodes_for(&gradients), 4);
    assert!(trained[0].iter().any(|&gradient| gradient != 0.0));
    assert_eq!(trained[2], frozen[2]);
}

#[test]
fn the_frozen_prefix_gives_the_same_bits_as_the_whole() {
    let graph = Graph::new();
    let (loss, weights) = classifier(&graph, true);
    let gradients = graph.grad(loss, &weights[2..]).unwrap();
    let outputs: Vec<Var<'_>> = std::iter::once(loss).chain(gradients).collect();
    let nodes = optimize(&graph.nodes_for(&outputs));
    let split = split(&nodes, 2).expect("the first layer is frozen");
    assert_eq!(split.prefix.outputs().len(), 1, "{}", split.rest);
    assert_eq!(split.rest_inputs, [1], "{}", split.rest);

    let expected = run(nodes, 8);
    let x = random_tensor(&[8, 6], 9);
    let labels: Vec<i32> = (0..8).map(|label| label % 3).collect();
    let mut prefix = Program::from_nodes(split.prefix).workspace();
    let mut features = Vec::new();
    for part in [0..3, 3..8] {
        let rows = &x.as_slice()[6 * part.start..6 * part.end];
        let feeds = [Feed::F32(rows), Feed::I32(&[])];
        prefix
            .run(part.len(), &feeds, &self::weights(), Run::default())
            .unwrap();
        features.extend_from_slice(prefix.output(0));
    }
    let mut rest = Program::from_nodes(split.rest).workspace();
    let feeds = [Feed::F32(&[]), Feed::I32(&labels), Feed::F32(&features)];
    rest.run(8, &feeds, &self::weights(), Run::default())
        .unwrap();
    for (index, expected) in expected.iter().enumerate() {
        assert_eq!(rest.output(index), expected);
    }
}

#[test]
fn nothing_is_cut_off_when_all_is_trained() {
    let graph = Graph::new();
    let (loss, _) = classifier(&graph, false);
    assert!(split(&optimize(&graph.nodes_for(&[loss])), 2).is_none());
}

#[test]
fn a_wrong_shape_says_where_and_what() {
    let graph = Graph::new();
    let x = graph.samples("x", &[3]);
    let w = graph.variable(VariableId(0), "w", [4, 2]);
    let y = graph.scope("dense_1", || x.matmul(w).relu());
    let message = Program::compile(&graph, &[y]).unwrap_err().to_string();
    for part in ["dense_1", "matmul", "3", "(4, 2)"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_label_out_of_range_says_where_and_what() {
    let graph = Graph::new();
    let (loss, _) = classifier(&graph, false);
    let mut program = Program::compile(&graph, &[loss]).unwrap().workspace();
    let x = random_tensor(&[2, 6], 9);
    let feeds = [Feed::F32(x.as_slice()), Feed::I32(&[0, 3])];
    let message = program
        .run(2, &feeds, &weights(), Run::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains('3') && message.contains("softmax_cross_entropy"),
        "{message}"
    );
}

#[test]
fn wrong_feeds_are_refused() {
    let graph = Graph::new();
    let (loss, _) = classifier(&graph, false);
    let mut program = Program::compile(&graph, &[loss]).unwrap().workspace();
    let x = [0.0; 11];
    for feeds in [
        &[Feed::F32(&x), Feed::I32(&[0, 1])][..],
        &[Feed::F32(&x[..6])],
        &[Feed::I32(&[0; 12]), Feed::I32(&[0, 1])],
    ] {
        assert!(program.run(2, feeds, &weights(), Run::default()).is_err());
    }
}

#[test]
fn second_derivatives_exist() {
    gradcheck(
        |graph, x| {
            let loss = x[0].matmul(x[1]).tanh().square().sum_all();
            let gradients = graph.grad(loss, &x[..1]).unwrap();
            gradients[0] * 1.0
        },
        &[random_tensor(&[3, 2], 1), random_tensor(&[2, 4], 2)],
    )
    .unwrap();
}

#[test]
fn the_gradient_of_cross_entropy_can_be_differentiated() {
    gradcheck(
        |graph, x| {
            let labels = regraft_autograd::IntTensor::new([3], vec![0, 2, 1]).unwrap();
            let loss = x[0]
                .softmax_cross_entropy(graph.int_constant(labels))
                .sum_all();
            graph.grad(loss, x).unwrap()[0] * 1.0
        },
        &[random_tensor(&[3, 4], 1)],
    )
    .unwrap();
}

#[test]
fn nodes_that_do_not_fit_are_refused() {
    use regraft_autograd::ops::{Map, Relu};
    use regraft_autograd::{Constant, DataType, IntTensor, Node, NodeId, Shape, Source};
    let node = |source: Source, shape: Shape, data_type: DataType| Node {
        source,
        shape,
        data_type,
        name: String::new(),
        backward: false,
        origin: None,
    };
    let relu = |operand: usize| Source::Op {
        op: std::sync::Arc::new(Map(Relu)),
        operands: vec![NodeId(operand)],
    };
    let array = || Source::Constant(Constant::F32(Tensor::zeros([2])));
    let integers = IntTensor::new([2], vec![0, 1]).unwrap();
    let integers = || Source::Constant(Constant::I32(integers.clone()));
    let nodes = || {
        let mut nodes = Nodes::default();
        nodes.push(node(array(), [2].into(), DataType::F32));
        nodes.push(node(integers(), [2].into(), DataType::I32));
        nodes
    };
    let refused = |it: Node| {
        let pushed = std::panic::AssertUnwindSafe(|| nodes().push(it));
        std::panic::catch_unwind(pushed).is_err()
    };
    assert!(!refused(node(relu(0), [2].into(), DataType::F32)));
    for wrong in [
        node(relu(2), [2].into(), DataType::F32),
        node(relu(0), [3].into(), DataType::F32),
        node(relu(0), [2].into(), DataType::I32),
        node(relu(1), [2].into(), DataType::F32),
        node(array(), [3].into(), DataType::F32),
        node(array(), [2].into(), DataType::I32),
        node(Source::Variable(VariableId(0)), [2].into(), DataType::I32),
    ] {
        let told = format!("{wrong:?}");
        assert!(refused(wrong), "{told}");
    }
    let missing = || nodes().with_outputs(vec![NodeId(2)]);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(missing)).is_err());
}

#[test]
fn gradients_are_named_after_what_they_are_the_gradient_of() {
    let graph = Graph::new();
    let x = graph.samples("x", &[3]);
    let kernel = graph.scope("head", || graph.variable(VariableId(0), "kernel", [3, 2]));
    let loss = graph
        .scope("head", || x.matmul(kernel).tanh())
        .mean_all()
        .named("loss");
    let forward = graph.nodes().len();
    let gradient = graph.grad(loss, &[kernel]).unwrap()[0];
    let nodes = graph.nodes();
    for (id, node) in nodes.iter() {
        assert_eq!(node.backward, id.0 >= forward, "{id:?}");
    }
    assert_eq!(nodes.node(gradient.id()).name, "d loss / d head/kernel");
    // On the way, they bear the path of what they are the backward part of.
    let of_head = nodes
        .iter()
        .skip(forward)
        .filter(|(_, node)| node.name == "head");
    assert!(of_head.count() > 0, "{}", *nodes);
}

/// Where the packed weights of a program's products lie.
fn packed(program: &Program) -> Vec<String> {
    let ops = program.nodes().iter().filter_map(|(_, node)| node.op());
    let packed = ops.filter(|op| op.name().ends_with("_packed"));
    let place = |told: String| {
        told.split("packed: Some(")
            .nth(1)?
            .split(')')
            .next()
            .map(String::from)
    };
    packed.filter_map(|op| place(format!("{op:?}"))).collect()
}

#[test]
fn programs_with_the_same_constants_share_what_is_packed() {
    use regraft_autograd::Origin;
    use regraft_tensor::kernels::window::Window;
    let number = Origin::unique_number;
    // A convolution whose frozen normalization is folded into it, and a matrix product.
    let program = |kernel: u64, scale: u64, matrix: u64, transposed: bool| {
        let graph = Graph::new();
        let weight = |number: u64, shape: &[usize]| {
            graph.constant_from(Origin::of_value(number), "w", random_tensor(shape, number))
        };
        let x = graph.samples("x", &[4, 4, 2]);
        let scale = (weight(scale, &[3]).square() + 1e-3).rsqrt();
        let y = x.convolution(weight(kernel, &[2, 2, 2, 3]), Window::new(&[2, 2]), 1) * scale;
        let matrix = weight(matrix, &[3, 3]);
        let product = regraft_autograd::ops::MatMul { transposed };
        let y = graph.apply(product, &[y, matrix]).relu();
        Program::compile(&graph, &[y]).unwrap()
    };
    let (kernel, scale, matrix, other) = (number(), number(), number(), number());
    let first = program(kernel, scale, matrix, false);
    let shared = packed(&first);
    assert_eq!(shared.len(), 2, "{}", first.nodes());
    assert_eq!(packed(&program(kernel, scale, matrix, false)), shared);
    for (position, different) in [
        (0, program(other, scale, matrix, false)),
        (0, program(kernel, other, matrix, false)),
        (1, program(kernel, scale, other, false)),
        (1, program(kernel, scale, matrix, true)),
    ] {
        let found = packed(&different);
        assert_ne!(found[position], shared[position]);
        assert_eq!(found[1 - position], shared[1 - position]);
    }
    let run = |program: &Program| {
        let (mut workspace, none) = (program.workspace(), [] as [Tensor; 0]);
        let x = random_tensor(&[2, 4, 4, 2], 3);
        workspace
            .run(2, &[Feed::F32(x.as_slice())], &none, Run::default())
            .unwrap();
        workspace.output(0).to_vec()
    };
    assert_eq!(run(&first), run(&program(kernel, scale, matrix, false)));
}

#[test]
fn a_drawing_has_every_node_once_below_what_it_is_made_of() {
    let graph = Graph::new();
    let x = graph.samples("x<\"&\">", &[3]);
    let w: Vec<Var<'_>> = (0..3)
        .map(|index| graph.variable(VariableId(index), "w", [3, 3]))
        .collect();
    let hidden = (x.matmul(w[0]).tanh(), x.matmul(w[1]).sigmoid());
    let loss = ((hidden.0 * hidden.1).matmul(w[2]) + x)
        .square()
        .mean_all()
        .named("loss");
    let mut asked = vec![loss];
    asked.extend(graph.grad(loss, &w).unwrap());
    let nodes = graph.nodes_for(&asked);
    let svg = nodes.to_svg();
    assert!(svg.contains("x&lt;&quot;&amp;&quot;&gt;") && !svg.contains("x<"));
    assert!(svg.contains("d loss / d w"));
    let number = |line: &str, name: &str| -> f64 {
        let after = line.split(&format!(" {name}=\"")).nth(1).unwrap();
        after.split('"').next().unwrap().parse().unwrap()
    };
    let boxes: Vec<[f64; 4]> = (svg.lines().filter(|line| line.contains("<rect")))
        .map(|line| ["x", "y", "width", "height"].map(|name| number(line, name)))
        .collect();
    assert_eq!(boxes.len(), nodes.len());
    for (position, [x, y, width, height]) in boxes.iter().enumerate() {
        for [x2, y2, width2, _] in &boxes[..position] {
            let beside = x + width <= *x2 || x2 + width2 <= *x;
            assert!(beside || y != y2, "{position} lies over another");
        }
        let node = nodes.node(regraft_autograd::NodeId(position));
        for operand in node.operands() {
            assert!(boxes[operand.0][1] + height <= *y, "{position}");
        }
    }
    let lines = nodes.iter().map(|(_, node)| node.operands().len()).sum();
    assert_eq!(svg.matches("<path").count(), lines);
}
