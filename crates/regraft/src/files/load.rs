//! Loading weights: plan, verify, commit. Nothing is written until everything fits, and a report
//! says what was loaded from where.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use regraft_autograd::VariableId;
use regraft_io::{Checkpoint, Format, SavedWeight};
use regraft_layers::{IntoSelector, LayerOrders, Model as Network, Selector};
use regraft_tensor::{Detail, Tensor};

use crate::files::layout::Layout;
use crate::files::load_report::{LoadError, LoadReport, Loaded, Mismatched, OptimizerState};
use crate::files::matching::{
    Sources, Wanted, find_by_layers, find_by_names, is_optimizer_within, layers_of,
};
use crate::files::name_map::NameMap;
use crate::files::reparametrized::multiplied_out;
use crate::{Error, Model, Result};

/// The state of the random numbers of a layer, which Keras 2 keeps in checkpoints; ours have no state.
const SEED_OF_KERAS_2: &str = "_random_generator/_generator/_state_var";

/// What to load and how: `Load::new().keep("head")`. The defaults are strict: every weight of the
/// model must be in the file and every weight of the file in the model.
///
/// Weights that another program wrote go into the model by a map of names, and by the conventions of
/// that program ([`Layout`]):
///
/// ```no_run
/// # fn main() -> regraft::Result<()> {
/// # let mut model = regraft::Sequential::new(Vec::new())?;
/// use regraft::{Layout, Load};
///
/// let load = Load::map([
///     ("features.0.0.**", "stem_conv/$1"),
///     ("features.*.conv.**", "block_$1/$2"),
/// ]);
/// let report = model.load_weights_with("weights.safetensors", load.layout(Layout::PyTorch))?;
/// println!("{report}"); // … converted: OIHW → HWIO  stem_conv/kernel …
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `load_weights_with`"]
pub struct Load {
    keep: Option<Selector>,
    allow_missing: bool,
    allow_unexpected: bool,
    skip_optimizer: bool,
    names: Option<NameMap>,
    layout: Option<Layout>,
    as_stored: Option<Selector>,
}

impl Load {
    /// Everything, strictly.
    pub fn new() -> Self {
        Self::default()
    }

    /// The picked layers or single weights keep their values: a new head, whose counterpart in the file has
    /// another width or other classes.
    pub fn keep(mut self, selector: impl IntoSelector) -> Self {
        self.keep = Some(match self.keep {
            Some(earlier) => earlier | selector,
            None => selector.into_selector(),
        });
        self
    }

    /// The picked layers or single weights are loaded and all others keep theirs: what
    /// [`save_weights_of`](crate::Model::save_weights_of) saved.
    pub fn only(selector: impl IntoSelector) -> Self {
        Self::new().keep(!selector.into_selector())
    }

    /// Weights of the model that the file does not have keep their values.
    pub fn allow_missing(mut self) -> Self {
        self.allow_missing = true;
        self
    }

    /// Weights of the file that the model does not have are left aside.
    pub fn allow_unexpected(mut self) -> Self {
        self.allow_unexpected = true;
        self
    }

    /// As [`new`](Self::new), with names of tensors in the file rewritten to those of the model's
    /// weights by the first pattern that matches; other names stay. See [`rename`](Self::rename).
    ///
    /// In a pattern `*` stands for anything but `.` and `/`, `**` for anything, both for nothing too;
    /// `$1`, `$2`, … in a replacement are what they stood for. A pattern that matches no tensor is an
    /// error.
    pub fn map<P: Into<String>, R: Into<String>>(
        patterns: impl IntoIterator<Item = (P, R)>,
    ) -> Self {
        let patterns = patterns.into_iter();
        let patterns = patterns.map(|(pattern, name)| (pattern.into(), name.into()));
        Load {
            names: Some(NameMap::Patterns(patterns.collect())),
            ..Load::default()
        }
    }

    /// Rewrites the names of the file's tensors (`features.0.0.weight`, `base/conv1/kernel`) to those
    /// of the model's weights (`conv1/kernel`), in which `.` is as good as `/`. The last part may be the
    /// file's own word, if a [`layout`](Self::layout) tells what it means. Layers are matched by these
    /// names alone then, never by class and order.
    pub fn rename(mut self, rename: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.names = Some(NameMap::Function(Arc::new(rename)));
        self
    }

    /// Whose conventions for the names and the layouts of a layer's weights the file follows: PyTorch's
    /// for PyTorch's own files, Keras' for all others unless told here. A `.safetensors` file does not
    /// say who wrote it, so PyTorch's must be asked for.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// The picked layers' features are in the order in which the file has them: nothing is permuted because
    /// of a flatten in front of them or an image behind. It is for files whose program had its channels last
    /// there, and for weights that were permuted already.
    pub fn as_stored(mut self, selector: impl IntoSelector) -> Self {
        self.as_stored = Some(match self.as_stored {
            Some(earlier) => earlier | selector,
            None => selector.into_selector(),
        });
        self
    }

    /// The optimizer's memory is not restored.
    pub fn without_optimizer(mut self) -> Self {
        self.skip_optimizer = true;
        self
    }
}

