//! Names: Keras' automatic layer names, and the nearest known names for an error message.

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

/// A sentence with the known names most like `name`, for an error's help.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<(f64, &str)> = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
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
    fn near_names_come_first() {
        let help = near("dens_1", ["conv", "dense_1", "dropout", "dense"]);
        assert!(help.starts_with("the nearest are \"dense_1\""), "{help}");
    }
}
