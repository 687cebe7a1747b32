//! A penalty on rows or columns that are not at right angles.

use regraft_autograd::Var;
use regraft_tensor::{Detail, Tensor};

use crate::RegularizerFunction;
use crate::formulas::l2_normalize;
use crate::settings::{named, require_rate};

/// What should be at right angles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OrthogonalMode {
    /// The rows of the matrix.
    #[default]
    Rows,
    /// Its columns.
    Columns,
}

named!(OrthogonalMode: Rows = "rows", Columns = "columns");

settings! {
    /// `factor` times the mean |cosine| of the angle between two different rows (or columns) of a
    /// matrix.
    ///
    /// Keras: <https://keras.io/api/layers/regularizers/#orthogonalregularizer-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct OrthogonalRegularizer as "keras.regularizers.OrthogonalRegularizer" {
        /// The factor; Keras' default is 0.01.
        pub factor: f32 = 0.01 => require_rate,
        /// What should be at right angles; Keras' default is the rows.
        pub mode: OrthogonalMode = OrthogonalMode::Rows,
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
