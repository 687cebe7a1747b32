//! Names: Keras' automatic layer names, and which of several is meant.

pub use regraft_settings::{is_meant_by, near};
pub use regraft_tensor::snake_case;

/// `base`, or `base_1`, `base_2`, … if that is taken.
pub(crate) fn unique_name(base: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(base) {
        return base.to_string();
    }
    let mut number = 1;
    loop {
        let name = format!("{base}_{number}");
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}

/// Which of `paths` is meant by `name`: the one that is equal to it, or the only one that ends with it.
///
/// # Errors
/// What to do: choose among several that end with it, or one of the nearest.
pub(crate) fn meant<'p>(name: &str, paths: &[&'p str]) -> Result<&'p str, String> {
    if let Some(path) = paths.iter().find(|path| **path == name) {
        return Ok(path);
    }
    let ending: Vec<&str> = paths
        .iter()
        .copied()
        .filter(|path| is_meant_by(path, name))
        .collect();
    match ending.as_slice() {
        [] => Err(near(name, paths.iter().copied())),
        [path] => Ok(path),
        several => {
            let quoted = several.iter().take(5).map(|path| format!("{path:?}"));
            let (first, count) = (quoted.collect::<Vec<_>>().join(", "), several.len());
            let more = if count > 5 { ", …" } else { "" };
            Err(format!(
                "{count} of this name are there; say which: {first}{more}"
            ))
        }
    }
}

/// A path: a name within the model or layer at `prefix`.
pub(crate) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_string()
    } else {
        format!("{prefix}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_keras() {
        // Printed by keras.src.utils.naming.to_snake_case.
        for (class_name, name) in [
            ("Dense", "dense"),
            ("BatchNormalization", "batch_normalization"),
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("SpatialDropout1D", "spatial_dropout1d"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("PReLU", "p_re_lu"),
            ("ELU", "elu"),
            ("InputLayer", "input_layer"),
            ("RMSNormalization", "rms_normalization"),
            ("LSTM", "lstm"),
            ("GRU", "gru"),
        ] {
            assert_eq!(snake_case(class_name), name);
        }
    }

    #[test]
    fn a_path_is_meant_by_its_end_if_no_other_has_it() {
        let paths = ["a/conv", "b/conv", "b/norm", "conv_1", "norm"];
        assert_eq!(meant("b/conv", &paths), Ok("b/conv"));
        assert_eq!(meant("conv_1", &paths), Ok("conv_1"));
        // The whole path goes before an end.
        assert_eq!(meant("norm", &paths), Ok("norm"));
        let several = meant("conv", &paths).unwrap_err();
        assert!(several.contains("\"a/conv\", \"b/conv\""), "{several}");
        // Part of a name is not a name.
        assert!(meant("onv_1", &paths).is_err());
        let help = near("norm", ["norman", "normal", "north", "block/norm"]);
        assert!(help.starts_with("the nearest are \"block/norm\""), "{help}");
    }
}
