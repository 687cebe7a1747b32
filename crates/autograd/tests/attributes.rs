//! An op's identity: every op declares its settings, ops that differ in one of them are told apart,
//! and ops that declare nothing are never taken for one another.

mod common;

use std::fmt;

use common::{Sizes, Value, differentiable, without_gradient};
use regraft_autograd::ops::*;
use regraft_autograd::passes::{optimize, share};
use regraft_autograd::{
    Attribute, Attributes, DataType, Dim, Feed, Forward, Graph, Nodes, Op, Output, Program, Run,
    Shape, Tensor, Var, VariableId, attributes,
};
use regraft_tensor::Detail;
use regraft_tensor::kernels::matmul::EpilogueActivation;
use regraft_tensor::kernels::resize::ResizeMethod;
use regraft_tensor::kernels::window::Window;

/// The formulas of the table, their gradients and the gradients of those, as one list of nodes each.
fn table() -> Vec<(&'static str, Nodes)> {
    const SIZES: Sizes = [2, 3, 2];
    let written = |case: common::Case, differentiable: bool| {
        let graph = Graph::new();
        let operands: Vec<Var<'_>> = case
            .values(SIZES, 2, 0)
            .into_iter()
            .enumerate()
            .map(|(index, value)| match value {
                Value::F32(value) => graph.variable(VariableId(index), "x", value.shape()),
                Value::I32(value) => graph.int_constant(value),
            })
            .collect();
        let mut asked = vec![(case.formula)(&operands, SIZES)];
        let floats: Vec<Var<'_>> = operands
            .into_iter()
            .filter(|x| x.data_type() == DataType::F32)
            .collect();
        for _ in 0..if differentiable { 2 } else { 0 } {
            let terms = asked.iter().map(|y| y.square().sum_all());
            let loss = terms.reduce(|sum, term| sum + term).unwrap();
            asked.extend(graph.grad(loss, &floats).unwrap());
        }
        (case.name, graph.nodes_for(&asked))
    };
    let first = differentiable().into_iter().map(|case| written(case, true));
    let second = without_gradient()
        .into_iter()
        .map(|case| written(case, false));
    first.chain(second).collect()
}

#[test]
fn every_op_declares_its_attributes() {
    for (name, nodes) in table() {
        for nodes in [optimize(&nodes), nodes] {
            for op in nodes.iter().filter_map(|(_, node)| node.op()) {
                // What packs constant weights is made last, and never shared.
                let packed = op.name().ends_with("_packed");
                assert_eq!(op.attributes().is_none(), packed, "{name}: {op:?}");
            }
        }
    }
}

#[test]
fn what_is_written_twice_is_computed_once() {
    for (name, nodes) in table() {
        let mut twice = nodes.clone();
        for (_, node) in nodes.iter() {
            let mut node = node.clone();
            if let regraft_autograd::Source::Op { operands, .. } = &mut node.source {
                for operand in operands {
                    operand.0 += nodes.len();
                }
            }
            twice.push(node);
        }
        // Equal arrays of numbers are not looked for; all else is there once.
        let arrays = |(_, node): &(_, &regraft_autograd::Node)| matches!(&node.source, regraft_autograd::Source::Constant(it) if it.as_number().is_none());
        if nodes.iter().filter(arrays).count() == 0 {
            let once = share(&nodes).len();
            assert_eq!(share(&twice).len(), once, "{name}");
        }
    }
}

fn recurrence(cell: Cell, keep: Keep, has: [bool; 3]) -> Recurrence {
    let [bias, initial, masked] = has;
    Recurrence {
        cell,
        keep,
        bias,
        initial,
        masked,
    }
}

