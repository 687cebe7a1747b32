//! What can be used where an optimizer is expected.

use crate::{Builder, Optimizer, Result, UpdateRule};

/// What can be used where an optimizer is expected: an [`Optimizer`], a [`Builder`] such as
/// `Adam::new(1e-3)`, or a name such as `"adam"`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an optimizer",
    note = "pass an `Optimizer`, `Adam::new(1e-3)` or another builder, or a name such as \"adam\"",
    note = "a rule of your own goes through `Optimizer::builder(rule)`"
)]
pub trait IntoOptimizer {
    /// The optimizer.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`](crate::Error::Hyperparameter) for a setting out of range,
    /// [`Error::UnknownName`](crate::Error::UnknownName) for a name that does not exist.
    fn into_optimizer(self) -> Result<Optimizer>;
}

impl IntoOptimizer for Optimizer {
    fn into_optimizer(self) -> Result<Optimizer> {
        Ok(self)
    }
}

impl<R: UpdateRule> IntoOptimizer for Builder<R> {
    fn into_optimizer(self) -> Result<Optimizer> {
        self.build()
    }
}

impl IntoOptimizer for &str {
    fn into_optimizer(self) -> Result<Optimizer> {
        Optimizer::from_name(self)
    }
}

impl IntoOptimizer for String {
    fn into_optimizer(self) -> Result<Optimizer> {
        Optimizer::from_name(&self)
    }
}
