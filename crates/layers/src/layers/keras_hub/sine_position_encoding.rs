//! Waves as places of a sequence.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::{Detail, Tensor};

use crate::layers::support::of_rank;
use crate::settings::require;
use crate::{Call, Layer, Weights};

settings! {
    /// `y[i, j] = sin(i · w)` for even features and `cos(i · w)` for odd ones, with `w = max_wavelength^(−2⌊j/2⌋ / features)`.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, steps, features)`, the same; the input's numbers do not count |
    /// | weights | none; being frozen changes nothing |
    ///
    /// Vaswani et al. 2017. KerasHub: <https://keras.io/keras_hub/api/modeling_layers/sine_position_encoding/>.
    #[derive(Clone, Copy, Debug)]
    pub struct SinePositionEncoding as "keras_hub.layers.SinePositionEncoding" {
        /// A layer with the longest wave of 10000.
        new()
        max_wavelength: f32 = 10000.0,
    }
}

impl Layer for SinePositionEncoding {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let input = of_rank(inputs, 3)?;
        let fixed = matches!(input.dims(), [_, Dim::Fixed(_), Dim::Fixed(_)]);
        require(fixed, "", "an input (batch, steps, features)", input)?;
        let wave = self.max_wavelength;
        require(wave > 0.0, "max_wavelength", "a positive number", wave)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let shape = inputs[0].shape();
        let [steps, features] = [1, 2].map(|axis| shape.dims()[axis].size(1));
        let value = |at: usize| {
            let (step, feature) = (at / features, at % features);
            let exponent = (2 * (feature / 2)) as f32 / features as f32;
            let angle = step as f32 * (1.0 / self.max_wavelength).powf(exponent);
            if feature % 2 == 0 {
                angle.sin()
            } else {
                angle.cos()
            }
        };
        let waves = Tensor::new(
            [1, steps, features],
            (0..steps * features).map(value).collect(),
        );
        match waves {
            Ok(waves) => call.graph().constant(waves).broadcast_to(shape),
            Err(_) => inputs[0],
        }
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
