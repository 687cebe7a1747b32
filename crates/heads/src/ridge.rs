//! Ridge regression on one-hot targets, λ chosen by what the solutions say of groups that they have not seen.

use std::sync::Arc;

use regraft_tensor::{Detail, Tensor};

use crate::factor::{Blocks, Factor, Shift};
use crate::known::Known;
use crate::left_out::LeftOut;
use crate::samples::{Options, Samples, shared_settings};
use crate::solved::{Choice, HeadKind, Solved};
use crate::{Error, Result};

/// Between which factors scores of about 0 and 1 become logits.
pub(crate) const SCALES: (f64, f64) = (0.5, 200.0);

/// Ridge regression: min Σᵢ wᵢ ‖yᵢ − b − Wᵀxᵢ‖² + λ ‖W‖², y one-hot, b free.
///
/// λ is the one of 25, from 10⁻⁴ to 10⁴ times the mean squared singular value of the centred features, for which the
/// squared error on left-out groups is least: e_G = (1 − H_GG)⁻¹ (y − ŷ)_G, which is what solving without the group
/// would give, exactly. Scores become logits by a factor that is found on left-out samples and kept in the weights.
///
/// ```
/// use regraft_heads::Ridge;
/// use regraft_tensor::Tensor;
///
/// let features = Tensor::new([6, 2], vec![0.0, 0.1, 0.2, 0.0, 0.1, 0.3, 1.0, 1.1, 0.9, 1.2, 1.1, 0.8])?;
/// let solved = Ridge::new().fit(&features, &[0, 0, 0, 1, 1, 1])?;
/// assert_eq!(solved.kernel().shape(), [2, 2]);
/// assert_eq!(solved.left_out().accuracy().unwrap().value, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ridge {
    options: Options,
    lambdas: Option<Vec<f64>>,
}

impl Ridge {
    /// With λ looked for.
    pub fn new() -> Self {
        Self::default()
    }

    shared_settings!();

    /// The λ to choose from, in units of the mean squared singular value of the centred features. Default: 25 from
    /// 10⁻⁴ to 10⁴; of these every third is tried, and then the four beside the best.
    #[must_use]
    pub fn lambdas(mut self, lambdas: impl Into<Vec<f64>>) -> Self {
        self.lambdas = Some(lambdas.into());
        self
    }

    /// Solves for `features`, (samples, features), and a class label of each sample.
    ///
    /// # Errors
    /// [`Error::Features`] without samples or features, with a number that is none, or if no feature differs between
    /// samples. [`Error::Labels`] if they are of another number, outside the classes, all of one class, or if a class
    /// has none. [`Error::Groups`] if they are of another number or all samples are in one. [`Error::Setting`] if a λ
    /// is not positive, or there is none to choose from. [`Error::Rounding`] if no λ gives finite numbers.
    pub fn fit(&self, features: &Tensor, labels: &[i32]) -> Result<Solved> {
        if let Some(lambdas) = &self.lambdas {
            check_positive("Ridge::lambdas", lambdas)?;
        }
        let samples = Arc::new(Samples::new(features, labels, &self.options)?);
        let factor = Arc::new(Factor::new(features, samples)?);
        self.solve(factor)
    }

    pub(crate) fn solve(&self, factor: Arc<Factor>) -> Result<Solved> {
        let candidates = self
            .lambdas
            .clone()
            .map_or(Candidates::Search, Candidates::These);
        let (shift, tried) = choose(&factor, candidates)?;
        let errors = factor.errors_without(&shift, &Blocks::of_each_class(&factor.samples));
        let known = Known::by_groups(&factor.samples);
        let left_out = LeftOut::new(&factor.samples, &known, factor.scores(errors), SCALES);
        let (kernel, bias) = factor.weights(&shift);
        let choice = Choice {
            name: "lambda",
            value: factor.lambda(&shift),
            tried,
        };
        let solved = Solved::new(HeadKind::Ridge, kernel, bias, left_out, choice)?;
        Ok(solved.with_factor(factor, shift))
    }
}

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

/// Nothing gives numbers.
pub(crate) fn no_number(received: String) -> Error {
    Error::Rounding(
        Detail::new("solution", "weights and left-out scores that are finite", received).help(
            "let a stronger regularisation be tried, or leave the setting away; look for features of vastly different \
             sizes",
        ),
    )
}

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
        None => Err(no_number(format!(
            "none with any of the {} that were tried",
            tried.len()
        ))),
    }
}

/// The solution whose squared error on left-out groups is least, and what was tried.
pub(crate) fn choose(factor: &Factor, candidates: Candidates) -> Result<(Shift, Vec<(f64, f64)>)> {
    let samples = &factor.samples;
    let blocks = Blocks::groups(samples);
    let (shift, mut tried) = search(factor, candidates, |shift| {
        let errors = factor.errors_without(&shift, &blocks);
        let (mut error, mut total) = (0.0, 0.0);
        for (i, errors) in errors.chunks_exact(samples.classes()).enumerate() {
            if samples.known(i) {
                error += errors.iter().map(|error| error * error).sum::<f64>();
                total += samples.weight(i);
            }
        }
        (shift, error / total)
    })?;
    tried
        .iter_mut()
        .for_each(|(ratio, _)| *ratio *= factor.unit_of_lambda());
    Ok((shift, tried))
}
