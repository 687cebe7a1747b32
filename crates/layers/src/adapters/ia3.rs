//! Learnt scales.

use crate::adapters::setters::setters;
use crate::{IntoSelector, Selector};

/// A factor for each output, bias included: `y = l · (f(x, W) + bias)`; where told, for each input instead:
/// `y = f(l · x, W) + bias`. All start at 1.
///
/// Names are PEFT's. Liu et al. 2022: <https://arxiv.org/abs/2205.05638>.
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `Model::adapt`"]
pub struct Ia3 {
    pub(crate) feedforward: Option<Selector>,
    pub(crate) modules_to_save: Option<Selector>,
}

impl Ia3 {
    /// Factors for outputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// The picked layers have factors for inputs (PEFT's `feedforward_modules`).
    pub fn feedforward(mut self, selector: impl IntoSelector) -> Self {
        self.feedforward = Some(selector.into_selector());
        self
    }

    setters!(modules_to_save);
}
