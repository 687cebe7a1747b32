//! What a program computes, as a hash that is the same in every process.

use regraft_autograd::passes::cacheable;
use regraft_autograd::{
    Attribute, Attributes, Constant, DataType, Dim, Feed, Node, Program, Run, Shape, Source,
};
use regraft_data::{Hasher, Slice};
use regraft_features::Digest;
use regraft_tensor::Tensor;

use crate::random::{Key, uniform};

/// A hash of all that the rows of a program depend on but for the samples: its ops with their settings, its
/// constants' bits, and how they are connected. Names of layers, and the order in which nodes stand, are no
/// part of it.
///
/// That the code of the ops is the same, and that this machine computes the same bits, cannot be seen from
/// them: so the hash has what the program gives for two samples of random numbers, too.
///
/// # Errors
/// Why the rows cannot be kept: an op without settings, one whose rows depend on each other, or on chance.
pub(crate) fn program_digest(program: &Program) -> Result<Digest, String> {
    let nodes = program.nodes();
    let is_kept = cacheable(nodes);
    let mut hashes: Vec<Digest> = Vec::with_capacity(nodes.len());
    for (id, node) in nodes.iter() {
        let kind = Hasher::new("node").bytes(node.data_type.to_string().as_bytes());
        let hasher = shape(kind, &node.shape);
        let hasher = match &node.source {
            Source::Input { index } => hasher.bytes(b"input").number(*index as u64),
            Source::Constant(Constant::F32(value)) => hasher
                .bytes(b"constant")
                .elements(Slice::F32(value.as_slice())),
            Source::Constant(Constant::I32(value)) => hasher
                .bytes(b"constant")
                .elements(Slice::I32(value.as_slice())),
            Source::Variable(_) => return Err(format!("`{}` is trained", node.name)),
            Source::Op { op, operands } => {
                let at = || match node.name.as_str() {
                    "" => format!("the op `{}`", op.name()),
                    name => format!("the op `{}` of `{name}`", op.name()),
                };
                if !is_kept[id.0] {
                    let why = "gives rows that depend on each other or on chance";
                    return Err(format!("{} {why}", at()));
                }
                let mut hasher = hasher.bytes(op.type_name().as_bytes());
                let mut held = |array: &[f32]| {
                    hasher = hasher.clone().bytes(b"held").elements(Slice::F32(array));
                };
                let Some(settings) = op.identity(&mut held) else {
                    let why = "does not say what its settings are: see `Op::attributes`";
                    return Err(format!("{} {why}", at()));
                };
                let hasher = attributes(hasher, &settings);
                let operands = operands.iter().map(|operand| &hashes[operand.0]);
                operands.fold(hasher, |hasher, operand| hasher.bytes(operand))
            }
        };
        hashes.push(hasher.finish());
    }
    let version = env!("CARGO_PKG_VERSION");
    let mut hasher = Hasher::new("program").bytes(version.as_bytes());
    for &output in nodes.outputs() {
        if !nodes.node(output).shape.is_batch_first() {
            return Err("an output has no row for each sample".to_string());
        }
        hasher = hasher.bytes(&hashes[output.0]);
    }
    Ok(probe(hasher, program).finish())
}

/// Adds what the program gives for two samples of random numbers, one of pixels and one between −1 and 1;
/// of integers for 0 and 1.
fn probe(hasher: Hasher, program: &Program) -> Hasher {
    /// The stream of random numbers that they are drawn from.
    const PROBE: u64 = 0x5052_4f42;
    const NONE: [Tensor; 0] = [];
    let nodes = program.nodes();
    let input = |node: &Node| match node.source {
        Source::Input { index } => Some((index, node.shape.len(1), node.data_type)),
        _ => None,
    };
    let inputs: Vec<_> = nodes.iter().filter_map(|(_, node)| input(node)).collect();
    let count = inputs
        .iter()
        .map(|(index, ..)| index + 1)
        .max()
        .unwrap_or(0);
    let (mut floats, mut integers) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for &(index, elements, data_type) in &inputs {
        match data_type {
            DataType::F32 => {
                let mut numbers = vec![0.0; 2 * elements];
                uniform(Key::new(index as u64, PROBE), 0, &mut numbers);
                let (pixels, small) = numbers.split_at_mut(elements);
                pixels.iter_mut().for_each(|pixel| *pixel *= 255.0);
                small
                    .iter_mut()
                    .for_each(|number| *number = *number * 2.0 - 1.0);
                floats[index] = numbers;
            }
            DataType::I32 => integers[index] = [vec![0; elements], vec![1; elements]].concat(),
        }
    }
    let feeds = floats.iter().zip(&integers);
    let feeds = feeds.map(|(floats, integers)| match integers.is_empty() {
        true => Feed::F32(floats),
        false => Feed::I32(integers),
    });
    let feeds: Vec<Feed<'_>> = feeds.collect();
    let mut workspace = program.workspace();
    match workspace.run(2, &feeds, &NONE, Run::default()) {
        // What it refuses belongs to it, too.
        Err(error) => hasher.bytes(error.to_string().as_bytes()),
        Ok(()) => {
            let outputs = nodes.outputs().iter().enumerate();
            outputs.fold(hasher, |hasher, (index, &output)| {
                hasher.elements(match nodes.node(output).data_type {
                    DataType::F32 => Slice::F32(workspace.output(index)),
                    DataType::I32 => Slice::I32(workspace.output_i32(index)),
                })
            })
        }
    }
}

fn shape(hasher: Hasher, shape: &Shape) -> Hasher {
    let hasher = hasher.number(shape.dims().len() as u64);
    shape.dims().iter().fold(hasher, |hasher, dim| match *dim {
        Dim::Batch => hasher.bytes(b"batch"),
        Dim::PerSample(rows) => hasher.bytes(b"per sample").number(rows as u64),
        Dim::Fixed(size) => hasher.number(size as u64),
    })
}

fn attributes(hasher: Hasher, settings: &Attributes) -> Hasher {
    let hasher = hasher.number(settings.iter().count() as u64);
    settings.iter().fold(hasher, |hasher, (name, value)| {
        attribute(hasher.bytes(name.as_bytes()), value)
    })
}

fn attribute(hasher: Hasher, value: &Attribute) -> Hasher {
    match value {
        Attribute::Bool(value) => hasher.bytes(b"bool").number(u64::from(*value)),
        Attribute::Integer(value) => hasher.bytes(b"integer").number(*value as u64),
        Attribute::Number(value) => hasher.elements(Slice::F32(&[*value])),
        Attribute::Text(value) => hasher.bytes(b"text").bytes(value.as_bytes()),
        Attribute::List(values) => {
            let hasher = hasher.bytes(b"list").number(values.len() as u64);
            values.iter().fold(hasher, attribute)
        }
        Attribute::Group(settings) => attributes(hasher.bytes(b"group"), settings),
    }
}
