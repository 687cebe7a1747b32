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
    if starts_with(&input, b"{") {
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
    if input
        .prefix(9)
        .is_ok_and(|prefix| prefix.get(8) == Some(&b'{'))
    {
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
