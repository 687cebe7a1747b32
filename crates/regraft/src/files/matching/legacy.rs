//! Legacy `.h5` files: one group per layer of the model, a nested model being one layer, whose
//! tensors' names tell the layers within, more or less.
//!
//! What stands in front of a layer's name there depends on the version of Keras, on whether a model was
//! built or read from a file, and on its kind: Keras 3 has the name of the nearest `Sequential` and leaves
//! out that of a functional model, Keras 2 leaves out both. The order is that of the layers, trained
//! weights first; names tell the truth also where a layer was frozen or unfrozen after saving.

use std::collections::{HashMap, HashSet};

use regraft_io::{SavedLayer, SavedWeight};
use regraft_layers::{Weight, WeightKind};

use super::by_class::{by_keys, covers, saved_keys};
use super::{Sources, Wanted, automatic_names, last_name, old_names, weights_of};

/// What the file has for each wanted weight.
pub(super) fn find<'c>(
    wanted: &[Wanted<'_>],
    saved: &[&'c SavedLayer],
    kept: &HashSet<String>,
) -> Sources<'c> {
    let mut sources = Sources {
        weights: Vec::with_capacity(wanted.len()),
        not_wanted: Vec::new(),
    };
    let pairs = pair(&wanted.iter().collect::<Vec<_>>(), saved, kept);
    let mut start = 0;
    while start < wanted.len() {
        let top = top_name(&wanted[start]);
        let inside = wanted[start..].iter();
        let end = start + inside.take_while(|layer| top_name(layer) == top).count();
        let (layers, saved) = (&wanted[start..end], pairs[start]);
        let nested = layers.len() > 1 || layers[0].path.contains('/');
        let found = match saved {
            None => layers.iter().map(nothing).collect(),
            Some(saved) if nested => weights_within(layers, &saved.weights),
            Some(saved) => vec![weights_of(&layers[0], &saved.weights)],
        };
        for (layer, found) in layers.iter().zip(found) {
            if kept.contains(&layer.path) {
                sources.not_wanted.extend(found.iter().flatten());
            }
            sources.weights.push(found);
        }
        let all_kept = layers.iter().all(|layer| kept.contains(&layer.path));
        if let (true, Some(saved)) = (all_kept, saved) {
            sources.not_wanted.extend(&saved.weights);
        }
        start = end;
    }
    sources
}

fn nothing<'c>(layer: &Wanted<'_>) -> Vec<Option<&'c SavedWeight>> {
    vec![None; layer.weights.len()]
}

/// The layer of the whole model that a layer belongs to.
fn top_name<'w>(layer: &'w Wanted<'_>) -> &'w str {
    layer.path.split('/').next().unwrap_or(&layer.path)
}

/// `layers/functional/layers/…` → `layers/functional`.
fn top_key<'w>(layer: &'w Wanted<'_>) -> &'w str {
    let key = &layer.key;
    let end = key.match_indices('/').nth(1);
    end.map_or(key, |(end, _)| &key[..end])
}

/// `layers/conv2d_3` → `conv2d`.
fn class_of(key: &str) -> &str {
    let key = key.rsplit_once('/').map_or(key, |(_, key)| key);
    let without_digits = key.trim_end_matches(|symbol: char| symbol.is_ascii_digit());
    match without_digits.strip_suffix('_') {
        Some(class) if without_digits.len() < key.len() => class,
        _ => key,
    }
}

