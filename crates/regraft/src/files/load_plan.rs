//! What loading is going to do: which values go where, known and checked before any is written.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use regraft_autograd::VariableId;
use regraft_io::{Checkpoint, Format, SavedWeight};
use regraft_layers::{LayerOrders, Model as Network, Selector, Weight};
use regraft_optimizers::Optimizer;
use regraft_tensor::{Detail, Tensor};

use crate::files::layout::Layout;
use crate::files::load::Load;
use crate::files::load_report::{LoadError, LoadReport, Loaded, Mismatched, OptimizerState};
use crate::files::matching::{
    Sources, Wanted, find_by_layers, find_by_names, is_optimizer_within, layers_of, tensor_names,
};
use crate::files::optimizer_state;
use crate::files::recurrent_pytorch;
use crate::files::reparametrized::multiplied_out;
use crate::{Error, Model, Result};

/// The state of the random numbers of a layer, which Keras 2 keeps in checkpoints; ours have no state.
const SEED_OF_KERAS_2: &str = "_random_generator/_generator/_state_var";

/// A loading that fits.
#[derive(Debug)]
pub(crate) struct LoadPlan {
    report: LoadReport,
    values: Vec<(VariableId, Tensor)>,
    /// What layers are called in the file, if it is PyTorch's.
    modules: Vec<(String, String)>,
    /// With the file's memory, or why it is not restored.
    optimizer: Result<Optimizer, String>,
}

impl LoadPlan {
    /// What loading `checkpoint` into `model` would do; `source` names it in messages.
    ///
    /// # Errors
    /// All that does not fit.
    pub fn of(model: &Model, checkpoint: &Checkpoint, source: &str, load: &Load) -> Result<Self> {
        let network = &model.network;
        if !network.is_built() {
            return Err(Error::Model(
                Detail::new(
                    network.name(),
                    "a model whose input shape is known",
                    "one without",
                )
                .help("begin it with `Input::new([…])`, or call `build(&[…])`"),
            ));
        }
        if network.is_merged() {
            let expected = "a model whose adapters are not merged, to load weights";
            let detail = Detail::new(network.name(), expected, "one whose are");
            return Err(Error::Model(detail.help("call `unmerge_adapter` first")));
        }
        let kept = Kept::of(network, load)?;
        let layout = load.layout.unwrap_or(Layout::of(checkpoint.format));
        let checkpoint = match layout {
            Layout::Keras => Cow::Borrowed(checkpoint),
            Layout::PyTorch => multiplied_out(checkpoint),
        };
        let checkpoint = match layout {
            Layout::Keras => Cow::Borrowed(&*checkpoint),
            Layout::PyTorch => recurrent_pytorch::as_keras(&checkpoint),
        };
        let checkpoint = &*checkpoint;
        let orders = match layout {
            Layout::Keras => HashMap::new(),
            Layout::PyTorch => orders_there(network, load.as_stored.as_ref())?,
        };
        let wanted = layers_of(network);
        let sources = match (&load.names, layout) {
            (None, Layout::Keras) => find_by_layers(&wanted, checkpoint, &kept.layers),
            (names, _) => find_by_names(&wanted, checkpoint, &kept.layers, names.as_ref(), layout)?,
        };
        let (mut report, values) = pair_up(
            &wanted, checkpoint, source, &kept, &sources, layout, &orders,
        );
        let is_ignored = |name: &String| {
            // `DataParallel` has put this in front.
            let name = name.strip_prefix("module.").unwrap_or(name);
            load.ignored.iter().any(|it| name.starts_with(it))
        };
        report
            .ignored
            .extend(report.unexpected.extract_if(.., |name| is_ignored(name)));
        report.shared = network.shared_layers();
        let fits = report.mismatched.is_empty()
            && (load.allow_missing || report.missing.is_empty())
            && (load.allow_unexpected || report.unexpected.is_empty());
        let changed_classes = match (&model.class_names, saved_class_names(checkpoint)) {
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
        let optimizer = match (&model.training, &checkpoint.optimizer) {
            (Some(_), Some(saved)) if !load.skip_optimizer && kept.weights.is_empty() => {
                optimizer_state::restored(model, saved)
            }
            (_, Some(_)) => Err("not asked for".to_string()),
            (_, None) => Err("the file has none".to_string()),
        };
        let modules = match layout {
            Layout::Keras => Vec::new(),
            // A weight of a layer of one's own may have a name of several parts.
            Layout::PyTorch => {
                let paths: HashSet<String> =
                    network.places().into_iter().map(|it| it.path).collect();
                let modules = report.loaded.iter().filter_map(module_of);
                modules.filter(|(path, _)| paths.contains(path)).collect()
            }
        };
        Ok(LoadPlan {
            report,
            modules,
            values,
            optimizer,
        })
    }

    /// Does it, to the model that it was made for.
    pub fn commit(self, model: &mut Model) -> LoadReport {
        let mut report = self.report;
        let named = model.network.set_module_names(self.modules);
        named.expect("names of places of the model");
        let set = model.network.set_weights(self.values);
        set.expect("ids and shapes are those of the model's weights");
        report.optimizer = match (self.optimizer, model.training_mut()) {
            (Ok(optimizer), Ok(training)) => {
                let steps = optimizer.iterations();
                training.optimizer = optimizer;
                OptimizerState::Restored { steps }
            }
            (Err(reason), _) => OptimizerState::NotRestored { reason },
            (Ok(_), Err(_)) => unreachable!("an optimizer is restored of a model that has one"),
        };
        report
    }
}

/// The path of a layer, and what it is called in the file.
fn module_of(loaded: &Loaded) -> Option<(String, String)> {
    let (layer, _) = loaded.weight.rsplit_once('/')?;
    let (module, _) = loaded.source.rsplit_once('.')?;
    Some((layer.to_string(), module.to_string()))
}

/// What keeps its values.
struct Kept {
    weights: HashSet<VariableId>,
    /// Layers all of whose weights do, so that the file need not have them.
    layers: HashSet<String>,
}

impl Kept {
    fn of(model: &Network, load: &Load) -> Result<Self> {
        let picked = |selector: &Selector| -> Result<HashSet<VariableId>> {
            // Layers without weights may be picked, too.
            model.select(selector)?;
            let paths = model.select_weights(selector).unwrap_or_default();
            let paths: HashSet<&str> = paths.iter().map(String::as_str).collect();
            let weights = model.weights().iter();
            let weights = weights.filter(|weight| paths.contains(weight.path()));
            Ok(weights.map(Weight::id).collect())
        };
        let keep = load.keep.as_ref().map(picked).transpose()?;
        let mut weights = keep.unwrap_or_default();
        if let Some(only) = load.only.as_ref().map(picked).transpose()? {
            let all = model.weights().iter().map(Weight::id);
            weights.extend(all.filter(|id| !only.contains(id)));
        }
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
fn pair_up(
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
    let mut names = tensor_names(checkpoint).into_iter();
    for layer in &checkpoint.layers {
        for (weight, (name, _)) in layer.weights.iter().zip(names.by_ref()) {
            if used.contains(&std::ptr::from_ref(weight)) {
                continue;
            }
            let ignored = layout.ignores(&weight.path)
                || is_optimizer_within(layer)
                || weight.path.ends_with(SEED_OF_KERAS_2);
            match ignored {
                true => report.ignored.push(weight.path.clone()),
                false => report.unexpected.push(name),
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
