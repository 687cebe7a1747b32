//! Adapters in files: the folders that PEFT writes and reads.
//!
//! | here | in a file of PEFT |
//! |---|---|
//! | layers by path | modules by name, as [`Place::module`](regraft_layers::Place) has them |
//! | A with the kernel's axes, B `(rank / groups, outputs)` | A and B as kernels of PyTorch |
//! | A of a convolution of groups, one of a group's channels | A of all channels, 0 where it is of another group |
//! | factors of a depthwise kernel's channels | the kernel, under `modules_to_save` |

mod config;
mod read;
mod torch;
mod write;

use std::path::Path;

use regraft_layers::Model as Network;
use regraft_tensor::Detail;

use crate::{Error, Model, Result};

/// How an adapter is loaded: `LoadAdapter::new().named("birds")`.
#[derive(Clone, Debug)]
#[must_use = "pass it to `load_adapter_with`"]
pub struct LoadAdapter {
    name: String,
    any_base: bool,
}

impl Default for LoadAdapter {
    fn default() -> Self {
        LoadAdapter {
            name: "default".to_string(),
            any_base: false,
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
    /// Loads an adapter of a folder that PEFT (or [`save_adapter`](Self::save_adapter)) wrote, and makes it the
    /// active one. The first adapter of a model freezes everything else. Modules are told by the names that
    /// layers have in PyTorch: those of the file that the weights were loaded from,
    /// [given ones](Self::set_module_names), or the layers' paths.
    ///
    /// LoRA, rsLoRA, DoRA, VeRA and IA³ are read; an AdaLoRA becomes the LoRA that it is. Settings of a later
    /// PEFT are kept and named in the report.
    ///
    /// # Errors
    /// As [`load_adapter_with`](Self::load_adapter_with).
    pub fn load_adapter(&mut self, folder: impl AsRef<Path>) -> Result<AdapterReport> {
        self.load_adapter_with(folder, LoadAdapter::new())
    }

    /// [`load_adapter`](Self::load_adapter), under another name say.
    ///
    /// # Errors
    /// [`Error::File`] for a module that no layer is, with the nearest names, for tensors that miss their
    /// counterpart or that the settings tell of, for settings that would change what is computed and are not
    /// known (`init_lora_weights` that changes the base, such as PiSSA's), for factors beside a dilated
    /// convolution, which PEFT's do not dilate, and for an adapter that was trained on another base; [`regraft_layers::Error::Shape`] for values that do not fit. The model is
    /// unchanged then.
    pub fn load_adapter_with(
        &mut self,
        folder: impl AsRef<Path>,
        load: LoadAdapter,
    ) -> Result<AdapterReport> {
        let folder = regraft_io::peft::read(folder)?;
        let state = read::state_of(&self.network, &folder, load.any_base)?;
        let report = AdapterReport {
            name: load.name.clone(),
            kind: config::kind(&folder.config).to_string(),
            layers: state
                .layers
                .iter()
                .map(|layer| layer.path.clone())
                .collect(),
            unknown: config::unknown(&folder.config),
        };
        self.network.insert_adapter(&load.name, state)?;
        Ok(report)
    }

    /// Saves an adapter as a folder that PEFT loads, whether it is active or not. Layers have the names of
    /// PyTorch's modules, as in [`load_adapter`](Self::load_adapter).
    ///
    /// A hash of the adapted weights goes into the header, where PEFT does not look, so that loading the
    /// adapter onto another base is refused. Statistics that were trained with the adapter are saved with it.
    ///
    /// # Errors
    /// [`regraft_layers::Error::Name`] if there is no such adapter; [`Error::File`] for what PEFT has no place
    /// for (LoRA of dilated and of transposed convolutions, IA³ of `Conv1D` and embeddings) and for modules that
    /// it would take for others; [`Error::Model`] while adapters are merged.
    pub fn save_adapter(&self, folder: impl AsRef<Path>, name: &str) -> Result<()> {
        if self.network.is_merged() {
            let expected = "a model whose adapters are not merged, to save one";
            let detail = Detail::new(self.network.name(), expected, "one whose are");
            return Err(Error::Model(detail.help("call `unmerge_adapter` first")));
        }
        let state = self.network.adapter_state(name)?;
        let written = write::folder_of(&self.network, &state)?;
        Ok(regraft_io::peft::write(folder, &written)?)
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
