//! A file of checked lines, as what is known from run to run is kept in.
//!
//! Lines are only ever added, many with one write, so that two processes may share the file; a line that is not whole
//! or was changed is passed over. Of a file that gets too large the older half goes.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rayon::prelude::*;

use crate::Result;
use crate::error::io;

/// The bytes of a file: of some 200,000 pictures.
const LARGEST: u64 = 128 << 20;

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
        .and_then(|mut file| {
            file.write_all(&text)?;
            Ok(file.metadata()?.len())
        })
        .and_then(|length| match length > LARGEST {
            true => halve(path),
            false => Ok(()),
        });
    written.map_err(|error| io(path, "a file that can be written", &error))
}

/// Leaves the second half of the lines. What another process adds meanwhile may be lost: it is found out again.
fn halve(path: &Path) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-(LARGEST as i64 / 2)))?;
    let mut half = Vec::new();
    file.read_to_end(&mut half)?;
    // Not the line that begins before.
    let first = half.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::write(&temporary, &half[first..]).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// What a line says, if it is whole.
fn whole(line: &[u8]) -> Option<&[u8]> {
    let (check, rest) = line.split_at_checked(16)?;
    let said = rest.strip_prefix(b" ")?;
    (blake3::hash(said).to_hex().as_bytes().get(..16)? == check).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stays_within_its_bound_and_what_was_added_last_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let line = |number: u32| format!("{number:08}{}", "x".repeat(1 << 20)).into_bytes();
        for part in 0..5 {
            add(&path, (part * 30..(part + 1) * 30).map(line)).unwrap();
            assert!(path.metadata().unwrap().len() <= LARGEST);
        }
        let number = |line: &[u8]| std::str::from_utf8(&line[..8]).ok()?.parse::<u32>().ok();
        let mut found = read(&path, number).unwrap();
        found.sort_unstable();
        assert!(found.len() >= 60 && found.len() < 120, "{}", found.len());
        assert!(
            found
                .iter()
                .rev()
                .copied()
                .eq((0..150).rev().take(found.len()))
        );
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1);
    }
}
