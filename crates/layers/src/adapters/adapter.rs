//! Any kind of adapter.

use crate::Selector;
use crate::adapters::{Bias, Ia3, Lora, Vera};

/// What [`Model::adapt`](crate::Model::adapt) takes: a [`Lora`], a [`Vera`] or an [`Ia3`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Adapter {
    /// Low-rank factors.
    Lora(Lora),
    /// Vectors beside shared random matrices.
    Vera(Vera),
    /// Learnt scales.
    Ia3(Ia3),
}

impl Adapter {
    /// The picked layers of which it has copies.
    pub(crate) fn modules_to_save(&self) -> Option<&Selector> {
        match self {
            Adapter::Lora(lora) => lora.modules_to_save.as_ref(),
            Adapter::Vera(vera) => vera.modules_to_save.as_ref(),
            Adapter::Ia3(ia3) => ia3.modules_to_save.as_ref(),
        }
    }

    /// Which biases it has copies of.
    pub fn biases(&self) -> Bias {
        match self {
            Adapter::Lora(lora) => lora.bias,
            Adapter::Vera(vera) => vera.bias,
            Adapter::Ia3(_) => Bias::None,
        }
    }

    pub(crate) fn seed(&self) -> Option<u64> {
        match self {
            Adapter::Lora(lora) => lora.seed,
            Adapter::Vera(vera) => vera.seed,
            Adapter::Ia3(_) => None,
        }
    }
}

impl From<Lora> for Adapter {
    fn from(lora: Lora) -> Self {
        Adapter::Lora(lora)
    }
}

impl From<Vera> for Adapter {
    fn from(vera: Vera) -> Self {
        Adapter::Vera(vera)
    }
}

impl From<Ia3> for Adapter {
    fn from(ia3: Ia3) -> Self {
        Adapter::Ia3(ia3)
    }
}
