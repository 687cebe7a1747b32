//! Whether the largest value of a row stands where it should: what the accuracy of a classifier counts.

use super::isa::vectorised;
use super::softmax::rows::{PIECE, load};

/// Whether the first of the largest values of `row` stands at `class`; NaN anywhere makes a row wrong.
///
/// Unlike searching for the maximum, this has no chain of comparisons that wait for each other: the compiler makes
/// vector code of both loops.
///
/// # Panics
/// If there is no such value.
#[inline]
pub fn is_largest_at(row: &[f32], class: usize) -> bool {
    let (before, from) = row.split_at(class);
    let chosen = from[0];
    let mut beaten = 0;
    for &value in before {
        beaten += u32::from(value < chosen);
    }
    for &value in from {
        beaten += u32::from(value <= chosen);
    }
    beaten as usize == row.len()
}

/// How many rows of `columns` values have their largest at their class, as [`is_largest_at`] says.
///
/// # Panics
/// If there is not a row for each class, or a class is not a column.
pub fn count_largest_at(x: &[f32], columns: usize, classes: &[i32]) -> usize {
    assert_eq!(x.len(), classes.len() * columns, "largest: rows");
    assert!(
        classes.iter().all(|&class| (class as usize) < columns),
        "largest: classes"
    );
    if columns <= PIECE {
        return count_in_narrow_rows(x, columns, classes);
    }
    let rows = x.chunks_exact(columns).zip(classes);
    rows.filter(|(row, class)| is_largest_at(row, **class as usize))
        .count()
}

vectorised! {
    /// Each row in one vector, filled up with what is never the largest.
    fn count_in_narrow_rows[](x: &[f32], columns: usize, classes: &[i32]) -> usize {
        let mut count = 0;
        for (row, &class) in classes.iter().enumerate() {
            let x = &x[row * columns..];
            let chosen = x[class as usize];
            let piece = load(x, columns, f32::NEG_INFINITY);
            let mut wrong = 0;
            for (lane, &value) in (0_i32..).zip(&piece) {
                let beaten = (value < chosen) | ((lane >= class) & (value <= chosen));
                wrong |= u32::from(!beaten);
            }
            count += usize::from(wrong == 0);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_what_a_search_finds(
            columns in 1usize..40,
            values in prop::collection::vec(prop_oneof![
                8 => (-3i32..3).prop_map(|value| value as f32),
                1 => Just(f32::NAN),
                1 => Just(f32::NEG_INFINITY),
            ], 0..400),
            seed in 0usize..40,
        ) {
            let rows = values.len() / columns;
            let x = &values[..rows * columns];
            let classes: Vec<i32> = (0..rows).map(|row| ((row * 3 + seed) % columns) as i32).collect();
            let is_right = |(row, class): (&[f32], &i32)| {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let first = row.iter().position(|&value| value == largest);
                !row.iter().any(|value| value.is_nan()) && first == Some(*class as usize)
            };
            let expected = x.chunks_exact(columns).zip(&classes).map(is_right);
            let expected: Vec<bool> = expected.collect();
            let one_by_one = x.chunks_exact(columns).zip(&classes);
            let one_by_one: Vec<bool> = one_by_one.map(|(row, &class)| is_largest_at(row, class as usize)).collect();
            prop_assert_eq!(&one_by_one, &expected);
            let count = expected.iter().filter(|right| **right).count();
            prop_assert_eq!(count_largest_at(x, columns, &classes), count);
        }
    }
}
