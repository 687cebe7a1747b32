//! Layers that a legacy file has in several places without saying that they are one.

use regraft_layers::{Model as Network, Place};

/// The paths of layers that are one by all that the file has of them. Keras gives a name twice only where
/// somebody chose it, and the weights of two layers are never the same by chance: so layers of one name, one
/// class and the same settings, of which one stands in a nested model and the other around it, are one if
/// their weights agree in every bit, and are not just where every layer begins.
pub(crate) fn same_in_every_bit(model: &Network) -> Vec<Vec<String>> {
    let places = model.places();
    let with_weights = places.iter().filter(|place| !place.weights.is_empty());
    let candidates: Vec<&Place<'_>> = with_weights.collect();
    let mut groups: Vec<Vec<String>> = Vec::new();
    for (position, place) in candidates.iter().enumerate() {
        let other = candidates[..position]
            .iter()
            .find(|other| is_same(model, other, place));
        let Some(other) = other else {
            continue;
        };
        match groups.iter_mut().find(|group| group.contains(&other.path)) {
            Some(group) => group.push(place.path.clone()),
            None => groups.push(vec![other.path.clone(), place.path.clone()]),
        }
    }
    groups
}

fn is_same(model: &Network, a: &Place<'_>, b: &Place<'_>) -> bool {
    if a.name != b.name || a.class_name != b.class_name || a.weights.len() != b.weights.len() {
        return false;
    }
    if !is_around(&a.path, &b.path) || a.is_repeated || b.is_repeated {
        return false;
    }
    let value = |id| model.weights().get(id).map(regraft_layers::Weight::value);
    let mut tells = false;
    for (&a, &b) in a.weights.iter().zip(b.weights) {
        let (Some(a), Some(b)) = (value(a), value(b)) else {
            return false;
        };
        if a.shape() != b.shape() || a.as_slice() != b.as_slice() {
            return false;
        }
        tells |= a.as_slice().windows(2).any(|pair| pair[0] != pair[1]);
    }
    let config = |path: &str| model.get_layer(path).map(|layer| layer.config()).ok();
    tells && config(&a.path) == config(&b.path)
}

/// Whether one of two paths that end alike is of the model around that of the other: `base/dense` of
/// `sub/base/dense`.
fn is_around(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (Some(a), Some(b));
    loop {
        let (Some(left), Some(right)) = (a, b) else {
            return true;
        };
        let parts = |path: &'_ str| {
            path.rsplit_once('/')
                .map_or(0, |(front, _)| front.len() + 1)
        };
        if left[parts(left)..] != right[parts(right)..] {
            return left.starts_with(&format!("{right}/"))
                || right.starts_with(&format!("{left}/"));
        }
        a = left.rsplit_once('/').map(|(front, _)| front);
        b = right.rsplit_once('/').map(|(front, _)| front);
    }
}
