//! Where the artifacts go: a folder that is filled under another name beside, and renamed when it is whole.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use regraft_tensor::Detail;

use crate::error::io;
use crate::{Error, Result};

/// By this file a folder of ours is known.
pub(crate) const RUN_FILE: &str = "run.toml";

/// A folder that is being filled. Until [`commit`](Self::commit) nobody sees it under its name; dropped without, it
/// goes away, and what a killed process left goes away when the next one begins.
#[derive(Debug)]
pub(crate) struct Destination {
    target: PathBuf,
    temporary: PathBuf,
    /// Locked for as long as this process fills the folder.
    lock: Option<File>,
    committed: bool,
}

impl Destination {
    /// Makes room for a folder at `target`.
    ///
    /// # Errors
    /// A folder that is there already, unless `replace` is said and it is one of ours; what the system refuses.
    pub fn new(target: &Path, replace: bool) -> Result<Self> {
        let shown = target.display().to_string();
        let Some(name) = target.file_name() else {
            let detail = Detail::new(shown, "the name of a folder", "a path without one");
            return Err(Error::Setting(detail));
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let hidden = |ending: &str| {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(ending);
            parent.join(hidden)
        };
        let (temporary, old) = (hidden(".unfinished"), hidden(".replaced"));
        let lock_path = hidden(".lock");
        let lock = File::create(&lock_path)
            .map_err(|error| io(&lock_path, "a folder that can be written to", &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let detail = Detail::new(
                    shown,
                    "one process that writes it",
                    "another that does so now",
                );
                return Err(Error::Exists(
                    detail.help("wait for it, or write to another folder"),
                ));
            }
            Err(TryLockError::Error(error)) => {
                return Err(io(&lock_path, "a file that can be locked", &error));
            }
        }
        // Whoever was killed between the two renames of `commit`.
        if old.exists() && !target.exists() {
            fs::rename(&old, target)
                .map_err(|error| io(&old, "a folder that can be renamed", &error))?;
        }
        remove(&temporary)?;
        remove(&old)?;
        let destination = Destination {
            target: target.to_path_buf(),
            temporary,
            lock: Some(lock),
            committed: false,
        };
        if target.symlink_metadata().is_ok() {
            let ours = target.join(RUN_FILE).is_file();
            let detail = match (replace, ours) {
                (true, true) => None,
                (false, true) => Some(
                    Detail::new(shown, "no such folder yet", "one that is there")
                        .help("`--force` replaces it, `--output` writes to another"),
                ),
                (_, false) => Some(
                    Detail::new(
                        shown,
                        "no such folder yet, or one that Regraft wrote",
                        "another",
                    )
                    .help("it is left alone: write to another with `--output`, or move it away"),
                ),
            };
            if let Some(detail) = detail {
                return Err(Error::Exists(detail));
            }
        }
        fs::create_dir(&destination.temporary)
            .map_err(|error| io(&destination.temporary, "a folder that can be made", &error))?;
        Ok(destination)
    }

    /// Where to write the file of this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.temporary.join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(|error| io(&path, "a file that can be written", &error))
    }

    /// Gives the folder its name.
    pub fn commit(mut self) -> Result<()> {
        let failed =
            |error: std::io::Error| io(&self.target, "a folder that can be replaced", &error);
        // Each file before the name under which it is looked for.
        for entry in fs::read_dir(&self.temporary).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|error| io(&path, "a file that can be written", &error))?;
        }
        let old = self.temporary.with_extension("replaced");
        if self.target.exists() {
            fs::rename(&self.target, &old).map_err(failed)?;
        }
        if let Err(error) = fs::rename(&self.temporary, &self.target) {
            if old.exists() {
                let _ = fs::rename(&old, &self.target);
            }
            return Err(failed(error));
        }
        self.committed = true;
        remove(&old)
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.temporary);
        }
        // Removed while it is held, so that nobody else holds a file of that name.
        let _ = fs::remove_file(self.temporary.with_extension("lock"));
        drop(self.lock.take());
    }
}

/// Removes a folder if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io(folder, "a folder that can be removed", &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_there_when_it_is_whole_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("photos.regraft");
        let first = Destination::new(&target, false).unwrap();
        first.write(RUN_FILE, b"1").unwrap();
        assert!(!target.exists());
        // One at a time.
        assert!(matches!(
            Destination::new(&target, false),
            Err(Error::Exists(_))
        ));
        first.commit().unwrap();
        assert_eq!(names(folder.path()), ["photos.regraft"]);
        assert_eq!(names(&target), [RUN_FILE]);
    }

    #[test]
    fn nothing_is_overwritten_unless_told_and_never_what_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("photos.regraft");
        let write = |replace| {
            let destination = Destination::new(&target, replace)?;
            destination.write(RUN_FILE, b"new")?;
            destination.commit()
        };
        fs::create_dir(&target).unwrap();
        fs::write(target.join("diary"), b"mine").unwrap();
        for replace in [false, true] {
            assert!(matches!(write(replace), Err(Error::Exists(_))));
        }
        assert_eq!(names(&target), ["diary"]);
        fs::write(target.join(RUN_FILE), b"old").unwrap();
        let message = write(false).unwrap_err().to_string();
        assert!(message.contains("--force"), "{message}");
        assert_eq!(fs::read(target.join(RUN_FILE)).unwrap(), b"old");
        write(true).unwrap();
        assert_eq!(names(&target), [RUN_FILE]);
        assert_eq!(fs::read(target.join(RUN_FILE)).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["photos.regraft"]);
    }

    #[test]
    fn what_a_killed_process_left_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("photos.regraft");
        let left = folder.path().join(".photos.regraft.unfinished");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("model.keras"), b"half").unwrap();
        fs::write(folder.path().join(".photos.regraft.lock"), b"").unwrap();
        // Killed between the two renames: the old one is there.
        let old = folder.path().join(".photos.regraft.replaced");
        fs::create_dir(&old).unwrap();
        fs::write(old.join(RUN_FILE), b"old").unwrap();
        assert!(Destination::new(&target, false).is_err());
        assert_eq!(fs::read(target.join(RUN_FILE)).unwrap(), b"old");
        let destination = Destination::new(&target, true).unwrap();
        assert_eq!(names(&destination.temporary), Vec::<String>::new());
        drop(destination);
        assert_eq!(names(folder.path()), ["photos.regraft"]);
    }

    #[test]
    fn what_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("photos.regraft");
        fs::create_dir(&target).unwrap();
        fs::write(target.join(RUN_FILE), b"old").unwrap();
        let destination = Destination::new(&target, true).unwrap();
        destination.write("model.keras", b"half").unwrap();
        drop(destination);
        assert_eq!(names(&target), [RUN_FILE]);
        assert_eq!(names(folder.path()), ["photos.regraft"]);
    }
}
