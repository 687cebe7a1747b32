//! Contrast raised where it is low, tile by tile.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;
use crate::layers::spatial::{Sizes, require_cells};
use crate::settings::require;

settings! {
    /// Equalizes the levels of each channel of each image by tiles: each tile has a table from levels to levels
    /// made of its histogram, which is cut off at `clip_limit` times its mean and the rest spread evenly;
    /// between the middles of tiles their tables are mixed.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; **in inference and frozen it does the same as in training** |
    /// | defaults | a limit of 4, 8 by 8 tiles, pixels from 0 to 255 |
    ///
    /// Keras: `keras.layers.ContrastLimitedAdaptiveHistogramEqualization`.
    #[derive(Clone, Debug)]
    pub struct ContrastLimitedAdaptiveHistogramEqualization as
        "keras.layers.ContrastLimitedAdaptiveHistogramEqualization" {
        /// A layer with Keras' defaults.
        new()
        value_range: ValueRange = ValueRange::BYTES,
        /// How often a level may occur, in multiples of the mean; 0 for no limit.
        clip_limit: f32 = 4.0,
        /// How many tiles there are, down and across.
        tile_grid_size: Sizes<2> = 8,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
        seed: Option<u64> = None,
    }
    reading |settings, _it| {
        settings.ignore(&["rng_type"]);
    }
    writing |_it, config| {
        config.shift_remove("seed");
    }
}

augmentation!(ContrastLimitedAdaptiveHistogramEqualization, |call| true);
ranged!(ContrastLimitedAdaptiveHistogramEqualization);

/// The number of levels.
const LEVELS: usize = 256;

/// A table from levels to levels.
type Table = [f32; LEVELS];

impl ContrastLimitedAdaptiveHistogramEqualization {
    /// The table of a tile with these levels.
    fn table(&self, levels: impl Iterator<Item = usize>) -> Table {
        let mut counts: Table = [0.0; LEVELS];
        let mut pixels = 0.0;
        for level in levels {
            counts[level] += 1.0;
            pixels += 1.0;
        }
        if self.clip_limit > 0.0 {
            let limit = self.clip_limit * pixels / LEVELS as f32;
            let clipped = counts.map(|count: f32| count.min(limit));
            let excess: f32 = counts.iter().zip(&clipped).map(|(a, b)| a - b).sum();
            counts = clipped.map(|count| count + excess / LEVELS as f32);
        }
        let mut sum = 0.0;
        let darker = counts.map(|count| {
            sum += count;
            sum
        });
        let least = darker[0];
        let rest = pixels - least;
        let rest = if rest == 0.0 { 1.0 } else { rest };
        darker.map(|sum| ((sum - least) * 255.0 / rest).clamp(0.0, 255.0))
    }
}

/// The two tiles on both sides of a pixel along an axis, of `tiles` with `length` pixels each, and how near
/// the second one is.
fn between(place: usize, tiles: usize, length: usize) -> (usize, usize, f32) {
    let length = length as f32;
    // With one more tile at each end, which is like its neighbour.
    let at = (place as f32 - length / 2.0) / length + 1.0;
    let below = at.floor();
    let tile = |tile: f32| (tile as usize).clamp(1, tiles) - 1;
    (tile(below), tile(below + 1.0), at - below)
}

impl Transformation for ContrastLimitedAdaptiveHistogramEqualization {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        require_cells("tile_grid_size", 1, &self.tile_grid_size.0)?;
        let fits = self.clip_limit.is_finite();
        require(fits, "clip_limit", "a finite number", self.clip_limit)?;
        self.value_range.check()
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn transform(&self, x: &[f32], images: Images, _draws: &Draws, y: &mut [f32]) {
        let (bytes, range) = (ValueRange::BYTES, self.value_range);
        let [rows, columns, channels] = images.size();
        let [down, across] = self.tile_grid_size.0;
        let (high, wide) = (rows.div_ceil(down), columns.div_ceil(across));
        // Beyond its end an image is seen in a mirror.
        let mirrored = |place: usize, length: usize| match place % (2 * length) {
            inside if inside < length => inside,
            beyond => 2 * length - 1 - beyond,
        };
        each_sample(y, images.row(), 16, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            for channel in 0..channels {
                let level = |row: usize, column: usize| {
                    let x = x[(row * columns + column) * channels + channel];
                    range.convert(x, bytes).clamp(0.0, 255.0) as usize
                };
                let tile = |tile: usize| {
                    let (top, left) = (tile / across * high, tile % across * wide);
                    let pixels = (0..high * wide).map(|pixel| {
                        let row = mirrored(top + pixel / wide, rows);
                        level(row, mirrored(left + pixel % wide, columns))
                    });
                    self.table(pixels)
                };
                let tables: Vec<Table> = (0..down * across).map(tile).collect();
                for row in 0..rows {
                    let (above, below, lower) = between(row, down, high);
                    for column in 0..columns {
                        let (left, right, nearer) = between(column, across, wide);
                        let level = level(row, column);
                        let of = |row: usize, column: usize| tables[row * across + column][level];
                        let along = |row| of(row, left) * (1.0 - nearer) + of(row, right) * nearer;
                        let mixed = along(above) * (1.0 - lower) + along(below) * lower;
                        let place = (row * columns + column) * channels + channel;
                        y[place] = bytes.convert(mixed, range);
                    }
                }
            }
        });
    }
}
