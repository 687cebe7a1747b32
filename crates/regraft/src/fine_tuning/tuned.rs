//! What fine-tuning has done.

use std::fmt;

use crate::fine_tuning::UnfreezeSuggestion;
use crate::fine_tuning::line::Line;
use crate::{History, Scores};

/// What [`Model::fine_tune`](crate::Model::fine_tune) has done. It prints in a few lines.
#[derive(Clone, Debug)]
pub struct FineTuned {
    pub(crate) stages: Vec<(String, History)>,
    pub(crate) line: Line,
    pub(crate) suggestion: Option<UnfreezeSuggestion>,
}

impl FineTuned {
    /// Name and history of each stage that was trained by steps.
    pub fn stages(&self) -> impl Iterator<Item = (&str, &History)> {
        self.stages
            .iter()
            .map(|(name, history)| (name.as_str(), history))
    }

    /// What the head alone was worth, on the data that are judged by (with fastai's recipe: what the model was worth at
    /// first); `None` without such data.
    pub fn probe(&self) -> Option<&Scores> {
        self.line.points.first().map(|(_, scores)| scores)
    }

    /// What the model is worth, on the data that are judged by; `None` without such data.
    pub fn kept(&self) -> Option<&Scores> {
        let kept = self.line.points.get(self.line.kept);
        kept.map(|(_, scores)| scores)
    }

    /// How far between the start (0: the head alone) and the finish (1) the model is.
    pub fn interpolation(&self) -> f32 {
        self.line
            .points
            .get(self.line.kept)
            .map_or(1.0, |(along, _)| *along)
    }

    /// The points between start and finish, and what each is worth.
    pub fn line(&self) -> &[(f32, Scores)] {
        &self.line.points
    }

    /// Why surgical fine-tuning began where it did.
    pub fn suggestion(&self) -> Option<&UnfreezeSuggestion> {
        self.suggestion.as_ref()
    }
}

impl fmt::Display for FineTuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(probe) = self.probe() {
            writeln!(f, "at first, the head alone: {probe}")?;
        }
        for (name, history) in &self.stages {
            write!(f, "{name}, {} epochs:", history.len())?;
            for name in ["loss", "val_loss"] {
                if let Some(value) = history.last(name) {
                    write!(f, " {name} {value:.4}")?;
                }
            }
            writeln!(f)?;
        }
        if let Some((along, scores)) = self.line.points.get(self.line.kept) {
            write!(f, "kept, {:.0} % of the way: {scores}", 100.0 * along)?;
        }
        Ok(())
    }
}
