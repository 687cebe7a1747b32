//! A layer whose kernel is kept at spectral norm 1.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::json;

use super::support::{object, single};
use crate::contract::layer::LayerKind;
use crate::contract::weight::WeightSpec;
use crate::initializers::TruncatedNormal;
use crate::settings::{Map, Settings};
use crate::{Call, Class, Configured, Initializer, Layer, LayerSpec, Weights};

/// `y = layer(x)`, where each training step first divides the layer's kernel (or embeddings) W by its
/// largest singular value σ, as power iterations find it from what the step before found:
///
/// `v = u Wᵀ / ‖u Wᵀ‖`, `u = v W / ‖v W‖`, `σ = v W uᵀ`, with W of shape `(…, features)` as a matrix.
///
/// The kernel itself becomes W / σ: the gradient is with respect to that, and the optimizer goes on from it.
///
/// ```
/// use regraft_layers::layers::{Conv2D, Flatten, SpectralNormalization};
/// use regraft_layers::{Dense, Input, LayerExt, Sequential, layers};
///
/// let model = Sequential::new(layers![
///     Input::new([16, 16, 3]),
///     SpectralNormalization::new(Conv2D::new(8, 3).named("conv")).named("sn"),
///     Flatten::new(),
///     Dense::new(1),
/// ])?;
/// assert!(model.weight("sn/conv/kernel").is_some());
/// assert_eq!(model.weight("sn/vector_u").map(|u| u.value().shape()), Some(&[1, 8][..]));
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// | | |
/// |---|---|
/// | input, output | those of the layer, floats |
/// | weights | `vector_u` `(1, features)`, a state, and those of the layer under its name: `spectral_normalization/dense/kernel` |
/// | defaults | 1 power iteration; `vector_u` starts truncated normal with deviation 0.02 |
/// | inference | the layer with its kernel as it is |
/// | mask | as the layer treats it |
/// | frozen | nothing moves, neither `vector_u` nor the kernel. With frozen parameters `vector_u` moves and a step computes with W / σ, but W stays; with frozen statistics W is trained as it is |
///
/// In Keras the kernel moves in training even where the layer is not trainable.
///
/// Miyato et al. 2018: <https://arxiv.org/abs/1802.05957>. Keras:
/// <https://keras.io/api/layers/normalization_layers/spectral_normalization/>.
#[derive(Clone, Debug)]
pub struct SpectralNormalization {
    layer: LayerSpec,
    power_iterations: usize,
}

impl SpectralNormalization {
    /// `layer`, which must have a `kernel` or `embeddings`.
    pub fn new(layer: impl Into<LayerSpec>) -> Self {
        SpectralNormalization {
            layer: layer.into(),
            power_iterations: 1,
        }
    }

    /// How many power iterations a training step makes (1 unless told otherwise).
    #[must_use]
    pub fn power_iterations(mut self, power_iterations: usize) -> Self {
        self.power_iterations = power_iterations;
        self
    }

    pub(super) fn from_layer(layer: LayerSpec, settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(SpectralNormalization {
            layer,
            power_iterations: settings.get::<usize>("power_iterations")?.unwrap_or(1),
        })
    }

    fn leaf(&self) -> Option<&dyn Layer> {
        match &self.layer.kind {
            LayerKind::Leaf(layer) => Some(&**layer),
            LayerKind::Nested(_) => None,
        }
    }

    /// The weight that is normalized, for inputs of these shapes.
    fn kernel(&self, inputs: &[Shape], as_keras2: bool) -> Result<WeightSpec, Detail> {
        let mut declared = Weights {
            as_keras2,
            ..Weights::default()
        };
        if let Some(layer) = self.leaf() {
            layer.build(inputs, &mut declared)?;
        }
        let mut specs = declared.specs.into_iter();
        let kernel = specs.find(|spec| KERNELS.contains(&spec.name.as_str()));
        kernel.ok_or_else(|| {
            let received = self.leaf().map_or("a model", |layer| layer.class_name());
            let detail = Detail::new("layer", "a layer with a kernel or embeddings", received);
            detail
                .help("wrap the layers that have one, such as `Dense` or `Conv2D`, each by itself")
        })
    }
}

/// What Keras normalizes of a layer.
const KERNELS: [&str; 2] = ["kernel", "embeddings"];

/// x divided by its norm, as Keras' `normalize` has it.
fn normalized(x: Var<'_>) -> Var<'_> {
    x * x.square().sum_all().rsqrt().minimum(1e7)
}

impl Configured for SpectralNormalization {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.SpectralNormalization")
    }

    fn config(&self) -> Map {
        object(json!({ "power_iterations": self.power_iterations }))
    }
}

impl Layer for SpectralNormalization {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        single(inputs)?;
        if self.power_iterations == 0 {
            let detail = Detail::new("power_iterations", "at least 1", 0);
            return Err(detail.help("1 is what Keras does unless told otherwise"));
        }
        let kernel = self.kernel(inputs, weights.as_keras2)?;
        let features = kernel.shape.last().copied().unwrap_or(1);
        let initializer = Initializer::from(TruncatedNormal {
            stddev: 0.02,
            ..TruncatedNormal::default()
        });
        weights.state("vector_u", [1, features], &initializer);
        Ok(())
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        vec![("layer", self.layer.clone())]
    }

    fn wrapped_weights(&self) -> Vec<(usize, &'static str)> {
        KERNELS.map(|name| (0, name)).into()
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let types = call.input_types();
        if types.first().is_some_and(|of_input| !of_input.is_float()) {
            let detail = Detail::new("", "an input of floats", "integers");
            let help =
                "Keras 3 rounds what the layer makes of them to integers; give the ids as floats";
            let error = regraft_autograd::Error::Shape(detail.help(help));
            call.graph().fail(error);
            return x;
        }
        let of_layer = |&name: &&'static str| Some((name, call.wrapped_weight(0, name)?));
        if call.training()
            && let Some((name, kernel)) = KERNELS.iter().find_map(of_layer)
        {
            let before = call.weight("vector_u");
            let features = before.shape().len(1);
            let w = kernel.reshape([kernel.shape().len(1) / features, features]);
            let (mut v, mut u) = (before, before);
            for _ in 0..self.power_iterations {
                v = normalized(u.matmul(w.transpose()));
                u = normalized(v.matmul(w));
            }
            let sigma = v.matmul(w).matmul(u.transpose()).reshape(Shape::scalar());
            // What is 0 stays as it is.
            let any = kernel.not_equal(0.0).sum_all();
            call.update("vector_u", any.select(u, before));
            call.assign_wrapped(0, name, any.select(kernel / sigma, kernel));
        }
        call.wrapped(0, &[x], &[call.mask(0)]).unwrap_or(x)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        self.leaf()?.mask(call, inputs)
    }
}
