//! The learning rate: a number, or a schedule of the optimizer's steps.

use std::sync::Arc;

use regraft_settings::{Configured, place, require_rate};
use serde_json::{Value, json};

use crate::error::{self, Error, Result};

/// A learning rate that depends on the step. Its class and its settings are those of [`Configured`].
///
/// Steps are counted as Keras does, from 0, one per call of
/// [`Optimizer::apply`](crate::Optimizer::apply), also for the calls that only accumulate.
///
/// ```
/// use regraft_optimizers::{Adam, Configured, Schedule};
///
/// #[derive(Debug)]
/// struct HalfEvery(u64);
///
/// impl Schedule for HalfEvery {
///     fn learning_rate(&self, step: u64) -> f32 {
///         1e-3 * 0.5f32.powi((step / self.0) as i32)
///     }
/// }
///
/// impl Configured for HalfEvery {}
///
/// let optimizer = Adam::new(HalfEvery(100)).build()?;
/// assert_eq!(optimizer.learning_rate(), 1e-3);
/// # Ok::<(), regraft_optimizers::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a learning-rate schedule",
    note = "implement `Schedule` and `Configured`, or use a number or one of `regraft_optimizers::schedules`"
)]
pub trait Schedule: Configured {
    /// The learning rate of step number `step`, from 0.
    fn learning_rate(&self, step: u64) -> f32;
}

/// A learning rate: constant or scheduled. Made from a number or any [`Schedule`] by `into`.
#[derive(Clone, Debug)]
pub enum LearningRate {
    /// The same in every step, until someone sets another. Kept in single precision, as Keras
    /// does.
    Constant(f32),
    /// A function of the step.
    Schedule(Arc<dyn Schedule>),
}

impl LearningRate {
    /// The learning rate of step number `step`, from 0.
    pub fn at(&self, step: u64) -> f32 {
        match self {
            LearningRate::Constant(rate) => *rate,
            LearningRate::Schedule(schedule) => schedule.learning_rate(step),
        }
    }

    /// As Keras writes it into a configuration: a number, or the schedule's class and settings.
    pub fn config(&self) -> Value {
        match self {
            LearningRate::Constant(rate) => json!(f64::from(*rate)),
            LearningRate::Schedule(schedule) => json!({
                "module": "keras.optimizers.schedules",
                "class_name": schedule.class_name(),
                "config": schedule.config(),
                "registered_name": null,
            }),
        }
    }

    pub(crate) fn validate(&self, owner: &str) -> Result<()> {
        match self {
            LearningRate::Constant(rate) => {
                require_rate(&place(owner, "learning_rate"), *rate).map_err(Error::Hyperparameter)
            }
            LearningRate::Schedule(schedule) => error::check(&**schedule),
        }
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        LearningRate::Constant(rate as f32)
    }
}

impl From<f32> for LearningRate {
    fn from(rate: f32) -> Self {
        LearningRate::Constant(rate)
    }
}

impl<S: Schedule> From<S> for LearningRate {
    fn from(schedule: S) -> Self {
        LearningRate::Schedule(Arc::new(schedule))
    }
}

impl From<Arc<dyn Schedule>> for LearningRate {
    fn from(schedule: Arc<dyn Schedule>) -> Self {
        LearningRate::Schedule(schedule)
    }
}
