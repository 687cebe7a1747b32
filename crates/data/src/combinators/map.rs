//! Samples that a function of one's own has changed.

use std::fmt;

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::{Content, Dataset, Hasher, Part, RowSpec, Rows, Views};

/// A data set whose samples a function changes in place: [`Dataset::map`] and [`Dataset::augment`] make it.
#[derive(Clone)]
pub struct Map<D, F> {
    pub(crate) data: D,
    pub(crate) function: F,
    fixed: bool,
    name: Option<String>,
}

impl<D: fmt::Debug, F> fmt::Debug for Map<D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_struct("Map");
        map.field("data", &self.data).field("fixed", &self.fixed);
        map.field("name", &self.name).finish_non_exhaustive()
    }
}

/// One sample, to be changed in place.
#[derive(Debug)]
pub struct Row<'a> {
    rows: &'a mut Rows,
    row: usize,
}

impl Row<'_> {
    /// The elements of a part of floats; `None` if they are not wanted: an input is not, where all that is
    /// computed from it has been kept.
    pub fn floats(&mut self, part: Part) -> Option<&mut [f32]> {
        let samples = self.rows.samples();
        let values = self.rows.floats(part)?;
        let elements = values.len() / samples;
        Some(&mut values[self.row * elements..][..elements])
    }

    /// As [`floats`](Self::floats), of a part of integers.
    pub fn integers(&mut self, part: Part) -> Option<&mut [i32]> {
        let samples = self.rows.samples();
        let values = self.rows.integers(part)?;
        let elements = values.len() / samples;
        Some(&mut values[self.row * elements..][..elements])
    }
}

impl<D, F> Map<D, F>
where
    D: Dataset,
    F: Fn(&mut Row<'_>, Key) -> Result<(), Detail> + Sync,
{
    pub(crate) fn new(data: D, function: F, fixed: bool) -> Self {
        Map {
            data,
            function,
            fixed,
            name: None,
        }
    }

    /// Gives what the function does a name, so that what is computed from its samples can be kept on disk
    /// ([`Dataset::content`]). It must change with what the function computes: `"grey, version 2"`.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Each sample `views` times, fixed: as it is without the function, and then as the function makes it
    /// from different random numbers, see [`Views`].
    pub fn views(self, views: usize) -> Views<D, F> {
        Views::new(self, views)
    }

    /// What the function makes of a content.
    pub(crate) fn content_of(&self, content: Option<Content>) -> Option<Content> {
        let (name, content) = (self.name.as_ref()?, content?);
        let hasher = Hasher::new("map").bytes(name.as_bytes());
        Some(hasher.bytes(&content).finish())
    }

    pub(crate) fn apply(&self, rows: &mut Rows, row: usize, key: Key) -> Result<(), Detail> {
        (self.function)(&mut Row { rows, row }, key)
    }
}

impl<D, F> Dataset for Map<D, F>
where
    D: Dataset,
    F: Fn(&mut Row<'_>, Key) -> Result<(), Detail> + Sync,
{
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
        self.fixed && self.data.is_fixed()
    }

    fn has_weights(&self) -> bool {
        self.data.has_weights()
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        self.data.fill(samples, key, rows)?;
        for (row, &sample) in samples.iter().enumerate() {
            self.apply(rows, row, key.child(sample as u64))?;
        }
        Ok(())
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        match self.name {
            Some(_) => Ok(self.content_of(self.data.content(sample)?)),
            None => Ok(None),
        }
    }
}
