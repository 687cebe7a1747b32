//! A penalty on rows or columns that are not at right angles.

use regraft_autograd::Var;
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use crate::formulas::l2_normalize;
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, RegularizerFunction};

/// What should be at right angles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OrthogonalMode {
    /// The rows of the matrix.
    #[default]
    Rows,
    /// Its columns.
    Columns,
}

impl OrthogonalMode {
    const NAMES: [(Self, &'static str); 2] = [
        (OrthogonalMode::Rows, "rows"),
        (OrthogonalMode::Columns, "columns"),
    ];
}

/// `factor` times the mean |cosine| of the angle between two different rows (or columns) of a
/// matrix.
///
/// Keras: <https://keras.io/api/layers/regularizers/#orthogonalregularizer-class>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrthogonalRegularizer {
    /// The factor; Keras' default is 0.01.
    pub factor: f32,
    /// What should be at right angles; Keras' default is the rows.
    pub mode: OrthogonalMode,
}

impl Default for OrthogonalRegularizer {
    fn default() -> Self {
        OrthogonalRegularizer {
            factor: 0.01,
            mode: OrthogonalMode::Rows,
        }
    }
}

impl Configured for OrthogonalRegularizer {
    fn class_name(&self) -> &str {
        "OrthogonalRegularizer"
    }

    fn module(&self) -> &str {
        "keras.regularizers"
    }

    fn config(&self) -> Map<String, Value> {
        let mode = OrthogonalMode::NAMES
            .iter()
            .find(|(mode, _)| *mode == self.mode);
        Map::from_iter([
            ("factor".to_string(), settings::number(self.factor)),
            ("mode".to_string(), json!(mode.map(|(_, name)| name))),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("OrthogonalRegularizer.factor", self.factor)
    }
}

impl FromSettings for OrthogonalRegularizer {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = OrthogonalRegularizer::default();
        Ok(OrthogonalRegularizer {
            factor: settings.number("factor", default.factor)?,
            mode: settings.one_of("mode", &OrthogonalMode::NAMES)?,
        })
    }
}

impl RegularizerFunction for OrthogonalRegularizer {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        let graph = weight.graph();
        let Some(&[rows, columns]) = weight.shape().fixed().as_deref() else {
            let detail = Detail::new("OrthogonalRegularizer", "a matrix", weight.shape());
            graph.fail(regraft_autograd::Error::Shape(detail));
            return graph.number(0.0);
        };
        let (cosines, size) = match self.mode {
            OrthogonalMode::Rows => {
                let unit = l2_normalize(weight, &[1]);
                (unit.matmul(unit.transpose()), rows)
            }
            OrthogonalMode::Columns => {
                let unit = l2_normalize(weight, &[0]);
                (unit.transpose().matmul(unit), columns)
            }
        };
        if size < 2 {
            return graph.number(0.0);
        }
        let mut different = Tensor::full([size, size], 1.0);
        let values = different.as_mut_slice();
        (0..size).for_each(|index| values[index * size + index] = 0.0);
        // Each pair is counted twice, in both orders.
        let ordered_pairs = (size * (size - 1)) as f32;
        (cosines.abs() * graph.constant(different)).sum_all() * (self.factor / ordered_pairs)
    }
}
