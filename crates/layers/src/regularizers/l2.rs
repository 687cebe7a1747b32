//! The sum of squares.

use regraft_autograd::Var;

use crate::RegularizerFunction;
use crate::settings::require_rate;

settings! {
    /// `l2 · Σ w²`.
    ///
    /// Keras: <https://keras.io/api/layers/regularizers/#l2-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct L2 as "keras.regularizers.L2" {
        /// The factor; Keras' default is 0.01.
        pub l2: f32 = 0.01 => require_rate,
    }
}

impl RegularizerFunction for L2 {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        weight.square().sum_all() * self.l2
    }
}
