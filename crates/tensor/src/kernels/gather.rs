//! Rows chosen by index, and back: gather, scatter-add, one-hot.

use super::alone::available;
use super::isa::vectorised;
use super::parallel::{self, parts};
use crate::{Detail, Error, Result};

/// Checks that every index points into an axis of `size`.
fn check(operation: &str, indices: &[i32], size: usize) -> Result<()> {
    let wrong = |index: &i32| usize::try_from(*index).map_or(true, |index| index >= size);
    match indices.iter().position(wrong) {
        None => Ok(()),
        Some(place) => Err(Error::Index(
            Detail::new(
                format!("{operation}: index number {place}"),
                format!("a value from 0 to below {size}"),
                indices[place],
            )
            .help("indices count from 0 and may not be negative"),
        )),
    }
}

/// `out[i] = x[indices[i]]`, where `x` has rows of `columns` values.
///
/// # Errors
/// [`Error::Index`] if an index is not a row of `x`.
///
/// # Panics
/// If `out` does not hold one row per index.
pub fn take_rows(x: &[f32], columns: usize, indices: &[i32], out: &mut [f32]) -> Result<()> {
    assert_eq!(out.len(), indices.len() * columns, "take_rows: out");
    if columns == 0 {
        return Ok(());
    }
    check("gather", indices, x.len() / columns)?;
    // They are not negative.
    pick_rows(x, columns, bytemuck::cast_slice(indices), out);
    Ok(())
}

/// `out[i] = x[rows[i]]`, where `x` has rows of `columns` values, as [`take_rows`] of rows that are known to be there.
///
/// # Panics
/// If one is not there, or `out` does not hold one row per number.
pub fn pick_rows(x: &[f32], columns: usize, rows: &[u32], out: &mut [f32]) {
    assert_eq!(out.len(), rows.len() * columns, "pick_rows: out");
    if columns > 0 {
        parts(out, columns, 1, |start, out| {
            copy_rows(x, columns, &rows[start / columns..], out);
        });
    }
}

vectorised! {
    fn copy_rows[](x: &[f32], columns: usize, rows: &[u32], out: &mut [f32]) {
        // The usual widths of short rows, for which a call that copies takes longer than the copy.
        match columns {
            8 => copy_rows_of::<8>(x, rows, out),
            16 => copy_rows_of::<16>(x, rows, out),
            32 => copy_rows_of::<32>(x, rows, out),
            64 => copy_rows_of::<64>(x, rows, out),
            _ => {
                for (out, &row) in out.chunks_exact_mut(columns).zip(rows) {
                    out.copy_from_slice(&x[row as usize * columns..][..columns]);
                }
            }
        }
    }
}

#[inline(always)]
fn copy_rows_of<const COLUMNS: usize>(x: &[f32], rows: &[u32], out: &mut [f32]) {
    let (x, out) = (x.as_chunks::<COLUMNS>().0, out.as_chunks_mut::<COLUMNS>().0);
    for (out, &row) in out.iter_mut().zip(rows) {
        *out = x[row as usize];
    }
}

/// `out[indices[i]] += x[i]`, where both have rows of `columns` values: the gradient of
/// [`take_rows`]. Rows with the same index are added in the order of `i`.
///
/// # Errors
/// [`Error::Index`] if an index is not a row of `out`.
///
/// # Panics
/// If `x` does not hold one row per index.
pub fn scatter_add_rows(x: &[f32], columns: usize, indices: &[i32], out: &mut [f32]) -> Result<()> {
    assert_eq!(x.len(), indices.len() * columns, "scatter_add_rows: x");
    if columns == 0 {
        return Ok(());
    }
    let rows = out.len() / columns;
    check("scatter-add", indices, rows)?;
    let add = |first: usize, out: &mut [f32]| {
        let here = out.len() / columns;
        for (x, &index) in x.chunks_exact(columns).zip(indices) {
            let row = (index as usize).wrapping_sub(first);
            if row < here {
                let out = &mut out[row * columns..][..columns];
                out.iter_mut().zip(x).for_each(|(out, x)| *out += x);
            }
        }
    };
    if parallel::worthwhile(x.len()) {
        // Every task owns a range of rows and passes all indices, so the order stays.
        let share = rows.div_ceil(available()).max(1);
        parallel::chunks(out, share * columns, |task, out| add(task * share, out));
    } else {
        add(0, out);
    }
    Ok(())
}

