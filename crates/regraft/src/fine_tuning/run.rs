//! Fine-tuning: the head, the stages, the way back along the line.

use regraft_data::{Dataset, Split, random_split, stratified_split};
use regraft_layers::{Freezing, IntoSelector, LayerInfo, Model as Network, Selector, WeightKind};

use crate::fine_tuning::FineTuned;
use crate::fine_tuning::anchor::{Regularizers, anchor};
use crate::fine_tuning::curve::{RateCurve, StageRate};
use crate::fine_tuning::line::Line;
use crate::fine_tuning::plan::Parts;
use crate::fine_tuning::probe::{self, Probe};
use crate::fine_tuning::recipe::{FineTune, Judge, Recipe};
use crate::fine_tuning::stages::Stage;
use crate::optimizers::AdamW;
use crate::training::callbacks::Snapshot;
use crate::training::compiled::not_compiled;
use crate::{Fit, History, Model, Result};

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
        let before = self.clone();
        let optimizer = training.optimizer.clone();
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
                Ok(tuned)
            }
            Err(error) => {
                *self = before;
                Err(error)
            }
        }
    }
}

/// Which samples to judge by: the same share of each class, where the targets are classes.
fn split(data: &dyn Dataset, share: f64, seed: u64) -> Result<Split> {
    Ok(match probe::classes(data)? {
        Some(labels) => stratified_split(&labels, share, seed)?,
        None => random_split(data.len(), share, seed)?,
    })
}

fn run(
    model: &mut Model,
    data: &dyn Dataset,
    validation: Option<&dyn Dataset>,
    recipe: &FineTune<'_>,
) -> Result<FineTuned> {
    let parts = Parts::of(&model.network, recipe)?;
    let mut histories = make_head(model, data, &parts, recipe)?;
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
    let trained = train(model, data, validation, recipe, &parts, &stages);
    model.network.exchange_regularizers(regularizers);
    histories.extend(trained?);
    let line = match validation {
        None => Line::without_judge(),
        Some(validation) => Line::walk(model, &start, validation, recipe.interpolate)?,
    };
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
                return train(model, data, None, recipe, parts, &[stage]);
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
) -> Result<Vec<(String, History)>> {
    let mut histories = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
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
        if recipe.weight_decay > 0.0 {
            options = options.weight_decay(!Selector::weights("kernel"), 0.0);
        }
        for (layers, scale) in scales(&model.network, stage) {
            options = options.learning_rate_scale(layers, scale);
        }
        histories.push((stage.name.clone(), model.fit_dataset(data, options)?));
    }
    Ok(histories)
}

/// Which layers have another rate than the largest of the stage, and which part of it.
fn scales(network: &Network, stage: &Stage) -> Vec<(Vec<String>, f32)> {
    let largest = stage.largest();
    let blocks = stage.blocks.iter();
    let mut rates: Vec<(Vec<String>, f64)> = blocks
        .map(|block| (block.layers.clone(), block.learning_rate))
        .collect();
    if let Some(rate) = stage.normalizations {
        let layers = network.flat_layers().into_iter().filter(|layer| {
            let is_known =
                |(layers, _): &(Vec<String>, f64)| layers.iter().any(|it| it == layer.path());
            normalizes_batches(layer) && !rates.iter().any(is_known)
        });
        let layers: Vec<String> = layers.map(|layer| layer.path().to_string()).collect();
        if !layers.is_empty() {
            rates.push((layers, rate));
        }
    }
    let scaled = rates.into_iter().filter(|(_, rate)| *rate != largest);
    scaled
        .map(|(layers, rate)| (layers, (rate / largest) as f32))
        .collect()
}

fn normalizes_batches(layer: &LayerInfo<'_>) -> bool {
    layer.class_name() == "BatchNormalization"
}

/// Freezes all but what the stage trains. Layers without parameters that come after the first that is trained behave
/// as in training; those before it are left as they are, so that augmentation in front goes on.
fn set_states(network: &mut Network, parts: &Parts, stage: &Stage) -> Result<()> {
    let trained = |path: &str| {
        let mut blocks = stage.blocks.iter();
        blocks.find(|block| block.layers.iter().any(|layer| layer == path))
    };
    let in_parts = |path: &str| {
        let mut blocks = parts.blocks.iter();
        blocks.any(|block| block.layers.iter().any(|layer| layer == path))
    };
    let mut begun = false;
    let mut states = Vec::new();
    for layer in network.flat_layers() {
        let path = layer.path();
        let mut weights = layer.weights().into_iter();
        let has_parameters = weights.any(|weight| weight.kind() == WeightKind::Parameter);
        let state = match trained(path) {
            Some(block) => {
                begun = true;
                match normalizes_batches(&layer) && !block.is_head && stage.normalizations.is_none()
                {
                    true => Freezing::Frozen,
                    false => Freezing::Trainable,
                }
            }
            None if normalizes_batches(&layer)
                && stage.normalizations.is_some()
                && in_parts(path) =>
            {
                Freezing::Trainable
            }
            None if has_parameters => Freezing::Frozen,
            None if begun => Freezing::Trainable,
            None => layer.freezing(),
        };
        if state != layer.freezing() {
            states.push((path.to_string(), state));
        }
    }
    for (path, state) in states {
        network.set_freezing(path.into_selector(), state)?;
    }
    Ok(())
}
