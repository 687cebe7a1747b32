//! What an optimizer knows of a parameter: its description, and per step its values and gradient.

/// The description of one parameter: what its slots are kept under and how fast it learns.
///
/// Slots belong to the pair of `path` and `id`. A parameter that is frozen is left out of the list
/// given to [`Optimizer::prepare`](crate::Optimizer::prepare); when it comes back, it finds its
/// slots again.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterInfo {
    /// The full name, layer and weight: `dense_3/kernel`.
    pub path: String,
    /// Tells apart two parameters that bear the same path one after the other, as when a head is
    /// replaced by another of the same name and shape. 0 unless the caller sets it.
    pub id: u64,
    /// The size of every axis.
    pub shape: Vec<usize>,
    /// A factor on the learning rate of this parameter (and with it on its weight decay). 1 unless
    /// the caller sets it.
    pub learning_rate_scale: f32,
    /// The weight decay of this parameter in the place of the optimizer's, whatever that excludes. `None`
    /// unless the caller sets it.
    pub weight_decay: Option<f32>,
}

impl ParameterInfo {
    /// A parameter called `path` of `shape`.
    pub fn new(path: impl Into<String>, shape: impl AsRef<[usize]>) -> Self {
        ParameterInfo {
            path: path.into(),
            id: 0,
            shape: shape.as_ref().to_vec(),
            learning_rate_scale: 1.0,
            weight_decay: None,
        }
    }

    /// The same parameter with this [`id`](Self::id).
    #[must_use]
    pub fn id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    /// The same parameter, its learning rate multiplied by `scale`.
    #[must_use]
    pub fn learning_rate_scale(mut self, scale: f32) -> Self {
        self.learning_rate_scale = scale;
        self
    }

    /// The same parameter with a [`weight_decay`](Self::weight_decay) of its own; 0 for none.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = Some(weight_decay);
        self
    }

    /// The last part of the path: `kernel` of `dense_3/kernel`.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One parameter in one step: its values, to be changed, and its gradient.
#[derive(Debug)]
pub struct ParameterUpdate<'a> {
    /// The parameter's elements in row-major order.
    pub value: &'a mut [f32],
    /// The gradient of the loss with respect to them, in the same order.
    pub gradient: &'a [f32],
}

/// Where a step finds its parameters: number `index` is the one that stood at `index` in the list
/// given to [`Optimizer::prepare`](crate::Optimizer::prepare).
///
/// A training loop implements this over its own buffers, so that nothing is collected per step.
/// Slices and vectors of [`ParameterUpdate`] implement it too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hand out parameters and gradients",
    note = "implement `ParameterSource`, or pass a `Vec` or slice of `ParameterUpdate`"
)]
pub trait ParameterSource {
    /// The number of parameters.
    fn count(&self) -> usize;

    /// Parameter number `index` with its gradient. Asked for `index < count()` only, possibly more
    /// than once per step.
    fn parameter(&mut self, index: usize) -> ParameterUpdate<'_>;
}

impl ParameterSource for [ParameterUpdate<'_>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn parameter(&mut self, index: usize) -> ParameterUpdate<'_> {
        let update = &mut self[index];
        ParameterUpdate {
            value: update.value,
            gradient: update.gradient,
        }
    }
}

impl ParameterSource for Vec<ParameterUpdate<'_>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn parameter(&mut self, index: usize) -> ParameterUpdate<'_> {
        self.as_mut_slice().parameter(index)
    }
}

impl<const N: usize> ParameterSource for [ParameterUpdate<'_>; N] {
    fn count(&self) -> usize {
        N
    }

    fn parameter(&mut self, index: usize) -> ParameterUpdate<'_> {
        self.as_mut_slice().parameter(index)
    }
}
