//! Writing files all or nothing: into a temporary neighbour first, which then takes the name.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// A file that is complete on disk but does not have its name yet. Dropping it removes it.
pub(crate) struct Staged {
    temporary: PathBuf,
    target: PathBuf,
}

/// Writes what `body` writes to `path`. Until all of it is safely on disk, whatever was at `path`
/// stays as it was; when anything fails it stays for good, and nothing is left behind.
pub(crate) fn write(
    path: &Path,
    body: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    stage(path, body)?.commit()
}

/// Writes `bytes` to the file `path`, all or nothing: into a temporary file beside it, which takes
/// its name once all of it is safely on disk.
///
/// # Errors
/// [`Error::Io`], naming the file; whatever was there before stays as it was.
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    write(path, |out| {
        out.write_all(bytes)
            .map_err(|error| Error::io(path, "a file that can be written", &error))
    })
}

/// What the names of the temporary neighbours begin with through which this process writes the file `name`; they end
/// in `.tmp`. Of a long name its first part, since a name may have 255 bytes.
pub fn temporary_begin(name: &str) -> String {
    const MOST: usize = 200;
    let mut end = name.len().min(MOST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!(".{}.{}.", &name[..end], std::process::id())
}

/// The first half of [`write`]: everything but giving the file its name.
pub(crate) fn stage(
    path: &Path,
    body: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<Staged> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let wrap = |error: std::io::Error| Error::io(path, "a file that can be written", &error);
    // Through a link, so that the link stays one. A missing target is the usual case.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let Some(name) = target.file_name().filter(|_| !target.is_dir()) else {
        return Err(Error::format(
            path.display().to_string(),
            "the name of a file",
            "a folder",
        ));
    };
    let (temporary, file) = loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{}{count}.tmp", temporary_begin(&name.to_string_lossy()));
        let temporary = target.with_file_name(unique);
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).open(&temporary) {
            Ok(file) => break (temporary, file),
            // A killed process of the same number, as in every start of a container, has left it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrap(error)),
        }
    };
    let staged = Staged { temporary, target };
    let mut out = BufWriter::with_capacity(1 << 16, file);
    body(&mut out).map_err(|error| error.in_file(&path.display().to_string()))?;
    out.flush().map_err(wrap)?;
    out.get_ref().sync_all().map_err(wrap)?;
    Ok(staged)
}

impl Staged {
    /// Gives the file its name, replacing whatever had it.
    pub(crate) fn commit(self) -> Result<()> {
        fs::rename(&self.temporary, &self.target)
            .map_err(|error| Error::io(&self.target, "a file that can be replaced", &error))?;
        // So that the new name survives a power cut too. Not every system can open a folder.
        if let Some(Ok(folder)) = self.target.parent().map(File::open) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a commit there is nothing of that name any more.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_process_of_the_same_number_left_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let process = std::process::id();
        for count in 0..1000 {
            let left = format!(".weights.{process}.{count}.tmp");
            fs::write(folder.path().join(left), "half").unwrap();
        }
        write_file(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn names_may_be_as_long_as_the_system_lets_them() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["n".repeat(255), "ü".repeat(127)] {
            let path = folder.path().join(&name);
            write_file(&path, b"whole").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"whole");
        }
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn a_failing_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs::write(&path, "old").unwrap();
        let result = write(&path, |out| {
            out.write_all(&[0; 1 << 17]).unwrap();
            Err(Error::format("", "to fail", ""))
        });
        assert!(result.unwrap_err().to_string().contains("weights"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["weights"]);

        write(&path, |out| {
            out.write_all(b"new").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["weights"]);
    }

    #[test]
    fn a_missing_folder_and_a_folder_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("none/weights");
        assert!(matches!(
            write(&inside, |_| Ok(())),
            Err(Error::NotFound(_))
        ));
        assert!(write(folder.path(), |_| Ok(())).is_err());
        assert!(names(folder.path()).is_empty());
    }
}
