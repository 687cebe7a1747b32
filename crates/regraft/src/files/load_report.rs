//! What loading did, or why it did nothing: lists of tensors that print as a table.

use std::fmt;

use regraft_io::{DataType, Format};
use regraft_tensor::Detail;

/// What was loaded from where.
#[must_use = "a report says what was loaded and what was not; print it"]
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The file.
    pub source: String,
    /// Its format.
    pub format: Format,
    /// Tensors that were loaded.
    pub loaded: Vec<Loaded>,
    /// Weights of the model that the file does not have.
    pub missing: Vec<String>,
    /// Tensors of the file that the model does not have, by the names that [`Load::map`](crate::Load::map)
    /// and [`Load::rename`](crate::Load::rename) take.
    pub unexpected: Vec<String>,
    /// Tensors of another shape than the model's.
    pub mismatched: Vec<Mismatched>,
    /// Weights that were to keep their values.
    pub kept: Vec<String>,
    /// Tensors of the file that no model has a place for, such as PyTorch's `num_batches_tracked`.
    pub ignored: Vec<String>,
    /// Layers that stand in several places of the model and are one.
    pub shared: Vec<Vec<String>>,
    /// Whether the optimizer's memory was restored.
    pub optimizer: OptimizerState,
    /// Parts of how the model was compiled that are not known here, each with how to make it known. The
    /// others are restored.
    pub unknown: Vec<Detail>,
    /// The class names of the file, if they are not the model's.
    pub class_names: Option<Vec<String>>,
    /// What else is worth knowing, a sentence each: element types that Keras computes with, say.
    pub notes: Vec<String>,
}

/// A tensor that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The weight's path in the model.
    pub weight: String,
    /// The tensor's address in the file.
    pub source: String,
    /// The sizes.
    pub shape: Vec<usize>,
    /// The element type in the file; everything but `float32` was converted.
    pub data_type: DataType,
    /// How its axes and the features along them were rearranged: `OIHW → HWIO`,
    /// `OI → IO, inputs C·H·W → H·W·C`; `None` if they lie as in the file.
    pub layout: Option<String>,
}

/// A tensor of another shape than the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatched {
    /// The weight's path in the model.
    pub weight: String,
    /// The tensor's address in the file.
    pub source: String,
    /// The model's sizes.
    pub expected: Vec<usize>,
    /// The file's sizes.
    pub received: Vec<usize>,
}

/// What became of the optimizer's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptimizerState {
    /// Training can go on where it was.
    Restored {
        /// The number of steps so far.
        steps: u64,
    },
    /// The optimizer is as it was.
    NotRestored {
        /// Why.
        reason: String,
    },
}

impl LoadReport {
    pub(crate) fn new(source: &str, format: Format) -> Self {
        LoadReport {
            source: source.to_string(),
            format,
            loaded: Vec::new(),
            missing: Vec::new(),
            unexpected: Vec::new(),
            mismatched: Vec::new(),
            kept: Vec::new(),
            ignored: Vec::new(),
            shared: Vec::new(),
            optimizer: OptimizerState::NotRestored {
                reason: "the file has none".to_string(),
            },
            unknown: Vec::new(),
            class_names: None,
            notes: Vec::new(),
        }
    }

    /// The loaded tensors that were converted from another element type or layout.
    pub fn converted(&self) -> impl Iterator<Item = &Loaded> {
        self.loaded
            .iter()
            .filter(|loaded| loaded.data_type != DataType::F32 || loaded.layout.is_some())
    }
}

/// How many rows of each kind a table shows.
const ROWS: usize = 24;

