//! One step of an optimizer: accumulation, clipping, weight decay, the rule and the moving average,
//! in one pass over each parameter.

use regraft_tensor::Detail;

use crate::clip::Clip;
use crate::elementwise;
use crate::parameter::{ParameterSource, ParameterUpdate};
use crate::piece::Piece;
use crate::rule::{Step, UpdateRule};
use crate::{Error, Optimizer, Plan, Result};

/// Elements that are handled at a time where more than the rule has to be done: few enough that
/// value, gradient and slots stay in the first-level cache in between.
const BLOCK: usize = 1024;
/// Parameters from this size on are shared among threads.
const PARALLEL: usize = 1 << 20;
/// Elements per task then.
const TASK: usize = 1 << 16;

/// Everything about this step of one parameter that is the same for all its elements.
#[derive(Clone, Copy)]
struct Pass<'a> {
    rule: &'a dyn UpdateRule,
    step: Step<'a>,
    weight_decay: Option<f32>,
    clip: Clip,
    /// The number of accumulated gradients that make an update.
    accumulated: f32,
    /// Whether the rule is applied in this step or the gradient only accumulated.
    updates: bool,
    average_momentum: f32,
    overwrite: bool,
}

impl Optimizer {
    /// Makes one step: moves the parameters of `plan` against their gradients.
    ///
    /// Per parameter, in Keras' order: the gradient is accumulated (if asked for), clipped, the
    /// weight decayed, the rule applied, the moving average updated. With accumulation all but
    /// every n-th call only accumulate. Nothing is allocated. A gradient that is not a number
    /// makes its parameter so too, as in Keras. An empty plan does nothing.
    ///
    /// # Errors
    /// Before anything is written: [`Error::Parameters`] if the plan is another optimizer's or
    /// outdated, or a length differs from the plan's; [`Error::Hyperparameter`] if the schedule
    /// yields a negative or infinite learning rate, or none.
    pub fn apply<S: ParameterSource + ?Sized>(
        &mut self,
        plan: &Plan,
        source: &mut S,
    ) -> Result<()> {
        self.check(plan, source, true)?;
        if plan.is_empty() {
            return Ok(());
        }
        let learning_rate = self.next_learning_rate()?;
        let options = &self.options;
        let accumulation = options.gradient_accumulation_steps;
        let updates = accumulation.is_none_or(|steps| (self.iterations + 1).is_multiple_of(steps));
        let iteration = self.iterations / accumulation.unwrap_or(1);
        let overwrite = options
            .ema_overwrite_frequency
            .is_some_and(|frequency| options.use_ema && (iteration + 1).is_multiple_of(frequency));
        let accumulated = accumulation.unwrap_or(1) as f32;
        let global_clip = match options.global_clipnorm {
            Some(norm) if updates => {
                Clip::of_all(norm as f32, plan, source, &self.memories, accumulated)
            }
            _ => Clip::None,
        };

        for (index, entry) in plan.entries.iter().enumerate() {
            let ParameterUpdate { value, gradient } = source.parameter(index);
            let memory = &mut self.memories[entry.memory];
            let clip = if updates {
                Clip::of_one(options, gradient, memory, accumulated, global_clip)
            } else {
                Clip::None
            };
            let pass = Pass {
                rule: &*self.rule,
                step: Step::new(
                    memory.updates + 1,
                    learning_rate * entry.learning_rate_scale,
                    &memory.info,
                ),
                weight_decay: entry.weight_decay,
                clip,
                accumulated,
                updates,
                average_momentum: if memory.updates == 0 {
                    0.0
                } else {
                    options.ema_momentum as f32
                },
                overwrite,
            };
            let piece = Piece::new(
                value,
                gradient,
                &mut memory.slots,
                &mut memory.average,
                &mut memory.accumulator,
            );
            if !entry.elementwise {
                run(&pass, piece, &mut self.scratch);
            } else if entry.length >= PARALLEL {
                run_tasks(&pass, piece);
            } else {
                run_blocks(&pass, piece);
            }
            memory.updates += u64::from(updates);
        }
        self.iterations += 1;
        Ok(())
    }

