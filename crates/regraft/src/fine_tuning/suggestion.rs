//! Which blocks are worth unfreezing: where gradients are large beside the weights.

use std::collections::HashMap;
use std::fmt;

use regraft_autograd::VariableId;
use regraft_data::Dataset;
use regraft_layers::Selector;

use crate::fine_tuning::batch_gradients::batch_gradients;
use crate::fine_tuning::run::exactly;
use crate::training::blocks::{Block, blocks};
use crate::{Model, Result};

/// How many samples tell it.
const SAMPLES: usize = 512;

/// Samples of a batch.
const BATCH: usize = 32;

/// The gradient of the loss beside the weights, block by block, from
/// [`Model::unfreeze_suggestion`](crate::Model::unfreeze_suggestion). It prints as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct UnfreezeSuggestion {
    /// In the order of the layers.
    pub blocks: Vec<BlockGradient>,
}

/// The gradient of one block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockGradient {
    /// What the paths of its layers have in common.
    pub name: String,
    /// The paths.
    pub layers: Vec<String>,
    /// ‖gradient‖ / ‖weights‖, of all its parameters together.
    pub ratio: f64,
}

impl UnfreezeSuggestion {
    /// The name of the first block, the head aside, that has at least half of the largest ratio: unfreeze from there on, so
    /// that what is before it stays the frozen prefix.
    pub fn first(&self) -> Option<&str> {
        let (_, base) = self.blocks.split_last()?;
        let first = first_large(base.iter().map(|block| block.ratio))?;
        Some(base[first].name.as_str())
    }

    /// The layers from the [first](Self::first) block on.
    pub fn selector(&self) -> Option<Selector> {
        let first = self.first()?;
        let suffix = self.blocks.iter().skip_while(|block| block.name != first);
        Some(exactly(suffix.flat_map(|block| block.layers.clone())))
    }

    /// As [`first`](Self::first), the position among these blocks.
    pub(crate) fn first_among(&self, base: &[Block]) -> Option<usize> {
        let ratio = |block: &Block| {
            let has =
                |it: &&BlockGradient| it.layers.iter().any(|layer| block.layers.contains(layer));
            self.blocks
                .iter()
                .find(has)
                .map_or(0.0, |found| found.ratio)
        };
        first_large(base.iter().map(ratio))
    }
}

/// The first that is at least half of the largest, if that is more than 0.
fn first_large(ratios: impl Iterator<Item = f64> + Clone) -> Option<usize> {
    let largest = ratios.clone().fold(0.0, f64::max);
    let mut ratios = ratios;
    let first = ratios.position(|ratio| ratio >= largest / 2.0);
    first.filter(|_| largest > 0.0)
}

impl fmt::Display for UnfreezeSuggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .blocks
            .iter()
            .map(|block| block.name.len())
            .max()
            .unwrap_or(0);
        for block in &self.blocks {
            let mark = match Some(block.name.as_str()) == self.first() {
                true => "  ← from here",
                false => "",
            };
            writeln!(f, "{:width$}  {:.3e}{mark}", block.name, block.ratio)?;
        }
        Ok(())
    }
}

impl Model {
    /// How large the gradient of the loss is beside the weights in each block of layers (the ratio that Auto-RGN goes by:
    /// Lee et al. 2023, <https://arxiv.org/abs/2210.11466>), as the mean over batches of 32 of up to 512 samples drawn from the data, with
    /// all layers behaving as in inference. The model, which must be [compiled](Self::compile) and should have a head that
    /// is good already, stays as it is.
    ///
    /// # Errors
    /// As [`fit_dataset`](Self::fit_dataset).
    pub fn unfreeze_suggestion(&self, data: &dyn Dataset) -> Result<UnfreezeSuggestion> {
        let mut model = self.clone();
        let samples = data.shuffle(0)?.take(SAMPLES);
        let mut sums: HashMap<VariableId, Vec<f32>> = HashMap::new();
        let batches = batch_gradients(&mut model, &samples, BATCH, |id, gradient| {
            let sums = sums.entry(id).or_insert_with(|| vec![0.0; gradient.len()]);
            sums.iter_mut()
                .zip(gradient)
                .for_each(|(sum, it)| *sum += it);
        })?;
        let norm = |values: &[f32]| {
            values
                .iter()
                .map(|value| f64::from(*value).powi(2))
                .sum::<f64>()
        };
        let blocks = blocks(&model.network).into_iter().map(|block| {
            let (mut of_gradient, mut of_weights) = (0.0, 0.0);
            for id in &block.parameters {
                of_gradient += sums.get(id).map_or(0.0, |sum| norm(sum));
                of_weights += model
                    .weights()
                    .get(*id)
                    .map_or(0.0, |weight| norm(weight.value().as_slice()));
            }
            let mean = of_gradient.sqrt() / batches.max(1) as f64;
            BlockGradient {
                name: block.name,
                layers: block.layers,
                ratio: match of_weights > 0.0 {
                    true => mean / of_weights.sqrt(),
                    false => 0.0,
                },
            }
        });
        Ok(UnfreezeSuggestion {
            blocks: blocks.collect(),
        })
    }
}
