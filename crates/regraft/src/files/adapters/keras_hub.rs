//! Adapters as KerasHub's `Backbone.save_lora_weights` writes them: a `.lora.h5` with the rank and the factors of each
//! layer, which is told by its number alone.
//!
//! | in the file | is |
//! |---|---|
//! | `lora/vars/rank` | the rank of all layers |
//! | `lora/7/vars/lora_kernel_a` | the kernel's axes with the rank in the place of the last |
//! | `lora/7/vars/lora_kernel_b` | `(rank, outputs)` |
//!
//! 7 counts layers with weights as Keras' `_flatten_layers` comes to them. What is added to a kernel is the product of the
//! two, without a factor: KerasHub's alpha is the rank.

use std::collections::HashSet;

use regraft_io::{Checkpoint, Format, SavedLayer, SavedWeight, TensorData};
use regraft_layers::adapters::{AdaptedLayer, AdapterState, Form, Lora, Role, Update};
use regraft_layers::{Model as Network, Place, Weight, WeightAxis};
use regraft_tensor::{Detail, Tensor};
use serde_json::Map;

use super::{BASE, base_hash, require_base};
use crate::{Error, Result};

/// The group of everything, and what layers are called within it.
const ROOT: &str = "lora";
const FACTORS: [&str; 2] = ["lora_kernel_a", "lora_kernel_b"];

fn file(at: impl Into<String>, expected: &str, received: impl std::fmt::Display) -> Error {
    Error::File(Detail::new(at, expected, received))
}

/// Whether a file that was read is one of these.
pub(super) fn is(checkpoint: &Checkpoint) -> bool {
    let is_container = matches!(checkpoint.format, Format::KerasWeights(_));
    is_container && checkpoint.layer(ROOT).is_some()
}

/// The layers with weights of a model, without itself, in the order of Keras' `_flatten_layers`: what a layer contains
/// comes after it, the last first.
fn counted<'p, 'm>(places: &'p [Place<'m>]) -> Vec<&'p Place<'m>> {
    let within = |outer: &str, inner: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    // The position behind what the place contains.
    let end = |at: usize| {
        let contained = places[at + 1..].iter();
        at + 1
            + contained
                .take_while(|place| within(&places[at].path, &place.path))
                .count()
    };
    let siblings = |mut at: usize, end_of_all: usize| {
        let mut found = Vec::new();
        while at < end_of_all {
            found.push(at);
            at = end(at);
        }
        found
    };
    let mut waiting = siblings(0, places.len());
    waiting.reverse();
    let mut order = Vec::new();
    while let Some(at) = waiting.pop() {
        // A layer that stands in several places is one.
        let has_weights = |place: &Place<'_>| !place.weights.is_empty();
        if places[at..end(at)].iter().any(has_weights) && !places[at].is_repeated {
            order.push(&places[at]);
        }
        waiting.extend(siblings(at + 1, end(at)));
    }
    order
}

/// The kernel of a layer that has one whose last axis is the output's, and of how many groups it is.
fn kernel<'m>(model: &'m Network, place: &Place<'_>) -> Option<(&'m Weight, usize)> {
    let kernel = place.weights_in(model).find(|it| it.name() == "kernel")?;
    // A layer that does not say what its axes mean (`EinsumDense`) is adapted along the last.
    let axes = kernel.spec().axes.as_deref().unwrap_or_default();
    let is_last = axes.last().is_none_or(|axis| *axis == WeightAxis::Output);
    if !is_last || axes.contains(&WeightAxis::Channel) || kernel.value().ndim() < 2 {
        return None;
    }
    let config = model.get_layer(place.path.as_str()).ok()?.config();
    let groups = config.get("groups").and_then(serde_json::Value::as_u64);
    Some((kernel, groups.unwrap_or(1).max(1) as usize))
}

