//! Images seen through a projective map of the plane: rotated, zoomed, moved, sheared, in perspective.

use super::samples::each_sample;

/// A map from places of the result to places of the image, `[a0, a1, a2, b0, b1, b2, c0, c1]`: column
/// `x` and row `y` of the result show what is at column `(a0 x + a1 y + a2) / k` and row
/// `(b0 x + b1 y + b2) / k`, with `k = c0 x + c1 y + 1`.
pub type Projection = [f32; 8];

/// What is seen outside the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outside {
    /// This number.
    Constant(f32),
    /// The pixel of the border that is nearest.
    Nearest,
    /// The image in a mirror that stands on the border: `d c b a | a b c d | d c b a`.
    Reflect,
    /// The image again: `a b c d | a b c d | a b c d`.
    Wrap,
}

impl Outside {
    /// The place of the image that is seen at `place` along an axis of `length` pixels, as TensorFlow
    /// has it.
    fn place(self, place: f32, length: usize) -> f32 {
        let (size, last) = (length as f32, length as f32 - 1.0);
        // A whole number of times that `by` goes into `place`, towards zero.
        let times = |place: f32, by: f32| (place / by).trunc();
        let inside = match self {
            Outside::Constant(_) => return place,
            Outside::Nearest => place,
            _ if length <= 1 => 0.0,
            Outside::Reflect if place < 0.0 => {
                let both = 2.0 * size;
                let place = both * times(-place, both) + place;
                match place < -size {
                    true => place + both,
                    false => -place - 1.0,
                }
            }
            Outside::Reflect if place > last => {
                let both = 2.0 * size;
                let place = place - both * times(place, both);
                match place >= size {
                    true => both - place - 1.0,
                    false => place,
                }
            }
            Outside::Wrap if place < 0.0 => place + size * (times(-place, last) + 1.0),
            Outside::Wrap if place > last => place - size * times(place, last),
            _ => place,
        };
        inside.clamp(0.0, last)
    }
}

/// How images are resampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Whether a place between pixels has a mixture of the four around it, rather than the nearest one.
    pub bilinear: bool,
    /// What is seen outside.
    pub outside: Outside,
}

/// One image of `[rows, columns, channels]`, and how it is read.
struct Image<'a> {
    pixels: &'a [f32],
    size: [usize; 3],
    resampling: Resampling,
}

impl<'a> Image<'a> {
    /// The channels of a pixel; none outside.
    fn pixel(&self, row: f32, column: f32) -> Option<&'a [f32]> {
        let [rows, columns, channels] = self.size;
        let inside = row >= 0.0 && row < rows as f32 && column >= 0.0 && column < columns as f32;
        inside.then(|| {
            let start = (row as usize * columns + column as usize) * channels;
            &self.pixels[start..][..channels]
        })
    }

    fn outside(&self) -> f32 {
        match self.resampling.outside {
            Outside::Constant(value) => value,
            _ => 0.0,
        }
    }

    /// Writes what is at `row` and `column`.
    fn read(&self, row: f32, column: f32, out: &mut [f32]) {
        let row = self.resampling.outside.place(row, self.size[0]);
        let column = self.resampling.outside.place(column, self.size[1]);
        if !self.resampling.bilinear {
            match self.pixel(row.round(), column.round()) {
                Some(pixel) => out.copy_from_slice(pixel),
                None => out.fill(self.outside()),
            }
            return;
        }
        let (above, left) = (row.floor(), column.floor());
        let (below, right) = (above + 1.0, left + 1.0);
        let corners = [
            [self.pixel(above, left), self.pixel(above, right)],
            [self.pixel(below, left), self.pixel(below, right)],
        ];
        for (channel, out) in out.iter_mut().enumerate() {
            let value = |pixel: Option<&[f32]>| pixel.map_or(self.outside(), |p| p[channel]);
            let along = |row: usize| {
                (right - column) * value(corners[row][0]) + (column - left) * value(corners[row][1])
            };
            *out = (below - row) * along(0) + (row - above) * along(1);
        }
    }
}

