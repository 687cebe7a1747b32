//! The names that the tensors of a file may go by.

use std::collections::HashMap;

use regraft_io::{Checkpoint, Format, SavedWeight};

use crate::files::layout::Layout;

/// What programs put into the names of a model that they wrap, anywhere.
const WRAPPED: [&str; 3] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];

/// Tensors under their names in layers' names.
pub(crate) type Naming<'c> = Vec<(String, &'c SavedWeight)>;

/// The names that tensors may go by, the file's own first, their addresses last. PyTorch's wrappers
/// (`DataParallel`, `compile`, a model as the attribute of another) put parts in front that all names share.
pub(super) fn namings(checkpoint: &Checkpoint, layout: Layout) -> Vec<Naming<'_>> {
    let own = tensor_names(checkpoint);
    let addresses = own.iter();
    let addresses: Naming<'_> = addresses.map(|(_, it)| (it.path.clone(), *it)).collect();
    if layout != Layout::PyTorch {
        return vec![own, addresses];
    }
    let without_wrapped = |name: &String| {
        let parts = name.split('.').filter(|part| !WRAPPED.contains(part));
        parts.collect::<Vec<&str>>().join(".")
    };
    let mut last: Naming<'_> = own
        .iter()
        .map(|(name, weight)| (without_wrapped(name), *weight))
        .collect();
    let mut namings = vec![own];
    loop {
        namings.push(last.clone());
        let shared = last.first().and_then(|(name, _)| name.split_once('.'));
        let Some(prefix) = shared.map(|(first, _)| format!("{first}.")) else {
            break;
        };
        let shorter = last
            .iter()
            .map(|(name, weight)| Some((name.strip_prefix(&prefix)?.to_string(), *weight)));
        match shorter.collect::<Option<Naming<'_>>>() {
            Some(shorter) => last = shorter,
            None => break,
        }
    }
    namings.push(addresses);
    namings
}

/// Every tensor of the file's layers, in their order, with its name in layers' names; or with its address if
/// the file has several of that name.
pub(crate) fn tensor_names(checkpoint: &Checkpoint) -> Naming<'_> {
    let legacy = checkpoint.format.is_legacy();
    let paths = checkpoint.name_paths();
    let mut names = Vec::new();
    for layer in &checkpoint.layers {
        let path = &paths[layer.path.as_str()];
        for (position, weight) in layer.weights.iter().enumerate() {
            let own = weight.name.as_deref().unwrap_or_default();
            let own = own.strip_suffix(":0").unwrap_or(own);
            let variable = weight
                .variable()
                .map_or(position.to_string(), str::to_string);
            // In a legacy file the name of a nested model's weight tells the layers within.
            let inner = own.find(&format!("{path}/")).filter(|_| legacy);
            let name = match (checkpoint.format, inner) {
                // A weight that was multiplied out has the addresses of its parts.
                (Format::Safetensors, _) if weight.path.ends_with(own) => weight.path.clone(),
                (Format::Safetensors | Format::PyTorch, _) => match layer.path.as_str() {
                    "" => own.to_string(),
                    path => format!("{path}.{own}"),
                },
                (_, Some(start)) => own[start..].to_string(),
                (_, None) if legacy && own.contains('/') => format!("{path}/{own}"),
                (_, None) => format!("{path}/{variable}"),
            };
            names.push((name, weight));
        }
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (name, _) in &names {
        *counts.entry(name.clone()).or_default() += 1;
    }
    for (name, weight) in &mut names {
        if counts[name] > 1 && !weight.path.is_empty() {
            name.clone_from(&weight.path);
        }
    }
    names
}