/// The adapter of a file, for this model.
pub(super) fn state_of(
    model: &Network,
    checkpoint: &Checkpoint,
    any_base: bool,
) -> Result<AdapterState> {
    let rank = checkpoint.layer(ROOT).and_then(|layer| {
        let mut weights = layer.weights.iter();
        weights.find(|weight| weight.name.as_deref() == Some("rank"))
    });
    let rank = rank.and_then(|rank| rank.tensor.as_integer());
    let Some(rank) = rank
        .and_then(|rank| usize::try_from(rank).ok())
        .filter(|rank| *rank > 0)
    else {
        return Err(file(
            "lora/vars/rank",
            "a rank of at least 1",
            "another, or none",
        ));
    };
    let places = model.places();
    let counted = counted(&places);
    let mut layers = Vec::new();
    for saved in &checkpoint.layers {
        let Some(number) = saved.path.strip_prefix("lora/") else {
            if saved.path == ROOT {
                continue;
            }
            return Err(file(&saved.path, "layers within `lora`", "another"));
        };
        let place = number.parse::<usize>().ok().and_then(|at| counted.get(at));
        let Some(place) = place else {
            let expected = format!("the number of one of {} layers with weights", counted.len());
            let detail = Detail::new(&saved.path, expected, number);
            let help = "the adapter is of another network, or of one with other layers around it";
            return Err(Error::File(detail.help(help)));
        };
        let Some((kernel, groups)) = kernel(model, place) else {
            let expected = "a layer with a kernel whose last axis is that of the output";
            let received = format!("{}, a {}", place.path, place.class_name);
            let detail = Detail::new(&saved.path, expected, received);
            let help = "layers are told by their number: the adapter is of another network";
            return Err(Error::File(detail.help(help)));
        };
        layers.push(layer(saved, place, kernel, (rank, groups))?);
    }
    if layers.is_empty() {
        return Err(file("lora", "factors of a layer at least", "none"));
    }
    let theirs = checkpoint.metadata.entries.get(BASE);
    require_base(model, "a `.lora.h5`", theirs.filter(|_| !any_base), &layers)?;
    Ok(AdapterState {
        adapter: Lora::rank(rank).alpha(rank as f32).into(),
        layers,
        metadata: Map::new(),
    })
}

fn layer(
    saved: &SavedLayer,
    place: &Place<'_>,
    kernel: &Weight,
    (rank, groups): (usize, usize),
) -> Result<AdaptedLayer> {
    let shape = kernel.value().shape();
    let (outputs, before) = shape.split_last().expect("a kernel with an output");
    let part = |name: &str, wanted: Vec<usize>| {
        let mut weights = saved.weights.iter();
        let weight = weights.find(|weight| weight.name.as_deref() == Some(name));
        let Some(weight) = weight else {
            let expected = format!("both factors, {name} too");
            return Err(file(&saved.path, &expected, "one"));
        };
        if weight.tensor.shape() != wanted {
            let expected = format!("{wanted:?} for {} of shape {shape:?}", kernel.path());
            let received = format!("{:?}", weight.tensor.shape());
            return Err(file(&weight.path, &expected, received));
        }
        Ok(weight.tensor.to_tensor()?)
    };
    let a = part(FACTORS[0], before.iter().copied().chain([rank]).collect())?;
    let b = part(FACTORS[1], vec![rank, *outputs])?;
    let known = |weight: &SavedWeight| {
        let name = weight.name.as_deref().unwrap_or_default();
        FACTORS.contains(&name)
    };
    if let Some(other) = saved.weights.iter().find(|weight| !known(weight)) {
        return Err(file(
            &other.path,
            "`lora_kernel_a` and `lora_kernel_b`",
            "another",
        ));
    }
    // Every group has all of the factor.
    let a = match groups {
        1 => a,
        _ => {
            let rows = a.as_slice().chunks_exact(rank);
            let values = rows.flat_map(|row| row.repeat(groups)).collect();
            let whole: Vec<usize> = before.iter().copied().chain([rank * groups]).collect();
            Tensor::new(whole, values).map_err(|error| Error::File(error.into()))?
        }
    };
    let mut layer = AdaptedLayer::new(&place.path);
    layer.updates.push(Update {
        weight: kernel.name().to_string(),
        form: Form::LowRank {
            alpha: (rank * groups) as f32,
            rslora: false,
            dropout: 0.0,
        },
        values: vec![(Role::A, a), (Role::B, b)],
    });
    Ok(layer)
}