    /// Overwrites the parameters by their moving averages, as Keras' `finalize_variable_values`
    /// does after training. Does nothing without [`use_ema`](crate::Builder::use_ema), or for a
    /// parameter that has made no step yet. Gradients are not looked at and may be empty.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn finalize<S: ParameterSource + ?Sized>(
        &mut self,
        plan: &Plan,
        source: &mut S,
    ) -> Result<()> {
        self.check(plan, source, false)?;
        if self.iterations == 0 {
            return Ok(());
        }
        for (index, entry) in plan.entries.iter().enumerate() {
            let memory = &self.memories[entry.memory];
            if let Some(average) = memory.average.as_ref().filter(|_| memory.updates > 0) {
                source.parameter(index).value.copy_from_slice(average);
            }
        }
        Ok(())
    }

    /// Whether a step of `plan` can be made, for those who write something else before they
    /// [`apply`](Self::apply) it.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), but for lengths that differ.
    pub fn check_step(&self, plan: &Plan) -> Result<()> {
        self.check_plan(plan)?;
        if plan.is_empty() {
            return Ok(());
        }
        self.next_learning_rate().map(|_| ())
    }

    /// The learning rate of this step, which must be one.
    fn next_learning_rate(&self) -> Result<f32> {
        let rate = self.learning_rate();
        if rate.is_finite() && rate >= 0.0 {
            return Ok(rate);
        }
        Err(Error::Hyperparameter(Detail::new(
            format!("{}, learning rate of step {}", self.name(), self.iterations),
            "a finite number, zero or more",
            rate,
        )))
    }

    /// Whether `source` hands out what `plan` says, and `plan` is this optimizer's.
    fn check<S: ParameterSource + ?Sized>(
        &self,
        plan: &Plan,
        source: &mut S,
        with_gradients: bool,
    ) -> Result<()> {
        self.check_plan(plan)?;
        if source.count() != plan.len() {
            return Err(Error::Parameters(Detail::new(
                self.name(),
                format!("{} parameters, as the plan has", plan.len()),
                source.count(),
            )));
        }
        for (index, entry) in plan.entries.iter().enumerate() {
            let ParameterUpdate { value, gradient } = source.parameter(index);
            let wrong_gradient = with_gradients && gradient.len() != entry.length;
            if value.len() != entry.length || wrong_gradient {
                let info = &self.memories[entry.memory].info;
                return Err(Error::Parameters(Detail::new(
                    info.path.clone(),
                    format!("{} elements (shape {:?})", entry.length, info.shape),
                    format!("{} values, {} gradients", value.len(), gradient.len()),
                )));
            }
        }
        Ok(())
    }
}

/// One parameter on several threads. Which elements share a task depends on the length alone, and
/// no element's result on another's, so that any number of threads gives the same bits.
fn run_tasks(pass: &Pass<'_>, piece: Piece<'_>) {
    if piece.len() <= TASK {
        return run_blocks(pass, piece);
    }
    let middle = (piece.len() / 2).next_multiple_of(TASK);
    let (left, right) = piece.split_at(middle);
    rayon::join(|| run_tasks(pass, left), || run_tasks(pass, right));
}

/// One parameter (or a task of it) of an elementwise rule, in cache-sized blocks if there is more
/// to do than the rule.
fn run_blocks(pass: &Pass<'_>, mut piece: Piece<'_>) {
    let plain = matches!(pass.clip, Clip::None)
        && pass.weight_decay.is_none()
        && piece.average.is_none()
        && piece.accumulator.is_none();
    if plain {
        let slots = &mut piece.slots[..piece.slot_count];
        return pass
            .rule
            .update(&pass.step, piece.value, piece.gradient, slots);
    }
    let mut clipped = [0.0; BLOCK];
    while piece.len() > BLOCK {
        let (block, rest) = piece.split_at(BLOCK);
        run_into(pass, block, &mut clipped);
        piece = rest;
    }
    let length = piece.len();
    run_into(pass, piece, &mut clipped[..length]);
}

/// A whole parameter; `scratch` grows as needed.
fn run(pass: &Pass<'_>, piece: Piece<'_>, scratch: &mut Vec<f32>) {
    let clipped = if matches!(pass.clip, Clip::None) {
        &mut [][..]
    } else {
        if scratch.len() < piece.len() {
            scratch.resize(piece.len(), 0.0);
        }
        &mut scratch[..piece.len()]
    };
    run_into(pass, piece, clipped);
}

/// Everything for one piece; a clipped gradient goes into `clipped`.
fn run_into(pass: &Pass<'_>, mut piece: Piece<'_>, clipped: &mut [f32]) {
    let slots = &mut piece.slots[..piece.slot_count];
    let value = &mut *piece.value;
    let steps = pass.accumulated;
    match (&mut piece.accumulator, pass.updates) {
        (Some(sum), false) => elementwise::no_slots(sum, piece.gradient, |sum, g| sum + g),
        (Some(sum), true) => {
            elementwise::no_slots(sum, piece.gradient, |sum, g| (g + sum) / steps);
            update(pass, value, sum, slots, clipped);
            sum.fill(0.0);
        }
        (None, _) => update(pass, value, piece.gradient, slots, clipped),
    }
    if let Some(average) = &mut piece.average {
        let momentum = pass.average_momentum;
        elementwise::no_slots(average, value, |average, w| {
            momentum * average + (1.0 - momentum) * w
        });
        if pass.overwrite {
            value.copy_from_slice(average);
        }
    }
}

/// Clipping, weight decay and the rule.
fn update(
    pass: &Pass<'_>,
    value: &mut [f32],
    gradient: &[f32],
    slots: &mut [&mut [f32]],
    clipped: &mut [f32],
) {
    let gradient = pass.clip.apply(gradient, clipped);
    if let Some(weight_decay) = pass.weight_decay {
        let rate = pass.step.learning_rate;
        elementwise::no_slots(value, gradient, |w, _| w - w * weight_decay * rate);
    }
    pass.rule.update(&pass.step, value, gradient, slots);
}
