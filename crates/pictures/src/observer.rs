//! Watching what goes on: for progress bars, and to stop it.

use std::fmt;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Finding the pictures and hashing what is in them.
    Scan,
    /// Decoding, checking and the features of the backbone.
    Features,
    /// Duplicates, groups and what else is found in the pictures as a whole.
    Check,
    /// The head and all that is told from it.
    Solve,
    /// Training the top of the backbone.
    Improve,
    /// Writing the report and the model.
    Write,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Scan => "scan",
            Stage::Features => "features",
            Stage::Check => "check",
            Stage::Solve => "solve",
            Stage::Improve => "improve",
            Stage::Write => "write",
        })
    }
}

/// Is told what goes on. `()` is one that listens to nothing.
pub trait Observer {
    /// A stage begins, of so many steps.
    fn begin(&mut self, _stage: Stage, _steps: usize) {}

    /// So many steps of it are done.
    fn progress(&mut self, _stage: Stage, _done: usize) {}

    /// It has ended; what came of it, in one line.
    fn end(&mut self, _stage: Stage, _told: &str) {}

    /// What a user should know and did not ask for.
    fn note(&mut self, _note: &str) {}

    /// Whether to stop. Asked often; what was finished is kept.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Observer for () {}
