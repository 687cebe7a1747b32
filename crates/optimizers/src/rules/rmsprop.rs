//! RMSprop: steps divided by a running root mean square of the gradient.

use regraft_settings::{require_decay, require_rate};

use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
    /// RMSprop. With learning rate η and gradient g:
    ///
    /// ```text
    /// v ← ρ v + (1 − ρ) g²
    /// u = η g / √(v + ε)
    /// w ← w − u
    /// ```
    ///
    /// Centered, `a ← ρ a + (1 − ρ) g` is kept too and `v − a² + ε` taken under the root (or ε, where
    /// rounding makes that zero or less, for which Keras gives no number). With momentum μ,
    /// `m ← μ m + u` and `w ← w − m`.
    ///
    /// Slots: `velocity` v, `momentum` m if μ > 0, `average_gradient` a if centered.
    ///
    /// Sources: Hinton, [lecture 6](http://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf)
    /// (2012); [Keras](https://keras.io/api/optimizers/rmsprop/).
    #[derive(Clone, Debug)]
    pub struct RMSpropRule as "keras.optimizers.RMSprop" of RMSprop {
        /// How much of the old mean of the squared gradient stays, ρ, in `[0, 1)`. Default 0.9.
        rho: f64 = 0.9 => require_decay,
        /// The momentum μ, in `[0, 1]`. Default 0.
        momentum: f64 = 0.0 => require_rate,
        /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7.
        epsilon: f64 = 1e-7 => require_rate,
        /// Whether to divide by the standard deviation instead. Default no.
        centered: bool = false,
    }
}

impl BuiltIn for RMSpropRule {}

impl UpdateRule for RMSpropRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        let mut slots = vec![Slot::like(parameter, "velocity")];
        if self.momentum > 0.0 {
            slots.push(Slot::like(parameter, "momentum").group(1));
        }
        if self.centered {
            slots.push(Slot::like(parameter, "average_gradient").group(2));
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
        let rate = step.learning_rate;
        let (rho, rest) = (self.rho as f32, (1.0 - self.rho) as f32);
        let (momentum, epsilon) = (self.momentum as f32, self.epsilon as f32);
        let spread = move |v: f32, a: f32| {
            let spread = v - a * a + epsilon;
            if spread > 0.0 { spread } else { epsilon }
        };
        match (self.momentum > 0.0, self.centered) {
            (false, false) => elementwise::one_slot(value, gradient, slots, |w, g, v| {
                let v = rho * v + rest * (g * g);
                (w - rate * g / (v + epsilon).sqrt(), v)
            }),
            (true, false) => elementwise::two_slots(value, gradient, slots, |w, g, v, m| {
                let v = rho * v + rest * (g * g);
                let m = momentum * m + rate * g / (v + epsilon).sqrt();
                (w - m, v, m)
            }),
            (false, true) => elementwise::two_slots(value, gradient, slots, |w, g, v, a| {
                let v = rho * v + rest * (g * g);
                let a = rho * a + rest * g;
                (w - rate * g / spread(v, a).sqrt(), v, a)
            }),
            (true, true) => elementwise::three_slots(value, gradient, slots, |w, g, v, m, a| {
                let v = rho * v + rest * (g * g);
                let a = rho * a + rest * g;
                let m = momentum * m + rate * g / spread(v, a).sqrt();
                (w - m, v, m, a)
            }),
        }
    }

    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::rules::RMSprop;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("RMSprop");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(RMSprop::default());
    }

    #[test]
    fn a_large_constant_gradient_keeps_the_centered_variant_finite() {
        let rule = RMSpropRule {
            centered: true,
            ..RMSpropRule::default()
        };
        let info = ParameterInfo::new("w", [1]);
        let (mut w, mut v, mut a) = ([1.0], [0.0], [0.0]);
        for count in 1..=300 {
            let step = Step::new(count, 1e-3, &info);
            rule.update(&step, &mut w, &[1000.1], &mut [&mut v, &mut a]);
            assert!(w[0].is_finite(), "step {count}");
        }
    }
}
