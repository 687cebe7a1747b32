//! A ridge solution that takes in samples one by one, and says which ones would teach it most.

use regraft_tensor::{Detail, Tensor};

use crate::factor::{Factor, Shift};
use crate::numbers::{argmax, softmax};
use crate::product::{Part, View, add_product, add_scaled, dot};
use crate::samples::check_finite;
use crate::solved::{HeadKind, Solved};
use crate::{Error, Result};

/// A ridge solution that learns: each sample costs D² steps, and the weights are those of solving anew with the same λ
/// and class weights. The temperature stays what it was.
#[derive(Clone)]
pub struct Learner {
    width: usize,
    classes: usize,
    /// (Σ w [x 1]ᵀ[x 1] + λ)⁻¹, λ for features only.
    inverse: Vec<f64>,
    /// A row of each feature and one of biases.
    weights: Vec<f64>,
    class_weights: Vec<f64>,
    temperature: f64,
}

/// Bytes of the largest matrix that is made.
const LARGEST: usize = 1 << 30;

/// What an unlabelled sample would teach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lesson {
    /// Its row.
    pub row: usize,
    /// The class that is most probable now.
    pub guess: usize,
    /// Its probability.
    pub probability: f64,
    /// (1 − margin between the first and the second class) · novelty.
    pub worth: f64,
}

impl Solved {
    /// The head as one that learns sample by sample. It holds a matrix of features × features.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is no ridge regression, or has [forgotten](Self::forget) its factorisation;
    /// [`Error::Memory`] if the matrix would be larger than 1 GiB, as of more than 11,584 features.
    pub fn learner(&self) -> Result<Learner> {
        match self.solution() {
            Some((factor, shift)) => Learner::new(factor, shift, self.left_out().temperature()),
            None => {
                let received = match self.kind() {
                    HeadKind::Ridge => "one that has forgotten its factorisation".to_string(),
                    kind => kind.to_string(),
                };
                Err(Error::Setting(
                    Detail::new("Solved::learner", "a ridge solution", received)
                        .help("take Ridge, and call learner before forget"),
                ))
            }
        }
    }
}

impl Learner {
    fn new(factor: &Factor, shift: &Shift, temperature: f64) -> Result<Self> {
        let (width, classes) = (factor.samples.width, factor.samples.classes());
        let bytes = width.saturating_add(1).saturating_pow(2).saturating_mul(8);
        if bytes > LARGEST {
            let expected = format!("a matrix of {} MiB at most", LARGEST >> 20);
            let received = format!("{} MiB for {width} features", bytes >> 20);
            return Err(Error::Memory(
                Detail::new("Solved::learner", expected, received)
                    .help("pool features, as GlobalAveragePooling2D does, or solve anew with the new samples"),
            ));
        }
        let own = factor.inverse(shift);
        let means = factor.means();
        let size = width + 1;
        let mut inverse = vec![0.0; size * size];
        let mut by_means = vec![0.0; width];
        for (i, row) in own.chunks_exact(width).enumerate() {
            inverse[i * size..][..width].copy_from_slice(row);
            by_means[i] = dot(row, means);
        }
        for i in 0..width {
            inverse[i * size + width] = -by_means[i];
            inverse[width * size + i] = -by_means[i];
        }
        inverse[width * size + width] = 1.0 / factor.samples.total() + dot(&by_means, means);
        let (kernel, bias) = factor.weights(shift);
        Ok(Learner {
            width,
            classes,
            inverse,
            weights: [kernel, bias].concat(),
            class_weights: factor.samples.class_weights.clone(),
            temperature,
        })
    }

