//! How Keras names the groups of a weight file: snake-case class names, counted per container.

use std::cmp::Ordering;
use std::collections::HashMap;

use regraft_tensor::snake_case;

/// Hands out the keys of a container's children: `dense`, `dense_1`, `conv2d`, `dense_2`, …
///
/// ```
/// let mut keys = regraft_io::ContainerKeys::default();
/// assert_eq!(keys.next("Dense"), "dense");
/// assert_eq!(keys.next("Dense"), "dense_1");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ContainerKeys {
    used: HashMap<String, usize>,
}

impl ContainerKeys {
    /// The key of the container's next child of `class` (`Conv2D`, or already `conv2d`).
    pub fn next(&mut self, class: &str) -> String {
        let class = snake_case(class);
        let count = self.used.entry(class.clone()).or_insert(0);
        let ordinal = *count;
        *count += 1;
        with_ordinal(&class, ordinal)
    }
}

/// `dense`, 2 → `dense_2`; `dense`, 0 → `dense`.
pub(crate) fn with_ordinal(class: &str, ordinal: usize) -> String {
    match ordinal {
        0 => class.to_string(),
        _ => format!("{class}_{ordinal}"),
    }
}

/// `dense_2` → `dense`, 2; `dense` → `dense`, 0.
pub(crate) fn split_ordinal(key: &str) -> (&str, usize) {
    match key.rsplit_once('_') {
        Some((class, digits))
            if !class.is_empty()
                && !digits.starts_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            match digits.parse() {
                Ok(ordinal) => (class, ordinal),
                Err(_) => (key, 0),
            }
        }
        _ => (key, 0),
    }
}

/// Orders names by their numbers, `dense_2` before `dense_10`, and paths segment by segment. HDF5
/// itself sorts by bytes, which puts `10` before `2`.
pub(crate) fn natural_order(a: &str, b: &str) -> Ordering {
    let mut left = a.split('/');
    let mut right = b.split('/');
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match segment_order(a, b) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}

fn segment_order(a: &str, b: &str) -> Ordering {
    let key = |segment: &str| -> (String, Option<u64>) {
        let digits = segment.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (stem, number) = segment.split_at(segment.len() - digits);
        match number.parse() {
            Ok(number) => (stem.trim_end_matches('_').to_string(), Some(number)),
            Err(_) => (segment.to_string(), None),
        }
    };
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

/// Nothing that leads out of the folder, on any system.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_become_what_keras_makes_of_them() {
        for (class, name) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("GRU", "gru"),
            ("InputLayer", "input_layer"),
            ("batch_normalization", "batch_normalization"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }

    #[test]
    fn numbers_are_ordered_as_numbers() {
        let mut names = vec![
            "dense_10",
            "a/10",
            "dense",
            "a/2",
            "dense_2",
            "conv2d_1",
            "conv2d",
            "conv2d_transpose",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "a/2",
                "a/10",
                "conv2d",
                "conv2d_1",
                "conv2d_transpose",
                "dense",
                "dense_2",
                "dense_10"
            ]
        );
    }

    #[test]
    fn ordinals_split_and_join() {
        assert_eq!(split_ordinal("dense_12"), ("dense", 12));
        assert_eq!(split_ordinal("conv2d"), ("conv2d", 0));
        assert_eq!(split_ordinal("re_lu"), ("re_lu", 0));
        assert_eq!(with_ordinal("re_lu", 1), "re_lu_1");
    }
}
