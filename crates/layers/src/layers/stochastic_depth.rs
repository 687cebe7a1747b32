//! Leaving out whole samples of a branch at random while training.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::dropout::{drop, require_probability};
use super::support::{object, single};
use crate::settings::{FromSettings, Settings, number};
use crate::{Call, Flow, Layer, Weights};

/// While it trains, all of a sample is zero with probability `drop_path_rate`, and the other samples
/// are multiplied by `1 / (1 − drop_path_rate)`; otherwise `y = x`. At the end of a residual branch it
/// leaves the branch out.
///
/// The output has the input's shape. There are no weights. Frozen, it drops nothing.
///
/// Huang et al. 2016. Keras: <https://keras.io/api/applications/convnext/>.
#[derive(Clone, Copy, Debug)]
pub struct StochasticDepth {
    drop_path_rate: f32,
}

impl StochasticDepth {
    /// A layer that drops each sample with probability `drop_path_rate`.
    pub fn new(drop_path_rate: f32) -> Self {
        StochasticDepth { drop_path_rate }
    }
}

impl Layer for StochasticDepth {
    fn class_name(&self) -> &str {
        "StochasticDepth"
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn module(&self) -> &str {
        "keras.src.applications.convnext"
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_probability(self.drop_path_rate)?;
        single(inputs).map(|_| ())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let mut mask = vec![Dim::Fixed(1); x.shape().rank()];
        if let Some(samples) = mask.first_mut() {
            *samples = x.shape().dims()[0];
        }
        drop(call, x, mask.into(), self.drop_path_rate, None)
    }

    /// Kept where the input is left as it is.
    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0).filter(|_| !call.training())
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({ "drop_path_rate": number(self.drop_path_rate) }))
    }
}

impl FromSettings for StochasticDepth {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(StochasticDepth {
            drop_path_rate: settings.required_number("drop_path_rate")?,
        })
    }
}
