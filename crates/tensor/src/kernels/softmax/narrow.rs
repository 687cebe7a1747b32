//! Rows of few values, many side by side: a group of rows is turned, so that each vector has one column's
//! values of sixteen rows. A row alone would leave vectors half empty, and fold one for its maximum and one
//! for its sum.
//!
//! Every sum has the order that it has in [`rows`](super::rows): by halves of [`PIECE`] lanes, of which those
//! that a row does not have are zeros there and left out here.

use super::rows::PIECE;
use crate::kernels::math;
use crate::kernels::matmul::matrix::Strided;
use crate::kernels::matmul::pack::pack_column_major;

/// Rows of a group.
pub(super) const GROUP: usize = 64;

/// Whether rows of so many values go side by side.
#[inline(always)]
pub(super) fn is_narrow(columns: usize) -> bool {
    (1..=PIECE).contains(&columns)
}

/// One value of each row.
pub(super) type Column = [f32; GROUP];

/// The exponentials of a group of rows; lanes of rows that do not exist hold anything.
pub(super) struct Group {
    columns: usize,
    values: [Column; PIECE],
}

impl Group {
    /// For rows of so many values.
    #[inline(always)]
    pub fn new(columns: usize) -> Self {
        Group {
            columns,
            values: [[0.0; GROUP]; PIECE],
        }
    }

    /// Reads up to [`GROUP`] rows, and subtracts the largest of its values from each row.
    #[inline(always)]
    pub fn read_shifted(&mut self, x: &[f32]) {
        let rows = (x.len() / self.columns).min(GROUP);
        let from = rows_of(x, self.columns);
        let to = self.values.as_flattened_mut();
        pack_column_major(from, rows, self.columns, GROUP, to);
        let values = &mut self.values[..self.columns];
        let mut largest = [f32::NEG_INFINITY; GROUP];
        for column in &*values {
            for (largest, &x) in largest.iter_mut().zip(column) {
                *largest = math::select(x > *largest, x, *largest);
            }
        }
        for column in values {
            for (x, largest) in column.iter_mut().zip(&largest) {
                *x -= largest;
            }
        }
    }

    /// Of each row the value at its label.
    #[inline(always)]
    pub fn at(&self, labels: &[i32; GROUP]) -> Column {
        let mut picked = [0.0; GROUP];
        for (class, column) in self.values[..self.columns].iter().enumerate() {
            for ((picked, &x), &label) in picked.iter_mut().zip(column).zip(labels) {
                *picked = math::select(label == class as i32, x, *picked);
            }
        }
        picked
    }

    /// Replaces all values by their exponentials, and returns the sum of each row.
    #[inline(always)]
    pub fn exponentials(&mut self) -> Column {
        let values = &mut self.values[..self.columns];
        for x in values.as_flattened_mut() {
            *x = math::exp(*x);
        }
        let mut sums = [[0.0; GROUP]; PIECE / 2];
        let (low, high) = values.split_at(values.len().min(PIECE / 2));
        sums[..low.len()].copy_from_slice(low);
        let mut count = low.len();
        add(&mut sums, high);
        let mut width = PIECE / 4;
        while width > 0 {
            let (low, high) = sums.split_at_mut(width);
            add(low, &high[..count.saturating_sub(width)]);
            count = count.min(width);
            width /= 2;
        }
        sums[0]
    }

    /// Replaces the values of all rows by `f(class, value, row's number)`.
    #[inline(always)]
    pub fn rewrite(&mut self, f: impl Fn(i32, f32, usize) -> f32) {
        for (class, column) in self.values[..self.columns].iter_mut().enumerate() {
            for (row, x) in column.iter_mut().enumerate() {
                *x = f(class as i32, *x, row);
            }
        }
    }

    /// Writes the rows, one at the beginning of each `stride` values.
    #[inline(always)]
    pub fn write(&self, stride: usize, y: &mut [f32]) {
        let rows = (y.len() / stride).min(GROUP);
        let from = rows_of(self.values.as_flattened(), GROUP);
        pack_column_major(from, self.columns, rows, stride, y);
    }
}

/// Rows of so many values.
#[inline(always)]
fn rows_of(data: &[f32], row_stride: usize) -> Strided<'_> {
    Strided {
        data,
        row_stride,
        column_stride: 1,
    }
}

/// `sums[i] += others[i]`, for those of `others` that there are.
#[inline(always)]
fn add(sums: &mut [Column], others: &[Column]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum += other;
        }
    }
}

/// What each row of a group has of `all`, of which it has the rows from the first one on; zeros behind.
#[inline(always)]
pub(super) fn of_group<T: Copy + Default>(all: &[T]) -> [T; GROUP] {
    match all.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut of_group = [T::default(); GROUP];
            of_group[..all.len()].copy_from_slice(all);
            of_group
        }
    }
}
