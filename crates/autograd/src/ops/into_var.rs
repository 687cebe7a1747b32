//! What a formula accepts where a value is expected: a value, or a plain number.

use crate::{Graph, Var};

/// A [`Var`], or a number that becomes a constant of the graph.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a value of a graph nor an `f32`",
    note = "pass a `Var` of the same graph, or a number such as `0.5`"
)]
pub trait IntoVar<'g> {
    /// This as a value of `graph`.
    fn into_var(self, graph: &'g Graph) -> Var<'g>;
}

impl<'g> IntoVar<'g> for Var<'g> {
    fn into_var(self, _graph: &'g Graph) -> Var<'g> {
        self
    }
}

impl<'g> IntoVar<'g> for f32 {
    fn into_var(self, graph: &'g Graph) -> Var<'g> {
        graph.number(self)
    }
}
