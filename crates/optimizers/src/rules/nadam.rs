//! Nadam: Adam with Nesterov's momentum.

use regraft_settings::{require_decay, require_rate};

use std::sync::OnceLock;

use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
    /// Nadam. With learning rate η, gradient g, step number t, `uₜ = β₁ (1 − ½ · 0.96ᵗ)` and `Uₜ` the
    /// product of all u up to t:
    ///
    /// ```text
    /// m ← m + (1 − β₁)(g − m)
    /// v ← v + (1 − β₂)(g² − v)
    /// m̂ = uₜ₊₁ m / (1 − Uₜ₊₁) + (1 − uₜ) g / (1 − Uₜ)
    /// w ← w − η m̂ / (√(v / (1 − β₂ᵗ)) + ε)
    /// ```
    ///
    /// Slots: `momentum` m and `velocity` v. Keras also stores U, once per optimizer; here it follows
    /// from the number of steps.
    ///
    /// Sources: Dozat, [*Incorporating Nesterov Momentum into
    /// Adam*](http://cs229.stanford.edu/proj2015/054_report.pdf) (2015);
    /// [Keras](https://keras.io/api/optimizers/Nadam/).
    #[derive(Clone, Debug)]
    pub struct NadamRule as "keras.optimizers.Nadam" of Nadam {
        /// How much of the old mean of the gradient stays, β₁, in `[0, 1)`. Default 0.9.
        beta_1: f64 = 0.9 => require_decay,
        /// How much of the old mean of the squared gradient stays, β₂, in `[0, 1)`. Default 0.999.
        beta_2: f64 = 0.999 => require_decay,
        /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7.
        epsilon: f64 = 1e-7 => require_rate,
    }
}

impl BuiltIn for NadamRule {}

/// The products of `1 − ½ · 0.96ᵗ` up to each t. From the last on they do not change any more:
/// `0.96¹⁰²³` is 7e-19.
fn warmup_product(count: u64) -> f64 {
    static PRODUCTS: OnceLock<Vec<f64>> = OnceLock::new();
    let products = PRODUCTS.get_or_init(|| {
        let factors = (1..1024).map(|t| 1.0 - 0.5 * f64::from(0.96f32).powi(t));
        let mut product = 1.0;
        std::iter::once(1.0)
            .chain(factors.map(|factor| {
                product *= factor;
                product
            }))
            .collect()
    });
    let last = products.len() - 1;
    products[usize::try_from(count).map_or(last, |count| count.min(last))]
}

impl NadamRule {
    /// Uₜ, the product of u₁ … uₜ.
    fn momentum_product(&self, count: u64) -> f32 {
        let beta_1 = f64::from(self.beta_1 as f32);
        (beta_1.powf(count as f64) * warmup_product(count)) as f32
    }
}

impl UpdateRule for NadamRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        vec![
            Slot::like(parameter, "momentum"),
            Slot::like(parameter, "velocity"),
        ]
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        let (beta_1, beta_2) = (self.beta_1 as f32, self.beta_2 as f32);
        let (rate, epsilon) = (step.learning_rate, self.epsilon as f32);
        let momentum = |count: u64| beta_1 * (1.0 - 0.5 * 0.96f32.powf(count as f32));
        let (now, next) = (momentum(step.count), momentum(step.count + 1));
        let product = self.momentum_product(step.count);
        let (rest_now, rest_next) = (1.0 - product, 1.0 - product * next);
        let rest_2 = 1.0 - beta_2.powf(step.count as f32);
        let (keep_1, keep_2) = (1.0 - beta_1, 1.0 - beta_2);
        elementwise::two_slots(value, gradient, slots, |w, g, m, v| {
            let m = m + (g - m) * keep_1;
            let v = v + (g * g - v) * keep_2;
            let ahead = next * m / rest_next + (1.0 - now) * g / rest_now;
            (w - ahead * rate / ((v / rest_2).sqrt() + epsilon), m, v)
        });
    }

    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }

    fn shared_variable(&self, count: u64) -> Option<f32> {
        Some(self.momentum_product(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::rules::Nadam;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Nadam");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Nadam::default());
    }

    #[test]
    fn the_product_is_that_of_its_factors() {
        let rule = NadamRule::default();
        let mut product = 1.0;
        for count in 1..=300u64 {
            let warmup = 1.0 - 0.5 * f64::from(0.96f32).powf(count as f64);
            product *= f64::from(0.9f32) * warmup;
            let received = f64::from(rule.momentum_product(count));
            assert!((received / product - 1.0).abs() < 1e-6, "{count}");
        }
        assert_eq!(rule.momentum_product(u64::MAX), 0.0);
    }
}
