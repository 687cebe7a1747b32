//! What a recipe is going to do to a model, as a table.

use std::fmt;

use regraft_data::Dataset;
use regraft_layers::Model as Network;
use regraft_tensor::Detail;

use crate::fine_tuning::probe::Probe;
use crate::fine_tuning::recipe::{FineTune, Judge, Recipe};
use crate::fine_tuning::stages::{Stage, stages};
use crate::fine_tuning::{TrainedBlock, UnfreezeSuggestion};
use crate::training::blocks::{Block, blocks};
use crate::{Error, Model, Result};

/// What a recipe is going to do: how the head is made, and the stages after it. It prints as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct FineTuningPlan {
    /// How the head is made.
    pub head: String,
    /// The stages after that.
    pub stages: Vec<Stage>,
    /// Whether the best point between start and finish is kept.
    pub interpolates: bool,
    /// Why surgical fine-tuning begins where it does.
    pub suggestion: Option<UnfreezeSuggestion>,
}

impl FineTune<'_> {
    /// What this recipe is going to do to `model` with `data`; nothing is changed. Surgical fine-tuning computes the
    /// gradients that it goes by, of the head as it is now.
    ///
    /// # Errors
    /// As [`Model::fine_tune`](crate::Model::fine_tune), as far as it is seen before the first step.
    pub fn plan(&self, model: &Model, data: &dyn Dataset) -> Result<FineTuningPlan> {
        self.check()?;
        let parts = Parts::of(&model.network, self)?;
        let suggestion = match self.kind {
            Recipe::Surgical => Some(model.unfreeze_suggestion(data)?),
            _ => None,
        };
        let solvable = self.solve_head && Probe::of(model, data, parts.head())?.is_some();
        Ok(FineTuningPlan {
            head: match (solvable, self.kind) {
                (true, _) => "solved on the features of the frozen base".to_string(),
                (false, Recipe::Fastai) => "trained in the first stage".to_string(),
                (false, _) => format!(
                    "trained alone for {} epochs, the base frozen",
                    self.head_epochs
                ),
            },
            stages: parts.stages(self, suggestion.as_ref()),
            interpolates: self.interpolate && !matches!(self.judge, Judge::None),
            suggestion,
        })
    }
}

/// A model's blocks, divided.
pub(crate) struct Parts {
    /// Those of the head last.
    pub blocks: Vec<Block>,
    pub head: usize,
}

impl Parts {
    pub fn of(network: &Network, recipe: &FineTune<'_>) -> Result<Self> {
        let mut blocks = blocks(network);
        if blocks.is_empty() {
            let detail = Detail::new(network.name(), "a model with parameters", "none");
            return Err(Error::Model(detail));
        }
        let head = match &recipe.head {
            None => 1,
            Some(selector) => {
                let picked = network.select(selector)?;
                let is_head =
                    |block: &Block| block.layers.iter().any(|layer| picked.contains(layer));
                blocks.sort_by_key(is_head);
                blocks.iter().filter(|block| is_head(block)).count()
            }
        };
        if head == 0 {
            let received = "layers without parameters";
            let detail = Detail::new("FineTune.head", "the layers of the head", received);
            return Err(Error::Setting(detail));
        }
        let mut kept = Vec::new();
        for selector in &recipe.kept_frozen {
            kept.extend(network.select(selector)?);
        }
        for block in &mut blocks {
            block.layers.retain(|layer| !kept.contains(layer));
        }
        let within = |from: &[Block]| from.iter().filter(|block| !block.layers.is_empty()).count();
        let head = within(&blocks[blocks.len() - head..]);
        if head == 0 {
            let detail = Detail::new(
                "FineTune.keep_frozen",
                "layers of the base",
                "the head, too",
            );
            return Err(Error::Setting(detail.help("the head is what learns first")));
        }
        blocks.retain(|block| !block.layers.is_empty());
        Ok(Parts { blocks, head })
    }

    /// The blocks of the head.
    pub fn head(&self) -> &[Block] {
        &self.blocks[self.blocks.len() - self.head..]
    }

    pub fn base(&self) -> &[Block] {
        &self.blocks[..self.blocks.len() - self.head]
    }

    pub fn stages(
        &self,
        recipe: &FineTune<'_>,
        suggestion: Option<&UnfreezeSuggestion>,
    ) -> Vec<Stage> {
        let suggested = suggestion.and_then(|suggestion| suggestion.first_among(self.base()));
        let mut stages = stages(recipe, &self.blocks, self.head, suggested);
        stages.retain(|stage| stage.epochs > 0);
        stages
    }

    /// The head, to be trained at this rate.
    pub fn head_blocks(&self, learning_rate: f64) -> Vec<TrainedBlock> {
        let blocks = self.head().iter().map(|block| TrainedBlock {
            name: block.name.clone(),
            layers: block.layers.clone(),
            learning_rate,
            is_head: true,
        });
        blocks.collect()
    }
}

impl fmt::Display for FineTuningPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "head: {}", self.head)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "{suggestion}")?;
        }
        for (number, stage) in self.stages.iter().enumerate() {
            writeln!(
                f,
                "stage {}: {}, {} {}, {}{}",
                number + 1,
                stage.name,
                stage.epochs,
                if stage.epochs == 1 { "epoch" } else { "epochs" },
                stage.curve,
                match stage.normalizations {
                    Some(_) => ", batch normalizations trained throughout",
                    None => "",
                }
            )?;
            let row = |block: &TrainedBlock| format!("{:.3e}  {}", block.learning_rate, block.name);
            // The first and the last of many.
            let blocks = &stage.blocks;
            for (index, block) in blocks.iter().enumerate() {
                match index {
                    3 if blocks.len() > 7 => writeln!(f, "  … {} blocks", blocks.len() - 6)?,
                    index if blocks.len() > 7 && (3..blocks.len() - 3).contains(&index) => {}
                    _ => writeln!(f, "  {}", row(block))?,
                }
            }
        }
        match self.interpolates {
            true => writeln!(f, "then: the best point between start and finish"),
            false => writeln!(f, "then: what training ended with"),
        }
    }
}
