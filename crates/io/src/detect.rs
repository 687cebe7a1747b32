//! Reading a weight file of any format, told by its content, not by its name.

use std::path::Path;

use crate::archive::Archive;
use crate::input::Input;
use crate::{Checkpoint, Error, Result};
use crate::{
    hdf5, keras_archive, keras_weights, legacy_h5, pytorch, safetensors, saved_model, sharded,
    tensorflow_checkpoint, tensorflow_js,
};

/// Reads a weight file of any format: `.keras` (also unpacked into a folder), `.weights.h5`,
/// `.weights.json`, legacy `.h5`, `.safetensors`, `.pt` and `.pth` of PyTorch; of TensorFlow a
/// SavedModel folder, a checkpoint (its prefix, its `.index` file or its folder), and the `model.json`
/// of a TensorFlow.js layers model. The format is told by the content.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Io`] as the system says; [`Error::Unsupported`] if the content
/// is of no known format; otherwise as the reader of the format.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    if path.is_dir() {
        return read_folder(path);
    }
    if !path.exists() && tensorflow_checkpoint::is_checkpoint(path) {
        return tensorflow_checkpoint::read(path);
    }
    let input = Input::open(path)?;
    if starts_with(&input, b"{") && !is_safetensors(&input) {
        let json = input.prefix(input.length());
        return match json.is_ok_and(|json| tensorflow_js::is_model(&json)) {
            true => tensorflow_js::read(path),
            false => sharded::read(path),
        };
    }
    if is_table(&input) {
        return tensorflow_checkpoint::read(path);
    }
    from_input(&input).or_else(|error| {
        // A shard, the list of a folder's checkpoints and a program say nothing themselves.
        let unknown = matches!(error, Error::Unsupported(_));
        if unknown && tensorflow_checkpoint::is_checkpoint(path) {
            return tensorflow_checkpoint::read(path);
        }
        if unknown
            && path
                .file_name()
                .is_some_and(|name| name == "saved_model.pb")
        {
            return saved_model::read(path);
        }
        Err(error.in_file(&path.display().to_string()))
    })
}

fn read_folder(folder: &Path) -> Result<Checkpoint> {
    if saved_model::is_saved_model(folder) {
        return saved_model::read(folder);
    }
    if tensorflow_checkpoint::is_checkpoint(folder) {
        return tensorflow_checkpoint::read(folder);
    }
    let model = folder.join("model.json");
    match model.is_file() {
        true => tensorflow_js::read(model),
        false => keras_archive::read(folder),
    }
}

/// Whether it begins as `.safetensors` does: with the length of a header that is all there. This comes before what other
/// formats begin with, since a length may be written as these are (`{` is 123, `PK` 19,280), and none of them is taken for
/// it: read as a length, what they begin with is more than any file has, and archives have other bytes behind.
fn is_safetensors(input: &Input) -> bool {
    header_of_safetensors(input).is_some_and(|length| length <= input.length() - 8)
}

/// The length of a header, if something like one stands behind it.
fn header_of_safetensors(input: &Input) -> Option<u64> {
    let prefix = input.prefix(9).ok()?;
    let (length, behind) = prefix.split_first_chunk::<8>()?;
    (behind == b"{").then(|| u64::from_le_bytes(*length))
}

/// Whether it ends as the `.index` file of a checkpoint does.
fn is_table(input: &Input) -> bool {
    let mut magic = [0; tensorflow_checkpoint::MAGIC.len()];
    input.length() >= tensorflow_checkpoint::FOOTER as u64
        && input
            .read_at(input.length() - magic.len() as u64, &mut magic)
            .is_ok_and(|()| magic == tensorflow_checkpoint::MAGIC)
}

/// Reads the bytes of a weight file of any format that is one file; for those of several see
/// [`sharded::read_with`], [`tensorflow_js::read_with`] and [`tensorflow_checkpoint::read_with`]. A `Vec` is taken over, a slice is copied.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: impl Into<Vec<u8>>) -> Result<Checkpoint> {
    from_input(&Input::memory(bytes.into()))
}

fn from_input(input: &Input) -> Result<Checkpoint> {
    if is_safetensors(input) {
        return safetensors::from_input(input);
    }
    if starts_with(input, &hdf5::SIGNATURE) {
        let root = hdf5::open(input)?;
        return if legacy_h5::is_legacy(&root) {
            legacy_h5::from_tree(&root)
        } else {
            keras_weights::from_tree(root)
        };
    }
    if starts_with(input, b"PK") {
        let archive = Archive::open(input)?;
        return if pytorch::is_archive(&archive)? {
            pytorch::from_archive(archive)
        } else {
            keras_archive::from_archive(archive)
        };
    }
    if pytorch::is_legacy(input) {
        return pytorch::from_input(input);
    }
    // One that has been cut off, say.
    if header_of_safetensors(input).is_some() {
        return safetensors::from_input(input);
    }
    let known = "HDF5 (.h5), zip (.keras, .pt), JSON (.weights.json, model.json), safetensors, \
                 PyTorch (.pth), or a TensorFlow checkpoint";
    let received = match input.prefix(8) {
        Ok(prefix) if prefix.is_empty() => "an empty file".to_string(),
        Ok(prefix) => format!("bytes that begin with {}", prefix.escape_ascii()),
        Err(error) => error.to_string(),
    };
    Err(Error::unsupported("", known, received)
        .help("load the model where it was made and save it as .keras or .weights.h5"))
}

fn starts_with(input: &Input, magic: &[u8]) -> bool {
    input
        .prefix(magic.len() as u64)
        .is_ok_and(|prefix| prefix == magic)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of this length, and one number.
    fn safetensors_of(length: usize) -> Vec<u8> {
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut bytes = (length as u64).to_le_bytes().to_vec();
        bytes.extend(format!("{header:length$}").bytes());
        bytes.extend(1.5_f32.to_le_bytes());
        bytes
    }

    #[test]
    fn a_length_is_not_taken_for_another_format() {
        let folder = tempfile::tempdir().unwrap();
        for (length, begins) in [(123, &b"{"[..]), (0x4b50, b"PK"), (64, b"@")] {
            let bytes = safetensors_of(length);
            assert!(bytes.starts_with(begins));
            let path = folder.path().join(format!("{length}.safetensors"));
            std::fs::write(&path, &bytes).unwrap();
            for read in [read(&path), read_bytes(bytes)] {
                let checkpoint = read.unwrap_or_else(|error| panic!("{length}: {error}"));
                assert_eq!(checkpoint.tensors().count(), 1, "{length}");
            }
        }
    }
}
