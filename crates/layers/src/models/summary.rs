//! The table of a model's layers, with Keras' look.

use std::fmt;

use crate::models::table::{Align, Column, Table};
use crate::{LayerInfo, Model, ParameterCount};

/// A model's layers with their output shapes and numbers of parameters, and the totals; it prints as
/// Keras' `summary()` does.
///
/// Totals count the model's weights alone, never an optimizer's, and tell frozen parameters from
/// state (statistics, which are never trained).
///
/// ```
/// use regraft_layers::{Dense, Input, Sequential, layers};
///
/// let mut model = Sequential::new(layers![Input::new([784]), Dense::new(32), Dense::new(10)])?;
/// model.freeze("dense")?;
/// println!("{}", model.summary());
/// let text = model.summary().line_length(60).to_string();
/// assert!(text.contains("dense (Dense)"), "{text}");
/// assert!(text.contains("Trainable params: 330 (1.29 KB)"), "{text}");
/// # Ok::<(), regraft_layers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Summary {
    name: String,
    rows: Vec<Row>,
    linear: bool,
    count: ParameterCount,
    policies: Vec<(String, usize)>,
    notes: Vec<String>,
    line_length: Option<usize>,
    show_trainable: bool,
    expand_nested: bool,
}

/// A layer's row.
#[derive(Clone, Debug)]
struct Row {
    depth: usize,
    name: String,
    output_shape: String,
    parameters: String,
    connected_to: String,
    trainable: &'static str,
}

impl Summary {
    /// The width of the table in characters; 88 unless told otherwise, 108 with connections, 12 more
    /// with the column of what is trainable.
    #[must_use]
    pub fn line_length(mut self, line_length: usize) -> Self {
        self.line_length = Some(line_length);
        self
    }

    /// Whether a column says which layers are trained (`Y`), which are not (`N`), of which only some
    /// parameters are (`part`), and which have no weights (`-`). Unless told otherwise, it is there when
    /// a layer is frozen. As in Keras it is what each layer or model says by itself: a nested model that
    /// was frozen as a whole has `N`, also if some of its layers are trained.
    #[must_use]
    pub fn show_trainable(mut self, show_trainable: bool) -> Self {
        self.show_trainable = show_trainable;
        self
    }

    /// Whether the layers of nested models have rows of their own; they have not unless told so.
    #[must_use]
    pub fn expand_nested(mut self, expand_nested: bool) -> Self {
        self.expand_nested = expand_nested;
        self
    }

    /// With a line below the table.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Numbers of elements: of parameters that are trained, that are frozen, and of state.
    pub fn count(&self) -> ParameterCount {
        self.count
    }

    fn table(&self) -> Table {
        let mut columns = vec![
            ("Layer (type)", Align::Left),
            ("Output Shape", Align::Left),
            ("Param #", Align::Right),
        ];
        let mut length = 88;
        let mut ends = vec![0.45, 0.80, 1.0];
        if !self.linear {
            columns.push(("Connected to", Align::Left));
            length = 108;
            ends = vec![0.3, 0.56, 0.74, 1.0];
        }
        if self.show_trainable {
            columns.push(("Trainable", Align::Center));
            length += 12;
            ends = ends.iter().map(|end| end * 0.90).chain([1.0]).collect();
        }
        let length = self.line_length.unwrap_or(length);
        let mut start = 0;
        let columns = columns.into_iter().zip(ends).map(|((header, align), end)| {
            let end = (end * length as f64) as usize;
            let width = end - start;
            start = end;
            Column {
                header,
                align,
                width,
            }
        });
        let rows = self
            .rows
            .iter()
            .filter(|row| row.depth == 0 || self.expand_nested);
        let cells = |row: &Row| {
            let prefix = match row.depth {
                0 => String::new(),
                depth => format!("{}└ ", "   ".repeat(depth)),
            };
            let mut cells = vec![
                format!("{prefix}{}", row.name),
                row.output_shape.clone(),
                row.parameters.clone(),
            ];
            if !self.linear {
                cells.push(row.connected_to.clone());
            }
            if self.show_trainable {
                cells.push(row.trainable.to_string());
            }
            cells
        };
        Table::new(columns.collect(), rows.map(cells).collect(), length)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count;
        let not_trainable = count.frozen + count.state;
        writeln!(f, "Model: \"{}\"", self.name)?;
        write!(f, "{}", self.table())?;
        writeln!(f, " Total params: {}", size(count.total()))?;
        writeln!(f, " Trainable params: {}", size(count.trainable))?;
        writeln!(f, " Non-trainable params: {}", size(not_trainable))?;
        if not_trainable > 0 {
            writeln!(f, "   of these frozen: {}", size(count.frozen))?;
            writeln!(f, "   of these state: {}", size(count.state))?;
        }
        for (policy, layers) in &self.policies {
            writeln!(
                f,
                " Policy {policy} of {layers} layers: computed in float32, saved as {policy}"
            )?;
        }
        for note in &self.notes {
            writeln!(f, " {note}")?;
        }
        Ok(())
    }
}

