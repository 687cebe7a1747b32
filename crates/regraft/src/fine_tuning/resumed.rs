//! A recipe that goes on where it was interrupted: a folder with a backup of each stage.

use std::fs;
use std::path::{Path, PathBuf};

use regraft_data::Dataset;
use regraft_layers::Model as Network;
use regraft_tensor::Detail;
use sha2::{Digest, Sha256};

use crate::callbacks::BackupAndRestore;
use crate::fine_tuning::recipe::FineTune;
use crate::{Error, Result};

/// The file that says which run the folder is of.
const RUN: &str = "run.txt";

/// The folder in which the stages of a recipe are backed up, if they are.
#[derive(Debug)]
pub(crate) struct Backups {
    folder: Option<PathBuf>,
}

fn wrong(path: &Path, expected: &str, error: &std::io::Error) -> Error {
    Error::File(Detail::new(path.display().to_string(), expected, error))
}

impl Backups {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// A folder that is of another recipe, of another model or of other data, and one that cannot be made.
    pub fn open(recipe: &FineTune<'_>, network: &Network, data: &dyn Dataset) -> Result<Self> {
        let Some(folder) = &recipe.backup else {
            return Ok(Backups { folder: None });
        };
        fs::create_dir_all(folder)
            .map_err(|error| wrong(folder, "a folder that can be made", &error))?;
        let (path, run) = (folder.join(RUN), run(recipe, network, data));
        match fs::read_to_string(&path) {
            Ok(found) if found == run => {}
            Ok(found) => {
                let line = |text: &str, other: &str| {
                    let mut lines = text.lines().zip(other.lines());
                    let differs = lines.find(|(one, other)| one != other);
                    differs.map_or_else(|| text.to_string(), |(line, _)| line.to_string())
                };
                let expected = format!("a backup of {}", line(&run, &found));
                let detail = Detail::new(path.display().to_string(), expected, line(&found, &run));
                let help = "the backup is of another run: call `fine_tune` as before, with the model as it was at \
                            first, or delete the folder to begin anew";
                return Err(Error::File(detail.help(help)));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                regraft_io::write_file(&path, run.as_bytes())?;
            }
            Err(error) => return Err(wrong(&path, "a file that can be read", &error)),
        }
        let folder = Some(folder.clone());
        Ok(Backups { folder })
    }

    fn of(folder: &Path, stage: usize) -> PathBuf {
        folder.join(format!("stage-{stage}"))
    }

    /// What backs up the stage of this number, from 0: the head's, where it is trained by steps, and those after it.
    pub fn callback(&self, stage: usize) -> Option<BackupAndRestore> {
        let folder = self.folder.as_ref()?;
        // It stays until the recipe is done: a stage that has ended is put back as it ended.
        let backup = BackupAndRestore::new(Self::of(folder, stage));
        Some(backup.delete_checkpoint(false))
    }

    /// Deletes what is there of so many stages.
    ///
    /// # Errors
    /// A file that cannot be deleted.
    pub fn delete(&self, stages: usize) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let delete = |path: &Path| match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(wrong(path, "a file that can be deleted", &error))
            }
            _ => Ok(()),
        };
        for stage in 0..stages {
            let of_stage = Self::of(folder, stage);
            delete(&BackupAndRestore::new(&of_stage).path())?;
            // Stay if there is anything else in them.
            let _ = fs::remove_dir(of_stage);
        }
        delete(&folder.join(RUN))?;
        let _ = fs::remove_dir(folder);
        Ok(())
    }
}

/// What two runs have in common if the one goes on with the other: settings, the number of samples, the weights at first.
fn run(recipe: &FineTune<'_>, network: &Network, data: &dyn Dataset) -> String {
    let mut hash = Sha256::new();
    for weight in network.weights().iter() {
        hash.update(weight.path().as_bytes());
        for value in weight.value().as_slice() {
            hash.update(value.to_bits().to_le_bytes());
        }
    }
    let weights: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "recipe {:?}, {} epochs, {} for the head, seed {}, batches of {}, judged by {:?}\n\
         rates {:?} and {:?}, layer decay {:?}, weight decay {:?}, l2_sp {:?}\n\
         head {:?}, solved {}, kept frozen {:?}, interpolated {}\n\
         {} samples\nweights at first {weights}\n",
        recipe.kind,
        recipe.epochs,
        recipe.head_epochs,
        recipe.seed,
        recipe.batch_size,
        recipe.judge,
        recipe.learning_rate,
        recipe.head_learning_rate,
        recipe.layer_decay,
        recipe.weight_decay,
        recipe.l2_sp,
        recipe.head,
        recipe.solve_head,
        recipe.kept_frozen,
        recipe.interpolate,
        data.len(),
    )
}
