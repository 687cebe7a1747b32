//! Adapters in files: the folders that PEFT writes and reads; KerasHub's `.lora.h5`; loralib's state dicts.
//!
//! | here | in a file of PEFT |
//! |---|---|
//! | layers by path | modules by name, as [`Place::module`](regraft_layers::Place) has them |
//! | A with the kernel's axes, B `(rank / groups, outputs)` | A and B as kernels of PyTorch |
//! | A of a convolution of groups, one of a group's channels | A of all channels, 0 where it is of another group |
//! | factors of a depthwise kernel's channels | the kernel, under `modules_to_save` |

mod config;
mod keras_hub;
mod loralib;
mod read;
mod torch;
mod write;

use std::path::Path;

use regraft_io::Format;
use regraft_layers::Model as Network;
use regraft_layers::adapters::{AdaptedLayer, AdapterState};
use regraft_tensor::Detail;

use crate::{Error, Model, Result};

/// How an adapter is loaded: `LoadAdapter::new().named("birds")`.
#[derive(Clone, Debug)]
#[must_use = "pass it to `load_adapter_with`"]
pub struct LoadAdapter {
    name: String,
    any_base: bool,
    alpha: Option<f32>,
}

impl Default for LoadAdapter {
    fn default() -> Self {
        LoadAdapter {
            name: "default".to_string(),
            any_base: false,
            alpha: None,
        }
    }
}

impl LoadAdapter {
    /// As `default`, for the base that it was trained on, as far as the file tells.
    pub fn new() -> Self {
        Self::default()
    }

    /// The adapter's name in the model.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Takes an adapter of another base, too, if only the shapes fit.
    pub fn any_base(mut self) -> Self {
        self.any_base = true;
        self
    }

    /// `lora_alpha` of the layers, which loralib's files do not tell. Other files do.
    pub fn alpha(mut self, alpha: f32) -> Self {
        self.alpha = Some(alpha);
        self
    }
}

/// What was loaded of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterReport {
    /// The adapter's name in the model.
    pub name: String,
    /// The kind that the file says: `LORA`.
    pub kind: String,
    /// The layers that it changes, by path.
    pub layers: Vec<String>,
    /// Settings of the file that are not known here. They change nothing and are written again.
    pub unknown: Vec<String>,
}

impl std::fmt::Display for AdapterReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} as {:?}: {}",
            self.kind,
            self.name,
            self.layers.join(", ")
        )?;
        match self.unknown.is_empty() {
            true => Ok(()),
            false => writeln!(f, "settings not known: {}", self.unknown.join(", ")),
        }
    }
}

impl Model {
    /// Loads an adapter and makes it the active one. The first adapter of a model freezes everything else.
    ///
    /// | given | by | layers are told by |
    /// |---|---|---|
    /// | a folder | PEFT, [`save_adapter`](Self::save_adapter) | module |
    /// | `.lora.h5` | KerasHub, [`save_adapter`](Self::save_adapter) | number, as Keras counts them |
    /// | `.safetensors`, `.pt`, `.pth` | loralib's `lora_state_dict`; [`LoadAdapter::alpha`] says what the file does not | module |
    ///
    /// Modules are told by the names that layers have in PyTorch: those of the file that the weights were loaded from,
    /// [given ones](Self::set_module_names), or the layers' paths.
    ///
    /// Of PEFT, LoRA, rsLoRA, DoRA, VeRA and IA³ are read; an AdaLoRA becomes the LoRA that it is. Settings of a later
    /// PEFT are kept and named in the report. loralib divides the kernel of a convolution otherwise: in the form that is
    /// here its factors have the k²-fold rank, and zeros.
    ///
    /// # Errors
    /// As [`load_adapter_with`](Self::load_adapter_with).
    pub fn load_adapter(&mut self, path: impl AsRef<Path>) -> Result<AdapterReport> {
        self.load_adapter_with(path, LoadAdapter::new())
    }

    /// [`load_adapter`](Self::load_adapter), under another name say.
    ///
    /// # Errors
    /// [`Error::File`] for a module that no layer is, with the nearest names, or a number that no layer has; for tensors
    /// that miss their counterpart or that the settings tell of; for settings that would change what is computed and are
    /// not known (`init_lora_weights` that changes the base, such as PiSSA's); for PEFT's factors beside a dilated
    /// convolution, which do not dilate; for loralib's without an alpha; and for an adapter that was trained on another
    /// base. [`regraft_layers::Error::Shape`] for values that do not fit. The model is unchanged then.
    pub fn load_adapter_with(
        &mut self,
        path: impl AsRef<Path>,
        load: LoadAdapter,
    ) -> Result<AdapterReport> {
        let path = path.as_ref();
        let (state, unknown, kind) = match path.is_file() {
            true => self.adapter_of_file(path, &load)?,
            false => {
                let folder = regraft_io::peft::read(path)?;
                let rules = read::Rules {
                    any_base: load.any_base,
                    dilates: false,
                };
                let state = read::state_of(&self.network, &folder, rules)?;
                let kind = config::kind(&folder.config).to_string();
                (state, config::unknown(&folder.config), kind)
            }
        };
        let layers = state.layers.iter().map(|layer| layer.path.clone());
        let report = AdapterReport {
            name: load.name.clone(),
            kind,
            layers: layers.collect(),
            unknown,
        };
        self.network.insert_adapter(&load.name, state)?;
        Ok(report)
    }

