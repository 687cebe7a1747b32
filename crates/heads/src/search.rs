//! The strength of regularisation for which an error is least.

use regraft_tensor::Detail;

use crate::factor::{Factor, Shift};
use crate::{Error, Result};

/// What to choose a λ from, in units of the mean squared singular value.
pub(crate) enum Candidates {
    /// 25 from 10⁻⁴ to 10⁴; of these every third is tried, and then the four beside the best.
    Search,
    These(Vec<f64>),
}

/// What `attempt` makes of the solution for which the error that it tells is least, and the errors of all ratios that
/// were tried, ascending. An error that is no number is never the least.
///
/// # Errors
/// [`Error::Rounding`] if none is finite.
pub(crate) fn search<T>(
    factor: &Factor,
    candidates: Candidates,
    mut attempt: impl FnMut(Shift) -> (T, f64),
) -> Result<(T, Vec<(f64, f64)>)> {
    // From classes with a single group nothing can be learnt about λ: the first is taken.
    let blind = factor.samples.class_groups.iter().all(|&groups| groups < 2);
    let mut tried: Vec<(f64, f64)> = Vec::new();
    let mut best: Option<(T, f64)> = None;
    let mut attempt = |ratio: f64| {
        let (made, error) = attempt(factor.shift(ratio));
        tried.push((ratio, error));
        let better = match &best {
            None => blind || error < f64::INFINITY,
            Some((_, least)) => error < *least,
        };
        if better {
            best = Some((made, error));
        }
        better
    };
    match candidates {
        Candidates::These(ratios) => ratios.into_iter().for_each(|ratio| {
            attempt(ratio);
        }),
        Candidates::Search if blind => {
            attempt(1.0);
        }
        Candidates::Search => {
            let mut middle = -12;
            for thirds in (-12..=12).step_by(3) {
                if attempt(power_of_ten(thirds)) {
                    middle = thirds;
                }
            }
            for thirds in [middle - 2, middle - 1, middle + 1, middle + 2] {
                if (-12..=12).contains(&thirds) {
                    attempt(power_of_ten(thirds));
                }
            }
        }
    }
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((made, _)) => Ok((made, tried)),
        None => Err(Error::no_number(format!(
            "none with any of the {} that were tried",
            tried.len()
        ))),
    }
}

/// 10 to a third of `thirds`.
pub(crate) fn power_of_ten(thirds: i32) -> f64 {
    let decade = thirds.div_euclid(3);
    let part = [1.0, 2.154_434_690_031_884, 4.641_588_833_612_779][thirds.rem_euclid(3) as usize];
    let power = (0..decade.unsigned_abs()).fold(1.0, |power, _| power * 10.0);
    if decade < 0 {
        part / power
    } else {
        part * power
    }
}

/// That there is a number to choose from, and that each of them is positive.
pub(crate) fn check_positive(name: &str, values: &[f64]) -> Result<()> {
    let help = "leave the setting away to have it chosen";
    if values.is_empty() {
        return Err(Error::Setting(
            Detail::new(name, "a number or more", "none").help(help),
        ));
    }
    match values
        .iter()
        .find(|value| !(value.is_finite() && **value > 0.0))
    {
        None => Ok(()),
        Some(value) => Err(Error::Setting(
            Detail::new(name, "positive numbers", value).help(help),
        )),
    }
}
