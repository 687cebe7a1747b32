//! What `fit` is going to do, before it does it: which layers are constants, what is kept, and what
//! an epoch costs with and without that.

use std::collections::HashSet;
use std::fmt;

use regraft_autograd::{Division, Nodes, Shape};
use regraft_layers::{Freezing, Mode, WeightKind};

use crate::training::compiled::not_compiled;
use crate::training::feature_cache::{FeatureCache, most_of};
use crate::training::frozen_precision::Similarity;
use crate::training::steps::{Purpose, Steps, batch_size as samples_at_once};
use crate::{Model, Result};

/// What training will run, keep and cost. It prints as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingPlan {
    /// The number of samples it is made for.
    pub samples: usize,
    /// The number of samples per step.
    pub batch_size: usize,
    /// Every layer in order.
    pub layers: Vec<PlannedLayer>,
    /// How many numbers the frozen prefix gives per sample; 0 if there is none.
    pub features_per_sample: usize,
    /// Whether they are kept (they fit the cache's limit).
    pub features_kept: bool,
    /// How the frozen prefix is run, if there is one: depth first or op by op, how many samples at a time, and
    /// what decides that. Of a batch that is not full it may be another.
    pub prefix: Option<Division>,
    /// With what numbers frozen layers are computed, if not with 32-bit floats, and how near their features are.
    pub frozen_precision: Option<Similarity>,
    /// Multiplications and additions of an epoch after the features are kept.
    pub operations_per_epoch: u64,
    /// The same without keeping them.
    pub operations_without_cache: u64,
    /// The same if every layer were trained.
    pub operations_if_all_trained: u64,
    /// Bytes of the buffers that a step works in.
    pub buffer_bytes: usize,
    /// How many of the operations of an epoch compute values of the forward pass a second time, since they would not fit
    /// into memory until the backward pass reads them; see [`Fit::memory_limit`](crate::Fit::memory_limit).
    pub operations_computed_again: u64,
}

/// A layer in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedLayer {
    /// The path in the model.
    pub path: String,
    /// The class name.
    pub class_name: String,
    /// The number of elements of its weights.
    pub parameters: usize,
    /// What training may change in it.
    pub freezing: Freezing,
    /// The elements of its parameters that are trained, unless all go by its state.
    pub trained_alone: Option<usize>,
    /// When it is computed.
    pub runs: Runs,
}

/// When a layer is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Never: it computes nothing in training, or nobody needs it.
    Never,
    /// Once per sample; its results (or those of a layer after it) are kept.
    OncePerSample,
    /// At every step, forward only: nothing in it or before it is trained.
    EveryStep,
    /// At every step, forward and backward.
    EveryStepWithGradient,
}

impl TrainingPlan {
    /// Bytes of the features of all samples.
    pub fn feature_bytes(&self) -> usize {
        4 * self.features_per_sample * self.samples
    }
}

impl Model {
    /// What `fit` on `samples` samples in batches of `batch_size` would run, keep and cost.
    ///
    /// # Errors
    /// If the model is not built or not compiled.
    pub fn plan(&self, samples: usize, batch_size: usize) -> Result<TrainingPlan> {
        self.plan_of(samples, batch_size, None)
    }

    /// As [`plan`](Self::plan), with a [`memory_limit`](crate::Fit::memory_limit) of so many bytes.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); and a limit that is too low, with what the least is.
    pub fn plan_within(
        &self,
        samples: usize,
        batch_size: usize,
        bytes: usize,
    ) -> Result<TrainingPlan> {
        self.plan_of(samples, batch_size, Some(bytes))
    }

