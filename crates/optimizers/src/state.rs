//! An optimizer's memory as named tensors, in the order in which Keras stores them.

use regraft_tensor::{Detail, Tensor};

use crate::plan::Memory;
use crate::{Error, Optimizer, ParameterInfo, Result};

/// Everything an optimizer remembers about a list of parameters, so that training can go on from
/// it.
///
/// In a Keras file, the optimizer's variables have numbers for names: 0 is
/// [`iteration`](Self::iteration) (`int64`), 1 is [`learning_rate`](Self::learning_rate) (left out
/// if it follows a schedule), then come [`variables`](Self::variables) in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The number of calls of [`Optimizer::apply`] so far.
    pub iteration: u64,
    /// The learning rate, unless it follows a schedule.
    pub learning_rate: Option<f32>,
    /// Name (as Keras': `adam/dense_kernel_momentum`) and values of, in this order: the moving
    /// average of each parameter (with `use_ema`), the accumulated gradient of each (with
    /// accumulation), and the rule's slots: group after group, in a group parameter after
    /// parameter, per parameter the slots of the group (Adam: `m0, v0, m1, v1, …`, then with
    /// AMSGrad `v̂0, v̂1, …`). Nadam has one more number at the end.
    pub variables: Vec<(String, Tensor)>,
    /// How often each parameter has been updated, in the order of the list. Keras does not know
    /// this; empty means: all as often as `iteration` says.
    pub updates: Vec<u64>,
}

/// One variable of a memory, in Keras' order: which one, and its shape.
enum Place {
    Average,
    Accumulator,
    Slot(usize),
}

/// What is stored of `memories`, in Keras' order: which memory, which variable of it.
fn layout(memories: &[&Memory]) -> Vec<(usize, Place)> {
    let mut places = Vec::new();
    let all = || memories.iter().enumerate();
    places.extend(
        all()
            .filter(|(_, m)| m.average.is_some())
            .map(|(i, _)| (i, Place::Average)),
    );
    places.extend(
        all()
            .filter(|(_, m)| m.accumulator.is_some())
            .map(|(i, _)| (i, Place::Accumulator)),
    );
    let groups = all()
        .flat_map(|(_, m)| m.specs.iter().map(|slot| slot.group + 1))
        .max();
    for group in 0..groups.unwrap_or(0) {
        for (index, memory) in all() {
            let slots = memory.specs.iter().enumerate();
            let of_group = slots.filter(|(_, slot)| slot.group == group);
            places.extend(of_group.map(|(slot, _)| (index, Place::Slot(slot))));
        }
    }
    places
}

impl Memory {
    fn variable(&self, place: &Place) -> (&str, &[usize], &[f32]) {
        match place {
            Place::Average => (
                "average",
                &self.info.shape,
                self.average.as_deref().unwrap_or_default(),
            ),
            Place::Accumulator => (
                "gradient_accumulator",
                &self.info.shape,
                self.accumulator.as_deref().unwrap_or_default(),
            ),
            Place::Slot(index) => {
                let slot = &self.specs[*index];
                (&slot.name, &slot.shape, &self.slots[*index])
            }
        }
    }

    fn set(&mut self, place: &Place, values: &[f32]) {
        match place {
            Place::Average => self.average = Some(values.to_vec()),
            Place::Accumulator => self.accumulator = Some(values.to_vec()),
            Place::Slot(index) => self.slots[*index].copy_from_slice(values),
        }
    }
}

impl Optimizer {
    /// What is remembered about `parameters`, in that order; for one not met yet, what its slots
    /// would start with. Pass the trainable parameters for a file that Keras shall read, or
    /// [`parameters`](Self::parameters) to keep those frozen now as well.
    pub fn state(&self, parameters: &[ParameterInfo]) -> State {
        let fresh: Vec<Option<Memory>> = parameters
            .iter()
            .map(|p| self.known(p).is_none().then(|| self.fresh_memory(p)))
            .collect();
        let memories: Vec<&Memory> = parameters
            .iter()
            .zip(&fresh)
            .filter_map(|(p, fresh)| self.known(p).or(fresh.as_ref()))
            .collect();
        let mut variables: Vec<(String, Tensor)> = layout(&memories)
            .iter()
            .map(|(index, place)| {
                let memory = memories[*index];
                let (name, shape, values) = memory.variable(place);
                let path = memory.info.path.replace('/', "_");
                let tensor = Tensor::new(shape, values.to_vec())
                    .expect("a slot has as many elements as its shape says");
                (format!("{}/{path}_{name}", self.name()), tensor)
            })
            .collect();
        if let Some(number) = self.rule.shared_variable(self.update_count()) {
            let name = format!("{}/variable", self.name());
            variables.push((name, Tensor::scalar(number)));
        }
        State {
            iteration: self.iterations,
            learning_rate: (!self.is_scheduled()).then(|| self.learning_rate()),
            variables,
            updates: memories.iter().map(|m| m.updates).collect(),
        }
    }

