//! A residual branch, scaled and added.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use crate::settings::require_finite;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// `y = a + b · scale` of two inputs: the layer of InceptionResNetV2.
    ///
    /// Input shapes are the same, or go together as NumPy's broadcasting has it. There are no weights;
    /// being frozen changes nothing.
    ///
    /// Szegedy et al. 2016. Keras: <https://keras.io/api/applications/inceptionresnetv2/>.
    #[derive(Clone, Copy, Debug)]
    pub struct CustomScaleLayer as "keras.src.applications.inception_resnet_v2.CustomScaleLayer" {
        /// A layer that multiplies its second input by `scale`.
        new(scale: f32)
        scale: f32 = scale,
    }
}

impl Layer for CustomScaleLayer {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_finite("scale", self.scale)?;
        super::merging::check(inputs, Some(2))
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0] + inputs[1] * self.scale
    }
}
