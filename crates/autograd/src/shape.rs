//! Symbolic shapes: every axis has a fixed size, except the batch, whose size is known only when a
//! program runs.

use std::fmt;

/// The size of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// The number of samples, known when the program runs.
    Batch,
    /// So many rows for each sample, those of one sample after those of the other: the batch and an axis of
    /// this size, as one axis.
    PerSample(usize),
    /// A size known when the graph is built.
    Fixed(usize),
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Dim::Fixed(size)
    }
}

impl fmt::Display for Dim {
    /// `None` for the batch, as Keras prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Batch => f.write_str("None"),
            Dim::PerSample(rows) => write!(f, "{rows}·None"),
            Dim::Fixed(size) => write!(f, "{size}"),
        }
    }
}

/// The sizes of all axes of a node's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// The shape of a single number.
    pub fn scalar() -> Self {
        Shape(Vec::new())
    }

    /// A batch of samples, each of shape `sample`.
    pub fn batch_of(sample: &[usize]) -> Self {
        std::iter::once(Dim::Batch)
            .chain(sample.iter().map(|&size| Dim::Fixed(size)))
            .collect()
    }

    /// The axes.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Whether the first axis is the batch, or rows of its samples, and no other is.
    pub fn is_batch_first(&self) -> bool {
        let grows = |dim: &Dim| dim.fixed().is_none();
        self.0.first().is_some_and(grows) && !self.0[1..].iter().any(grows)
    }

    /// The sizes, if none depends on the batch.
    pub fn fixed(&self) -> Option<Vec<usize>> {
        self.0.iter().map(|dim| dim.fixed()).collect()
    }

    /// The sizes after the first axis, if they are all fixed: the shape of one sample.
    pub fn sample(&self) -> Option<Vec<usize>> {
        Shape(self.0.get(1..)?.to_vec()).fixed()
    }

    /// The sizes for a batch of `batch` samples.
    pub fn concrete(&self, batch: usize) -> Vec<usize> {
        self.0.iter().map(|dim| dim.size(batch)).collect()
    }

    /// Writes the sizes for a batch of `batch` samples over `sizes`, which must have this rank.
    pub(crate) fn write_concrete(&self, batch: usize, sizes: &mut [usize]) {
        for (size, dim) in sizes.iter_mut().zip(&self.0) {
            *size = dim.size(batch);
        }
    }

    /// The number of elements for a batch of `batch` samples.
    pub fn len(&self, batch: usize) -> usize {
        self.0.iter().map(|dim| dim.size(batch)).product()
    }

    /// The shape that NumPy's broadcasting rule gives for the two, if it gives one. The batch goes
    /// with itself and with 1.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let at = |shape: &Shape, axis: usize| {
            (axis + shape.rank())
                .checked_sub(rank)
                .map_or(Dim::Fixed(1), |axis| shape.0[axis])
        };
        (0..rank)
            .map(|axis| match (at(self, axis), at(other, axis)) {
                (a, b) if a == b => Some(a),
                (Dim::Fixed(1), b) => Some(b),
                (a, Dim::Fixed(1)) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }
}

impl Dim {
    /// The size for a batch of `batch` samples.
    pub fn size(self, batch: usize) -> usize {
        match self {
            Dim::Batch => batch,
            Dim::PerSample(rows) => rows * batch,
            Dim::Fixed(size) => size,
        }
    }

    /// The size, if it does not depend on the batch.
    pub fn fixed(self) -> Option<usize> {
        match self {
            Dim::Fixed(size) => Some(size),
            Dim::Batch | Dim::PerSample(_) => None,
        }
    }
}

impl FromIterator<Dim> for Shape {
    fn from_iter<I: IntoIterator<Item = Dim>>(dims: I) -> Self {
        Shape(dims.into_iter().collect())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(sizes: [usize; N]) -> Self {
        sizes.as_slice().into()
    }
}

impl<const N: usize> From<[Dim; N]> for Shape {
    fn from(dims: [Dim; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(sizes: &[usize]) -> Self {
        Shape(sizes.iter().map(|&size| Dim::Fixed(size)).collect())
    }
}

impl From<&Vec<usize>> for Shape {
    fn from(sizes: &Vec<usize>) -> Self {
        sizes.as_slice().into()
    }
}

impl From<Vec<Dim>> for Shape {
    fn from(dims: Vec<Dim>) -> Self {
        Shape(dims)
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl fmt::Display for Shape {
    /// As Keras prints it: `(None, 32)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (axis, dim) in self.0.iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        if self.rank() == 1 {
            f.write_str(",")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_keras_does() {
        assert_eq!(Shape::batch_of(&[32]).to_string(), "(None, 32)");
        assert_eq!(Shape::from([3]).to_string(), "(3,)");
        assert_eq!(Shape::scalar().to_string(), "()");
    }

    #[test]
    fn broadcasting_aligns_the_last_axes() {
        let rows = Shape::batch_of(&[4]);
        assert_eq!(rows.broadcast(&[4].into()), Some(rows.clone()));
        assert_eq!(rows.broadcast(&[1, 4].into()), Some(rows.clone()));
        assert_eq!(rows.broadcast(&Shape::scalar()), Some(rows.clone()));
        assert_eq!(rows.broadcast(&[3].into()), None);
        assert_eq!(rows.broadcast(&[2, 4].into()), None);
    }
}
