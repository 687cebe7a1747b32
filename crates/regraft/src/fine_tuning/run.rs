//! Fine-tuning: the head, the stages, the way back along the line.

use std::collections::HashSet;
use std::ops::RangeFrom;

use regraft_data::{Dataset, Split, random_split, stratified_split};
use regraft_layers::{Freezing, Model as Network, Place, Selector, Weight, WeightKind};
use regraft_tensor::Detail;

use crate::fine_tuning::FineTuned;
use crate::fine_tuning::anchor::{Regularizers, anchor};
use crate::fine_tuning::curve::{RateCurve, StageRate};
use crate::fine_tuning::line::Line;
use crate::fine_tuning::plan::Parts;
use crate::fine_tuning::probe::{self, Probe};
use crate::fine_tuning::recipe::{FineTune, Judge, Recipe};
use crate::fine_tuning::resumed::Backups;
use crate::fine_tuning::stages::Stage;
use crate::optimizers::AdamW;
use crate::training::callbacks::Snapshot;
use crate::training::compiled::not_compiled;
use crate::{Error, Fit, History, Model, Result};

impl Model {
    /// Trains the head and then what a [recipe](FineTune) unfreezes, and keeps the best point of the way. The model must
    /// be [compiled](Self::compile); its loss and metrics are those of the recipe, its optimizer is untouched.
    ///
    /// ```no_run
    /// use regraft::prelude::*;
    /// use regraft::fine_tuning::FineTune;
    ///
    /// # fn run(mut model: Model, data: &dyn regraft::data::Dataset) -> regraft::Result<()> {
    /// let tuned = model.fine_tune(data, FineTune::new().epochs(5))?;
    /// println!("{tuned}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A model that is not compiled, settings without meaning, data that do not fit, and whatever ends training: the
    /// model is as it was then.
    pub fn fine_tune(&mut self, data: &dyn Dataset, recipe: FineTune<'_>) -> Result<FineTuned> {
        recipe.check()?;
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        training.check_optimizer()?;
        if let Some(adapter) = self.adapters().first() {
            let detail = Detail::new(
                self.name(),
                "a model without adapters",
                format!("{adapter:?}"),
            );
            let help = "`fit` trains an adapter; `merge_and_unload` makes it part of the model";
            return Err(Error::Model(detail.help(help)));
        }
        let before = self.clone();
        let (optimizer, scaling) = (training.optimizer.clone(), training.loss_scaling.clone());
        let result = match recipe.judge {
            Judge::None => run(self, data, None, &recipe),
            Judge::Dataset(validation) => run(self, data, Some(validation), &recipe),
            Judge::Split(share) => split(data, share, recipe.seed).and_then(|split| {
                let (train, validation) =
                    (data.select(split.train)?, data.select(split.validation)?);
                run(self, &train, Some(&validation), &recipe)
            }),
        };
        match result {
            Ok(tuned) => {
                self.set_optimizer(optimizer)?;
                if let Some(training) = &mut self.training {
                    training.loss_scaling = scaling;
                }
                Ok(tuned)
            }
            Err(error) => {
                *self = before;
                Err(error)
            }
        }
    }
}

/// Which samples to judge by: the same share of each class, where the targets are classes of which there are enough.
fn split(data: &dyn Dataset, share: f64, seed: u64) -> Result<Split> {
    if let Some(labels) = probe::classes(data)?
        && let Ok(split) = stratified_split(&labels, share, seed)
    {
        return Ok(split);
    }
    Ok(random_split(data.len(), share, seed)?)
}

fn run(
    model: &mut Model,
    data: &dyn Dataset,
    validation: Option<&dyn Dataset>,
    recipe: &FineTune<'_>,
) -> Result<FineTuned> {
    let parts = Parts::of(&model.network, recipe)?;
    let backups = Backups::open(recipe, &model.network, data)?;
    let mut histories = make_head(model, data, &parts, recipe, &backups)?;
    let suggestion = match recipe.kind {
        Recipe::Surgical => Some(model.unfreeze_suggestion(data)?),
        _ => None,
    };
    let stages = parts.stages(recipe, suggestion.as_ref());
    let start = Snapshot::take(&model.network);
    let regularizers = match recipe.l2_sp {
        Some(strengths) => anchor(&mut model.network, &parts, strengths)?,
        None => Regularizers::new(),
    };
    let numbered = (1.., &backups);
    let trained = train(model, data, validation, recipe, &parts, &stages, numbered);
    model.network.exchange_regularizers(regularizers);
    histories.extend(trained?);
    let line = match validation {
        None => Line::without_judge(),
        Some(validation) => Line::walk(model, &start, validation, recipe.interpolate)?,
    };
    backups.delete(1 + stages.len())?;
    Ok(FineTuned {
        stages: histories,
        line,
        suggestion,
    })
}

/// Solves the head, or trains it alone; fastai's first stage does that itself.
fn make_head(
    model: &mut Model,
    data: &dyn Dataset,
    parts: &Parts,
    recipe: &FineTune<'_>,
    backups: &Backups,
) -> Result<Vec<(String, History)>> {
    let probe = match recipe.solve_head {
        true => Probe::of(model, data, parts.head())?,
        false => None,
    };
    match probe {
        Some(probe) => probe.solve(model, data)?,
        None if recipe.kind == Recipe::Fastai => {}
        None => {
            let stage = Stage {
                name: "head".to_string(),
                epochs: recipe.head_epochs,
                blocks: parts.head_blocks(1e-3),
                curve: RateCurve::Constant,
                normalizations: None,
            };
            if stage.epochs > 0 {
                return train(model, data, None, recipe, parts, &[stage], (0.., backups));
            }
        }
    }
    Ok(Vec::new())
}

