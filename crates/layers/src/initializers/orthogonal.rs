//! Orthogonal matrices.

use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use crate::InitializerFunction;
use crate::settings::require_finite;

settings! {
    /// `gain` times a random matrix with orthonormal columns, or rows if there are fewer of them; any
    /// such matrix is equally likely. A weight of more axes is taken as a matrix over its last axis.
    ///
    /// Saxe, McClelland and Ganguli 2014 (<https://arxiv.org/abs/1312.6120>); Keras:
    /// <https://keras.io/api/layers/initializers/#orthogonal-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Orthogonal as "keras.initializers.Orthogonal" {
        /// What the matrix is multiplied with; Keras' default is 1.
        pub gain: f32 = 1.0 => require_finite,
    }
    reading |settings, _it| {
        settings.ignore(&["seed", "dtype"]);
    }
    writing |_it, config| {
        config.shift_insert(0, "seed".to_string(), Value::Null);
    }
}

impl InitializerFunction for Orthogonal {
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
        let [leading @ .., columns] = shape else {
            return Err(needs_axes(shape));
        };
        if leading.is_empty() {
            return Err(needs_axes(shape));
        }
        let (rows, columns) = (leading.iter().product::<usize>(), *columns);
        let (length, count) = (rows.max(columns), rows.min(columns));
        let mut numbers = vec![0.0; length * count];
        random::normal(key, 0, &mut numbers);
        let mut vectors: Vec<f64> = numbers.into_iter().map(f64::from).collect();
        orthonormalize(&mut vectors, length);
        let mut tensor = Tensor::zeros(shape);
        for (index, value) in tensor.as_mut_slice().iter_mut().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let (vector, element) = match rows < columns {
                true => (row, column),
                false => (column, row),
            };
            *value = (f64::from(self.gain) * vectors[vector * length + element]) as f32;
        }
        Ok(tensor)
    }
}

fn needs_axes(shape: &[usize]) -> Detail {
    Detail::new(
        "Orthogonal",
        "a shape of at least two axes",
        format!("{shape:?}"),
    )
}

/// Makes vectors of `length` numbers, one after another, orthonormal: Gram and Schmidt, each vector
/// twice, because what the first pass leaves of the earlier ones is rounding the second removes.
/// It is a QR decomposition whose R has a positive diagonal, so that Q has no preferred direction.
fn orthonormalize(vectors: &mut [f64], length: usize) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    if length == 0 {
        return;
    }
    for start in (0..vectors.len()).step_by(length) {
        let (earlier, rest) = vectors.split_at_mut(start);
        let vector = &mut rest[..length];
        for _pass in 0..2 {
            for other in earlier.chunks_exact(length) {
                let share = dot(other, vector);
                for (value, other) in vector.iter_mut().zip(other) {
                    *value -= share * other;
                }
            }
            let norm = dot(vector, vector).sqrt();
            vector.iter_mut().for_each(|value| *value /= norm);
        }
    }
}