/// For each wanted layer the group of the layer of the whole model that it belongs to.
fn pair<'c>(
    wanted: &[&Wanted<'_>],
    saved: &[&'c SavedLayer],
    kept: &HashSet<String>,
) -> Vec<Option<&'c SavedLayer>> {
    // Keras 2 had `conv1/conv` in DenseNet, which Keras 3 calls `conv1_conv`.
    let layers = saved
        .iter()
        .map(|layer| (layer.path.replace('/', "_"), *layer));
    let by_name: HashMap<String, &SavedLayer> = layers.collect();
    let named = wanted
        .iter()
        .map(|layer| by_name.get(top_name(layer)).copied());
    let named: Vec<Option<&SavedLayer>> = named.collect();
    if covers(wanted, kept, &named) {
        return named;
    }
    let keys: Vec<&str> = wanted.iter().map(|layer| top_key(layer)).collect();
    if let Some(pairs) = by_keys(wanted, kept, &keys, &saved_keys(saved)) {
        return pairs;
    }
    // Some networks have both given and automatic names.
    let layers = wanted.iter().map(|layer| automatic_names::Named {
        name: top_name(layer),
        class: class_of(top_key(layer)),
        is_optional: kept.contains(&layer.path),
    });
    let layers: Vec<automatic_names::Named<'_>> = layers.collect();
    let names: Vec<&str> = saved.iter().map(|layer| layer.path.as_str()).collect();
    match automatic_names::pair(&layers, &names) {
        Some(pairs) => {
            let layer = |position: Option<usize>| position.map(|position| saved[position]);
            pairs.into_iter().map(layer).collect()
        }
        None => named,
    }
}

/// A weight of a nested model.
struct Inner<'w> {
    layer: &'w Wanted<'w>,
    weight: &'w Weight,
    /// Whether it stands among the trained ones.
    is_trained: bool,
}

/// What each weight of the layers of a nested model is among `saved`: by names as far as they leave no
/// doubt; what is left by order, if every order that the file can have says the same.
fn weights_within<'c>(
    layers: &[Wanted<'_>],
    saved: &'c [SavedWeight],
) -> Vec<Vec<Option<&'c SavedWeight>>> {
    // A layer that stands in it twice is there once.
    let mut met = HashSet::new();
    let is_new: Vec<bool> = layers
        .iter()
        .map(|layer| met.insert(layer.weights[0].0))
        .collect();
    let mut inner: Vec<Inner<'_>> = Vec::new();
    for (layer, _) in layers.iter().zip(&is_new).filter(|(_, is_new)| **is_new) {
        inner.extend(layer.weights.iter().map(|&(_, weight)| Inner {
            layer,
            weight,
            is_trained: layer.is_trained && weight.kind() == WeightKind::Parameter,
        }));
    }
    let mut found = by_names(&inner, saved);
    by_order(&inner, saved, &mut found);
    let mut found = found.into_iter();
    let mut of_layer = |(layer, is_new): (&Wanted<'_>, &bool)| match is_new {
        false => nothing(layer),
        true => {
            let found = found.by_ref().take(layer.weights.len());
            found.map(|place| Some(&saved[place?])).collect()
        }
    };
    layers.iter().zip(&is_new).map(&mut of_layer).collect()
}

