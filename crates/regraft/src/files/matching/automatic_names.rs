//! Keras' automatic layer names. It counts them on from model to model, so the first convolution of a
//! file may be `conv2d_1` or `conv2d_95`, while names that somebody gave stay the same.

use std::collections::HashMap;

/// A layer of the model that looks for its counterpart in a file.
pub(crate) struct Named<'a> {
    /// The name that the file would have for it.
    pub name: &'a str,
    /// The class as automatic names have it: `conv2d`.
    pub class: &'a str,
    /// Whether it may do without a counterpart.
    pub is_optional: bool,
}

/// For each layer of the model the position of its counterpart among the file's names, which are in
/// order: given names by name, automatic ones by class and order. `None` if a given name is not there,
/// or if the file has more or fewer automatic names of a class, so that layers would be shifted.
///
/// Several layers of the model may have one name (those of a nested model, in legacy files).
pub(crate) fn pair(layers: &[Named<'_>], saved: &[&str]) -> Option<Vec<Option<usize>>> {
    let positions = saved.iter().enumerate().map(|(at, &name)| (name, at));
    let positions: HashMap<&str, usize> = positions.collect();
    let mut found: HashMap<&str, usize> = HashMap::new();
    let mut of_class: HashMap<&str, Vec<&Named<'_>>> = HashMap::new();
    for layer in layers {
        if is_automatic(layer.name, layer.class) {
            let same_class = of_class.entry(layer.class).or_default();
            if same_class.iter().all(|other| other.name != layer.name) {
                same_class.push(layer);
            }
        } else if let Some(&position) = positions.get(layer.name) {
            found.insert(layer.name, position);
        } else if !layer.is_optional {
            return None;
        }
    }
    for (class, mut ours) in of_class {
        let theirs: Vec<usize> = (0..saved.len())
            .filter(|&position| is_automatic(saved[position], class))
            .collect();
        if ours.len() != theirs.len() {
            ours.retain(|layer| !layer.is_optional);
        }
        if ours.len() != theirs.len() {
            return None;
        }
        found.extend(ours.iter().map(|layer| layer.name).zip(theirs));
    }
    let position = |layer: &Named<'_>| found.get(layer.name).copied();
    Some(layers.iter().map(position).collect())
}

/// Whether Keras names a layer of `class` so of itself: `conv2d`, `conv2d_7`.
pub(super) fn is_automatic(name: &str, class: &str) -> bool {
    let number = name.strip_prefix(class);
    number.is_some_and(|number| match number.strip_prefix('_') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => number.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers<'a>(names: &[(&'a str, &'a str)]) -> Vec<Named<'a>> {
        let named = |&(name, class)| Named {
            name,
            class,
            is_optional: false,
        };
        names.iter().map(named).collect()
    }

    #[test]
    fn given_names_are_found_by_name_and_automatic_ones_by_class_and_order() {
        let ours = layers(&[
            ("block1", "conv2d"),
            ("conv2d", "conv2d"),
            ("conv2d_1", "conv2d"),
            ("batch_normalization", "batch_normalization"),
        ]);
        let saved = ["conv2d_1", "block1", "batch_normalization_4", "conv2d_2"];
        let pairs = pair(&ours, &saved).unwrap();
        assert_eq!(pairs, [Some(1), Some(0), Some(3), Some(2)]);
    }

    #[test]
    fn layers_are_never_shifted() {
        let ours = layers(&[("conv2d", "conv2d"), ("conv2d_1", "conv2d")]);
        assert!(pair(&ours, &["conv2d_1"]).is_none());
        assert!(pair(&ours, &["conv2d_1", "conv2d_2", "conv2d_3"]).is_none());
        assert!(pair(&layers(&[("stem", "conv2d")]), &["conv2d"]).is_none());
        assert!(pair(&ours, &["conv2d_transpose_1", "conv2d_2"]).is_none());
    }

    #[test]
    fn an_optional_layer_may_have_no_counterpart() {
        let mut ours = layers(&[("dense", "dense"), ("head", "dense")]);
        ours[1].is_optional = true;
        assert_eq!(pair(&ours, &["dense_3"]).unwrap(), [Some(0), None]);
        ours[0].is_optional = true;
        assert_eq!(pair(&ours, &[]).unwrap(), [None, None]);
    }
}