/// Ops of one type each, any two of which differ in a setting.
fn variants() -> Vec<Vec<Box<dyn Op>>> {
    macro_rules! different {
        ($([$($op:expr),* $(,)?])*) => {
            vec![$(vec![$(Box::new($op) as Box<dyn Op>),*]),*]
        };
    }
    let window = Window::new(&[3, 3]);
    let windows = [
        window,
        Window::new(&[3, 2]),
        Window::new(&[3]),
        window.strides(&[1, 2]),
        window.dilation(&[2, 1]),
        window.padding(&[(0, 1), (0, 0)]),
        window.padding(&[(1, 0), (0, 0)]),
        window.padding(&[(0, 0), (0, 1)]),
    ];
    let shapes = [
        Shape::from([2, 3]),
        Shape::from([3, 2]),
        Shape::from([6]),
        Shape::scalar(),
        Shape::batch_of(&[3]),
        Shape::batch_of(&[]),
        Shape::from([Dim::Fixed(3), Dim::Batch]),
    ];
    let axes = [vec![], vec![0], vec![1], vec![0, 1]];
    let mut all = different! {
        [Map(Powf { exponent: 2.0 }), Map(Powf { exponent: 0.0 }), Map(Powf { exponent: -0.0 })]
        [Map(LeakyRelu { slope: 0.3 }), Map(LeakyRelu { slope: 0.300_000_04 })]
        [
            Map(Clip { min: 0.0, max: 1.0 }),
            Map(Clip { min: -1.0, max: 1.0 }),
            Map(Clip { min: 0.0, max: 6.0 }),
        ]
        [
            Zip(ClipGradient(Clip { min: 0.0, max: 1.0 })),
            Zip(ClipGradient(Clip { min: 0.0, max: 6.0 })),
        ]
        [Staircase::Sign, Staircase::Step, Staircase::Floor, Staircase::Round]
        [Alias { data_type: DataType::F32 }, Alias { data_type: DataType::I32 }]
        [Argmax { axis: 0 }, Argmax { axis: 1 }]
        [Concatenate { axis: 0 }, Concatenate { axis: 1 }]
        [ScatterAdd { rows: 2 }, ScatterAdd { rows: 3 }]
        [OneHot { classes: 2 }, OneHot { classes: 3 }]
        [MatMul { transposed: false }, MatMul { transposed: true }]
        [
            BatchMatMul { transpose_a: false, transpose_b: false },
            BatchMatMul { transpose_a: true, transpose_b: false },
            BatchMatMul { transpose_a: false, transpose_b: true },
        ]
        [
            ScaledDotProductAttention::new(0.5),
            ScaledDotProductAttention::new(0.25),
            ScaledDotProductAttention { causal: true, ..ScaledDotProductAttention::new(0.5) },
            ScaledDotProductAttention { window: Some(2), ..ScaledDotProductAttention::new(0.5) },
            ScaledDotProductAttention { all_masked: AllMasked::Zero, ..ScaledDotProductAttention::new(0.5) },
            ScaledDotProductAttention { all_masked: AllMasked::Lowered, ..ScaledDotProductAttention::new(0.5) },
        ]
        [
            ScaledDotProductAttentionGradient { of: ScaledDotProductAttention::new(0.5), wanted: [true; 3] },
            ScaledDotProductAttentionGradient { of: ScaledDotProductAttention::new(0.25), wanted: [true; 3] },
            ScaledDotProductAttentionGradient { of: ScaledDotProductAttention::new(0.5), wanted: [true, false, true] },
        ]
        [BatchNormalize { epsilon: 1e-3 }, BatchNormalize { epsilon: 1e-5 }]
        [BatchNormalizeSums { epsilon: 1e-3 }, BatchNormalizeSums { epsilon: 1e-5 }]
        [BatchNormalizeGradient { epsilon: 1e-3 }, BatchNormalizeGradient { epsilon: 1e-5 }]
        [
            Slice { axis: 0, range: 0..2 },
            Slice { axis: 1, range: 0..2 },
            Slice { axis: 0, range: 1..2 },
            Slice { axis: 0, range: 0..3 },
        ]
        [
            Pad { before: vec![0, 1], after: vec![0, 1], value: 0.0 },
            Pad { before: vec![1, 0], after: vec![0, 1], value: 0.0 },
            Pad { before: vec![0, 1], after: vec![1, 0], value: 0.0 },
            Pad { before: vec![0, 1], after: vec![0, 1], value: f32::NEG_INFINITY },
        ]
        [
            Crop { before: vec![0, 1], after: vec![0, 1] },
            Crop { before: vec![1, 0], after: vec![0, 1] },
            Crop { before: vec![0, 1], after: vec![1, 0] },
        ]
        [
            recurrence(Cell::Lstm, Keep::Last, [false; 3]),
            recurrence(Cell::Tanh, Keep::Last, [false; 3]),
            recurrence(Cell::Relu, Keep::Last, [false; 3]),
            recurrence(Cell::Gru { reset_after: true }, Keep::Last, [false; 3]),
            recurrence(Cell::Gru { reset_after: false }, Keep::Last, [false; 3]),
            recurrence(Cell::Lstm, Keep::Outputs, [false; 3]),
            recurrence(Cell::Lstm, Keep::States, [false; 3]),
            recurrence(Cell::Lstm, Keep::Trace, [false; 3]),
            recurrence(Cell::Lstm, Keep::Last, [true, false, false]),
            recurrence(Cell::Lstm, Keep::Last, [false, true, false]),
            recurrence(Cell::Lstm, Keep::Last, [false, false, true]),
        ]
        [
            RecurrenceGradient(recurrence(Cell::Lstm, Keep::Last, [false; 3])),
            RecurrenceGradient(recurrence(Cell::Lstm, Keep::Outputs, [false; 3])),
        ]
        [Permute { axes: vec![0, 1] }, Permute { axes: vec![1, 0] }, Permute { axes: vec![0] }]
    };
    let mut add = |ops: Vec<Box<dyn Op>>| all.push(ops);
    add(shapes
        .each_ref()
        .map(|it| -> Box<dyn Op> { Box::new(BroadcastTo { shape: it.clone() }) })
        .into());
    add(shapes
        .each_ref()
        .map(|it| -> Box<dyn Op> { Box::new(Reshape { shape: it.clone() }) })
        .into());
    add(shapes
        .each_ref()
        .map(|it| -> Box<dyn Op> { Box::new(SumTo { shape: it.clone() }) })
        .into());
    add(windows
        .map(|window| -> Box<dyn Op> { Box::new(AveragePool { window }) })
        .into());
    add(windows
        .map(|window| -> Box<dyn Op> { Box::new(MaxPool { window }) })
        .into());
    add(windows
        .map(|window| -> Box<dyn Op> { Box::new(MaxPoolGradient { window }) })
        .into());
    add(windows
        .map(|window| -> Box<dyn Op> { Box::new(PickAtMax { window }) })
        .into());
    type Made = Vec<Box<dyn Op>>;
    let (mut convolutions, mut weights, mut inputs) = (Made::new(), Made::new(), Made::new());
    let (mut pools, mut fused) = (Made::new(), Made::new());
    for window in windows {
        for groups in [1, 2] {
            convolutions.push(Box::new(Convolution { window, groups }));
            weights.push(Box::new(ConvolutionWeightGradient { window, groups }));
            for input in [[1, 4, 4], [1, 4, 5]] {
                inputs.push(Box::new(ConvolutionInputGradient {
                    window,
                    groups,
                    input,
                }));
            }
            for bias in [false, true] {
                for activation in [EpilogueActivation::None, EpilogueActivation::Gelu] {
                    for residual in [false, true] {
                        let with = (bias, residual);
                        let op = FusedConvolution::new(window, groups, None, with, activation);
                        fused.push(Box::new(op));
                    }
                }
            }
        }
        for input in [[1, 4, 4], [1, 4, 5]] {
            pools.push(Box::new(AveragePoolGradient { window, input }));
        }
    }
    let activations = [
        EpilogueActivation::None,
        EpilogueActivation::Relu,
        EpilogueActivation::Relu6,
        EpilogueActivation::LeakyRelu(0.1),
        EpilogueActivation::LeakyRelu(0.2),
        EpilogueActivation::Sigmoid,
        EpilogueActivation::Tanh,
        EpilogueActivation::Silu,
        EpilogueActivation::Gelu,
        EpilogueActivation::GeluTanh,
    ];
    let mut products = Made::new();
    for activation in activations {
        for (transposed, bias) in [(false, false), (true, false), (false, true)] {
            products.push(Box::new(FusedMatMul {
                packed: None,
                transposed,
                bias,
                activation,
            }));
        }
    }
    let (mut sums, mut means, mut variances) = (Made::new(), Made::new(), Made::new());
    let (mut largest, mut smallest) = (Made::new(), Made::new());
    for axes in axes {
        for keep in [false, true] {
            sums.push(Box::new(Sum {
                axes: axes.clone(),
                keep,
            }));
            means.push(Box::new(Mean {
                axes: axes.clone(),
                keep,
            }));
            variances.push(Box::new(Variance {
                axes: axes.clone(),
                keep,
            }));
            largest.push(Box::new(Max {
                axes: axes.clone(),
                keep,
            }));
            smallest.push(Box::new(Min {
                axes: axes.clone(),
                keep,
            }));
        }
    }
    let (mut resizes, mut gradients) = (Made::new(), Made::new());
    for size in [[1, 4, 4], [1, 4, 5]] {
        for method in [
            ResizeMethod::Nearest,
            ResizeMethod::Bilinear,
            ResizeMethod::Bicubic,
        ] {
            resizes.push(Box::new(Resize { size, method }));
            gradients.push(Box::new(ResizeGradient { size, method }));
        }
    }
    let mut randoms = Made::new();
    for distribution in [
        Distribution::Uniform {
            low: 0.0,
            high: 1.0,
        },
        Distribution::Uniform {
            low: 0.0,
            high: 2.0,
        },
        Distribution::Uniform {
            low: -1.0,
            high: 1.0,
        },
        Distribution::Normal {
            mean: 0.0,
            stddev: 1.0,
        },
        Distribution::Normal {
            mean: 0.0,
            stddev: 2.0,
        },
        Distribution::Bernoulli { probability: 0.5 },
        Distribution::Bernoulli { probability: 0.25 },
    ] {
        for stream in [0, 1, 1 << 63] {
            for shape in [Shape::from([2]), Shape::from([3])] {
                randoms.push(Box::new(Random {
                    distribution,
                    stream,
                    shape,
                }));
            }
        }
    }
    for made in [
        convolutions,
        weights,
        inputs,
        pools,
        fused,
        products,
        sums,
        means,
        variances,
        largest,
        smallest,
        resizes,
        gradients,
        randoms,
    ] {
        all.push(made);
    }
    all
}

