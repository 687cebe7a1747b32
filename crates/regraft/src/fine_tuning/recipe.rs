//! A recipe of fine-tuning: which one, and its settings.

use std::fmt;
use std::path::PathBuf;

use regraft_data::Dataset;
use regraft_features::FeatureStore;
use regraft_layers::{IntoSelector, Selector};
use regraft_tensor::Detail;

use crate::{Error, FeatureCache, Result, Verbosity};

/// Which recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// [`FineTune::new`].
    Staged,
    /// [`FineTune::lp_ft`].
    LpFt,
    /// [`FineTune::fastai`].
    Fastai,
    /// [`FineTune::gradual`].
    Gradual,
    /// [`FineTune::surgical`].
    Surgical,
}

/// What tells how good a point is.
pub(crate) enum Judge<'a> {
    None,
    Split(f64),
    Dataset(&'a dyn Dataset),
}

impl fmt::Debug for Judge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Judge::None => f.write_str("None"),
            Judge::Split(share) => write!(f, "Split({share})"),
            Judge::Dataset(data) => write!(f, "Dataset of {} samples", data.len()),
        }
    }
}

/// How to fine-tune a model, for [`Model::fine_tune`](crate::Model::fine_tune).
///
/// All recipes begin with the head: a last dense layer for classes is *solved* on the features of the frozen base
/// (the best of [ridge, discriminant analysis and logistic regression](crate::heads::BestHead) on what is left out);
/// any other is trained alone for [`head_epochs`](Self::head_epochs), on features that are kept. Then layers are
/// unfrozen, as the recipe says, and at the end the best point on the line between the start and the finish is kept
/// (WiSE-FT), judged by data that were not trained on: so the result is never worse there than the head alone.
///
/// | recipe | unfreezes | learning rates |
/// |---|---|---|
/// | [`new`](Self::new) | the top third of the base for half of the epochs, then all | head 10⁻³, base 10⁻⁴ and .75 of it from block to block; one cycle; held to the start (L2-SP) |
/// | [`lp_ft`](Self::lp_ft) | all at once | 10⁻⁴ for all; one cycle |
/// | [`fastai`](Self::fastai) | the head alone for an epoch, then all | 2·10⁻³; then from 10⁻⁵ to 10⁻³ over three groups; one cycle |
/// | [`gradual`](Self::gradual) | one block more in each epoch | head 10⁻³, each block before it the 2.6th part; slanted triangle |
/// | [`surgical`](Self::surgical) | from the block on whose gradients are large beside its weights | as `new` |
///
/// The optimizer is AdamW, made anew for each stage; that which the model was compiled with is there again at the end.
/// Batch normalizations of the base stay frozen with their statistics, but for fastai's. Layers of the base are
/// frozen or trained as the last stage has them when it is done.
#[derive(Debug)]
#[must_use = "pass it to `fine_tune`"]
pub struct FineTune<'a> {
    pub(crate) kind: Recipe,
    pub(crate) epochs: usize,
    pub(crate) head_epochs: usize,
    pub(crate) learning_rate: f64,
    pub(crate) head_learning_rate: f64,
    pub(crate) layer_decay: f64,
    pub(crate) weight_decay: f64,
    pub(crate) l2_sp: Option<(f32, f32)>,
    pub(crate) solve_head: bool,
    pub(crate) interpolate: bool,
    pub(crate) head: Option<Selector>,
    pub(crate) kept_frozen: Vec<Selector>,
    pub(crate) batch_size: usize,
    pub(crate) seed: u64,
    pub(crate) judge: Judge<'a>,
    pub(crate) verbosity: Verbosity,
    pub(crate) feature_cache: FeatureCache,
    pub(crate) feature_store: Option<&'a FeatureStore>,
    pub(crate) backup: Option<PathBuf>,
}