    /// Takes `state` over, as that of `parameters` in this order. Parameters not listed are
    /// forgotten, and plans made before cannot be used any more.
    ///
    /// Names in `state` that are just numbers (as in a Keras file) are matched by position; any
    /// other name must be the one that [`state`](Self::state) would give.
    ///
    /// # Errors
    /// [`Error::State`] if number, names or shapes of the variables do not fit, and
    /// [`Error::Parameters`] if a path occurs twice. Nothing has changed then.
    pub fn restore(&mut self, parameters: &[ParameterInfo], state: &State) -> Result<()> {
        let mut restored = self.clone();
        restored.memories.clear();
        restored.places.clear();
        let _plan = restored.prepare(parameters)?;
        let memories: Vec<&Memory> = restored.memories.iter().collect();
        let places = layout(&memories);
        let update_count = state.iteration / self.options.gradient_accumulation_steps.unwrap_or(1);
        let shared = usize::from(self.rule.shared_variable(update_count).is_some());
        self.check_counts(parameters, state, places.len() + shared)?;
        let updates = (0..parameters.len()).map(|i| state.updates.get(i).copied());
        for (memory, updates) in restored.memories.iter_mut().zip(updates) {
            memory.updates = updates.unwrap_or(update_count);
        }
        for ((index, place), (given, tensor)) in places.iter().zip(&state.variables) {
            let memory = &mut restored.memories[*index];
            let (slot, shape, _) = memory.variable(place);
            let name = format!("{}_{slot}", memory.info.path.replace('/', "_"));
            let number = !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit());
            let same_name = given.rsplit('/').next() == Some(name.as_str());
            if tensor.shape() != shape || !(number || same_name) {
                return Err(Error::State(
                    Detail::new(
                        self.name(),
                        format!("{name} of shape {shape:?}"),
                        format!("{given} of shape {:?}", tensor.shape()),
                    )
                    .help("pass the parameters in the order in which the state was saved"),
                ));
            }
            memory.set(place, tensor.as_slice());
        }
        if let Some(rate) = state.learning_rate
            && !self.is_scheduled()
        {
            restored.set_learning_rate(rate)?;
        }
        restored.iterations = state.iteration;
        *self = restored;
        Ok(())
    }

    fn check_counts(
        &self,
        parameters: &[ParameterInfo],
        state: &State,
        variables: usize,
    ) -> Result<()> {
        if state.variables.len() != variables {
            return Err(Error::State(
                Detail::new(
                    self.name(),
                    format!("{variables} variables for {} parameters", parameters.len()),
                    state.variables.len(),
                )
                .help(
                    "restore into the same optimizer with the same options, \
                     for the parameters that were trainable when it was saved",
                ),
            ));
        }
        if !state.updates.is_empty() && state.updates.len() != parameters.len() {
            return Err(Error::State(Detail::new(
                self.name(),
                format!(
                    "{} update counts, one per parameter, or none",
                    parameters.len()
                ),
                state.updates.len(),
            )));
        }
        Ok(())
    }

    /// The memory of exactly this parameter.
    fn known(&self, parameter: &ParameterInfo) -> Option<&Memory> {
        let memory = &self.memories[*self.places.get(&parameter.path)?];
        let same = memory.info.id == parameter.id && memory.info.shape == parameter.shape;
        same.then_some(memory)
    }

    /// The number of updates (not of calls that only accumulate) so far.
    pub(crate) fn update_count(&self) -> u64 {
        self.iterations / self.options.gradient_accumulation_steps.unwrap_or(1)
    }
}
