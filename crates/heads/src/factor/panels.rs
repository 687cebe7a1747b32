//! Rows of samples in panels of [`LANES`], so that one instruction takes a coordinate of all of them.

use rayon::prelude::*;

use super::Factor;

/// Samples that lie interleaved in a panel.
pub(crate) const LANES: usize = 8;
/// Rows that one task sums.
pub(super) const CHUNK: usize = 256;

impl Factor {
    /// Zᵀ `values`, with `columns` values of each sample.
    pub(super) fn transposed_product(&self, values: &[f64], columns: usize) -> Vec<f64> {
        let rank = self.rank();
        let mut sums = vec![0.0; rank * columns];
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
        for part in &parts {
            sums.iter_mut()
                .zip(part)
                .for_each(|(sum, part)| *sum += part);
        }
        sums
    }
}

/// Rows to panels, in place.
pub(super) fn interleave(rows: &mut [f64], width: usize) {
    if width == 0 {
        return;
    }
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
