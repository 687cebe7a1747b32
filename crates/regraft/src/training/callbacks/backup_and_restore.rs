//! Training that goes on where it was interrupted.

mod backup;

use std::fs;
use std::path::{Path, PathBuf};

use regraft_tensor::Detail;

use super::{Callback, Context};
use crate::{Error, History, Result};
use backup::Backup;

/// Backs training up after each epoch, and puts an interrupted one back to where it was when the
/// same `fit` is called again, which then goes on with the next epoch.
///
/// A backup has the weights, what is frozen, the optimizer's memory of every parameter it has met,
/// the learning rate, the history, and what every other callback remembers (its
/// [`state`](Callback::state), so that of your own too). It is one file, `latest.safetensors` in the folder, that is
/// replaced when all of the next one is written: whenever the program is killed, a whole backup is
/// there. Since a step's random numbers depend on its place in training alone, the resumed fit ends
/// with the same bytes as one that was never interrupted. After the last epoch the file is deleted
/// (and the folder, if nothing else is in it).
///
/// The same `fit` means the same callbacks, wherever this one stands among them. Keras can also save between batches, but begins the epoch again
/// then, with weights that have seen a part of it; that could not end with the same bytes.
///
/// Source: [Keras](https://keras.io/api/callbacks/backup_and_restore/).
///
/// ```
/// use regraft::callbacks::BackupAndRestore;
///
/// let options = regraft::Fit::new().epochs(20).callback(BackupAndRestore::new("backup"));
/// # drop(options);
/// ```
#[derive(Clone, Debug)]
pub struct BackupAndRestore {
    /// The epoch, counted from 0, at which this fit went on, if there was a backup.
    pub resumed_at: Option<usize>,
    folder: PathBuf,
    save_every: usize,
    delete_checkpoint: bool,
}

impl BackupAndRestore {
    /// Keeps the backup in this folder, which is made. It is for one training run alone.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        BackupAndRestore {
            resumed_at: None,
            folder: folder.into(),
            save_every: 1,
            delete_checkpoint: true,
        }
    }

    /// Backs up after every so many epochs, where epochs are short and the model is large. Default
    /// 1.
    #[must_use]
    pub fn save_every(mut self, epochs: usize) -> Self {
        self.save_every = epochs;
        self
    }

    /// Whether the backup is deleted when training has ended. Default true.
    #[must_use]
    pub fn delete_checkpoint(mut self, delete: bool) -> Self {
        self.delete_checkpoint = delete;
        self
    }

    /// Removes what killed processes left of backups that they were writing.
    fn sweep(&self) {
        let left = |name: &str| name.starts_with(".latest.safetensors.") && name.ends_with(".tmp");
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(left) {
                // It is in nobody's way if it cannot be removed.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The file of the backup.
    pub fn path(&self) -> PathBuf {
        self.folder.join("latest.safetensors")
    }
}

fn file_error(path: &Path, expected: &str, error: &std::io::Error) -> Error {
    Error::File(Detail::new(path.display().to_string(), expected, error))
}

impl Callback for BackupAndRestore {
    /// # Errors
    /// A backup of another model, another optimizer, another seed or other data. Nothing has
    /// changed then.
    fn on_train_begin(&mut self, context: &mut Context<'_>, history: &mut History) -> Result<()> {
        if self.save_every == 0 {
            let detail = Detail::new("BackupAndRestore.save_every", "at least 1 epoch", 0);
            return Err(Error::Setting(detail));
        }
        self.resumed_at = None;
        fs::create_dir_all(&self.folder)
            .map_err(|error| file_error(&self.folder, "a folder that can be made", &error))?;
        self.sweep();
        let path = self.path();
        if path.exists() {
            let epoch = Backup::read(&path)?.restore(&path, context, history)?;
            context.resume_at(epoch);
            self.resumed_at = Some(epoch);
        }
        Ok(())
    }

    // Not at its end, when those after it may still change the learning rate.
    fn after_epoch(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        match (epoch + 1).is_multiple_of(self.save_every) {
            true => Backup::of(epoch + 1, context, history)?.write(&self.path()),
            false => Ok(()),
        }
    }

    fn on_train_end(&mut self, _context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        let path = self.path();
        if self.delete_checkpoint && path.exists() {
            fs::remove_file(&path)
                .map_err(|error| file_error(&path, "a file that can be deleted", &error))?;
            // Stays if there is anything else in it.
            let _ = fs::remove_dir(&self.folder);
        }
        Ok(())
    }
}
