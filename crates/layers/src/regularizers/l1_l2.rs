//! Magnitudes and squares together.

use regraft_autograd::Var;

use super::{L1, L2};
use crate::RegularizerFunction;
use crate::settings::require_rate;

settings! {
    /// `l1 · Σ |w| + l2 · Σ w²`; a factor of 0 costs nothing.
    ///
    /// Keras: <https://keras.io/api/layers/regularizers/#l1l2-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct L1L2 as "keras.regularizers.L1L2" {
        /// The factor of the magnitudes; Keras' default is 0.
        pub l1: f32 = 0.0 => require_rate,
        /// The factor of the squares; Keras' default is 0.
        pub l2: f32 = 0.0 => require_rate,
    }
}

impl RegularizerFunction for L1L2 {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        let (l1, l2) = (L1 { l1: self.l1 }, L2 { l2: self.l2 });
        match (self.l1 != 0.0, self.l2 != 0.0) {
            (false, false) => weight.graph().number(0.0),
            (true, false) => l1.penalty(weight),
            (false, true) => l2.penalty(weight),
            (true, true) => l1.penalty(weight) + l2.penalty(weight),
        }
    }
}
