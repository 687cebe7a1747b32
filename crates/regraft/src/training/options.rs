//! How to train: the options of `fit`.

use std::collections::BTreeMap;
use std::fmt;

use regraft_data::Dataset;
use regraft_features::FeatureStore;
use regraft_layers::IntoSelector;
use regraft_tensor::Detail;

use crate::training::callbacks::{Callback, RunOf};
use crate::training::distillation::Distillation;
use crate::training::feature_cache::FeatureCache;
use crate::training::input::{Data, IntoInputs};
use crate::training::progress::Verbosity;
use crate::training::rates::Rates;
use crate::{Error, Result};

/// How to train: `Fit::new().epochs(5).batch_size(32)`. The defaults are Keras': one epoch, batches
/// of 32, samples in a new order in each epoch.
#[derive(Debug)]
#[must_use = "pass it to `fit`"]
pub struct Fit<'a> {
    pub(crate) epochs: usize,
    pub(crate) initial_epoch: usize,
    pub(crate) batch_size: usize,
    pub(crate) shuffle: bool,
    pub(crate) seed: u64,
    pub(crate) validation: Validation<'a>,
    pub(crate) class_weight: BTreeMap<i32, f32>,
    pub(crate) sample_weight: Vec<Data<'a>>,
    pub(crate) validation_sample_weight: Vec<Data<'a>>,
    pub(crate) callbacks: Vec<Box<dyn Callback + 'a>>,
    pub(crate) verbosity: Verbosity,
    pub(crate) feature_cache: FeatureCache,
    pub(crate) feature_store: Option<&'a FeatureStore>,
    pub(crate) memory_limit: Option<usize>,
    pub(crate) rates: Rates,
    pub(crate) distillation: Option<Distillation<'a>>,
    /// The first thing that was wrong with an option.
    error: Option<Error>,
}

impl From<&Fit<'_>> for RunOf {
    fn from(fit: &Fit<'_>) -> Self {
        RunOf {
            epochs: fit.epochs,
            initial_epoch: fit.initial_epoch,
            seed: fit.seed,
        }
    }
}

/// What the model is validated on after each epoch.
pub(crate) enum Validation<'a> {
    None,
    /// A share of the samples, the same share of each class.
    Split(f64),
    Data(Vec<Data<'a>>, Vec<Data<'a>>),
    Dataset(&'a dyn Dataset),
}

impl fmt::Debug for Validation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validation::None => f.write_str("None"),
            Validation::Split(share) => write!(f, "Split({share})"),
            Validation::Data(x, y) => f.debug_tuple("Data").field(x).field(y).finish(),
            Validation::Dataset(data) => write!(f, "Dataset of {} samples", data.len()),
        }
    }
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Fit {
            epochs: 1,
            initial_epoch: 0,
            batch_size: 32,
            shuffle: true,
            seed: 0,
            validation: Validation::None,
            class_weight: BTreeMap::new(),
            sample_weight: Vec::new(),
            validation_sample_weight: Vec::new(),
            callbacks: Vec::new(),
            verbosity: Verbosity::default(),
            feature_cache: FeatureCache::Auto,
            feature_store: None,
            memory_limit: None,
            rates: Rates::default(),
            distillation: None,
            error: None,
        }
    }
}

impl<'a> Fit<'a> {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the last epoch: how many there are, unless training starts at a later one.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The epoch to start at, for training that is resumed.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// The number of samples per step.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Whether each epoch takes the samples in a new order.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Where orders, splits and dropout start: the same seed gives the same bytes.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Validates on these data after each epoch.
    pub fn validation_data(
        mut self,
        inputs: impl IntoInputs<'a>,
        targets: impl IntoInputs<'a>,
    ) -> Self {
        match (inputs.into_inputs(), targets.into_inputs()) {
            (Ok(inputs), Ok(targets)) => self.validation = Validation::Data(inputs, targets),
            (Err(error), _) | (_, Err(error)) => self.fail(error),
        }
        self
    }

    /// Validates on this data set after each epoch. One that is not fixed gives the same samples each time.
    pub fn validation_dataset(mut self, data: &'a dyn Dataset) -> Self {
        self.validation = Validation::Dataset(data);
        self
    }