/// A number of elements and the memory they take: `27,562 (107.66 KB)`.
fn size(elements: usize) -> String {
    let mut bytes = elements as f64 * 4.0;
    let mut unit = "B";
    for larger in ["KB", "MB", "GB", "TB", "PB"] {
        if bytes < 1024.0 {
            break;
        }
        bytes /= 1024.0;
        unit = larger;
    }
    format!("{} ({bytes:.2} {unit})", thousands(elements))
}

/// Digits in groups of three: `27,562`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Adds the rows of a layer and of what it contains.
fn push_rows(rows: &mut Vec<Row>, layer: &LayerInfo<'_>, depth: usize, connected_to: String) {
    let count = layer.count_parameters().total();
    let built = layer.output_shape().is_some();
    rows.push(Row {
        depth,
        name: format!("{} ({})", layer.name(), layer.class_name()),
        output_shape: match layer.output_shapes() {
            [] => "?".to_string(),
            [shape] => shape.to_string(),
            shapes => {
                let shapes: Vec<String> = shapes.iter().map(ToString::to_string).collect();
                format!("[{}]", shapes.join(", "))
            }
        },
        parameters: match built {
            true => thousands(count),
            false => "0 (unbuilt)".to_string(),
        },
        connected_to,
        trainable: match (layer.weights().is_empty(), layer.trains_in_part()) {
            (true, _) => "-",
            (false, Some(true)) => "part",
            (false, Some(false)) => "N",
            (false, None) if layer.says_trainable() => "Y",
            (false, None) => "N",
        },
    });
    for nested in layer.layers() {
        push_rows(rows, &nested, depth + 1, String::new());
    }
}