impl Default for FineTune<'_> {
    fn default() -> Self {
        FineTune {
            kind: Recipe::Staged,
            epochs: 5,
            head_epochs: 10,
            learning_rate: 1e-4,
            head_learning_rate: 1e-3,
            layer_decay: 0.75,
            weight_decay: 0.0,
            l2_sp: Some((0.01, 0.01)),
            solve_head: true,
            interpolate: true,
            head: None,
            kept_frozen: Vec::new(),
            batch_size: 32,
            seed: 0,
            judge: Judge::Split(0.2),
            verbosity: Verbosity::default(),
            feature_cache: FeatureCache::Auto,
            feature_store: None,
            backup: None,
        }
    }
}

impl<'a> FineTune<'a> {
    /// The recipe to begin with: the solved head; then the top third of the base for half of the epochs and all of it
    /// for the rest, the lower a block the slower (.75 from block to block), each stage with one cycle of the learning
    /// rate, and held to where it started; batch normalizations frozen. 5 epochs, a fifth of the data to judge by.
    pub fn new() -> Self {
        Self::default()
    }

    /// Linear probing, then fine-tuning (Kumar et al. 2022, <https://arxiv.org/abs/2202.10054>): once the head is good,
    /// all is trained at one small rate, so that features are not spoilt by a head that knows nothing yet.
    pub fn lp_ft() -> Self {
        FineTune {
            kind: Recipe::LpFt,
            head_learning_rate: 1e-4,
            layer_decay: 1.0,
            l2_sp: None,
            ..Self::default()
        }
    }

    /// `Learner.fine_tune` of fastai 2.8 with its defaults: the head for an epoch at 2·10⁻³ (one cycle, rising for 99 %
    /// of the steps), then all for [`epochs`](Self::epochs) with rates from 10⁻⁵ to 10⁻³ over three groups (lower half,
    /// upper half, head; `div` 5, rising for 30 %), AdamW with β₂ .99, ε 10⁻⁵ and a decay of .01 on kernels, batches of
    /// 64, and batch normalizations trained throughout. The head is neither solved nor the result interpolated, unless
    /// asked for ([`solve_head`](Self::solve_head), [`interpolate`](Self::interpolate)). fastai lets the momentum go down
    /// and up against the rate, which is not done here.
    pub fn fastai() -> Self {
        FineTune {
            kind: Recipe::Fastai,
            head_epochs: 1,
            head_learning_rate: 2e-3,
            weight_decay: 0.01,
            l2_sp: None,
            solve_head: false,
            interpolate: false,
            batch_size: 64,
            ..Self::default()
        }
    }

    /// Gradual unfreezing as ULMFiT does it (Howard & Ruder 2018, <https://arxiv.org/abs/1801.06146>): from the head
    /// down one block more in each epoch, in the last epoch all; each block has the 2.6th part of the rate of the next;
    /// the rate of each epoch is a slanted triangle (up for a tenth, from 1/32).
    pub fn gradual() -> Self {
        FineTune {
            kind: Recipe::Gradual,
            l2_sp: None,
            ..Self::default()
        }
    }

    /// Surgical fine-tuning (Lee et al. 2023, <https://arxiv.org/abs/2210.11466>): with the solved head the gradient of
    /// each block is compared with its weights
    /// ([`unfreeze_suggestion`](crate::Model::unfreeze_suggestion)), and what is trained begins at the first block with at
    /// least half of the largest ratio. Rates as [`new`](Self::new).
    pub fn surgical() -> Self {
        FineTune {
            kind: Recipe::Surgical,
            ..Self::default()
        }
    }

    /// The number of epochs after the head (5). With 0 the head alone is made.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The number of epochs of the head alone where it is trained by steps (10, at a rate of 10⁻³; with fastai 1, at the
    /// head's rate).
    pub fn head_epochs(mut self, epochs: usize) -> Self {
        self.head_epochs = epochs;
        self
    }

