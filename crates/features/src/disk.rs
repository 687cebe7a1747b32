//! What is done to files, one step after the other, so that tests can end it after each.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Every change of files goes through it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub fault: Fault,
}

impl Disk {
    /// Writes the pieces into a new file under `temporary`, which becomes `path` when all of it is there.
    ///
    /// Nothing is forced to the disk: what a machine that stops loses of it is noticed by the checksums.
    pub fn write(
        &self,
        temporary: &Path,
        path: &Path,
        pieces: impl Iterator<Item = Vec<u8>>,
    ) -> io::Result<()> {
        let written = self.create(temporary).and_then(|mut file| {
            for piece in pieces {
                self.piece(&mut file, &piece)?;
            }
            // Closed before it is renamed, for systems that want that.
            drop(file);
            self.rename(temporary, path)
        });
        if written.is_err() {
            // What remains is removed by the next that writes.
            let _ = self.remove(temporary);
        }
        written
    }

    pub fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.step(false)?;
        fs::create_dir_all(path)
    }

    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(false)?;
        fs::remove_file(path)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.step(false)?;
        File::create_new(path)
    }

    fn piece(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Err(error) = self.step(true) {
            // Half of it is there all the same.
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        file.write_all(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(false)?;
        fs::rename(from, to)
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn step(&self, _grows: bool) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&self, grows: bool) -> io::Result<()> {
        self.fault.step(grows)
    }
}

/// When and how the disk fails.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Fault(std::sync::Mutex<Option<(usize, Failing)>>);

/// How a disk fails.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// The process ends: nothing is done any more.
    Crash,
    /// Nothing that takes room.
    Full,
}

#[cfg(test)]
impl Fault {
    /// Lets it fail after so many steps.
    pub fn after(&self, steps: usize, failing: Failing) {
        *self.0.lock().unwrap() = Some((steps, failing));
    }

    fn step(&self, grows: bool) -> io::Result<()> {
        match &mut *self.0.lock().unwrap() {
            None => Ok(()),
            Some((0, Failing::Crash)) => Err(io::Error::other("crashed")),
            Some((0, Failing::Full)) if grows => Err(io::ErrorKind::StorageFull.into()),
            Some((0, Failing::Full)) => Ok(()),
            Some((steps, _)) => {
                *steps -= 1;
                Ok(())
            }
        }
    }
}
