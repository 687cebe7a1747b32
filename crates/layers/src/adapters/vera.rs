//! Vectors beside random matrices that all layers share.

use crate::Selector;
use crate::adapters::Bias;
use crate::adapters::setters::setters;

/// `y = f(x, W) + λ_b · (λ_d · f(x, A)) · B` for dense layers: A and B are random numbers, the same for all
/// layers (each takes as much of them as it is large), and never trained.
///
/// λ_b starts at zero, so that the model is unchanged at first, and λ_d at
/// [`d_initial`](Self::d_initial). Names and defaults are PEFT's, but for the rank, which it has as 256.
/// Kopiczko et al. 2023: <https://arxiv.org/abs/2310.11454>.
#[derive(Clone, Debug)]
#[must_use = "pass it to `Model::adapt`"]
pub struct Vera {
    pub(crate) rank: usize,
    pub(crate) d_initial: f32,
    pub(crate) dropout: f32,
    pub(crate) bias: Bias,
    pub(crate) modules_to_save: Option<Selector>,
    pub(crate) seed: Option<u64>,
}

impl Vera {
    /// Matrices of this rank.
    pub fn rank(rank: usize) -> Self {
        Vera {
            rank,
            d_initial: 0.1,
            dropout: 0.0,
            bias: Bias::None,
            modules_to_save: None,
            seed: None,
        }
    }

    /// Where λ_d starts; 0.1 unless told otherwise.
    pub fn d_initial(mut self, value: f32) -> Self {
        self.d_initial = value;
        self
    }

    setters!(dropout, bias, modules_to_save, seed);
}