impl LoadReport {
    /// The rows of the table, `most` of each kind: of what was loaded all, or what was converted.
    fn rows(&self, all: bool, most: usize) -> Vec<[String; 4]> {
        let mut rows: Vec<[String; 4]> = Vec::new();
        let dash = || "–".to_string();
        let mut some = |count: usize, made: &mut dyn Iterator<Item = [String; 4]>| {
            rows.extend(made.take(most));
            if count > most {
                let more = format!("… and {} more", count - most);
                rows.push([more, String::new(), String::new(), String::new()]);
            }
        };
        let loaded: Vec<&Loaded> = match all {
            true => self.loaded.iter().collect(),
            false => self.converted().collect(),
        };
        some(
            loaded.len(),
            &mut loaded.iter().map(|tensor| {
                let state = match (tensor.data_type, &tensor.layout) {
                    (DataType::F32, None) => "loaded".to_string(),
                    (DataType::F32, Some(layout)) => format!("converted: {layout}"),
                    (other, None) => format!("loaded from {other}"),
                    (other, Some(layout)) => format!("loaded from {other}, converted: {layout}"),
                };
                let shape = format!("{:?}", tensor.shape);
                [state, tensor.weight.clone(), shape, tensor.source.clone()]
            }),
        );
        some(
            self.mismatched.len(),
            &mut self.mismatched.iter().map(|tensor| {
                let shapes = format!("{:?} ≠ {:?}", tensor.expected, tensor.received);
                let (weight, source) = (tensor.weight.clone(), tensor.source.clone());
                ["shape differs".to_string(), weight, shapes, source]
            }),
        );
        some(
            self.missing.len(),
            &mut self.missing.iter().map(|weight| {
                [
                    "missing in file".to_string(),
                    weight.clone(),
                    dash(),
                    dash(),
                ]
            }),
        );
        some(
            self.unexpected.len(),
            &mut self
                .unexpected
                .iter()
                .map(|source| ["not in model".to_string(), dash(), dash(), source.clone()]),
        );
        some(
            self.kept.len(),
            &mut self
                .kept
                .iter()
                .map(|weight| ["kept".to_string(), weight.clone(), dash(), dash()]),
        );
        rows
    }
}

impl fmt::Display for LoadReport {
    /// What is unusual, and the numbers; `{:#}` lists every tensor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.source, self.format)?;
        let rows = match f.alternate() {
            true => self.rows(true, usize::MAX),
            false => self.rows(false, ROWS),
        };
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..4).map(|column| width(column).unwrap_or(0)).collect();
        for row in &rows {
            write!(f, " ")?;
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, " {cell:<width$} ")?;
            }
            writeln!(f)?;
        }
        write!(f, "{} loaded", self.loaded.len())?;
        for (count, what) in [
            (self.mismatched.len(), "of another shape"),
            (self.missing.len(), "missing in the file"),
            (self.unexpected.len(), "not in the model"),
            (self.kept.len(), "kept"),
            (self.ignored.len(), "without meaning here"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        match &self.optimizer {
            OptimizerState::Restored { steps } => write!(f, "; optimizer at step {steps}")?,
            OptimizerState::NotRestored { reason } => write!(f, "; no optimizer state ({reason})")?,
        }
        for paths in &self.shared {
            write!(f, "; {} are one layer", paths.join(" and "))?;
        }
        if let Some(names) = &self.class_names {
            write!(f, "; the file's classes are {names:?}")?;
        }
        for part in &self.unknown {
            write!(f, "\nnot restored: {part}")?;
        }
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

/// Why a file was not loaded. The model is unchanged.
#[derive(Clone)]
pub struct LoadError(pub LoadReport);

regraft_tensor::debug_prints_the_message!(LoadError);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadError(report) = self;
        writeln!(f, "nothing was loaded, the model is unchanged.")?;
        // What would have been loaded is not what the reader looks for.
        let problems = LoadReport {
            loaded: Vec::new(),
            ..report.clone()
        };
        writeln!(f, "{problems}")?;
        write!(f, "Help: ")?;
        if report.class_names.is_some() {
            write!(f, "the head was trained for other classes; ")?;
        }
        write!(
            f,
            "build the model that the file was saved from, or name what may differ: \
             `Load::new().keep(\"…\")` for a new head, `.allow_missing()`, `.allow_unexpected()`; \
             names of another program, as they stand here, go with `Load::map` and `.layout(…)`"
        )
    }
}