#[test]
fn ops_that_differ_in_one_setting_have_other_attributes() {
    for ops in variants() {
        for (index, op) in ops.iter().enumerate() {
            for earlier in &ops[..index] {
                assert_ne!(op.attributes(), earlier.attributes(), "{op:?}, {earlier:?}");
            }
        }
    }
}

#[test]
fn attributes_can_be_read_compared_and_printed() {
    let window = Window::new(&[3]).strides(&[2]);
    let op = Convolution { window, groups: 4 };
    let attributes = op.attributes().unwrap();
    assert_eq!(attributes.get("groups"), Some(&Attribute::Integer(4)));
    let Some(Attribute::Group(window)) = attributes.get("window") else {
        panic!("{attributes}")
    };
    assert_eq!(window.get("strides"), Some(&[1_usize, 1, 2].into()));
    let graph = Graph::new();
    let y = graph.scope("head", || {
        graph.samples("x", &[2]).leaky_relu(0.25).sum(&[1])
    });
    let text = graph.nodes_for(&[y]).to_string();
    for line in [
        "leaky_relu{slope=0.25} (head) %0",
        "sum{axes=[1], keep=false} (head) %1",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    let number = |value: f32| Attributes::none().with("value", value);
    assert_ne!(number(0.0), number(-0.0));
    assert_eq!(number(f32::NAN), number(f32::NAN));
    assert_ne!(number(1.0), Attributes::none().with("value", 1_usize));
}

/// y = f(x) for a function that is given: its `Debug` form says nothing of it.
struct Applied<F>(F);

impl<F> fmt::Debug for Applied<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Applied")
    }
}

