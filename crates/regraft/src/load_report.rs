//! What loading did, or why it did nothing: lists of tensors that print as a table.

use std::fmt;

use regraft_io::{DataType, Format};

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
    /// Tensors of the file that the model does not have.
    pub unexpected: Vec<String>,
    /// Tensors of another shape than the model's.
    pub mismatched: Vec<Mismatched>,
    /// Weights that were to keep their values.
    pub kept: Vec<String>,
    /// Tensors of the file that no model has a place for, such as PyTorch's `num_batches_tracked`.
    pub ignored: Vec<String>,
    /// Whether the optimizer's memory was restored.
    pub optimizer: OptimizerState,
    /// The class names of the file, if they are not the model's.
    pub class_names: Option<Vec<String>>,
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
    /// How its axes were rearranged: `OIHW → HWIO`; `None` if they lie as in the file.
    pub layout: Option<&'static str>,
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
            optimizer: OptimizerState::NotRestored {
                reason: "the file has none".to_string(),
            },
            class_names: None,
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

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.source, self.format)?;
        let mut rows: Vec<[String; 4]> = Vec::new();
        for tensor in self.loaded.iter().take(ROWS) {
            let mut state = match tensor.data_type {
                DataType::F32 => "loaded".to_string(),
                other => format!("loaded from {other}"),
            };
            if let Some(layout) = tensor.layout {
                state = format!("{state}, converted: {layout}").replace("loaded, ", "");
            }
            let shape = format!("{:?}", tensor.shape);
            rows.push([state, tensor.weight.clone(), shape, tensor.source.clone()]);
        }
        let dash = || "–".to_string();
        for tensor in self.mismatched.iter().take(ROWS) {
            let shapes = format!("{:?} ≠ {:?}", tensor.expected, tensor.received);
            let (weight, source) = (tensor.weight.clone(), tensor.source.clone());
            rows.push(["shape differs".to_string(), weight, shapes, source]);
        }
        for weight in self.missing.iter().take(ROWS) {
            rows.push([
                "missing in file".to_string(),
                weight.clone(),
                dash(),
                dash(),
            ]);
        }
        for source in self.unexpected.iter().take(ROWS) {
            rows.push(["not in model".to_string(), dash(), dash(), source.clone()]);
        }
        for weight in self.kept.iter().take(ROWS) {
            rows.push(["kept".to_string(), weight.clone(), dash(), dash()]);
        }
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
        match &self.class_names {
            Some(names) => write!(f, "; the file's classes are {names:?}"),
            None => Ok(()),
        }
    }
}

/// Why a file was not loaded. The model is unchanged.
#[derive(Clone)]
pub struct LoadError(pub LoadReport);

impl fmt::Debug for LoadError {
    /// As [`Display`](fmt::Display): it is what a `main` prints that returns the error, and thousands of
    /// weights in a row would be of no use there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

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
             names of another program go with `Load::map` and `.layout(…)`"
        )
    }
}
