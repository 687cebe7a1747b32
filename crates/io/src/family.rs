//! Where the layers of a file have their places: what the formats of one family have in common, and what
//! their writers take.

use crate::{Checkpoint, Error, Format, Result};

/// Kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Containers,
    Legacy,
    Names,
}

impl Family {
    /// # Errors
    /// For formats that are not written.
    pub fn of(format: Format) -> Result<Self> {
        match format {
            Format::KerasWeights(_) | Format::KerasArchive(_) | Format::Sharded(_) => {
                Ok(Family::Containers)
            }
            Format::LegacyModel | Format::LegacyWeights => Ok(Family::Legacy),
            Format::Safetensors => Ok(Family::Names),
            other => {
                let expected = "a format of Keras, or safetensors";
                let received = format!("{other}, which is read alone");
                let help = "write .keras, .weights.h5, .h5 or .safetensors";
                Err(Error::unsupported("", expected, received).help(help))
            }
        }
    }
}

/// That writers of this family take the checkpoint.
///
/// # Errors
/// [`Error::Unsupported`] for one whose layers are at the places of another.
pub(crate) fn require_containers(checkpoint: &Checkpoint) -> Result<()> {
    require(checkpoint, Family::Containers)
}

/// As [`require_containers`], for legacy files.
pub(crate) fn require_legacy(checkpoint: &Checkpoint) -> Result<()> {
    require(checkpoint, Family::Legacy)
}

fn require(checkpoint: &Checkpoint, family: Family) -> Result<()> {
    match Family::of(checkpoint.format) {
        Ok(own) if own == family => Ok(()),
        _ => {
            let expected = match family {
                Family::Legacy => "layers by name, as legacy files have them",
                _ => "layers in containers, as Keras 3's files have them",
            };
            let received = format!("a checkpoint of the format {}", checkpoint.format);
            Err(Error::unsupported("", expected, received)
                .help("convert it with Checkpoint::for_format, or write it with regraft_io::write"))
        }
    }
}
