//! Pictures as samples: read, decoded and resized when they are asked for, on all threads.

use rayon::prelude::*;
use regraft_data::{Content, Dataset, Hasher, Part, RowSpec, Rows};
use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::{Error, Images, Result};

/// What makes pixels of files. To be raised whenever a decoder or the resizing gives other numbers than before.
const MADE_BY: &str = "regraft-images 1";

impl Dataset for Images {
    fn len(&self) -> usize {
        self.paths().len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        let [rows, columns] = self.size().size();
        vec![RowSpec::floats([rows, columns, 3])]
    }

    fn targets(&self) -> Vec<RowSpec> {
        match self.labels().is_empty() {
            true => Vec::new(),
            false => vec![RowSpec::integers([])],
        }
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        let file = self.content_of(sample)?;
        Ok(Some(
            self.size()
                .hashed(Hasher::new(MADE_BY).bytes(&file))
                .finish(),
        ))
    }

    fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
        if let Some(targets) = rows.integers(Part::Target(0)) {
            for (target, &sample) in targets.iter_mut().zip(samples) {
                *target = self.labels()[sample];
            }
        }
        let Some(inputs) = rows.floats(Part::Input(0)) else {
            return Ok(());
        };
        self.size().check()?;
        let elements = self.inputs()[0].elements();
        let read = |(row, &sample): (&mut [f32], &usize)| -> Result<()> {
            let picture = self.load(sample)?.resize(self.size())?;
            for (value, &level) in row.iter_mut().zip(picture.pixels()) {
                *value = f32::from(level);
            }
            Ok(())
        };
        let read: Vec<Result<()>> = inputs
            .par_chunks_mut(elements)
            .zip(samples)
            .map(read)
            .collect();
        // The first in the order of samples, on any number of threads.
        read.into_iter()
            .collect::<Result<()>>()
            .map_err(|error: Error| error.into())
    }
}