/// `out[i, c] = 1` where `c = indices[i]`, else 0, for rows of `classes` values.
///
/// # Errors
/// [`Error::Index`] if an index is not a class.
///
/// # Panics
/// If `out` does not hold one row per index.
pub fn one_hot(indices: &[i32], classes: usize, out: &mut [f32]) -> Result<()> {
    assert_eq!(out.len(), indices.len() * classes, "one_hot: out");
    check("one-hot", indices, classes)?;
    out.fill(0.0);
    for (row, &index) in indices.iter().enumerate() {
        out[row * classes + index as usize] = 1.0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        /// ⟨take(x), y⟩ = ⟨x, scatter(y)⟩: the two are each other's transpose.
        #[test]
        fn scatter_is_the_transpose_of_gather(
            columns in 1usize..6,
            indices in prop::collection::vec(0i32..7, 0..20),
        ) {
            let number = |i: usize| (i * 7 % 13) as f32 - 6.0;
            let x: Vec<f32> = (0..7 * columns).map(number).collect();
            let y: Vec<f32> = (0..indices.len() * columns).map(|i| number(i + 3)).collect();
            let mut taken = vec![0.0; y.len()];
            take_rows(&x, columns, &indices, &mut taken).unwrap();
            let mut scattered = vec![0.0; x.len()];
            scatter_add_rows(&y, columns, &indices, &mut scattered).unwrap();
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            prop_assert_eq!(dot(&taken, &y), dot(&x, &scattered));
            let mut hot = vec![0.0; indices.len() * 7];
            one_hot(&indices, 7, &mut hot).unwrap();
            for (row, &index) in hot.chunks(7).zip(&indices) {
                prop_assert_eq!(row.iter().sum::<f32>(), 1.0);
                prop_assert_eq!(row[index as usize], 1.0);
            }
        }
    }

    #[test]
    fn large_scatters_add_in_order_on_any_number_of_threads() {
        let columns = 8;
        let indices: Vec<i32> = (0..40_000).map(|i| i * 7919 % 501).collect();
        let x: Vec<f32> = (0..indices.len() * columns)
            .map(|i| (i as f32).sin())
            .collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let mut out = vec![0.0; 501 * columns];
            pool.install(|| scatter_add_rows(&x, columns, &indices, &mut out))
                .unwrap();
            out
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn picked_rows_are_those_of_any_width() {
        for columns in [0, 1, 7, 8, 10, 16, 32, 33, 64, 100] {
            let x: Vec<f32> = (0..9 * columns).map(|i| i as f32).collect();
            let rows = [8, 0, 3, 3, 7];
            let mut out = vec![-1.0; rows.len() * columns];
            pick_rows(&x, columns, &rows, &mut out);
            let expected = rows
                .iter()
                .flat_map(|&row| &x[row as usize * columns..][..columns]);
            assert!(out.iter().eq(expected), "{columns} columns");
        }
    }

    #[test]
    fn a_wrong_index_is_named_with_its_place() {
        let mut out = [0.0; 4];
        let error = take_rows(&[0.0; 6], 2, &[1, 3], &mut out)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("number 1") && error.contains("received 3"),
            "{error}"
        );
        assert!(one_hot(&[-1], 4, &mut out).is_err());
        assert!(scatter_add_rows(&out, 2, &[0, 9], &mut [0.0; 6]).is_err());
    }
}
