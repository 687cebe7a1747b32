//! Rectangles at random places of images.

use super::transformation::{Draws, Images};

/// A part of an image; a pixel is inside if its row and column are between the ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rectangle {
    rows: (f32, f32),
    columns: (f32, f32),
}

impl Rectangle {
    /// One for each image, with these shares of its rows and columns.
    pub fn draw(images: Images, shares: &[[f32; 2]], draws: &Draws) -> Vec<Self> {
        let ends = |size: usize, axis: usize| {
            let places = draws.uniform(images.samples, (0.0, 1.0));
            let end = move |(place, share): (f32, &[f32; 2])| {
                let length = share[axis] * size as f32;
                let start = place * (size as f32 - length);
                (start, start + length)
            };
            places.into_iter().zip(shares).map(end).collect::<Vec<_>>()
        };
        let (columns, rows) = (ends(images.columns, 1), ends(images.rows, 0));
        let rectangle = |(rows, columns)| Rectangle { rows, columns };
        rows.into_iter().zip(columns).map(rectangle).collect()
    }

    /// Whether the pixel is inside.
    pub fn contains(&self, row: usize, column: usize) -> bool {
        let within = |(start, end): (f32, f32), place: usize| {
            let place = place as f32;
            place >= start && place < end
        };
        within(self.rows, row) && within(self.columns, column)
    }
}