    /// The largest learning rate of the base (10⁻⁴). Those of fastai and ULMFiT follow from that of the head.
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.learning_rate = rate;
        self
    }

    /// The largest learning rate of the head (10⁻³; with LP-FT 10⁻⁴, with fastai 2·10⁻³, its `base_lr`).
    pub fn head_learning_rate(mut self, rate: f64) -> Self {
        self.head_learning_rate = rate;
        self
    }

    /// How much of the rate of a block that before it has (.75; with LP-FT 1).
    pub fn layer_decay(mut self, decay: f64) -> Self {
        self.layer_decay = decay;
        self
    }

    /// AdamW's weight decay on kernels (0; with fastai .01).
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }

    /// Holds the base to where it started with ½ · `base` · ‖w − w₀‖², and the head to zero with ½ · `head` · ‖w‖²
    /// (Li et al. 2018, <https://arxiv.org/abs/1802.01483>; .01 and .01 with `new` and `surgical`).
    pub fn l2_sp(mut self, base: f32, head: f32) -> Self {
        self.l2_sp = Some((base, head));
        self
    }

    /// Whether the head is solved, where it can be (yes; with fastai not).
    pub fn solve_head(mut self, solve: bool) -> Self {
        self.solve_head = solve;
        self
    }

    /// Whether the best point between start and finish is kept, by the data that it is judged by (yes; with fastai not).
    pub fn interpolate(mut self, interpolate: bool) -> Self {
        self.interpolate = interpolate;
        self
    }

    /// What the head is; unless told, the last layer with parameters, with others of its block.
    pub fn head(mut self, head: impl IntoSelector) -> Self {
        self.head = Some(head.into_selector());
        self
    }

    /// Layers that stay frozen in every stage: `FineTune::new().keep_frozen("block_[1-6]_*")`.
    pub fn keep_frozen(mut self, layers: impl IntoSelector) -> Self {
        self.kept_frozen.push(layers.into_selector());
        self
    }

    /// The number of samples per step (32; with fastai 64).
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Where orders and splits start.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Judges by these data, and trains on all that are given to `fine_tune`.
    pub fn validation_dataset(mut self, data: &'a dyn Dataset) -> Self {
        self.judge = Judge::Dataset(data);
        self
    }

    /// Keeps this share of the samples to judge by (.2), the same of each class; 0 keeps none, and what training
    /// ends with is the result.
    pub fn validation_split(mut self, share: f64) -> Self {
        self.judge = match share == 0.0 {
            true => Judge::None,
            false => Judge::Split(share),
        };
        self
    }

    /// How much is printed.
    pub fn verbosity(mut self, verbosity: Verbosity) -> Self {
        self.verbosity = verbosity;
        self
    }

    /// Whether the outputs of what is frozen are kept in memory.
    pub fn feature_cache(mut self, cache: FeatureCache) -> Self {
        self.feature_cache = cache;
        self
    }

    /// Keeps them on disk, too: [`Fit::feature_store`](crate::Fit::feature_store).
    pub fn feature_store(mut self, store: &'a FeatureStore) -> Self {
        self.feature_store = Some(store);
        self
    }

    /// Backs up after each epoch into this folder, which is for one run alone. The same call goes on from there where it
    /// was interrupted (by an error, or because the program was killed), and ends with the same bytes as one that was
    /// not; a model that is given to it must be as at first. At the end the folder is deleted.
    ///
    /// Each stage has a [`BackupAndRestore`](crate::callbacks::BackupAndRestore) of its own. A solved head is solved
    /// anew, to the same bits.
    pub fn backup(mut self, folder: impl Into<PathBuf>) -> Self {
        self.backup = Some(folder.into());
        self
    }

    /// Refuses numbers without meaning.
    pub(crate) fn check(&self) -> Result<()> {
        let (base, head) = self.l2_sp.unwrap_or_default();
        let numbers = [
            ("learning_rate", self.learning_rate),
            ("head_learning_rate", self.head_learning_rate),
            ("layer_decay", self.layer_decay),
            ("weight_decay", self.weight_decay),
            ("l2_sp, base", f64::from(base)),
            ("l2_sp, head", f64::from(head)),
        ];
        for (name, number) in numbers {
            if !(number.is_finite() && number >= 0.0) {
                let at = format!("FineTune.{name}");
                return Err(Error::Setting(Detail::new(
                    at,
                    "a finite number ≥ 0",
                    number,
                )));
            }
        }
        if self.batch_size == 0 {
            let detail = Detail::new("FineTune.batch_size", "at least 1", 0);
            return Err(Error::Setting(detail));
        }
        Ok(())
    }
}
