//! Some samples of a data set, in an order of their own.

use std::ops::Range;

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::{Key, permutation};

use crate::{Content, Dataset, Error, Part, Result, RowSpec, Rows, Slice};

/// Some samples of a data set, in an order of their own: [`Dataset::select`], [`take`](Dataset::take),
/// [`skip`](Dataset::skip), [`shuffle`](Dataset::shuffle) and [`split`](Dataset::split) make it. What is
/// drawn for a sample is what is drawn for it in the whole.
#[derive(Clone, Debug)]
pub struct Selected<D> {
    data: D,
    samples: Samples,
}

#[derive(Clone, Debug)]
enum Samples {
    /// They lie together, and are lent together.
    Range(Range<usize>),
    List(Vec<usize>),
}

impl<D: Dataset> Selected<D> {
    pub(crate) fn list(data: D, samples: Vec<usize>) -> Result<Self> {
        match samples.iter().find(|&&sample| sample >= data.len()) {
            None => Ok(Selected {
                data,
                samples: Samples::List(samples),
            }),
            Some(sample) => {
                let expected = format!("numbers below that of the samples, {}", data.len());
                Err(Error::Data(Detail::new("select", expected, sample)))
            }
        }
    }

    pub(crate) fn range(data: D, range: Range<usize>) -> Self {
        let end = range.end.min(data.len());
        Selected {
            samples: Samples::Range(range.start.min(end)..end),
            data,
        }
    }

    pub(crate) fn shuffled(data: D, seed: u64) -> Result<Self> {
        /// The stream of random numbers that the order is drawn from.
        const SHUFFLE: u64 = 3;
        let samples = u32::try_from(data.len()).map_err(|_| {
            let expected = "no more samples than 32 bits can count";
            Error::Data(Detail::new("shuffle", expected, data.len()))
        })?;
        let order = permutation(Key::new(seed, SHUFFLE), samples).into_iter();
        Ok(Selected {
            data,
            samples: Samples::List(order.map(|sample| sample as usize).collect()),
        })
    }

    /// The sample of the data set it was selected from that stands at a position.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn sample(&self, position: usize) -> usize {
        assert!(
            position < self.len(),
            "a position below the number of samples"
        );
        match &self.samples {
            Samples::Range(range) => range.start + position,
            Samples::List(samples) => samples[position],
        }
    }
}

impl<D: Dataset> Dataset for Selected<D> {
    fn len(&self) -> usize {
        match &self.samples {
            Samples::Range(range) => range.len(),
            Samples::List(samples) => samples.len(),
        }
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
        let samples = samples.iter().map(|&position| self.sample(position));
        self.data.fill(&samples.collect::<Vec<usize>>(), key, rows)
    }

    fn lend(&self, part: Part, samples: Range<usize>) -> Option<Slice<'_>> {
        match &self.samples {
            Samples::Range(range) => {
                let (from, to) = (range.start + samples.start, range.start + samples.end);
                self.data.lend(part, from..to)
            }
            Samples::List(_) => None,
        }
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        self.data.content(self.sample(sample))
    }
}
