//! Adam: steps scaled by running estimates of the gradient's mean and square.

use regraft_settings::{require_decay, require_rate};

use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
    /// Adam. With learning rate η, gradient g and step number t:
    ///
    /// ```text
    /// m ← m + (1 − β₁)(g − m)
    /// v ← v + (1 − β₂)(g² − v)
    /// w ← w − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)
    /// ```
    ///
    /// With AMSGrad, `v̂ ← max(v̂, v)` takes v's place in the last line.
    ///
    /// ε is the paper's ε̂ (before its section 2.1), not that of its algorithm 1. Slots: `momentum` m,
    /// `velocity` v, and `velocity_hat` v̂ with AMSGrad.
    ///
    /// Sources: Kingma & Ba, [*Adam*](https://arxiv.org/abs/1412.6980) (2014); Reddi et al., *On the
    /// Convergence of Adam and Beyond* (2018); [Keras](https://keras.io/api/optimizers/adam/).
    #[derive(Clone, Debug)]
    pub struct AdamRule as "keras.optimizers.Adam" of Adam {
        /// How much of the old mean of the gradient stays, β₁, in `[0, 1)`. Default 0.9.
        beta_1: f64 = 0.9 => require_decay,
        /// How much of the old mean of the squared gradient stays, β₂, in `[0, 1)`. Default 0.999.
        beta_2: f64 = 0.999 => require_decay,
        /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7 (PyTorch: 1e-8).
        epsilon: f64 = 1e-7 => require_rate,
        /// Whether to divide by the largest v so far. Default no.
        amsgrad: bool = false,
    }
}

impl BuiltIn for AdamRule {}

impl AdamRule {
    /// For rules that are Adam in part.
    pub(super) fn with(beta_1: f64, beta_2: f64, epsilon: f64, amsgrad: bool) -> Self {
        AdamRule {
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
        }
    }
}

/// Adam's learning rate with the correction for moments that started at zero, `η √(1 − β₂ᵗ) / (1 −
/// β₁ᵗ)`, in single precision as Keras computes it.
pub(crate) fn corrected_rate(step: &Step<'_>, beta_1: f64, beta_2: f64) -> f32 {
    let count = step.count as f32;
    let beta_1_power = (beta_1 as f32).powf(count);
    let beta_2_power = (beta_2 as f32).powf(count);
    step.learning_rate * (1.0 - beta_2_power).sqrt() / (1.0 - beta_1_power)
}

impl UpdateRule for AdamRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        let mut slots = vec![
            Slot::like(parameter, "momentum"),
            Slot::like(parameter, "velocity"),
        ];
        if self.amsgrad {
            slots.push(Slot::like(parameter, "velocity_hat").group(1));
        }
        slots
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        let rate = corrected_rate(step, self.beta_1, self.beta_2);
        let (keep_1, keep_2) = ((1.0 - self.beta_1) as f32, (1.0 - self.beta_2) as f32);
        let epsilon = self.epsilon as f32;
        if self.amsgrad {
            elementwise::three_slots(value, gradient, slots, |w, g, m, v, largest| {
                let m = m + (g - m) * keep_1;
                let v = v + (g * g - v) * keep_2;
                let largest = if v > largest { v } else { largest };
                (w - m * rate / (largest.sqrt() + epsilon), m, v, largest)
            });
        } else {
            elementwise::two_slots(value, gradient, slots, |w, g, m, v| {
                let m = m + (g - m) * keep_1;
                let v = v + (g * g - v) * keep_2;
                (w - m * rate / (v.sqrt() + epsilon), m, v)
            });
        }
    }

    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::Adam;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Adam");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Adam::default());
    }

    #[test]
    fn a_beta_out_of_range_is_refused() {
        for beta in [1.0, -0.1, f64::NAN] {
            assert!(Adam::new(0.1).beta_2(beta).build().is_err(), "{beta}");
        }
    }
}
