//! Matching layers of a model with scopes of variables' names, as TensorFlow's files have them.
//!
//! A scope is a layer's path with more or less in front: Keras 3 puts the model's own name there
//! (`sequential/dense`), Keras 2 leaves the names of nested models out (`conv1` for `base/conv1`).

use std::collections::{HashMap, HashSet};

use regraft_io::{Checkpoint, SavedLayer};

use super::by_class::or_by_class;
use super::{Wanted, last_name, numbered};

/// For each wanted layer its counterpart: by scope where the scopes cover the model's layers, else by class
/// and order.
pub(super) fn pair<'c>(
    wanted: &[&Wanted<'_>],
    _checkpoint: &'c Checkpoint,
    saved: &[&'c SavedLayer],
    kept: &HashSet<String>,
) -> Vec<Option<&'c SavedLayer>> {
    let paths: Vec<&str> = wanted.iter().map(|layer| layer.path.as_str()).collect();
    let scopes = saved.iter();
    let scopes = scopes.map(|layer| as_now(&layer.path, &paths));
    let scopes: Vec<String> = scopes.collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let mut found = match_scopes(&paths, &scopes);
    // Keras 2 names the weights of a wrapped layer by the wrapper: `time_distributed/kernel`.
    let wrappers = wanted.iter().zip(&mut found);
    for (layer, found) in wrappers.filter(|(_, found)| found.is_none()) {
        let scope = |path| match_scopes(&[path], &scopes)[0];
        *found = layer.wrappers().find_map(scope);
    }
    let open = |layer: &Wanted<'_>| !kept.contains(&layer.path);
    numbered::pair(wanted, saved, open, &mut found);
    let named = found.into_iter().map(|place| Some(saved[place?])).collect();
    or_by_class(wanted, saved, kept, named)
}

/// For each of the model's `paths` the place of its scope in `scopes`. The same path is taken first;
/// what is left matches where one is the end of the other, if only one pair can be meant.
pub(crate) fn match_scopes(paths: &[&str], scopes: &[&str]) -> Vec<Option<usize>> {
    let exact: HashMap<&str, usize> = scopes.iter().enumerate().map(|(i, s)| (*s, i)).collect();
    let mut found: Vec<Option<usize>> = paths.iter().map(|p| exact.get(p).copied()).collect();

    let mut is_taken = vec![false; scopes.len()];
    for &scope in found.iter().flatten() {
        is_taken[scope] = true;
    }
    // Only those with the same last name can match.
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, scope) in scopes.iter().enumerate() {
        if !is_taken[i] {
            by_name.entry(last_name(scope)).or_default().push(i);
        }
    }
    let candidates: Vec<Option<usize>> = paths
        .iter()
        .zip(&found)
        .map(|(path, found)| {
            let same_name = by_name.get(last_name(path)).filter(|_| found.is_none())?;
            let mut fitting = same_name
                .iter()
                .filter(|&&i| ends_with(path, scopes[i]) || ends_with(scopes[i], path));
            let only = fitting.next();
            only.copied().filter(|_| fitting.next().is_none())
        })
        .collect();
    let mut meant = vec![0usize; scopes.len()];
    for &scope in candidates.iter().flatten() {
        meant[scope] += 1;
    }
    for (found, candidate) in found.iter_mut().zip(candidates) {
        *found = found.or(candidate.filter(|&scope| meant[scope] == 1));
    }
    found
}

/// The scope in names of today, in which there are no slashes: `block/one/dense` where one of `paths` ends
/// with `block_one_dense`.
pub(crate) fn as_now(scope: &str, paths: &[&str]) -> String {
    if !paths.contains(&scope) {
        let ends = scope.match_indices('/').map(|(at, _)| at + 1);
        for start in [0].into_iter().chain(ends) {
            let name = scope[start..].replace('/', "_");
            if scope[start..].contains('/') && paths.iter().any(|path| last_name(path) == name) {
                return format!("{}{name}", &scope[..start]);
            }
        }
    }
    scope.to_string()
}

/// Whether the last names of `path` are `end`.
fn ends_with(path: &str, end: &str) -> bool {
    let before = path.strip_suffix(end);
    before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_or_less_in_front_is_the_same_layer() {
        let scopes = ["sequential/dense", "sequential/dense_1"];
        assert_eq!(
            match_scopes(&["dense", "dense_1"], &scopes),
            [Some(0), Some(1)]
        );
        let scopes = ["head", "conv1"];
        assert_eq!(
            match_scopes(&["base/conv1", "head"], &scopes),
            [Some(1), Some(0)]
        );
    }

    #[test]
    fn slashes_in_names_are_those_of_earlier_versions() {
        let paths = ["base/block_one_dense", "one/dense", "head"];
        assert_eq!(as_now("block/one/dense", &paths), "block_one_dense");
        assert_eq!(
            as_now("model/block/one/dense", &paths),
            "model/block_one_dense"
        );
        for scope in ["one/dense", "model/head", "head", "other/dense"] {
            assert_eq!(as_now(scope, &paths), scope);
        }
    }

    #[test]
    fn a_part_of_a_name_is_another_layer() {
        assert_eq!(match_scopes(&["dense"], &["my_dense"]), [None]);
        assert_eq!(match_scopes(&["base/dense"], &["top/dense"]), [None]);
    }

    #[test]
    fn the_same_path_goes_first_and_doubts_match_nothing() {
        let scopes = ["dense", "base/dense"];
        assert_eq!(
            match_scopes(&["base/dense", "dense"], &scopes),
            [Some(1), Some(0)]
        );
        // Keras 2 has one scope for both; the second is under another path.
        let scopes = ["dense", "layer_with_weights-1/layer_with_weights-0"];
        assert_eq!(match_scopes(&["a/dense", "b/dense"], &scopes), [None, None]);
        assert_eq!(match_scopes(&["dense"], &["a/dense", "b/dense"]), [None]);
    }
}
