//! A head on features of all blocks, of which those are kept that tell most (Head2Toe).

use std::fmt;

use regraft_data::{Dataset, random_split, stratified_split};
use regraft_layers::layers::{
    Concatenate, Dense, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
    Input, UnitNormalization,
};
use regraft_layers::{IntoSelector, LayerExt, LayerSpec, Place, Selector};
use regraft_tensor::{Detail, Tensor};

use crate::fine_tuning::probe;
use crate::fine_tuning::weighed::{Known, by_weight, most};
use crate::heads::Solved;
use crate::training::blocks::blocks;
use crate::{Error, Functional, Model, Result};

/// More numbers than a layer may give: Head2Toe's `target_size`.
const MOST: usize = 8192;

/// How [`Model::head2toe`] makes a head on features of all blocks (Evci et al. 2022,
/// <https://arxiv.org/abs/2201.03529>), without its steps.
///
/// What each block gives is averaged over space and made of length 1 for each sample. On all of these a ridge regression
/// is solved; a feature f counts as much as ‖W_f‖₂, the norm of its row of weights, and the ridge regression is solved
/// again on those that count most. How many these are, validation data tell, among them the last block alone.
#[derive(Clone, Debug)]
#[must_use = "pass it to `head2toe`"]
pub struct Head2Toe {
    layers: Option<Selector>,
    shares: Vec<f64>,
    validation_split: f64,
    seed: u64,
}

impl Default for Head2Toe {
    fn default() -> Self {
        Head2Toe {
            layers: None,
            shares: vec![0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0],
            validation_split: 0.2,
            seed: 0,
        }
    }
}

impl Head2Toe {
    /// Of all blocks; 1, 2, 5, 10, 20, 50 and 100 % of the features are tried, on a fifth of the samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// The layers whose outputs are taken, instead of each block's last.
    pub fn layers(mut self, layers: impl IntoSelector) -> Self {
        self.layers = Some(layers.into_selector());
        self
    }

    /// The shares of the features that are tried.
    pub fn shares(mut self, shares: impl IntoIterator<Item = f64>) -> Self {
        self.shares = shares.into_iter().collect();
        self
    }

    /// The share of the samples that tell how many features are kept (.2), the same of each class.
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation_split = share;
        self
    }

    /// Where the split starts.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// Features that were tried, and what a head on them says of validation data.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The share of all features; `None` for those of the last block.
    pub share: Option<f64>,
    /// How many these are.
    pub features: usize,
    /// The log-loss on validation data; infinite where they tell nothing.
    pub log_loss: f64,
    /// The share of validation data that it is right about.
    pub accuracy: f64,
}

/// A layer, how many of its features are kept, and of how many.
type KeptLayer = (String, usize, usize);

/// What [`Model::head2toe`] gives. It prints as a table.
#[derive(Clone, Debug)]
pub struct SelectedFeatures {
    tried: Vec<Selection>,
    kept: usize,
    layers: Vec<KeptLayer>,
    solved: Solved,
    model: Model,
}

impl SelectedFeatures {
    /// What was tried, the last block alone first.
    pub fn tried(&self) -> &[Selection] {
        &self.tried
    }

    /// What has the least log-loss.
    pub fn kept(&self) -> &Selection {
        &self.tried[self.kept]
    }

    /// The layers whose features are kept, with how many of how many.
    pub fn layers(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.layers
            .iter()
            .map(|(name, kept, all)| (name.as_str(), *kept, *all))
    }

    /// The head, solved on all samples.
    pub fn solved(&self) -> &Solved {
        &self.solved
    }

    /// The network up to the layers whose features are kept, frozen, and the head: a model that can be saved, and that
    /// Keras opens. The head's weights are 0 for features that are not kept.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// As [`model`](Self::model).
    pub fn into_model(self) -> Model {
        self.model
    }
}

impl fmt::Display for SelectedFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, tried) in self.tried.iter().enumerate() {
            let what = match tried.share {
                Some(share) => format!("{:.0} % of all", 100.0 * share),
                None => "the last block".to_string(),
            };
            let mark = if index == self.kept { "  ← kept" } else { "" };
            writeln!(
                f,
                "{what:>15}  {:>6} features  log-loss {:.4}  accuracy {:.3}{mark}",
                tried.features, tried.log_loss, tried.accuracy
            )?;
        }
        for (name, kept, all) in &self.layers {
            writeln!(f, "{kept:>6} of {all:<6} {name}")?;
        }
        Ok(())
    }
}