/// Where in `saved` each weight is, by names: what only one tensor can be is taken, then what only one
/// of the others can be, and so on.
fn by_names(inner: &[Inner<'_>], saved: &[SavedWeight]) -> Vec<Option<usize>> {
    let mut of_layer: HashMap<&str, Vec<usize>> = HashMap::new();
    for (position, inner) in inner.iter().enumerate() {
        of_layer
            .entry(inner.layer.name())
            .or_default()
            .push(position);
        // Keras 2 names the weights of a wrapped layer by the wrapper: `time_distributed/kernel`.
        for wrapper in inner.layer.wrappers() {
            let name = last_name(wrapper);
            of_layer.entry(name).or_default().push(position);
        }
    }
    let mut candidates: Vec<Vec<usize>> = vec![Vec::new(); inner.len()];
    for (place, saved) in saved.iter().enumerate() {
        let (Some(scope), Some(variable)) = (saved.scope(), saved.variable()) else {
            continue;
        };
        let mut fitting: Vec<(bool, usize)> = Vec::new();
        let ends = scope.match_indices('/').map(|(at, _)| at + 1);
        for start in [0].into_iter().chain(ends) {
            // The names of layers had slashes in Keras 2.
            let name = scope[start..].replace('/', "_");
            let front = scope[..start].trim_end_matches('/');
            for &position in of_layer.get(name.as_str()).into_iter().flatten() {
                let Inner { layer, weight, .. } = &inner[position];
                if old_names::means(variable, weight.name()) {
                    let containers = layer.path.rsplit_once('/').map_or("", |(of, _)| of);
                    let known = ends_with(containers, front) || ends_with(front, containers);
                    fitting.push((known, position));
                }
            }
        }
        // What stands in front tells, unless it is of another model.
        let known = fitting.iter().any(|(known, _)| *known);
        for (_, position) in fitting.into_iter().filter(|(here, _)| *here == known) {
            candidates[position].push(place);
        }
    }
    let mut found: Vec<Option<usize>> = vec![None; inner.len()];
    let mut taken = vec![false; saved.len()];
    loop {
        let mut claims: HashMap<usize, Vec<usize>> = HashMap::new();
        for (position, candidates) in candidates.iter().enumerate() {
            let mut free = candidates.iter().filter(|&&place| !taken[place]);
            if let (None, Some(&place), None) = (found[position], free.next(), free.next()) {
                claims.entry(place).or_default().push(position);
            }
        }
        claims.retain(|_, positions| positions.len() == 1);
        if claims.is_empty() {
            return found;
        }
        for (place, positions) in claims {
            found[positions[0]] = Some(place);
            taken[place] = true;
        }
    }
}

/// Whether the last names of `path` are `end`.
fn ends_with(path: &str, end: &str) -> bool {
    let before = path.strip_suffix(end);
    before.is_some_and(|before| end.is_empty() || before.is_empty() || before.ends_with('/'))
}

/// Gives the weights that names did not find the tensors that names did not place, one after the other,
/// if there are as many, each can be the other's, and every order that the file can have says the same:
/// with what is trained now in front, with all parameters in front, or as the layers made them.
fn by_order(inner: &[Inner<'_>], saved: &[SavedWeight], found: &mut [Option<usize>]) {
    let taken: HashSet<usize> = found.iter().flatten().copied().collect();
    let places: Vec<usize> = (0..saved.len())
        .filter(|place| !taken.contains(place))
        .collect();
    let open: Vec<usize> = (0..inner.len()).filter(|&at| found[at].is_none()).collect();
    if open.is_empty() || open.len() != places.len() {
        return;
    }
    let in_front = |first: &dyn Fn(&Inner<'_>) -> bool| -> Vec<usize> {
        let (first, last): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|&&position| first(&inner[position]));
        [first, last].concat()
    };
    let mut orders = vec![
        in_front(&|inner| inner.is_trained),
        in_front(&|inner| inner.weight.kind() == WeightKind::Parameter),
        open.clone(),
    ];
    orders.retain(|order| {
        let mut pairs = order.iter().zip(&places);
        pairs.all(|(&position, &place)| can_be(&inner[position], &saved[place]))
    });
    orders.dedup();
    if let [order] = orders.as_slice() {
        for (&position, &place) in order.iter().zip(&places) {
            found[position] = Some(place);
        }
    }
}

/// Whether a tensor whose name does not say whose it is can be this weight: one without a name, or of
/// a layer of the same class that was named automatically as this one.
fn can_be(inner: &Inner<'_>, saved: &SavedWeight) -> bool {
    let variable = saved.variable().unwrap_or_default();
    let unnamed = old_names::is_unnamed(variable);
    let class = regraft_io::snake_case(inner.layer.class_name);
    let layer = saved.scope().unwrap_or_default();
    let layer = layer.rsplit('/').next().unwrap_or_default();
    let automatic = |name: &str| automatic_names::is_automatic(name, &class);
    let of_layer = layer.is_empty() && unnamed
        || layer == inner.layer.name()
        || automatic(layer) && automatic(inner.layer.name());
    of_layer
        && (unnamed || old_names::means(variable, inner.weight.name()))
        && saved.tensor.shape() == inner.weight.value().shape()
}