    fn plan_of(
        &self,
        samples: usize,
        batch_size: usize,
        memory_limit: Option<usize>,
    ) -> Result<TrainingPlan> {
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let model = &self.network;
        let purpose = Purpose {
            objective: &training.objective,
            weights: &[],
            taught: None,
            mode: Mode::Training,
            precision: self.precision.as_deref(),
        };
        let mut steps = Steps::new(model, purpose, true)?;
        let features_per_sample = steps.feature_bytes() / 4;
        let limit = FeatureCache::Auto.limit();
        let features_kept = steps.prefix().is_some() && 4 * features_per_sample * samples <= limit;

        let batches = |nodes: &Nodes| {
            let whole = (samples / batch_size.max(1)) as u64 * nodes.flops(batch_size);
            let last = samples % batch_size.max(1);
            whole + if last > 0 { nodes.flops(last) } else { 0 }
        };
        let unlimited = batches(steps.rest().nodes());
        if let Some(limit) = memory_limit {
            steps.limit_memory(batch_size.min(samples), limit)?;
        }
        let rest = batches(steps.rest().nodes());
        let prefix = steps
            .prefix()
            .map_or(0, |prefix| batches(prefix.program().nodes()));
        let mut all = model.clone();
        all.set_freezing(.., Freezing::Trainable)?;
        let all = Steps::new(&all, purpose, true)?;

        let made_by = |nodes: Option<&Nodes>| -> HashSet<String> {
            let ops = nodes.into_iter().flat_map(Nodes::iter);
            ops.filter(|(_, node)| node.op().is_some() && !node.backward)
                .map(|(_, node)| node.name.clone())
                .collect()
        };
        let in_prefix = made_by(steps.prefix().map(|prefix| prefix.program().nodes()));
        let in_rest = made_by(Some(steps.rest().nodes()));
        let mut above_trained = false;
        let layers = model
            .places()
            .into_iter()
            .filter(|place| !place.is_model)
            .map(|place| {
                let weights = place
                    .all_weights()
                    .filter_map(|&id| model.weights().get(id));
                let parameters = match place.is_repeated {
                    true => 0,
                    false => weights.clone().map(|weight| weight.value().len()).sum(),
                };
                let trained = weights
                    .filter(|weight| weight.kind() == WeightKind::Parameter && place.moves(weight));
                let trained: usize = trained.map(|weight| weight.value().len()).sum();
                above_trained |= trained > 0;
                let runs = match (
                    in_rest.contains(&place.path),
                    in_prefix.contains(&place.path),
                ) {
                    (true, _) if above_trained => Runs::EveryStepWithGradient,
                    (true, _) => Runs::EveryStep,
                    (false, true) if features_kept => Runs::OncePerSample,
                    (false, true) => Runs::EveryStep,
                    (false, false) => Runs::Never,
                };
                PlannedLayer {
                    class_name: place.class_name.to_string(),
                    path: place.path,
                    parameters,
                    freezing: place.freezing,
                    trained_alone: (!place.alone.is_empty()).then_some(trained),
                    runs,
                }
            });
        let mut layers: Vec<PlannedLayer> = layers.collect();
        // What a pass has put into one op with layers after it runs when they do.
        let mut next = Runs::Never;
        for layer in layers.iter_mut().rev() {
            match layer.runs {
                Runs::Never if layer.parameters > 0 => layer.runs = next,
                Runs::Never => {}
                runs => next = runs,
            }
        }
        // Kept features are computed in chunks of their own.
        let inputs = model.input_shapes();
        let most = most_of(inputs.iter().map(|shape: &Shape| shape.len(1)).sum());
        let division = steps.prefix().map(|prefix| {
            prefix.division(match features_kept {
                true => samples_at_once(prefix, samples).min(most),
                false => batch_size.min(samples),
            })
        });
        let prefix_buffers = steps
            .prefix()
            .map_or(0, |prefix| prefix.buffer_bytes(batch_size));
        Ok(TrainingPlan {
            samples,
            batch_size,
            layers,
            features_per_sample,
            features_kept,
            prefix: division,
            frozen_precision: self.frozen_precision(),
            operations_per_epoch: rest + if features_kept { 0 } else { prefix },
            operations_without_cache: rest + prefix,
            operations_if_all_trained: batches(all.rest().nodes())
                + all
                    .prefix()
                    .map_or(0, |prefix| batches(prefix.program().nodes())),
            buffer_bytes: steps.rest().buffer_bytes(batch_size) + prefix_buffers,
            operations_computed_again: rest.saturating_sub(unlimited),
        })
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Runs::Never => "–",
            Runs::OncePerSample => "once per sample, then kept",
            Runs::EveryStep => "every step, forward only",
            Runs::EveryStepWithGradient => "every step, forward and backward",
        })
    }
}

/// Layers that follow each other in one nested model and are treated alike, as a line of the table.
struct Line {
    name: String,
    parameters: usize,
    state: String,
    runs: Runs,
}

impl PlannedLayer {
    /// What is trained of it, and how it is run: layers where this is the same are alike.
    fn treatment(&self) -> (Freezing, Option<usize>, Runs) {
        (self.freezing, self.trained_alone, self.runs)
    }

    fn line(&self, name: String, parameters: usize) -> Line {
        Line {
            name,
            parameters,
            state: match self.trained_alone {
                None => self.freezing.to_string(),
                Some(trained) => format!("{trained} trained"),
            },
            runs: self.runs,
        }
    }
}

impl TrainingPlan {
    /// A line for each layer.
    fn lines(&self) -> Vec<Line> {
        let line = |layer: &PlannedLayer| {
            let name = format!("{} ({})", layer.path, layer.class_name);
            layer.line(name, layer.parameters)
        };
        self.layers.iter().map(line).collect()
    }

