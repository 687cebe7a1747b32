//! The sum of magnitudes.

use regraft_autograd::Var;

use crate::RegularizerFunction;
use crate::settings::require_rate;

settings! {
    /// `l1 · Σ |w|`, with gradient 0 where w is 0.
    ///
    /// Keras: <https://keras.io/api/layers/regularizers/#l1-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct L1 as "keras.regularizers.L1" {
        /// The factor; Keras' default is 0.01.
        pub l1: f32 = 0.01 => require_rate,
    }
}

impl RegularizerFunction for L1 {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        weight.abs().sum_all() * self.l1
    }
}