    /// Takes in one sample.
    ///
    /// # Errors
    /// [`Error::Features`] if the row is of another length or holds a number that is none, [`Error::Labels`] if there
    /// is no such class. Nothing is changed then.
    pub fn learn(&mut self, row: &[f32], class: usize) -> Result<()> {
        self.check(row, 1)?;
        let Some(&weight) = self.class_weights.get(class) else {
            let expected = format!("a class below {}", self.classes);
            return Err(Error::Labels(Detail::new(
                "Learner::learn",
                expected,
                class,
            )));
        };
        let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).chain([1.0]).collect();
        let size = row.len();
        // Sherman and Morrison's formula.
        let moved: Vec<f64> = self
            .inverse
            .chunks_exact(size)
            .map(|of| dot(of, &row))
            .collect();
        let gain = weight / (1.0 + weight * dot(&moved, &row));
        let mut errors: Vec<f64> = (0..self.classes)
            .map(|k| if k == class { 1.0 } else { 0.0 })
            .collect();
        for (x, weights) in row.iter().zip(self.weights.chunks_exact(self.classes)) {
            add_scaled(&mut errors, -x, weights);
        }
        for (moved, weights) in moved
            .iter()
            .zip(self.weights.chunks_exact_mut(self.classes))
        {
            add_scaled(weights, gain * moved, &errors);
        }
        for (x, of) in moved.iter().zip(self.inverse.chunks_exact_mut(size)) {
            add_scaled(of, -gain * x, &moved);
        }
        Ok(())
    }

    /// The `count` rows of `features` that would teach most, in the order in which to ask for them.
    ///
    /// A row is worth (1 − margin) · h / (1 + h): the margin is between the two most probable classes, and the novelty
    /// h the row's leverage, how little the samples so far say of this place. Rows that were chosen count as known, so
    /// that the next ones are not like them.
    ///
    /// # Errors
    /// [`Error::Features`] if they are of another width, or a number is none.
    pub fn rank(&self, features: &Tensor, count: usize) -> Result<Vec<Lesson>> {
        let &[rows, _] = features.shape() else {
            return Err(self.misfit(features.shape()));
        };
        self.check(features.as_slice(), rows)?;
        let size = self.width + 1;
        let mut all = Vec::with_capacity(rows * size);
        for row in features.as_slice().chunks_exact(self.width) {
            all.extend(row.iter().map(|&x| f64::from(x)).chain([1.0]));
        }
        let mut scores = vec![0.0; rows * self.classes];
        let mut moved = vec![0.0; rows * size];
        let view = View::new(&all, rows, size, size);
        let weights = View::new(&self.weights, size, self.classes, self.classes);
        add_product(&mut scores, self.classes, 1.0, view, weights, Part::All);
        add_product(
            &mut moved,
            size,
            1.0,
            view,
            View::new(&self.inverse, size, size, size),
            Part::All,
        );
        let mut novelty: Vec<f64> = all
            .chunks_exact(size)
            .zip(moved.chunks_exact(size))
            .map(|(row, moved)| dot(row, moved))
            .collect();
        let guesses: Vec<(usize, f64, f64)> = scores
            .chunks_exact_mut(self.classes)
            .map(|row| {
                softmax(row, 1.0 / self.temperature);
                let best = argmax(row);
                let second = row
                    .iter()
                    .enumerate()
                    .filter(|(k, _)| *k != best)
                    .fold(0.0, |a: f64, (_, &p)| a.max(p));
                (best, row[best], row[best] - second)
            })
            .collect();
        let mut left: Vec<usize> = (0..rows).collect();
        let mut lessons = Vec::new();
        while lessons.len() < count && !left.is_empty() {
            let worth = |row: usize| (1.0 - guesses[row].2) * novelty[row] / (1.0 + novelty[row]);
            let place = (1..left.len()).fold(0, |best, i| {
                if worth(left[i]) > worth(left[best]) {
                    i
                } else {
                    best
                }
            });
            let row = left.remove(place);
            lessons.push(Lesson {
                row,
                guess: guesses[row].0,
                probability: guesses[row].1,
                worth: worth(row),
            });
            let (chosen, gain) = (
                moved[row * size..][..size].to_vec(),
                1.0 / (1.0 + novelty[row]),
            );
            for &other in &left {
                let by = dot(&chosen, &all[other * size..][..size]);
                novelty[other] = (novelty[other] - gain * by * by).max(0.0);
                add_scaled(&mut moved[other * size..][..size], -gain * by, &chosen);
            }
        }
        Ok(lessons)
    }

    /// (features, classes), divided by the temperature.
    pub fn kernel(&self) -> Tensor {
        self.tensor(
            &[self.width, self.classes],
            &self.weights[..self.width * self.classes],
        )
    }

    /// (classes), divided by the temperature.
    pub fn bias(&self) -> Tensor {
        self.tensor(&[self.classes], &self.weights[self.width * self.classes..])
    }

    fn tensor(&self, shape: &[usize], values: &[f64]) -> Tensor {
        let values = values
            .iter()
            .map(|value| (value / self.temperature) as f32)
            .collect();
        Tensor::new(shape, values).expect("as many as the shape says")
    }

    #[cfg(test)]
    pub(crate) fn exact(&self) -> &[f64] {
        &self.weights
    }

    fn check(&self, values: &[f32], rows: usize) -> Result<()> {
        if values.len() != rows * self.width {
            return Err(self.misfit(&[rows, values.len() / rows.max(1)]));
        }
        check_finite(values, self.width)
    }

    fn misfit(&self, shape: &[usize]) -> Error {
        let expected = format!("rows of {} features", self.width);
        Error::Features(Detail::new(
            "features",
            expected,
            format!("shape {shape:?}"),
        ))
    }
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner")
            .field("features", &self.width)
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}
