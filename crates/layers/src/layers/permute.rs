//! Samples with their axes in another order.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{object, of_rank};
use crate::settings::{FromSettings, Settings, require};
use crate::{Call, Flow, Layer, Weights};

/// Puts the axes of each sample in another order: axis `i` of the output is axis `dims[i − 1]` of the
/// input, counted from 1 because axis 0, the batch, stays.
///
/// It has no weights; being frozen changes nothing.
/// Keras: <https://keras.io/api/layers/reshaping_layers/permute/>.
#[derive(Clone, Debug)]
pub struct Permute {
    dims: Vec<usize>,
}

impl Permute {
    /// A layer that puts axes in the order `dims`, which has each of 1, 2, … once.
    pub fn new(dims: impl AsRef<[usize]>) -> Self {
        Permute {
            dims: dims.as_ref().to_vec(),
        }
    }
}

impl Layer for Permute {
    fn class_name(&self) -> &str {
        "Permute"
    }

    fn flow(&self) -> Flow {
        Flow::Permutes(self.dims.iter().map(|dim| dim.saturating_sub(1)).collect())
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        let each_once = sorted.iter().copied().eq(1..=self.dims.len());
        require(each_once, "dims", "each of 1, 2, … once", &self.dims)?;
        of_rank(inputs, self.dims.len() + 1).map(|_| ())
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let axes: Vec<usize> = std::iter::once(0)
            .chain(self.dims.iter().copied())
            .collect();
        inputs[0].permute(&axes)
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({ "dims": self.dims }))
    }
}

impl FromSettings for Permute {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let dims = settings.axes("dims")?.unwrap_or_default();
        let dims: Result<Vec<usize>, _> = dims.into_iter().map(usize::try_from).collect();
        let wrong = |_| Detail::new("dims", "axes counted from 1", "a negative one");
        Ok(Permute {
            dims: dims.map_err(wrong)?,
        })
    }
}
