//! Factorisations of features, kept on disk by what they are of: another head, other groups or another temperature
//! start from there, to the same bits. Those that do not fit into memory are in a file of their own for as long as they
//! are needed.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use regraft_heads::{ClassWeight, Factorised, Result};

use crate::checked::{self, CHECK, Folder, Key, is_whole};
use crate::features::Part;

/// Changes when the same features are factorised to other bits.
const VERSION: &str = "2";

/// Bytes of a factorisation up to which it is in memory, and kept.
const IN_MEMORY: usize = 128 << 20;

/// Whether the factorisation of so many features is in memory.
pub(crate) fn fits_into_memory(pictures: usize, width: usize) -> bool {
    pictures <= width || 8 * pictures * width <= IN_MEMORY
}

/// The factorisation of `features`: as it is kept in a folder, or a new one.
pub(crate) fn factorised(
    features: &Part<'_>,
    labels: &[i32],
    class_weight: ClassWeight,
    folder: &Folder,
) -> Result<Factorised> {
    if !fits_into_memory(features.len(), features.width())
        && let Some(file) = nameless(folder.path())
    {
        match Factorised::in_file(features, labels, class_weight, file) {
            // Without room on the disk there may be some in memory.
            Err(regraft_heads::Error::File(_)) => {}
            result => return result,
        }
    }
    let key = key(features, labels, class_weight).finalize().into();
    let path = folder.file(&key, VERSION);
    if let Some(kept) = kept(&path, &key, features, labels, class_weight)? {
        return Ok(kept);
    }
    let new = Factorised::new(features, labels, class_weight)?;
    // That it cannot be kept costs the next run time, and nothing else.
    let _ = folder.keep(&key, VERSION, |to| new.write(to));
    Ok(new)
}

/// A hash of all that a factorisation depends on.
pub(crate) fn key(
    features: &Part<'_>,
    labels: &[i32],
    class_weight: ClassWeight,
) -> blake3::Hasher {
    let mut hasher = features.hash();
    hasher.update(format!("{class_weight:?}").as_bytes());
    for label in labels {
        hasher.update(&label.to_le_bytes());
    }
    hasher
}

/// A file in a folder that nobody else finds, and that goes when it is closed.
fn nameless(folder: &Path) -> Option<File> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    fs::create_dir_all(folder).ok()?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("rows-{}-{number}.tmp", std::process::id()));
    let mut options = File::options();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .ok()?;
    fs::remove_file(&path).ok()?;
    Some(file)
}

fn kept(
    path: &Path,
    key: &Key,
    features: &Part<'_>,
    labels: &[i32],
    class_weight: ClassWeight,
) -> Result<Option<Factorised>> {
    let (Ok(mut file), Ok(other)) = (File::open(path), File::open(path)) else {
        return Ok(None);
    };
    checked::used(path);
    // One thread reads what is there while another looks whether it is what was written.
    let (read, is_whole) = rayon::join(
        || {
            let read = Factorised::read(features, labels, class_weight, &mut file)?;
            let mut check = Vec::new();
            let ended = file.read_to_end(&mut check).is_ok() && check.len() == CHECK;
            Ok(read.filter(|_| ended))
        },
        || is_whole(other, key, VERSION).unwrap_or(false),
    );
    match read? {
        Some(read) if is_whole => Ok(Some(read)),
        _ => {
            let _ = fs::remove_file(path);
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use regraft::Tensor;
    use regraft_heads::Ridge;

    use super::*;
    use crate::features::{Features, Rows};

    /// Features of one network, each row by itself.
    fn features(rows: usize, values: Vec<f32>) -> Features {
        let width = values.len() / rows;
        let keys = values.chunks(width).map(|row| {
            let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
            *blake3::hash(&bytes).as_bytes()
        });
        Features {
            network: [7; 32],
            keys: keys.collect(),
            width,
            rows: Rows::Memory(Tensor::new([rows, width], values).unwrap()),
        }
    }

    #[test]
    fn what_was_factorised_comes_back_and_what_was_changed_does_not() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path());
        let number = |at: usize| ((at * 7919 + at * at * 31) % 1013) as f32 / 500.0;
        let all = features(60, (0..420).map(number).collect());
        let features = all.all().unwrap();
        let labels: Vec<i32> = (0..60).map(|at| at % 3).collect();
        let solve = || {
            let of = factorised(&features, &labels, ClassWeight::Equal, &folder).unwrap();
            let solved = Ridge::new()
                .factorised(&of)
                .fit(&features, &labels)
                .unwrap();
            solved.kernel().clone()
        };
        let files = || -> Vec<PathBuf> {
            let entries = fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let first = solve();
        let [path] = files().try_into().unwrap();
        let whole = fs::read(&path).unwrap();
        let key = key(&features, &labels, ClassWeight::Equal)
            .finalize()
            .into();
        let find = || kept(&path, &key, &features, &labels, ClassWeight::Equal).unwrap();
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
        // That of others is none of these.
        assert!(
            kept(&path, &[1; 32], &features, &labels, ClassWeight::Equal)
                .unwrap()
                .is_none()
        );
        assert_eq!(solve(), first);
        // Others have a file of their own.
        let balanced = ClassWeight::Balanced(1.0);
        factorised(&features, &labels, balanced, &folder).unwrap();
        let other = self::features(60, (1..421).map(number).collect());
        factorised(&other.all().unwrap(), &labels, balanced, &folder).unwrap();
        assert_eq!(files().len(), 3);
    }
}
