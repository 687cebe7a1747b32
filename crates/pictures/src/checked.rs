//! Folders of files that are bound to what they were made of: each ends with a checksum of what stands before it, made
//! with the hash of all that it depends on. So one that was cut, changed, or put in the place of another is not believed.
//! A folder has a budget.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A hash of all that the content of a file depends on.
pub(crate) type Key = [u8; 32];

/// Bytes of a checksum.
pub(crate) const CHECK: usize = 32;

/// The bytes of all files of a folder, unless it is told otherwise.
const BUDGET: u64 = 1 << 30;

/// A folder of files by their keys. What has not been used for longest goes first.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    budget: u64,
}

impl Folder {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Folder {
            path,
            budget: BUDGET,
        }
    }

    /// So many bytes all files may take.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file of a key is; `kind` tells files apart that are made of the same.
    pub fn file(&self, key: &Key, kind: &str) -> PathBuf {
        let name = blake3::Hash::from_bytes(*key).to_hex();
        self.path.join(format!("{name}.{kind}"))
    }

    /// What a file has before its checksum; one that is not what was written for this key is removed.
    pub fn read(&self, key: &Key, kind: &str) -> Option<Vec<u8>> {
        let path = self.file(key, kind);
        let mut bytes = fs::read(&path).ok()?;
        let is_whole = match bytes.split_last_chunk::<CHECK>() {
            Some((said, check)) => hasher(key, kind).update(said).finalize() == *check,
            None => false,
        };
        if !is_whole {
            let _ = fs::remove_file(&path);
            return None;
        }
        used(&path);
        bytes.truncate(bytes.len() - CHECK);
        Some(bytes)
    }

    /// Writes what `write` says and its checksum under another name first, and makes room.
    pub fn keep(
        &self,
        key: &Key,
        kind: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        let path = self.file(key, kind);
        let temporary = path.with_extension(format!("{kind}-{}.tmp", std::process::id()));
        let written = File::create(&temporary).and_then(|file| {
            let hasher = hasher(key, kind);
            let mut to = Checked {
                inner: file,
                hasher,
            };
            write(&mut to)?;
            let check = to.hasher.finalize();
            to.inner.write_all(check.as_bytes())
        });
        let written = written.and_then(|()| self.make_room(&temporary));
        let written = written.and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes others until all are within the budget, and what was not finished long ago.
    fn make_room(&self, new: &Path) -> io::Result<()> {
        let mut others: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if let (true, Ok(metadata)) = (path != new, path.metadata()) {
                others.push((metadata.modified()?, metadata.len(), path));
            }
        }
        others.sort();
        let mut bytes = new.metadata()?.len();
        if bytes > self.budget {
            return Err(io::Error::other("larger than all that is kept"));
        }
        // From the one that was used last.
        for (_, size, path) in others.into_iter().rev() {
            bytes += size;
            if bytes > self.budget {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// What hashes a file of a key and a kind.
fn hasher(key: &Key, kind: &str) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(kind.as_bytes());
    hasher
}

/// Whether a file ends with the checksum that its key gives what stands before it.
pub(crate) fn is_whole(mut file: File, key: &Key, kind: &str) -> io::Result<bool> {
    let mut left = file.metadata()?.len().saturating_sub(CHECK as u64);
    let mut hasher = hasher(key, kind);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_believed_only_in_its_own_place_and_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::new(folder.path().join("kept"));
        let (one, other) = ([1; 32], [2; 32]);
        let keep = || folder.keep(&one, "head", |to| to.write_all(b"of one"));
        keep().unwrap();
        let path = folder.file(&one, "head");
        let whole = fs::read(&path).unwrap();
        let read = |key: &Key, kind: &str| folder.read(key, kind);
        assert_eq!(read(&one, "head").as_deref(), Some(&b"of one"[..]));
        assert!(is_whole(File::open(&path).unwrap(), &one, "head").unwrap());
        assert!(!is_whole(File::open(&path).unwrap(), &other, "head").unwrap());
        // In the place of another, which goes.
        for (key, kind) in [(&other, "head"), (&one, "map")] {
            fs::copy(&path, folder.file(key, kind)).unwrap();
            assert_eq!(read(key, kind), None);
            assert!(!folder.file(key, kind).exists());
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read(&one, "head"), None);
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert_eq!(read(&one, "head"), None);
        }
        keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::new(folder.path()).budget(4 * (100 + CHECK as u64));
        let key = |number: u8| [number; 32];
        let keep = |number: u8| folder.keep(&key(number), "x", |to| to.write_all(&[number; 100]));
        for number in 0..4 {
            keep(number).unwrap();
            // Times are told apart, the first is the oldest.
            let old = SystemTime::now() - Duration::from_secs(100 - u64::from(number));
            let file = File::options()
                .write(true)
                .open(folder.file(&key(number), "x"));
            file.unwrap().set_modified(old).unwrap();
        }
        // Used now, it stays.
        assert!(folder.read(&key(0), "x").is_some());
        keep(4).unwrap();
        let there = |number: u8| folder.file(&key(number), "x").exists();
        assert_eq!([0, 1, 2, 3, 4].map(there), [true, false, true, true, true]);
        let large = folder.keep(&key(5), "x", |to| to.write_all(&[0; 1000]));
        assert!(large.is_err() && !there(5));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
