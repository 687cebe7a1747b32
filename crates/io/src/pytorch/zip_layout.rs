//! The layout since PyTorch 1.6: a zip archive of `NAME/data.pkl`, one `NAME/data/KEY` per storage,
//! uncompressed, and `NAME/byteorder`. NAME is any; `archive` if the file was written to memory.

use super::machine::Machine;
use super::source::Source;
use super::{most_memory, state_dict};
use crate::archive::Archive;
use crate::input::Input;
use crate::{Checkpoint, Error, Result};

const PICKLE: &str = "/data.pkl";
/// What only TorchScript has.
const SCRIPT: &str = "/constants.pkl";

/// What tells an archive of `torch.export`, since PyTorch 2.8 and before.
const EXPORTED: [&str; 2] = ["archive_format", "serialized_exported_program.json"];
/// What tells one of `torch.package`.
const PACKAGED: &str = ".data/extern_modules";

/// Whether PyTorch wrote the archive.
pub(crate) fn is_archive(archive: &Archive) -> Result<bool> {
    let names = archive.names()?;
    Ok(folder(&names).is_some() || program(&names).is_some())
}

/// The member that tells, and the name, of an archive of PyTorch that holds a program beside its weights, or
/// in front of them.
fn program(names: &[String]) -> Option<(&str, &'static str, &'static str)> {
    let with = |member: &str| {
        names.iter().map(String::as_str).find(|name| {
            let folder = name.strip_suffix(member);
            folder.is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
        })
    };
    if let Some(name) = EXPORTED.into_iter().find_map(with) {
        let help = "load it with torch.export.load and save its state_dict with torch.save";
        return Some((name, "a program of torch.export (.pt2)", help));
    }
    if let Some(name) = with(PACKAGED) {
        let help = "load it with torch.package.PackageImporter and save the model's state_dict() with torch.save";
        return Some((name, "a package of torch.package", help));
    }
    let script = names.iter().find(|name| name.ends_with(SCRIPT))?;
    let help = "load it with torch.jit.load and save its state_dict() with torch.save";
    Some((script, "a TorchScript program", help))
}

pub(crate) fn from_archive(mut archive: Archive) -> Result<Checkpoint> {
    let names = archive.names()?;
    if let Some((member, program, help)) = program(&names) {
        return Err(Error::unsupported(member, "a state dict", program).help(help));
    }
    let Some(folder) = folder(&names) else {
        return Err(Error::missing(
            "data.pkl",
            "this member of an archive of PyTorch",
            "none",
        ));
    };
    let has = |name: &str| names.iter().any(|found| found == name);
    let order = format!("{folder}/byteorder");
    if has(&order) {
        let received = archive.bytes(&order)?;
        if received != b"little" {
            let received = received.escape_ascii();
            return Err(Error::unsupported(order, "little-endian values", received));
        }
    }
    let pickle = format!("{folder}{PICKLE}");
    let pickle = match archive.stored(&pickle)? {
        Some(pickle) => pickle,
        None => Input::memory(archive.bytes(&pickle)?),
    };
    let length = archive.length();
    let mut machine = Machine::new(Source::new(&pickle), most_memory(length));
    let in_pickle = |error: Error| error.in_file(&format!("{folder}{PICKLE}"));
    let root = machine.load().map_err(in_pickle)?;

    // Members may not overlap, so that their checksums take no more time than the file warrants.
    let mut left = length;
    state_dict::assemble(&mut machine.heap, root, length, |storage| {
        let member = format!("{folder}/data/{}", storage.key);
        let size = archive.size(&member)?;
        if size != storage.length {
            let expected = format!("the {} bytes that the pickle says", storage.length);
            return Err(Error::format(member, expected, format!("{size} bytes")));
        }
        left = left.checked_sub(size).ok_or_else(|| {
            let expected = format!("storages of {length} bytes in all at most");
            Error::limit(&member, expected, "more: they overlap")
        })?;
        archive.stored(&member)?.ok_or_else(|| {
            Error::unsupported(member, "an uncompressed storage", "a compressed one")
                .help("PyTorch stores them uncompressed; save the file again with torch.save")
        })
    })
}

/// The folder of the archive that everything lies in.
fn folder(names: &[String]) -> Option<&str> {
    // An unrelated archive may have such a file somewhere deep in its folders.
    let mut folders = names.iter().filter_map(|name| name.strip_suffix(PICKLE));
    folders.find(|folder| !folder.is_empty() && !folder.contains('/'))
}
