//! The gradients of each batch, of a model in which nothing moves.

use regraft_autograd::VariableId;
use regraft_data::Dataset;
use regraft_layers::Freezing;

use crate::callbacks::LambdaCallback;
use crate::optimizers::SGD;
use crate::training::compiled::not_compiled;
use crate::{Fit, Model, Result, Verbosity};

/// Gives `each` the gradient of the loss on each batch with respect to each parameter, frozen or not, with all layers
/// behaving as in inference. Returns the number of batches. The model is one that nobody needs afterwards: everything
/// of it is unfrozen.
pub(super) fn batch_gradients(
    model: &mut Model,
    data: &dyn Dataset,
    batch_size: usize,
    mut each: impl FnMut(VariableId, &[f32]),
) -> Result<usize> {
    model.training.as_ref().ok_or_else(not_compiled)?;
    model.set_freezing(.., Freezing::FrozenStatistics)?;
    model.set_optimizer(SGD::new(0.0))?;
    let mut batches = 0;
    let callback = LambdaCallback::new().on_batch_end(|_, _, context| {
        for (path, gradient) in context.gradients() {
            if let Some(weight) = context.model.weight(path) {
                each(weight.id(), gradient);
            }
        }
        batches += 1;
        Ok(())
    });
    let options = Fit::new()
        .batch_size(batch_size)
        .shuffle(false)
        .verbosity(Verbosity::Silent)
        .callback(callback);
    model.fit_dataset(data, options)?;
    Ok(batches)
}
