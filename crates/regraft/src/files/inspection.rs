//! What a file holds, whatever its format: for whoever wants to know before it is loaded.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use regraft_io::{Checkpoint, DataType, Format};
use regraft_layers::{Weight, WeightKind};
use regraft_tensor::one_line;

use crate::files::load_plan::saved_class_names;
use crate::registry::Registry;
use crate::{Model, Result};

/// What a file holds. It prints as a table.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The file or folder.
    pub path: PathBuf,
    /// Its format, told by its content.
    pub format: Format,
    /// Its size; of what lies in several files, that of all tensors.
    pub bytes: u64,
    /// The version of Keras that wrote it.
    pub keras_version: Option<String>,
    /// When it was saved, as the file says it.
    pub date_saved: Option<String>,
    /// Class and name of the model, if the file has its architecture.
    pub model: Option<(String, String)>,
    /// The shapes of the model's inputs and outputs, as Keras prints them.
    pub inputs: Vec<String>,
    /// The shapes of its outputs.
    pub outputs: Vec<String>,
    /// The names of its classes.
    pub class_names: Option<Vec<String>>,
    /// Every tensor of a layer, in the file's order.
    pub tensors: Vec<InspectedTensor>,
    /// Whether the file says how the model was compiled.
    pub compiled: bool,
    /// The optimizer's memory.
    pub optimizer: Option<InspectedOptimizer>,
    /// Tensors that belong to neither, by their address.
    pub others: Vec<String>,
    /// What else is worth knowing, a sentence each.
    pub notes: Vec<String>,
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedTensor {
    /// The path of its layer in layers' names, as far as the file tells them.
    pub layer: String,
    /// The layer's class, if the file has the architecture.
    pub class_name: Option<String>,
    /// Its name in the layer: `kernel`.
    pub name: String,
    /// Its address in the file.
    pub address: String,
    /// The type of its elements.
    pub data_type: DataType,
    /// The sizes.
    pub shape: Vec<usize>,
    /// What training makes of it, if the file has the architecture.
    pub role: Option<Role>,
}

/// What training makes of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A parameter that is trained.
    Trained,
    /// A parameter that is not.
    Frozen,
    /// Statistics and the like, which are never trained.
    State,
}

/// The memory of an optimizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedOptimizer {
    /// Its name, if the file tells it.
    pub name: Option<String>,
    /// The number of steps taken.
    pub steps: Option<i64>,
    /// How many tensors it has.
    pub tensors: usize,
    /// Their size.
    pub bytes: u64,
}

/// What the file at `path` holds: any format that [`regraft_io::read`] reads.
///
/// ```
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/fashion_mnist_base.keras");
/// let inspection = regraft::inspect(path)?;
/// assert_eq!(inspection.tensors[0].name, "kernel");
/// println!("{inspection}");
/// # Ok::<(), regraft::Error>(())
/// ```
///
/// # Errors
/// As [`regraft_io::read`]. An architecture that is not known is none: the tensors are told, and a note says
/// why no more is.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection> {
    let path = path.as_ref();
    let checkpoint = regraft_io::read(path)?;
    let size = |tensor: &regraft_io::TensorData| tensor.bytes().len() as u64;
    let tensor_bytes = checkpoint
        .tensors()
        .map(|(_, weight)| size(&weight.tensor))
        .sum();
    let file = std::fs::metadata(path).ok().filter(|file| {
        let alone = !matches!(
            checkpoint.format,
            Format::Sharded(_) | Format::TensorFlowJs | Format::TensorFlowCheckpoint
        );
        alone && file.is_file()
    });
    let optimizer = checkpoint.optimizer.as_ref();
    let mut inspection = Inspection {
        path: path.to_path_buf(),
        format: checkpoint.format,
        bytes: file.map_or(tensor_bytes, |file| file.len()),
        keras_version: checkpoint.metadata.keras_version.clone(),
        date_saved: checkpoint.metadata.date_saved.clone(),
        model: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
        class_names: saved_class_names(&checkpoint),
        tensors: tensors(&checkpoint),
        compiled: checkpoint
            .compile_config
            .as_ref()
            .is_some_and(|config| !config.is_null()),
        optimizer: optimizer.map(|saved| InspectedOptimizer {
            name: saved.name.clone(),
            steps: saved.iterations(),
            tensors: saved.variables.len(),
            bytes: saved.variables.iter().map(|it| size(&it.tensor)).sum(),
        }),
        others: checkpoint
            .extra
            .iter()
            .map(|weight| weight.path.clone())
            .collect(),
        notes: Vec::new(),
    };
    if checkpoint.config.is_some() {
        let source = path.display().to_string();
        match Model::from_checkpoint(&checkpoint, &source, &Registry::new()) {
            Ok((model, report)) => {
                let loaded = report.loaded.iter();
                let weights = loaded.map(|it| (it.source.as_str(), it.weight.as_str()));
                inspection.add_architecture(&model, &weights.collect());
                inspection.notes.extend(report.notes);
            }
            Err(error) => {
                let note = format!("the architecture in it cannot be opened: {error}");
                inspection.notes.push(note);
            }
        }
    }
    Ok(inspection)
}

