//! Pictures as samples: read, decoded and resized when they are asked for, on all threads.

use std::sync::OnceLock;

use rayon::prelude::*;
use regraft_data::{Content, Dataset, Hasher, Part, RowSpec, Rows};
use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::{Error, Images, Interpolation, Limits, Resize, Result, decode};

/// What makes pixels of files: a hash of what decoder and resizing make of a small picture here, since another version
/// of them, or another machine, may give other numbers. What that does not show has the number, to be raised then.
fn made_by() -> &'static Content {
    static MADE_BY: OnceLock<Content> = OnceLock::new();
    const PICTURE: &[u8] = include_bytes!("sample.jpg");
    MADE_BY.get_or_init(|| {
        let mut hasher = Hasher::new("regraft-images 1");
        let picture = decode(PICTURE, &Limits::default()).expect("it is a picture");
        hasher = hasher.bytes(picture.pixels());
        for interpolation in [
            Interpolation::Bilinear,
            Interpolation::Bicubic,
            Interpolation::Lanczos3,
        ] {
            for antialias in [true, false] {
                let resize = Resize::new([5, 7]).interpolation(interpolation);
                let small = picture.resize(&resize.antialias(antialias));
                hasher = hasher.bytes(small.expect("a size that is possible").pixels());
            }
        }
        hasher.finish()
    })
}

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
                .hashed(Hasher::new("pictures").bytes(made_by()).bytes(&file))
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
