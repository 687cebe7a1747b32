//! A file of checked lines, as what is known from run to run is kept in.
//!
//! Lines are only ever added, many with one write, so that two processes may share the file; a line that is not whole
//! or was changed is passed over.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use rayon::prelude::*;

use crate::Result;
use crate::error::io;

/// What `parse` makes of the whole lines of a file; of none if it is not there.
pub(crate) fn read<T: Send>(
    path: &Path,
    parse: impl Fn(&[u8]) -> Option<T> + Sync,
) -> Result<Vec<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(path, "a file that can be read", &error)),
    };
    let lines = bytes.par_split(|byte| *byte == b'\n');
    Ok(lines.filter_map(|line| parse(whole(line)?)).collect())
}

/// Adds lines, none of which has a line break in it.
pub(crate) fn add(path: &Path, lines: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
    // What was cut off ends here.
    let mut text = vec![b'\n'];
    for line in lines {
        let check = blake3::hash(&line).to_hex();
        text.extend_from_slice(&check.as_bytes()[..16]);
        text.push(b' ');
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    if text.len() == 1 {
        return Ok(());
    }
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(&text));
    written.map_err(|error| io(path, "a file that can be written", &error))
}

/// What a line says, if it is whole.
fn whole(line: &[u8]) -> Option<&[u8]> {
    let (check, rest) = line.split_at_checked(16)?;
    let said = rest.strip_prefix(b" ")?;
    (blake3::hash(said).to_hex().as_bytes().get(..16)? == check).then_some(said)
}