fn tensors(checkpoint: &Checkpoint) -> Vec<InspectedTensor> {
    let names = checkpoint.name_paths();
    let of_layers = checkpoint.layers.iter().flat_map(|layer| {
        let path = &names[layer.path.as_str()];
        layer.weights.iter().map(move |weight| {
            let key = weight.path.rsplit('/').next().unwrap_or_default();
            let name = weight.variable().unwrap_or(key);
            InspectedTensor {
                layer: path.clone(),
                class_name: None,
                name: name.to_string(),
                address: weight.path.clone(),
                data_type: weight.tensor.data_type(),
                shape: weight.tensor.shape().to_vec(),
                role: None,
            }
        })
    });
    of_layers.collect()
}

impl Inspection {
    /// Adds what the model tells; `weights` has paths of weights by addresses in the file.
    fn add_architecture(&mut self, model: &Model, weights: &HashMap<&str, &str>) {
        let shown = |shapes: Vec<regraft_autograd::Shape>| {
            shapes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        self.model = Some((model.class_name().to_string(), model.name().to_string()));
        self.inputs = shown(model.input_shapes());
        self.outputs = shown(model.output_shapes());
        let mut known: HashMap<&str, (&str, String, &Weight, bool)> = HashMap::new();
        let places = model.places();
        for place in &places {
            for weight in place.weights_in(&model.network) {
                let moves = place.moves(weight);
                let known_as = (place.class_name, place.path.clone(), weight, moves);
                known.entry(weight.path()).or_insert(known_as);
            }
        }
        for tensor in &mut self.tensors {
            let weight = weights.get(tensor.address.as_str());
            let Some((class, layer, weight, moves)) = weight.and_then(|path| known.get(path))
            else {
                continue;
            };
            tensor.class_name = Some(class.to_string());
            tensor.layer.clone_from(layer);
            tensor.name = weight.name().to_string();
            tensor.role = Some(match (weight.kind(), moves) {
                (WeightKind::Parameter, true) => Role::Trained,
                (WeightKind::Parameter, false) => Role::Frozen,
                _ => Role::State,
            });
        }
    }

    /// The number of elements of the layers' tensors.
    pub fn elements(&self) -> usize {
        self.tensors.iter().map(InspectedTensor::elements).sum()
    }
}

impl InspectedTensor {
    /// The number of its elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Trained => "trained",
            Role::Frozen => "frozen",
            Role::State => "state",
        })
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |names: &[String]| {
            let shown: Vec<String> = names.iter().map(|name| one_line(name)).collect();
            shown.join(", ")
        };
        let megabytes = self.bytes as f64 / 1e6;
        writeln!(
            f,
            "{}: {}, {megabytes:.1} MB",
            one_line(&self.path.display().to_string()),
            self.format
        )?;
        if let Some(version) = &self.keras_version {
            write!(f, "written by Keras {}", one_line(version))?;
            match &self.date_saved {
                Some(date) => writeln!(f, ", {}", one_line(date))?,
                None => writeln!(f)?,
            }
        }
        if let Some((class, name)) = &self.model {
            let (inputs, outputs) = (self.inputs.join(", "), self.outputs.join(", "));
            writeln!(f, "{} {name:?}: {inputs} → {outputs}", one_line(class))?;
        }
        if let Some(names) = &self.class_names {
            writeln!(f, "{} classes: {}", names.len(), all(names))?;
        }
        self.write_tensors(f)?;
        match (&self.optimizer, self.compiled) {
            (Some(optimizer), _) => {
                let name = one_line(optimizer.name.as_deref().unwrap_or("an optimizer"));
                let (count, megabytes) = (optimizer.tensors, optimizer.bytes as f64 / 1e6);
                write!(f, "{name}: {count} tensors, {megabytes:.1} MB")?;
                match optimizer.steps {
                    Some(steps) => writeln!(f, ", {steps} steps taken")?,
                    None => writeln!(f)?,
                }
            }
            (None, true) => writeln!(f, "compiled, without an optimizer's memory")?,
            (None, false) => writeln!(f, "not compiled")?,
        }
        if !self.others.is_empty() {
            writeln!(
                f,
                "{} other tensors: {}",
                self.others.len(),
                all(&self.others)
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {}", one_line(note))?;
        }
        Ok(())
    }
}

