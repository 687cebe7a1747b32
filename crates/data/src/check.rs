//! The checks that data go through before training: some samples, equally many inputs and targets,
//! and nothing but finite numbers.

use regraft_tensor::{Detail, Tensor};

use crate::{Error, Result};

/// Checks that there are samples and that each has elements. `name` is what the data are called in
/// the message, such as `"x"`.
///
/// # Errors
/// [`Error::Data`] if `shape` has no axis for samples or any axis is 0.
pub fn check_not_empty(name: &str, shape: &[usize]) -> Result<()> {
    if shape.is_empty() || shape.contains(&0) {
        return Err(Error::Data(
            Detail::new(
                name,
                "at least one sample, along the first axis, and one value in it",
                format!("shape {shape:?}"),
            )
            .help("check that the data were loaded, and that a split or filter left any"),
        ));
    }
    Ok(())
}

/// Checks that two data sets that go together have equally many samples.
///
/// # Errors
/// [`Error::Data`] with both counts.
pub fn check_same_samples(left: (&str, usize), right: (&str, usize)) -> Result<()> {
    if left.1 != right.1 {
        return Err(Error::Data(Detail::new(
            right.0,
            format!("as many samples as {} has, {}", left.0, left.1),
            right.1,
        )));
    }
    Ok(())
}

/// Checks that `data` holds finite numbers only: neither NaN nor infinities.
///
/// It reads the data once, at about the speed of memory.
///
/// # Errors
/// [`Error::Data`], naming the sample (index on the first axis), the place in it (the other
/// indices) and the value of the first offender, and how many samples offend in all.
///
/// ```
/// use ndarray::array;
/// use regraft_data::check_finite;
///
/// let error = check_finite("x", &array![[1.0, 2.0], [3.0, f32::NAN]].into()).unwrap_err();
/// assert!(error.to_string().contains("x, sample 1, column 1"));
/// ```
pub fn check_finite(name: &str, data: &Tensor) -> Result<()> {
    let values = data.as_slice();
    if all_finite(values) {
        return Ok(());
    }
    let first = values
        .iter()
        .position(|value| !value.is_finite())
        .expect("an offender was found");
    let width: usize = data.shape().iter().skip(1).product();
    let bad_samples = values
        .chunks(width.max(1))
        .filter(|sample| !all_finite(sample))
        .count();
    let others = match bad_samples - 1 {
        0 => String::new(),
        others => format!(" (and {others} more samples with such values)"),
    };
    Err(Error::Data(
        Detail::new(
            format!("{name}{}", place(first, data.shape())),
            "finite numbers",
            format!("{}{others}", values[first]),
        )
        .help("leave these samples out or fill the gaps before training"),
    ))
}

/// Whether all values are finite. An exponent of all ones marks NaN and infinities; testing it on
/// the bits has no branch and no rounding, so the compiler turns the loop into vector code.
pub fn all_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    values.chunks(4096).all(|chunk| {
        let mut bad = 0;
        for value in chunk {
            bad |= u32::from(value.to_bits() & EXPONENT == EXPONENT);
        }
        bad == 0
    })
}

/// `, sample 3, column 5` or `, sample 3, [5, 0]` for element `index` of an array of `shape`.
fn place(mut index: usize, shape: &[usize]) -> String {
    let mut indices = vec![0; shape.len()];
    for (slot, &axis) in indices.iter_mut().zip(shape).rev() {
        *slot = index % axis;
        index /= axis;
    }
    match indices.as_slice() {
        [] => String::new(),
        [sample] => format!(", sample {sample}"),
        [sample, column] => format!(", sample {sample}, column {column}"),
        [sample, rest @ ..] => format!(", sample {sample}, {rest:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_place_is_spelled_by_rank() {
        assert_eq!(place(0, &[]), "");
        assert_eq!(place(3, &[5]), ", sample 3");
        assert_eq!(place(5, &[2, 3]), ", sample 1, column 2");
        assert_eq!(place(23, &[2, 3, 4]), ", sample 1, [2, 3]");
    }

    #[test]
    fn both_infinities_are_found_and_the_largest_number_is_not() {
        let check = |value| check_finite("x", &Tensor::full([1], value));
        assert!(check(f32::MAX).is_ok() && check(f32::MIN_POSITIVE / 2.0).is_ok());
        assert!(check(f32::INFINITY).is_err() && check(f32::NEG_INFINITY).is_err());
        assert!(check(-f32::NAN).is_err());
    }

    #[test]
    fn empty_data_say_their_shape() {
        assert!(check_not_empty("x", &[3, 2]).is_ok());
        for shape in [&[][..], &[0, 784], &[10, 0]] {
            let error = check_not_empty("x", shape).unwrap_err().to_string();
            assert!(error.contains(&format!("{shape:?}")), "{error}");
        }
    }

    #[test]
    fn counts_that_differ_are_both_named() {
        assert!(check_same_samples(("x", 3), ("y", 3)).is_ok());
        let error = check_same_samples(("x", 3), ("y", 4))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("y: expected as many samples as x has, 3, received 4"),
            "{error}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_first_offender_is_named_wherever_it_stands(
            samples in 1_usize..40,
            width in 1_usize..300,
            spots in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        ) {
            let mut values = vec![0.5; samples * width];
            let spots: Vec<usize> = spots.iter().map(|spot| spot.index(values.len())).collect();
            for &spot in &spots {
                values[spot] = f32::NAN;
            }
            let first = *spots.iter().min().unwrap();
            let data = Tensor::new([samples, width], values).unwrap();
            let text = check_finite("x", &data).unwrap_err().to_string();
            let place = format!("sample {}, column {}:", first / width, first % width);
            prop_assert!(text.contains(&place), "{text}");
        }
    }
}
