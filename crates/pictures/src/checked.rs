//! Files that end with a checksum of what stands before it, in one folder with a budget.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of a checksum.
pub(crate) const CHECK: usize = 32;

/// The bytes of all of them. What has not been used for longest goes first.
const BUDGET: u64 = 1 << 30;

/// What a file has before its checksum; one that is not what was written is removed.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    used(path);
    let Some((said, check)) = bytes.split_last_chunk::<CHECK>() else {
        let _ = fs::remove_file(path);
        return None;
    };
    if blake3::hash(said).as_bytes() != check {
        let _ = fs::remove_file(path);
        return None;
    }
    bytes.truncate(bytes.len() - CHECK);
    Some(bytes)
}

/// Whether a file ends with the checksum of what stands before it.
pub(crate) fn is_whole(mut file: File) -> io::Result<bool> {
    let mut left = file.metadata()?.len().saturating_sub(CHECK as u64);
    let mut hasher = blake3::Hasher::new();
    let mut bytes = vec![0; 1 << 18];
    while left > 0 {
        let count = left.min(bytes.len() as u64) as usize;
        file.read_exact(&mut bytes[..count])?;
        hasher.update(&bytes[..count]);
        left -= count as u64;
    }
    let mut check = Vec::new();
    file.read_to_end(&mut check)?;
    Ok(check == hasher.finalize().as_bytes())
}

/// Says that a file is used: what was used last goes last.
pub(crate) fn used(path: &Path) {
    let file = File::options().write(true).open(path);
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

/// Writes what `write` says and its checksum under another name first, and makes room.
pub(crate) fn keep(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = File::create(&temporary).and_then(|file| {
        let mut to = Checked {
            inner: file,
            hasher: blake3::Hasher::new(),
        };
        write(&mut to)?;
        let check = to.hasher.finalize();
        to.inner.write_all(check.as_bytes())
    });
    let written = written.and_then(|()| make_room(folder, &temporary));
    let written = written.and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Removes others until all are within the budget, and what was not finished long ago.
fn make_room(folder: &Path, new: &Path) -> io::Result<()> {
    let mut others: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let (true, Ok(metadata)) = (path != new, path.metadata()) {
            others.push((metadata.modified()?, metadata.len(), path));
        }
    }
    others.sort();
    let mut bytes = new.metadata()?.len();
    if bytes > BUDGET {
        return Err(io::Error::other("larger than all that is kept"));
    }
    // From the one that was used last.
    for (_, size, path) in others.into_iter().rev() {
        bytes += size;
        if bytes > BUDGET {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Writes, and hashes what goes through.
struct Checked {
    inner: File,
    hasher: blake3::Hasher,
}

impl Write for Checked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
