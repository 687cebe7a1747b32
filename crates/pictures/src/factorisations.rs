//! Factorisations of features, kept on disk by what they are of: another head, other groups or another temperature
//! start from there, to the same bits.
//!
//! A file has the factorisation's numbers and their checksum; one that is not what was written is removed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rayon::prelude::*;
use regraft::Tensor;
use regraft_heads::{ClassWeight, Factorised};

use crate::{Error, Result};

/// Changes when the same features are factorised to other bits.
const VERSION: u32 = 1;

/// Bytes of a checksum.
const CHECK: usize = 32;

/// The bytes of all of them. What has not been used for longest goes first.
const BUDGET: u64 = 1 << 30;

/// The factorisation of `features`: as it is kept in a folder, or a new one.
pub(crate) fn factorised(
    features: &Tensor,
    labels: &[i32],
    class_weight: ClassWeight,
    folder: &Path,
) -> Result<Factorised> {
    let folder = folder.join("factorisations");
    let path = folder.join(format!("{}.{VERSION}", key(features, labels, class_weight)));
    if let Some(kept) = kept(&path, features, labels, class_weight)? {
        return Ok(kept);
    }
    let new = Factorised::new(features, labels, class_weight)?;
    // That it cannot be kept costs the next run time, and nothing else.
    let _ = keep(&new, &folder, &path);
    Ok(new)
}

/// A hash of all that a factorisation depends on.
fn key(features: &Tensor, labels: &[i32], class_weight: ClassWeight) -> blake3::Hash {
    let parts: Vec<blake3::Hash> = features
        .as_slice()
        .par_chunks(1 << 18)
        .map(|part| {
            let bytes: Vec<u8> = part.iter().flat_map(|x| x.to_le_bytes()).collect();
            blake3::hash(&bytes)
        })
        .collect();
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{:?} {class_weight:?}", features.shape()).as_bytes());
    for part in parts {
        hasher.update(part.as_bytes());
    }
    for label in labels {
        hasher.update(&label.to_le_bytes());
    }
    hasher.finalize()
}

fn kept(
    path: &Path,
    features: &Tensor,
    labels: &[i32],
    class_weight: ClassWeight,
) -> Result<Option<Factorised>> {
    let (Ok(mut file), Ok(other)) = (File::open(path), File::open(path)) else {
        return Ok(None);
    };
    // What was used last goes last.
    let _ = file.set_modified(SystemTime::now());
    // One thread reads what is there while another looks whether it is what was written.
    let (read, is_whole) = rayon::join(
        || {
            let read = Factorised::read(features, labels, class_weight, &mut file)?;
            let mut check = Vec::new();
            let ended = file.read_to_end(&mut check).is_ok() && check.len() == CHECK;
            Ok::<_, Error>(read.filter(|_| ended))
        },
        || is_whole(other).unwrap_or(false),
    );
    match read? {
        Some(read) if is_whole => Ok(Some(read)),
        _ => {
            let _ = fs::remove_file(path);
            Ok(None)
        }
    }
}

/// Whether a file ends with the checksum of what stands before it.
fn is_whole(mut file: File) -> io::Result<bool> {
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

/// Writes it under another name first, and makes room.
fn keep(new: &Factorised, folder: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = File::create(&temporary).and_then(|file| {
        let mut to = Checked::new(file);
        new.write(&mut to)?;
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

impl Checked {
    fn new(inner: File) -> Self {
        Checked {
            inner,
            hasher: blake3::Hasher::new(),
        }
    }
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
    use regraft_heads::Ridge;

    use super::*;

    #[test]
    fn what_was_factorised_comes_back_and_what_was_changed_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let number = |at: usize| ((at * 7919 + at * at * 31) % 1013) as f32 / 500.0;
        let features = Tensor::new([60, 7], (0..420).map(number).collect()).unwrap();
        let labels: Vec<i32> = (0..60).map(|at| at % 3).collect();
        let solve = || {
            let of = factorised(&features, &labels, ClassWeight::Equal, folder.path()).unwrap();
            let solved = Ridge::new()
                .factorised(&of)
                .fit(&features, &labels)
                .unwrap();
            solved.kernel().clone()
        };
        let files = || -> Vec<PathBuf> {
            let entries = fs::read_dir(folder.path().join("factorisations")).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let first = solve();
        let [path] = files().try_into().unwrap();
        let whole = fs::read(&path).unwrap();
        let find = || kept(&path, &features, &labels, ClassWeight::Equal).unwrap();
        assert!(find().is_some());
        assert_eq!(solve(), first);
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        let longer = [&whole[..], &[0]].concat();
        for bytes in [
            &changed[..],
            &whole[..whole.len() - 1],
            &whole[..99],
            &[],
            &longer,
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(find().is_none() && !path.exists());
            assert_eq!(solve(), first);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        // Others have a file of their own.
        let balanced = ClassWeight::Balanced(1.0);
        factorised(&features, &labels, balanced, folder.path()).unwrap();
        let other = Tensor::new([60, 7], (1..421).map(number).collect()).unwrap();
        factorised(&other, &labels, balanced, folder.path()).unwrap();
        assert_eq!(files().len(), 3);
    }
}