impl Model {
    /// A head on features of all blocks of this network, of which those are kept that tell most: for classes that are far
    /// from what the network was trained on. The network stays as it is; one pass over the data computes all features.
    ///
    /// ```
    /// use regraft::data::Arrays;
    /// use regraft::fine_tuning::Head2Toe;
    /// use regraft::prelude::*;
    ///
    /// let network = Sequential::new(layers![
    ///     Input::new([8, 8, 1]),
    ///     Conv2D::new(8, 3).activation("relu").named("low"),
    ///     Conv2D::new(8, 3).activation("relu").named("high"),
    ///     GlobalAveragePooling2D::new(),
    ///     Dense::new(10).named("old_classes"),
    /// ])?;
    /// let x = Array4::from_shape_fn((40, 8, 8, 1), |(n, i, j, _)| (((n % 2 + 1) * (i + j) + n) as f32 * 0.7).sin());
    /// let y: Vec<i32> = (0..40).map(|n| n % 2).collect();
    /// let selected = network.head2toe(&Arrays::new(&x, &y)?, Head2Toe::new())?;
    /// println!("{selected}");
    /// let probabilities = selected.model().predict(&x)?;
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// Data without a class for each sample, or of which a split has not all; shares that are not above 0 and at most 1; a
    /// network of several inputs; layers whose outputs are no features; and as
    /// [`predict_dataset`](Self::predict_dataset).
    pub fn head2toe(&self, data: &dyn Dataset, head: Head2Toe) -> Result<SelectedFeatures> {
        let wrong_share = |share: &&f64| !(**share > 0.0 && **share <= 1.0);
        if let Some(wrong) = head.shares.iter().find(wrong_share) {
            let detail = Detail::new("Head2Toe.shares", "above 0 and at most 1", wrong);
            return Err(Error::Setting(detail));
        }
        let Some(labels) = probe::classes(data)? else {
            let detail = Detail::new(
                "head2toe",
                "a class for each sample, of two or more",
                "none",
            );
            return Err(Error::Data(detail));
        };
        let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
        let layers = self.layers_of_blocks(head.layers.as_ref())?;
        let (all, sources) = self.all_features(&layers)?;
        let features = all.predict_dataset(data)?.swap_remove(0);
        let split = stratified_split(&labels, head.validation_split, head.seed);
        let split = match split {
            Ok(split) => split,
            Err(_) => random_split(labels.len(), head.validation_split, head.seed)?,
        };
        let known = Known {
            features: &features,
            labels: &labels,
            classes,
        };
        let everything: Vec<usize> = (0..features.shape()[1]).collect();
        let order = by_weight(&known.solve(&split.train, &everything)?);
        let last = sources.last().map_or(0, |source| source.count);
        let of_last: Vec<usize> = everything[everything.len() - last..].to_vec();
        let mut candidates = vec![(None, of_last)];
        for &share in &head.shares {
            candidates.push((Some(share), most(&order, share)));
        }
        let mut tried = Vec::new();
        for (share, columns) in &candidates {
            // Features that are alike in all samples have no solution, and are worth nothing.
            let (log_loss, accuracy) = match known.solve(&split.train, columns) {
                Ok(solved) => known.judge(&solved, &split.validation, columns),
                Err(Error::Heads(_)) => (f64::INFINITY, 0.0),
                Err(error) => return Err(error),
            };
            tried.push(Selection {
                share: *share,
                features: columns.len(),
                log_loss,
                accuracy,
            });
        }
        let kept = (0..tried.len())
            .min_by(|&a, &b| tried[a].log_loss.total_cmp(&tried[b].log_loss))
            .expect("the last block is tried");
        // Once it is known how many, all samples tell which.
        let samples: Vec<usize> = (0..labels.len()).collect();
        let columns = match candidates.swap_remove(kept) {
            (None, columns) => columns,
            (Some(share), _) => most(&by_weight(&known.solve(&samples, &everything)?), share),
        };
        let solved = known.solve(&samples, &columns)?;
        let (model, layers) = self.of_selected(&sources, &columns, &solved)?;
        Ok(SelectedFeatures {
            tried,
            kept,
            layers,
            solved,
            model,
        })
    }

    /// The layers that give what blocks give: the last of each block, what follows it without parameters included. A
    /// last block that is one dense layer whose output is the model's is left out: it tells other classes.
    pub(super) fn layers_of_blocks(&self, selector: Option<&Selector>) -> Result<Vec<String>> {
        if let Some(selector) = selector {
            return Ok(self.network.select(selector)?);
        }
        let mut blocks = blocks(&self.network);
        let is_head = blocks.last().is_some_and(|block| {
            let layer = self.get_layer(block.layers[0].as_str());
            let is_last = layer.is_ok_and(|layer| {
                let shape = layer.output_shape();
                layer.class_name() == "Dense" && shape == self.output_shapes().first()
            });
            is_last && block.layers.len() == 1 && blocks.len() > 1
        });
        let head = if is_head { blocks.pop() } else { None };
        let is = |place: &Place<'_>, layers: &[String]| layers.contains(&place.path);
        let mut layers: Vec<String> = Vec::new();
        let mut current = None;
        for place in self.places() {
            let is_single = !place.is_model && !place.is_repeated && place.attribute.is_none();
            if head.as_ref().is_some_and(|head| is(&place, &head.layers)) {
                break;
            }
            let begun = blocks.iter().position(|block| is(&place, &block.layers));
            current = begun.or(current);
            let has_output = is_single
                && self
                    .get_layer(place.path.as_str())
                    .is_ok_and(|layer| layer.output_shape().is_some());
            if let (Some(current), true) = (current, has_output) {
                layers.resize(layers.len().max(current + 1), String::new());
                layers[current] = place.path;
            }
        }
        layers.retain(|layer| !layer.is_empty());
        match layers.is_empty() {
            false => Ok(layers),
            true => {
                let detail = Detail::new(self.name(), "a network with blocks", "none");
                Err(Error::Model(detail.help("`Head2Toe::layers` names layers")))
            }
        }
    }