/// y = x + the sum of what is held, in a `Debug` form that leaves out long arrays or everything.
macro_rules! plus {
    ($name:ident { $field:ident: $type:ty }, |$it:ident| $sum:expr, $attributes:item) => {
        impl Op for $name {
            fn name(&self) -> &str {
                "plus"
            }

            $attributes

            fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
                Ok(operands[0].clone())
            }

            fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
                let $it = &self.$field;
                let amount: f32 = $sum;
                for (y, x) in output.f32().iter_mut().zip(operands.f32(0)) {
                    *y = x + amount;
                }
                Ok(())
            }
        }
    };
}

#[derive(Debug)]
struct Long {
    amounts: Tensor,
}

plus!(
    Long { amounts: Tensor },
    |it| it.as_slice().iter().sum(),
    fn attributes(&self) -> Option<Attributes> {
        None
    }
);

struct Unsaid {
    amount: f32,
}

impl fmt::Debug for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsaid").finish_non_exhaustive()
    }
}

plus!(
    Unsaid { amount: f32 },
    |it| *it,
    fn attributes(&self) -> Option<Attributes> {
        None
    }
);

/// Its `Debug` form says nothing either, but its settings are declared.
struct Declared {
    amount: f32,
}

impl fmt::Debug for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Declared")
    }
}

