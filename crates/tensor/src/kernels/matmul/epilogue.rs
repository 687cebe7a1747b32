//! What is done to a tile of the product before it leaves the cache: bias and activation.

use super::tile::Rectifier;
use crate::kernels::isa::vectorised;
use crate::kernels::math;

/// An activation that a product can apply to its result. Each is the function of the same name in
/// [`math`], so that a fused product has the same bits as a product followed by the activation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum EpilogueActivation {
    /// The identity.
    #[default]
    None,
    /// [`math::relu`].
    Relu,
    /// [`math::relu6`].
    Relu6,
    /// [`math::leaky_relu`] with this slope.
    LeakyRelu(f32),
    /// [`math::sigmoid`].
    Sigmoid,
    /// [`math::tanh`].
    Tanh,
    /// [`math::silu`].
    Silu,
    /// [`math::gelu`].
    Gelu,
    /// [`math::gelu_tanh`].
    GeluTanh,
}

/// `y = activation(x + bias)`, where `bias` has one value per column.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Added to every row, after the product's chain has ended.
    pub bias: Option<&'a [f32]>,
    /// Applied last.
    pub activation: EpilogueActivation,
}

vectorised! {
    fn add[](y: &mut [f32], bias: &[f32]) {
        for (y, &bias) in y.iter_mut().zip(bias) {
            *y += bias;
        }
    }
}

vectorised! {
    fn each[F: Fn(f32) -> f32](y: &mut [f32], f: F) {
        for y in y {
            *y = f(*y);
        }
    }
}

impl<'a> Epilogue<'a> {
    /// What comes before a residual is added, and what comes after.
    pub(in crate::kernels) fn around_residual(&self) -> (Epilogue<'a>, Epilogue<'static>) {
        let (bias, activation) = (self.bias, self.activation);
        let early = Epilogue {
            bias,
            activation: EpilogueActivation::None,
        };
        (
            early,
            Epilogue {
                bias: None,
                activation,
            },
        )
    }
}

impl Epilogue<'_> {
    /// The activation, if it is one that the tile kernel applies itself.
    pub(in crate::kernels) fn rectifier(&self) -> Option<Rectifier> {
        match self.activation {
            EpilogueActivation::Relu => Some(Rectifier::Relu),
            EpilogueActivation::Relu6 => Some(Rectifier::Relu6),
            _ => None,
        }
    }

    /// Applies it to a piece of a row that begins at `column`.
    pub(in crate::kernels) fn apply_row(&self, y: &mut [f32], column: usize) {
        if let Some(bias) = self.bias {
            add(y, &bias[column..column + y.len()]);
        }
        match self.activation {
            EpilogueActivation::None => {}
            EpilogueActivation::Relu => each(y, math::relu),
            EpilogueActivation::Relu6 => each(y, math::relu6),
            EpilogueActivation::LeakyRelu(slope) => each(y, move |x| math::leaky_relu(x, slope)),
            EpilogueActivation::Sigmoid => each(y, math::sigmoid),
            EpilogueActivation::Tanh => each(y, math::tanh),
            EpilogueActivation::Silu => each(y, math::silu),
            EpilogueActivation::Gelu => each(y, math::gelu),
            EpilogueActivation::GeluTanh => each(y, math::gelu_tanh),
        }
    }
}
