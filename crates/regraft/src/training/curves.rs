//! Learning curves as a picture: loss and metrics over epochs, of one run or of several to compare.

mod draw;
mod over_rates;

use std::path::Path;

use regraft_tensor::Detail;

pub(crate) use self::over_rates::over_rates;
use crate::training::history::History;

/// Why there is no picture.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to draw.
    #[error("no learning curves: {0}")]
    Empty(Detail),
    /// The drawing failed.
    #[error("cannot draw learning curves: {0}")]
    Draw(Detail),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] regraft_io::Error),
}

regraft_tensor::debug_prints_the_message!(Error);

/// A result of drawing.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Learning curves of one or more runs, one panel for the loss and one for each metric.
///
/// Each run has a colour. Where there is validation, its values are solid and those of training
/// dashed.
///
/// ```
/// use regraft::curves::LearningCurves;
/// use regraft::history::History;
///
/// let (mut frozen, mut scratch) = (History::default(), History::default());
/// for epoch in 0..10 {
///     let loss = 1.0 / (epoch + 1) as f64;
///     frozen.push_epoch(epoch, [("loss", loss), ("val_loss", loss + 0.1)]);
///     scratch.push_epoch(epoch, [("loss", loss + 0.5), ("val_loss", loss + 0.7)]);
/// }
/// let svg = LearningCurves::new()
///     .run("frozen", &frozen)
///     .run("from scratch", &scratch)
///     .title("100 labels per class")
///     .to_svg()?;
/// assert!(svg.starts_with("<svg"));
/// # Ok::<(), regraft::curves::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LearningCurves<'a> {
    title: String,
    runs: Vec<(String, &'a History)>,
    metrics: Vec<String>,
}

impl<'a> LearningCurves<'a> {
    /// Without runs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a run under a name; the name of a single run may be empty.
    #[must_use]
    pub fn run(mut self, name: impl Into<String>, history: &'a History) -> Self {
        self.runs.push((name.into(), history));
        self
    }

    /// Sets what stands above the panels.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Draws these only, in this order. Without it all that the histories have is drawn, but for the
    /// learning rate.
    #[must_use]
    pub fn metrics(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.metrics = names.into_iter().map(Into::into).collect();
        self
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// [`Error::Empty`] if no run has a finite value of any of the metrics, or of one asked for.
    pub fn to_svg(&self) -> Result<String> {
        let panels = self.panels();
        let drawn = |name: &String| {
            self.runs.iter().any(|(_, history)| {
                [false, true]
                    .iter()
                    .any(|&validation| !points(history, name, validation).is_empty())
            })
        };
        if panels.is_empty() || !panels.iter().all(drawn) {
            let missing = panels.iter().find(|name| !drawn(name));
            return Err(Error::Empty(
                Detail::new(
                    missing.map_or("LearningCurves", String::as_str),
                    "an epoch with a finite value",
                    format!("none in {} runs", self.runs.len()),
                )
                .help("draw after `fit`, and choose metrics that were measured"),
            ));
        }
        let mut svg = String::new();
        draw::figure(&mut svg, &self.title, &self.runs, &panels)
            .map_err(|error| Error::Draw(Detail::new("SVG", "a picture", error)))?;
        Ok(svg)
    }

    /// Writes the picture to `path`, all or nothing.
    ///
    /// # Errors
    /// As [`to_svg`](Self::to_svg), and [`Error::File`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(regraft_io::write_file(path, self.to_svg()?.as_bytes())?)
    }

    /// What gets a panel, without `val_`.
    fn panels(&self) -> Vec<String> {
        if !self.metrics.is_empty() {
            return self.metrics.clone();
        }
        let mut panels = Vec::new();
        for (_, history) in &self.runs {
            for name in history.names() {
                let name = name.strip_prefix("val_").unwrap_or(name);
                let known = panels.iter().any(|panel| panel == name);
                let finite = [false, true]
                    .iter()
                    .any(|&of| !points(history, name, of).is_empty());
                if name != "learning_rate" && !known && finite {
                    panels.push(name.to_string());
                }
            }
        }
        panels
    }
}

/// The finite points of a curve as (epoch counted from 1, value).
fn points(history: &History, name: &str, validation: bool) -> Vec<(usize, f64)> {
    let name = if validation {
        format!("val_{name}")
    } else {
        name.to_string()
    };
    let points = history.points(&name).filter(|(_, value)| value.is_finite());
    points.map(|(epoch, value)| (epoch + 1, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        history.push_epoch(
            0,
            [("loss", 1.0), ("accuracy", 0.5), ("learning_rate", 0.1)],
        );
        history.push_epoch(
            1,
            [("loss", f64::NAN), ("accuracy", 0.6), ("val_loss", 2.0)],
        );
        history
    }

    #[test]
    fn there_is_a_panel_for_each_metric_but_the_learning_rate() {
        let history = history();
        let curves = LearningCurves::new().run("", &history);
        assert_eq!(curves.panels(), ["loss", "accuracy"]);
        assert_eq!(
            curves.metrics(["learning_rate"]).panels(),
            ["learning_rate"]
        );
    }

    #[test]
    fn names_are_escaped() {
        let history = history();
        let curves = LearningCurves::new()
            .run("<b>&", &history)
            .title("a < b & c");
        let svg = curves.to_svg().unwrap();
        assert!(
            svg.contains("a &lt; b &amp; c") && svg.contains("&lt;b&gt;&amp;"),
            "{svg}"
        );
    }

    #[test]
    fn nothing_to_draw_is_an_error_that_names_the_metric() {
        assert!(matches!(
            LearningCurves::new().to_svg(),
            Err(Error::Empty(_))
        ));
        let history = history();
        let curves = LearningCurves::new()
            .run("", &history)
            .metrics(["loss", "auc"]);
        let text = curves.to_svg().unwrap_err().to_string();
        assert!(text.contains("auc: expected an epoch"), "{text}");
    }

    #[test]
    fn numbers_that_are_not_finite_leave_a_gap() {
        let mut diverged = History::default();
        for (epoch, loss) in [1.0, f64::INFINITY, f64::NAN, 1e300, -1e300]
            .into_iter()
            .enumerate()
        {
            diverged.push_epoch(epoch, [("loss", loss)]);
        }
        let svg = LearningCurves::new().run("", &diverged).to_svg().unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let history = history();
        let error = LearningCurves::new()
            .run("", &history)
            .save("no/such/folder.svg")
            .unwrap_err();
        assert!(error.to_string().contains("folder.svg"), "{error}");
    }
}
