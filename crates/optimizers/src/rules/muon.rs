//! Muon: the momentum of a matrix, made orthogonal. Everything that is no matrix gets AdamW.

use std::sync::{Mutex, PoisonError};

use regraft_settings::{require_decay, require_finite, require_rate};
use regraft_tensor::Detail;

use super::AdamRule;
use super::newton_schulz::Matrices;
use crate::builder::BuiltIn;
use crate::elementwise;
use crate::pattern::Pattern;
use crate::{ParameterInfo, Slot, Step, UpdateRule};

rule! {
    /// Muon. With learning rate η, gradient g and momentum μ, for a matrix:
    ///
    /// ```text
    /// m ← μ m + g
    /// x = g + μ m   (or m, if not nesterov), over its Frobenius norm
    /// ns_steps times:  A = x xᵀ,  x ← a x + (b A + c A²) x
    /// w ← w − η √max(rows, columns) · rms_rate · x
    /// ```
    ///
    /// The iteration brings all singular values of x close to 1 (x is transposed if it has more rows
    /// than columns). Without `rms_rate`, the last line is `w ← w − η x`.
    ///
    /// Parameters that are not of rank 2, embeddings (paths with `embedding` in them, unless
    /// `exclude_embeddings(false)`) and those whose path matches one of `exclude_layers` get Adam's
    /// step at `adam_lr_ratio` times the learning rate, and `adam_weight_decay` in place of
    /// `weight_decay`. Name the output layer in `exclude_layers`. Slots: `momentum`, and `velocity`
    /// where Adam is used. Memory for the iteration is allocated on the first step.
    ///
    /// Sources: [Jordan et al.](https://kellerjordan.github.io/posts/muon/) (2024); Liu et al., [*Muon
    /// is Scalable for LLM Training*](https://arxiv.org/abs/2502.16982) (2025);
    /// [Keras](https://keras.io/api/optimizers/muon/).
    #[derive(Clone, Debug)]
    pub struct MuonRule as "keras.optimizers.Muon" of Muon {
        /// β₁ where Adam is used, in `[0, 1)`. Default 0.9.
        adam_beta_1: f64 = 0.9 => require_decay,
        /// β₂ where Adam is used, in `[0, 1)`. Default 0.999.
        adam_beta_2: f64 = 0.999 => require_decay,
        /// ε where Adam is used, zero or more. Default 1e-7.
        epsilon: f64 = 1e-7 => require_rate,
        exclude_layers: Vec<String> = Vec::new(),
        /// The a of the iteration. Default 3.4445.
        muon_a: f64 = 3.4445 => require_finite,
        /// The b of the iteration. Default -4.775.
        muon_b: f64 = -4.7750 => require_finite,
        /// The c of the iteration. Default 2.0315.
        muon_c: f64 = 2.0315 => require_finite,
        /// The learning rate where Adam is used, over the other, zero or more. Default 1.
        adam_lr_ratio: f64 = 1.0 => require_rate,
        /// The momentum μ, in `[0, 1)`. Default 0.95.
        momentum: f64 = 0.95 => require_decay,
        /// The number of iterations. Default 5.
        ns_steps: u32 = 5,
        /// Whether the momentum is Nesterov's. Default yes.
        nesterov: bool = true,
        /// Whether embeddings get Adam. Default yes.
        exclude_embeddings: bool = true,
        /// The weight decay where Adam is used. Default 0.004.
        adam_weight_decay: Option<f64> = Some(0.004) => require_rate,
        /// The root mean square of a step at learning rate 1, or `None` for steps of spectral norm
        /// about 1. Default 0.2.
        rms_rate: Option<f64> = Some(0.2) => require_rate,
    }
    state { scratch: Scratch = Scratch::default() }
    checking |rule| { rule.patterns().map(drop) }
}

/// Memory that steps reuse. It holds nothing from one step to the next, so a clone gets its own.
#[derive(Debug, Default)]
struct Scratch(Mutex<Vec<f32>>);

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Scratch::default()
    }
}

impl BuiltIn for MuonRule {
    const WEIGHT_DECAY: Option<f64> = Some(0.004);
}

impl crate::rules::Muon {
    /// Layers that get Adam: patterns looked for in the path, such as the output layer's name.
    /// `.`, `*`, `^`, `$` and `|` mean what they do in regular expressions.
    pub fn exclude_layers<P: Into<String>>(mut self, layers: impl IntoIterator<Item = P>) -> Self {
        self.rule.exclude_layers = layers.into_iter().map(Into::into).collect();
        self
    }
}