/// An adapter of this model as a file.
pub(super) fn checkpoint_of(model: &Network, state: &AdapterState) -> Result<Checkpoint> {
    let places = model.places();
    let counted = counted(&places);
    let mut factors = Vec::new();
    for layer in &state.layers {
        let refused = |received: &str| {
            let expected = "factors of kernels alone, which is what a `.lora.h5` has";
            let detail = Detail::new(&layer.path, expected, received);
            Error::File(detail.help("`save_adapter` into a folder keeps everything, as PEFT does"))
        };
        if let Some((weight, _)) = layer.replaced.first() {
            return Err(refused(&format!("a copy of {weight:?}")));
        }
        let number = counted.iter().position(|place| place.path == layer.path);
        let number = number.expect("a layer with weights of the model");
        let found = kernel(model, counted[number]);
        let [update] = layer.updates.as_slice() else {
            return Err(refused("several products"));
        };
        let Form::LowRank { alpha, rslora, .. } = update.form else {
            return Err(refused("factors of channels"));
        };
        let Some((kernel, groups)) = found.filter(|(kernel, _)| kernel.name() == update.weight)
        else {
            return Err(refused(counted[number].class_name));
        };
        let [a, b] = [Role::A, Role::B].map(|role| update.value(role));
        let (Some(a), Some(b)) = (a, b) else {
            return Err(refused("half of them"));
        };
        if update.values.len() > 2 {
            return Err(refused("a DoRA, or a bias behind B"));
        }
        let rank = *a.shape().last().expect("a factor with axes");
        let strength = match rslora {
            true => alpha / (rank as f32).sqrt(),
            false => alpha / rank as f32,
        };
        let of_groups = a.shape().split_last().map(|(_, before)| before)
            == kernel
                .value()
                .shape()
                .split_last()
                .map(|(_, before)| before);
        if !of_groups {
            return Err(refused(
                "a factor of all channels beside a kernel of groups",
            ));
        }
        let mut b = b.clone();
        if strength != 1.0 {
            b.as_mut_slice()
                .iter_mut()
                .for_each(|value| *value *= strength);
        }
        factors.push((number, over_all_groups(a, &b, groups)));
    }
    let rank = |(_, (a, _)): &(usize, (Tensor, Tensor))| a.shape().last().copied().unwrap_or(0);
    let rank = factors.iter().map(rank).max().unwrap_or(0);
    let entry = |path: String, name: &str, tensor: TensorData| SavedWeight {
        path,
        name: Some(name.to_string()),
        tensor,
    };
    let saved = |path: &str, weights: Vec<SavedWeight>| SavedLayer {
        path: path.to_string(),
        name: None,
        weights,
    };
    let mut checkpoint = Checkpoint::new(Format::KERAS_3);
    let number = TensorData::scalar(rank as i64);
    let number = entry("lora/vars/rank".to_string(), "rank", number);
    checkpoint.layers.push(saved(ROOT, vec![number]));
    for (number, (a, b)) in factors {
        let path = format!("lora/{number}");
        let [a, b] = [widened(a, rank), lengthened(b, rank)];
        let tensors = FACTORS.into_iter().zip([a, b]);
        let weights =
            tensors.map(|(name, tensor)| entry(format!("{path}/vars/{name}"), name, tensor.into()));
        checkpoint.layers.push(saved(&path, weights.collect()));
    }
    let adapted = state.layers.iter().map(|layer| layer.path.as_str());
    let entries = &mut checkpoint.metadata.entries;
    entries.insert(BASE.to_string(), base_hash(model, adapted));
    Ok(checkpoint)
}

/// Factors of which every group of outputs has its own ranks, as factors of which all have all: 0 where they are others'.
/// Where all groups have the same numbers in A, they are one.
fn over_all_groups(a: &Tensor, b: &Tensor, groups: usize) -> (Tensor, Tensor) {
    let (rank, outputs) = (a.shape()[a.ndim() - 1], b.shape()[1]);
    let of_group = rank / groups.max(1);
    if groups == 1 || of_group == 0 {
        return (a.clone(), b.clone());
    }
    let with_rank = |rank: usize, values: Vec<f32>| {
        let mut shape = a.shape().to_vec();
        *shape.last_mut().expect("a factor with axes") = rank;
        Tensor::new(shape, values).expect("as many elements as the sizes say")
    };
    let rows = || a.as_slice().chunks_exact(rank);
    let distinct: HashSet<Vec<u32>> = (0..groups)
        .map(|group| {
            let of = |row: &[f32]| row[group * of_group..][..of_group].to_vec();
            rows().flat_map(of).map(f32::to_bits).collect()
        })
        .collect();
    if distinct.len() == 1 {
        let values = rows().flat_map(|row| row[..of_group].to_vec());
        return (with_rank(of_group, values.collect()), b.clone());
    }
    let per_group = (outputs / groups).max(1);
    let mut values = vec![0.0; rank * outputs];
    for (at, value) in b.as_slice().iter().enumerate() {
        let (index, output) = (at / outputs, at % outputs);
        values[(output / per_group * of_group + index) * outputs + output] = *value;
    }
    let b = Tensor::new([rank, outputs], values).expect("as many elements as the sizes say");
    (a.clone(), b)
}

/// With zeros behind the last axis, up to this rank.
fn widened(a: Tensor, rank: usize) -> Tensor {
    let own = a.shape()[a.ndim() - 1];
    let mut shape = a.shape().to_vec();
    *shape.last_mut().expect("a factor with axes") = rank;
    let rows = a.as_slice().chunks_exact(own.max(1));
    let zeros = vec![0.0; rank - own];
    let values = rows.flat_map(|row| row.iter().chain(&zeros).copied());
    Tensor::new(shape, values.collect()).expect("as many elements as the sizes say")
}

/// With rows of zeros at the end, up to this rank.
fn lengthened(b: Tensor, rank: usize) -> Tensor {
    let outputs = b.shape()[1];
    let mut values = b.as_slice().to_vec();
    values.resize(rank * outputs, 0.0);
    Tensor::new([rank, outputs], values).expect("as many elements as the sizes say")
}
