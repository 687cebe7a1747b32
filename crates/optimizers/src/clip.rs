//! The three ways of clipping gradients: by the norm of each, by the norm of all, by value.

use crate::elementwise::{self, sum_of, sum_of_squares};
use crate::options::Options;
use crate::plan::Memory;
use crate::{ParameterSource, Plan};

/// What is done to a gradient before the rule sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clip {
    None,
    /// `gradient · times / over`
    Norm {
        times: f32,
        over: f32,
    },
    /// `gradient · scale`
    Scale(f32),
    /// Into `[-limit, limit]`.
    Value(f32),
}

impl Clip {
    /// How all gradients are scaled down together.
    pub(crate) fn of_all<S: ParameterSource + ?Sized>(
        norm: f32,
        plan: &Plan,
        source: &mut S,
        memories: &[Memory],
        accumulated: f32,
    ) -> Self {
        let mut sum = 0.0;
        for (index, entry) in plan.entries.iter().enumerate() {
            let gradient = source.parameter(index).gradient;
            sum += squares(gradient, &memories[entry.memory], accumulated);
        }
        let received = sum.sqrt() as f32;
        if !received.is_finite() {
            // As Keras: a gradient that is not finite must not be hidden by a scale of zero.
            return Clip::Scale(f32::NAN);
        }
        Clip::Scale(norm * (1.0 / received).min(1.0 / norm))
    }

    /// How the gradient of one parameter is clipped.
    pub(crate) fn of_one(
        options: &Options,
        gradient: &[f32],
        memory: &Memory,
        accumulated: f32,
        global: Clip,
    ) -> Self {
        if let Some(norm) = options.clipnorm {
            let received = squares(gradient, memory, accumulated).sqrt() as f32;
            let times = norm as f32;
            // `f32::max` would take the limit for a norm that is not a number.
            let over = if received.is_nan() {
                received
            } else {
                received.max(times)
            };
            return Clip::Norm { times, over };
        }
        match options.clipvalue {
            Some(limit) => Clip::Value(limit as f32),
            None => global,
        }
    }

    /// The clipped gradient, which is written to `clipped` if it differs.
    pub(crate) fn apply<'a>(self, gradient: &'a [f32], clipped: &'a mut [f32]) -> &'a [f32] {
        match self {
            Clip::None => return gradient,
            Clip::Norm { times, over } => {
                elementwise::no_slots(clipped, gradient, |_, g| g * times / over);
            }
            Clip::Scale(scale) => elementwise::no_slots(clipped, gradient, |_, g| g * scale),
            Clip::Value(limit) => {
                elementwise::no_slots(clipped, gradient, |_, g| g.clamp(-limit, limit));
            }
        }
        clipped
    }
}

/// The sum of the squares of the gradient that the rule will see, before clipping.
fn squares(gradient: &[f32], memory: &Memory, accumulated: f32) -> f64 {
    match &memory.accumulator {
        Some(sum) => sum_of(gradient, sum, |g, sum| (g + sum) / accumulated),
        None => sum_of_squares(gradient),
    }
}
