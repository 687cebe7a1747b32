//! Rows of samples in panels of [`LANES`], so that one instruction takes a coordinate of all of them.

use rayon::prelude::*;

use super::Factor;
use crate::product::sum_of;

/// Samples that lie interleaved in a panel.
pub(crate) const LANES: usize = 8;
/// Rows that one task sums.
pub(super) const CHUNK: usize = 256;

impl Factor {
    /// Zᵀ `values`, with `columns` values of each sample.
    pub(super) fn transposed_product(&self, values: &[f64], columns: usize) -> Vec<f64> {
        let rank = self.rank();
        // Panels are columns that lie one after the other.
        let samples = self.samples.len();
        let parts: Vec<Vec<f64>> = self
            .panels
            .par_chunks(rank * LANES * (CHUNK / LANES))
            .enumerate()
            .map(|(chunk, panels)| {
                let mut part = vec![0.0; rank * columns];
                for (p, panel) in panels.chunks_exact(rank * LANES).enumerate() {
                    let first = chunk * CHUNK + p * LANES;
                    let (panel, _) = panel.as_chunks::<LANES>();
                    for lane in 0..LANES.min(samples - first) {
                        let values = &values[(first + lane) * columns..][..columns];
                        for (z, part) in panel.iter().zip(part.chunks_exact_mut(columns)) {
                            for (part, value) in part.iter_mut().zip(values) {
                                *part += z[lane] * value;
                            }
                        }
                    }
                }
                part
            })
            .collect();
        sum_of(&parts, rank * columns)
    }

    /// A sample's row in Q's coordinates.
    pub(super) fn coordinates(&self, i: usize) -> impl Iterator<Item = f64> {
        let size = self.rank() * LANES;
        let panel = &self.panels[i / LANES * size..][..size];
        panel.iter().skip(i % LANES).step_by(LANES).copied()
    }
}

/// Rows to panels, in place.
pub(super) fn interleave(rows: &mut [f64], width: usize) {
    rows.par_chunks_exact_mut(width * LANES).for_each_init(
        || vec![0.0; width * LANES],
        |buffer, rows| {
            for (lane, row) in rows.chunks_exact(width).enumerate() {
                row.iter()
                    .enumerate()
                    .for_each(|(j, value)| buffer[j * LANES + lane] = *value);
            }
            rows.copy_from_slice(buffer);
        },
    );
}
