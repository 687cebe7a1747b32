//! The samples of one batch, as a [`Dataset`](crate::Dataset) writes them.

use crate::{Part, RowSpec, RowType, Slice};

/// Room for the samples of one batch: for each part as many rows as there are samples, one after the
/// other. It is used again for every batch.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    samples: usize,
    inputs: Vec<Column>,
    targets: Vec<Column>,
    weights: Option<Vec<f32>>,
}

#[derive(Clone, Debug)]
struct Column {
    elements: usize,
    wanted: bool,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

impl Rows {
    /// Room for samples that have these parts, all of which are wanted.
    pub fn new(inputs: &[RowSpec], targets: &[RowSpec], weighted: bool) -> Self {
        let column = |spec: &RowSpec| Column {
            elements: spec.elements(),
            wanted: true,
            values: match spec.row_type {
                RowType::F32 => Values::F32(Vec::new()),
                RowType::I32 => Values::I32(Vec::new()),
            },
        };
        Rows {
            samples: 0,
            inputs: inputs.iter().map(column).collect(),
            targets: targets.iter().map(column).collect(),
            weights: weighted.then(Vec::new),
        }
    }

    /// Says whether a part is wanted.
    pub fn want(&mut self, part: Part, wanted: bool) {
        if let Some(column) = self.column_mut(part) {
            column.wanted = wanted;
        }
    }

    /// Makes room for so many samples. What is wanted holds no numbers then (NaN, and the smallest
    /// integer), so that it is noticed if it is not written.
    pub fn begin(&mut self, samples: usize) {
        self.samples = samples;
        for column in self.inputs.iter_mut().chain(&mut self.targets) {
            let length = match column.wanted {
                true => samples * column.elements,
                false => 0,
            };
            match &mut column.values {
                Values::F32(values) => {
                    values.clear();
                    values.resize(length, f32::NAN);
                }
                Values::I32(values) => {
                    values.clear();
                    values.resize(length, i32::MIN);
                }
            }
        }
        if let Some(weights) = &mut self.weights {
            weights.clear();
            weights.resize(samples, f32::NAN);
        }
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The rows of a part of floats, to be written; `None` if they are not wanted: an input is not, where
    /// all that is computed from it has been kept.
    pub fn floats(&mut self, part: Part) -> Option<&mut [f32]> {
        let column = self.column_mut(part).filter(|column| column.wanted)?;
        match &mut column.values {
            Values::F32(values) => Some(values),
            Values::I32(_) => None,
        }
    }

    /// As [`floats`](Self::floats), of a part of integers.
    pub fn integers(&mut self, part: Part) -> Option<&mut [i32]> {
        let column = self.column_mut(part).filter(|column| column.wanted)?;
        match &mut column.values {
            Values::I32(values) => Some(values),
            Values::F32(_) => None,
        }
    }

    /// The weights of the samples in the loss, to be written, if they have some.
    pub fn weights(&mut self) -> Option<&mut [f32]> {
        self.weights.as_deref_mut()
    }

    /// What was written of a part.
    pub fn get(&self, part: Part) -> Option<Slice<'_>> {
        let column = match part {
            Part::Input(index) => self.inputs.get(index),
            Part::Target(index) => self.targets.get(index),
        };
        let column = column.filter(|column| column.wanted)?;
        Some(match &column.values {
            Values::F32(values) => Slice::F32(values),
            Values::I32(values) => Slice::I32(values),
        })
    }

    /// The weights that were written.
    pub fn get_weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    fn column_mut(&mut self, part: Part) -> Option<&mut Column> {
        match part {
            Part::Input(index) => self.inputs.get_mut(index),
            Part::Target(index) => self.targets.get_mut(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_wanted_has_no_room_and_what_is_not_written_no_number() {
        let (x, y) = (RowSpec::floats([2]), RowSpec::integers([]));
        let mut rows = Rows::new(&[x.clone(), x], &[y], true);
        rows.want(Part::Input(0), false);
        rows.begin(3);
        assert_eq!(rows.floats(Part::Input(0)), None);
        assert_eq!(rows.get(Part::Input(0)), None);
        rows.floats(Part::Input(1)).unwrap()[1] = 5.0;
        assert_eq!(rows.integers(Part::Target(0)), Some(&mut [i32::MIN; 3][..]));
        assert_eq!(rows.floats(Part::Target(0)), None);
        let Some(Slice::F32(values)) = rows.get(Part::Input(1)) else {
            panic!("floats");
        };
        assert_eq!((values.len(), values[1]), (6, 5.0));
        assert!(values[0].is_nan() && rows.get_weights().unwrap()[2].is_nan());
        // The next batch has none of the last one's.
        rows.begin(1);
        assert!(
            rows.floats(Part::Input(1))
                .unwrap()
                .iter()
                .all(|x| x.is_nan())
        );
    }
}