impl Model {
    /// Loads weights from a file of any format that [`regraft_io::read`] knows: `.weights.h5`,
    /// `.keras`, legacy `.h5`, `.weights.json`, `.safetensors`, TensorFlow checkpoints and SavedModels,
    /// TensorFlow.js layers models.
    ///
    /// Layers are matched by name where the names of the file are those of the model, and otherwise
    /// by class and order, weights by what the file says; never by position alone. If the model is
    /// compiled with the optimizer of the file, the optimizer's memory is restored too, so that
    /// training goes on where it was.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Load`] with a table of everything that
    /// does not fit. The model is unchanged then, in every bit.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<LoadReport> {
        self.load_weights_with(path, Load::new())
    }

    /// As [`load_weights`](Self::load_weights), with exceptions.
    ///
    /// # Errors
    /// As [`load_weights`](Self::load_weights); [`regraft_layers::Error::NoMatch`] if
    /// [`Load::keep`] picks nothing.
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, load: Load) -> Result<LoadReport> {
        let checkpoint = regraft_io::read(&path)?;
        self.load_checkpoint(&checkpoint, &path.as_ref().display().to_string(), load)
    }

    /// As [`load_weights_with`](Self::load_weights_with), from a checkpoint in memory; `source`
    /// names it in messages.
    ///
    /// # Errors
    /// As [`load_weights_with`](Self::load_weights_with).
    pub fn load_checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        source: &str,
        load: Load,
    ) -> Result<LoadReport> {
        let model = &self.network;
        if !model.is_built() {
            return Err(Error::Model(
                Detail::new(
                    model.name(),
                    "a model whose input shape is known",
                    "one without",
                )
                .help("begin it with `Input::new([…])`, or call `build(&[…])`"),
            ));
        }
        let kept = match &load.keep {
            Some(selector) => Kept::of(model, selector)?,
            None => Kept::default(),
        };
        let layout = load.layout.unwrap_or(Layout::of(checkpoint.format));
        let checkpoint = match layout {
            Layout::Keras => Cow::Borrowed(checkpoint),
            Layout::PyTorch => multiplied_out(checkpoint),
        };
        let checkpoint = &*checkpoint;
        let orders = match layout {
            Layout::Keras => HashMap::new(),
            Layout::PyTorch => orders_there(model, load.as_stored.as_ref())?,
        };
        let wanted = layers_of(model);
        let sources = match (&load.names, layout) {
            (None, Layout::Keras) => find_by_layers(&wanted, checkpoint, &kept.layers),
            (names, _) => find_by_names(&wanted, checkpoint, &kept.layers, names.as_ref(), layout)?,
        };
        let (mut report, values) = plan(
            &wanted, checkpoint, source, &kept, &sources, layout, &orders,
        );
        report.shared = model.shared_layers();
        let fits = report.mismatched.is_empty()
            && (load.allow_missing || report.missing.is_empty())
            && (load.allow_unexpected || report.unexpected.is_empty());
        let changed_classes = match (&self.class_names, saved_class_names(checkpoint)) {
            (Some(ours), Some(theirs)) if kept.weights.is_empty() && *ours != theirs => {
                Some(theirs)
            }
            _ => None,
        };
        // A model may have no weights; but a file of others was not what was meant.
        let nothing = values.is_empty() && !wanted.is_empty();
        if !fits || nothing || changed_classes.is_some() {
            report.class_names = changed_classes;
            return Err(Error::Load(Box::new(LoadError(report))));
        }
        // Everything that can fail has been done; what follows cannot be half done.
        let restored = match (&self.training, &checkpoint.optimizer) {
            (Some(_), Some(saved)) if !load.skip_optimizer && kept.weights.is_empty() => {
                crate::files::optimizer_state::restored(self, saved)
            }
            (_, Some(_)) => Err("not asked for".to_string()),
            (_, None) => Err("the file has none".to_string()),
        };
        self.network.set_weights(values)?;
        report.optimizer = match restored {
            Ok(optimizer) => {
                let steps = optimizer.iterations();
                self.training_mut()?.optimizer = optimizer;
                OptimizerState::Restored { steps }
            }
            Err(reason) => OptimizerState::NotRestored { reason },
        };
        Ok(report)
    }
}

/// What keeps its values.
#[derive(Default)]
struct Kept {
    weights: HashSet<VariableId>,
    /// Layers all of whose weights do, so that the file need not have them.
    layers: HashSet<String>,
}

impl Kept {
    fn of(model: &Network, selector: &Selector) -> Result<Self> {
        // Layers without weights may be picked, too.
        model.select(selector)?;
        let paths = model.select_weights(selector).unwrap_or_default();
        let paths: HashSet<&str> = paths.iter().map(String::as_str).collect();
        let weights = model.weights().iter();
        let weights = weights.filter(|weight| paths.contains(weight.path()));
        let weights: HashSet<VariableId> = weights.map(|weight| weight.id()).collect();
        let places = model.places().into_iter();
        let whole = places.filter(|place| {
            !place.weights.is_empty() && place.weights.iter().all(|id| weights.contains(id))
        });
        let layers = whole.map(|place| place.path).collect();
        Ok(Kept { weights, layers })
    }
}