    /// The adapter of a file that is no folder, with what its report says.
    fn adapter_of_file(
        &self,
        path: &Path,
        load: &LoadAdapter,
    ) -> Result<(AdapterState, Vec<String>, String)> {
        let checkpoint = regraft_io::read(path)?;
        let kind = "LORA".to_string();
        if keras_hub::is(&checkpoint) {
            let state = keras_hub::state_of(&self.network, &checkpoint, load.any_base)?;
            return Ok((state, Vec::new(), kind));
        }
        if !matches!(checkpoint.format, Format::Safetensors | Format::PyTorch) {
            let expected = "an adapter: a folder of PEFT, a `.lora.h5`, a state dict of loralib";
            let received = checkpoint.format.to_string();
            let detail = Detail::new(path.display().to_string(), expected, received);
            return Err(Error::File(
                detail.help("`load_weights` takes weights of whole models"),
            ));
        }
        let folder = loralib::folder_of(&self.network, &checkpoint, load.alpha)?;
        let rules = read::Rules {
            any_base: load.any_base,
            dilates: true,
        };
        let mut state = read::state_of(&self.network, &folder, rules)?;
        // The settings are none that anybody wrote.
        state.metadata.clear();
        Ok((state, Vec::new(), kind))
    }

    /// Saves an adapter as a folder that PEFT loads, whether it is active or not. Layers have the names of
    /// PyTorch's modules, as in [`load_adapter`](Self::load_adapter).
    ///
    /// If the path ends with `.lora.h5`, it is a file that KerasHub's `load_lora_weights` takes, of the same layers
    /// in the same order: their factors alone, of one rank, to which others are filled up with zeros, and alpha computed
    /// into the second.
    ///
    /// A hash of the adapted weights goes into the header, where the others do not look, so that loading the
    /// adapter onto another base is refused. Statistics that were trained with the adapter are saved with it.
    ///
    /// # Errors
    /// [`regraft_layers::Error::Name`] if there is no such adapter; [`Error::File`] for what PEFT has no place
    /// for (LoRA of dilated and of transposed convolutions, IA³ of `Conv1D` and embeddings), for modules that
    /// it would take for others, and for what KerasHub has no place for (all but LoRA of kernels); [`Error::Model`]
    /// while adapters are merged.
    pub fn save_adapter(&self, path: impl AsRef<Path>, name: &str) -> Result<()> {
        let path = path.as_ref();
        if self.network.is_merged() {
            let expected = "a model whose adapters are not merged, to save one";
            let detail = Detail::new(self.network.name(), expected, "one whose are");
            return Err(Error::Model(detail.help("call `unmerge_adapter` first")));
        }
        let state = self.network.adapter_state(name)?;
        if path.to_string_lossy().ends_with(".lora.h5") {
            let checkpoint = keras_hub::checkpoint_of(&self.network, &state)?;
            return Ok(regraft_io::keras_weights::write(path, &checkpoint)?);
        }
        let written = write::folder_of(&self.network, &state)?;
        Ok(regraft_io::peft::write(path, &written)?)
    }
}

/// The entry of the header in which the hash of the base is.
const BASE: &str = "regraft_base";

/// The FNV-1a hash of the bits of the layers' own weights, which an adapter of these layers was trained on.
fn base_hash<'a>(model: &Network, layers: impl Iterator<Item = &'a str>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |byte: u8| {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    };
    let places = model.places();
    let mut paths: Vec<&str> = layers.collect();
    paths.sort_unstable();
    for path in paths {
        let place = places.iter().find(|place| place.path == path);
        let ids = place.iter().flat_map(|place| place.weights);
        for weight in ids.filter_map(|&id| model.weights().get(id)) {
            for value in weight.value().as_slice() {
                value.to_bits().to_le_bytes().into_iter().for_each(&mut add);
            }
        }
    }
    format!("{hash:016x}")
}

/// An error if the adapter of these layers says another hash of its base than that of this model; `place` is where.
fn require_base(
    model: &Network,
    place: &str,
    theirs: Option<&String>,
    layers: &[AdaptedLayer],
) -> Result<()> {
    let Some(theirs) = theirs else {
        return Ok(());
    };
    let adapted = layers.iter().filter(|layer| !layer.updates.is_empty());
    let ours = base_hash(model, adapted.clone().map(|layer| layer.path.as_str()));
    if *theirs == ours {
        return Ok(());
    }
    let kernels = adapted.filter_map(|layer| {
        let weight = format!("{}/{}", layer.path, layer.updates[0].weight);
        let shape = model.weight(&weight)?.value().shape();
        Some(format!("{weight} {shape:?}"))
    });
    let kernels: Vec<String> = kernels.take(4).collect();
    let expected = format!("the base that it was trained on, of hash {theirs}");
    let received = format!("one of hash {ours} ({}, …)", kernels.join(", "));
    let detail = Detail::new(place, expected, received);
    let help = "load the weights of that base first, or use `LoadAdapter::any_base`";
    Err(Error::File(detail.help(help)))
}
