//! The optimizer: a rule with everything around it, and the memory it keeps per parameter.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use regraft_tensor::Detail;

use crate::builder::Builder;
use crate::options::Options;
use crate::rule::{MAX_SLOTS, Slot, UpdateRule};
use crate::{Error, LearningRate, ParameterInfo, Result};

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

/// What the optimizer keeps of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub info: ParameterInfo,
    /// How often it has been updated.
    pub updates: u64,
    pub specs: Vec<Slot>,
    pub slots: Vec<Vec<f32>>,
    pub average: Option<Vec<f32>>,
    pub accumulator: Option<Vec<f32>>,
}

/// Tells an optimizer's plans from another's. A clone gets its own, since from then on the two may
/// meet different parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64);

impl Identity {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Identity(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Identity::new()
    }
}

/// The parameters of a training run, looked up once so that no step searches for anything. Made by
/// [`Optimizer::prepare`], used by [`Optimizer::apply`].
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) entries: Vec<Entry>,
    optimizer: u64,
    generation: u64,
}

impl Plan {
    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where in `Optimizer::memories` it is.
    pub memory: usize,
    pub length: usize,
    pub learning_rate_scale: f32,
    pub weight_decay: Option<f32>,
    pub elementwise: bool,
}

impl Optimizer {
    /// Puts together an optimizer with a rule of one's own, at learning rate 0.001 unless set.
    pub fn builder<R: UpdateRule>(rule: R) -> Builder<R> {
        Builder::with_rule(rule)
    }

    pub(crate) fn assemble(rule: Arc<dyn UpdateRule>, mut options: Options) -> Result<Self> {
        options.validate(rule.class_name())?;
        rule.validate()?;
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

    /// Looks up (or makes) the slots of these parameters, in this order, for
    /// [`apply`](Self::apply). Parameters that are not listed keep their slots and are left alone.
    ///
    /// A parameter is known again by its path, id and shape; if the path is known but id or shape
    /// differ, it is another parameter that took the place, and starts with fresh slots.
    ///
    /// # Errors
    /// [`Error::Parameters`] if a path occurs twice, a learning-rate scale is negative or not
    /// finite, or the rule asks for more than [`MAX_SLOTS`] slots.
    pub fn prepare(&mut self, parameters: &[ParameterInfo]) -> Result<Plan> {
        let mut seen = HashSet::new();
        for parameter in parameters {
            let scale = parameter.learning_rate_scale;
            if !(scale.is_finite() && scale >= 0.0) {
                return Err(Error::Parameters(Detail::new(
                    parameter.path.clone(),
                    "a learning-rate scale that is finite and not negative",
                    scale,
                )));
            }
            if !seen.insert(&parameter.path) {
                return Err(Error::Parameters(
                    Detail::new(parameter.path.clone(), "each path once", "it twice")
                        .help("give every layer its own name"),
                ));
            }
            self.check_slots(parameter)?;
        }
        let entries = parameters
            .iter()
            .map(|parameter| {
                let memory = self.memory_of(parameter);
                let weight_decay = self
                    .rule
                    .weight_decay(parameter, self.options.weight_decay)
                    .filter(|_| self.options.decays(parameter))
                    .map(|weight_decay| weight_decay as f32);
                Entry {
                    memory,
                    length: parameter.len(),
                    learning_rate_scale: parameter.learning_rate_scale,
                    weight_decay,
                    elementwise: self.rule.elementwise(parameter),
                }
            })
            .collect();
        Ok(Plan {
            entries,
            optimizer: self.identity.0,
            generation: self.generation,
        })
    }

    /// Refuses a rule that asks for too many slots, or calls itself elementwise with slots of
    /// another shape.
    fn check_slots(&self, parameter: &ParameterInfo) -> Result<()> {
        let slots = self.rule.slots(parameter);
        let elementwise = self.rule.elementwise(parameter);
        let odd = slots.iter().any(|slot| slot.shape != parameter.shape);
        if slots.len() > MAX_SLOTS || (elementwise && odd) {
            return Err(Error::Parameters(Detail::new(
                format!("{}, {}", self.rule.class_name(), parameter.path),
                format!(
                    "at most {MAX_SLOTS} slots, of the parameter's shape if the rule is elementwise"
                ),
                format!(
                    "slots of shape {:?}",
                    slots.iter().map(|s| &s.shape).collect::<Vec<_>>()
                ),
            )));
        }
        Ok(())
    }

    /// Where `parameter`'s memory is, which is made if there is none yet.
    fn memory_of(&mut self, parameter: &ParameterInfo) -> usize {
        match self.places.get(&parameter.path) {
            Some(&place) => {
                let known = &mut self.memories[place];
                if known.info.id == parameter.id && known.info.shape == parameter.shape {
                    known.info.learning_rate_scale = parameter.learning_rate_scale;
                } else {
                    self.memories[place] = self.fresh_memory(parameter);
                    self.generation += 1;
                }
                place
            }
            None => {
                let memory = self.fresh_memory(parameter);
                self.places
                    .insert(parameter.path.clone(), self.memories.len());
                self.memories.push(memory);
                self.memories.len() - 1
            }
        }
    }

    pub(crate) fn fresh_memory(&self, parameter: &ParameterInfo) -> Memory {
        let specs = self.rule.slots(parameter);
        let slots = specs
            .iter()
            .map(|slot| vec![slot.initial; slot.shape.iter().product()])
            .collect();
        let zeros = || vec![0.0; parameter.len()];
        Memory {
            info: parameter.clone(),
            updates: 0,
            specs,
            slots,
            average: self.options.use_ema.then(zeros),
            accumulator: self.options.gradient_accumulation_steps.map(|_| zeros()),
        }
    }

    /// Whether `plan` was made by this optimizer and still points to the right memories.
    pub(crate) fn check_plan(&self, plan: &Plan) -> Result<()> {
        if plan.optimizer == self.identity.0 && plan.generation == self.generation {
            return Ok(());
        }
        Err(Error::Parameters(
            Detail::new(
                self.name(),
                "a plan that this optimizer made since its last change",
                "one from before a restore, from before a parameter was replaced, or of another optimizer",
            )
            .help("call `prepare` again"),
        ))
    }

    /// Forgets the slots of the parameter at `path`. Returns whether there were any. Plans made
    /// before cannot be used any more.
    pub fn forget(&mut self, path: &str) -> bool {
        let Some(place) = self.places.remove(path) else {
            return false;
        };
        self.memories.remove(place);
        for other in self.places.values_mut().filter(|other| **other > place) {
            *other -= 1;
        }
        self.generation += 1;
        true
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

/// `RMSprop` → `rm_sprop`, as Keras names its objects.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, &letter) in letters.iter().enumerate() {
        let previous = index.checked_sub(1).map(|i| letters[i]);
        let next_is_lower = letters.get(index + 1).is_some_and(|c| c.is_lowercase());
        let word_starts = letter.is_uppercase()
            && previous.is_some_and(|p| p.is_lowercase() || p.is_numeric() || next_is_lower);
        if word_starts {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
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