    /// A line for each layer of the model itself, and of a nested model one for all neighbours that are
    /// treated alike. What computes nothing goes with those before it.
    fn folded(&self) -> Vec<Line> {
        let model = |layer: &PlannedLayer| -> Option<String> {
            Some(layer.path.split_once('/')?.0.to_string())
        };
        let idle = |layer: &PlannedLayer| layer.parameters == 0 && layer.runs == Runs::Never;
        let mut groups: Vec<Vec<&PlannedLayer>> = Vec::new();
        for layer in &self.layers {
            let group = groups.last_mut().filter(|group| {
                let decides = group.iter().find(|layer| !idle(layer));
                model(group[0]).is_some()
                    && model(group[0]) == model(layer)
                    && decides
                        .is_none_or(|first| idle(layer) || first.treatment() == layer.treatment())
            });
            match group {
                Some(group) => group.push(layer),
                None => groups.push(vec![layer]),
            }
        }
        let line = |group: &Vec<&PlannedLayer>| {
            let (first, last) = (group[0], group[group.len() - 1]);
            let name = match model(first) {
                Some(model) if group.len() > 1 => {
                    let inner = |layer: &PlannedLayer| layer.path[model.len() + 1..].to_string();
                    let (first, last, count) = (inner(first), inner(last), group.len());
                    format!("{model} ({count} layers, {first} … {last})")
                }
                _ => format!("{} ({})", first.path, first.class_name),
            };
            let decides = group.iter().find(|layer| !idle(layer)).unwrap_or(&first);
            decides.line(name, group.iter().map(|layer| layer.parameters).sum())
        };
        groups.iter().map(line).collect()
    }
}

impl fmt::Display for TrainingPlan {
    /// Neighbours in a nested model that are treated alike share a line; `{:#}` shows every layer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Plan for {} samples in batches of {}",
            self.samples, self.batch_size
        )?;
        let lines = match f.alternate() {
            true => self.lines(),
            false => self.folded(),
        };
        let widths = lines.iter().map(|line| line.name.chars().count());
        let width = widths.max().unwrap_or(0);
        for Line {
            name,
            parameters,
            state,
            runs,
        } in &lines
        {
            writeln!(f, "  {name:<width$}  {parameters:>10}  {state:<17}  {runs}")?;
        }
        if let Some(division) = self.prefix {
            writeln!(f, "Frozen layers run {division}")?;
        }
        if let Some(similarity) = self.frozen_precision {
            writeln!(f, "Low precision: {similarity}")?;
        }
        if self.features_per_sample > 0 {
            let kept = if self.features_kept {
                "kept"
            } else {
                "not kept: too many"
            };
            let bytes = bytes(self.feature_bytes());
            let numbers = self.features_per_sample;
            writeln!(
                f,
                "Features: {numbers} numbers per sample, {bytes} in all, {kept}"
            )?;
        }
        writeln!(
            f,
            "Operations per epoch: {}; {} without keeping features; {} if all were trained",
            operations(self.operations_per_epoch),
            operations(self.operations_without_cache),
            operations(self.operations_if_all_trained)
        )?;
        write!(f, "Buffers of a step: {}", bytes(self.buffer_bytes))?;
        match self.operations_computed_again {
            0 => Ok(()),
            count => write!(f, "; {} computed again for it", operations(count)),
        }
    }
}

/// `12.3 million`, as people read numbers.
fn operations(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.1} thousand", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} million", count as f64 / 1e6),
        _ => format!("{:.1} billion", count as f64 / 1e9),
    }
}

fn bytes(count: usize) -> String {
    match count {
        0..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Dense, Dropout, Input, LayerExt, layers};
    use crate::{Sequential, applications};

    #[test]
    fn a_nested_model_takes_a_line_for_each_stretch_that_is_treated_alike() {
        let application = applications::mobilenet_v2().input_shape([32, 32, 3]);
        let base = application
            .include_top(false)
            .pooling("avg")
            .build()
            .unwrap();
        let mut model = Sequential::new(layers![
            Input::new([32, 32, 3]),
            base.model.named("base").frozen(),
            Dropout::new(0.2),
            Dense::new(5),
        ])
        .unwrap();
        model.unfreeze("base/block_16_project").unwrap();
        let loss = "sparse_categorical_crossentropy";
        model.compile("adam", loss, ["accuracy"]).unwrap();
        let plan = model.plan(100, 32).unwrap();
        let (short, long) = (plan.to_string(), format!("{plan:#}"));
        assert_eq!(long.lines().count(), plan.layers.len() + 5, "{long}");
        // The base before the unfrozen layer, that layer, the base after it; three layers, four lines.
        assert_eq!(short.lines().count(), 3 + 3 + 5, "{short}");
        let trained = short
            .lines()
            .find(|line| line.contains("base/block_16_project ("));
        assert!(
            trained.is_some_and(|line| line.contains("backward")),
            "{short}"
        );
        // Nothing is lost in folding.
        let elements = |lines: Vec<Line>| lines.iter().map(|line| line.parameters).sum::<usize>();
        assert_eq!(elements(plan.folded()), elements(plan.lines()));
    }
}
