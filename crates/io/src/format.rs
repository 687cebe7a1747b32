//! The formats of weight files, and telling them apart by content.

use std::fmt;

/// A format of weight files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `.weights.h5`: weights only, by container path.
    KerasWeights(Dialect),
    /// `.keras`: architecture and weights in a zip archive, or the same files in a folder.
    KerasArchive(Dialect),
    /// `.weights.json` and the `.weights.h5` files it names.
    Sharded(Dialect),
    /// `.h5` of Keras 1 and 2 (and 3, when asked for): weights only, by layer name.
    LegacyWeights,
    /// `.h5` of Keras 1 and 2 (and 3, when asked for): architecture and weights.
    LegacyModel,
    /// `.safetensors`.
    Safetensors,
    /// `.pt` and `.pth` of PyTorch: a pickled state dict. It is read, not written.
    PyTorch,
    /// `model.json` of a TensorFlow.js layers model, and the shards it names.
    TensorFlowJs,
    /// `X.index` and `X.data-…` of TensorFlow 2, by variables' names.
    TensorFlowCheckpoint,
    /// A SavedModel folder of TensorFlow 2.
    SavedModel,
}

/// Who wrote a file of weights by container path, as far as the file shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Keras 2.12–2.14: other container names, and numbers that skip. No layer names.
    Keras2_13,
    /// Keras 2.15, `tf_keras`, and Keras 3.0–3.5: no layer names.
    Unnamed,
    /// Keras 3.6 and later: layer names are stored. This is what the writers write.
    Named,
}

impl Format {
    /// What Keras 3 writes with `model.save_weights`.
    pub const KERAS_3: Format = Format::KerasWeights(Dialect::Named);

    /// Whether it is one of the `.h5` files of Keras 1 and 2.
    pub fn is_legacy(self) -> bool {
        matches!(self, Format::LegacyModel | Format::LegacyWeights)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, dialect) = match self {
            Format::KerasWeights(dialect) => ("Keras .weights.h5", Some(dialect)),
            Format::KerasArchive(dialect) => ("Keras .keras", Some(dialect)),
            Format::Sharded(dialect) => ("Keras .weights.json", Some(dialect)),
            Format::LegacyWeights => ("legacy Keras .h5 weights", None),
            Format::LegacyModel => ("legacy Keras .h5 model", None),
            Format::Safetensors => ("safetensors", None),
            Format::PyTorch => ("PyTorch", None),
            Format::TensorFlowJs => ("TensorFlow.js layers model", None),
            Format::TensorFlowCheckpoint => ("TensorFlow checkpoint", None),
            Format::SavedModel => ("SavedModel", None),
        };
        f.write_str(name)?;
        match dialect {
            Some(Dialect::Keras2_13) => f.write_str(" (Keras 2.12 to 2.14)"),
            Some(Dialect::Unnamed) => f.write_str(" (without layer names)"),
            Some(Dialect::Named) => f.write_str(" (Keras 3.6 or later)"),
            None => Ok(()),
        }
    }
}
