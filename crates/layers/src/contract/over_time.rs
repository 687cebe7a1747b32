//! A sequence as a recurrent layer gives it to its cell, and what the cell makes of it.

use regraft_autograd::Var;

/// What a cell goes over.
#[derive(Clone, Debug)]
pub struct Sequence<'g> {
    /// `[batch, steps, …]`, in the order in which steps are taken.
    pub x: Var<'g>,
    /// The states before the first step, `[batch, …]` each; zeros if there are none.
    pub initial: Option<Vec<Var<'g>>>,
    /// `[batch, steps]`, 0 where a step is left out: it keeps the states, and gives the output before it.
    pub mask: Option<Var<'g>>,
    /// Whether the output of every step is asked for, or that of the last alone.
    pub all_outputs: bool,
    /// Whether the states after the last step are asked for.
    pub states: bool,
}

/// What a cell gives for a sequence.
#[derive(Clone, Debug)]
pub struct OverTime<'g> {
    /// The outputs, `[batch, steps, …]`, or the last one, `[batch, …]`.
    pub output: Var<'g>,
    /// The states after the last step, if they are asked for.
    pub states: Vec<Var<'g>>,
}
