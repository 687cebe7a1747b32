//! Samples that are read once and then kept in memory.

use std::ops::Range;
use std::sync::OnceLock;

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::{Content, Dataset, Part, RowSpec, Rows, Slice};

/// A data set that keeps in memory what it has given once: [`Dataset::cache`] makes it. One whose samples are
/// not fixed keeps nothing.
#[derive(Debug)]
pub struct Cached<D> {
    data: D,
    /// For each part what is known of each sample.
    parts: Vec<(Part, Vec<OnceLock<Kept>>)>,
    weights: Vec<OnceLock<f32>>,
}

#[derive(Debug)]
enum Kept {
    F32(Box<[f32]>),
    I32(Box<[i32]>),
}

impl<D: Dataset> Cached<D> {
    pub(crate) fn new(data: D) -> Self {
        let samples = if data.is_fixed() { data.len() } else { 0 };
        let inputs = (0..data.inputs().len()).map(Part::Input);
        let parts = inputs.chain((0..data.targets().len()).map(Part::Target));
        let room = |part| (part, (0..samples).map(|_| OnceLock::new()).collect());
        let weighted = if data.has_weights() { samples } else { 0 };
        Cached {
            parts: parts.map(room).collect(),
            weights: (0..weighted).map(|_| OnceLock::new()).collect(),
            data,
        }
    }

    /// Reads samples and keeps them.
    fn read(&self, samples: &[usize], key: Key, wanted: &Rows) -> Result<(), Detail> {
        let weighted = wanted.get_weights().is_some() && self.data.has_weights();
        let mut rows = Rows::new(&self.data.inputs(), &self.data.targets(), weighted);
        for (part, _) in &self.parts {
            rows.want(*part, wanted.get(*part).is_some());
        }
        rows.begin(samples.len());
        self.data.fill(samples, key, &mut rows)?;
        for (part, kept) in &self.parts {
            let Some(values) = rows.get(*part) else {
                continue;
            };
            for (row, &sample) in samples.iter().enumerate() {
                let values = match values {
                    Slice::F32(values) => Kept::F32(of_row(values, row, samples.len()).into()),
                    Slice::I32(values) => Kept::I32(of_row(values, row, samples.len()).into()),
                };
                // Another thread may have been faster, with the same numbers.
                let _ = kept[sample].set(values);
            }
        }
        for (&sample, &weight) in samples.iter().zip(rows.get_weights().unwrap_or_default()) {
            let _ = self.weights[sample].set(weight);
        }
        Ok(())
    }
}

fn of_row<T>(values: &[T], row: usize, samples: usize) -> &[T] {
    let elements = values.len() / samples;
    &values[row * elements..][..elements]
}

impl<D: Dataset> Dataset for Cached<D> {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        self.data.inputs()
    }

    fn targets(&self) -> Vec<RowSpec> {
        self.data.targets()
    }

    fn is_fixed(&self) -> bool {
        self.data.is_fixed()
    }

    fn has_weights(&self) -> bool {
        self.data.has_weights()
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        if !self.data.is_fixed() {
            return self.data.fill(samples, key, rows);
        }
        let wanted = self.parts.iter();
        let wanted = wanted.filter(|(part, _)| rows.get(*part).is_some());
        let wanted: Vec<_> = wanted.collect();
        let weighted = rows.get_weights().is_some() && self.data.has_weights();
        let is_kept = |sample: usize| {
            let parts = wanted.iter().all(|(_, kept)| kept[sample].get().is_some());
            parts && !(weighted && self.weights[sample].get().is_none())
        };
        let missing = samples.iter().copied().filter(|&sample| !is_kept(sample));
        let missing: Vec<usize> = missing.collect();
        if !missing.is_empty() {
            self.read(&missing, key, rows)?;
        }
        const READ: &str = "what is missing has been read";
        for (part, kept) in &wanted {
            for (row, &sample) in samples.iter().enumerate() {
                match kept[sample].get().expect(READ) {
                    Kept::F32(values) => {
                        if let Some(to) = rows.floats(*part) {
                            to[row * values.len()..][..values.len()].copy_from_slice(values);
                        }
                    }
                    Kept::I32(values) => {
                        if let Some(to) = rows.integers(*part) {
                            to[row * values.len()..][..values.len()].copy_from_slice(values);
                        }
                    }
                }
            }
        }
        if let (true, Some(to)) = (weighted, rows.weights()) {
            for (to, &sample) in to.iter_mut().zip(samples) {
                *to = *self.weights[sample].get().expect(READ);
            }
        }
        Ok(())
    }

    fn lend(&self, part: Part, samples: Range<usize>) -> Option<Slice<'_>> {
        self.data.lend(part, samples)
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        self.data.content(sample)
    }
}
