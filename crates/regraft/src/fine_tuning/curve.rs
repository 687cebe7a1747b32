//! How the learning rate goes within a stage: a curve from the first step to the last, as fractions of the largest.

use std::f64::consts::PI;
use std::fmt;

use regraft_optimizers::{Configured, Schedule};

/// How the learning rate goes within a stage, as a fraction of its largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateCurve {
    /// fastai's `fit_one_cycle`: half a cosine from 1 / `div` up to 1 within `pct_start` of the steps, then half a
    /// cosine down to 1 / `div_final`. A step k of n is at k / n, so that the end is not quite reached.
    OneCycle {
        /// The fraction of the steps in which the rate rises.
        pct_start: f64,
        /// 1 over where it starts.
        div: f64,
        /// 1 over where it ends.
        div_final: f64,
    },
    /// ULMFiT's slanted triangle: with `cut = ⌊n · cut_fraction⌋`, straight from 1 / `ratio` up to 1 at step `cut`, and
    /// straight down again.
    SlantedTriangular {
        /// The fraction of the steps in which the rate rises.
        cut_fraction: f64,
        /// 1 over the smallest.
        ratio: f64,
    },
    /// 1.
    Constant,
}

impl RateCurve {
    /// The value at step `step` of `steps`.
    ///
    /// ```
    /// use regraft::fine_tuning::RateCurve;
    ///
    /// let curve = RateCurve::OneCycle { pct_start: 0.25, div: 25.0, div_final: 1e5 };
    /// assert_eq!(curve.at(0, 100), 1.0 / 25.0);
    /// assert_eq!(curve.at(25, 100), 1.0);
    /// ```
    pub fn at(self, step: u64, steps: u64) -> f64 {
        let (step, steps) = (step as f64, steps.max(1) as f64);
        match self {
            RateCurve::OneCycle {
                pct_start,
                div,
                div_final,
            } => {
                let cosine = |from: f64, to: f64, at: f64| {
                    from + (1.0 + (PI * (1.0 - at)).cos()) * (to - from) / 2.0
                };
                let at = (step / steps).min(1.0);
                match at < pct_start {
                    true => cosine(1.0 / div, 1.0, at / pct_start),
                    false if pct_start < 1.0 => {
                        cosine(1.0, 1.0 / div_final, (at - pct_start) / (1.0 - pct_start))
                    }
                    false => 1.0,
                }
            }
            RateCurve::SlantedTriangular {
                cut_fraction,
                ratio,
            } => {
                let cut = (steps * cut_fraction).floor();
                let up = match step < cut {
                    true => step / cut,
                    false => 1.0 - (step - cut) / (steps - cut).max(1.0),
                };
                (1.0 + up.max(0.0) * (ratio - 1.0)) / ratio
            }
            RateCurve::Constant => 1.0,
        }
    }
}

impl fmt::Display for RateCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RateCurve::OneCycle {
                pct_start,
                div,
                div_final,
            } => write!(
                f,
                "one cycle (up for {:.0} % of the steps, from 1/{div} to 1/{div_final})",
                100.0 * pct_start
            ),
            RateCurve::SlantedTriangular {
                cut_fraction,
                ratio,
            } => write!(
                f,
                "slanted triangle (up for {:.0} % of the steps, from 1/{ratio})",
                100.0 * cut_fraction
            ),
            RateCurve::Constant => f.write_str("constant"),
        }
    }
}

/// The rate of a stage.
#[derive(Clone, Debug)]
pub(crate) struct StageRate {
    pub curve: RateCurve,
    pub largest: f64,
    pub steps: u64,
}

impl Configured for StageRate {}

impl Schedule for StageRate {
    fn learning_rate(&self, step: u64) -> f32 {
        (self.largest * self.curve.at(step, self.steps)) as f32
    }
}
