//! Loading weights. Nothing is written until everything fits, and a report says what was loaded from where.

use std::path::Path;

use regraft_io::Checkpoint;

use crate::files::load::Load;
use crate::files::load_plan::LoadPlan;
use crate::files::load_report::LoadReport;
use crate::{Model, Result};

impl Model {
    /// Loads weights from a file of any format that [`regraft_io::read`] knows: `.weights.h5`,
    /// `.keras`, legacy `.h5`, `.weights.json`, `.safetensors`, TensorFlow checkpoints and SavedModels,
    /// TensorFlow.js layers models.
    ///
    /// Layers are matched by name where the names of the file are those of the model, and otherwise
    /// by class and order, weights by what the file says; never by position alone. If the model is
    /// compiled with the optimizer of the file, the optimizer's memory is restored too, so that
    /// training goes on where it was.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read, [`Error::Load`](crate::Error::Load) with a table of everything that
    /// does not fit. The model is unchanged then, in every bit.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<LoadReport> {
        self.load_weights_with(path, Load::new())
    }

    /// As [`load_weights`](Self::load_weights), with exceptions.
    ///
    /// # Errors
    /// As [`load_weights`](Self::load_weights); [`regraft_layers::Error::NoMatch`] if
    /// [`Load::keep`] or [`Load::only`] picks nothing.
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, load: Load) -> Result<LoadReport> {
        let checkpoint = regraft_io::read(&path)?;
        self.load_checkpoint(&checkpoint, &path.as_ref().display().to_string(), load)
    }

    /// As [`load_weights_with`](Self::load_weights_with), from a checkpoint in memory; `source`
    /// names it in messages.
    ///
    /// # Errors
    /// As [`load_weights_with`](Self::load_weights_with).
    pub fn load_checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        source: &str,
        load: Load,
    ) -> Result<LoadReport> {
        Ok(LoadPlan::of(self, checkpoint, source, &load)?.commit(self))
    }
}
