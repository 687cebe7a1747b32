//! The few steps that all architectures are written in.

use regraft_layers::{Functional, Layer, LayerExt, LayerOutput, Result};

/// Writes named layers into a [`Functional`].
#[derive(Debug)]
pub struct Blocks<'f> {
    functional: &'f mut Functional,
}

impl<'f> Blocks<'f> {
    /// A writer of layers into `functional`.
    pub fn new(functional: &'f mut Functional) -> Self {
        Blocks { functional }
    }

    /// Applies a layer to one value. Without a name (`None`) it gets Keras' automatic one.
    ///
    /// # Errors
    /// As [`Functional::apply`].
    pub fn apply<'n>(
        &mut self,
        name: impl Into<Option<&'n str>>,
        layer: impl Layer,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        self.merge(name, layer, &[x])
    }

    /// Applies a layer to several values.
    ///
    /// # Errors
    /// As [`Functional::apply`].
    pub fn merge<'n>(
        &mut self,
        name: impl Into<Option<&'n str>>,
        layer: impl Layer,
        inputs: &[LayerOutput],
    ) -> Result<LayerOutput> {
        match name.into() {
            Some(name) => self.functional.apply(layer.named(name), inputs),
            None => self.functional.apply(layer, inputs),
        }
    }
}