fn train(
    model: &mut Model,
    data: &dyn Dataset,
    validation: Option<&dyn Dataset>,
    recipe: &FineTune<'_>,
    parts: &Parts,
    stages: &[Stage],
    (numbers, backups): (RangeFrom<usize>, &Backups),
) -> Result<Vec<(String, History)>> {
    let mut histories = Vec::new();
    for ((number, stage), of_backup) in stages.iter().enumerate().zip(numbers) {
        set_states(&mut model.network, parts, stage)?;
        let steps = data.len().div_ceil(recipe.batch_size) * stage.epochs;
        let rate = StageRate {
            curve: stage.curve,
            largest: stage.largest(),
            steps: steps as u64,
        };
        let optimizer = AdamW::new(rate).weight_decay(recipe.weight_decay);
        let optimizer = match recipe.kind {
            Recipe::Fastai => optimizer.beta_2(0.99).epsilon(1e-5),
            _ => optimizer,
        };
        model.set_optimizer(optimizer)?;
        let mut options = Fit::new()
            .epochs(stage.epochs)
            .batch_size(recipe.batch_size)
            .seed(recipe.seed.wrapping_add(number as u64))
            .verbosity(recipe.verbosity)
            .feature_cache(recipe.feature_cache);
        options.feature_store = recipe.feature_store;
        if let Some(validation) = validation {
            options = options.validation_dataset(validation);
        }
        if let Some(backup) = backups.callback(of_backup) {
            options = options.callback(backup);
        }
        let is_other =
            |weight: &Weight| weight.kind() == WeightKind::Parameter && weight.name() != "kernel";
        if recipe.weight_decay > 0.0 && model.weights().iter().any(is_other) {
            options = options.weight_decay(!Selector::weights("kernel"), 0.0);
        }
        for (layers, scale) in scales(&model.network, stage) {
            options = options.learning_rate_scale(exactly(layers), scale);
        }
        histories.push((stage.name.clone(), model.fit_dataset(data, options)?));
    }
    Ok(histories)
}

/// These layers and no others, whatever other layers are called.
pub(super) fn exactly(layers: impl IntoIterator<Item = String>) -> Selector {
    let layers: HashSet<String> = layers.into_iter().collect();
    Selector::when(move |layer| layers.contains(layer.path()))
}

/// Which layers have another rate than the largest of the stage, and which part of it.
fn scales(network: &Network, stage: &Stage) -> Vec<(Vec<String>, f32)> {
    let largest = stage.largest();
    let blocks = stage.blocks.iter();
    let mut rates: Vec<(Vec<String>, f64)> = blocks
        .map(|block| (block.layers.clone(), block.learning_rate))
        .collect();
    if let Some(rate) = stage.normalizations {
        let is_known = |path: &String| {
            let mut known = rates.iter();
            known.any(|(layers, _)| layers.contains(path))
        };
        let places = network.places().into_iter().filter(normalizes_batches);
        let layers: Vec<String> = places
            .map(|place| place.path)
            .filter(|path| !is_known(path))
            .collect();
        if !layers.is_empty() {
            rates.push((layers, rate));
        }
    }
    let scaled = rates.into_iter().filter(|(_, rate)| *rate != largest);
    scaled
        .map(|(layers, rate)| (layers, (rate / largest) as f32))
        .collect()
}

fn normalizes_batches(place: &Place<'_>) -> bool {
    place.class_name == "BatchNormalization"
}

/// Freezes all but what the stage trains. A layer without parameters that comes after the first that is trained behaves
/// as in training, and a wrapper does where what it contains is trained; those before it are left as they are, so that
/// augmentation in front goes on.
fn set_states(network: &mut Network, parts: &Parts, stage: &Stage) -> Result<()> {
    let block_of = |path: &str| {
        let mut blocks = stage.blocks.iter();
        blocks.find(|block| block.layers.iter().any(|layer| layer == path))
    };
    let in_parts = |path: &str| {
        let mut blocks = parts.blocks.iter();
        blocks.any(|block| block.layers.iter().any(|layer| layer == path))
    };
    // A layer that stands in several places is one, and models have no state of their own.
    let places = network.places().into_iter();
    let places: Vec<Place<'_>> = places
        .filter(|place| !place.is_model && !place.is_repeated && place.class_name != "InputLayer")
        .collect();
    let mut begun = false;
    let mut states = Vec::new();
    for place in &places {
        let mut weights = place.weights_in(network);
        let has_parameters = weights.any(|weight| weight.kind() == WeightKind::Parameter);
        let inner = format!("{}/", place.path);
        let mut contained = places
            .iter()
            .filter(|it| it.path.starts_with(&inner))
            .peekable();
        let block = block_of(&place.path);
        let state = if normalizes_batches(place) {
            let of_head = block.is_some_and(|block| block.is_head);
            let everywhere = stage.normalizations.is_some() && in_parts(&place.path);
            match of_head || everywhere {
                true => Freezing::Trainable,
                false => Freezing::Frozen,
            }
        } else if contained.peek().is_some() {
            match contained.any(|it| block_of(&it.path).is_some()) {
                true => Freezing::Trainable,
                false => Freezing::Frozen,
            }
        } else if block.is_some() {
            Freezing::Trainable
        } else if has_parameters {
            Freezing::Frozen
        } else if begun {
            Freezing::Trainable
        } else {
            place.freezing
        };
        begun |= block.is_some();
        if state != place.freezing || !place.alone.is_empty() {
            states.push((place.path.clone(), state));
        }
    }
    for (path, state) in states {
        network.set_freezing(exactly([path]), state)?;
    }
    Ok(())
}