/// Each image of `[rows, columns, channels]` in `x` seen through its own of `projections`.
///
/// # Panics
/// If a length does not fit.
pub fn projective(
    x: &[f32],
    size: [usize; 3],
    projections: &[Projection],
    resampling: Resampling,
    y: &mut [f32],
) {
    let [rows, columns, channels] = size;
    let image = rows * columns * channels;
    assert_eq!(x.len(), image * projections.len(), "projective: images");
    assert_eq!(y.len(), x.len(), "projective: result");
    // Some fifty operations find the place, and a few more each channel.
    let cost = 8 + 50 / channels.max(1);
    each_sample(y, columns * channels, cost, |row, y| {
        let (sample, row) = (row / rows, (row % rows) as f32);
        let [a0, a1, a2, b0, b1, b2, c0, c1] = projections[sample];
        let pixels = &x[sample * image..][..image];
        let from = Image {
            pixels,
            size,
            resampling,
        };
        for (column, out) in y.chunks_exact_mut(channels).enumerate() {
            let column = column as f32;
            let depth = c0 * column + c1 * row + 1.0;
            if depth == 0.0 {
                // Infinitely far away.
                out.fill(from.outside());
                continue;
            }
            let x = (a0 * column + a1 * row + a2) / depth;
            let y = (b0 * column + b1 * row + b2) / depth;
            from.read(y, x, out);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: Projection = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];

    fn moved(columns: f32, rows: f32) -> Projection {
        [1.0, 0.0, columns, 0.0, 1.0, rows, 0.0, 0.0]
    }

    fn seen(x: &[f32], size: [usize; 3], projection: Projection, outside: Outside) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        let resampling = Resampling {
            bilinear: true,
            outside,
        };
        projective(x, size, &[projection], resampling, &mut y);
        y
    }

    const ALL: [Outside; 4] = [
        Outside::Constant(7.0),
        Outside::Nearest,
        Outside::Reflect,
        Outside::Wrap,
    ];

    #[test]
    fn the_identity_changes_nothing() {
        let x: Vec<f32> = (0..24).map(|value| value as f32).collect();
        for outside in ALL {
            assert_eq!(seen(&x, [4, 3, 2], SAME, outside), x);
        }
    }

    #[test]
    fn outside_an_image_is_what_its_name_says() {
        let x = [1.0, 2.0, 3.0, 4.0];
        let left = |outside| seen(&x, [1, 4, 1], moved(-2.0, 0.0), outside);
        assert_eq!(left(ALL[0]), [7.0, 7.0, 1.0, 2.0]);
        assert_eq!(left(ALL[1]), [1.0, 1.0, 1.0, 2.0]);
        assert_eq!(left(ALL[2]), [2.0, 1.0, 1.0, 2.0]);
        assert_eq!(left(ALL[3]), [3.0, 4.0, 1.0, 2.0]);
        let right = |outside| seen(&x, [1, 4, 1], moved(2.0, 0.0), outside);
        assert_eq!(right(ALL[0]), [3.0, 4.0, 7.0, 7.0]);
        assert_eq!(right(ALL[2]), [3.0, 4.0, 4.0, 3.0]);
        assert_eq!(right(ALL[3]), [3.0, 4.0, 1.0, 2.0]);
    }

    #[test]
    fn places_far_away_infinite_and_undefined_are_read_without_harm() {
        let x = [1.0, 2.0, 3.0, 4.0];
        for far in [1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            for outside in ALL {
                for bilinear in [true, false] {
                    let mut y = [0.0; 4];
                    let resampling = Resampling { bilinear, outside };
                    projective(&x, [2, 2, 1], &[moved(far, 0.0)], resampling, &mut y);
                }
            }
        }
    }
}