impl MuonRule {
    fn uses_adam(&self, parameter: &ParameterInfo) -> bool {
        let path = &parameter.path;
        parameter.shape.len() != 2
            || (self.exclude_embeddings && path.to_lowercase().contains("embedding"))
            || self
                .patterns()
                .is_ok_and(|patterns| patterns.iter().any(|pattern| pattern.matches(path)))
    }

    fn patterns(&self) -> Result<Vec<Pattern>, Detail> {
        let layers = self.exclude_layers.iter();
        layers
            .map(|layer| Pattern::new("exclude_layers", layer))
            .collect()
    }

    fn adam(&self) -> AdamRule {
        AdamRule::with(self.adam_beta_1, self.adam_beta_2, self.epsilon, false)
    }
}

impl UpdateRule for MuonRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        let mut slots = vec![Slot::like(parameter, "momentum")];
        if self.uses_adam(parameter) {
            slots.push(Slot::like(parameter, "velocity"));
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
        let columns = match (slots.len(), &step.parameter.shape[..]) {
            (1, [_, columns]) => *columns,
            _ => {
                let rate = step.learning_rate * self.adam_lr_ratio as f32;
                let step = Step::new(step.count, rate, step.parameter);
                return self.adam().update(&step, value, gradient, slots);
            }
        };
        if value.is_empty() {
            return;
        }
        let rows = value.len() / columns;
        let transposed = rows > columns;
        let (short, long) = (rows.min(columns), rows.max(columns));
        // A panic elsewhere leaves nothing behind in here that matters.
        let mut scratch = self.scratch.0.lock();
        let scratch = scratch.as_mut().unwrap_or_else(PoisonError::get_mut);
        let matrices = Matrices::within(scratch, short, long);

        let (momentum, less) = (self.momentum as f32, (self.momentum - 1.0) as f32);
        let m = &mut *slots[0];
        elementwise::no_slots(m, gradient, |m, g| m + (g + m * less));
        let nesterov = self.nesterov;
        let direction = |g: f32, m: f32| if nesterov { g + momentum * m } else { m };
        for (index, x) in matrices.x.iter_mut().enumerate() {
            let index = if transposed {
                index % rows * columns + index / rows
            } else {
                index
            };
            *x = direction(gradient[index], m[index]);
        }
        let (a, b, c) = (self.muon_a, self.muon_b, self.muon_c);
        let x = matrices.orthogonalize(self.ns_steps, (a as f32, b as f32, c as f32));

        let rate = step.learning_rate;
        let scale = self.rms_rate.map(|rms| ((long as f32).sqrt(), rms as f32));
        let moved = |w: f32, x: f32| match scale {
            Some((root, rms)) => w - rate * x * root * rms,
            None => w - rate * x,
        };
        if transposed {
            for (index, w) in value.iter_mut().enumerate() {
                *w = moved(*w, x[index % columns * long + index / columns]);
            }
        } else {
            elementwise::no_slots(value, x, moved);
        }
    }

    fn elementwise(&self, parameter: &ParameterInfo) -> bool {
        self.uses_adam(parameter)
    }

    fn weight_decay(&self, parameter: &ParameterInfo, weight_decay: Option<f64>) -> Option<f64> {
        if self.uses_adam(parameter) {
            self.adam_weight_decay
        } else {
            weight_decay
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::rules::Muon;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Muon");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Muon::default());
    }

    #[test]
    fn a_step_of_a_matrix_is_nearly_orthogonal() {
        let rule = MuonRule {
            rms_rate: None,
            ..MuonRule::default()
        };
        let info = ParameterInfo::new("dense/kernel", [2, 3]);
        let (mut w, mut m) = ([0.0; 6], [0.0; 6]);
        let gradient = [1.0, 2.0, 3.0, 4.0, -5.0, 6.0];
        let step = Step::new(1, 1.0, &info);
        rule.update(&step, &mut w, &gradient, &mut [&mut m]);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let (first, second) = w.split_at(3);
        assert!(dot(first, second).abs() < 0.3);
        for row in [first, second] {
            assert!((0.5..1.5).contains(&dot(row, row)), "{}", dot(row, row));
        }
    }
}
