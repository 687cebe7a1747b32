//! Low-rank adaptation.

use crate::adapters::setters::setters;
use crate::{IntoSelector, Selector};

/// Which biases of the model an adapter has copies of, to be trained with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Bias {
    /// None.
    #[default]
    None,
    /// All, the offsets of normalizations included.
    All,
    /// Those of the layers that are adapted.
    LoraOnly,
}

/// A product of two thin matrices beside each kernel: `y = f(x, W) + s · f(x, A) · B`.
///
/// A has the kernel's axes with `rank` outputs in the place of the layer's, and starts uniform in
/// `±1 / √fan_in`; B starts at zero, so that the model is unchanged at first. `s` is `alpha / rank`. With groups,
/// the rank is divided among them.
///
/// Names and defaults are PEFT's. Hu et al. 2021: <https://arxiv.org/abs/2106.09685>.
#[derive(Clone, Debug)]
#[must_use = "pass it to `Model::adapt`"]
pub struct Lora {
    pub(crate) rank: usize,
    pub(crate) alpha: f32,
    pub(crate) rslora: bool,
    pub(crate) dora: bool,
    pub(crate) dropout: f32,
    pub(crate) bias: Bias,
    pub(crate) lora_bias: bool,
    pub(crate) ranks: Vec<(Selector, usize)>,
    pub(crate) alphas: Vec<(Selector, f32)>,
    pub(crate) modules_to_save: Option<Selector>,
    pub(crate) seed: Option<u64>,
}

impl Lora {
    /// Factors of this rank, with alpha 8.
    pub fn rank(rank: usize) -> Self {
        Lora {
            rank,
            alpha: 8.0,
            rslora: false,
            dora: false,
            dropout: 0.0,
            bias: Bias::None,
            lora_bias: false,
            ranks: Vec::new(),
            alphas: Vec::new(),
            modules_to_save: None,
            seed: None,
        }
    }

    /// The strength; 8 unless told otherwise.
    pub fn alpha(mut self, alpha: f32) -> Self {
        self.alpha = alpha;
        self
    }

    /// Divides alpha by √rank instead of the rank. Kalajdzievski 2023: <https://arxiv.org/abs/2312.03732>.
    pub fn rslora(mut self) -> Self {
        self.rslora = true;
        self
    }

    /// Trains how long the kernel of each output is apart from where it points. Not with groups, and not
    /// for embeddings. Liu et al. 2024: <https://arxiv.org/abs/2402.09353>.
    pub fn dora(mut self) -> Self {
        self.dora = true;
        self
    }

    setters!(dropout, bias, modules_to_save, seed);

    /// Adds a bias behind B. Not with [`dora`](Self::dora).
    pub fn lora_bias(mut self) -> Self {
        self.lora_bias = true;
        self
    }

    /// Another rank for the picked layers; of several the first that picks a layer counts.
    pub fn rank_of(mut self, selector: impl IntoSelector, rank: usize) -> Self {
        self.ranks.push((selector.into_selector(), rank));
        self
    }

    /// Another alpha for the picked layers; of several the first that picks a layer counts.
    pub fn alpha_of(mut self, selector: impl IntoSelector, alpha: f32) -> Self {
        self.alphas.push((selector.into_selector(), alpha));
        self
    }
}
