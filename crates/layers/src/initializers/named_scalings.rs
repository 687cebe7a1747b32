//! The initializers named after their inventors: [`VarianceScaling`] with fixed settings.

use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use super::variance_scaling::{Distribution, FanMode, VarianceScaling};
use crate::settings::{Map, Settings};
use crate::{Class, Configured, Initializer, InitializerFunction};

/// Defines one: its name, its scale, the connections that count, the distribution.
macro_rules! scaling {
    ($(#[$documentation:meta])* $name:ident, $scale:literal, $mode:ident, $distribution:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl $name {
            fn scaling() -> VarianceScaling {
                VarianceScaling::new($scale, FanMode::$mode, Distribution::$distribution)
            }

            /// With axes of its own it is the scaling that it stands for.
            pub(super) fn make(settings: &Settings<'_>) -> Result<Initializer, Detail> {
                settings.ignore(&["seed", "dtype"]);
                let mut scaling = Self::scaling();
                scaling.input_axes = settings.get("input_axes")?;
                scaling.output_axes = settings.get("output_axes")?;
                Ok(match scaling == Self::scaling() {
                    true => $name.into(),
                    false => scaling.into(),
                })
            }
        }

        impl Configured for $name {
            fn class(&self) -> Class<'_> {
                Class::new(concat!("keras.initializers.", stringify!($name)))
            }

            fn config(&self) -> Map {
                let null = |key: &str| (key.to_string(), Value::Null);
                Map::from_iter([null("seed"), null("input_axes"), null("output_axes")])
            }
        }

        impl InitializerFunction for $name {
            fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
                Self::scaling().initialize(shape, key)
            }
        }
    };
}

scaling!(
    /// Uniform in ±√(6 / (inputs + outputs)): the default for kernels.
    ///
    /// Glorot and Bengio 2010 (<https://proceedings.mlr.press/v9/glorot10a.html>); Keras:
    /// <https://keras.io/api/layers/initializers/#glorotuniform-class>.
    GlorotUniform, 1.0, FanAvg, Uniform
);
scaling!(
    /// Truncated normal of standard deviation √(2 / (inputs + outputs)).
    ///
    /// Glorot and Bengio 2010 (<https://proceedings.mlr.press/v9/glorot10a.html>); Keras:
    /// <https://keras.io/api/layers/initializers/#glorotnormal-class>.
    GlorotNormal, 1.0, FanAvg, TruncatedNormal
);
scaling!(
    /// Uniform in ±√(6 / inputs), for layers that `relu` follows.
    ///
    /// He, Zhang, Ren and Sun 2015 (<https://arxiv.org/abs/1502.01852>); Keras:
    /// <https://keras.io/api/layers/initializers/#heuniform-class>.
    HeUniform, 2.0, FanIn, Uniform
);
scaling!(
    /// Truncated normal of standard deviation √(2 / inputs), for layers that `relu` follows.
    ///
    /// He, Zhang, Ren and Sun 2015 (<https://arxiv.org/abs/1502.01852>); Keras:
    /// <https://keras.io/api/layers/initializers/#henormal-class>.
    HeNormal, 2.0, FanIn, TruncatedNormal
);
scaling!(
    /// Uniform in ±√(3 / inputs).
    ///
    /// Klambauer and others 2017 (<https://arxiv.org/abs/1706.02515>); Keras:
    /// <https://keras.io/api/layers/initializers/#lecununiform-class>.
    LecunUniform, 1.0, FanIn, Uniform
);
scaling!(
    /// Truncated normal of standard deviation √(1 / inputs), for layers that `selu` follows.
    ///
    /// Klambauer and others 2017 (<https://arxiv.org/abs/1706.02515>); Keras:
    /// <https://keras.io/api/layers/initializers/#lecunnormal-class>.
    LecunNormal, 1.0, FanIn, TruncatedNormal
);
