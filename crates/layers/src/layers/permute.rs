//! Samples with their axes in another order.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::of_rank;
use crate::settings::require;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// Puts the axes of each sample in another order: axis `i` of the output is axis `dims[i − 1]` of the
    /// input, counted from 1 because axis 0, the batch, stays.
    ///
    /// It has no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/reshaping_layers/permute/>.
    #[derive(Clone, Debug)]
    pub struct Permute as "keras.layers.Permute" {
        /// A layer that puts axes in the order `dims`, which has each of 1, 2, … once.
        new(dims: Vec<usize> = [])
        dims: Vec<usize> = dims,
    }
}

impl Layer for Permute {
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
}
