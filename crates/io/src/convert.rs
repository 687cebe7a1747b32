//! From the places that layers have in one kind of file to those that they have in another.
//!
//! Keras 3's files have layers in containers, numbered by class (`layers/functional/layers/conv2d`); legacy
//! files have the layers of the model by name, each with all weights that are in it, trained ones first;
//! safetensors have tensors by layers' names (`base/conv1/kernel`). The model's configuration tells which is
//! which. A `.safetensors` file made of one of Keras' keeps the places in its header, so that the way back is
//! exact without it.
//!
//! Nothing is guessed: what the target cannot hold is named in [`Converted::dropped`], and where the places
//! cannot be told the conversion is refused.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Value, json};

use crate::architecture::{self, Place, by_key, model_name, places};
use crate::compilation;
use crate::family::Family;
use crate::{
    Checkpoint, DataType, Dialect, Error, Format, Result, SavedLayer, SavedWeight, keras_archive,
    keras_weights, legacy_h5, safetensors, sharded,
};

/// The header entry of a `.safetensors` file that tells the places in Keras' files.
const PLACES: &str = "keras_places";

const OPEN: &str = "open the model with Keras or the crate regraft and save it there";

/// The largest shard that [`write()`] writes: what Keras' own examples use at most.
const SHARD: usize = 5 << 30;

/// A checkpoint as another format has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The checkpoint, for the writer of its format.
    pub checkpoint: Checkpoint,
    /// What the format has no place for, in words.
    pub dropped: Vec<String>,
}

impl Format {
    /// The format that the ending of `path` asks for, which a checkpoint with or without the model's
    /// architecture is written in.
    ///
    /// | ending | format |
    /// |---|---|
    /// | `.keras` | [`KerasArchive`](Format::KerasArchive) |
    /// | `.weights.h5` | [`KerasWeights`](Format::KerasWeights) |
    /// | `.weights.json` | [`Sharded`](Format::Sharded) |
    /// | `.h5`, `.hdf5` | [`LegacyModel`](Format::LegacyModel) with an architecture, else [`LegacyWeights`](Format::LegacyWeights) |
    /// | `.safetensors` | [`Safetensors`](Format::Safetensors) |
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another ending.
    pub fn of_path(path: impl AsRef<Path>, with_architecture: bool) -> Result<Self> {
        let name = path.as_ref().to_string_lossy();
        Ok(match () {
            () if name.ends_with(".keras") => Format::KerasArchive(Dialect::Named),
            () if name.ends_with(".weights.h5") => Format::KERAS_3,
            () if name.ends_with(".weights.json") => Format::Sharded(Dialect::Named),
            () if name.ends_with(".safetensors") => Format::Safetensors,
            () if name.ends_with(".h5") || name.ends_with(".hdf5") => match with_architecture {
                true => Format::LegacyModel,
                false => Format::LegacyWeights,
            },
            () => {
                let expected =
                    "a path that ends with .keras, .weights.h5, .weights.json, .h5 or .safetensors";
                return Err(Error::unsupported("write", expected, name));
            }
        })
    }
}