    /// Keeps this share of the samples for validation after each epoch: drawn by the seed, the same
    /// share of each class (Keras takes the last samples as they lie, which in sorted data are of
    /// one class).
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation = Validation::Split(share);
        self
    }

    /// How much samples of each class count in the training loss; classes not named count 1. The
    /// class of a sample is its target, or the place of the largest in a one-hot row. Validation is not
    /// weighted by it, as in Keras; together with [`sample_weight`](Self::sample_weight), which Keras
    /// refuses, a sample counts the product.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (i32, f32)>) -> Self {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// How much each sample counts in the loss and in weighted metrics, also of a part that
    /// [`validation_split`](Self::validation_split) keeps: a number, or where an output is a sequence one for
    /// each step, `[samples, steps]`. One array counts for all outputs; of several outputs each may have its
    /// own, in their order or by their names, as targets.
    pub fn sample_weight(mut self, weights: impl IntoInputs<'a>) -> Self {
        match weights.into_inputs() {
            Ok(weights) => self.sample_weight = weights,
            Err(error) => self.fail(error),
        }
        self
    }

    /// As [`sample_weight`](Self::sample_weight), of the samples that are validated on: how much each counts in
    /// `val_loss` and in weighted metrics. It is what Keras takes behind the targets of its `validation_data`.
    pub fn validation_sample_weight(mut self, weights: impl IntoInputs<'a>) -> Self {
        match weights.into_inputs() {
            Ok(weights) => self.validation_sample_weight = weights,
            Err(error) => self.fail(error),
        }
        self
    }

    /// Is told what happens, and may stop training. Pass `&mut callback` to look at it afterwards.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// How much is printed: a bar per epoch, a line per epoch, nothing.
    pub fn verbosity(mut self, verbosity: Verbosity) -> Self {
        self.verbosity = verbosity;
        self
    }

    /// Keeps the outputs of the frozen prefix on disk, too: what is there of earlier runs is not computed, of
    /// other heads, splits and processes as well. They are found by the prefix (its layers, its weights' bits)
    /// and each sample's [`content`](Dataset::content), so that what has changed is noticed; the numbers are the
    /// same, bit for bit. What does not fit into memory ([`FeatureCache`]) is read from the disk at each step.
    ///
    /// If something cannot be kept, a full disk, say, training goes on without, and
    /// [`usage`](FeatureStore::usage) says why.
    ///
    /// # Errors
    /// `fit` says if the store cannot be read.
    pub fn feature_store(mut self, store: &'a FeatureStore) -> Self {
        self.feature_store = Some(store);
        self
    }

    /// Whether the outputs of the frozen prefix are kept in memory.
    pub fn feature_cache(mut self, cache: FeatureCache) -> Self {
        self.feature_cache = cache;
        self
    }

    /// Keeps the buffers that a step works in within so many bytes: values of the forward pass are computed again in the
    /// backward pass where they do not fit until then (gradient checkpointing), as few as are found to suffice. Batches
    /// stay what they are, and the numbers are the same in every bit; steps take longer, by the forward pass once more at
    /// most. Weights, the optimizer's memory, the data and kept features are not counted.
    /// [`plan_within`](crate::Model::plan_within) tells what it costs.
    ///
    /// # Errors
    /// `fit` refuses a limit that is too low, and says what the least is.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Multiplies the learning rate of the picked weights, and with it their decay:
    /// `Fit::new().learning_rate_scale("base", 0.1)`. Factors of several selectors, and of
    /// [`layer_decay`](Self::layer_decay), are multiplied. A factor of 0 leaves weights where they are and
    /// computes their gradients all the same; freezing does not.
    ///
    /// # Errors
    /// `fit` refuses a selector that picks no weight.
    pub fn learning_rate_scale(mut self, selector: impl IntoSelector, factor: f32) -> Self {
        self.rates.scales.push((selector.into_selector(), factor));
        self
    }

    /// Gives the picked weights this weight decay in the place of the optimizer's: before each update
    /// `w -= w · decay · learning_rate`. Where several selectors pick a weight, the last holds.
    /// `Fit::new().weight_decay(!Selector::weights("kernel"), 0.0)` decays kernels alone.
    ///
    /// # Errors
    /// As [`learning_rate_scale`](Self::learning_rate_scale).
    pub fn weight_decay(mut self, selector: impl IntoSelector, decay: f32) -> Self {
        self.rates.decays.push((selector.into_selector(), decay));
        self
    }

    /// Lets layers learn the slower the farther they are from the head, as BEiT and timm do: the last
    /// layer with parameters has the whole learning rate, and each before it `decay` times that of the
    /// next, whether frozen or not.
    ///
    /// Layers of nested models are counted one by one. Those of a block, told by a name (`conv2_block1_1_conv`,
    /// `block_3_expand`), count as one, and a normalization counts with the layer before it. In networks whose layers are
    /// called as PyTorch's modules are (`layer1.0.conv1`) they count as in timm's `param_groups_layer_decay`: the stem
    /// as one, a transition with the block before it, a last normalization with the classifier.
    pub fn layer_decay(mut self, decay: f32) -> Self {
        self.rates.layer_decay = Some(decay);
        self
    }

    /// Learns the answers of a teacher beside the labels: see [`Distillation`].
    ///
    /// # Errors
    /// `fit` refuses a teacher of other classes, numbers without meaning, and data whose samples are others in each
    /// epoch.
    pub fn distillation(mut self, distillation: Distillation<'a>) -> Self {
        self.distillation = Some(distillation);
        self
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// Refuses options that have no meaning.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.batch_size == 0 {
            let detail = Detail::new("batch_size", "at least 1", 0);
            return Err(Error::Setting(detail.help("Keras' default is 32")));
        }
        if self.initial_epoch > self.epochs {
            let expected = format!("at most epochs = {}", self.epochs);
            let detail = Detail::new("initial_epoch", expected, self.initial_epoch);
            return Err(Error::Setting(
                detail.help("`epochs` is the number of the last epoch"),
            ));
        }
        if let Some((class, weight)) = self
            .class_weight
            .iter()
            .find(|(_, weight)| !weight.is_finite() || **weight < 0.0)
        {
            let at = format!("class_weight of class {class}");
            let detail = Detail::new(at, "a finite number ≥ 0", weight);
            return Err(Error::Setting(
                detail.help("classes that are left out count 1"),
            ));
        }
        self.rates.check()
    }
}
