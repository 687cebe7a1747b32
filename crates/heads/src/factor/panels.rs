//! Rows of samples in panels of [`LANES`], so that one instruction takes a coordinate of all of them: in memory, or in a
//! file, from which they are read panel by panel.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rayon::prelude::*;

use super::Factor;
use crate::product::add_scaled;

/// Samples that lie interleaved in a panel.
pub(crate) const LANES: usize = 8;
/// Rows that one task sums.
pub(super) const CHUNK: usize = 256;
/// Tasks whose sums are in memory together.
const TASKS: usize = 32;

/// The samples' rows in Q's coordinates.
#[derive(Clone)]
pub(super) enum Panels {
    /// Panels of [`LANES`] samples, coordinate by coordinate; rows of zeros where samples are missing.
    Memory(Arc<Vec<f64>>),
    /// One row after the other.
    File(Arc<File>),
}

impl Factor {
    /// A panel, in its place or in `room`.
    pub(crate) fn panel<'p>(&'p self, panel: usize, room: &'p mut Vec<f64>) -> &'p [f64] {
        let rank = self.rank();
        match &self.panels {
            Panels::Memory(all) => &all[panel * rank * LANES..][..rank * LANES],
            Panels::File(file) => {
                let count = LANES.min(self.samples.len() - panel * LANES);
                let rows = rows_of(file, panel * LANES, count, rank);
                room.clear();
                room.resize(rank * LANES, 0.0);
                for (lane, row) in rows.chunks_exact(rank).enumerate() {
                    for (out, x) in room.chunks_exact_mut(LANES).zip(row) {
                        out[lane] = *x;
                    }
                }
                room
            }
        }
    }

    /// All panels in memory.
    pub(crate) fn all_panels(&self) -> Vec<f64> {
        match &self.panels {
            Panels::Memory(all) => all.to_vec(),
            Panels::File(_) => {
                let (mut all, mut room) = (Vec::new(), Vec::new());
                let count = self.samples.len().div_ceil(LANES);
                (0..count).for_each(|panel| all.extend_from_slice(self.panel(panel, &mut room)));
                all
            }
        }
    }

    /// Zᵀ `values`, with `columns` values of each sample.
    pub(super) fn transposed_product(&self, values: &[f64], columns: usize) -> Vec<f64> {
        let rank = self.rank();
        // Panels are columns that lie one after the other.
        let samples = self.samples.len();
        let of_chunk = |room: &mut Vec<f64>, chunk: usize| {
            let mut part = vec![0.0; rank * columns];
            let panels = chunk * (CHUNK / LANES)..samples.div_ceil(LANES);
            for p in panels.take(CHUNK / LANES) {
                let first = p * LANES;
                let (panel, _) = self.panel(p, room).as_chunks::<LANES>();
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
        };
        let mut sum = vec![0.0; rank * columns];
        let chunks: Vec<usize> = (0..samples.div_ceil(CHUNK)).collect();
        for chunks in chunks.chunks(TASKS) {
            let parts: Vec<Vec<f64>> = chunks
                .par_iter()
                .map_init(Vec::new, |room, chunk| of_chunk(room, *chunk))
                .collect();
            parts
                .iter()
                .for_each(|part| add_scaled(&mut sum, 1.0, part));
        }
        sum
    }

    /// Writes a sample's row in Q's coordinates into a lane of a panel.
    pub(super) fn coordinates(&self, i: usize, panel: &mut [f64], lane: usize) {
        let rank = self.rank();
        let out = panel.chunks_exact_mut(LANES);
        match &self.panels {
            Panels::Memory(all) => {
                let own = &all[i / LANES * rank * LANES..][..rank * LANES];
                for (out, own) in out.zip(own.chunks_exact(LANES)) {
                    out[lane] = own[i % LANES];
                }
            }
            Panels::File(file) => {
                for (out, x) in out.zip(rows_of(file, i, 1, rank)) {
                    out[lane] = x;
                }
            }
        }
    }
}

/// Rows of a file of rows. What the system cannot read of a file that nobody else has is no number, and neither is what
/// is made of it.
fn rows_of(file: &File, first: usize, count: usize, rank: usize) -> Vec<f64> {
    let mut bytes = vec![0; 8 * count * rank];
    if read_at(file, &mut bytes, (8 * first * rank) as u64).is_err() {
        return vec![f64::NAN; count * rank];
    }
    let (eights, _) = bytes.as_chunks::<8>();
    let numbers = eights.iter().map(|eight| f64::from_le_bytes(*eight));
    numbers.collect()
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                bytes = &mut bytes[count..];
                at += count as u64;
            }
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
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
