//! Where features come from: a tensor, or rows that are read where they lie.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use regraft_tensor::{Detail, Tensor};

use crate::{Error, Result};

/// Rows that one task reads.
const TOGETHER: usize = 64;

/// A row of features for each sample: a [`Tensor`], or rows on a disk, which need not be in memory all at once.
pub trait Features: Sync {
    /// Samples and features; other shapes are refused.
    fn shape(&self) -> Vec<usize>;

    /// Copies the row of a sample, which is the same whenever it is read. False if it cannot be read any more.
    fn read(&self, sample: usize, row: &mut [f32]) -> bool;
}

impl Features for Tensor {
    fn shape(&self) -> Vec<usize> {
        Tensor::shape(self).to_vec()
    }

    fn read(&self, sample: usize, row: &mut [f32]) -> bool {
        row.copy_from_slice(&self.as_slice()[sample * row.len()..][..row.len()]);
        true
    }
}

/// What `make` makes of each row, `samples` of `width`, in their order.
pub(crate) fn of_each<T: Send>(
    features: &dyn Features,
    samples: usize,
    width: usize,
    make: impl Fn(&[f32]) -> T + Sync,
) -> Result<Vec<T>> {
    let all_there = AtomicBool::new(true);
    let made = (0..samples)
        .into_par_iter()
        .with_min_len(TOGETHER)
        .map_init(
            || vec![0.0; width],
            |row, sample| {
                if !features.read(sample, row) {
                    all_there.store(false, Ordering::Relaxed);
                }
                make(row)
            },
        )
        .collect();
    if_there(all_there)?;
    Ok(made)
}

/// Writes the rows at some places of `order` to `rows`, as `convert` makes them of floats: it is told the place.
pub(crate) fn fill(
    features: &dyn Features,
    order: &[usize],
    places: Range<usize>,
    rows: &mut [f64],
    convert: impl Fn(usize, &[f32], &mut [f64]) + Sync,
) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let width = rows.len() / places.len();
    let all_there = AtomicBool::new(true);
    rows.par_chunks_exact_mut(width)
        .zip(places)
        .with_min_len(TOGETHER)
        .for_each_init(
            || vec![0.0; width],
            |row, (out, place)| {
                if !features.read(order[place], row) {
                    all_there.store(false, Ordering::Relaxed);
                }
                convert(place, row, out);
            },
        );
    if_there(all_there)
}

pub(crate) fn if_there(all_there: AtomicBool) -> Result<()> {
    match all_there.into_inner() {
        true => Ok(()),
        false => Err(Error::Features(
            Detail::new("features", "rows that stay as they are", "one that is gone")
                .help("what keeps them has lost some meanwhile: begin anew"),
        )),
    }
}