/// Writes a checkpoint of any format to a file of the format that the ending of `path` asks for
/// ([`Format::of_path`]), converted by [`Checkpoint::for_format`]. Returns what that format has no place for.
/// Either all of it is written or what was there stays.
///
/// ```no_run
/// let checkpoint = regraft_io::read("model.keras")?;
/// for dropped in regraft_io::write("model.safetensors", &checkpoint)? {
///     println!("left out: {dropped}");
/// }
/// # Ok::<(), regraft_io::Error>(())
/// ```
///
/// # Errors
/// As [`Format::of_path`], [`Checkpoint::for_format`] and the writer of the format.
pub fn write(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<Vec<String>> {
    let path = path.as_ref();
    let format = Format::of_path(path, checkpoint.config.is_some())?;
    let Converted {
        checkpoint,
        dropped,
    } = checkpoint
        .for_format(format)
        .map_err(|error| error.in_file(&path.display().to_string()))?;
    match format {
        Format::KerasArchive(_) => keras_archive::write(path, &checkpoint)?,
        Format::KerasWeights(_) => keras_weights::write(path, &checkpoint)?,
        Format::Sharded(_) => sharded::write(path, &checkpoint, SHARD)?,
        Format::Safetensors => safetensors::write(path, &checkpoint)?,
        _ => legacy_h5::write(path, &checkpoint)?,
    }
    Ok(dropped)
}

impl Checkpoint {
    /// The same checkpoint as `format` has it: layers at the places, configurations in the form and the optimizer
    /// under the names that its readers look for.
    ///
    /// Between formats of one family (Keras 3's `.keras`, `.weights.h5` and shards; legacy models and weights)
    /// layers stay as they are.
    ///
    /// # Errors
    /// [`Error::Missing`] without the model's architecture where the places depend on it;
    /// [`Error::Unsupported`] for formats that are not written, for PyTorch's layouts in Keras' files, for a
    /// `.keras` file with an architecture that Keras 2 wrote, and for layers whose weights are in another order
    /// or form there (quantized ones and layers made of others in legacy files).
    pub fn for_format(&self, format: Format) -> Result<Converted> {
        let target = Family::of(format)?;
        let mut dropped = Vec::new();
        let mut converted = Checkpoint {
            format,
            ..self.clone()
        };
        match Family::of(self.format) {
            Ok(source) if source == target => {}
            _ => self.relocate(target, &mut converted, &mut dropped)?,
        }
        match format {
            Format::KerasArchive(_) => {
                let Some(config) = &self.config else {
                    let help = "set Checkpoint::config, or write weights alone as .weights.h5";
                    return Err(
                        Error::missing("config.json", "the model's config", "none").help(help)
                    );
                };
                let version = self.metadata.keras_version.as_deref();
                let Some(config) = architecture::of_keras_3(config, version) else {
                    let received = match version {
                        Some(version) => format!("one of Keras {version}"),
                        None => "one that does not say which version of Keras wrote it".into(),
                    };
                    let help = "open the model and save it as .keras, with the crate regraft or with Keras";
                    let expected = "an architecture of Keras 3";
                    return Err(Error::unsupported("config.json", expected, received).help(help));
                };
                converted.config = Some(config);
                converted.compile_config =
                    self.compile_config.as_ref().map(compilation::of_keras_3);
            }
            Format::LegacyModel => {
                if self.config.is_none() {
                    let help = "set Checkpoint::config, or write Format::LegacyWeights";
                    return Err(
                        Error::missing("model_config", "the model's config", "none").help(help)
                    );
                }
                converted.compile_config = self
                    .compile_config
                    .as_ref()
                    .and_then(compilation::of_legacy);
            }
            _ => {}
        }
        let holds_config = !matches!(
            format,
            Format::KerasWeights(_) | Format::Sharded(_) | Format::LegacyWeights
        );
        if !holds_config {
            drop_field(
                &mut converted.config,
                "the model's architecture",
                &mut dropped,
            );
            let what = "how the model was compiled";
            drop_field(&mut converted.compile_config, what, &mut dropped);
        }
        if format == Format::LegacyWeights {
            drop_field(
                &mut converted.optimizer,
                "the optimizer's state",
                &mut dropped,
            );
        }
        if !matches!(format, Format::KerasArchive(_)) {
            dropped.extend(converted.assets.keys().cloned());
            converted.assets.clear();
        }
        if target == Family::Legacy {
            let paths = converted.extra.iter();
            dropped.extend(paths.map(|weight| weight.path.clone()));
            converted.extra.clear();
        }
        Ok(Converted {
            checkpoint: converted,
            dropped,
        })
    }

    /// Puts the layers where files of `target` have them.
    fn relocate(
        &self,
        target: Family,
        converted: &mut Checkpoint,
        dropped: &mut Vec<String>,
    ) -> Result<()> {
        if self.format == Format::PyTorch && target != Family::Names {
            let help = "load it into a model with the crate regraft, which converts layouts, and save that";
            return Err(
                Error::unsupported("", "a checkpoint in Keras' layouts", "one of PyTorch")
                    .help(help),
            );
        }
        let places = self.config.as_ref().map(places).unwrap_or_default();
        let entries = match Family::of(self.format) {
            Ok(Family::Containers) => self.of_containers(&places),
            Ok(Family::Legacy) => self.of_legacy(&places)?,
            _ => self.of_names(&places)?,
        };
        converted.metadata.entries.remove(PLACES);
        if target == Family::Legacy {
            // Keras takes a file without one for Keras 1's, and turns its kernels.
            let version = &mut converted.metadata.keras_version;
            version.get_or_insert_with(|| "3.0.0".to_string());
        }
        converted.layers = match target {
            Family::Containers => to_containers(&entries, self.config.as_ref())?,
            Family::Legacy => to_legacy(&entries, &places, self.config.as_ref(), dropped)?,
            Family::Names => {
                let known: BTreeMap<&str, Value> = entries
                    .iter()
                    .filter_map(|entry| Some((entry.names.as_str(), entry.noted()?)))
                    .collect();
                if !known.is_empty() {
                    let noted = json!(known).to_string();
                    converted.metadata.entries.insert(PLACES.to_string(), noted);
                }
                to_names(&entries)
            }
        };
        // Only the format that it was read from has its variables under these addresses.
        if let Some(optimizer) = &mut converted.optimizer {
            // A safetensors file has wide elements first.
            let number = |variable: &SavedWeight| -> Option<usize> {
                variable.path.rsplit('/').next()?.parse().ok()
            };
            if optimizer.variables.iter().all(|it| number(it).is_some()) {
                optimizer.variables.sort_by_key(number);
            }
            for variable in &mut optimizer.variables {
                variable.path.clear();
            }
            if target == Family::Names && !optimizer.loss_scale.is_empty() {
                optimizer.loss_scale.clear();
                dropped.push("the loss scaling's state".to_string());
            }
        }
        Ok(())
    }

    fn of_containers<'c>(&'c self, places: &[Place<'_>]) -> Vec<Entry<'c>> {
        let by_key = by_key(places);
        let names = self.name_paths();
        let mut used: HashMap<String, usize> = HashMap::new();
        let mut entries = Vec::new();
        for layer in &self.layers {
            let place = innermost(&by_key, &layer.path);
            let own = place.filter(|place| place.key == layer.path);
            let from_file = names[layer.path.as_str()].clone();
            let mut name_path = match (place, layer.path.as_str()) {
                (_, "") => String::new(),
                (Some(place), path) => format!("{}{}", place.path, &path[place.key.len()..]),
                (None, _) => from_file,
            };
            // Names of attributes may be those of layers.
            if used.contains_key(&name_path) {
                name_path = layer.path.clone();
            }
            used.insert(name_path.clone(), 0);
            let variables = own.and_then(Place::variables);
            let variables = variables.filter(|names| names.len() == layer.weights.len());
            let weights = layer.weights.iter().enumerate().map(|(position, weight)| {
                let key = weight.path.rsplit('/').next().filter(|key| !key.is_empty());
                let number = position.to_string();
                let key = key.unwrap_or(&number).to_string();
                let name = match (weight.variable(), &variables) {
                    (Some(name), _) => name.to_string(),
                    (None, Some(names)) => names[position].to_string(),
                    (None, None) => key.clone(),
                };
                Variable { name, key, weight }
            });
            entries.push(Entry {
                key: Some(layer.path.clone()),
                name: layer
                    .name
                    .clone()
                    .or(own.map(|place| place.name().to_string())),
                names: name_path,
                weights: weights.collect(),
            });
        }
        entries
    }

    fn of_names<'c>(&'c self, places: &[Place<'_>]) -> Result<Vec<Entry<'c>>> {
        let noted = self.metadata.entries.get(PLACES);
        let noted: HashMap<String, (String, Vec<(String, String)>)> = noted
            .and_then(|noted| serde_json::from_str(noted).ok())
            .unwrap_or_default();
        let mut entries = Vec::new();
        for layer in &self.layers {
            let find = |name: &str| {
                let named = |weight: &&SavedWeight| weight.variable() == Some(name);
                layer.weights.iter().find(named)
            };
            let place = places.iter().find(|place| place.path == layer.path);
            let noted = noted.get(&layer.path).and_then(|(key, names)| {
                let weights = names.iter().map(|(name, key)| {
                    let (name, key) = (name.clone(), key.clone());
                    find(&name).map(|weight| Variable { name, key, weight })
                });
                let weights: Vec<Variable<'_>> = weights.collect::<Option<_>>()?;
                (weights.len() == layer.weights.len()).then(|| (key.clone(), weights))
            });
            let (key, weights) = match noted {
                Some((key, weights)) => (Some(key), weights),
                None => {
                    let weights = match place.and_then(Place::variables) {
                        Some(names) => {
                            let found: Option<Vec<&SavedWeight>> =
                                names.iter().map(|name| find(name)).collect();
                            found.filter(|found| found.len() == layer.weights.len())
                        }
                        None => None,
                    };
                    let in_order = weights.unwrap_or_else(|| {
                        let mut weights: Vec<&SavedWeight> = layer.weights.iter().collect();
                        let number = |weight: &&SavedWeight| {
                            let number = weight.variable().and_then(|name| name.parse().ok());
                            number.unwrap_or(usize::MAX)
                        };
                        weights.sort_by_key(number);
                        weights
                    });
                    let weights = in_order.into_iter().enumerate().map(|(position, weight)| {
                        let key = position.to_string();
                        let name = weight.variable().unwrap_or(&key).to_string();
                        Variable { name, key, weight }
                    });
                    (place.map(|place| place.key.clone()), weights.collect())
                }
            };
            entries.push(Entry {
                key,
                name: place.map(|place| place.name().to_string()),
                names: layer.path.clone(),
                weights,
            });
        }
        Ok(entries)
    }

    fn of_legacy<'c>(&'c self, places: &[Place<'_>]) -> Result<Vec<Entry<'c>>> {
        let mut entries: Vec<Entry<'c>> = Vec::new();
        for layer in &self.layers {
            let top = layer.name();
            let within: Vec<&Place<'_>> = places
                .iter()
                .filter(|place| place.top() == top && !place.is_model)
                .collect();
            let first = entries.len();
            for weight in &layer.weights {
                let scope = weight.scope().unwrap_or_default();
                let place = match within.as_slice() {
                    [only] if only.inner().is_empty() => Some(*only),
                    _ => longest(&within, scope),
                };
                let after = |name: &str| -> Option<String> {
                    let parts: Vec<&str> = scope.split('/').collect();
                    let at = parts.iter().rposition(|part| *part == name)?;
                    Some(parts[at + 1..].join("/"))
                };
                // A layer made of others has weights below its name. Without the architecture the file's names
                // are all there is.
                let (outer, below) = match place {
                    Some(place) => (place.path.as_str(), after(place.name())),
                    None => (top, after(top).or(Some(scope.to_string()))),
                };
                let below = below.filter(|below| !below.is_empty());
                let names = match &below {
                    Some(below) => format!("{outer}/{below}"),
                    None => outer.to_string(),
                };
                if place.is_none() && !within.is_empty() {
                    let expected = "a weight of a layer that the architecture lists";
                    let received = weight.name.as_deref().unwrap_or("one without a name");
                    return Err(Error::unsupported(top, expected, received).help(OPEN));
                }
                let known = entries[first..]
                    .iter()
                    .position(|entry| entry.names == names);
                let at = known.map_or(entries.len(), |position| first + position);
                if at == entries.len() {
                    // A recurrent layer's weights are its cell's; what other layers call theirs only Keras knows.
                    let key = place.and_then(|place| match (&below, place.class) {
                        (None, _) => Some(place.key.clone()),
                        (_, "LSTM" | "GRU" | "SimpleRNN") => Some(format!("{}/cell", place.key)),
                        _ => None,
                    });
                    entries.push(Entry {
                        key,
                        name: names.rsplit('/').next().map(str::to_string),
                        names,
                        weights: Vec::new(),
                    });
                }
                let key = entries[at].weights.len().to_string();
                let name = weight.variable().unwrap_or(&key).to_string();
                entries[at].weights.push(Variable { name, key, weight });
            }
            for entry in &mut entries[first..] {
                if let Some(place) = within.iter().find(|place| place.path == entry.names) {
                    entry.sort_as(place);
                }
            }
        }
        Ok(entries)
    }
}

/// A layer with weights of its own.
struct Entry<'c> {
    /// Its path in Keras 3's files, if that is known.
    key: Option<String>,
    /// Its own name.
    name: Option<String>,
    /// Its path in layers' names.
    names: String,
    weights: Vec<Variable<'c>>,
}

struct Variable<'c> {
    name: String,
    /// The key in `vars`.
    key: String,
    weight: &'c SavedWeight,
}

impl Entry<'_> {
    /// What a `.safetensors` header keeps.
    fn noted(&self) -> Option<Value> {
        let key = self.key.as_ref()?;
        let weights = self.weights.iter();
        let names: Vec<[&str; 2]> = weights.map(|it| [it.name.as_str(), &it.key]).collect();
        Some(json!([key, names]))
    }

    /// Brings the weights into the order in which their layer made them, where that is known.
    fn sort_as(&mut self, place: &Place<'_>) {
        let Some(names) = place.variables() else {
            return;
        };
        let position = |name: &str| names.iter().position(|known| *known == name);
        if self.weights.iter().all(|it| position(&it.name).is_some()) {
            self.weights.sort_by_key(|it| position(&it.name));
            for (number, it) in self.weights.iter_mut().enumerate() {
                it.key = number.to_string();
            }
        }
    }

    fn saved(&self, variable: &Variable<'_>, path: String, name: Option<String>) -> SavedWeight {
        SavedWeight {
            path,
            name,
            tensor: variable.weight.tensor.clone(),
        }
    }
}

/// The place that `path` is, or is in.
fn innermost<'p, 'c>(
    by_key: &HashMap<&'p str, &'p Place<'c>>,
    path: &str,
) -> Option<&'p Place<'c>> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let mut prefixes: Vec<&str> = ends.chain([path.len()]).map(|end| &path[..end]).collect();
    prefixes.reverse();
    prefixes
        .into_iter()
        .find_map(|prefix| by_key.get(prefix).copied())
}

