//! `.pt` and `.pth`: what PyTorch's `torch.save` writes, most often a state dict.
//!
//! There are two layouts. Since PyTorch 1.6 a file is a zip archive with a pickle and one member per
//! storage; before, and still on request, it is a row of pickles followed by the storages. Both are
//! read, little-endian. A pickle is a program that could call anything; here it is read by a small
//! machine that knows tensors and plain data alone and runs nothing. Objects of other classes that stand
//! beside the tensors (NumPy's numbers, `argparse.Namespace`, dates, a user's own) are set aside unread; where
//! they stand in the tensors' place, as in a whole pickled model, they are refused by name.
//!
//! Nested dicts are joined by dots. The wrapper around the state dict, as in
//! `{"state_dict": …, "epoch": 3}`, is left out of the layers' paths but not of
//! [`SavedWeight::path`](crate::SavedWeight::path); other prefixes such as `module.` stay. Of a model and its
//! averages (`model`, `model_ema`) the model is read; where two state dicts could be meant, none is taken for
//! the model and all keep their keys. A tensor's name is split at its last dot into layer and weight. Shapes
//! are PyTorch's: nothing is transposed. The state of an optimizer and other tensors beside the wrapped state
//! dict go to [`Checkpoint::extra`]; numbers and texts to
//! [`Metadata::entries`](crate::Metadata::entries), as in `epoch`; what else is not a tensor is left
//! aside.

mod call;
mod global;
mod legacy_layout;
mod machine;
mod opcode;
mod source;
mod state_dict;
mod tensor;
mod value;
mod zip_layout;

use std::path::Path;

use crate::archive::Archive;
use crate::input::Input;
use crate::{Checkpoint, Result};

pub(crate) use legacy_layout::is_legacy;
pub(crate) use zip_layout::{from_archive, is_archive};

/// Beyond this, what is made of a file may take [`MOST_EXPANSION`] times the file.
const ALLOWANCE: u64 = 16 << 20;

/// Values take more room in memory than in a pickle, and several tensors may be views of one storage.
const MOST_EXPANSION: u64 = 4;

/// Reads a `.pt` or `.pth` file of either layout.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound), [`Error::Io`](crate::Error::Io);
/// [`Error::Format`](crate::Error::Format) if the archive, the pickle or a storage is corrupt or
/// truncated; [`Error::Unsupported`](crate::Error::Unsupported) for objects of other classes in
/// the tensors' place (named in the error), programs (TorchScript, `torch.export`), sparse, quantized and
/// complex tensors, and big-endian files; [`Error::Limit`](crate::Error::Limit) if values or views would take
/// far more memory than the file; [`Error::Missing`](crate::Error::Missing) without a storage that a
/// tensor names.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    from_input(&Input::open(path)?).map_err(|error| error.in_file(&path.display().to_string()))
}

/// Reads the bytes of a `.pt` or `.pth` file. A `Vec` is taken over, a slice is copied.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: impl Into<Vec<u8>>) -> Result<Checkpoint> {
    from_input(&Input::memory(bytes.into()))
}

pub(crate) fn from_input(input: &Input) -> Result<Checkpoint> {
    if is_legacy(input) {
        return legacy_layout::from_input(input);
    }
    from_archive(Archive::open(input)?)
}

/// The most memory that may be made of a file of `length` bytes.
fn most_memory(length: u64) -> u64 {
    length
        .saturating_mul(MOST_EXPANSION)
        .saturating_add(ALLOWANCE)
}
