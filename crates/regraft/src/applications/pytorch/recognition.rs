//! Which network a state dict is of, told by the names and shapes of its tensors.

use regraft_io::{Checkpoint, Format};
use regraft_layers::{Model as Network, Place, Weight};

use super::library::Library;
use super::network::PyTorchNetwork;
use super::published::{networks_of, published};
use crate::applications::{Application, Preprocessing};
use crate::files::layout::{Layout, shape_there};
use crate::files::matching::tensor_names;

/// The layers that tell classes, in all networks.
const CLASSIFIERS: [&str; 7] = [
    "fc",
    "classifier",
    "classifier.1",
    "classifier.2",
    "classifier.3",
    "classifier.6",
    "head.fc",
];

/// Whether a file is PyTorch's: `.safetensors` do not say so, but the names of their tensors do.
pub(super) fn is_state_dict(checkpoint: &Checkpoint) -> bool {
    let weights = checkpoint.layers.iter().flat_map(|layer| &layer.weights);
    let is_theirs = |name: Option<&str>| {
        let last = name.and_then(|name| name.rsplit('.').next());
        matches!(last, Some("weight" | "running_mean"))
    };
    match checkpoint.format {
        Format::PyTorch => true,
        Format::Safetensors => weights.into_iter().any(|it| is_theirs(it.name.as_deref())),
        _ => false,
    }
}

/// The networks that a state dict can be of, and how many classes it tells: several if these have the same tensors.
pub(in crate::applications) fn recognize(
    checkpoint: &Checkpoint,
) -> Option<(Vec<Application<PyTorchNetwork>>, usize)> {
    if !is_state_dict(checkpoint) {
        return None;
    }
    let tensors = tensors(checkpoint);
    CLASSIFIERS.iter().find_map(|classifier| {
        let (own, of_body): (Vec<_>, Vec<_>) = tensors.iter().partition(|(name, _)| {
            let layer = name.rsplit_once('.').map(|(layer, _)| layer);
            layer == Some(*classifier)
        });
        let lines: Vec<String> = of_body.iter().map(|it| line(it)).collect();
        let found: Vec<_> = networks_of(&digest(&lines.join("\n")))
            .into_iter()
            .filter_map(|(library, name)| application(library, name))
            .filter(|it| it.architecture().body.classifier() == *classifier)
            .collect();
        let bias = own.iter().find(|(name, _)| name.ends_with(".bias"))?;
        let classes = *bias.1.first()?;
        (!found.is_empty()).then_some((found, classes))
    })
}

/// What networks of these tensors expect of pixels, where everything that is published of them expects the same: of a
/// model that is, or contains, one of them, with its own head or another.
pub(in crate::applications) fn preprocessing(model: &Network) -> Option<Preprocessing> {
    let places = model.places();
    let models = places.iter().filter(|place| place.is_model);
    let within = models.map(|place| format!("{}.", place.module));
    std::iter::once(String::new())
        .chain(within)
        .find_map(|prefix| preprocessing_within(model, &places, &prefix))
}

/// As [`preprocessing`], of the layers whose modules' names begin so.
fn preprocessing_within(
    model: &Network,
    places: &[Place<'_>],
    prefix: &str,
) -> Option<Preprocessing> {
    // The head: the last layers with weights, of which a network has up to three.
    const MOST_HEADS: usize = 3;
    let mut layers: Vec<Vec<(String, Vec<usize>)>> = Vec::new();
    for place in places.iter().filter(|place| !place.is_repeated) {
        let Some(module) = place.module.strip_prefix(prefix) else {
            continue;
        };
        let tensor = |weight: &Weight| {
            let names = Layout::PyTorch.names(place.class_name, weight.name());
            let shape = weight.value().shape();
            let shape = match weight.spec().axes.as_deref() {
                Some(axes) if axes.len() == shape.len() => shape_there(axes, shape),
                _ => shape.to_vec(),
            };
            let name = names.last().copied().unwrap_or_default();
            (format!("{module}.{name}"), shape)
        };
        let tensors: Vec<_> = place.weights_in(model).map(tensor).collect();
        if !tensors.is_empty() {
            layers.push(tensors);
        }
    }
    for heads in 0..=MOST_HEADS.min(layers.len().saturating_sub(1)) {
        let body = layers[..layers.len() - heads].iter().flatten();
        let mut body: Vec<_> = body.collect();
        body.sort();
        let lines: Vec<String> = body.into_iter().map(line).collect();
        let networks = networks_of(&digest(&lines.join("\n")));
        let mut expected = networks
            .into_iter()
            .flat_map(|(library, name)| published(library, name))
            .map(|published| published.preprocessing);
        if let Some(first) = expected.next() {
            return expected.all(|other| other == first).then_some(first);
        }
    }
    None
}

/// A sentence that says which network a file is of, if that is known.
pub(super) fn note(checkpoint: &Checkpoint) -> Option<String> {
    let (networks, classes) = recognize(checkpoint)?;
    Some(format!(
        "the file's tensors are those of {}, with {classes} classes",
        names(&networks)
    ))
}

/// `torchvision::resnet50 or timm::resnet50`.
pub(in crate::applications) fn names(networks: &[Application<PyTorchNetwork>]) -> String {
    let name = |it: &Application<PyTorchNetwork>| {
        let network = it.architecture();
        format!("{}::{}", network.library, network.name)
    };
    let names: Vec<String> = networks.iter().map(name).collect();
    names.join(" or ")
}

/// Whether networks compute the same.
pub(in crate::applications) fn are_one(networks: &[Application<PyTorchNetwork>]) -> bool {
    let computes = |it: &Application<PyTorchNetwork>| {
        let network = it.architecture();
        let conventions = (
            network.conventions.epsilon.to_bits(),
            network.conventions.same,
        );
        (conventions, format!("{:?}", network.body))
    };
    networks
        .windows(2)
        .all(|two| computes(&two[0]) == computes(&two[1]))
}

fn application(library: Library, name: &str) -> Option<Application<PyTorchNetwork>> {
    match library {
        Library::Torchvision => super::torchvision::by_name(name).ok(),
        Library::Timm => super::timm::by_name(name).ok(),
    }
}

/// Names and shapes as the tables' script has them, in the order of the names.
fn tensors(checkpoint: &Checkpoint) -> Vec<(String, Vec<usize>)> {
    let named = tensor_names(checkpoint).into_iter();
    let mut tensors: Vec<(String, Vec<usize>)> = named
        .map(|(name, weight)| {
            let name = name.strip_prefix("module.").unwrap_or(&name).to_string();
            (today(name), weight.tensor.shape().to_vec())
        })
        .filter(|(name, _)| {
            !name.ends_with("num_batches_tracked") && !name.starts_with("AuxLogits.")
        })
        .collect();
    tensors.sort();
    tensors
}

/// DenseNet's layers had names with one more dot.
fn today(name: String) -> String {
    match name.contains(".denselayer") {
        true => ["norm", "relu", "conv"].iter().fold(name, |name, kind| {
            name.replace(&format!(".{kind}.1."), &format!(".{kind}1."))
                .replace(&format!(".{kind}.2."), &format!(".{kind}2."))
        }),
        false => name,
    }
}

fn line((name, shape): &(String, Vec<usize>)) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("{name} {}", sizes.join("x"))
}

/// The FNV-1a hash of a text.
pub(super) fn digest(text: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}
