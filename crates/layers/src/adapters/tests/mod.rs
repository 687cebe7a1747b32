//! What adapters do: formulas, training, structure, and what is refused.

mod formulas;
mod refused;
mod structure;
mod training;

use regraft_autograd::{Graph, Program, Run};
use regraft_tensor::Tensor;
use regraft_tensor::kernels::random::{self, Key};

use crate::layers::{
    BatchNormalization, Conv1D, Conv2D, Conv2DTranspose, Conv3D, DepthwiseConv2D, EinsumDense,
    Embedding, SeparableConv2D,
};
use crate::{Dense, Input, LayerExt, LayerSpec, Mode, Model, Sequential, layers};

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; count];
    random::uniform(Key::new(seed, 7), 0, &mut values);
    values.iter().map(|value| 2.0 * value - 1.0).collect()
}

/// The outputs for two samples of random numbers.
fn run(model: &Model) -> Vec<f32> {
    let graph = Graph::new();
    let inputs: Vec<_> = model
        .input_shapes()
        .iter()
        .zip(model.input_types())
        .map(|(shape, data_type)| {
            let shape = shape.concrete(2);
            let values = numbers(shape.iter().product(), 3);
            match data_type {
                regraft_autograd::DataType::F32 => {
                    graph.constant(Tensor::new(&shape, values).unwrap())
                }
                regraft_autograd::DataType::I32 => {
                    let ids = values.iter().map(|value| (value * 2.0 + 2.0) as i32);
                    let ids = regraft_tensor::IntTensor::new(&shape, ids.collect()).unwrap();
                    graph.int_constant(ids)
                }
            }
        })
        .collect();
    let (outputs, _) = model.emit(&graph, &inputs, Mode::Inference).unwrap();
    let nodes = graph.nodes_for(&outputs);
    let mut program = Program::from_nodes(nodes).workspace();
    program
        .run(2, &[], model.weights(), Run::default())
        .unwrap();
    program.output(0).to_vec()
}

/// Gives the weights of adapters random values.
fn stir(model: &mut Model) {
    let weights = model.weights().iter().enumerate();
    let of_adapters = weights.filter(|(_, weight)| weight.name().contains('/'));
    let values = of_adapters.map(|(seed, weight)| {
        let values = numbers(weight.value().len(), seed as u64 + 11).into_iter();
        let values = values
            .zip(weight.value().as_slice())
            .map(|(a, b)| b + 0.5 * a);
        let value = Tensor::new(weight.value().shape(), values.collect()).unwrap();
        (weight.id(), value)
    });
    let values: Vec<_> = values.collect();
    model.set_weights(values).unwrap();
}

fn bits(model: &Model) -> Vec<(String, Vec<u32>)> {
    let weights = model.weights().iter();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    let own = weights.filter(|weight| !weight.name().contains('/'));
    own.map(|it| (it.path().to_string(), bits(it.value().as_slice())))
        .collect()
}

fn stack(input: &[usize], layer: impl Into<LayerSpec>) -> Model {
    let layer = layer.into().named("it");
    let mut model = Sequential::with_seed(layers![Input::new(input), layer], 5).unwrap();
    // Biases of 0 would hide what is not done to them.
    let biases = model.weights().iter().filter(|it| it.name() == "bias");
    let values: Vec<_> = biases
        .map(|it| {
            let shape = it.value().shape();
            (
                it.id(),
                Tensor::new(shape, numbers(it.value().len(), 1)).unwrap(),
            )
        })
        .collect();
    model.set_weights(values).unwrap();
    model
}

