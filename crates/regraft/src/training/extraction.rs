//! Rows of a program for all samples of a data set: those that a store has are read, the others computed.

use crate::Result;
use crate::training::batches::{Batch, FeedPlan};
use crate::training::read_ahead::{ReadAhead, Taken};
use crate::training::samples::{Samples, lasting_key};
use crate::training::stored_rows::StoredRows;

/// What computes rows of batches.
pub(crate) trait Compute {
    fn run(&mut self, batch: &Batch<'_>) -> Result<()>;

    /// An output of the last run, as the 32 bits of each element.
    fn words(&self, output: usize) -> &[f32];
}

/// What is computed.
#[derive(Debug)]
pub(crate) struct Extraction {
    pub plan: FeedPlan,
    /// How many samples are computed at once.
    pub chunk: usize,
    /// Of each output the number of elements of a sample.
    pub widths: Vec<usize>,
    /// Whether the rows are wanted here, or on the disk alone.
    pub in_memory: bool,
}

impl Extraction {
    /// The rows of all samples, one list per output, and how many samples were computed.
    ///
    /// # Errors
    /// What the data set says, and what `program` says. That rows cannot be written is told by `stored`.
    pub fn run(
        self,
        data: &Samples<'_>,
        program: &mut dyn Compute,
        mut stored: Option<&mut StoredRows<'_>>,
    ) -> Result<(Vec<Vec<f32>>, usize)> {
        let Extraction {
            plan,
            chunk,
            widths,
            in_memory,
        } = self;
        let samples = data.len();
        let room = |width: &usize| vec![0.0; if in_memory { width * samples } else { 0 }];
        let mut rows: Vec<Vec<f32>> = widths.iter().map(room).collect();
        let missing = stored.as_ref().map(|stored| stored.find(&mut rows));
        // All of them are taken as they lie.
        let order = missing.as_ref().map(|missing| missing.positions.as_slice());
        let order = order.filter(|positions| positions.len() < samples);
        let count = order.map_or(samples, <[u32]>::len);
        let position = |at: usize| order.map_or(at, |order| order[at] as usize);
        let mut batches = ReadAhead::new(plan, data);
        let range = |from: usize| (from, (from + chunk).min(count));
        for from in (0..count).step_by(chunk) {
            let (_, to) = range(from);
            let taken = Taken {
                order,
                range: (from, to),
                next: (to < count).then(|| range(to)),
                key: lasting_key(),
            };
            batches.batch(data, None, taken, |batch, _| {
                program.run(batch)?;
                if in_memory {
                    for (output, (rows, &width)) in rows.iter_mut().zip(&widths).enumerate() {
                        let words = program.words(output);
                        for (row, at) in (from..to).enumerate() {
                            rows[position(at) * width..][..width]
                                .copy_from_slice(&words[row * width..][..width]);
                        }
                    }
                }
                if let Some(stored) = &mut stored {
                    for (row, at) in (from..to).enumerate() {
                        let part = |output: usize| {
                            let width = widths[output];
                            &program.words(output)[row * width..][..width]
                        };
                        stored.keep(position(at), (0..widths.len()).map(part));
                    }
                }
                Ok(())
            })?;
        }
        if let Some(stored) = stored {
            stored.flush();
        }
        for (to, from) in missing.into_iter().flat_map(|missing| missing.copies) {
            for (rows, &width) in rows.iter_mut().zip(&widths).filter(|_| in_memory) {
                let from = from as usize * width;
                rows.copy_within(from..from + width, to as usize * width);
            }
        }
        Ok((rows, count))
    }
}