plus!(Declared { amount: f32 }, |it| *it, attributes!(amount););

impl<F: Fn(f32) -> f32 + Send + Sync + 'static> Op for Applied<F> {
    fn name(&self) -> &str {
        "applied"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        for (y, x) in output.f32().iter_mut().zip(operands.f32(0)) {
            *y = self.0(*x);
        }
        Ok(())
    }
}

/// A value made of another.
type Formula = Box<dyn for<'g> Fn(Var<'g>) -> Var<'g>>;

/// What ops of one's own give at x = 500, and how many of them are run.
fn run(ops: Vec<Formula>) -> (Vec<f32>, usize) {
    let graph = Graph::new();
    let x = graph.samples("x", &[]);
    let asked: Vec<Var<'_>> = ops.iter().map(|op| op(x)).collect();
    let mut program = Program::compile(&graph, &asked).unwrap().workspace();
    let none: &[Tensor] = &[];
    program
        .run(1, &[Feed::F32(&[500.0])], none, Run::default())
        .unwrap();
    let values = (0..asked.len()).map(|index| program.output(index)[0]);
    let count = program
        .program()
        .nodes()
        .iter()
        .filter(|(_, node)| node.op().is_some())
        .count();
    (values.collect(), count)
}

fn of<O: Op>(make: impl Fn() -> O + 'static) -> Formula {
    Box::new(move |x| x.graph().apply(make(), &[x]))
}

#[test]
fn ops_of_ones_own_are_not_merged_because_they_print_alike() {
    // A closure of one type that has captured different numbers.
    let scaled = |factor: f32| of(move || Applied(move |x: f32| x * factor));
    assert_eq!(run(vec![scaled(2.0), scaled(3.0)]).0, [1000.0, 1500.0]);
    let boxed = |function: fn(f32) -> f32| of(move || Applied(function));
    assert_eq!(
        run(vec![boxed(|x| x + 1.0), boxed(|x| x * 2.0)]).0,
        [501.0, 1000.0]
    );
    let long = |middle: f32| {
        of(move || {
            let mut amounts = vec![0.0; 1000];
            amounts[500] = middle;
            Long {
                amounts: Tensor::new([1000], amounts).unwrap(),
            }
        })
    };
    assert_eq!(run(vec![long(0.0), long(7.0)]).0, [500.0, 507.0]);
    let unsaid = |amount: f32| of(move || Unsaid { amount });
    assert_eq!(run(vec![unsaid(2.0), unsaid(3.0)]).0, [502.0, 503.0]);
    // Not even equal ones: nothing says that they are.
    assert_eq!(run(vec![unsaid(2.0), unsaid(2.0)]).1, 2);
}

#[test]
fn ops_of_ones_own_with_attributes_are_merged_if_those_agree() {
    let declared = |amount: f32| of(move || Declared { amount });
    let (values, ops) = run(vec![declared(2.0), declared(3.0), declared(2.0)]);
    assert_eq!(values, [502.0, 503.0, 502.0]);
    assert_eq!(ops, 2);
}