/// The layer of a nested model that a weight's scope means: the one with most of its path in common.
fn longest<'p, 'c>(within: &[&'p Place<'c>], scope: &str) -> Option<&'p Place<'c>> {
    let in_common = |place: &Place<'_>| {
        let parts = scope.rsplit('/').zip(place.path.rsplit('/'));
        parts.take_while(|(a, b)| a == b).count()
    };
    let best = within.iter().map(|place| in_common(place)).max()?;
    let mut found = within.iter().filter(|place| in_common(place) == best);
    let first = found.next().filter(|_| best > 0)?;
    found.next().is_none().then_some(*first)
}

fn to_containers(entries: &[Entry<'_>], config: Option<&Value>) -> Result<Vec<SavedLayer>> {
    let name = config.and_then(model_name);
    let mut layers = vec![SavedLayer {
        path: String::new(),
        name: name.map(str::to_string),
        weights: Vec::new(),
    }];
    for entry in entries {
        let Some(key) = &entry.key else {
            let expected = "the place of this layer in Keras 3's files";
            return Err(Error::missing(&entry.names, expected, "none").help(
                "set Checkpoint::config to the model's architecture, or load the file into a model with \
                 the crate regraft and save that",
            ));
        };
        let vars = keras_weights::vars_path(key);
        let weights = entry.weights.iter().map(|it| {
            let name = it.key.parse::<usize>().is_err().then(|| it.key.clone());
            entry.saved(it, format!("{vars}/{}", it.key), name)
        });
        let layer = SavedLayer {
            path: key.clone(),
            name: entry.name.clone(),
            weights: weights.collect(),
        };
        match key.is_empty() {
            true => layers[0].weights = layer.weights,
            false => layers.push(layer),
        }
    }
    Ok(layers)
}

fn to_names(entries: &[Entry<'_>]) -> Vec<SavedLayer> {
    let with_weights = entries.iter().filter(|entry| !entry.weights.is_empty());
    let layers = with_weights.map(|entry| {
        let weights = entry.weights.iter().map(|it| {
            let path = match entry.names.as_str() {
                "" => it.name.clone(),
                names => format!("{names}/{}", it.name),
            };
            entry.saved(it, path, Some(it.name.clone()))
        });
        SavedLayer {
            path: entry.names.clone(),
            name: None,
            weights: weights.collect(),
        }
    });
    layers.collect()
}

fn to_legacy(
    entries: &[Entry<'_>],
    places: &[Place<'_>],
    config: Option<&Value>,
    dropped: &mut Vec<String>,
) -> Result<Vec<SavedLayer>> {
    if places.is_empty() {
        let expected = "the order of the layers, which the model's config tells";
        let help = "set Checkpoint::config, or write .weights.h5 or .safetensors";
        return Err(Error::missing("layer_names", expected, "none").help(help));
    }
    let model = config.and_then(model_name).unwrap_or("model");
    let mut layers: Vec<SavedLayer> = Vec::new();
    let mut fixed: Vec<Vec<SavedWeight>> = Vec::new();
    let mut taken = vec![false; entries.len()];
    for place in places {
        if place.inner().is_empty() {
            layers.push(SavedLayer::new(place.path.clone(), place.name()));
            fixed.push(Vec::new());
        }
        let (Some(layer), Some(fixed)) = (layers.last_mut(), fixed.last_mut()) else {
            continue;
        };
        if place.is_model {
            continue;
        }
        let of_place = |entry: &Entry<'_>| {
            let is = |own: &str, its: &str| {
                its.strip_prefix(own)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            match &entry.key {
                Some(key) => is(&place.key, key),
                None => is(&place.path, &entry.names),
            }
        };
        let mut own: Vec<&Entry<'_>> = Vec::new();
        for (entry, taken) in entries.iter().zip(&mut taken) {
            if of_place(entry) {
                *taken = true;
                // Streams of random numbers are no weights there.
                let is_stream = entry.key.as_deref().is_some_and(|key| {
                    key.rsplit('/')
                        .next()
                        .is_some_and(|key| key.starts_with("seed_generator"))
                });
                match is_stream {
                    true => dropped.push(entry.names.clone()),
                    false if entry.weights.is_empty() => {}
                    false => own.push(entry),
                }
            }
        }
        let refuse = |received: &str| {
            let help =
                "open the model with Keras or the crate regraft and save it there, or write .keras";
            let expected = "weights in the order that legacy files have them in";
            Err(Error::unsupported(&place.path, expected, received).help(help))
        };
        if !own.is_empty() && place.is_altered() {
            return refuse("a quantized layer, or one with a low-rank update");
        }
        let has_bfloat16 = |entry: &&Entry<'_>| {
            let mut weights = entry.weights.iter();
            weights.any(|it| it.weight.tensor.data_type() == DataType::BF16)
        };
        if own.iter().any(has_bfloat16) {
            return refuse("bfloat16, which Keras does not read there");
        }
        let [entry] = own.as_slice() else {
            let wants = place.variables().is_some_and(|names| !names.is_empty());
            match own.is_empty() {
                true if wants => {
                    return refuse("a layer without weights here, or one in several places");
                }
                true => continue,
                false => return refuse("a layer made of several others, whose order is not known"),
            }
        };
        let statistics = entry.weights.len().saturating_sub(place.statistics());
        for (position, it) in entry.weights.iter().enumerate() {
            let name = format!("{model}/{}/{}", entry.names, it.name);
            let saved = entry.saved(it, String::new(), Some(name));
            match place.trainable && position < statistics {
                true => layer.weights.push(saved),
                false => fixed.push(saved),
            }
        }
    }
    for (layer, fixed) in layers.iter_mut().zip(fixed) {
        layer.weights.extend(fixed);
    }
    for (entry, taken) in entries.iter().zip(taken) {
        if !taken && !entry.weights.is_empty() {
            let expected = "a layer that the architecture lists";
            let received = "one that it does not";
            return Err(Error::unsupported(&entry.names, expected, received).help(OPEN));
        }
    }
    Ok(layers)
}

fn drop_field<T>(field: &mut Option<T>, what: &str, dropped: &mut Vec<String>) {
    if field.take().is_some() {
        dropped.push(what.to_string());
    }
}
