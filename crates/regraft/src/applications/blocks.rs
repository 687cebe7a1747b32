//! The few steps that all architectures are written in.

use regraft_layers::initializers::{Distribution, FanMode, VarianceScaling};
use regraft_layers::layers::{BatchNormalization, Dense};
use regraft_layers::{Functional, LayerOutput, LayerSpec, Result};

use super::Options;

/// Writes named layers into a [`Functional`].
#[derive(Debug)]
pub struct Blocks<'f> {
    functional: &'f mut Functional,
}

/// The name of a layer; `None` is Keras' automatic one, the class with a number.
#[derive(Clone, Debug)]
pub struct LayerName(Option<String>);

impl From<&str> for LayerName {
    fn from(name: &str) -> Self {
        LayerName(Some(name.to_string()))
    }
}

impl From<String> for LayerName {
    fn from(name: String) -> Self {
        LayerName(Some(name))
    }
}

impl From<Option<&str>> for LayerName {
    fn from(name: Option<&str>) -> Self {
        LayerName(name.map(str::to_string))
    }
}

impl<'f> Blocks<'f> {
    /// A writer of layers into `functional`.
    pub fn new(functional: &'f mut Functional) -> Self {
        Blocks { functional }
    }

    /// Applies a layer to one value.
    ///
    /// # Errors
    /// As [`Functional::apply`].
    pub fn apply(
        &mut self,
        name: impl Into<LayerName>,
        layer: impl Into<LayerSpec>,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        self.merge(name, layer, &[x])
    }

    /// Applies a layer to several values.
    ///
    /// # Errors
    /// As [`Functional::apply`].
    pub fn merge(
        &mut self,
        name: impl Into<LayerName>,
        layer: impl Into<LayerSpec>,
        inputs: &[LayerOutput],
    ) -> Result<LayerOutput> {
        let layer: LayerSpec = layer.into();
        match name.into().0 {
            Some(name) => self.functional.apply(layer.named(name), inputs),
            None => self.functional.apply(layer, inputs),
        }
    }

    /// Applies a nested `Sequential` of these layers to one value.
    ///
    /// # Errors
    /// As [`Functional::apply_stack`].
    pub fn stack(
        &mut self,
        name: &str,
        layers: Vec<LayerSpec>,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        self.functional.apply_stack(name, layers, x)
    }

    /// The sizes of a value without the batch: of an image `[rows, columns, channels]`.
    pub fn sizes(&self, x: LayerOutput) -> Vec<usize> {
        let shape = self.functional.shape(x);
        shape.and_then(|shape| shape.sample()).unwrap_or_default()
    }

    /// The number of channels of a value.
    pub fn channels(&self, x: LayerOutput) -> usize {
        self.sizes(x).last().copied().unwrap_or_default()
    }

    /// The border with which a window of `kernel` and stride 2 without padding sees what it would see
    /// with `"same"`: an odd cell comes behind.
    pub(super) fn border(&self, x: LayerOutput, kernel: usize) -> [[usize; 2]; 2] {
        let sizes = self.sizes(x);
        let after = kernel / 2;
        let of_axis = |axis: usize| {
            let even = sizes.get(axis).is_some_and(|size| size.is_multiple_of(2));
            [after - usize::from(even), after]
        };
        [of_axis(0), of_axis(1)]
    }

    /// The last layer, `predictions`.
    ///
    /// # Errors
    /// As [`Functional::apply`].
    pub fn predictions(&mut self, features: LayerOutput, options: &Options) -> Result<LayerOutput> {
        let classifier = Dense::new(options.classes);
        let classifier = classifier.activation(options.classifier_activation.clone());
        self.apply("predictions", classifier, features)
    }
}

/// `value` as a multiple of `divisor`, the nearest, but no more than a tenth less.
pub(super) fn make_divisible(value: f64, divisor: usize) -> usize {
    let nearest = nearest_multiple(value, divisor);
    match (nearest as f64) < 0.9 * value {
        true => nearest + divisor,
        false => nearest,
    }
}

/// `value` as a multiple of `divisor`, the nearest, at least once.
pub(super) fn nearest_multiple(value: f64, divisor: usize) -> usize {
    let halves = (value + divisor as f64 / 2.0) as usize;
    (halves / divisor * divisor).max(divisor)
}

/// A batch normalization with this momentum, otherwise with the defaults.
pub(super) fn batch_normalization(momentum: f32) -> BatchNormalization {
    BatchNormalization::new().momentum(momentum)
}

/// The first values of EfficientNet's convolutions.
pub(super) fn convolution_initializer() -> VarianceScaling {
    VarianceScaling::new(2.0, FanMode::FanOut, Distribution::TruncatedNormal)
}

/// The first values of EfficientNet's classifier.
pub(super) fn classifier_initializer() -> VarianceScaling {
    VarianceScaling::new(1.0 / 3.0, FanMode::FanOut, Distribution::Uniform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_rounded_as_the_papers_networks_are() {
        assert_eq!(make_divisible(32.0 * 0.75, 8), 24);
        assert_eq!(make_divisible(4.0, 8), 8);
        // 16 would be less than nine tenths of 19.2.
        assert_eq!(make_divisible(16.0 * 1.2, 8), 24);
        assert_eq!(nearest_multiple(16.0 * 1.2, 8), 16);
    }
}
