//! Gradient descent, with momentum and Nesterov's variant of it.

use regraft_settings::require_share;

use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
    /// Stochastic gradient descent. With learning rate η and gradient g:
    ///
    /// - without momentum, `w ← w − η g`;
    /// - with momentum μ, `m ← μ m − η g` and `w ← w + m`;
    /// - with Nesterov's momentum, the same m and `w ← w + μ m − η g`.
    ///
    /// Slot: `momentum`, if μ > 0. Learning rate by default 0.01.
    ///
    /// Sources: Sutskever et al., *On the importance of initialization and momentum in deep learning*
    /// (2013); [Keras](https://keras.io/api/optimizers/sgd/).
    #[derive(Clone, Debug)]
    pub struct SGDRule as "keras.optimizers.SGD" of SGD {
        /// The momentum μ, in `[0, 1]`. Default 0.
        momentum: f64 = 0.0 => require_share,
        /// Whether the momentum is Nesterov's. Default no.
        nesterov: bool = false,
    }
}

impl BuiltIn for SGDRule {
    const LEARNING_RATE: f64 = 0.01;
}

impl UpdateRule for SGDRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        if self.momentum == 0.0 {
            return Vec::new();
        }
        vec![Slot::like(parameter, "momentum")]
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        let rate = step.learning_rate;
        let momentum = self.momentum as f32;
        if self.momentum == 0.0 {
            elementwise::no_slots(value, gradient, |w, g| w - g * rate);
        } else if self.nesterov {
            elementwise::one_slot(value, gradient, slots, |w, g, m| {
                let m = m * momentum - g * rate;
                (w + (m * momentum - g * rate), m)
            });
        } else {
            elementwise::one_slot(value, gradient, slots, |w, g, m| {
                let m = m * momentum - g * rate;
                (w + m, m)
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
    use crate::rules::SGD;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("SGD");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(SGD::default());
    }

    #[test]
    fn momentum_above_one_is_refused() {
        let error = SGD::new(0.1).momentum(1.5).build().unwrap_err();
        assert!(error.to_string().contains("SGD.momentum"), "{error}");
    }
}