/// Models of one layer each, whether it may be a DoRA, and whether a bias may be scaled.
fn models() -> Vec<(&'static str, Model, bool)> {
    let ids = Input::integers([5]);
    let embedding = layers![ids, Embedding::new(6, 4).named("it")];
    vec![
        ("dense", stack(&[6], Dense::new(4).activation("tanh")), true),
        ("steps", stack(&[3, 6], Dense::new(4)), true),
        (
            "1",
            stack(
                &[9, 4],
                Conv1D::new(6, 3).padding("causal").dilation_rate(2),
            ),
            true,
        ),
        (
            "strided",
            stack(&[8, 8, 4], Conv2D::new(6, 3).strides(2).padding("same")),
            true,
        ),
        (
            "dilated",
            stack(&[9, 9, 4], Conv2D::new(6, 3).dilation_rate(2)),
            true,
        ),
        (
            "first",
            stack(&[4, 7, 7], Conv2D::new(6, 3).channels_first()),
            true,
        ),
        (
            "grouped",
            stack(&[6, 6, 4], Conv2D::new(6, 3).groups(2_usize)),
            false,
        ),
        (
            "grouped 1",
            stack(&[6, 4], Conv1D::new(6, 3).groups(2_usize)),
            false,
        ),
        ("3", stack(&[4, 4, 4, 2], Conv3D::new(4, 2)), true),
        (
            "transposed",
            stack(&[4, 4, 3], Conv2DTranspose::new(4, 3).strides(2)),
            true,
        ),
        (
            "depthwise",
            stack(
                &[6, 6, 4],
                DepthwiseConv2D::new(3).depth_multiplier(2_usize),
            ),
            true,
        ),
        (
            "separable",
            stack(&[6, 6, 4], SeparableConv2D::new(6, 3)),
            true,
        ),
        (
            "einsum",
            stack(&[3, 6], EinsumDense::new("abc,cde->abde", [3, 2, 4])),
            true,
        ),
        (
            "embedding",
            Sequential::with_seed(embedding, 5).unwrap(),
            false,
        ),
    ]
}

fn close(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-5 * (1.0 + a.abs()), "{what}: {a} {b}");
    }
}

/// Adapted, the model is its base at first; with other values it is the model of the merged weights; and
/// unmerged it has its old bits.
fn check(name: &str, base: &Model, adapter: impl Into<crate::adapters::Adapter>) {
    let before = run(base);
    let mut model = base.clone();
    model
        .adapt("it", adapter)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    close(&before, &run(&model), name);
    stir(&mut model);
    let adapted = run(&model);
    let moved = adapted
        .iter()
        .zip(&before)
        .any(|(a, b)| (a - b).abs() > 1e-3);
    assert!(moved, "{name}: the adapter does nothing");
    let kept = (bits(&model), adapted.clone());
    model
        .merge_adapter()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    close(&adapted, &run(&model), name);
    assert_ne!(bits(&model), kept.0, "{name}");
    let mut unloaded = model.clone();
    unloaded.merge_and_unload().unwrap();
    assert!(unloaded.adapters().is_empty() && !unloaded.is_merged());
    assert_eq!(run(&unloaded), run(&model), "{name}");
    assert_eq!(unloaded.weights().len(), base.weights().len(), "{name}");
    model.unmerge_adapter().unwrap();
    assert_eq!(bits(&model), kept.0, "{name}");
    assert_eq!(run(&model), kept.1, "{name}");
    model.set_adapters(&[]).unwrap();
    assert_eq!(run(&model), before, "{name}");
    assert_eq!(bits(&model), bits(base), "{name}");
}

/// A base of a convolution and a normalization, and a head.
fn network() -> Model {
    let stack = layers![
        Input::new([6, 6, 3]),
        Conv2D::new(4, 3).named("conv"),
        BatchNormalization::new().named("norm"),
        crate::layers::GlobalAveragePooling2D::new(),
        Dense::new(5).named("hidden"),
        Dense::new(2).named("head"),
    ];
    Sequential::with_seed(stack, 9).unwrap()
}

fn trained(model: &Model) -> Vec<String> {
    let graph = Graph::new();
    let x = graph.samples("x", &[6, 6, 3]);
    let (_, emission) = model.emit(&graph, &[x], Mode::Training).unwrap();
    let path = |id| model.weights().get(id).unwrap().path().to_string();
    let trained = emission.trainable.iter().map(|(id, _)| path(*id));
    trained
        .chain(emission.updates.iter().map(|(id, _)| path(*id)))
        .collect()
}