impl Inspection {
    fn write_tensors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = |tensor: &InspectedTensor| match &tensor.class_name {
            Some(class) => one_line(&format!("{} ({class})", tensor.layer)),
            None => one_line(&tensor.layer),
        };
        let shape = |tensor: &InspectedTensor| {
            let sizes: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
            match sizes.is_empty() {
                true => "scalar".to_string(),
                false => sizes.join("×"),
            }
        };
        let width = |cell: &dyn Fn(&InspectedTensor) -> String| {
            let cells = self.tensors.iter().map(|it| cell(it).chars().count());
            cells.max().unwrap_or(0)
        };
        let name = |tensor: &InspectedTensor| one_line(&tensor.name);
        let (layers, names, shapes) = (width(&layer), width(&name), width(&shape));
        for tensor in &self.tensors {
            let (layer, name, shape) = (layer(tensor), name(tensor), shape(tensor));
            let data_type = tensor.data_type.name();
            write!(
                f,
                "  {layer:<layers$}  {name:<names$}  {data_type:<8}  {shape:<shapes$}"
            )?;
            match tensor.role {
                Some(role) => writeln!(f, "  {role}")?,
                None => writeln!(f)?,
            }
        }
        let (count, elements) = (self.tensors.len(), self.elements());
        write!(f, "{count} tensors, {elements} numbers")?;
        let of = |role| {
            let tensors = self.tensors.iter().filter(|it| it.role == Some(role));
            tensors.map(InspectedTensor::elements).sum::<usize>()
        };
        if self.tensors.iter().any(|tensor| tensor.role.is_some()) {
            let [trained, frozen, state] = [Role::Trained, Role::Frozen, Role::State].map(of);
            write!(f, ": {trained} trained, {frozen} frozen, {state} state")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sequential;
    use crate::layers::{BatchNormalization, Dense, Input, layers};

    #[test]
    fn what_was_saved_is_told() {
        let mut model = Sequential::new(layers![
            Input::new([4]),
            Dense::new(3),
            BatchNormalization::new(),
            Dense::new(2)
        ])
        .unwrap();
        model.freeze("dense").unwrap();
        model.set_class_names(["cat", "dog"]);
        model.compile("adam", "mse", ()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for ending in ["keras", "h5"] {
            let path = folder.path().join("model").with_extension(ending);
            model.save(&path).unwrap();
            let inspection = inspect(&path).unwrap();
            let roles: Vec<(String, Option<Role>)> = inspection
                .tensors
                .iter()
                .map(|it| (format!("{}/{}", it.layer, it.name), it.role))
                .collect();
            let of = |path: &str| {
                let found = roles.iter().find(|(known, _)| known == path);
                found.unwrap_or_else(|| panic!("{path} in {roles:?}")).1
            };
            assert_eq!(roles.len(), 8);
            assert_eq!(of("dense/kernel"), Some(Role::Frozen));
            assert_eq!(of("dense_1/bias"), Some(Role::Trained));
            assert_eq!(of("batch_normalization/moving_mean"), Some(Role::State));
            assert_eq!(inspection.elements(), 15 + 12 + 8);
            assert!(inspection.compiled);
            let text = inspection.to_string();
            assert!(text.contains("(None, 4) → (None, 2)"), "{text}");
            assert!(text.contains("2 classes: cat, dog"), "{text}");
            assert!(text.contains("14 trained, 15 frozen, 6 state"), "{text}");
        }
        let path = folder.path().join("model.safetensors");
        model.save_weights(&path).unwrap();
        let inspection = inspect(&path).unwrap();
        assert_eq!(inspection.tensors.len(), 8);
    }

    #[test]
    fn an_architecture_that_is_not_known_is_a_note() {
        let fixture = "../../fixtures/fashion_mnist_base.keras";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
        let mut checkpoint = regraft_io::read(path).unwrap();
        let config = checkpoint.config.as_mut().unwrap();
        config["config"]["layers"][1]["class_name"] = "Mine".into();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.keras");
        regraft_io::write(&path, &checkpoint).unwrap();
        let inspection = inspect(&path).unwrap();
        assert_eq!(inspection.tensors.len(), 8);
        assert!(inspection.notes[0].contains("Mine"), "{inspection}");
    }
}
