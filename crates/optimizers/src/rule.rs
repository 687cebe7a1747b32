//! The update rule: how one parameter moves, given its gradient and what the rule remembers.

use regraft_settings::Configured;

use crate::ParameterInfo;

/// The most slots a rule may keep per parameter.
pub const MAX_SLOTS: usize = 8;

/// How one parameter moves in one step: the formula of an optimizer and its hyperparameters.
///
/// The rest (learning rate, weight decay, clipping, moving averages, accumulation, where the slots
/// live) is [`Optimizer`](crate::Optimizer)'s and works for every rule, also for one from another
/// crate. Its class and its hyperparameters are those of [`Configured`], declared by
/// [`settings!`](regraft_settings::settings!). See `examples/own_rule.rs` for a whole one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an update rule",
    note = "implement `UpdateRule` (one method) and `Configured`, or start from a built-in one such as `Adam::new(1e-3)`"
)]
pub trait UpdateRule: Configured {
    /// What the rule remembers per parameter, in the order in which `update` receives it. At most
    /// [`MAX_SLOTS`].
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        let _ = parameter;
        Vec::new()
    }

    /// Moves `value` by one step against `gradient`. `slots` are those that [`slots`](Self::slots)
    /// lists.
    ///
    /// An [`elementwise`](Self::elementwise) rule may be given a piece of the parameter at a time;
    /// any other always gets all of it. A gradient that is not a number is passed on as it is, as
    /// Keras does.
    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    );

    /// Whether each element's move depends on nothing but that element's value, gradient and
    /// slots, and every slot has the parameter's shape. Such a rule is run in pieces that fit the
    /// cache, and on several threads for large parameters.
    fn elementwise(&self, parameter: &ParameterInfo) -> bool {
        let _ = parameter;
        false
    }

    /// The weight decay of `parameter`, given the optimizer's.
    fn weight_decay(&self, parameter: &ParameterInfo, weight_decay: Option<f64>) -> Option<f64> {
        let _ = parameter;
        weight_decay
    }

    /// A number that Keras stores once per optimizer, after all slots, when `count` updates are
    /// done.
    fn shared_variable(&self, count: u64) -> Option<f32> {
        let _ = count;
        None
    }
}

/// One thing that a rule remembers about a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Its name, as Keras names it: `momentum`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it holds before the first step.
    pub initial: f32,
    /// Keras stores slots of the same group side by side per parameter (`m0, v0, m1, v1`), and one
    /// group after the other.
    pub group: usize,
}

impl Slot {
    /// A slot of the parameter's shape that starts at zero.
    pub fn like(parameter: &ParameterInfo, name: &str) -> Self {
        Slot {
            name: name.to_string(),
            shape: parameter.shape.clone(),
            initial: 0.0,
            group: 0,
        }
    }

    /// The same slot in another shape. The rule is then not
    /// [`elementwise`](UpdateRule::elementwise).
    #[must_use]
    pub fn shape(mut self, shape: impl AsRef<[usize]>) -> Self {
        self.shape = shape.as_ref().to_vec();
        self
    }

    /// The same slot, starting at `value`.
    #[must_use]
    pub fn initial(mut self, value: f32) -> Self {
        self.initial = value;
        self
    }

    /// The same slot in this [`group`](Self::group).
    #[must_use]
    pub fn group(mut self, group: usize) -> Self {
        self.group = group;
        self
    }
}

/// What a rule is told about the step it makes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// The number of this update of this parameter, from 1. It is the parameter's own count, so
    /// that a parameter unfrozen late gets the bias correction of a first step. For a parameter
    /// that was there from the start it equals Keras' `iterations + 1`.
    pub count: u64,
    /// The learning rate: scheduled, and scaled for this parameter.
    pub learning_rate: f32,
    /// The parameter.
    pub parameter: &'a ParameterInfo,
}

impl<'a> Step<'a> {
    /// Update number `count` (from 1) of `parameter` at `learning_rate`.
    pub fn new(count: u64, learning_rate: f32, parameter: &'a ParameterInfo) -> Self {
        Step {
            count,
            learning_rate,
            parameter,
        }
    }
}
