//! What a recipe does, stage by stage: which blocks of layers are trained, how fast, how long.

use std::ops::Range;

use crate::fine_tuning::RateCurve;
use crate::fine_tuning::recipe::{FineTune, Recipe};
use crate::training::blocks::Block;

/// A stage of fine-tuning.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What it is called.
    pub name: String,
    /// The number of epochs.
    pub epochs: usize,
    /// What is trained, in the order of the layers.
    pub blocks: Vec<TrainedBlock>,
    /// How the learning rate goes.
    pub curve: RateCurve,
    /// The largest learning rate of batch normalizations in blocks that are not trained, if they are, as fastai's are,
    /// which are trained everywhere. Otherwise those of the base stay frozen in all blocks, statistics included, and are
    /// folded into the layers before them.
    pub normalizations: Option<f64>,
}

/// Layers that are trained at one rate.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedBlock {
    /// What their paths have in common.
    pub name: String,
    /// The paths.
    pub layers: Vec<String>,
    /// The largest learning rate.
    pub learning_rate: f64,
    /// Whether they are the head.
    pub is_head: bool,
}

impl Stage {
    /// The largest learning rate of all blocks.
    pub(crate) fn largest(&self) -> f64 {
        let rates = self.blocks.iter().map(|block| block.learning_rate);
        rates.fold(0.0, f64::max)
    }
}

/// fastai's `slice(from, to)` over so many groups: a geometric row.
fn geometric(from: f64, to: f64, groups: usize) -> Vec<f64> {
    let last = groups.saturating_sub(1).max(1) as f64;
    let at = |group: usize| from * (to / from).powf(group as f64 / last);
    match groups {
        0 | 1 => vec![to; groups],
        _ if to == 0.0 => vec![0.0; groups],
        _ => (0..groups).map(at).collect(),
    }
}

/// The stages of `recipe` for a model of these blocks, those of the head last, of which there are `head`.
/// `suggested` is the first block that is worth unfreezing, for surgical fine-tuning.
pub(crate) fn stages(
    recipe: &FineTune<'_>,
    blocks: &[Block],
    head: usize,
    suggested: Option<usize>,
) -> Vec<Stage> {
    let base = blocks.len() - head;
    let (rate, head_rate) = (recipe.learning_rate, recipe.head_learning_rate);
    let one_cycle = RateCurve::OneCycle {
        pct_start: 0.3,
        div: 5.0,
        div_final: 1e5,
    };
    let stage =
        |name: &str, epochs: usize, from: usize, curve: RateCurve, rate: &dyn Fn(usize) -> f64| {
            Stage {
                name: name.to_string(),
                epochs,
                curve,
                normalizations: None,
                blocks: trained(blocks, from..blocks.len(), base, rate),
            }
        };
    // Layer-wise rates: the next block below the head has the base's whole rate.
    let layer_wise = |block: usize| match block < base {
        true => rate * recipe.layer_decay.powi((base - 1 - block) as i32),
        false => head_rate,
    };
    match recipe.kind {
        Recipe::Staged => {
            let first = recipe.epochs / 2;
            let top = base - base.div_ceil(3);
            vec![
                stage("top third", first, top, one_cycle, &layer_wise),
                stage("all", recipe.epochs - first, 0, one_cycle, &layer_wise),
            ]
        }
        Recipe::LpFt => vec![stage("all", recipe.epochs, 0, one_cycle, &layer_wise)],
        Recipe::Surgical => {
            let from = suggested.unwrap_or(base).min(base);
            vec![stage(
                "suggested",
                recipe.epochs,
                from,
                one_cycle,
                &layer_wise,
            )]
        }
        Recipe::Gradual => {
            let curve = RateCurve::SlantedTriangular {
                cut_fraction: 0.1,
                ratio: 32.0,
            };
            let rate = |block: usize| match block < base {
                true => head_rate / 2.6_f64.powi((base - block) as i32),
                false => head_rate,
            };
            // One block more in each epoch; what epochs are left train what is unfrozen then.
            (0..recipe.epochs)
                .map(|epoch| {
                    let unfrozen = match epoch + 1 == recipe.epochs {
                        true => base,
                        false => (epoch + 1).min(base),
                    };
                    let name = format!("{unfrozen} of {base} blocks");
                    stage(&name, 1, base - unfrozen, curve, &rate)
                })
                .collect()
        }
        Recipe::Fastai => {
            // What is not in the slice has a tenth of its end.
            let normalized = |stage: Stage| Stage {
                normalizations: Some(head_rate / 10.0),
                ..stage
            };
            // Groups: the lower and the upper half of the base, and the head.
            let group = |block: usize| match block {
                block if block >= base => 2,
                block => usize::from(2 * block >= base),
            };
            let frozen = RateCurve::OneCycle {
                pct_start: 0.99,
                div: 25.0,
                div_final: 1e5,
            };
            let largest = head_rate / 2.0;
            let rates = geometric(largest / 100.0, largest, 3);
            let head_alone = stage("head", recipe.head_epochs, base, frozen, &|_| head_rate);
            let all = stage("all", recipe.epochs, 0, one_cycle, &|block| {
                rates[group(block)]
            });
            vec![normalized(head_alone), normalized(all)]
        }
    }
}

fn trained(
    blocks: &[Block],
    range: Range<usize>,
    base: usize,
    rate: &dyn Fn(usize) -> f64,
) -> Vec<TrainedBlock> {
    range
        .map(|index| TrainedBlock {
            name: blocks[index].name.clone(),
            layers: blocks[index].layers.clone(),
            learning_rate: rate(index),
            is_head: index >= base,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_geometric() {
        let rates = geometric(1e-5, 1e-3, 3);
        for (rate, expected) in rates.iter().zip([1e-5, 1e-4, 1e-3]) {
            assert!((rate / expected - 1.0).abs() < 1e-12, "{rates:?}");
        }
        assert_eq!(geometric(1e-5, 1e-3, 1), [1e-3]);
        assert!(geometric(1e-5, 1e-3, 0).is_empty());
    }
}
