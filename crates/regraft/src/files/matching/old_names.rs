//! What weights were called by earlier versions of Keras.

/// Whether `saved` is what some version of Keras calls the weight that is now called `name`:
/// `depthwise_kernel` of Keras 2, `block1_conv1_W_1` of Keras 1, which official files still have.
pub(crate) fn means(saved: &str, name: &str) -> bool {
    if saved == name || (saved, name) == ("depthwise_kernel", "kernel") {
        return true;
    }
    let ending = match name {
        "kernel" => "_W",
        "bias" => "_b",
        "gamma" => "_gamma",
        "beta" => "_beta",
        "moving_mean" => "_running_mean",
        // What Keras 1 calls a deviation is a variance.
        "moving_variance" => "_running_std",
        _ => return false,
    };
    let numbered = saved.trim_end_matches(|end: char| end.is_ascii_digit());
    let stem = match numbered.len() < saved.len() {
        true => numbered.strip_suffix('_').unwrap_or(saved),
        false => saved,
    };
    stem.ends_with(ending)
}

/// Whether `saved` is no name at all but a number, or what Keras calls a weight that its layer did not
/// name, as that of ConvNeXt's scales: `Variable_3` in Keras 2, `variable_3` in Keras 3.
pub(crate) fn is_unnamed(saved: &str) -> bool {
    let number = saved
        .strip_prefix("Variable")
        .or(saved.strip_prefix("variable"));
    let number = number.map_or(saved, |number| number.strip_prefix('_').unwrap_or(number));
    number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{is_unnamed, means};

    #[test]
    fn numbers_and_automatic_names_are_no_names() {
        assert!(
            ["0", "12", "Variable", "variable", "Variable_17"]
                .into_iter()
                .all(is_unnamed)
        );
        assert!(
            !["kernel", "variable_a", "my_variable"]
                .into_iter()
                .any(is_unnamed)
        );
    }

    #[test]
    fn names_of_earlier_versions_are_known() {
        assert!(means("kernel", "kernel") && means("depthwise_kernel", "kernel"));
        assert!(means("block1_conv1_W_1", "kernel") && means("block1_conv1_b", "bias"));
        assert!(means("bn_running_std_12", "moving_variance"));
        assert!(!means("pointwise_kernel", "kernel") && !means("block1_conv1_W_1", "bias"));
        assert!(!means("bn_gamma", "beta") && !means("kernel", "bias"));
    }
}
