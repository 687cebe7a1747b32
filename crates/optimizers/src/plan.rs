//! Which parameters are stepped, and what the optimizer keeps of each of them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use regraft_tensor::Detail;

use crate::rule::{MAX_SLOTS, Slot};
use crate::{Error, Optimizer, ParameterInfo, Result};

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
    pub(crate) fn new() -> Self {
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
    /// Looks up (or makes) the slots of these parameters, in this order, for
    /// [`apply`](Self::apply). Parameters that are not listed keep their slots and are left alone.
    ///
    /// A parameter is known again by its path, id and shape; if the path is known but id or shape
    /// differ, it is another parameter that took the place, and starts with fresh slots.
    ///
    /// # Errors
    /// [`Error::Parameters`] if a path occurs twice, a learning-rate scale or a weight decay is negative or
    /// not finite, or the rule asks for more than [`MAX_SLOTS`] slots.
    pub fn prepare(&mut self, parameters: &[ParameterInfo]) -> Result<Plan> {
        let mut seen = HashSet::new();
        for parameter in parameters {
            let scale = Some(parameter.learning_rate_scale);
            for (what, value) in [
                ("learning-rate scale", scale),
                ("weight decay", parameter.weight_decay),
            ] {
                if let Some(value) = value.filter(|value| !(value.is_finite() && *value >= 0.0)) {
                    let expected = format!("a {what} that is finite and not negative");
                    let detail = Detail::new(parameter.path.clone(), expected, value);
                    return Err(Error::Parameters(detail));
                }
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
                let of_rule = self.rule.weight_decay(parameter, self.options.weight_decay);
                let of_rule = of_rule.filter(|_| self.options.decays(parameter));
                let weight_decay = match parameter.weight_decay {
                    None => of_rule.map(|weight_decay| weight_decay as f32),
                    Some(own) => Some(own).filter(|own| *own > 0.0),
                };
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
                    known.info.clone_from(parameter);
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

    /// Whether `plan` was made by this optimizer, since its last change: otherwise
    /// [`prepare`](Self::prepare) makes another.
    pub fn made(&self, plan: &Plan) -> bool {
        plan.optimizer == self.identity.0 && plan.generation == self.generation
    }

    /// Whether `plan` was made by this optimizer and still points to the right memories.
    pub(crate) fn check_plan(&self, plan: &Plan) -> Result<()> {
        if self.made(plan) {
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

    /// Gives parameters other ids, as when the model that they belong to was copied: those for which
    /// `renamed` has one. Plans made before cannot be used any more.
    pub fn rename_ids(&mut self, renamed: impl Fn(u64) -> Option<u64>) {
        for memory in &mut self.memories {
            memory.info.id = renamed(memory.info.id).unwrap_or(memory.info.id);
        }
        self.generation += 1;
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
}