/// In which order PyTorch has the values of each layer, by the layer's path; those of layers that
/// `as_stored` picks are as here.
fn orders_there(
    model: &Network,
    as_stored: Option<&Selector>,
) -> Result<HashMap<String, LayerOrders>> {
    let as_stored: HashSet<String> = match as_stored {
        Some(selector) => model.select(selector.clone())?.into_iter().collect(),
        None => HashSet::new(),
    };
    match model.element_orders() {
        Ok(mut orders) => {
            orders.retain(|path, _| !as_stored.contains(path));
            Ok(orders)
        }
        Err(_) if !as_stored.is_empty() => Ok(HashMap::new()),
        Err(reason) => {
            let expected = "a model that is the same network with the channels first";
            let detail = Detail::new("Layout::PyTorch", expected, reason);
            let help = "permute the weights yourself and pick the layers with `Load::as_stored`";
            Err(Error::Setting(detail.help(help)))
        }
    }
}

/// The class names that a file of ours has.
pub(crate) fn saved_class_names(checkpoint: &Checkpoint) -> Option<Vec<String>> {
    let names = checkpoint
        .metadata
        .entries
        .get(crate::files::keys::CLASS_NAMES)?;
    serde_json::from_str(names).ok()
}

/// What goes where, without touching the model.
fn plan(
    wanted: &[Wanted<'_>],
    checkpoint: &Checkpoint,
    source: &str,
    kept: &Kept,
    sources: &Sources<'_>,
    layout: Layout,
    orders: &HashMap<String, LayerOrders>,
) -> (LoadReport, Vec<(VariableId, Tensor)>) {
    let mut report = LoadReport::new(source, checkpoint.format);
    let mut values: Vec<(VariableId, Tensor)> = Vec::new();
    // A layer that stands in several places may be in the file once or as often.
    let mut places: HashMap<VariableId, usize> = HashMap::new();
    let pairs = wanted.iter().zip(&sources.weights);
    let pairs = pairs.flat_map(|(layer, found)| layer.weights.iter().zip(found));
    let found_somewhere: HashSet<VariableId> = pairs
        .filter(|(_, found)| found.is_some())
        .map(|((id, _), _)| *id)
        .collect();
    let not_wanted = sources.not_wanted.iter();
    let mut used: HashSet<*const SavedWeight> =
        not_wanted.map(|w| std::ptr::from_ref(*w)).collect();
    for (layer, found) in wanted.iter().zip(&sources.weights) {
        if kept.layers.contains(&layer.path) {
            let weights = layer.weights.iter();
            let paths = weights.map(|(_, weight)| weight.path().to_string());
            report.kept.extend(paths);
            continue;
        }
        for ((id, weight), found) in layer.weights.iter().zip(found) {
            if kept.weights.contains(id) {
                report.kept.push(weight.path().to_string());
                used.extend(found.map(std::ptr::from_ref));
                continue;
            }
            let Some(found) = found else {
                if !found_somewhere.contains(id) {
                    report.missing.push(weight.path().to_string());
                }
                continue;
            };
            used.insert(std::ptr::from_ref(*found));
            let shape = weight.value().shape();
            let tensor = found.tensor.to_tensor().map_err(|error| error.to_string());
            let orders = orders.get(&layer.path);
            let converted =
                tensor.and_then(|it| layout.convert(layer.class_name, weight, orders, it));
            let (tensor, converted) = match converted {
                Ok(converted) => converted,
                Err(reason) => {
                    report.missing.push(format!("{} ({reason})", weight.path()));
                    continue;
                }
            };
            if tensor.shape() != shape {
                report.mismatched.push(Mismatched {
                    weight: weight.path().to_string(),
                    source: found.path.clone(),
                    expected: shape.to_vec(),
                    received: tensor.shape().to_vec(),
                });
                continue;
            }
            if let Some(&place) = places.get(id) {
                if values[place].1 != tensor {
                    let other = "other values than in another place of the same layer";
                    let missing = format!("{} ({other}: {})", weight.path(), found.path);
                    report.missing.push(missing);
                }
                continue;
            }
            places.insert(*id, values.len());
            report.loaded.push(Loaded {
                weight: weight.path().to_string(),
                source: found.path.clone(),
                shape: shape.to_vec(),
                data_type: found.tensor.data_type(),
                layout: converted,
            });
            values.push((*id, tensor));
        }
    }
    for layer in &checkpoint.layers {
        for weight in &layer.weights {
            if used.contains(&std::ptr::from_ref(weight)) {
                continue;
            }
            let ignored = layout.ignores(&weight.path)
                || is_optimizer_within(layer)
                || weight.path.ends_with(SEED_OF_KERAS_2);
            match ignored {
                true => report.ignored.push(weight.path.clone()),
                false => report.unexpected.push(weight.path.clone()),
            }
        }
    }
    if checkpoint.format == Format::PyTorch {
        let extra = checkpoint.extra.iter();
        report
            .ignored
            .extend(extra.map(|weight| weight.path.clone()));
    }
    (report, values)
}
