//! The optimizer: a rule with everything around it.

use std::collections::HashMap;
use std::sync::Arc;

use regraft_tensor::{Detail, snake_case};

use crate::builder::Builder;
use crate::error;
use crate::options::Options;
use crate::plan::{Identity, Memory};
use crate::{Error, LearningRate, ParameterInfo, Result, UpdateRule};

/// An update rule with learning rate, weight decay, clipping, moving averages and accumulation, and
/// the slots of every parameter it has met.
///
/// A training loop calls [`prepare`](Self::prepare) with the trainable parameters whenever that
/// list may have changed, and [`apply`](Self::apply) per step. Slots stay with their parameters
/// through any sequence of freezing and unfreezing.
///
/// ```
/// use regraft_optimizers::{Adam, ParameterInfo, ParameterUpdate};
///
/// let mut optimizer = Adam::new(0.1).build()?;
/// let plan = optimizer.prepare(&[ParameterInfo::new("dense/kernel", [2])])?;
///
/// let mut kernel = [3.0, -4.0];
/// for _ in 0..200 {
///     let gradient = kernel.map(|w| 2.0 * w); // of the loss w²
///     let update = ParameterUpdate { value: &mut kernel, gradient: &gradient };
///     optimizer.apply(&plan, &mut [update])?;
/// }
/// assert!(kernel.iter().all(|w| w.abs() < 0.05));
/// # Ok::<(), regraft_optimizers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Optimizer {
    pub(crate) rule: Arc<dyn UpdateRule>,
    pub(crate) options: Options,
    pub(crate) iterations: u64,
    pub(crate) memories: Vec<Memory>,
    /// Where in `memories` a path is.
    pub(crate) places: HashMap<String, usize>,
    pub(crate) identity: Identity,
    /// Counts what makes older plans point to the wrong memory.
    pub(crate) generation: u64,
    /// A clipped gradient, for rules that need it whole.
    pub(crate) scratch: Vec<f32>,
}

impl Optimizer {
    /// Puts together an optimizer with a rule of one's own, at learning rate 0.001 unless set.
    pub fn builder<R: UpdateRule>(rule: R) -> Builder<R> {
        Builder::with_rule(rule)
    }

    pub(crate) fn assemble(rule: Arc<dyn UpdateRule>, mut options: Options) -> Result<Self> {
        options.validate(rule.class_name())?;
        error::check(&*rule)?;
        if options.name.is_none() {
            options.name = Some(snake_case(rule.class_name()));
        }
        Ok(Optimizer {
            rule,
            options,
            iterations: 0,
            memories: Vec::new(),
            places: HashMap::new(),
            identity: Identity::new(),
            generation: 0,
            scratch: Vec::new(),
        })
    }

    /// The name under which Keras stores the optimizer's variables, such as `adam`.
    pub fn name(&self) -> &str {
        self.options.name.as_deref().unwrap_or_default()
    }

    /// The name of the rule's class, such as `Adam`.
    pub fn class_name(&self) -> &str {
        self.rule.class_name()
    }

    /// The rule.
    pub fn rule(&self) -> &dyn UpdateRule {
        &*self.rule
    }

    /// The number of calls of [`apply`](Self::apply) so far. With accumulation, this counts calls
    /// that only accumulated too, as Keras' variable `iteration` does.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f32 {
        self.options.learning_rate.at(self.iterations)
    }

    /// Whether the learning rate follows a schedule.
    pub fn is_scheduled(&self) -> bool {
        matches!(self.options.learning_rate, LearningRate::Schedule(_))
    }

    /// Sets the learning rate, to a number or a schedule.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`] if it is out of range, or a number while a schedule is set, which
    /// Keras refuses too: the schedule would be lost unnoticed.
    pub fn set_learning_rate(&mut self, learning_rate: impl Into<LearningRate>) -> Result<()> {
        let learning_rate = learning_rate.into();
        learning_rate.validate(self.rule.class_name())?;
        if let (true, LearningRate::Constant(rate)) = (self.is_scheduled(), &learning_rate) {
            return Err(Error::Hyperparameter(
                Detail::new(
                    format!("{}.learning_rate", self.rule.class_name()),
                    "a schedule, since one is set",
                    rate,
                )
                .help("build the optimizer with a number, or set another schedule"),
            ));
        }
        self.options.learning_rate = learning_rate;
        Ok(())
    }

    /// Makes one update of every `steps` calls of [`apply`](Self::apply), by the mean of their gradients; 1
    /// makes one of each.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`] if `steps` is 0, or after the first call: some gradients would count for
    /// another number of them.
    pub fn set_gradient_accumulation_steps(&mut self, steps: u64) -> Result<()> {
        let at = format!("{}.gradient_accumulation_steps", self.rule.class_name());
        if steps == 0 {
            return Err(Error::Hyperparameter(Detail::new(at, "at least 1", steps)));
        }
        if self.iterations > 0 {
            let received = format!("one that has made {}", self.iterations);
            let expected = "an optimizer that has made no step";
            return Err(Error::Hyperparameter(Detail::new(at, expected, received)));
        }
        self.options.gradient_accumulation_steps = (steps > 1).then_some(steps);
        for memory in &mut self.memories {
            memory.accumulator = (steps > 1).then(|| vec![0.0; memory.info.len()]);
        }
        Ok(())
    }

    /// The parameters met so far, in the order of first meeting, frozen ones included.
    pub fn parameters(&self) -> Vec<ParameterInfo> {
        self.memories.iter().map(|m| m.info.clone()).collect()
    }

    /// How often the parameter at `path` has been updated, if it has been met.
    pub fn updates(&self, path: &str) -> Option<u64> {
        let place = *self.places.get(path)?;
        Some(self.memories[place].updates)
    }

    /// The elements of a slot, such as `momentum` of `dense/kernel`. The moving average is called
    /// `average` and the accumulated gradient `gradient_accumulator`, as in Keras.
    pub fn slot(&self, path: &str, name: &str) -> Option<&[f32]> {
        let memory = &self.memories[*self.places.get(path)?];
        match name {
            "average" => memory.average.as_deref(),
            "gradient_accumulator" => memory.accumulator.as_deref(),
            _ => {
                let index = memory.specs.iter().position(|slot| slot.name == name)?;
                Some(&memory.slots[index])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_keras() {
        for (class, name) in [
            ("SGD", "sgd"),
            ("RMSprop", "rm_sprop"),
            ("AdamW", "adam_w"),
            ("Adafactor", "adafactor"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
