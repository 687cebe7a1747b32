//! Work on the samples of a batch one by one, on several threads.

use super::parallel::parts;

/// Calls `work(sample, part)` for each part of `out` of `row` elements; `cost` is the work of one element
/// in units of a cheap elementwise operation.
///
/// Samples do not see each other, so that the division among threads changes nothing.
pub fn each_sample(
    out: &mut [f32],
    row: usize,
    cost: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    if row == 0 {
        return;
    }
    parts(out, row, cost, |start, part| {
        for (index, part) in part.chunks_exact_mut(row).enumerate() {
            work(start / row + index, part);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_worked_on_once_however_many_there_are() {
        for (samples, row, cost) in [(0, 3, 1), (1, 7, 1), (5, 3, 1), (100, 64, 1 << 14)] {
            let mut out = vec![0.0; samples * row];
            each_sample(&mut out, row, cost, |sample, part| {
                assert_eq!(part.len(), row);
                part.iter_mut().for_each(|out| *out += 1.0 + sample as f32);
            });
            for (position, out) in out.iter().enumerate() {
                assert_eq!(*out, 1.0 + (position / row) as f32);
            }
        }
    }
}
