//! Names that nobody knows, and those that come near.

/// Whether `path` is `name`, or ends with it: `base/conv1` is meant by `conv1`, too.
pub fn is_meant_by(path: &str, name: &str) -> bool {
    let rest = path.strip_suffix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// A sentence with the known names most like `name`, for an error's help. Paths that end with it come
/// first.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let likeness = |known: &str| match is_meant_by(known, name) {
        true => 2.0,
        false => strsim::jaro_winkler(name, known),
    };
    let mut known: Vec<(f64, &str)> = known
        .into_iter()
        .map(|known| (likeness(known), known))
        .collect();
    known.sort_by(|a, b| b.0.total_cmp(&a.0));
    let nearest: Vec<String> = known
        .iter()
        .take(3)
        .map(|(_, known)| format!("{known:?}"))
        .collect();
    match nearest.as_slice() {
        [] => "there are none".to_string(),
        _ => format!("the nearest are {}", nearest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        let help = near("dens_1", ["conv", "dense_1", "dropout", "dense"]);
        assert!(help.starts_with("the nearest are \"dense_1\""), "{help}");
    }
}
