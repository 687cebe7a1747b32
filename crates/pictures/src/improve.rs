//! Training the top of the backbone, kept only if it is better on pictures that were held out.

use std::fmt;
use std::time::Instant;

use regraft::callbacks::{Callback, Context, EarlyStopping};
use regraft::data::Dataset;
use regraft::extend::LayerInfo;
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::optimizers::AdamW;
use regraft::{Fit, History, Model, Verbosity};

use crate::Result;
use crate::extractor::HEAD;
use crate::observer::{Observer, Stage};

/// The share of the backbone's parameters that is trained, from its end.
const TOP: f64 = 0.3;

/// Layers with kernels; normalizations stay as they are.
const TRAINED: [&str; 4] = ["Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense"];

/// When to end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// Before this time, if another epoch would not fit.
    Time(Instant),
    /// After so many epochs.
    Epochs(usize),
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Improved {
    /// With what was best on the pictures that were held out; `None` if nothing was better than before.
    pub model: Option<Model>,
    /// How many epochs there were.
    pub epochs: usize,
    /// Log-loss and accuracy on the pictures that were held out, before and afterwards.
    pub before: [f64; 2],
    pub after: [f64; 2],
}

impl Improved {
    /// It in one line.
    pub fn told(&self) -> String {
        let ([_, before], [_, after]) = (self.before, self.after);
        let numbers = format!(
            "accuracy {before:.3} before, {after:.3} after {} epochs",
            self.epochs
        );
        match self.model {
            Some(_) => format!("kept: on pictures that were held out {numbers}"),
            None => format!("not kept: on pictures that were held out {numbers}"),
        }
    }
}

/// Trains the head and the last layers of its backbone on `train`.
pub(crate) fn improve(
    classifier: &Model,
    train: &dyn Dataset,
    held_out: &dyn Dataset,
    until: Until,
    seed: u64,
    observer: &mut dyn Observer,
) -> Result<Improved> {
    let mut model = classifier.clone();
    let top = top_layers(&model);
    model.freeze(..)?;
    model.unfreeze(top)?;
    model.unfreeze(HEAD)?;
    model.compile(
        AdamW::new(1e-4),
        SparseCategoricalCrossentropy::default(),
        ["accuracy"],
    )?;
    let before = scores(&mut model, held_out)?;
    let mut stopping = EarlyStopping::new()
        .monitor("val_loss")
        .patience(5)
        .restore_best_weights(true);
    let mut watch = Watch {
        until,
        began: Instant::now(),
        epochs: 0,
        observer,
    };
    let epochs = match until {
        Until::Epochs(epochs) => epochs,
        Until::Time(_) => 1000,
    };
    let options = Fit::new()
        .epochs(epochs)
        .seed(seed)
        .validation_dataset(held_out)
        .callback(&mut stopping)
        .callback(&mut watch)
        .verbosity(Verbosity::Silent);
    model.fit_dataset(train, options)?;
    let epochs = watch.epochs;
    let after = scores(&mut model, held_out)?;
    let better = after[0] < before[0] && after[1] >= before[1];
    Ok(Improved {
        model: better.then_some(model),
        epochs,
        before,
        after,
    })
}

/// Log-loss and accuracy.
fn scores(model: &mut Model, data: &dyn Dataset) -> Result<[f64; 2]> {
    let scores = model.evaluate_dataset(data)?;
    let get = |name: &str| scores.get(name).unwrap_or(f64::NAN);
    Ok([get("loss"), get("accuracy")])
}

/// The paths of the last layers with kernels, which have about the share [`TOP`] of the backbone's parameters.
fn top_layers(model: &Model) -> Vec<String> {
    let layers = model.as_ref().flat_layers();
    let backbone = layers.iter().filter(|layer| layer.name() != HEAD);
    let backbone: Vec<_> = backbone
        .filter(|layer| TRAINED.contains(&layer.class_name()))
        .collect();
    let count = |layer: &LayerInfo<'_>| layer.count_parameters().total() as f64;
    let all: f64 = backbone.iter().map(|layer| count(layer)).sum();
    let mut taken = 0.0;
    let mut top = Vec::new();
    for layer in backbone.iter().rev() {
        taken += count(layer);
        if taken > TOP * all && !top.is_empty() {
            break;
        }
        top.push(layer.path().to_string());
    }
    top
}

/// Ends training in time, and tells how far it is.
struct Watch<'a> {
    until: Until,
    began: Instant,
    epochs: usize,
    observer: &'a mut dyn Observer,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("until", &self.until)
            .field("epochs", &self.epochs)
            .finish_non_exhaustive()
    }
}

impl Callback for Watch<'_> {
    fn wants_batches(&self) -> bool {
        true
    }

    fn on_batch_end(
        &mut self,
        _epoch: usize,
        _step: usize,
        context: &mut Context<'_>,
    ) -> regraft::Result<()> {
        if self.observer.is_cancelled() {
            context.stop();
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        context: &mut Context<'_>,
        _history: &History,
    ) -> regraft::Result<()> {
        self.epochs += 1;
        self.observer.progress(Stage::Improve, self.epochs);
        let now = Instant::now();
        let per_epoch = (now - self.began) / u32::try_from(self.epochs).unwrap_or(u32::MAX);
        let over = match self.until {
            Until::Time(until) => now + per_epoch > until,
            Until::Epochs(epochs) => self.epochs >= epochs,
        };
        if over || self.observer.is_cancelled() {
            context.stop();
        }
        Ok(())
    }
}