impl Model {
    /// The table of layers.
    pub fn summary(&self) -> Summary {
        let calls = &self.topology.calls;
        let mut rows = Vec::new();
        let mut linear = true;
        for (position, entry) in self.topology.layers.iter().enumerate() {
            let mut sources = Vec::new();
            let mut called = 0;
            for call in calls.iter().filter(|call| call.layer == position) {
                called += 1;
                linear &= called == 1 && call.inputs.len() <= 1;
                for input in &call.inputs {
                    let layer = calls[input.call].layer;
                    let number = calls[..input.call]
                        .iter()
                        .filter(|call| call.layer == layer)
                        .count();
                    let name = &self.topology.layers[layer].name;
                    sources.push(format!("{name}[{number}][{}]", input.output));
                }
            }
            let hidden = entry.is_input() && self.topology.is_stack();
            if !hidden {
                let layer = LayerInfo::new(entry.name.clone(), entry, self.weights());
                let sources = match sources.is_empty() {
                    true => "-".to_string(),
                    false => sources.join(", "),
                };
                push_rows(&mut rows, &layer, 0, sources);
            }
        }
        // Where each layer feeds one other, a chain says as much as a list of connections.
        let mut fed = vec![0_usize; calls.len()];
        for call in calls {
            let mut sources: Vec<usize> = call.inputs.iter().map(|input| input.call).collect();
            sources.dedup();
            sources.iter().for_each(|&source| fed[source] += 1);
        }
        linear &= fed.iter().all(|&count| count <= 1);
        linear &= self.topology.inputs.len() <= 1 && self.topology.outputs.len() <= 1;
        Summary {
            name: self.name().to_string(),
            show_trainable: rows.iter().any(|row| matches!(row.trainable, "N" | "part")),
            rows,
            linear,
            count: self.count_parameters(),
            policies: self.policies(),
            notes: Vec::new(),
            line_length: None,
            expand_nested: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{cases, name};
    use crate::layers::Add;
    use crate::{Dense, Functional, Input, LayerExt, Registry, Sequential, layers};

    #[test]
    fn it_prints_what_keras_prints() {
        for case in &cases("summary") {
            let config = &case["config"];
            let model = Model::from_config(&config["model"], &Registry::new()).unwrap();
            let summary = model
                .summary()
                .line_length(config["line_length"].as_u64().unwrap() as usize)
                .show_trainable(config["show_trainable"] == true);
            let text = summary.to_string();
            // Keras does not tell frozen parameters from state.
            let lines = text.lines().filter(|line| !line.starts_with("   of these"));
            let expected = case["outputs"]["text"].as_str().unwrap().trim_end();
            assert_eq!(
                lines.collect::<Vec<_>>().join("\n"),
                expected,
                "{}",
                name(case)
            );
        }
    }

    #[test]
    fn frozen_parameters_and_state_are_counted_apart() {
        let stack = layers![
            Input::new([4]),
            Dense::new(4),
            crate::layers::BatchNormalization::new()
        ];
        let mut model = Sequential::new(stack).unwrap();
        model.freeze("dense").unwrap();
        let text = model.summary().to_string();
        assert!(
            text.contains("Non-trainable params: 28 (112.00 B)"),
            "{text}"
        );
        assert!(text.contains("of these frozen: 20 (80.00 B)"), "{text}");
        assert!(text.contains("of these state: 8 (32.00 B)"), "{text}");
        assert!(
            text.contains("│   N   │") || text.contains("│    N    │"),
            "{text}"
        );
    }

    #[test]
    fn graphs_show_connections_and_nested_models_open_up() {
        let base = Sequential::new(layers![Input::new([4]), Dense::new(4).named("inner")]).unwrap();
        let mut f = Functional::new();
        let x = f.input([4]);
        let h = f.apply(base.named("base"), &[x]).unwrap();
        let y = f.apply(Add, &[x, h]).unwrap();
        let model = f.model(&[x], &[y]).unwrap();
        let text = model.summary().to_string();
        assert!(
            text.contains("Connected to") && text.contains("│ base[0][0]  "),
            "{text}"
        );
        assert!(!text.contains("inner"), "{text}");
        let text = model.summary().expand_nested(true).to_string();
        assert!(text.contains("   └ inner (Dense)"), "{text}");
    }

    #[test]
    fn any_width_and_an_unbuilt_model_print() {
        let model = Sequential::new(layers![Dense::new(4)]).unwrap();
        for length in [0, 1, 7, 20, 200] {
            assert!(!model.summary().line_length(length).to_string().is_empty());
        }
        assert!(model.summary().to_string().contains("0 (unbuilt)"));
    }

    #[test]
    fn sizes_print_as_keras_prints_them() {
        assert_eq!(size(27_562), "27,562 (107.66 KB)");
        assert_eq!(size(187), "187 (748.00 B)");
        assert_eq!(size(0), "0 (0.00 B)");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