    /// A model that gives all features in a row, and of which layers they are.
    fn all_features(&self, layers: &[String]) -> Result<(Model, Vec<Source>)> {
        let (mut f, x, sources, features) = self.pooled(layers)?;
        let row = match features.as_slice() {
            [one] => *one,
            several => f.apply(Concatenate::new(), several)?,
        };
        Ok((f.model(&[x], &[row])?, sources))
    }

    /// The graph of what layers give, averaged over space and of length 1.
    fn pooled(
        &self,
        layers: &[String],
    ) -> Result<(
        Functional,
        regraft_layers::LayerOutput,
        Vec<Source>,
        Vec<regraft_layers::LayerOutput>,
    )> {
        let inputs = self.input_shapes();
        let sample = match inputs.as_slice() {
            [shape] => shape.sample(),
            _ => None,
        };
        let Some(sample) = sample else {
            let received = format!("{} inputs", inputs.len());
            let detail = Detail::new(self.name(), "a network with 1 input", received);
            return Err(Error::Model(detail));
        };
        let base = self.features(layers.iter().map(String::as_str))?;
        let name = match self.name() {
            "samples" => "network",
            name => name,
        };
        let mut f = Functional::new();
        let input = Input::new(sample).of_type(self.network.input_element_types()[0]);
        let x = f.apply(input.named("samples"), &[])?;
        let first = f.apply(base.named(name), &[x])?;
        let (mut sources, mut features) = (Vec::new(), Vec::new());
        for (layer, output) in layers.iter().zip(f.outputs_of(first)) {
            let shape = f.shape(output).and_then(|shape| shape.sample());
            let shape = shape.unwrap_or_default();
            let pooling: Option<LayerSpec> = match shape.len() {
                2 => Some(GlobalAveragePooling1D::new().into()),
                3 => Some(GlobalAveragePooling2D::new().into()),
                4 => Some(GlobalAveragePooling3D::new().into()),
                _ => None,
            };
            let count = shape.last().copied().unwrap_or(0);
            if shape.is_empty() || shape.len() > 4 || count > MOST {
                let expected = format!("features over space, of {MOST} channels at most");
                let received = format!("{shape:?} for a sample");
                let detail = Detail::new(layer, expected, received);
                let help = "`Head2Toe::layers` names the layers that are taken";
                return Err(Error::Model(detail.help(help)));
            }
            let pooled = match pooling {
                Some(pooling) => f.apply(pooling, &[output])?,
                None => output,
            };
            features.push(f.apply(UnitNormalization::new(), &[pooled])?);
            sources.push(Source {
                layer: layer.clone(),
                count,
            });
        }
        Ok((f, x, sources, features))
    }

    /// The network up to the layers of which features are kept, and the head on them.
    fn of_selected(
        &self,
        sources: &[Source],
        columns: &[usize],
        solved: &Solved,
    ) -> Result<(Model, Vec<KeptLayer>)> {
        let classes = solved.classes();
        let kernel = solved.kernel().as_slice();
        let (mut first, mut rows, mut layers) = (0, Vec::new(), Vec::new());
        for source in sources {
            let end = first + source.count;
            let mut of_source = vec![0.0; source.count * classes];
            let mut kept = 0;
            for (row, column) in columns.iter().enumerate() {
                if (first..end).contains(column) {
                    let theirs = &kernel[row * classes..][..classes];
                    of_source[(column - first) * classes..][..classes].copy_from_slice(theirs);
                    kept += 1;
                }
            }
            if kept > 0 {
                rows.extend(of_source);
                layers.push((source.layer.clone(), kept, source.count));
            }
            first = end;
        }
        let names: Vec<String> = layers.iter().map(|(name, ..)| name.clone()).collect();
        let (mut f, x, _, features) = self.pooled(&names)?;
        let row = match features.as_slice() {
            [one] => *one,
            several => f.apply(Concatenate::new(), several)?,
        };
        let head = Dense::new(classes).activation("softmax");
        let output = f.apply(head.named("predictions"), &[row])?;
        let mut model: Model = f.model(&[x], &[output])?;
        let kernel = Tensor::new([rows.len() / classes, classes], rows);
        let kernel = kernel.map_err(|error| Error::Data(error.into()))?;
        model.set_layer_weights("predictions", vec![kernel, solved.bias().clone()])?;
        model.freeze(..)?;
        model.unfreeze("predictions")?;
        Ok((model, layers))
    }
}

/// A layer that features are of, and how many.
#[derive(Clone, Debug)]
struct Source {
    layer: String,
    count: usize,
}
